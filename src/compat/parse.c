/* Kernels as the old tool's dictionaries, from whoever made them: their feature rows. */
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "compat/working.h"

typedef struct kernel_parser {
  nnm_arena *arena;
  nnm_error *error;
} kernel_parser;

static nnm_status fail(const kernel_parser *p, const char *op, const char *field, const char *wanted) {
  return nnm_fail(p->error, NNM_ERROR_FORMAT, op, "'%s' must be %s, as in the kernels that KernelDetector gives", field,
                  wanted);
}

static bool read_integer(const json_t *value, int64_t *out) {
  double size = json_number_value(value);
  if (!json_is_number(value) || !(size >= 0 && size <= (double)NNM_LIMIT_DIMENSION)) return false;
  *out = (int64_t)size;
  return true;
}

/* A list of numbers; false when it is none, or when memory runs out. */
static bool read_integers(const kernel_parser *p, const json_t *list, const int64_t **out, size_t *count) {
  if (!json_is_array(list)) return false;
  int64_t *values = NNM_ARENA_ARRAY(p->arena, int64_t, json_array_size(list));
  for (size_t i = 0; values && i < json_array_size(list); i++)
    if (!read_integer(json_array_get(list, i), &values[i])) return false;
  *out = values;
  *count = json_array_size(list);
  return values != NULL;
}

static bool read_shapes(const kernel_parser *p, const json_t *list, const nnm_shape **out, size_t *count) {
  if (!json_is_array(list)) return false;
  nnm_shape *shapes = NNM_ARENA_ARRAY(p->arena, nnm_shape, json_array_size(list));
  for (size_t i = 0; shapes && i < json_array_size(list); i++) {
    const int64_t *dims;
    size_t rank;
    const json_t *item = json_array_get(list, i);
    shapes[i] = (nnm_shape){.rank = -1};
    if (!json_array_size(item)) continue; /* unknown */
    if (!read_integers(p, item, &dims, &rank) || rank > NNM_LIMIT_RANK) return false;
    shapes[i] = (nnm_shape){.rank = (int)rank, .dims = dims};
  }
  *out = shapes;
  *count = json_array_size(list);
  return shapes != NULL;
}

/* The field of that name, unless it is not there or null. */
static bool field(const json_t *object, const char *name, const json_t **out) {
  *out = json_object_get(object, name);
  return *out && !json_is_null(*out);
}

static nnm_status read_kernel(const kernel_parser *p, const json_t *object, nnm_compat_kernel *out) {
  static const uint32_t no_blocks[1] = {0};
  const json_t *value;
  const char *op = json_string_value(json_object_get(object, "op"));
  if (!op) return fail(p, NULL, "op", "a text");
  out->block_start = no_blocks;
  out->op = nnm_arena_text(p->arena, op, strlen(op));
  if (!out->op) return nnm_fail_memory(p->error);
  if (field(object, "input_tensors", &value) &&
      !(out->has_input_tensors = read_shapes(p, value, &out->input_tensors, &out->input_tensor_count)))
    return fail(p, op, "input_tensors", "a list of shapes");
  if (field(object, "ks", &value) && !(out->has_ks = read_integers(p, value, &out->ks, &out->ks_count)))
    return fail(p, op, "ks", "a list of sizes");
  if (field(object, "strides", &value) &&
      !(out->has_strides = read_integers(p, value, &out->strides, &out->strides_count)))
    return fail(p, op, "strides", "a list of strides");
  if (field(object, "inputh", &value) && !(out->has_input_hw = read_integer(value, &out->inputh)))
    return fail(p, op, "inputh", "a size");
  if (field(object, "cin", &value) && !(out->has_cin = read_integer(value, &out->cin)))
    return fail(p, op, "cin", "a number of channels");
  if (field(object, "cout", &value) && !(out->has_cout = read_integer(value, &out->cout)))
    return fail(p, op, "cout", "a number of channels");
  return NNM_OK;
}

static nnm_status rows_json(const nnm_compat_kernel *kernels, size_t count, json_t **out, nnm_error *error) {
  json_t *list = json_array();
  nnm_status status = list ? NNM_OK : nnm_fail_memory(error);
  for (size_t i = 0; status == NNM_OK && i < count; i++) {
    json_t *row = NULL, *item = json_null();
    if (kernels[i].row_count) {
      status = nnm_compat_row_json(&kernels[i], &row, error);
      item = row ? json_pack("{s:s,s:o}", "predictor", kernels[i].predictor, "row", row) : NULL;
    }
    if (json_array_append_new(list, item) && status == NNM_OK) status = nnm_fail_memory(error);
  }
  if (status == NNM_OK) *out = list;
  else json_decref(list);
  return status;
}

static nnm_status rows_of(const json_t *document, nnm_arena *arena, json_t **out, nnm_error *error) {
  const kernel_parser p = {arena, error};
  size_t count = json_array_size(document);
  if (!json_is_array(document))
    return nnm_fail(error, NNM_ERROR_FORMAT, NULL, "kernels must be a list; give what KernelDetector makes");
  nnm_compat_kernel *kernels = NNM_ARENA_ARRAY(arena, nnm_compat_kernel, count);
  if (!kernels) return nnm_fail_memory(error);
  for (size_t i = 0; i < count; i++) NNM_TRY(read_kernel(&p, json_array_get(document, i), &kernels[i]));
  NNM_TRY(nnm_compat_make_rows(NULL, NULL, NULL, kernels, count, arena, error));
  return rows_json(kernels, count, out, error);
}

nnm_status nnm_compat_rows_of_json(const void *data, size_t size, json_t **out, nnm_error *error) {
  json_t *document;
  NNM_TRY(nnm_json_parse(data, size, &document, error));
  nnm_arena arena = {0};
  nnm_status status = rows_of(document, &arena, out, error);
  nnm_arena_free(&arena);
  json_decref(document);
  return status;
}
