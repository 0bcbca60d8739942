/* What untrusted bytes look like, for messages about files that are not what was expected. */
#ifndef NNM_READERS_CONTENT_H
#define NNM_READERS_CONTENT_H

#include <stdbool.h>

#include "base/status.h"

/* Fails with what the content looks like and what to do with it. format: the format that was asked for, or NULL. */
nnm_status nnm_fail_content(nnm_error *error, const char *format, const unsigned char *data, size_t size);

/* The same where fusion rules were wanted. */
nnm_status nnm_fail_rules_content(nnm_error *error, const unsigned char *data, size_t size);

/* Whether the first byte that is not white space begins a JSON object or list. */
bool nnm_is_json(const unsigned char *data, size_t size);

/* For probes: whether it is a JSON object so far, begins with an empty one ({} or {"name": {}), and whether its beginning
 * (4 KiB) has this text somewhere. */
bool nnm_is_json_object(const unsigned char *data, size_t size);
bool nnm_json_begins_empty(const unsigned char *data, size_t size);
bool nnm_begins_with_mention(const unsigned char *data, size_t size, const char *text);

#endif
