/* Attributes of one IR node in ONNX's words. Internal to src/ir. */
#ifndef NNM_IR_TRANSLATE_H
#define NNM_IR_TRANSLATE_H

#include "graph/builder.h"
#include "ir/ir.h"

enum {
  IR_CONSTANTS = 4,      /* constant operands of a node that are looked at */
  IR_OWN_ATTRIBUTES = 16 /* attributes that a translation adds, at most */
};

typedef struct ir_graph_node {
  nnm_tensor_id *outputs;
  size_t output_count, turn; /* turn: which output the next reader takes, of several that fit */
  bool is_read;
} ir_graph_node;

typedef struct ir_slice_link { /* a slice that the old converter dropped: output `part` of a node */
  int32_t node;
  size_t part;
} ir_slice_link;

typedef struct ir_lost_edges { /* names among inbounds that are those of no node, and stand for nothing known either */
  size_t count;
  const nnm_ir_node *reader; /* the first of them */
  const char *name;
} ir_lost_edges;

typedef struct ir_translation {
  nnm_ir *ir;
  nnm_graph_builder *builder;
  nnm_arena *arena; /* of the graph */
  nnm_error *error;
  bool tensorflow; /* TensorFlow's dialect, channels last; else ONNX's, channels first */
  ir_graph_node *nodes;
  ir_slice_link *links;
  ir_lost_edges lost;
} ir_translation;

typedef struct ir_inputs {
  nnm_tensor_id *items; /* with room for IR_CONSTANTS more */
  size_t count, constant_count;
  int32_t constants[IR_CONSTANTS]; /* IR nodes of type Const that the node reads */
} ir_inputs;

typedef struct ir_attributes {
  nnm_attribute *items;
  size_t count, capacity;
} ir_attributes;

/* A shape of the IR in the graph's layout; sizes that are not fixed are -1. */
nnm_status nnm_ir_shape_of(ir_translation *t, nnm_shape shape, nnm_shape *out);
/* A weight of that shape, without bytes; name: of the node that reads it. */
nnm_status nnm_ir_weight(ir_translation *t, const char *name, nnm_shape shape, nnm_tensor_id *out);

/* Notes what the file says and the graph does not hold: lost inbounds, outbounds that nobody answers, nodes without a
 * type (edges.c). Last, when every node is translated. */
nnm_status nnm_ir_note_losses(ir_translation *t);
/* Several slices of one tensor, of which the old converter has made one node. */
bool nnm_ir_is_joined(const ir_translation *t, size_t index);

/* Notes attributes of the node that cannot be used because of their kind (attribute_notes.c). */
nnm_status nnm_ir_note_attributes(ir_translation *t, const nnm_ir_node *node);

/* Fills attributes, perhaps replaces node->op, adds or cuts inputs (translate.c). */
nnm_status nnm_ir_translate(ir_translation *t, const nnm_ir_node *ir_node, ir_inputs *inputs, nnm_node *node,
                            ir_attributes *attributes);

#endif
