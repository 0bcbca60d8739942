/* TensorFlow's operators that make shapes, or tensors out of shapes, and others that ONNX has no word for. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

static nnm_status set_scalar(nnm_inference *inference, const nnm_node *node, uint32_t output, nnm_dtype dtype,
                             nnm_error *error) {
  nnm_set_dtype(inference, node, output, dtype);
  return nnm_set_shape(inference, node, output, 0, NULL, error);
}

/* The shape is the value of an input. */
static nnm_status shape_of_value(nnm_inference *inference, const nnm_node *node, uint32_t input, nnm_error *error) {
  const int64_t *dims;
  size_t count;
  if (nnm_find_ints(inference, node, NULL, (int)input, &dims, &count) != NNM_KNOWN) return NNM_OK;
  if (count > NNM_LIMIT_RANK)
    return nnm_fail_node(inference, node, error, "makes a tensor of %zu dimensions; the limit is %d", count,
                         NNM_LIMIT_RANK);
  return nnm_set_shape(inference, node, 0, (int32_t)count, dims, error);
}

/* ShapeN: the shape of each input. */
nnm_status nnm_rule_shapes(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  for (uint32_t i = 0; i < node->output_count && i < node->input_count; i++) {
    const nnm_shape *shape = nnm_shape_of_input(inference, node, i);
    int64_t rank = shape ? shape->rank : 0;
    if (!shape) continue;
    nnm_set_dtype(inference, node, i, NNM_DTYPE_I32);
    NNM_TRY(nnm_set_shape(inference, node, i, 1, &rank, error));
  }
  return NNM_OK;
}

nnm_status nnm_rule_rank(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return set_scalar(inference, node, 0, NNM_DTYPE_I32, error);
}

/* One number out of whatever goes in. */
nnm_status nnm_rule_scalar(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return nnm_set_shape(inference, node, 0, 0, NULL, error);
}

/* Random numbers: the first input is the shape. */
nnm_status nnm_rule_random_of_shape(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
  return shape_of_value(inference, node, 0, error);
}

nnm_status nnm_rule_scatter_to_shape(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 1));
  return shape_of_value(inference, node, 2, error);
}

nnm_status nnm_rule_sparse_to_dense(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 2));
  return shape_of_value(inference, node, 1, error);
}

/* The broadcast of two shapes given as values. */
nnm_status nnm_rule_broadcast_args(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *a = nnm_shape_of_input(inference, node, 0), *b = nnm_shape_of_input(inference, node, 1);
  if (!a || !b || a->rank != 1 || b->rank != 1) return NNM_OK;
  return nnm_set_shape(inference, node, 0, 1, a->dims[0] > b->dims[0] ? a->dims : b->dims, error);
}

nnm_status nnm_rule_linspace(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const int64_t *count;
  size_t counts;
  if (nnm_find_ints(inference, node, NULL, 2, &count, &counts) != NNM_KNOWN || !counts) return NNM_OK;
  return nnm_set_shape(inference, node, 0, 1, count, error);
}

/* TensorFlow's Where: one row of indices for each element that is true. */
nnm_status nnm_rule_true_positions(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const nnm_value *value = nnm_input_value(inference, node, 0);
  if (!shape) return NNM_OK;
  int64_t found = 0;
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I64);
  if (!value) {
    found = nnm_shape_elements(*shape);
    nnm_mark_guessed(inference, node, 0);
    NNM_TRY(nnm_note_node(inference, node, error,
                          "how many elements are true depends on the input data; all %lld assumed", (long long)found));
  }
  for (size_t i = 0; value && i < value->count; i++) found += nnm_value_float(value, i) != 0;
  return nnm_set_shape(inference, node, 0, 2, (int64_t[]){found, shape->rank}, error);
}

/* Values of a list: with one value for each different one, and where each is. */
nnm_status nnm_rule_unique_values(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  int64_t count = nnm_shape_elements(*shape);
  if (node->output_count) /* outputs are the values, where each element's value is, and how often it occurs */
    NNM_TRY(nnm_note_node(inference, node, error,
                          "how many different elements there are depends on the input data; all %lld assumed",
                          (long long)count));
  for (uint32_t i = 0; i < node->output_count; i++) {
    if (i) nnm_set_dtype(inference, node, i, NNM_DTYPE_I32);
    NNM_TRY(nnm_set_shape(inference, node, i, 1, &count, error));
  }
  return NNM_OK;
}

/* What is in the first list and not in the second; all of it assumed. */
nnm_status nnm_rule_list_difference(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return nnm_rule_unique_values(inference, node, error);
}

/* ------------------------------------------------------------------ matrices */

