/* The nn-Meter IR document: what nn-Meter 2.0 writes with get_ir and reads with --nn-meter-ir, node order included.
 * {name: {"inbounds": [names], "attr": {"type", "attr": {...}, "input_shape": [[...]], "output_shape": [[...]], "name"?},
 *  "outbounds": [names]}}. Images are channels last (of rank 4 only); sizes are elements. */
#ifndef NNM_IR_IR_H
#define NNM_IR_IR_H

#include <jansson.h>

#include "base/status.h"
#include "graph/graph.h"
#include "shapes/shapes.h"

typedef struct nnm_ir_node {
  const char *name;         /* interned, unique; NULL in an IR made without names */
  const char *type;         /* interned; NULL when the file gives none (an old get_ir that knew no shapes) */
  const json_t *attributes; /* the inner "attr" object; borrowed from the document; NULL when the file has none */
  const nnm_node *source;   /* the graph's node whose attributes count, in an IR made from a graph; else NULL */
  size_t inbound_count, outbound_count;
  const char *const *inbound_names, *const *outbound_names; /* as written, names of no node included */
  /* inbound_count node indices; -1 where the name is that of no node; in an IR made from a graph -2 - its number there
   * for a node that another one stands for. */
  const int32_t *inbounds;
  bool has_input_shapes, has_output_shapes; /* whether the file has such a list, perhaps an empty one */
  size_t input_shape_count, output_shape_count;
  const nnm_shape *input_shapes, *output_shapes; /* dims < 0: symbolic; rank -1: null in the file */
  /* The nodes of the graph it stands for; several where the old tool makes one of many (slices of one tensor). */
  size_t graph_node_count;
  const nnm_node_id *graph_nodes;
} nnm_ir_node;

typedef struct nnm_ir {
  nnm_arena arena;
  nnm_strings strings;
  json_t *document; /* as read from a file; NULL for an IR made from a graph */
  nnm_ir_node *nodes;
  size_t node_count;
} nnm_ir;

void nnm_ir_free(nnm_ir *ir); /* NULL is fine */

nnm_status nnm_ir_parse(const unsigned char *data, size_t size, nnm_ir **out, nnm_error *error);
/* The same for a document that is parsed already, which it takes over, also on failure. */
nnm_status nnm_ir_of_document(json_t *document, nnm_ir **out, nnm_error *error);
typedef enum nnm_ir_names {
  NNM_IR_NAMED,  /* a whole document, to be printed */
  NNM_IR_UNNAMED /* without the names of nodes, inbounds and outbounds: kernel detection needs none */
} nnm_ir_names;

/* As the old tool's converter of ONNX or of frozen TensorFlow graphs would make it (see docs/differences.md for where we
 * are right instead). graph and shapes must outlive the IR. */
nnm_status nnm_ir_from_graph(const nnm_graph *graph, const nnm_shapes *shapes, nnm_ir_names names, nnm_ir **out,
                             nnm_error *error);
nnm_status nnm_ir_from_frozen(const nnm_graph *graph, const nnm_shapes *shapes, nnm_ir **out, nnm_error *error);
/* JSON text with indent 4 and keys sorted at every level, byte for byte as Python's json writes it; malloc'ed. */
nnm_status nnm_ir_print(const nnm_ir *ir, char **out, nnm_error *error);
/* The graph for our own mode; notes in the IR's nodes which graph node is which (graph_nodes). */
nnm_status nnm_ir_to_graph(nnm_ir *ir, nnm_graph **out, nnm_error *error);

/* Attributes, wherever they come from (attributes.c). Absent: false. */
bool nnm_ir_has(const nnm_ir_node *node, const char *name);
bool nnm_ir_is_list(const nnm_ir_node *node, const char *name);
/* One integer; false also for null and whatever else. */
bool nnm_ir_integer(const nnm_ir_node *node, const char *name, int64_t *out);
/* A list of integers or one integer; false also for null and whatever else, and for more than capacity. */
bool nnm_ir_integers(const nnm_ir_node *node, const char *name, int64_t *out, size_t capacity, size_t *count);
/* All attributes as the document has them; NULL when there are none. *out is a new reference. */
nnm_status nnm_ir_attributes_json(const nnm_ir_node *node, json_t **out, nnm_error *error);

#endif
