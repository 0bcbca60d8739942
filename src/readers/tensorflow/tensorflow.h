/* What the files of the TensorFlow reader share. Nobody else includes this.
 *
 *   tensorflow.c           the file: frozen graph or SavedModel, which graph and signature, the order of the steps below
 *   index.c                names of nodes, what each reads, functions: read once, nothing decoded
 *   live.c                 which nodes the outputs need, through calls; which tensor an edge means
 *   emit.c                 live nodes become nodes, inputs and weights of the graph
 *   control.c              If and While become blocks
 *   translate*.c           a node's inputs and attributes in ONNX's words
 *   attribute.c, tensor.c  AttrValue, TensorProto
 *   ops.c                  the table of operators
 *
 * A function is indexed once and instantiated for each call; an instance says which of its nodes are needed and which
 * tensors they make. Calls themselves leave no nodes behind, but names. */
#ifndef NNM_READERS_TENSORFLOW_TENSORFLOW_H
#define NNM_READERS_TENSORFLOW_TENSORFLOW_H

#include "base/stack.h"
#include "base/text.h"
#include "graph/builder.h"
#include "readers/tensorflow/schema.h"

/* What a node is to the reader. */
typedef enum tf_kind {
  TF_PLAIN,       /* becomes a node of the graph */
  TF_ARGUMENT,    /* of a function: stands for what the caller gives */
  TF_CALL,        /* of a function, named by an attribute or by the node's type */
  TF_IF,          /* If, Case */
  TF_WHILE,       /* While */
  TF_CONSTANT,    /* Const */
  TF_PLACEHOLDER, /* a model input */
  TF_VARIABLE,    /* a weight of known shape */
  TF_MERGE,       /* where TensorFlow 1's branches and turns come together */
  TF_EFFECT       /* makes nothing that a result depends on: NoOp, Assert, SaveV2 */
} tf_kind;

typedef struct tf_translation tf_translation;

/* A row of the table of operators (ops.c). */
typedef struct tf_op {
  const char *type;
  uint8_t kind;
  uint16_t op;                                /* nnm_op; 0: what op_list.inc says */
  nnm_status (*translate)(tf_translation *x); /* NULL: inputs and attributes mean the same in ONNX */
  const char *outputs;                        /* names of its outputs where there are several: "values,indices" */
} tf_op;
const tf_op *nnm_tf_find_op(const char *type); /* NULL when it has no row */
bool nnm_tf_ops_are_sorted(void);              /* for tests */

typedef struct tf_edge { /* "node", "node:1"; in functions "node:output:1" */
  int32_t *node;         /* its number in the body; -1: there is no such node */
  uint32_t port;
  uint32_t output_length; /* of the output's name; 0: port counts all outputs */
  const char *output;
} tf_edge;

typedef struct tf_node {
  const unsigned char *bytes; /* NodeDef; NULL for arguments */
  size_t size;
  const char *name; /* in the file */
  uint32_t name_length;
  uint32_t first_edge, edge_count; /* data inputs, in reader->edges */
  const char *type;                /* interned */
  const tf_op *row;                /* NULL: none */
  int32_t fed;                     /* a signature's input stands for it: its number; -1: no */
  uint8_t kind;
} tf_node;

/* The nodes of a graph or function; a function's arguments come first. */
typedef struct tf_body {
  tf_node *nodes;
  uint32_t node_count, argument_count;
  nnm_strings names; /* the value is the node's number */
  tf_edge *results;  /* of a function */
  uint32_t result_count;
} tf_body;

typedef struct tf_function {
  nnm_wire_field field;
  tf_body *body;        /* NULL until it is called */
  const char **outputs; /* names of its results, in order; interned */
  uint32_t output_count;
} tf_function;

typedef struct tf_instance tf_instance;
struct tf_instance {
  const tf_body *body;
  tf_instance *caller; /* NULL: the graph itself */
  uint32_t call;       /* the calling node, in caller->body */
  uint32_t skipped;    /* inputs of the calling node in front of the arguments */
  int depth;
  const char *prefix; /* of the names of its nodes */
  uint32_t prefix_length;
  uint8_t *live;                /* each node: a result depends on it */
  uint8_t *result_live;         /* each result, likewise */
  uint32_t *output_count;       /* each node: outputs that are asked for */
  nnm_tensor_id **outputs;      /* each node: output_count entries, -1: no tensor yet; NULL: none yet */
  const nnm_tensor_id *formals; /* a While's body: what its arguments are; NULL: what the call gives */
  tf_instance **children;       /* each node: called from there */
  tf_instance *sibling;         /* another child of the same node */
};

