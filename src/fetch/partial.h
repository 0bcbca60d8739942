/* A download of which a later run goes on with what an earlier one has received.
 *
 * What came so far lies in HOME/cache/downloads, named after the address and the SHA-256 that is wanted, with a note beside it
 * that says of what it is the beginning. Only one run at a time uses it; another one at the same time, or a HOME that cannot
 * be written, downloads into the caller's own file. What is complete or useless is removed at once, the rest after a month. */
#ifndef NNM_FETCH_PARTIAL_H
#define NNM_FETCH_PARTIAL_H

#include "fetch/download.h"

/* wanted->descriptor: an empty file, used where nothing can be kept. sha256: of the file, or NULL.
 * *descriptor: the file that holds the download: the caller's own, or another one, without a name, to be closed. */
nnm_status nnm_download_resumable(const nnm_download *wanted, const char *sha256, const char *home, int *descriptor,
                                  uint64_t *size, nnm_error *error);

#endif
