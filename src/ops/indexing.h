/* Where the elements of a slice come from, for the shape rule and for folding. */
#ifndef NNM_OPS_INDEXING_H
#define NNM_OPS_INDEXING_H

#include "base/limits.h"
#include "ops/rule.h"

typedef struct nnm_slice {
  bool is_bound; /* false: a bound depends on data, and the whole axis was taken */
  int64_t start[NNM_LIMIT_RANK], step[NNM_LIMIT_RANK], length[NNM_LIMIT_RANK]; /* by axis of the input */
} nnm_slice;

/* *known stays false when not even the axes are known. */
nnm_status nnm_slice_ranges(nnm_inference *inference, const nnm_node *node, nnm_slice *out, bool *known,
                            nnm_error *error);

/* What TensorFlow's StridedSlice takes: output axis i is input axis source[i] (-1: a new axis), the input's axes are cut
 * as `cut` says; an axis that is dropped has one element left there. */
typedef struct nnm_strided_cut {
  nnm_slice cut;
  int32_t rank, source[2 * NNM_LIMIT_RANK];
  int64_t dims[2 * NNM_LIMIT_RANK];
} nnm_strided_cut;
nnm_status nnm_strided_cut_of(nnm_inference *inference, const nnm_node *node, nnm_strided_cut *out, bool *known,
                              nnm_error *error);

#endif
