/* Operators that TensorFlow and TFLite have and ONNX does not. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

static nnm_status fail_elements(const nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements");
}

/* ---- blocks of space and the batch */

/* Block sizes of the spatial dimensions behind the batch, and a pair of numbers for each: pads or crops. */
typedef struct block_sizes {
  const int64_t *sizes, *pairs;
  size_t count;
} block_sizes;

static nnm_status find_blocks(nnm_inference *inference, const nnm_node *node, const nnm_shape *shape, block_sizes *out,
                              bool *known, nnm_error *error) {
  size_t pair_count;
  *known = nnm_find_ints(inference, node, "block_shape", 1, &out->sizes, &out->count) == NNM_KNOWN &&
           nnm_find_ints(inference, node, "paddings", 2, &out->pairs, &pair_count) == NNM_KNOWN;
  if (!*known) return NNM_OK;
  if (out->count + 1 > (size_t)shape->rank || pair_count != 2 * out->count)
    return nnm_fail_node(inference, node, error, "has %zu block sizes and %zu paddings for an input of %d dimensions",
                         out->count, pair_count, (int)shape->rank);
  for (size_t i = 0; i < out->count; i++)
    if (out->sizes[i] < 1 || out->sizes[i] > NNM_LIMIT_DIMENSION || out->pairs[2 * i] < 0 ||
        out->pairs[2 * i + 1] < 0 || out->pairs[2 * i] > NNM_LIMIT_DIMENSION ||
        out->pairs[2 * i + 1] > NNM_LIMIT_DIMENSION)
      return nnm_fail_node(inference, node, error, "has a block size of %lld or a padding below 0",
                           (long long)out->sizes[i]);
  return NNM_OK;
}

nnm_status nnm_rule_space_to_batch(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  block_sizes blocks;
  bool known = false;
  if (shape) NNM_TRY(find_blocks(inference, node, shape, &blocks, &known, error));
  if (!known) return NNM_OK;
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  for (size_t i = 0; i < blocks.count; i++) {
    int64_t padded = dims[i + 1] + blocks.pairs[2 * i] + blocks.pairs[2 * i + 1];
    if (padded % blocks.sizes[i])
      return nnm_fail_node(inference, node, error, "has block size %lld, which does not divide %lld",
                           (long long)blocks.sizes[i], (long long)padded);
    dims[i + 1] = padded / blocks.sizes[i];
    if (!nnm_multiply_i64(dims[0], blocks.sizes[i], &dims[0])) return fail_elements(inference, node, error);
  }
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

nnm_status nnm_rule_batch_to_space(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  block_sizes blocks;
  bool known = false;
  if (shape) NNM_TRY(find_blocks(inference, node, shape, &blocks, &known, error));
  if (!known) return NNM_OK;
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  for (size_t i = 0; i < blocks.count; i++) {
    if (dims[0] % blocks.sizes[i])
      return nnm_fail_node(inference, node, error, "has block size %lld, which does not divide its batch of %lld",
                           (long long)blocks.sizes[i], (long long)dims[0]);
    dims[0] /= blocks.sizes[i];
    if (!nnm_multiply_i64(dims[i + 1], blocks.sizes[i], &dims[i + 1])) return fail_elements(inference, node, error);
    dims[i + 1] -= blocks.pairs[2 * i] + blocks.pairs[2 * i + 1];
  }
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

/* ---- shapes from inputs */

/* Which input holds the shape of the result. */
static int shape_input(const nnm_node *node) {
  switch (node->op) {
  case NNM_OP_SPARSE_TO_DENSE: return 1;
  case NNM_OP_SCATTER_INTO_SHAPE: return 2;
  default: return 0;
  }
}

nnm_status nnm_rule_shape_given(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const int64_t *dims;
  size_t count;
  if (node->op != NNM_OP_RANDOM_OF_SHAPE)
    nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, node->op == NNM_OP_SPARSE_TO_DENSE ? 2 : 1));
  if (nnm_find_ints(inference, node, "shape", shape_input(node), &dims, &count) != NNM_KNOWN) return NNM_OK;
  if (count > NNM_LIMIT_RANK)
    return nnm_fail_node(inference, node, error, "makes a tensor of %zu dimensions; the limit is %d", count,
                         NNM_LIMIT_RANK);
  return nnm_set_shape(inference, node, 0, (int32_t)count, dims, error);
}

