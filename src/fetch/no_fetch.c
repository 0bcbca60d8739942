/* In place of fetch.c and partial.c where the headers of libcurl or libzip are missing. */
#include "fetch/partial.h"

nnm_status nnm_predictor_fetch(const char *name, const nnm_fetch_options *options, const char *home, nnm_fetched *out,
                               nnm_error *error) {
  (void)name, (void)options, (void)home, (void)out;
  return nnm_fail(
      error, NNM_ERROR_UNSUPPORTED, NULL,
      "this nn-meter was built without libcurl or libzip and cannot fetch; build it where libcurl4-openssl-dev "
      "and libzip-dev are, or unpack the archive to HOME/data/predictor/NAME by hand");
}

nnm_status nnm_download_resumable(const nnm_download *wanted, const char *sha256, const char *home, int *descriptor,
                                  uint64_t *size, nnm_error *error) {
  (void)wanted, (void)sha256, (void)home, (void)descriptor, (void)size;
  return nnm_fail(error, NNM_ERROR_UNSUPPORTED, NULL,
                  "this nn-meter was built without libcurl or libzip and cannot download; build it where "
                  "libcurl4-openssl-dev and libzip-dev are");
}
