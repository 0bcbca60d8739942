/* The shape of a kernel's work, whatever operator does it. */
#ifndef NNM_FEATURES_GEOMETRY_H
#define NNM_FEATURES_GEOMETRY_H

#include "kernels/kernels.h"

/* All in elements, all at least 1 where they are sizes. One-dimensional images are one column wide; of three spatial
 * dimensions the first two count as rows. */
typedef struct nnm_geometry {
  int64_t batch, input_height, input_width, output_height, output_width, input_channels, output_channels;
  int64_t kernel_height, kernel_width, stride_height, stride_width, dilation, group;
  int64_t squeeze_channels;                    /* 0 but for squeeze-and-excite */
  bool padded, transposed, has_window, global; /* global: the window is the whole map */
} nnm_geometry;

void nnm_kernel_geometry(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel, nnm_geometry *out);

#endif
