/* Values of small constants: reading them from weights, making new ones. */
#ifndef NNM_SHAPES_VALUE_H
#define NNM_SHAPES_VALUE_H

#include "ops/rule.h"

/* A value under construction: exactly one of the two arrays is set. */
typedef struct nnm_new_value {
  nnm_value *value;
  int64_t *integers;
  double *numbers;
} nnm_new_value;

/* Room for count elements. false when that is over the limits (the tensor is then not folded) or memory runs out
 * (then inference->out_of_memory is set). */
bool nnm_start_value(nnm_inference *inference, size_t count, bool is_float, nnm_new_value *out);

/* Stores a number, rounded as the tensor's type rounds it. */
void nnm_store_value(nnm_new_value *value, size_t index, double number, nnm_dtype dtype);

bool nnm_is_float_dtype(nnm_dtype dtype);
/* Elements of a stored constant; NULL when it has no bytes or is too large. */
const nnm_value *nnm_value_of_constant(nnm_inference *inference, const nnm_constant *constant);

#endif
