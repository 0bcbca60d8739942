/* SHA-256 by OpenSSL's libcrypto, which libcurl brings along. */
#ifndef NNM_FETCH_DIGEST_H
#define NNM_FETCH_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum { NNM_SHA256_TEXT_SIZE = 65 }; /* 64 hexadecimal digits and the NUL */

/* Whether text is a SHA-256 as it is written: 64 hexadecimal digits. */
bool nnm_is_sha256(const char *text);

nnm_status nnm_sha256(const void *data, size_t size, char text[NNM_SHA256_TEXT_SIZE], nnm_error *error);

#endif
