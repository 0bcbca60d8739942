/* Sizes of a recurrent layer, for its shape rule and its multiply-adds. */
#ifndef NNM_OPS_RECURRENT_H
#define NNM_OPS_RECURRENT_H

#include "ops/rule.h"

typedef struct nnm_recurrence {
  int64_t steps, batch, inputs, hidden, directions, gates;
  bool batch_first;
} nnm_recurrence;

/* *known stays false when an input shape is missing. Reads no values. */
nnm_status nnm_recurrence_of(const nnm_inference *inference, const nnm_node *node, nnm_recurrence *out, bool *known,
                             nnm_error *error);
/* The same for TensorFlow's operators (tf_recurrent.c). */
nnm_status nnm_block_recurrence_of(const nnm_inference *inference, const nnm_node *node, nnm_recurrence *out,
                                   bool *known, nnm_error *error);

#endif
