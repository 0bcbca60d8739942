/* What shape rules and folding work with: the inference under way, and helpers to read inputs and set outputs.
 *
 * A rule sets the shape (and dtype, where it is not that of the first input) of every output it can. It leaves outputs
 * alone when an input it needs is unknown; the driver decides what that means. It fails only when the node is impossible
 * for the shapes it is given. */
#ifndef NNM_OPS_RULE_H
#define NNM_OPS_RULE_H

#include "base/status.h"
#include "graph/graph.h"
#include "ops/ops.h"
#include "shapes/shapes.h"

/* What is known of a sequence of tensors. */
typedef struct nnm_sequence {
  int64_t count;          /* items; -1: unknown */
  const nnm_shape *items; /* count entries; one entry that stands for all when count is -1 */
  nnm_dtype dtype;
  bool is_list;   /* one of TensorFlow's: what goes from node to node is a handle, a scalar; items perhaps of rank -1 */
  int64_t length; /* of a list; -1: unknown */
} nnm_sequence;

typedef struct nnm_inference nnm_inference;
struct nnm_inference {
  const nnm_graph *graph;
  nnm_shapes *shapes;             /* being filled */
  const nnm_sequence **sequences; /* graph->tensor_count entries, NULL where no sequence; NULL while there is none */
  uint8_t *needed;                /* graph->tensor_count entries: a shape may depend on the tensor's value */
  uint8_t *tainted;               /* graph->tensor_count entries: depends on a custom operator of unknown shape */
  uint8_t *guessed;               /* graph->tensor_count entries: the shape depends on data, or on one that does */
  int64_t budget;                 /* elements of constants that may still be computed with, over the whole graph */
  bool out_of_memory;             /* while computing a value; the driver turns it into an error */
  int64_t turns;                  /* of the loops around the current block */
  const char *advice;             /* what to do about an impossible node; NULL: nothing is said */
  double cost;           /* multiply-adds and elements written by the nodes so far, to compare branches of an If */
  size_t contradictions; /* outputs whose declared shape is another one */
  nnm_tensor_id contradiction; /* the first of them */
  const char **notes;
  size_t note_count, note_capacity, notes_left_out;
  /* Infers a body whose inputs have their shapes; turns: how often it runs for each run of its owner. */
  nnm_status (*infer_block)(nnm_inference *inference, nnm_block_id block, int64_t turns, nnm_error *error);
};

typedef nnm_status (*nnm_shape_rule)(nnm_inference *inference, const nnm_node *node, nnm_error *error);

nnm_shape_rule nnm_op_shape_rule(int32_t op); /* NULL for NNM_OP_UNKNOWN */

#define NNM_OP(id, onnx_name, tensorflow_name, shape_rule, work) \
  nnm_status nnm_rule_##shape_rule(nnm_inference *inference, const nnm_node *node, nnm_error *error);
#include "ops/op_list.inc"
#undef NNM_OP

/* ------------------------------------------------------------------ inputs */

bool nnm_has_input(const nnm_node *node, uint32_t index); /* given, and not left out */
/* The shape of an input, or NULL when it is left out or of unknown rank. */
const nnm_shape *nnm_shape_of_input(const nnm_inference *inference, const nnm_node *node, uint32_t index);
nnm_dtype nnm_input_dtype(const nnm_inference *inference, const nnm_node *node, uint32_t index);
/* The value of an input when it is a small known constant (decoded on demand), else NULL. */
const nnm_value *nnm_input_value(nnm_inference *inference, const nnm_node *node, uint32_t index);
/* The value of a tensor, likewise. */
const nnm_value *nnm_tensor_value(nnm_inference *inference, nnm_tensor_id tensor);

int64_t nnm_value_int(const nnm_value *value, size_t index); /* truncated when a float; 0 outside of it */
double nnm_value_float(const nnm_value *value, size_t index);

typedef enum nnm_found { NNM_ABSENT, NNM_KNOWN, NNM_DEPENDS_ON_DATA } nnm_found;

/* Integers given as an attribute in some opsets and as an input in others (input -1: never). NNM_KNOWN: *values holds
 * *count numbers. NNM_DEPENDS_ON_DATA: an input whose value is not known. */
nnm_found nnm_find_ints(nnm_inference *inference, const nnm_node *node, const char *attribute, int input,
                        const int64_t **values, size_t *count);

/* ----------------------------------------------------------------- outputs */

/* Copies dims. Fails when a dim is negative or over the limits. An output that is left out is ignored. */
nnm_status nnm_set_shape(nnm_inference *inference, const nnm_node *node, uint32_t output, int32_t rank,
                         const int64_t *dims, nnm_error *error);
/* Takes a shape over as it is; its dims must outlive the inference. */
void nnm_share_shape(nnm_inference *inference, const nnm_node *node, uint32_t output, const nnm_shape *shape);
void nnm_set_dtype(nnm_inference *inference, const nnm_node *node, uint32_t output, nnm_dtype dtype);
/* Says that the shape of an output is a guess, so that what the file declares counts for more. */
void nnm_mark_guessed(nnm_inference *inference, const nnm_node *node, uint32_t output);
/* ONNX's numbers for element types, as attributes have them; NNM_DTYPE_UNKNOWN for others. */
nnm_dtype nnm_dtype_of_onnx(int64_t number);
/* The type of output 0 by an attribute that holds such a number (absent: `otherwise`). A number of no known type is a
 * note: the type is then taken as that of the first input. */
nnm_status nnm_set_dtype_by(nnm_inference *inference, const nnm_node *node, const char *attribute, int64_t otherwise,
                            nnm_error *error);
nnm_status nnm_set_sequence(nnm_inference *inference, const nnm_node *node, uint32_t output,
                            const nnm_sequence *sequence, nnm_error *error);
const nnm_sequence *nnm_input_sequence(const nnm_inference *inference, const nnm_node *node, uint32_t index);

/* ---------------------------------------------------------------- messages */

/* The node is impossible. A message without a remedy of its own (behind "; ") gets the inference's advice. */
nnm_status nnm_fail_node(const nnm_inference *inference, const nnm_node *node, nnm_error *error, const char *format,
                         ...) __attribute__((format(printf, 4, 5)));
/* A guess, told to the user: "Loop 'x' (node 3): ..." */
nnm_status nnm_note_node(nnm_inference *inference, const nnm_node *node, nnm_error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
nnm_status nnm_note(nnm_inference *inference, nnm_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum { NNM_SHAPE_TEXT = 160 };
const char *nnm_shape_text(const nnm_shape *shape, char *buffer, size_t size); /* "1x3x224x224"; "scalar"; "?" */

/* ----------------------------------------------------------------- numbers */

/* Makes an axis of -rank..rank-1 positive; false when out of range. */
bool nnm_resolve_axis(int64_t axis, int32_t rank, int32_t *out);
/* Sets mask bits for axes (duplicates allowed); false when one is out of range. rank <= NNM_LIMIT_RANK. */
bool nnm_resolve_axes(const int64_t *axes, size_t count, int32_t rank, uint32_t *mask);
/* numpy's broadcasting; false when the shapes do not fit. */
bool nnm_broadcast_dims(const nnm_shape *a, const nnm_shape *b, int64_t *dims, int32_t *rank);
extern const int64_t nnm_no_dims[1]; /* of a scalar: dims are never NULL, so that they can be copied */
bool nnm_same_shape(const nnm_shape *a, const nnm_shape *b);
int64_t nnm_divide_up(int64_t a, int64_t b); /* a >= 0, b > 0 */

#endif
