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

/* TensorFlow's StridedSlice, which may drop and insert axes as well. */
typedef struct nnm_strided_slice {
  int64_t start[NNM_LIMIT_RANK], step[NNM_LIMIT_RANK]; /* by axis of the input */
  int32_t rank;                                        /* of the result */
  int64_t dims[2 * NNM_LIMIT_RANK];
  int32_t axis[2 * NNM_LIMIT_RANK]; /* by axis of the result: that of the input, or -1 for an inserted one */
} nnm_strided_slice;

/* *known stays false when an input shape or a bound is missing. */
nnm_status nnm_strided_ranges(nnm_inference *inference, const nnm_node *node, nnm_strided_slice *out, bool *known,
                              nnm_error *error);

#endif
