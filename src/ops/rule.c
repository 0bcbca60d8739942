#include "ops/rule.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"

/* ------------------------------------------------------------------ inputs */

bool nnm_has_input(const nnm_node *node, uint32_t index) {
  return index < node->input_count && node->inputs[index] >= 0;
}

const nnm_shape *nnm_shape_of_input(const nnm_inference *inference, const nnm_node *node, uint32_t index) {
  if (!nnm_has_input(node, index)) return NULL;
  const nnm_shape *shape = &inference->shapes->tensors[node->inputs[index]];
  return shape->rank >= 0 ? shape : NULL;
}

nnm_dtype nnm_input_dtype(const nnm_inference *inference, const nnm_node *node, uint32_t index) {
  return nnm_has_input(node, index) ? inference->shapes->dtypes[node->inputs[index]] : NNM_DTYPE_UNKNOWN;
}

const nnm_sequence *nnm_input_sequence(const nnm_inference *inference, const nnm_node *node, uint32_t index) {
  if (!inference->sequences || !nnm_has_input(node, index)) return NULL;
  return inference->sequences[node->inputs[index]];
}

const nnm_value *nnm_input_value(nnm_inference *inference, const nnm_node *node, uint32_t index) {
  return nnm_has_input(node, index) ? nnm_tensor_value(inference, node->inputs[index]) : NULL;
}

int64_t nnm_value_int(const nnm_value *value, size_t index) {
  if (index >= value->count) return 0;
  if (!value->is_float) return value->as.integers[index];
  double number = value->as.numbers[index];
  if (number >= 9.2e18) return INT64_MAX;
  if (number <= -9.2e18) return INT64_MIN;
  return number == number ? (int64_t)number : 0;
}

double nnm_value_float(const nnm_value *value, size_t index) {
  if (index >= value->count) return 0;
  return value->is_float ? value->as.numbers[index] : (double)value->as.integers[index];
}

/* The integers of a value; a float one is converted into the arena. */
static nnm_found ints_of_value(nnm_inference *inference, const nnm_value *value, const int64_t **values,
                               size_t *count) {
  if (!value) return NNM_DEPENDS_ON_DATA;
  *count = value->count;
  *values = value->as.integers;
  if (!value->is_float) return NNM_KNOWN;
  if ((int64_t)value->count > inference->budget) return NNM_DEPENDS_ON_DATA;
  inference->budget -= (int64_t)value->count;
  int64_t *integers = NNM_ARENA_ARRAY(&inference->shapes->arena, int64_t, value->count);
  if (!integers) {
    inference->out_of_memory = true;
    return NNM_DEPENDS_ON_DATA;
  }
  for (size_t i = 0; i < value->count; i++) integers[i] = nnm_value_int(value, i);
  *values = integers;
  return NNM_KNOWN;
}

nnm_found nnm_find_ints(nnm_inference *inference, const nnm_node *node, const char *name, int input,
                        const int64_t **values, size_t *count) {
  *values = NULL;
  *count = 0;
  if (input >= 0 && nnm_has_input(node, (uint32_t)input))
    return ints_of_value(inference, nnm_input_value(inference, node, (uint32_t)input), values, count);
  const nnm_attribute *attribute = name ? nnm_find_attribute(node, name) : NULL;
  if (!attribute) return NNM_ABSENT;
  if (attribute->kind == NNM_ATTRIBUTE_INTS) {
    *values = attribute->as.integers;
    *count = attribute->count;
    return NNM_KNOWN;
  }
  if (attribute->kind == NNM_ATTRIBUTE_INT) {
    *values = &attribute->as.integer;
    *count = 1;
    return NNM_KNOWN;
  }
  return NNM_ABSENT;
}

/* ----------------------------------------------------------------- outputs */

static nnm_tensor_id output_of(const nnm_node *node, uint32_t output) {
  return output < node->output_count ? node->outputs[output] : -1;
}

nnm_status nnm_set_shape(nnm_inference *inference, const nnm_node *node, uint32_t output, int32_t rank,
                         const int64_t *dims, nnm_error *error) {
  nnm_tensor_id tensor = output_of(node, output);
  if (tensor < 0) return NNM_OK;
  if (rank > NNM_LIMIT_RANK)
    return nnm_fail_node(inference, node, error, "makes a tensor of %d dimensions; the limit is %d", (int)rank,
                         NNM_LIMIT_RANK);
  int64_t elements = 1;
  for (int32_t i = 0; i < rank; i++) {
    if (dims[i] < 0)
      return nnm_fail_node(inference, node, error,
                           "makes dimension %d of its output %lld; its input is too small for it", (int)i,
                           (long long)dims[i]);
    /* an empty dimension must not hide the size of the others: rules multiply them */
    if (dims[i] > NNM_LIMIT_DIMENSION || !nnm_multiply_i64(elements, dims[i] ? dims[i] : 1, &elements) ||
        elements > NNM_LIMIT_ELEMENTS)
      return nnm_fail_node(inference, node, error, "makes a tensor of more than 2^50 elements (dimension %d is %lld)",
                           (int)i, (long long)dims[i]);
  }
  const int64_t *copy = nnm_arena_copy(&inference->shapes->arena, dims, (size_t)rank, sizeof *dims);
  if (!copy) return nnm_fail_memory(error);
  inference->shapes->tensors[tensor] = (nnm_shape){rank, copy};
  return NNM_OK;
}

