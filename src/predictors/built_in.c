/* The predictors of devices/, put into the library by embed.py. */
#include "predictors/predictor.h"

#define NNM_BUILT_IN(symbol, size) extern const unsigned char symbol[size];
#include "built_in_list.inc"
#undef NNM_BUILT_IN

static const nnm_built_in_predictor table[] = {
#define NNM_BUILT_IN(symbol, size) {symbol, size},
#include "built_in_list.inc"
#undef NNM_BUILT_IN
    {NULL, 0}, /* so that the table is never empty */
};

const nnm_built_in_predictor *nnm_built_in_predictors(size_t *count) {
  *count = sizeof table / sizeof table[0] - 1;
  return table;
}
