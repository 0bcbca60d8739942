/* Libraries that are opened only when they are needed. They stay open: libcurl's own dependencies do not bear being
 * closed. */
#ifndef NNM_FETCH_SHARED_LIBRARY_H
#define NNM_FETCH_SHARED_LIBRARY_H

#include "base/status.h"

typedef struct nnm_symbol {
  const char *name;
  void *target; /* where the pointer to the function goes */
} nnm_symbol;

/* Opens the first of the names (NULL-terminated) that is there and looks up the symbols (up to one without a name).
 * package: the Debian package that brings it, for the message. */
nnm_status nnm_open_library(const char *const *names, const nnm_symbol *symbols, const char *package, nnm_error *error);

#endif
