/* Kernels with the old tool's field names. */
#include "compat/compat.h"

/* jansson's functions ending in _new fail when they are given NULL, so that what is put in needs no check of its own. */
static json_t *dims_json(const int64_t *dims, size_t count) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++)
    if (json_array_append_new(list, json_integer(dims[i]))) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static json_t *shapes_json(const nnm_shape *shapes, size_t count) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) {
    json_t *shape = shapes[i].rank < 0 ? json_null() : dims_json(shapes[i].dims, (size_t)shapes[i].rank);
    if (json_array_append_new(list, shape)) {
      json_decref(list);
      return NULL;
    }
  }
  return list;
}

static json_t *names_json(const nnm_kernels *kernels, const int32_t *indices, size_t count) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++)
    if (json_array_append_new(list, json_string_nocheck(kernels->items[indices[i]].compat->name))) {
      json_decref(list);
      return NULL;
    }
  return list;
}

/* The nodes of a block as a list of its own, a lone node as a number. */
static json_t *block_json(const nnm_compat_kernel *kernel, size_t block) {
  const int32_t *nodes = kernel->nodes + kernel->block_start[block];
  if (!kernel->block_is_list[block]) return json_integer(nodes[0]);
  json_t *list = json_array();
  for (uint32_t i = 0; i < kernel->block_start[block + 1] - kernel->block_start[block]; i++)
    if (json_array_append_new(list, json_integer(nodes[i]))) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static json_t *nodes_json(const nnm_compat_kernel *kernel) {
  json_t *list = json_array();
  for (size_t i = 0; i < kernel->block_count; i++)
    if (json_array_append_new(list, block_json(kernel, i))) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static json_t *split_json(const nnm_compat_kernel *kernel) {
  if (kernel->split_dim_is_list) return dims_json(kernel->split_dim, kernel->split_dim_count);
  return json_integer(kernel->split_dim[0]);
}

static json_t *kernel_json(const nnm_kernels *kernels, const nnm_compat_kernel *kernel) {
  json_t *object = json_object();
  int failed = json_object_set_new_nocheck(object, "op", json_string_nocheck(kernel->op));
  failed |= json_object_set_new_nocheck(object, "name", json_string_nocheck(kernel->name));
#define FIELD(present, name, value) \
  if (present) failed |= json_object_set_new_nocheck(object, name, value)
  FIELD(kernel->has_input_tensors, "input_tensors", shapes_json(kernel->input_tensors, kernel->input_tensor_count));
  FIELD(kernel->has_ks, "ks", dims_json(kernel->ks, kernel->ks_count));
  FIELD(kernel->has_strides, "strides", dims_json(kernel->strides, kernel->strides_count));
  FIELD(kernel->has_split_dim, "split_dim", split_json(kernel));
  FIELD(kernel->has_input_hw, "inputh", json_integer(kernel->inputh));
  FIELD(kernel->has_input_hw, "inputw", json_integer(kernel->inputw));
  FIELD(kernel->has_cin, "cin", json_integer(kernel->cin));
  FIELD(kernel->has_cout, "cout", json_integer(kernel->cout));
  FIELD(kernel->has_output_tensors, "output_tensors", shapes_json(kernel->output_tensors, kernel->output_tensor_count));
#undef FIELD
  failed |=
      json_object_set_new_nocheck(object, "inbounds", names_json(kernels, kernel->inbounds, kernel->inbound_count));
  failed |=
      json_object_set_new_nocheck(object, "outbounds", names_json(kernels, kernel->outbounds, kernel->outbound_count));
  failed |= json_object_set_new_nocheck(object, "nodes", nodes_json(kernel));
  if (!failed) return object;
  json_decref(object);
  return NULL;
}

nnm_status nnm_compat_kernels_json(const nnm_kernels *kernels, json_t **out, nnm_error *error) {
  json_t *list = json_array();
  for (size_t i = 0; i < kernels->count; i++)
    if (json_array_append_new(list, kernel_json(kernels, kernels->items[i].compat))) {
      json_decref(list);
      return nnm_fail_memory(error);
    }
  if (!list) return nnm_fail_memory(error);
  *out = list;
  return NNM_OK;
}

nnm_status nnm_compat_row_json(const nnm_compat_kernel *kernel, json_t **out, nnm_error *error) {
  json_t *list = json_array();
  for (size_t i = 0; i < kernel->row_count; i++) {
    double value = kernel->row[i];
    bool whole = value >= -1e15 && value <= 1e15 && value == (double)(int64_t)value;
    if (json_array_append_new(list, whole ? json_integer((int64_t)value) : json_real(value))) {
      json_decref(list);
      return nnm_fail_memory(error);
    }
  }
  if (!list) return nnm_fail_memory(error);
  *out = list;
  return NNM_OK;
}
