/* Writing small graphs in tests: tensors by name, shapes in text, every error fails the test. */
#ifndef NNM_TESTS_GRAPH_MAKER_H
#define NNM_TESTS_GRAPH_MAKER_H

#include "graph/builder.h"
#include "ops/ops.h"
#include "shapes/shapes.h"

typedef struct graph_maker {
  nnm_graph_builder *builder;
  nnm_error error;
  nnm_attribute attributes[16]; /* of the next node */
  uint32_t attribute_count;
  const char *domain; /* of the next node; NULL: standard */
  uint8_t layout, weight_layout;
} graph_maker;

void make_start(graph_maker *maker, int32_t opset);
nnm_graph *make_finish(graph_maker *maker);
const char *make_text(graph_maker *maker, const char *text); /* interned */

/* shape: "1x3x?x4", "batch x..." for symbols, "" for a scalar, NULL for an unknown rank. */
void make_input(graph_maker *maker, const char *name, const char *shape);
void make_weight(graph_maker *maker, const char *name, const char *shape); /* no bytes */
void make_typed_weight(graph_maker *maker, const char *name, nnm_dtype dtype, const char *shape);
void make_ints(graph_maker *maker, const char *name, const char *values); /* 1-D int64 constant: "1 -1 64" */
void make_scalar(graph_maker *maker, const char *name, int64_t value);
void make_floats(graph_maker *maker, const char *name, const char *values); /* 1-D float constant */
void make_declared(graph_maker *maker, const char *name, const char *shape);
void make_output(graph_maker *maker, const char *name);

/* Attributes of the next node. */
void with_int(graph_maker *maker, const char *name, int64_t value);
void with_ints(graph_maker *maker, const char *name, const char *values);
void with_text(graph_maker *maker, const char *name, const char *value);
void with_float(graph_maker *maker, const char *name, double value);
void with_block(graph_maker *maker, const char *name, nnm_block_id block);

/* inputs and outputs: names with spaces between; "-" leaves one out. */
nnm_node_id make_node(graph_maker *maker, const char *type, const char *inputs, const char *outputs);
nnm_block_id make_begin(graph_maker *maker, const char *name);
void make_end(graph_maker *maker);

nnm_tensor_id find_tensor(const nnm_graph *graph,
                          const char *name); /* the first of that name; fails the test if none */
/* "1x64x112x112", "scalar", "?" */
const char *shape_text_of(const nnm_graph *graph, const nnm_shapes *shapes, const char *name);

#endif
