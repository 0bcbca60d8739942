#include "graph_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ops/rule.h"

static void check(const graph_maker *maker, nnm_status status) {
  if (status == NNM_OK) return;
  char text[2000];
  nnm_error_text(&maker->error, text, sizeof text);
  fail_msg("%s", text);
}

void make_start(graph_maker *maker, int32_t opset) {
  *maker = (graph_maker){0};
  check(maker, nnm_graph_builder_create("test", &maker->builder, &maker->error));
  nnm_graph_builder_set_opset(maker->builder, opset);
}

nnm_graph *make_finish(graph_maker *maker) {
  nnm_graph *graph = NULL;
  check(maker, nnm_graph_builder_finish(maker->builder, &graph, &maker->error));
  return graph;
}

const char *make_text(graph_maker *maker, const char *text) {
  const char *interned = nnm_graph_builder_intern(maker->builder, text, strlen(text));
  assert_non_null(interned);
  return interned;
}

static void *keep(graph_maker *maker, const void *items, size_t count, size_t size) {
  void *copy = nnm_arena_copy(nnm_graph_builder_arena(maker->builder), items, count, size);
  assert_non_null(copy);
  return copy;
}

static nnm_tensor_id tensor_of(graph_maker *maker, const char *name, bool local) {
  nnm_tensor_id id = -1;
  const char *text = make_text(maker, name);
  check(maker, local ? nnm_graph_builder_local_tensor(maker->builder, text, &id, &maker->error)
                     : nnm_graph_builder_tensor(maker->builder, text, &id, &maker->error));
  return id;
}

typedef struct parsed_shape {
  int32_t rank;
  int64_t dims[16];
  const char *symbols[16];
} parsed_shape;

static parsed_shape parse_shape(graph_maker *maker, const char *text) {
  parsed_shape shape = {0};
  char copy[200];
  snprintf(copy, sizeof copy, "%s", text);
  for (char *next = copy, *piece; (piece = strsep(&next, "x")) && *piece;) {
    bool number = *piece >= '0' && *piece <= '9';
    shape.dims[shape.rank] = number ? strtoll(piece, NULL, 10) : -1;
    shape.symbols[shape.rank++] = number || *piece == '?' ? NULL : make_text(maker, piece);
  }
  return shape;
}

static void declare(graph_maker *maker, nnm_tensor_id id, const char *text) {
  parsed_shape shape = parse_shape(maker, text);
  check(maker, nnm_graph_builder_declare(maker->builder, id, NNM_DTYPE_F32, shape.rank,
                                         keep(maker, shape.dims, (size_t)shape.rank, sizeof *shape.dims),
                                         keep(maker, shape.symbols, (size_t)shape.rank, sizeof *shape.symbols),
                                         &maker->error));
}

void make_input(graph_maker *maker, const char *name, const char *shape) {
  nnm_tensor_id id = tensor_of(maker, name, true);
  if (shape) declare(maker, id, shape); /* else of unknown rank */
  check(maker, nnm_graph_builder_input(maker->builder, id, &maker->error));
}

void make_declared(graph_maker *maker, const char *name, const char *shape) {
  declare(maker, tensor_of(maker, name, false), shape);
}

static void add_constant(graph_maker *maker, const char *name, nnm_constant constant) {
  check(maker, nnm_graph_builder_weight(maker->builder, tensor_of(maker, name, true),
                                        keep(maker, &constant, 1, sizeof constant), &maker->error));
}

void make_weight(graph_maker *maker, const char *name, const char *text) {
  make_typed_weight(maker, name, NNM_DTYPE_F32, text);
}

void make_typed_weight(graph_maker *maker, const char *name, nnm_dtype dtype, const char *text) {
  parsed_shape shape = parse_shape(maker, text);
  add_constant(maker, name,
               (nnm_constant){.dtype = dtype,
                              .rank = shape.rank,
                              .dims = keep(maker, shape.dims, (size_t)shape.rank, sizeof *shape.dims)});
}

static size_t parse_ints(const char *text, int64_t *values) {
  size_t count = 0;
  for (char *end; *text; text = end) {
    values[count] = strtoll(text, &end, 10);
    if (end == text) break;
    count++;
  }
  return count;
}

void make_ints(graph_maker *maker, const char *name, const char *text) {
  int64_t values[64], count = (int64_t)parse_ints(text, values);
  add_constant(maker, name,
               (nnm_constant){.dtype = NNM_DTYPE_I64,
                              .rank = 1,
                              .dims = keep(maker, &count, 1, sizeof count),
                              .bytes = keep(maker, values, (size_t)count, sizeof *values),
                              .size = (size_t)count * sizeof *values});
}

