/* The predictor file as bytes: header, section table, sections. docs/predictor-format.md describes it. */
#ifndef NNM_PREDICTORS_CONTAINER_H
#define NNM_PREDICTORS_CONTAINER_H

#include "base/arena.h"
#include "base/status.h"

typedef struct nnm_section {
  const unsigned char *data; /* in place */
  size_t size;               /* bytes */
} nnm_section;

typedef struct nnm_container {
  nnm_section rules, data;
  const char *name, *version, *kind, *card; /* from the info section; in the arena given to nnm_container_open */
} nnm_container;

/* Checks header and section table and reads the info section, nothing more: cheap enough for every file of a folder.
 * The sections stay where they are in data. */
nnm_status nnm_container_open(const unsigned char *data, size_t size, nnm_arena *arena, nnm_container *out,
                              nnm_error *error);

/* Compares the checksum of the bytes with the one in the header; after nnm_container_open. */
nnm_status nnm_container_verify(const unsigned char *data, size_t size, nnm_error *error);

/* What a predictor may be called: it becomes part of a file name. */
nnm_status nnm_check_predictor_name(const char *name, nnm_error *error);
nnm_status nnm_check_predictor_version(const char *version, nnm_error *error);

#endif
