/* The nn-Meter IR document: what nn-Meter 2.0 writes with get_ir and reads with --nn-meter-ir, node order included.
 * {name: {"inbounds": [names], "attr": {"type", "attr": {...}, "input_shape": [[...]], "output_shape": [[...]], "name"?},
 *  "outbounds": [names]}}. Shapes are channels last. */
#ifndef NNM_IR_IR_H
#define NNM_IR_IR_H

#include <jansson.h>

#include "base/status.h"
#include "graph/graph.h"
#include "shapes/shapes.h"

typedef struct nnm_ir_node {
  const char *name;           /* interned, unique */
  const char *type;           /* interned */
  json_t *attributes;         /* the inner "attr" object, owned by the document; NULL when the file has none */
  size_t inbound_count, outbound_count;
  const int32_t *inbounds;    /* node indices; names of no node are dropped, as the old tool does */
  const int32_t *outbounds;   /* rebuilt from inbounds */
  size_t input_shape_count, output_shape_count;
  const nnm_shape *input_shapes, *output_shapes; /* counts 0 when the file has none */
  bool has_shapes;            /* the node has type, attr, input_shape and output_shape */
  nnm_node_id graph_node;     /* where it came from a graph: that node; else -1 */
} nnm_ir_node;

typedef struct nnm_ir {
  nnm_arena arena;
  nnm_strings strings;
  json_t *document; /* keeps attributes alive; NULL when made from a graph */
  nnm_ir_node *nodes;
  size_t node_count;
} nnm_ir;

void nnm_ir_free(nnm_ir *ir); /* NULL is fine */

nnm_status nnm_ir_parse(const unsigned char *data, size_t size, nnm_ir **out, nnm_error *error);
/* As the old tool's ONNX converter would make it (see docs/differences.md for where we are right instead). */
nnm_status nnm_ir_from_graph(const nnm_graph *graph, const nnm_shapes *shapes, nnm_ir **out, nnm_error *error);
/* JSON text with indent 4 and sorted keys, like get_ir; malloc'ed. */
nnm_status nnm_ir_print(const nnm_ir *ir, char **out, nnm_error *error);
/* The graph for our own mode. */
nnm_status nnm_ir_to_graph(const nnm_ir *ir, nnm_graph **out, nnm_error *error);

#endif
