/* What the files of the TFLite reader share. Nobody else includes this.
 *
 *   flatbuffer  offsets, tables and vectors, every one checked
 *   tflite      the model: operator codes, which subgraph to read
 *   tensors     tensors, made when they are first read or written
 *   graph       subgraphs and operators, in the order of the file
 *   operators   the table of operators (operators.inc), and how options become attributes
 *   translate   operators that take more than that
 *   stablehlo   the same for the operators of StableHLO
 *   control     operators that run another subgraph, and variables */
#ifndef NNM_READERS_TFLITE_TFLITE_H
#define NNM_READERS_TFLITE_TFLITE_H

#include "base/limits.h"
#include "graph/builder.h"
#include "ops/ops.h"
#include "readers/flatbuffer.h"
#include "readers/tflite/schema.h"

typedef struct tflite_code { /* of Model.operator_codes */
  uint32_t builtin;
  const char *custom; /* interned; "" for builtin operators */
} tflite_code;

/* A tensor of a subgraph that is being read. */
typedef struct tflite_tensor {
  bool is_made;
  nnm_dtype dtype;
  uint32_t type; /* the file's number */
  nnm_tensor_id id;
  int32_t rank;                 /* as the file says; -1: unknown */
  const int64_t *dims;          /* -1 where the file leaves it open */
  const nnm_constant *constant; /* NULL: no weight */
} tflite_tensor;

/* One reading of a subgraph: several operators may run the same one. */
typedef struct tflite_scope {
  size_t subgraph;
  nnm_flat_vector tables; /* its tensors in the file */
  tflite_tensor *tensors;
  bool is_model; /* the model itself, whose inputs are the model's */
} tflite_scope;

typedef struct tflite_reader {
  nnm_flat_file file;
  nnm_graph_builder *builder;
  nnm_arena *arena; /* of the graph */
  const char *empty;
  nnm_flat_vector subgraphs, buffers;
  tflite_code *codes;
  size_t code_count;
  uint8_t *in_progress; /* by subgraph: being read now; another run of it would never end */
  int depth;            /* of subgraphs that run each other */
  size_t renamed;       /* tensors whose name another one has */
  size_t odd_types;     /* tensors of a type that is not known, and one of them */
  uint32_t odd_type;
} tflite_reader;

enum { TFLITE_MOST_ATTRIBUTES = 16, TFLITE_FEW_PORTS = 16, TFLITE_ABSENT = -1 };

struct tflite_operator;

/* An operator that is being translated. */
typedef struct tflite_node {
  tflite_reader *reader;
  tflite_scope *scope;
  size_t index; /* in its subgraph */
  const struct tflite_operator *row;
  nnm_flat_table table, options;
  nnm_flat_vector ports[2]; /* its inputs and outputs in the file */
  nnm_node node;            /* under construction */
  nnm_tensor_id *inputs, *outputs;
  nnm_attribute attributes[TFLITE_MOST_ATTRIBUTES];
  nnm_tensor_id few_inputs[TFLITE_FEW_PORTS], few_outputs[TFLITE_FEW_PORTS];
  bool is_added; /* the translation has put nodes into the graph itself */
} tflite_node;

typedef nnm_status (*tflite_translation)(tflite_node *x);

typedef enum tflite_option_kind { TFLITE_BOOL, TFLITE_INT32, TFLITE_INT64, TFLITE_FLOAT } tflite_option_kind;

/* An option that only has another name in ONNX. */
typedef struct tflite_option {
  uint8_t field;
  uint8_t kind;          /* tflite_option_kind */
  const char *attribute; /* NULL ends the list */
} tflite_option;

typedef struct tflite_operator {
  const char *name;             /* NULL: no such operator */
  nnm_op op;                    /* NNM_OP_UNKNOWN: shapes are those of the file */
  uint8_t options_type;         /* of the union that holds its options; 0: they do not matter */
  int8_t activation;            /* field of its options with an activation fused behind it; -1: none */
  const tflite_option *options; /* may be NULL */
  tflite_translation translate; /* may be NULL */
} tflite_operator;

/* By the number of the builtin operator; NULL when there is none of that number. */
const tflite_operator *nnm_tflite_operator(uint32_t builtin);

/* ---- tensors.c */

nnm_status nnm_tflite_open_scope(tflite_reader *reader, size_t subgraph, nnm_flat_table *table, tflite_scope *scope);
void nnm_tflite_close_scope(tflite_reader *reader, tflite_scope *scope);
/* The tensor of that number: read (a weight, when nothing has made it) or written. -1: *out is NULL. */
nnm_status nnm_tflite_tensor(tflite_reader *reader, tflite_scope *scope, int64_t index, bool is_written,
                             tflite_tensor **out);
/* An interned name that nothing visible has: the text, or the text with a number behind it. */
nnm_status nnm_tflite_free_name(tflite_reader *reader, const char *text, size_t length, const char **out);
/* Makes the tensor of a body a name for one of the caller's. */
nnm_status nnm_tflite_bind(tflite_reader *reader, tflite_scope *scope, int64_t index, const tflite_tensor *actual);
/* Weights that the file has and no operator reads belong to the graph, too. */
nnm_status nnm_tflite_keep_unread(tflite_reader *reader, tflite_scope *scope);

