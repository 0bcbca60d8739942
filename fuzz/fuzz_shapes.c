/* Any graph of known operators, with any attributes and constants, gets shapes or an error: the bytes are read as a
 * recipe for a graph, so that every shape rule is reached without a file format in the way. */
#include <string.h>

#include "base/cursor.h"
#include "graph/builder.h"
#include "ops/ops.h"
#include "shapes/shapes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TENSORS = 64, PORTS = 6, BODIES = 3 };

typedef struct recipe {
  nnm_cursor bytes;
  nnm_graph_builder *builder;
  nnm_error error;
  nnm_tensor_id tensors[TENSORS];
  uint32_t tensor_count;
  int depth;
} recipe;

static uint8_t next(recipe *from) { return nnm_cursor_u8(&from->bytes); }

static const char *text(recipe *from, const char *name) {
  return nnm_graph_builder_intern(from->builder, name, strlen(name));
}

/* Small numbers mostly, and those at which arithmetic goes wrong. */
static int64_t number(recipe *from) {
  static const int64_t special[] = {INT64_MIN, INT64_MAX, INT32_MAX, INT64_C(1) << 40, INT64_C(1) << 50, -1, 65536, 0};
  uint8_t byte = next(from);
  return byte < 232 ? byte % 24 - 4 : special[byte % 8];
}

static int64_t *numbers(recipe *from, size_t count) {
  int64_t *values = NNM_ARENA_ARRAY(nnm_graph_builder_arena(from->builder), int64_t, count);
  for (size_t i = 0; values && i < count; i++) values[i] = number(from);
  return values;
}

static nnm_tensor_id new_tensor(recipe *from) {
  char name[16];
  if (from->tensor_count == TENSORS) return -1;
  name[0] = 't';
  name[1] = (char)('A' + from->tensor_count / 26);
  name[2] = (char)('a' + from->tensor_count % 26);
  name[3] = '\0';
  nnm_tensor_id id = -1;
  if (nnm_graph_builder_local_tensor(from->builder, text(from, name), &id, &from->error) != NNM_OK) return -1;
  from->tensors[from->tensor_count++] = id;
  return id;
}

/* A constant of integers or floats, with or without values. */
static bool add_constant(recipe *from) {
  nnm_arena *arena = nnm_graph_builder_arena(from->builder);
  nnm_constant *constant = NNM_ARENA_NEW(arena, nnm_constant);
  nnm_tensor_id id = new_tensor(from);
  if (!constant || id < 0) return false;
  uint8_t kind = next(from);
  constant->rank = kind % 3;
  int64_t *dims = NNM_ARENA_ARRAY(arena, int64_t, 2);
  dims[0] = next(from) % 6;
  dims[1] = next(from) % 4;
  constant->dims = dims;
  size_t count = (size_t)((constant->rank > 0 ? dims[0] : 1) * (constant->rank > 1 ? dims[1] : 1));
  constant->dtype = kind & 64 ? NNM_DTYPE_F32 : NNM_DTYPE_I64;
  constant->splat = (kind & 32) != 0;
  constant->size = count * (kind & 64 ? 4 : 8);
  constant->bytes = kind & 128 ? NULL : (const unsigned char *)numbers(from, count + 1);
  return nnm_graph_builder_weight(from->builder, id, constant, &from->error) == NNM_OK;
}

static bool add_input(recipe *from) {
  nnm_tensor_id id = new_tensor(from);
  int32_t rank = next(from) % 6;
  int64_t *dims = numbers(from, (size_t)rank);
  return id >= 0 && dims &&
         nnm_graph_builder_declare(from->builder, id, next(from) & 1 ? NNM_DTYPE_F32 : NNM_DTYPE_I64, rank, dims, NULL,
                                   &from->error) == NNM_OK &&
         nnm_graph_builder_input(from->builder, id, &from->error) == NNM_OK;
}

static bool add_node(recipe *from);

/* The body of an If, Loop or Scan: a few inputs, a few nodes, a few outputs. */
static bool add_body(recipe *from, nnm_attribute *attribute) {
  if (from->depth == BODIES) return false;
  from->depth++;
  if (nnm_graph_builder_begin_block(from->builder, attribute->name, &attribute->as.block, &from->error) != NNM_OK)
    return false;
  uint8_t plan = next(from);
  for (int i = 0; i < plan % 4; i++) {
    nnm_tensor_id id = new_tensor(from);
    if (id < 0 || nnm_graph_builder_input(from->builder, id, &from->error) != NNM_OK) return false;
  }
  for (int i = 0; i < plan / 4 % 4; i++)
    if (!add_node(from)) return false;
  for (int i = 0; i < plan / 16 % 4 && from->tensor_count; i++)
    if (nnm_graph_builder_output(from->builder, from->tensors[next(from) % from->tensor_count], &from->error) != NNM_OK)
      return false;
  from->depth--;
  return nnm_graph_builder_end_block(from->builder, &from->error) == NNM_OK;
}

