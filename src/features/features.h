/* Kernel -> numbers. The same code feeds prediction and training. */
#ifndef NNM_FEATURES_FEATURES_H
#define NNM_FEATURES_FEATURES_H

#include "features/geometry.h"
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
/* The same for a kernel whose geometry is known already. */
void nnm_geometry_features(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel,
                           const nnm_geometry *geometry, float out[NNM_FEATURE_COUNT]);

/* Elements that the windows of a kernel hold together, each as often as a window holds it: what im2col lays out for a
 * convolution that is no pointwise one, what a pooling reads that is not global. 0 for all other kernels. */
double nnm_window_elements(const nnm_kernel *kernel, const nnm_geometry *geometry);

#endif
