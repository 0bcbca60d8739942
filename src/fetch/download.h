/* One file over HTTPS by libcurl, gone on with where the connection broke. */
#ifndef NNM_FETCH_DOWNLOAD_H
#define NNM_FETCH_DOWNLOAD_H

#include "base/status.h"

typedef struct nnm_download {
  const char *url;
  int descriptor;            /* an empty file, open for writing */
  uint64_t size_limit_bytes; /* a larger answer is refused, whether it says so or not */
  uint32_t timeout_s;        /* for connecting, and for a connection on which nothing moves */
  bool allow_http;           /* else only https, and http to this machine itself */
  bool is_pinned;            /* the content is checked later: parts may be joined without an ETag */
  bool (*progress)(void *context, uint64_t done_bytes,
                   uint64_t total_bytes); /* NULL, or false to stop; total 0: unknown */
  void *context;
} nnm_download;

/* *size: bytes of the file. */
nnm_status nnm_download_file(const nnm_download *wanted, uint64_t *size, nnm_error *error);

#endif
