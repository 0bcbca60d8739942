/* What the files of the ONNX reader share. Nobody else includes this. */
#ifndef NNM_READERS_ONNX_ONNX_H
#define NNM_READERS_ONNX_ONNX_H

#include "base/stack.h"
#include "base/text.h"
#include "graph/builder.h"
#include "ops/ops.h"
#include "readers/onnx/schema.h"

typedef struct onnx_function {
  const unsigned char *bytes;
  size_t size;
  bool in_progress; /* being inlined now: another call to it would never end */
} onnx_function;

/* A function being inlined. Its formal names stand for tensors of the caller; all others get a prefix. */
typedef struct onnx_scope {
  struct onnx_scope *caller; /* NULL: called from the model itself */
  int function_depth;        /* 1 for a function called from the model */
  int body_depth;            /* of the block the call stands in */
  const char *prefix;        /* "conv#3/" */
  nnm_strings names;         /* formal names; the value is a tensor id, NAME_OF_FUNCTION or NAME_ABSENT */
  nnm_arena arena;
  nnm_wire_field call; /* the calling node: its attributes are the actual ones */
  const onnx_function *function;
} onnx_scope;

/* What kind of value an attribute of that interned name takes (kinds.c). */
typedef struct onnx_kind {
  const char *name;
  uint8_t kind;
} onnx_kind;
enum { ONNX_KIND_SLOTS = 64 };

typedef struct onnx_reader {
  nnm_wire_file file;
  nnm_graph_builder *builder;
  nnm_stack inputs, outputs;  /* nnm_tensor_id */
  nnm_stack raw_attributes;   /* nnm_wire_field: of nodes whose head is being read */
  nnm_stack attributes;       /* nnm_attribute */
  nnm_stack values;           /* 8-byte elements of attribute lists */
  const char *empty;          /* "", interned */
  nnm_text name;              /* for putting names together */
  int body_depth;             /* If/Loop/Scan bodies around the current node */
  size_t node_count;          /* read so far, for messages */
  onnx_scope *scope;          /* NULL: in the model itself */
  nnm_stack functions;        /* onnx_function */
  nnm_strings function_names; /* "domain / name / overload" -> index into functions */
  nnm_arena arena;            /* of function_names */
  size_t call_count;          /* functions inlined so far */
  int64_t opset;
  size_t odd_types; /* tensors whose element type has a number that is not known; the last such number */
  uint64_t odd_type;
  onnx_kind kinds[ONNX_KIND_SLOTS]; /* looked up before, by address of the name */
  /* How the main graph's inputs are used, by tensor id: they are its first tensors. See weights.c. */
  nnm_stack input_uses; /* onnx_input_use */
} onnx_reader;

/* names.c: texts of the file, checked and interned. */
nnm_status nnm_onnx_name(onnx_reader *reader, const nnm_wire_field *field, const char **out);
/* Attribute texts are bytes to ONNX: what is not UTF-8 becomes '?', what is long is cut at NNM_LIMIT_NAME_BYTES (no
 * operator's meaning hangs on such a text). */
nnm_status nnm_onnx_text(onnx_reader *reader, const nnm_wire_field *field, const char **out);
/* A name as the current function's prefix makes it. */
nnm_status nnm_onnx_scoped_name(onnx_reader *reader, const nnm_wire_field *field, const char **out);
/* The tensor that a name stands for where it is read (-1: absent) or written. */
nnm_status nnm_onnx_tensor_read(onnx_reader *reader, const nnm_wire_field *field, nnm_tensor_id *out);
nnm_status nnm_onnx_tensor_written(onnx_reader *reader, const nnm_wire_field *field, nnm_tensor_id *out);

/* tensor.c */
/* Counts numbers that are those of no type; 0 is "not said". */
nnm_dtype nnm_onnx_element_type(onnx_reader *reader, uint64_t data_type);
typedef struct onnx_named_constant {
  nnm_wire_field name; /* size 0 when unnamed */
  nnm_constant *constant;
} onnx_named_constant;
nnm_status nnm_onnx_constant(onnx_reader *reader, const nnm_wire_field *field, onnx_named_constant *out);
nnm_status nnm_onnx_sparse_constant(onnx_reader *reader, const nnm_wire_field *field, onnx_named_constant *out);

/* attribute.c: pushes what the attribute becomes onto reader->attributes. name NULL: its own. */
nnm_status nnm_onnx_read_attribute(onnx_reader *reader, const nnm_wire_field *field, const char *name);

/* kinds.c: fail when a standard operator's attribute is of the wrong kind, or when the attribute `index` of
 * reader->attributes has the name of one from `first` on. field: where it stands. */
nnm_status nnm_onnx_check_kind(onnx_reader *reader, const nnm_wire_field *field, const nnm_node *node,
                               const nnm_attribute *attribute);
nnm_status nnm_onnx_check_twice(onnx_reader *reader, const nnm_wire_field *field, const nnm_node *node, size_t first,
                                size_t index);

/* graph.c */
nnm_status nnm_onnx_read_graph(onnx_reader *reader, const nnm_wire_field *field);
nnm_status nnm_onnx_read_node(onnx_reader *reader, const nnm_wire_field *field);
/* Declares what a ValueInfoProto says of a tensor, if there is such a tensor. */
nnm_status nnm_onnx_read_value_info(onnx_reader *reader, const nnm_wire_field *field);

/* function.c */
typedef struct onnx_call {
  const nnm_wire_field *node;
  const char *name, *type;          /* of the calling node */
  size_t first_input, first_output; /* on the reader's stacks; they reach to the top */
} onnx_call;
nnm_status nnm_onnx_add_function(onnx_reader *reader, const nnm_wire_field *field);
/* NULL when the model has no such function. */
nnm_status nnm_onnx_find_function(onnx_reader *reader, const char *domain, const char *type, const char *overload,
                                  onnx_function **out);
nnm_status nnm_onnx_inline(onnx_reader *reader, onnx_function *function, const onnx_call *call);
/* The attribute that the current function's caller gives for a name, or the function's default; *scope is where it has
 * to be read. *found false: neither. */
nnm_status nnm_onnx_actual_attribute(onnx_reader *reader, const char *name, nnm_wire_field *out, onnx_scope **scope,
                                     bool *found);
enum { NAME_OF_FUNCTION = -1, NAME_ABSENT = -2 };

nnm_status nnm_onnx_read_opset(onnx_reader *reader, const nnm_wire_field *field);

/* weights.c: graph inputs that are weights in truth. */
typedef struct onnx_input_use {
  bool known_shape;       /* declared in full */
  bool named_like_weight; /* as PyTorch names parameters: "layer1.0.conv1.weight" */
  uint8_t ports;          /* kinds of ports that read it: a set of port_kind of weights.c */
} onnx_input_use;
nnm_status nnm_onnx_note_input(onnx_reader *reader, const nnm_wire_field *name, bool known_shape);
void nnm_onnx_note_use(onnx_reader *reader, const nnm_node *node);
/* An input that stays what it is: an output as well, or a weight already. */
void nnm_onnx_settle_input(onnx_reader *reader, nnm_tensor_id tensor);
nnm_status nnm_onnx_mark_weights(onnx_reader *reader);

/* layouts.c: sets the layout of the nodes of a finished graph that have their channels last. */
nnm_status nnm_onnx_find_layouts(nnm_graph *graph, nnm_error *error);

#endif
