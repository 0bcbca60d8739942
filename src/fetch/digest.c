#include "fetch/digest.h"

#include <stdio.h>
#include <string.h>

#include "fetch/shared_library.h"

bool nnm_is_sha256(const char *text) { return strspn(text, "0123456789abcdefABCDEF") == 64 && !text[64]; }

nnm_status nnm_sha256(const void *data, size_t size, char text[NNM_SHA256_TEXT_SIZE], nnm_error *error) {
  /* the same in every libcrypto since 1.0, so that its headers are not needed */
  const void *(*sha256)(void) = NULL;
  int (*digest)(const void *, size_t, unsigned char *, unsigned *, const void *, void *) = NULL;
  static const char *const names[] = {"libcrypto.so.3",    "libcrypto.so.1.1", "libcrypto.so",
                                      "libcrypto.3.dylib", "libcrypto.dylib",  NULL};
  const nnm_symbol symbols[] = {{"EVP_sha256", &sha256}, {"EVP_Digest", &digest}, {NULL, NULL}};
  NNM_TRY(nnm_open_library(names, symbols, "libssl3", error));
  unsigned char bytes[64];
  unsigned length = 0;
  if (!digest(data, size, bytes, &length, sha256(), NULL) || length != 32)
    return nnm_fail(error, NNM_ERROR_UNSUPPORTED, NULL, "libcrypto cannot compute a SHA-256");
  for (size_t i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  return NNM_OK;
}
