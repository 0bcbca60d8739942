#include "predictors/predictor.h"

const nnm_built_in_predictor *nnm_built_in_predictors(size_t *count) {
  *count = 0;
  return NULL;
}
