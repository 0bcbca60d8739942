/* Printing one stage of a model; graph and shapes in inspect.c, kernels and features in inspect_kernels.c. */
#ifndef NNM_INSPECT_H
#define NNM_INSPECT_H

#include "base/text.h"
#include "predict.h"

nnm_status nnm_print_kernels(const nnm_detection *detection, bool as_json, nnm_text *text, nnm_error *error);
nnm_status nnm_print_features(const nnm_detection *detection, bool as_json, nnm_text *text, nnm_error *error);

#endif
