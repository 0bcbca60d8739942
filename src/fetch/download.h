/* One file over HTTPS by libcurl, gone on with where the connection broke. */
#ifndef NNM_FETCH_DOWNLOAD_H
#define NNM_FETCH_DOWNLOAD_H

#include "base/status.h"

enum { NNM_VALIDATOR_SIZE = 256 }; /* of an ETag or a date, with its NUL */

typedef struct nnm_download {
  const char *url;
  int descriptor;            /* a file open for writing, at its end: empty, or with the beginning of what is wanted */
  uint64_t size_limit_bytes; /* a larger answer is refused, whether it says so or not */
  uint32_t timeout_s;        /* for connecting, and for a connection on which nothing moves */
  bool allow_http;           /* else only https, and http to this machine itself */
  bool is_pinned;            /* the content is checked later: parts may be joined without an ETag */
  bool (*progress)(void *context, uint64_t done_bytes,
                   uint64_t total_bytes); /* NULL, or false to stop; total 0: unknown */
  void *context;
  uint64_t held_bytes;   /* that the file has already */
  const char *validator; /* what the server calls the version that they are of; NULL or empty: unknown */
  void (*begins_anew)(void *note_context, const char *validator); /* NULL, or told before the first byte is written */
  void *note_context;
} nnm_download;

/* *size: bytes of the file. What came before a failure stays in the file. */
nnm_status nnm_download_file(const nnm_download *wanted, uint64_t *size, nnm_error *error);

#endif