void make_scalar(graph_maker *maker, const char *name, int64_t value) {
  add_constant(
      maker, name,
      (nnm_constant){.dtype = NNM_DTYPE_I64, .bytes = keep(maker, &value, 1, sizeof value), .size = sizeof value});
}

void make_floats(graph_maker *maker, const char *name, const char *text) {
  float values[64];
  int64_t count = 0;
  for (char *end; *text; text = end, count++) {
    values[count] = strtof(text, &end);
    if (end == text) break;
  }
  add_constant(maker, name,
               (nnm_constant){.dtype = NNM_DTYPE_F32,
                              .rank = 1,
                              .dims = keep(maker, &count, 1, sizeof count),
                              .bytes = keep(maker, values, (size_t)count, sizeof *values),
                              .size = (size_t)count * sizeof *values});
}

void make_output(graph_maker *maker, const char *name) {
  check(maker, nnm_graph_builder_output(maker->builder, tensor_of(maker, name, false), &maker->error));
}

static nnm_attribute *next_attribute(graph_maker *maker, const char *name, nnm_attribute_kind kind) {
  nnm_attribute *attribute = &maker->attributes[maker->attribute_count++];
  *attribute = (nnm_attribute){.name = make_text(maker, name), .kind = kind};
  return attribute;
}

void with_int(graph_maker *maker, const char *name, int64_t value) {
  next_attribute(maker, name, NNM_ATTRIBUTE_INT)->as.integer = value;
}
void with_float(graph_maker *maker, const char *name, double value) {
  next_attribute(maker, name, NNM_ATTRIBUTE_FLOAT)->as.number = value;
}
void with_text(graph_maker *maker, const char *name, const char *value) {
  next_attribute(maker, name, NNM_ATTRIBUTE_TEXT)->as.text = make_text(maker, value);
}
void with_block(graph_maker *maker, const char *name, nnm_block_id block) {
  next_attribute(maker, name, NNM_ATTRIBUTE_BLOCK)->as.block = block;
}
void with_ints(graph_maker *maker, const char *name, const char *text) {
  int64_t values[64];
  nnm_attribute *attribute = next_attribute(maker, name, NNM_ATTRIBUTE_INTS);
  attribute->count = parse_ints(text, values);
  attribute->as.integers = keep(maker, values, attribute->count, sizeof *values);
}

static uint32_t parse_names(graph_maker *maker, const char *text, bool local, nnm_tensor_id *ids) {
  uint32_t count = 0;
  char copy[1000];
  snprintf(copy, sizeof copy, "%s", text);
  for (char *next = copy, *piece; (piece = strsep(&next, " ")) && *piece;)
    ids[count++] = strcmp(piece, "-") ? tensor_of(maker, piece, local) : -1;
  return count;
}

nnm_node_id make_node(graph_maker *maker, const char *type, const char *inputs, const char *outputs) {
  nnm_tensor_id in[64], out[64];
  const char *domain = maker->domain ? maker->domain : "";
  nnm_node node = {.name = make_text(maker, outputs),
                   .type = make_text(maker, type),
                   .domain = make_text(maker, domain),
                   .op = (int32_t)nnm_op_of_onnx(domain, type),
                   .layout = maker->layout,
                   .weight_layout = maker->weight_layout};
  if (node.op == NNM_OP_UNKNOWN && !*domain) node.op = (int32_t)nnm_op_of_tensorflow(type);
  node.input_count = parse_names(maker, inputs, false, in);
  node.output_count = parse_names(maker, outputs, true, out);
  node.inputs = in;
  node.outputs = out;
  node.attribute_count = maker->attribute_count;
  node.attributes = maker->attributes;
  nnm_node_id id = -1;
  check(maker, nnm_graph_builder_node(maker->builder, &node, &id, &maker->error));
  maker->attribute_count = 0;
  maker->domain = NULL;
  maker->layout = maker->weight_layout = 0;
  return id;
}

nnm_block_id make_begin(graph_maker *maker, const char *name) {
  nnm_block_id block = -1;
  check(maker, nnm_graph_builder_begin_block(maker->builder, make_text(maker, name), &block, &maker->error));
  return block;
}

void make_end(graph_maker *maker) { check(maker, nnm_graph_builder_end_block(maker->builder, &maker->error)); }

nnm_tensor_id find_tensor(const nnm_graph *graph, const char *name) {
  for (nnm_tensor_id t = 0; t < graph->tensor_count; t++)
    if (!strcmp(graph->tensors[t].name, name)) return t;
  fail_msg("no tensor '%s'", name);
  return -1;
}

const char *shape_text_of(const nnm_graph *graph, const nnm_shapes *shapes, const char *name) {
  static char text[200];
  return nnm_shape_text(&shapes->tensors[find_tensor(graph, name)], text, sizeof text);
}
