/* The predictor folder in a ZIP archive, by libzip. Nothing of the archive decides where anything is written: the pickles
 * and the rules go into one given folder under their plain names, all else is left out. */
#ifndef NNM_FETCH_ARCHIVE_H
#define NNM_FETCH_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef struct nnm_unpacking {
  const void *data; /* the archive; stays readable meanwhile */
  size_t size;
  int folder;                   /* descriptor of an empty folder */
  bool (*go_on)(void *context); /* NULL, or false to stop */
  void *context;
} nnm_unpacking;

nnm_status nnm_unpack_predictor(const nnm_unpacking *job, nnm_error *error);

#endif
