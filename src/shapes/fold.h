/* Computing the small constants that shapes depend on. */
#ifndef NNM_SHAPES_FOLD_H
#define NNM_SHAPES_FOLD_H

#include "ops/rule.h"

/* Marks every tensor whose value some shape may hang on, so that nothing else is computed. Linear. */
void nnm_mark_needed_values(nnm_inference *inference);

/* Computes the values of the node's outputs when they are needed, known, and within the limits. */
nnm_status nnm_fold_node(nnm_inference *inference, const nnm_node *node, nnm_error *error);

#endif