/* A vector becomes the diagonal of a matrix. */
nnm_status nnm_rule_matrix_of_diagonal(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  int64_t dims[NNM_LIMIT_RANK + 1];
  if (!shape) return NNM_OK;
  if (shape->rank < 1) return nnm_fail_node(inference, node, error, "needs a vector");
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  dims[shape->rank] = shape->dims[shape->rank - 1];
  return nnm_set_shape(inference, node, 0, shape->rank + 1, dims, error);
}

nnm_status nnm_rule_diagonal_of_matrix(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  int64_t dims[NNM_LIMIT_RANK];
  if (!shape) return NNM_OK;
  if (shape->rank < 2) return nnm_fail_node(inference, node, error, "needs a matrix");
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  if (dims[shape->rank - 1] < dims[shape->rank - 2]) dims[shape->rank - 2] = dims[shape->rank - 1];
  return nnm_set_shape(inference, node, 0, shape->rank - 1, dims, error);
}

nnm_status nnm_rule_bucketize(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I32);
  return nnm_rule_same(inference, node, error);
}

/* The real or imaginary part, length or angle of complex numbers. */
nnm_status nnm_rule_complex_part(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
  return nnm_rule_same(inference, node, error);
}

/* The solution of a linear system has the shape of its right side. */
nnm_status nnm_rule_solve(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)error;
  const nnm_shape *right = nnm_shape_of_input(inference, node, 1);
  if (right) nnm_share_shape(inference, node, 0, right);
  return NNM_OK;
}

/* ---------------------------------------------------- segments and histograms */

/* The first dimension of the first model input. */
static int64_t batch_of_model(const nnm_inference *inference, int64_t otherwise) {
  const nnm_block *main_block = &inference->graph->blocks[0];
  if (!main_block->input_count) return otherwise;
  nnm_shape shape = inference->shapes->tensors[main_block->inputs[0]];
  return shape.rank > 0 && shape.dims[0] < otherwise ? shape.dims[0] : otherwise;
}

/* Segments in order: the last number tells how many there are. */
static bool last_segment(nnm_inference *inference, const nnm_node *node, int64_t *count) {
  const nnm_value *value = nnm_input_value(inference, node, 1);
  return value && value->count && nnm_add_i64(nnm_value_int(value, value->count - 1), 1, count);
}

/* Rows of data are added up by their segment; the number of segments is input `counts`, else as many as rows. Sparse
 * segments look words up for the examples of a batch: one for each. */
static nnm_status segments(nnm_inference *inference, const nnm_node *node, uint32_t ids, int counts, nnm_error *error) {
  const nnm_shape *data = nnm_shape_of_input(inference, node, 0), *id = nnm_shape_of_input(inference, node, ids);
  const int64_t *given = NULL;
  size_t count = 0;
  if (!data || !id) return NNM_OK;
  if (data->rank < 1 || id->rank > data->rank || id->rank < 1)
    return nnm_fail_node(inference, node, error, "needs data and one segment number for each row");
  nnm_found found = counts < 0 ? NNM_ABSENT : nnm_find_ints(inference, node, NULL, counts, &given, &count);
  int64_t of_ids;
  if (counts < 0 && ids == 1 && last_segment(inference, node, &of_ids)) found = NNM_KNOWN, given = &of_ids, count = 1;
  int64_t dims[NNM_LIMIT_RANK];
  bool sparse = ids == 2; /* the rows of data are picked first */
  int32_t first = sparse ? 1 : id->rank, rank = 1;
  dims[0] = found == NNM_KNOWN && count ? given[0] : sparse ? batch_of_model(inference, id->dims[0]) : id->dims[0];
  if (found != NNM_KNOWN)
    NNM_TRY(nnm_note_node(inference, node, error, "how many segments there are depends on the input data; %lld assumed",
                          (long long)dims[0]));
  for (int32_t i = first; i < data->rank; i++) dims[rank++] = data->dims[i];
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

nnm_status nnm_rule_segment(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return segments(inference, node, 1, -1, error);
}
nnm_status nnm_rule_unsorted_segment(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return segments(inference, node, 1, 2, error);
}
nnm_status nnm_rule_sparse_segment(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return segments(inference, node, 2, node->input_count > 3 ? 3 : -1, error);
}

/* Counts of each number below a size; for each row of a matrix. */
nnm_status nnm_rule_bin_count(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const int64_t *size;
  size_t count;
  nnm_found found = nnm_find_ints(inference, node, NULL, 1, &size, &count);
  if (!shape) return NNM_OK;
  bool by_row = shape->rank == 2;
  int64_t bins = found == NNM_KNOWN && count ? size[0] : nnm_shape_elements(*shape);
  if (found != NNM_KNOWN)
    NNM_TRY(nnm_note_node(inference, node, error, "its number of bins depends on the input data; %lld assumed",
                          (long long)bins));
  return nnm_set_shape(inference, node, 0, by_row ? 2 : 1, (int64_t[]){by_row ? shape->dims[0] : bins, bins}, error);
}
