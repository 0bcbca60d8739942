/* How each operator computes a small value. */
#ifndef NNM_SHAPES_FOLDERS_H
#define NNM_SHAPES_FOLDERS_H

#include "ops/rule.h"

/* The value of one output, whose shape is known and has `count` elements. The inputs it is listed with in fold.c have
 * values. NULL: not computed. */
typedef const nnm_value *(*nnm_folder)(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);

const nnm_value *nnm_fold_constant(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_shape(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_size(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_rank(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_broadcast_args(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_constant_of_shape(nnm_inference *inference, const nnm_node *node, uint32_t output,
                                            size_t count);
const nnm_value *nnm_fold_range(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_copy(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_unary(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_binary(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_where(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_clip(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_reduce(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_cumulative_sum(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_concat(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_split(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_slice(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_strided_slice(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_unpack(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_transpose(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_expand(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_tile(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_gather(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_gather_nd(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_gather_elements(nnm_inference *inference, const nnm_node *node, uint32_t output,
                                          size_t count);
const nnm_value *nnm_fold_scatter_nd(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_non_zero(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_sequence_length(nnm_inference *inference, const nnm_node *node, uint32_t output,
                                          size_t count);
const nnm_value *nnm_fold_slice_by_size(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_shapes(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_alike(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);
const nnm_value *nnm_fold_sparse_reshape(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count);

#endif
