/* Untrusted JSON documents: size and nesting are checked before anything is built of them. */
#ifndef NNM_BASE_JSON_H
#define NNM_BASE_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/status.h"

/* Parses the one JSON value that data holds; *out is a new reference, freed with json_decref. */
nnm_status nnm_json_parse(const void *data, size_t size, json_t **out, nnm_error *error);

/* The same, but a key that stands twice in one object is an error. */
nnm_status nnm_json_parse_unique(const void *data, size_t size, json_t **out, nnm_error *error);

/* Parses the first JSON value of data, which may be followed by others (JSON Lines). */
nnm_status nnm_json_parse_first(const void *data, size_t size, json_t **out, nnm_error *error);

#endif