void nnm_share_shape(nnm_inference *inference, const nnm_node *node, uint32_t output, const nnm_shape *shape) {
  nnm_tensor_id tensor = output_of(node, output);
  if (tensor >= 0) inference->shapes->tensors[tensor] = *shape;
}

void nnm_set_dtype(nnm_inference *inference, const nnm_node *node, uint32_t output, nnm_dtype dtype) {
  nnm_tensor_id tensor = output_of(node, output);
  if (tensor >= 0) inference->shapes->dtypes[tensor] = dtype;
}

void nnm_mark_guessed(nnm_inference *inference, const nnm_node *node, uint32_t output) {
  nnm_tensor_id tensor = output_of(node, output);
  if (tensor >= 0) inference->guessed[tensor] = 1;
}

/* A sequence has no shape of its own: it gets that of its items, or all their elements in a row when they differ. */
static nnm_status sequence_shape(nnm_inference *inference, const nnm_node *node, uint32_t output,
                                 const nnm_sequence *sequence, nnm_error *error) {
  nnm_tensor_id tensor = output_of(node, output);
  if (sequence->is_list) return nnm_set_shape(inference, node, output, 0, NULL, error);
  if (sequence->count == 0) return nnm_set_shape(inference, node, output, 1, (int64_t[]){0}, error);
  int64_t total = 0;
  bool alike = true;
  for (int64_t i = 0; i < sequence->count; i++) {
    alike = alike && nnm_same_shape(&sequence->items[0], &sequence->items[i]);
    int64_t elements = nnm_shape_elements(sequence->items[i]);
    if (elements < 0) return NNM_OK;
    if (!nnm_add_i64(total, elements, &total)) return nnm_fail_node(inference, node, error, "makes too many elements");
  }
  if (!alike) return nnm_set_shape(inference, node, output, 1, &total, error);
  inference->shapes->tensors[tensor] = sequence->items[0];
  return NNM_OK;
}

nnm_dtype nnm_dtype_of_onnx(int64_t number) {
  static const nnm_dtype dtypes[] = {
      NNM_DTYPE_UNKNOWN, NNM_DTYPE_F32, NNM_DTYPE_U8,      NNM_DTYPE_I8,      NNM_DTYPE_U16,  NNM_DTYPE_I16,
      NNM_DTYPE_I32,     NNM_DTYPE_I64, NNM_DTYPE_STRING,  NNM_DTYPE_BOOL,    NNM_DTYPE_F16,  NNM_DTYPE_F64,
      NNM_DTYPE_U32,     NNM_DTYPE_U64, NNM_DTYPE_COMPLEX, NNM_DTYPE_COMPLEX, NNM_DTYPE_BF16, NNM_DTYPE_F8,
      NNM_DTYPE_F8,      NNM_DTYPE_F8,  NNM_DTYPE_F8,      NNM_DTYPE_U4,      NNM_DTYPE_I4,   NNM_DTYPE_I4,
      NNM_DTYPE_F8,      NNM_DTYPE_U4,  NNM_DTYPE_I4,      NNM_DTYPE_F8,      NNM_DTYPE_F8};
  return number > 0 && number < (int64_t)(sizeof dtypes / sizeof *dtypes) ? dtypes[number] : NNM_DTYPE_UNKNOWN;
}

nnm_status nnm_set_sequence(nnm_inference *inference, const nnm_node *node, uint32_t output,
                            const nnm_sequence *sequence, nnm_error *error) {
  nnm_tensor_id tensor = output_of(node, output);
  if (tensor < 0) return NNM_OK;
  if (!inference->sequences) {
    inference->sequences =
        NNM_ARENA_ARRAY(&inference->shapes->arena, const nnm_sequence *, (size_t)inference->graph->tensor_count);
    if (!inference->sequences) return nnm_fail_memory(error);
  }
  const nnm_sequence *copy = nnm_arena_copy(&inference->shapes->arena, sequence, 1, sizeof *sequence);
  if (!copy) return nnm_fail_memory(error);
  inference->sequences[tensor] = copy;
  inference->shapes->dtypes[tensor] = sequence->dtype;
  return sequence_shape(inference, node, output, sequence, error);
}

/* ---------------------------------------------------------------- messages */

