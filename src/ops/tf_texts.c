/* TensorFlow's operators on texts, sparse tensors and tables. How many pieces a text has is known only when the model
 * runs: a number is assumed, and told. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

enum { USUAL_PIECES = 100 }; /* of a text */

static nnm_status note_pieces(nnm_inference *inference, const nnm_node *node, int64_t *pieces, nnm_error *error) {
  const nnm_shape *texts = nnm_shape_of_input(inference, node, 0);
  int64_t count = texts ? nnm_shape_elements(*texts) : 1;
  if (!nnm_multiply_i64(count, USUAL_PIECES, pieces) || *pieces > NNM_LIMIT_DIMENSION)
    return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements");
  return nnm_note_node(inference, node, error,
                       "how many pieces its texts have depends on the input data; %d each assumed", USUAL_PIECES);
}

/* A sparse tensor: indices, values, shape. */
static nnm_status set_sparse(nnm_inference *inference, const nnm_node *node, int64_t count, int64_t rank,
                             nnm_dtype dtype, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I64);
  nnm_set_dtype(inference, node, 1, dtype);
  nnm_set_dtype(inference, node, 2, NNM_DTYPE_I64);
  NNM_TRY(nnm_set_shape(inference, node, 0, 2, (int64_t[]){count, rank}, error));
  NNM_TRY(nnm_set_shape(inference, node, 1, 1, &count, error));
  return nnm_set_shape(inference, node, 2, 1, &rank, error);
}

nnm_status nnm_rule_split_texts(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  int64_t pieces;
  if (!nnm_shape_of_input(inference, node, 0)) return NNM_OK;
  NNM_TRY(note_pieces(inference, node, &pieces, error));
  return set_sparse(inference, node, pieces, 2, NNM_DTYPE_STRING, error);
}

/* Characters, or n-grams: values, and where each row of them begins. */
nnm_status nnm_rule_text_pieces(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *texts = nnm_shape_of_input(inference, node, 0), *splits = nnm_shape_of_input(inference, node, 1);
  int64_t pieces, rows;
  if (!texts) return NNM_OK;
  bool are_pieces = splits != NULL; /* the input is pieces already: as many n-grams as pieces */
  pieces = nnm_shape_elements(*texts);
  if (!are_pieces) NNM_TRY(note_pieces(inference, node, &pieces, error));
  rows = are_pieces ? nnm_shape_elements(*splits) : nnm_shape_elements(*texts) + 1;
  if (are_pieces)
    NNM_TRY(nnm_note_node(inference, node, error, "how many pieces it makes depends on the input data; %lld assumed",
                          (long long)pieces));
  NNM_TRY(nnm_set_shape(inference, node, 0, 1, &pieces, error));
  nnm_set_dtype(inference, node, 1, NNM_DTYPE_I64);
  return nnm_set_shape(inference, node, 1, 1, &rows, error);
}

/* Same shape, another type. */
nnm_status nnm_rule_text_number(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I64);
  return nnm_rule_same(inference, node, error);
}
nnm_status nnm_rule_text_of(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_STRING);
  return nnm_rule_same(inference, node, error);
}

/* Table, keys, default: one value for each key. */
nnm_status nnm_rule_table_find(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)error;
  const nnm_shape *keys = nnm_shape_of_input(inference, node, 1);
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 2));
  if (keys) nnm_share_shape(inference, node, 0, keys);
  return NNM_OK;
}

/* Numbers packed in each text: an image or a signal, of unknown length. */
nnm_status nnm_rule_decode_numbers(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *texts = nnm_shape_of_input(inference, node, 0);
  int64_t dims[NNM_LIMIT_RANK + 1], count;
  if (!texts) return NNM_OK;
  NNM_TRY(note_pieces(inference, node, &count, error));
  memcpy(dims, texts->dims, (size_t)texts->rank * sizeof *dims);
  dims[texts->rank] = USUAL_PIECES;
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
  return nnm_set_shape(inference, node, 0, texts->rank + 1, dims, error);
}

/* ------------------------------------------------------------ sparse tensors */

/* Indices, shape, new shape -> indices, shape. */
nnm_status nnm_rule_sparse_reshape(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *indices = nnm_shape_of_input(inference, node, 0), *shape = nnm_shape_of_input(inference, node, 2);
  if (!indices || !shape || indices->rank != 2 || shape->rank != 1) return NNM_OK;
  nnm_set_dtype(inference, node, 1, NNM_DTYPE_I64);
  NNM_TRY(nnm_set_shape(inference, node, 1, 1, shape->dims, error));
  return nnm_set_shape(inference, node, 0, 2, (int64_t[]){indices->dims[0], shape->dims[0]}, error);
}

/* Indices, values, shape -> indices, values, which rows were empty, where each index went; no row assumed empty. */
nnm_status nnm_rule_sparse_fill(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *indices = nnm_shape_of_input(inference, node, 0), *values = nnm_shape_of_input(inference, node, 1);
  const nnm_value *shape = nnm_input_value(inference, node, 2);
  if (!indices || !values || indices->rank != 2 || values->rank != 1) return NNM_OK;
  int64_t rows = shape && shape->count && nnm_value_int(shape, 0) >= 0 ? nnm_value_int(shape, 0) : indices->dims[0];
  NNM_TRY(nnm_note_node(inference, node, error, "how many rows are empty depends on the input data; none assumed"));
  nnm_share_shape(inference, node, 0, indices);
  nnm_share_shape(inference, node, 1, values);
  nnm_set_dtype(inference, node, 1, nnm_input_dtype(inference, node, 1));
  nnm_set_dtype(inference, node, 2, NNM_DTYPE_BOOL);
  NNM_TRY(nnm_set_shape(inference, node, 2, 1, &rows, error));
  nnm_set_dtype(inference, node, 3, NNM_DTYPE_I64);
  return nnm_set_shape(inference, node, 3, 1, indices->dims, error);
}

/* Indices, values, shape, matrix. */
nnm_status nnm_rule_sparse_matmul(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *matrix = nnm_shape_of_input(inference, node, 3);
  const nnm_value *shape = nnm_input_value(inference, node, 2);
  if (!matrix || matrix->rank != 2 || !shape || shape->count != 2) return NNM_OK;
  bool turned = nnm_attribute_int(node, "adjoint_a", 0) != 0;
  int64_t columns = matrix->dims[nnm_attribute_int(node, "adjoint_b", 0) ? 0 : 1];
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 1));
  return nnm_set_shape(inference, node, 0, 2, (int64_t[]){nnm_value_int(shape, turned), columns}, error);
}