/* ---- graph.c */

/* Reads the operators of a subgraph whose inputs are made or bound. */
nnm_status nnm_tflite_read_operators(tflite_reader *reader, tflite_scope *scope, const nnm_flat_table *subgraph);
nnm_status nnm_tflite_read_model_graph(tflite_reader *reader, size_t subgraph);
/* Puts the node into the graph, with the activation that is fused behind it. */
nnm_status nnm_tflite_add(tflite_node *x);

/* The i-th input in the file, and whether it is there. */
tflite_tensor *nnm_tflite_input(const tflite_node *x, size_t i);
tflite_tensor *nnm_tflite_output(const tflite_node *x, size_t i);
/* An element of a constant input; false when the input is no constant or does not have it. */
bool nnm_tflite_constant(const tflite_node *x, size_t input, size_t element, int64_t *value);
/* All elements, at most NNM_LIMIT_RANK. */
bool nnm_tflite_constants(const tflite_node *x, size_t input, int64_t *values, size_t *count);

nnm_status nnm_tflite_put_int(tflite_node *x, const char *name, int64_t value);
nnm_status nnm_tflite_put_float(tflite_node *x, const char *name, double value);
nnm_status nnm_tflite_put_ints(tflite_node *x, const char *name, const int64_t *values, size_t count);
nnm_status nnm_tflite_put_text(tflite_node *x, const char *name, const char *value); /* lives as long as the graph */
nnm_status nnm_tflite_put_block(tflite_node *x, const char *name, nnm_block_id block);
/* Chooses which of the file's inputs the node reads, in which order; -1 leaves one out. */
nnm_status nnm_tflite_take_inputs(tflite_node *x, const int *order, size_t count);
/* A node of one input and one output in front of the node, which then reads its output as input `port`. */
nnm_status nnm_tflite_add_in_front(tflite_node *x, uint32_t port, nnm_op op, const char *type, const char *attribute,
                                   const int64_t *values, size_t count);
/* A new tensor of the type of another one. */
nnm_status nnm_tflite_new_tensor(tflite_node *x, const char *name, const char *suffix, nnm_dtype dtype,
                                 nnm_tensor_id *out);

/* Fails with place "operator 12 (CONV_2D) of subgraph 0". */
nnm_status nnm_tflite_fail(const tflite_node *x, nnm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- translate.c */

/* Each takes an operator's inputs and options and gives the node what its shape rule asks for. */
nnm_status nnm_tflite_conv_2d(tflite_node *x);
nnm_status nnm_tflite_depthwise(tflite_node *x);
nnm_status nnm_tflite_conv_3d(tflite_node *x);
nnm_status nnm_tflite_transpose_conv(tflite_node *x);
nnm_status nnm_tflite_conv_3d_transpose(tflite_node *x);
nnm_status nnm_tflite_pool(tflite_node *x);
nnm_status nnm_tflite_dense(tflite_node *x);
nnm_status nnm_tflite_reshape(tflite_node *x);
nnm_status nnm_tflite_squeeze(tflite_node *x);
nnm_status nnm_tflite_transpose(tflite_node *x);
nnm_status nnm_tflite_concatenate(tflite_node *x);
nnm_status nnm_tflite_split(tflite_node *x);
nnm_status nnm_tflite_split_v(tflite_node *x);
nnm_status nnm_tflite_arg(tflite_node *x);
nnm_status nnm_tflite_embedding(tflite_node *x);
nnm_status nnm_tflite_select_boxes(tflite_node *x);
nnm_status nnm_tflite_quantize(tflite_node *x);
nnm_status nnm_tflite_clip_n1(tflite_node *x);
nnm_status nnm_tflite_clip_01(tflite_node *x);
nnm_status nnm_tflite_select_rows(tflite_node *x);
nnm_status nnm_tflite_lstm(tflite_node *x);
nnm_status nnm_tflite_multinomial(tflite_node *x);

/* ---- stablehlo.c */

nnm_status nnm_tflite_hlo_clamp(tflite_node *x);
nnm_status nnm_tflite_hlo_reshape(tflite_node *x);
nnm_status nnm_tflite_hlo_slice(tflite_node *x);
nnm_status nnm_tflite_hlo_transpose(tflite_node *x);
nnm_status nnm_tflite_hlo_dynamic_slice(tflite_node *x);
nnm_status nnm_tflite_hlo_pad(tflite_node *x);
nnm_status nnm_tflite_hlo_reduce(tflite_node *x);
nnm_status nnm_tflite_hlo_reduce_window(tflite_node *x);
nnm_status nnm_tflite_hlo_dot_general(tflite_node *x);
nnm_status nnm_tflite_hlo_convolution(tflite_node *x);

/* ---- control.c */

nnm_status nnm_tflite_run_if(tflite_node *x);
nnm_status nnm_tflite_run_while(tflite_node *x);
nnm_status nnm_tflite_run_once(tflite_node *x);
nnm_status nnm_tflite_run_composite(tflite_node *x);
nnm_status nnm_tflite_read_variable(tflite_node *x);

#endif
