/* Classical machine learning (ai.onnx.ml): trees, linear models, encoders. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

/* Entries of the first list attribute that is there. */
static int64_t count_entries(const nnm_node *node, const char *const *names) {
  for (; *names; names++) {
    const nnm_attribute *attribute = nnm_find_attribute(node, *names);
    if (attribute && attribute->count) return (int64_t)attribute->count;
  }
  return 0;
}

static int64_t rows_of(const nnm_shape *shape) { return shape->rank > 1 ? shape->dims[0] : 1; }

nnm_status nnm_rule_array_feature(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0), *picks = nnm_shape_of_input(inference, node, 1);
  if (!shape || !picks || shape->rank < 1) return NNM_OK;
  int64_t dims[NNM_LIMIT_RANK], count = nnm_shape_elements(*picks);
  if (shape->rank == 1) return nnm_set_shape(inference, node, 0, 2, (int64_t[]){1, count}, error);
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  dims[shape->rank - 1] = count;
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

nnm_status nnm_rule_feature_vectorizer(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  int64_t width = 0, rows = 1;
  for (uint32_t i = 0; i < node->input_count; i++) {
    const nnm_shape *shape = nnm_shape_of_input(inference, node, i);
    if (!shape || shape->rank < 1) return NNM_OK;
    rows = rows_of(shape);
    if (!nnm_add_i64(width, shape->dims[shape->rank - 1], &width))
      return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements");
  }
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
  return nnm_set_shape(inference, node, 0, 2, (int64_t[]){rows, width}, error);
}

nnm_status nnm_rule_dict_vectorizer(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  static const char *const names[] = {"string_vocabulary", "int64_vocabulary", NULL};
  return nnm_set_shape(inference, node, 0, 2, (int64_t[]){1, count_entries(node, names)}, error);
}

nnm_status nnm_rule_one_hot_encoder(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  static const char *const names[] = {"cats_int64s", "cats_strings", NULL};
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape || shape->rank >= NNM_LIMIT_RANK) return NNM_OK;
  int64_t dims[NNM_LIMIT_RANK];
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  dims[shape->rank] = count_entries(node, names);
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
  return nnm_set_shape(inference, node, 0, shape->rank + 1, dims, error);
}

/* A label for each row, and a score for each class. */
nnm_status nnm_rule_classifier(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  static const char *const names[] = {"classlabels_ints", "classlabels_int64s", "classlabels_strings", NULL};
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  int64_t rows = rows_of(shape), classes = count_entries(node, names);
  bool texts = nnm_find_attribute(node, "classlabels_strings") != NULL;
  nnm_set_dtype(inference, node, 0, texts ? NNM_DTYPE_STRING : NNM_DTYPE_I64);
  nnm_set_dtype(inference, node, 1, NNM_DTYPE_F32);
  NNM_TRY(nnm_set_shape(inference, node, 0, 1, &rows, error));
  return classes ? nnm_set_shape(inference, node, 1, 2, (int64_t[]){rows, classes}, error) : NNM_OK;
}

nnm_status nnm_rule_regressor(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  int64_t targets = nnm_attribute_int(node, "n_targets", nnm_attribute_int(node, "targets", 1));
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
  return nnm_set_shape(inference, node, 0, 2, (int64_t[]){rows_of(shape), targets}, error);
}

/* A dictionary for each row: counted as the tensor it is made of. */
nnm_status nnm_rule_zip_map(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return nnm_rule_same(inference, node, error);
}
