/* The shapes that inference starts from: model inputs, weights. */
#ifndef NNM_SHAPES_INPUTS_H
#define NNM_SHAPES_INPUTS_H

#include "ops/rule.h"

nnm_status nnm_set_input_shapes(nnm_inference *inference, const nnm_shape_options *options, nnm_error *error);
nnm_status nnm_set_weight_shapes(nnm_inference *inference, nnm_error *error);

#endif