nnm_status nnm_rule_rank(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I32);
  return nnm_set_shape(inference, node, 0, 0, NULL, error);
}

/* The shape that two shapes broadcast to. */
nnm_status nnm_rule_broadcast_args(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *a = nnm_shape_of_input(inference, node, 0), *b = nnm_shape_of_input(inference, node, 1);
  if (!a || !b) return NNM_OK;
  if (a->rank != 1 || b->rank != 1) return nnm_fail_node(inference, node, error, "needs two lists of dimensions");
  int64_t count = a->dims[0] > b->dims[0] ? a->dims[0] : b->dims[0];
  return nnm_set_shape(inference, node, 0, 1, &count, error);
}

/* ---- the rest */

nnm_status nnm_rule_bucketize(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I32);
  return nnm_rule_same(inference, node, error);
}

nnm_status nnm_rule_complex_part(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
  return nnm_rule_same(inference, node, error);
}

nnm_status nnm_rule_matrix_diag(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  if (shape->rank < 1 || shape->rank >= NNM_LIMIT_RANK)
    return nnm_fail_node(inference, node, error, "needs a vector of at least 1 dimension");
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  dims[shape->rank] = dims[shape->rank - 1];
  return nnm_set_shape(inference, node, 0, shape->rank + 1, dims, error);
}

/* One row for each segment; the ids, which say how many there are, depend on data. */
nnm_status nnm_rule_segment(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *data = nnm_shape_of_input(inference, node, 0), *ids = nnm_shape_of_input(inference, node, 1);
  if (!data || !ids) return NNM_OK;
  if (data->rank < 1 || ids->rank != 1) return nnm_fail_node(inference, node, error, "needs a list of segment ids");
  const nnm_value *value = nnm_input_value(inference, node, 1);
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, data->dims, (size_t)data->rank * sizeof *dims);
  if (value && value->count) dims[0] = nnm_value_int(value, value->count - 1) + 1; /* they are sorted */
  else if (!value)
    NNM_TRY(nnm_note_node(inference, node, error, "how many segments there are depends on the input data; %lld assumed",
                          (long long)dims[0]));
  return nnm_set_shape(inference, node, 0, data->rank, dims, error);
}

nnm_status nnm_rule_unsorted_segment(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *data = nnm_shape_of_input(inference, node, 0), *ids = nnm_shape_of_input(inference, node, 1);
  const int64_t *segments;
  size_t count;
  if (!data || !ids || nnm_find_ints(inference, node, NULL, 2, &segments, &count) != NNM_KNOWN || count != 1)
    return NNM_OK;
  if (ids->rank > data->rank) return nnm_fail_node(inference, node, error, "has more dimensions of ids than of data");
  int64_t dims[NNM_LIMIT_RANK + 1] = {segments[0]};
  int32_t rank = 1;
  for (int32_t i = ids->rank; i < data->rank; i++) dims[rank++] = data->dims[i];
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

/* The last two dimensions become the lengths given; of real input half the last one, and one more, is enough. */
nnm_status nnm_rule_rfft_2d(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const int64_t *lengths;
  size_t count;
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_COMPLEX);
  if (!shape || nnm_find_ints(inference, node, NULL, 1, &lengths, &count) != NNM_KNOWN) return NNM_OK;
  if (shape->rank < 2 || count != 2) return nnm_fail_node(inference, node, error, "needs an image and two lengths");
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  dims[shape->rank - 2] = lengths[0];
  dims[shape->rank - 1] = lengths[1] / 2 + 1;
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}
