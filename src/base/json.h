/* Untrusted JSON documents, read into jansson's values: size and nesting are limited, every allocation is checked. Strict
 * as RFC 8259 has it; integers of more than 64 bits, floats too large for a double and NUL in texts are faults. */
#ifndef NNM_BASE_JSON_H
#define NNM_BASE_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/status.h"
#include "base/text.h"

/* Parses the one JSON value that data holds; *out is a new reference, freed with json_decref. */
nnm_status nnm_json_parse(const void *data, size_t size, json_t **out, nnm_error *error);

/* The same, but a key that stands twice in one object is an error. */
nnm_status nnm_json_parse_unique(const void *data, size_t size, json_t **out, nnm_error *error);

/* Parses the first JSON value of data, which may be followed by others (JSON Lines). */
nnm_status nnm_json_parse_first(const void *data, size_t size, json_t **out, nnm_error *error);

/* Adds the value's JSON text, printed with jansson's flags. Memory that is refused shows in text->failed: jansson's own
 * json_dumps leaves out what it has no room for, and says nothing. */
void nnm_json_print(const json_t *value, size_t flags, nnm_text *text);

#endif