typedef struct tf_port { /* output `port` of a node of an instance */
  tf_instance *instance;
  uint32_t node, port;
} tf_port;

typedef struct tf_signature_input {
  nnm_wire_field key, name, shape; /* of the TensorInfo */
  uint64_t type;
} tf_signature_input;

typedef struct tf_reader {
  nnm_wire_file file;
  nnm_graph_builder *builder;
  nnm_arena *graph_arena; /* of the builder */
  nnm_arena arena;        /* of what is needed only while reading */
  const char *empty;      /* "", interned */
  nnm_text name;          /* for putting names together */
  nnm_stack edges;        /* tf_edge */
  nnm_stack functions;    /* tf_function */
  nnm_strings function_names;
  nnm_stack pending;           /* tf_port: to be looked at */
  nnm_stack attributes;        /* nnm_attribute of the node being read */
  nnm_stack values;            /* 8-byte elements of attribute lists */
  nnm_stack inputs, outputs;   /* nnm_tensor_id of the node being read */
  nnm_stack listed;            /* its inputs as the file has them */
  nnm_stack signature_inputs;  /* tf_signature_input */
  nnm_stack signature_outputs; /* nnm_wire_field: names */
  tf_body *main;
  uint8_t layout; /* nnm_layout: that of the convolutions so far, for nodes that do not say theirs */
  int64_t producer;
  const char *version; /* "2.5.0"; "" */
  size_t odd_types;    /* tensors whose element type is not known; the last of them */
  uint64_t odd_type;
  size_t loops, branches; /* of TensorFlow 1 */
} tf_reader;

/* index.c */
nnm_status nnm_tf_index_functions(tf_reader *reader, const nnm_wire_field *library);
/* schema: GRAPH_DEF_NODE or FUNCTION_NODE are its fields. body is empty but for a function's arguments. */
nnm_status nnm_tf_index_graph(tf_reader *reader, const nnm_wire_field *graph, tf_body **out);
tf_function *nnm_tf_find_function(tf_reader *reader, const char *name, size_t length); /* NULL: none, or no memory */
nnm_status nnm_tf_function_body(tf_reader *reader, tf_function *function, const tf_body **out);
/* "node:1" of a signature; *edge.node is NULL for a control edge. */
nnm_status nnm_tf_read_edge(tf_reader *reader, nnm_strings *names, const char *text, size_t length, tf_edge *out);
const char *nnm_tf_node_text(const tf_instance *instance, uint32_t node, char *buffer, size_t size); /* for messages */

/* live.c */
nnm_status nnm_tf_new_instance(tf_reader *reader, const tf_body *body, tf_instance *caller, uint32_t call,
                               uint32_t skipped, tf_instance **out);
nnm_status nnm_tf_mark_live(tf_reader *reader, tf_instance *instance, uint32_t node, uint32_t port);
/* The instances that a call, If or While has; made when they are first asked for. */
nnm_status nnm_tf_children(tf_reader *reader, tf_instance *instance, uint32_t node, tf_instance **out);
/* Where an edge ends once calls, arguments and (with through_copies) Identity nodes are looked through. instance NULL:
 * argument `node` of the While body in *formal_of. */
nnm_status nnm_tf_follow(tf_reader *reader, tf_instance *instance, const tf_edge *edge, bool through_copies,
                         tf_port *out);
nnm_status nnm_tf_tensor_of(tf_reader *reader, tf_instance *instance, uint32_t node, uint32_t port, nnm_tensor_id *out);
/* For outputs up to `port`, so that they can be asked for in any order. */
nnm_status nnm_tf_make_room(tf_reader *reader, tf_instance *instance, uint32_t node, uint32_t port);
nnm_status nnm_tf_tensor_at(tf_reader *reader, tf_instance *instance, const tf_edge *edge, nnm_tensor_id *out);
const tf_edge *nnm_tf_edge_of(const tf_reader *reader, const tf_instance *instance, uint32_t node, uint32_t index);