static const char *label_of(const nnm_inference *inference, const nnm_node *node, char *buffer, size_t size) {
  return nnm_node_label(inference->graph, (nnm_node_id)(node - inference->graph->nodes), buffer, size);
}

nnm_status nnm_fail_node(const nnm_inference *inference, const nnm_node *node, nnm_error *error, const char *format,
                         ...) {
  if (!error) return NNM_ERROR_SHAPE;
  const char *advice = strstr(format, "; ") || !inference->advice ? "" : inference->advice;
  char label[200], message[NNM_ERROR_MESSAGE_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return nnm_fail(error, NNM_ERROR_SHAPE, label_of(inference, node, label, sizeof label), "%.500s%s%s", message,
                  *advice ? "; " : "", advice);
}

nnm_status nnm_set_dtype_by(nnm_inference *inference, const nnm_node *node, const char *attribute, int64_t otherwise,
                            nnm_error *error) {
  int64_t number = nnm_attribute_int(node, attribute, otherwise);
  nnm_dtype dtype = nnm_dtype_of_onnx(number);
  nnm_set_dtype(inference, node, 0, dtype);
  if (dtype != NNM_DTYPE_UNKNOWN || !number) return NNM_OK;
  return nnm_note_node(inference, node, error,
                       "its %s is element type %lld, which is not known; the input's type assumed", attribute,
                       (long long)number);
}

static nnm_status add_note(nnm_inference *inference, const char *text, nnm_error *error) {
  if (inference->note_count == NNM_LIMIT_NOTES) {
    inference->notes_left_out++;
    return NNM_OK;
  }
  char *copy = nnm_arena_text(&inference->shapes->arena, text, strlen(text));
  if (!copy) return nnm_fail_memory(error);
  if (inference->note_count == inference->note_capacity) {
    size_t capacity = inference->note_capacity ? inference->note_capacity * 2 : 8;
    const char **grown = NNM_ARENA_ARRAY(&inference->shapes->arena, const char *, capacity + 1);
    if (!grown) return nnm_fail_memory(error);
    if (inference->note_count) memcpy(grown, inference->notes, inference->note_count * sizeof *grown);
    inference->notes = grown;
    inference->note_capacity = capacity;
  }
  nnm_make_printable(copy);
  inference->notes[inference->note_count++] = copy;
  return NNM_OK;
}

nnm_status nnm_note(nnm_inference *inference, nnm_error *error, const char *format, ...) {
  char message[NNM_ERROR_MESSAGE_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return add_note(inference, message, error);
}

nnm_status nnm_note_node(nnm_inference *inference, const nnm_node *node, nnm_error *error, const char *format, ...) {
  char label[200], message[NNM_ERROR_MESSAGE_SIZE], text[NNM_ERROR_MESSAGE_SIZE + 256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  snprintf(text, sizeof text, "%s: %s", label_of(inference, node, label, sizeof label), message);
  return add_note(inference, text, error);
}

const char *nnm_shape_text(const nnm_shape *shape, char *buffer, size_t size) {
  if (!shape || shape->rank < 0) snprintf(buffer, size, "?");
  else if (shape->rank == 0) snprintf(buffer, size, "scalar");
  size_t used = 0;
  for (int32_t i = 0; shape && i < shape->rank && used < size; i++)
    used += (size_t)snprintf(buffer + used, size - used, "%s%lld", i ? "x" : "", (long long)shape->dims[i]);
  return buffer;
}

/* ----------------------------------------------------------------- numbers */

bool nnm_resolve_axis(int64_t axis, int32_t rank, int32_t *out) {
  if (axis < -(int64_t)rank || axis >= rank) return false;
  *out = (int32_t)(axis < 0 ? axis + rank : axis);
  return true;
}

bool nnm_resolve_axes(const int64_t *axes, size_t count, int32_t rank, uint32_t *mask) {
  *mask = 0;
  for (size_t i = 0; i < count; i++) {
    int32_t axis;
    if (!nnm_resolve_axis(axes[i], rank, &axis)) return false;
    *mask |= 1u << axis;
  }
  return true;
}

const int64_t nnm_no_dims[1] = {0};

bool nnm_same_shape(const nnm_shape *a, const nnm_shape *b) {
  if (a->rank != b->rank) return false;
  return a->rank <= 0 || a->dims == b->dims || !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

bool nnm_broadcast_dims(const nnm_shape *a, const nnm_shape *b, int64_t *dims, int32_t *rank) {
  int32_t wide = a->rank > b->rank ? a->rank : b->rank;
  for (int32_t i = 1; i <= wide; i++) {
    int64_t x = i <= a->rank ? a->dims[a->rank - i] : 1, y = i <= b->rank ? b->dims[b->rank - i] : 1;
    if (x != y && x != 1 && y != 1) return false;
    dims[wide - i] = x == 1 ? y : x;
  }
  *rank = wide;
  return true;
}

int64_t nnm_divide_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }
