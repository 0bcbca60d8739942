/* TensorFlow's lists of tensors: TensorList, and TensorArray of TensorFlow 1, whose list goes from node to node as
 * "flow". They are sequences whose items are alike; what is handed on is a handle, a scalar. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

static const nnm_shape unknown_item = {-1, NULL};

/* item NULL: not known yet. length -1: not known. */
static nnm_status set_list(nnm_inference *inference, const nnm_node *node, uint32_t output, int64_t length,
                           const nnm_shape *item, nnm_dtype dtype, nnm_error *error) {
  nnm_shape *kept = nnm_arena_copy(&inference->shapes->arena, item ? item : &unknown_item, 1, sizeof *kept);
  if (!kept) return nnm_fail_memory(error);
  nnm_sequence list = {.count = -1, .items = kept, .dtype = dtype, .is_list = true, .length = length};
  return nnm_set_sequence(inference, node, output, &list, error);
}

/* The list that the input hands on; not one of ONNX's sequences, which may be empty. */
static const nnm_sequence *list_of(const nnm_inference *inference, const nnm_node *node, uint32_t input) {
  const nnm_sequence *sequence = nnm_input_sequence(inference, node, input);
  return sequence && sequence->is_list ? sequence : NULL;
}

/* What the items are alike in; NULL: not known. */
static const nnm_shape *item_of(const nnm_sequence *list) {
  return list && list->items[0].rank >= 0 ? list->items : NULL;
}

/* A shape given as a value, when all of it is known. */
static const nnm_shape *shape_given(nnm_inference *inference, const nnm_node *node, uint32_t input, nnm_shape *out) {
  const nnm_value *value = nnm_input_value(inference, node, input);
  const nnm_shape *shape = nnm_shape_of_input(inference, node, input);
  if (!value || value->is_float || !shape || shape->rank != 1 || value->count > NNM_LIMIT_RANK) return NULL;
  for (size_t i = 0; i < value->count; i++)
    if (value->as.integers[i] < 0) return NULL;
  *out = (nnm_shape){(int32_t)value->count, value->count ? value->as.integers : nnm_no_dims};
  return out;
}

static const nnm_shape *shape_attribute(const nnm_node *node, const char *name, nnm_shape *out) {
  size_t count;
  const int64_t *dims = nnm_attribute_ints(node, name, &count);
  const nnm_attribute *attribute = nnm_find_attribute(node, name);
  if (!attribute || attribute->kind != NNM_ATTRIBUTE_INTS || count > NNM_LIMIT_RANK) return NULL;
  for (size_t i = 0; i < count; i++)
    if (dims[i] < 0) return NULL;
  *out = (nnm_shape){(int32_t)count, count ? dims : nnm_no_dims};
  return out;
}

static int64_t value_of(nnm_inference *inference, const nnm_node *node, uint32_t input) {
  const nnm_value *value = nnm_input_value(inference, node, input);
  return value && value->count ? nnm_value_int(value, 0) : -1;
}

/* Rows of a tensor, or the input as one row more. */
static const nnm_shape *row_of(const nnm_shape *whole, nnm_shape *out) {
  if (!whole || whole->rank < 1) return NULL;
  *out = (nnm_shape){whole->rank - 1, whole->rank > 1 ? whole->dims + 1 : nnm_no_dims};
  return out;
}

static nnm_status stack(nnm_inference *inference, const nnm_node *node, int64_t length, const nnm_shape *item,
                        nnm_error *error) {
  int64_t dims[NNM_LIMIT_RANK + 1];
  if (length < 0 || !item || item->rank < 0) return NNM_OK;
  dims[0] = length;
  memcpy(dims + 1, item->dims, (size_t)item->rank * sizeof *dims);
  return nnm_set_shape(inference, node, 0, item->rank + 1, dims, error);
}

/* ---------------------------------------------------------------- TensorList */

/* Shape of an item, number of items. */
nnm_status nnm_rule_list_reserve(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_shape item;
  return set_list(inference, node, 0, value_of(inference, node, 1), shape_given(inference, node, 0, &item),
                  NNM_DTYPE_UNKNOWN, error);
}

nnm_status nnm_rule_list_from_tensor(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *whole = nnm_shape_of_input(inference, node, 0);
  nnm_shape item;
  if (!whole) return NNM_OK;
  if (whole->rank < 1) return nnm_fail_node(inference, node, error, "makes a list of a scalar");
  return set_list(inference, node, 0, whole->dims[0], row_of(whole, &item), nnm_input_dtype(inference, node, 0), error);
}