/* emit.c */
/* Whether the node declares a shape and leaves none of it open. */
nnm_status nnm_tf_has_fixed_shape(tf_reader *reader, const tf_node *node, bool *fixed);
nnm_status nnm_tf_emit(tf_reader *reader, tf_instance *instance);
nnm_status nnm_tf_scoped_name(tf_reader *reader, const tf_instance *instance, uint32_t node, const char *suffix,
                              const char **out);

/* control.c */
nnm_status nnm_tf_emit_if(tf_reader *reader, tf_instance *instance, uint32_t node);
nnm_status nnm_tf_emit_while(tf_reader *reader, tf_instance *instance, uint32_t node);

/* tensor.c */
nnm_dtype nnm_tf_element_type(tf_reader *reader, uint64_t type);
int64_t nnm_tf_onnx_type(uint64_t type); /* ONNX's number for TensorFlow's; 0 when it has none */
nnm_status nnm_tf_read_tensor(tf_reader *reader, const nnm_wire_field *field, nnm_constant **out);
/* *rank -1: unknown. dims in the graph's arena. */
nnm_status nnm_tf_read_shape(tf_reader *reader, const nnm_wire_field *field, int32_t *rank, const int64_t **dims);

/* attribute.c */
/* Key and value of one entry of a map; what is not there has size 0. */
nnm_status nnm_tf_read_entry(tf_reader *reader, const nnm_wire_field *entry, nnm_wire_field *key,
                             nnm_wire_field *value);
/* Pushes the attributes that mean something onto reader->attributes. outputs_declared: the list of shapes that some
 * tools leave behind, size 0 when absent. */
nnm_status nnm_tf_read_attributes(tf_reader *reader, const tf_node *node, nnm_wire_field *declared);
/* One attribute's value as it lies in the file; *found false when the node has none of that name. */
nnm_status nnm_tf_find_attribute(tf_reader *reader, const tf_node *node, const char *name, nnm_wire_field *value,
                                 bool *found);
/* The name of the function that an attribute names; size 0: none. */
nnm_status nnm_tf_function_of(tf_reader *reader, const tf_node *node, const char *attribute, size_t index,
                              nnm_wire_field *name);
/* The value of a Const. */
nnm_status nnm_tf_constant_of(tf_reader *reader, const tf_node *node, nnm_constant **out);

/* translate.c: what a node becomes. */
struct tf_translation {
  tf_reader *reader;
  tf_instance *instance;
  const tf_node *from;
  uint32_t index; /* of from, in the instance's body */
  nnm_node node;  /* inputs and outputs as on the reader's stacks */
  size_t first_attribute;
  bool emitted; /* the translation has added nodes itself */
};
nnm_status nnm_tf_translate(tf_translation *x);

/* For translations: attributes so far. */
const nnm_attribute *nnm_tf_attribute(const tf_translation *x, const char *name);
int64_t nnm_tf_int(const tf_translation *x, const char *name, int64_t otherwise);
const char *nnm_tf_text(const tf_translation *x, const char *name, const char *otherwise);
const int64_t *nnm_tf_ints(const tf_translation *x, const char *name, size_t *count);
/* Sets an attribute, instead of one of that name. */
nnm_status nnm_tf_put(tf_translation *x, const char *name, nnm_attribute attribute);
nnm_status nnm_tf_put_int(tf_translation *x, const char *name, int64_t value);
nnm_status nnm_tf_put_ints(tf_translation *x, const char *name, const int64_t *values, size_t count);
nnm_status nnm_tf_put_text(tf_translation *x, const char *name, const char *value);
/* The constant behind input `index`, or NULL. */
nnm_status nnm_tf_input_constant(tf_translation *x, uint32_t index, const nnm_constant **out);
/* Takes inputs away: keeps `count` from `first`. */
void nnm_tf_keep_inputs(tf_translation *x, uint32_t first, uint32_t count);
void nnm_tf_move_input(tf_translation *x, uint32_t from, uint32_t to);
/* Adds a node like x->node; for translations that make several. */
nnm_status nnm_tf_add_node(tf_translation *x, const nnm_node *node);
/* A tensor between the nodes of one translation. */
nnm_status nnm_tf_new_tensor(tf_translation *x, const char *suffix, nnm_tensor_id *out);

/* translate_*.c, named in ops.c */
#define TF_TRANSLATION(name) nnm_status nnm_tf_translate_##name(tf_translation *x);
#include "readers/tensorflow/translations.inc"
#undef TF_TRANSLATION

#endif
