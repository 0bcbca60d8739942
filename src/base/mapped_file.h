/* A read-only file in memory. */
#ifndef NNM_BASE_MAPPED_FILE_H
#define NNM_BASE_MAPPED_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef struct nnm_mapped_file {
  const unsigned char *data; /* never NULL after success, also for an empty file */
  size_t size;               /* bytes */
  bool is_copy;              /* a small file, read into memory of its own */
} nnm_mapped_file;

/* Maps a regular file, or reads it where that is cheaper; folders, devices and pipes are refused with the reason. */
nnm_status nnm_map_file(const char *path, nnm_mapped_file *out, nnm_error *error);
void nnm_unmap_file(nnm_mapped_file *file);

/* Writes all of data to path: a temporary file beside it, then renamed, so that a half-written file never shows. */
nnm_status nnm_write_file(const char *path, const void *data, size_t size, nnm_error *error);

#endif