/* List, where, item shape: what was put there, else the shape that is given. */
nnm_status nnm_rule_list_get(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)error;
  const nnm_sequence *list = list_of(inference, node, 0);
  nnm_shape given;
  const nnm_shape *item = item_of(list);
  if (!item) item = shape_given(inference, node, 2, &given);
  if (list) nnm_set_dtype(inference, node, 0, list->dtype);
  if (item) nnm_share_shape(inference, node, 0, item);
  return NNM_OK;
}

/* List, where, item; or list, item, which makes it longer. */
nnm_status nnm_rule_list_set(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_sequence *list = list_of(inference, node, 0);
  uint32_t input = node->input_count > 2 ? 2 : 1;
  return set_list(inference, node, 0, list && input == 2 ? list->length : -1,
                  nnm_shape_of_input(inference, node, input), nnm_input_dtype(inference, node, input), error);
}

nnm_status nnm_rule_list_stack(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_sequence *list = list_of(inference, node, 0);
  nnm_shape given;
  const nnm_shape *item = item_of(list);
  if (!item) item = shape_given(inference, node, 1, &given);
  int64_t length = list ? list->length : -1;
  if (length < 0) length = nnm_attribute_int(node, "num_elements", -1);
  if (list && list->dtype != NNM_DTYPE_UNKNOWN) nnm_set_dtype(inference, node, 0, list->dtype);
  return stack(inference, node, length, item, error);
}

nnm_status nnm_rule_list_length(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I32);
  return nnm_set_shape(inference, node, 0, 0, NULL, error);
}

/* Items one behind the other along their first dimension. */
nnm_status nnm_rule_list_join(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_sequence *list = list_of(inference, node, 0);
  int64_t dims[NNM_LIMIT_RANK];
  const nnm_shape *item = item_of(list);
  if (!item || item->rank < 1 || list->length < 0) return NNM_OK;
  memcpy(dims, item->dims, (size_t)item->rank * sizeof *dims);
  if (!nnm_multiply_i64(dims[0], list->length, &dims[0]))
    return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements");
  nnm_set_dtype(inference, node, 1, NNM_DTYPE_I64);
  NNM_TRY(nnm_set_shape(inference, node, 1, 1, &list->length, error));
  return nnm_set_shape(inference, node, 0, item->rank, dims, error);
}

/* --------------------------------------------------------------- TensorArray */

/* Number of items -> handle, flow. */
nnm_status nnm_rule_array_new(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_shape item;
  NNM_TRY(nnm_set_shape(inference, node, 0, 1, (int64_t[]){2}, error));
  return set_list(inference, node, 1, value_of(inference, node, 0), shape_attribute(node, "element_shape", &item),
                  NNM_DTYPE_UNKNOWN, error);
}

/* Handle, where, item, flow. */
nnm_status nnm_rule_array_write(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_sequence *list = list_of(inference, node, 3);
  return set_list(inference, node, 0, list ? list->length : -1, nnm_shape_of_input(inference, node, 2),
                  nnm_input_dtype(inference, node, 2), error);
}

/* Handle, where, tensor of all items, flow. */
nnm_status nnm_rule_array_scatter(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *whole = nnm_shape_of_input(inference, node, 2);
  nnm_shape item;
  if (!whole) return NNM_OK;
  if (whole->rank < 1) return nnm_fail_node(inference, node, error, "makes a list of a scalar");
  return set_list(inference, node, 0, whole->dims[0], row_of(whole, &item), nnm_input_dtype(inference, node, 2), error);
}

/* Handle, where, flow. */
nnm_status nnm_rule_array_read(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)error;
  const nnm_sequence *list = list_of(inference, node, 2);
  nnm_shape given;
  const nnm_shape *item = item_of(list);
  if (!item) item = shape_attribute(node, "element_shape", &given);
  if (item) nnm_share_shape(inference, node, 0, item);
  return NNM_OK;
}

nnm_status nnm_rule_array_gather(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_sequence *list = list_of(inference, node, 2);
  const nnm_shape *indices = nnm_shape_of_input(inference, node, 1);
  nnm_shape given;
  const nnm_shape *item = item_of(list);
  if (!item) item = shape_attribute(node, "element_shape", &given);
  return stack(inference, node, indices && indices->rank == 1 ? indices->dims[0] : -1, item, error);
}
