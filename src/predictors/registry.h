/* Finding and opening predictors by name, version or path. */
#ifndef NNM_PREDICTORS_REGISTRY_H
#define NNM_PREDICTORS_REGISTRY_H

#include <stdbool.h>

#include "base/status.h"
#include "predictors/home.h"

#define NNM_PREDICTOR_SUFFIX ".nnmeter"

/* Numeric by dotted parts: "1.10" is newer than "1.9", "1" equals "1.0". <0, 0, >0 like strcmp. */
int nnm_compare_versions(const char *a, const char *b);

/* Whether a file's name ends as predictor files do. */
bool nnm_is_predictor_path(const char *path);

/* origin: what the predictor's info names as the place it is from. */
nnm_status nnm_predictor_open_file(const char *path, const char *origin, nnm_predictor **out, nnm_error *error);

#endif
