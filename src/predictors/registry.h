/* Where predictors live: built into the library, and in HOME/predictors/NAME-VERSION.nnmeter. */
#ifndef NNM_PREDICTORS_REGISTRY_H
#define NNM_PREDICTORS_REGISTRY_H

#include "base/status.h"

#define NNM_PREDICTOR_SUFFIX ".nnmeter"

/* HOME/predictors, for home NULL: NN_METER_HOME, else ~/.nn_meter. malloc'ed in *out; NULL when there is no home at all,
 * which is no failure. */
nnm_status nnm_predictors_folder(const char *home, char **out, nnm_error *error);

/* Numeric by dotted parts: "1.10" is newer than "1.9", "1" equals "1.0". <0, 0, >0 like strcmp. */
int nnm_compare_versions(const char *a, const char *b);

#endif
