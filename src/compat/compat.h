/* What nn-Meter 2.0 does, kernel for kernel and feature for feature, so that predictors trained with it stay valid.
 * Where it crashes or drops a kernel: the right answer instead (docs/differences.md). */
#ifndef NNM_COMPAT_COMPAT_H
#define NNM_COMPAT_COMPAT_H

#include "ir/ir.h"
#include "kernels/kernels.h"

enum { NNM_COMPAT_MAX_ROW = 8 };

/* Fields as in nn-Meter's kernel dictionaries; a has_ flag is false where the dictionary has no such key. */
struct nnm_compat_kernel {
  const char *op;   /* "conv-bn-relu" */
  const char *name; /* "conv-bn-relu#3" */
  bool has_input_tensors, has_ks, has_strides, has_split_dim, has_input_hw, has_cin, has_cout, has_output_tensors;
  size_t input_tensor_count, output_tensor_count;
  const nnm_shape *input_tensors, *output_tensors; /* channels last */
  size_t ks_count, strides_count;
  const int64_t *ks, *strides;
  int64_t split_dim, inputh, inputw, cin, cout;
  size_t inbound_count, outbound_count;
  const int32_t *inbounds, *outbounds; /* kernel indices */
  /* The node grouping of the goldens: each entry is one IR node, or a fused block; block i is
   * nodes[block_start[i] .. block_start[i+1]). */
  size_t block_count;
  const uint32_t *block_start;
  const int32_t *nodes; /* IR node indices */
  const bool *block_is_list; /* whether the old tool shows it as a nested list */
  /* The feature row its predictors expect; row_count 0: it makes none for this kernel. */
  const char *predictor; /* name of the pickle it asks: "conv-bn-relu", "global-avgpool"; NULL: none exists */
  size_t row_count;
  double row[NNM_COMPAT_MAX_ROW];
};

/* graph and shapes may be NULL when the IR was not made from a graph; then kernels have no members, only .compat. */
nnm_status nnm_detect_compat_kernels(const nnm_ir *ir, const nnm_graph *graph, const nnm_shapes *shapes,
                                     const nnm_fusion_rules *rules, nnm_kernels **out, nnm_error *error);

#endif