static bool add_attribute(recipe *from, nnm_attribute *attribute) {
  static const char *const names[] = {"axis",
                                      "axes",
                                      "kernel_shape",
                                      "strides",
                                      "pads",
                                      "dilations",
                                      "group",
                                      "ceil_mode",
                                      "keepdims",
                                      "perm",
                                      "to",
                                      "output_padding",
                                      "output_shape",
                                      "output_channels",
                                      "depthwise",
                                      "num_heads",
                                      "kv_num_heads",
                                      "q_num_heads",
                                      "hidden_size",
                                      "layout",
                                      "split",
                                      "starts",
                                      "ends",
                                      "shape",
                                      "blocksize",
                                      "start",
                                      "end",
                                      "batch_dims",
                                      "N",
                                      "num_scan_inputs",
                                      "scan_input_axes",
                                      "scan_output_axes",
                                      "new_axis",
                                      "onesided",
                                      "inverse",
                                      "channels_last",
                                      "qkv_hidden_sizes",
                                      "transA",
                                      "transBatchA",
                                      "size",
                                      "step",
                                      "dim",
                                      "begin_mask",
                                      "end_mask",
                                      "ellipsis_mask",
                                      "new_axis_mask",
                                      "shrink_axis_mask",
                                      "noop_with_empty_axes",
                                      "allowzero",
                                      "pooled_shape",
                                      "output_height",
                                      "value",
                                      "auto_pad",
                                      "equation",
                                      "direction",
                                      "scales",
                                      "then_branch",
                                      "else_branch",
                                      "body"};
  enum { COUNT = sizeof names / sizeof *names };
  uint8_t which = next(from) % COUNT, form = next(from);
  *attribute = (nnm_attribute){.name = text(from, names[which]), .kind = NNM_ATTRIBUTE_INT};
  if (which >= COUNT - 3) {
    attribute->kind = NNM_ATTRIBUTE_BLOCK;
    return add_body(from, attribute);
  }
  static const char *const texts[] = {"SAME_UPPER", "SAME_LOWER",     "VALID", "bidirectional",
                                      "ij,jk->ik",  "...a,...b->...", "a...b", "not_larger"};
  if (which >= COUNT - 7 && which < COUNT - 4) {
    attribute->kind = NNM_ATTRIBUTE_TEXT;
    attribute->as.text = text(from, texts[form % 8]);
  } else if (form % 3) {
    attribute->kind = NNM_ATTRIBUTE_INTS;
    attribute->count = form / 3 % 7;
    attribute->as.integers = numbers(from, attribute->count);
  } else {
    attribute->as.integer = number(from);
  }
  return true;
}

static bool add_node(recipe *from) {
  nnm_tensor_id inputs[PORTS], outputs[PORTS];
  nnm_attribute attributes[PORTS];
  uint8_t low = next(from), high = next(from), ports = next(from);
  int32_t op = (low | high << 8) % NNM_OP_COUNT;
  const char *name = nnm_op_name((nnm_op)op);
  nnm_node node = {.name = text(from, ""),
                   .type = text(from, name),
                   .domain = text(from, ""),
                   .op = op,
                   .layout = ports >> 7,
                   .weight_layout = high >> 6 & 1,
                   .inputs = inputs,
                   .outputs = outputs,
                   .attributes = attributes};
  node.input_count = ports % (PORTS + 1);
  node.output_count = 1 + (ports >> 4) % 3;
  node.attribute_count = high >> 2 & 3;
  for (uint32_t i = 0; i < node.input_count; i++) {
    uint8_t which = next(from);
    inputs[i] = which == 255 || !from->tensor_count ? -1 : from->tensors[which % from->tensor_count];
  }
  for (uint32_t i = 0; i < node.attribute_count; i++)
    if (!add_attribute(from, &attributes[i])) return false;
  for (uint32_t i = 0; i < node.output_count; i++) outputs[i] = new_tensor(from);
  return nnm_graph_builder_node(from->builder, &node, NULL, &from->error) == NNM_OK;
}

static bool add_all(recipe *from) {
  nnm_graph_builder_set_opset(from->builder, 7 + next(from) % 18);
  while (nnm_cursor_left(&from->bytes)) {
    uint8_t what = next(from);
    if (!(what < 60 ? add_input(from) : what < 120 ? add_constant(from) : add_node(from))) return false;
  }
  return true;
}

static void look_at_everything(const nnm_graph *graph, const nnm_shapes *shapes) {
  nnm_window window;
  for (nnm_node_id n = 0; n < graph->node_count; n++) {
    if (nnm_node_multiply_adds(graph, shapes, n) < 0) __builtin_trap();
    if (nnm_window_of(graph, shapes, n, &window) && (window.spatial < 1 || window.spatial > 3)) __builtin_trap();
  }
  for (nnm_tensor_id t = 0; t < graph->tensor_count; t++) {
    nnm_shape shape = shapes->tensors[t];
    if (shape.rank >= 0 && nnm_shape_elements(shape) < 0) __builtin_trap();
    const nnm_value *value = shapes->values[t];
    if (value && shape.rank >= 0 && (int64_t)value->count != nnm_shape_elements(shape)) __builtin_trap();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  recipe from = {.bytes = nnm_cursor_over(data, size < 4096 ? size : 4096)};
  nnm_graph *graph = NULL;
  if (nnm_graph_builder_create("fuzz", &from.builder, &from.error) != NNM_OK) return 0;
  if (!add_all(&from)) {
    nnm_graph_builder_free(from.builder);
    return 0;
  }
  if (nnm_graph_builder_finish(from.builder, &graph, &from.error) != NNM_OK) return 0;
  nnm_shapes *shapes = NULL;
  if (nnm_infer_graph_shapes(graph, NULL, &shapes, &from.error) == NNM_OK) look_at_everything(graph, shapes);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
  return 0;
}
