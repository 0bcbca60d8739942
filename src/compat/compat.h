/* What nn-Meter 2.0 does, kernel for kernel and feature for feature, so that predictors trained with it stay valid.
 * Where it crashes or drops a kernel: the right answer instead (docs/differences.md). */
#ifndef NNM_COMPAT_COMPAT_H
#define NNM_COMPAT_COMPAT_H

#include <jansson.h>

#include "ir/ir.h"
#include "kernels/kernels.h"

enum { NNM_COMPAT_MAX_ROW = 8 };

/* Fields as in nn-Meter's kernel dictionaries; a has_ flag is false where the dictionary has no such key. Everything
 * lives in the arena of the nnm_kernels, shapes may live in the IR's. */
struct nnm_compat_kernel {
  const char *op;   /* "conv-bn-relu" */
  const char *name; /* "conv-bn-relu#3" */
  bool has_input_tensors, has_ks, has_strides, has_split_dim, has_input_hw, has_cin, has_cout, has_output_tensors;
  bool split_dim_is_list; /* [3] rather than 3 */
  size_t input_tensor_count, output_tensor_count;
  const nnm_shape *input_tensors, *output_tensors; /* channels last */
  size_t ks_count, strides_count, split_dim_count;
  const int64_t *ks, *strides, *split_dim;
  int64_t inputh, inputw, cin, cout;
  size_t inbound_count, outbound_count;
  const int32_t *inbounds, *outbounds; /* kernel indices; one may be listed twice, or be the kernel itself */
  /* The node grouping of the goldens: each entry is one IR node, or a fused block; block i is
   * nodes[block_start[i] .. block_start[i+1]). */
  size_t block_count;
  const uint32_t *block_start;
  const int32_t *nodes;      /* IR node indices */
  const bool *block_is_list; /* whether the old tool shows it as a nested list */
  /* The feature row its predictors expect. row_count 0: the old tool makes none for this kernel, and neither do we; then
   * predictor is NULL. A concat row is always [height, inputs, c1, c2, c3, c4]; a forest trained by nn-Meter 2.0's own
   * builder expects 5 numbers, [height, c1, c2, c3, c4]: whoever asks it (src/predictors/forest.c) leaves out the
   * second. */
  const char *predictor; /* name of the pickle it asks, whether or not a predictor has it: "conv-bn-relu" */
  size_t row_count;
  double row[NNM_COMPAT_MAX_ROW];
};

/* graph and shapes may be NULL when the IR was not made from a graph, nor a graph from it (nnm_ir_to_graph); then kernels
 * have no members, only name and .compat. Sets .compat of every kernel. The IR must outlive *out. */
nnm_status nnm_detect_compat_kernels(const nnm_ir *ir, const nnm_graph *graph, const nnm_shapes *shapes,
                                     const nnm_fusion_rules *rules, nnm_kernels **out, nnm_error *error);

/* For inspect --stage=kernels --json --compat nn-meter-2.0: the array "kernels" with the old tool's fields (op, name,
 * input_tensors, ks, strides, split_dim, inputh, inputw, cin, cout, output_tensors, inbounds, outbounds, nodes).
 * *out is a new reference. */
nnm_status nnm_compat_kernels_json(const nnm_kernels *kernels, json_t **out, nnm_error *error);
/* One kernel's feature row as an array of numbers, integers where the old tool has integers; a new reference. */
nnm_status nnm_compat_row_json(const nnm_compat_kernel *kernel, json_t **out, nnm_error *error);

/* Feature rows of kernels that are given as the old tool's dictionaries (JSON: a list of objects with op, input_tensors,
 * ks, strides, inputh, cin, cout; other fields are ignored). *out is a new reference: a list with
 * {"predictor": name, "row": numbers} for each, null where there is no row. */
nnm_status nnm_compat_rows_of_json(const void *data, size_t size, json_t **out, nnm_error *error);

/* The predictor that a kernel of that name asks: "conv-bn-relu" for "conv-relu"; op itself where it has one of its own. */
const char *nnm_compat_predictor_of(const char *op);

#endif
