/* TFLite's recurrent layers, for counting multiply-adds. */
#ifndef NNM_OPS_LITE_H
#define NNM_OPS_LITE_H

#include "ops/rule.h"

/* Reads no values. INT64_MAX when there are too many. */
int64_t nnm_lite_layer_work(const nnm_inference *view, const nnm_node *node);

#endif
