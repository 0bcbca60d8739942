/* Kernel -> numbers. The same code feeds prediction and training. */
#ifndef NNM_FEATURES_FEATURES_H
#define NNM_FEATURES_FEATURES_H

#include "kernels/kernels.h"

typedef enum nnm_feature {
#define NNM_FEATURE(id, name, quantity, description) NNM_FEATURE_##id,
#include "features/feature_list.inc"
#undef NNM_FEATURE
  NNM_FEATURE_COUNT
} nnm_feature;

extern const char *const nnm_feature_names[NNM_FEATURE_COUNT];

/* Already transformed (logarithms, flags), not normalised: normalisation belongs to a predictor. All finite. */
void nnm_kernel_features(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel,
                         float out[NNM_FEATURE_COUNT]);

#endif
