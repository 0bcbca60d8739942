/* The graph every reader makes and every later stage reads: flat arrays indexed by integers, names interned, all memory
 * in one arena. Immutable once nnm_graph_builder_finish has checked it.
 *
 * It keeps what the file said (names, operator types, attributes, known shapes) without interpreting it; operators are
 * identified through src/ops, shapes are inferred by src/shapes. */
#ifndef NNM_GRAPH_GRAPH_H
#define NNM_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/strings.h"

typedef int32_t nnm_tensor_id; /* index into graph.tensors; -1: absent (an optional input left out) */
typedef int32_t nnm_node_id;   /* index into graph.nodes; -1: none */
typedef int32_t nnm_block_id;  /* index into graph.blocks; 0 is the main graph; -1: none */

typedef enum nnm_dtype {
  NNM_DTYPE_UNKNOWN = 0,
  NNM_DTYPE_F32,
  NNM_DTYPE_F16,
  NNM_DTYPE_BF16,
  NNM_DTYPE_F64,
  NNM_DTYPE_F8,
  NNM_DTYPE_I8,
  NNM_DTYPE_I16,
  NNM_DTYPE_I32,
  NNM_DTYPE_I64,
  NNM_DTYPE_I4,
  NNM_DTYPE_U8,
  NNM_DTYPE_U16,
  NNM_DTYPE_U32,
  NNM_DTYPE_U64,
  NNM_DTYPE_U4,
  NNM_DTYPE_BOOL,
  NNM_DTYPE_STRING,
  NNM_DTYPE_COMPLEX
} nnm_dtype;

const char *nnm_dtype_name(nnm_dtype dtype);
int nnm_dtype_bits(nnm_dtype dtype); /* bits per element; unknown counts as 32, strings and complex as 64 */

/* Values stored in the file. bytes are raw little-endian elements, borrowed from the mapped file or the arena (perhaps
 * unaligned); NULL when the file has none (stripped or external weights). `splat` repeats one element for the whole
 * tensor (a ConstantOfShape-like weight). */
typedef struct nnm_constant {
  nnm_dtype dtype;
  int32_t rank;
  const int64_t *dims;
  const unsigned char *bytes;
  size_t size; /* bytes available */
  bool splat;
} nnm_constant;

typedef enum nnm_tensor_flag {
  NNM_TENSOR_INPUT = 1,  /* a model input (of the main graph), weights excluded */
  NNM_TENSOR_OUTPUT = 2, /* a model output */
  NNM_TENSOR_WEIGHT = 4, /* a stored constant: initializer, or graph input that is a weight (export_params=False) */
  NNM_TENSOR_BLOCK_INPUT = 8, /* formal input of an If/Loop/Scan body */
  NNM_TENSOR_LISTED = 16      /* a weight that the file lists among its inputs as well */
} nnm_tensor_flag;

typedef struct nnm_tensor {
  const char *name; /* interned; unique within its block and the blocks around it; "" never occurs */
  nnm_dtype dtype;
  int32_t rank;               /* as declared in the file; -1: unknown */
  const int64_t *dims;        /* rank entries; -1: symbolic */
  const char *const *symbols; /* rank entries ("batch", NULL where none), or NULL */
  uint32_t flags;             /* nnm_tensor_flag */
  nnm_node_id producer;       /* -1: input or weight */
  nnm_block_id block;
  const nnm_constant *constant; /* non-NULL only with NNM_TENSOR_WEIGHT */
  const char *alias;            /* a model input's other name: what a signature calls it; NULL: none */
} nnm_tensor;

typedef enum nnm_attribute_kind {
  NNM_ATTRIBUTE_INT,
  NNM_ATTRIBUTE_FLOAT,
  NNM_ATTRIBUTE_TEXT,
  NNM_ATTRIBUTE_INTS,
  NNM_ATTRIBUTE_FLOATS,
  NNM_ATTRIBUTE_TEXTS,
  NNM_ATTRIBUTE_TENSOR,
  NNM_ATTRIBUTE_BLOCK
} nnm_attribute_kind;

typedef struct nnm_attribute {
  const char
      *name; /* interned, as in the file's format (readers translate to ONNX's names: kernel_shape, strides...) */
  nnm_attribute_kind kind;
  size_t count; /* INTS, FLOATS, TEXTS */
  union {
    int64_t integer;
    double number;
    const char *text;
    const int64_t *integers;
    const double *numbers;
    const char *const *texts;
    const nnm_constant *tensor;
    nnm_block_id block;
  } as;
} nnm_attribute;

/* How a node reads its image and weight tensors. ONNX is always channels first with weights O,I,spatial. */
typedef enum nnm_layout { NNM_CHANNELS_FIRST = 0, NNM_CHANNELS_LAST } nnm_layout;
typedef enum nnm_weight_layout {
  NNM_WEIGHT_OIX = 0, /* ONNX, torch: outputs, inputs per group, spatial */
  NNM_WEIGHT_XIO,     /* TensorFlow: spatial, inputs per group, outputs (depthwise: spatial, channels, multiplier) */
  NNM_WEIGHT_OXI      /* TFLite: outputs, spatial, inputs per group (depthwise: 1, spatial, channels*multiplier) */
} nnm_weight_layout;

typedef struct nnm_node {
  const char *name;   /* interned; "" when unnamed; not unique */
  const char *type;   /* interned operator type as in the file: "Conv", "DepthwiseConv2dNative" */
  const char *domain; /* interned; "" for the format's standard operators */
  int32_t op;         /* nnm_op of src/ops/ops.h; NNM_OP_UNKNOWN (0) for a custom operator */
  uint8_t layout, weight_layout;
  nnm_block_id block;
  uint32_t input_count, output_count, attribute_count;
  const nnm_tensor_id *inputs, *outputs;
  const nnm_attribute *attributes;
  /* The inputs as the file lists them, where a reader has left some out or moved them; listed NULL: they are `inputs`. */
  const nnm_tensor_id *listed;
  uint32_t listed_count;
} nnm_node;

typedef struct nnm_block {
  nnm_block_id parent; /* -1 for the main graph */
  nnm_node_id owner;   /* the If/Loop/Scan node it is a body of; -1 for the main graph */
  const char *name;    /* "then_branch", "body"; the model's name for block 0 */
  uint32_t node_count, input_count, output_count;
  const nnm_node_id *nodes; /* in topological order */
  const nnm_tensor_id *inputs, *outputs;
} nnm_block;

typedef struct nnm_graph {
  nnm_arena arena;
  nnm_strings strings;
  const char *format;   /* of the reader */
  const char *producer; /* "pytorch 2.13.0"; "" */
  int32_t opset;        /* version of the standard operator set; 0 where the format has none */
  bool is_converted;    /* by the converter of a runtime (TFLite), so that what it left in the file is really run */
  nnm_tensor *tensors;
  nnm_node *nodes; /* in file order */
  nnm_block *blocks;
  int32_t tensor_count, node_count, block_count;
  /* For each tensor the nodes that read it (of any block), as ranges into consumer_nodes; a node that reads a tensor
   * twice is listed twice. */
  const uint32_t *consumer_start; /* tensor_count + 1 entries */
  const nnm_node_id *consumer_nodes;
  size_t note_count;
  const char *const *notes; /* what the reader guessed, or could not use; printable */
} nnm_graph;

void nnm_graph_free(nnm_graph *graph); /* NULL is fine */

/* The attribute, or NULL. Linear in the node's attributes (a handful). */
const nnm_attribute *nnm_find_attribute(const nnm_node *node, const char *name);
int64_t nnm_attribute_int(const nnm_node *node, const char *name, int64_t otherwise);
double nnm_attribute_float(const nnm_node *node, const char *name, double otherwise);
const char *nnm_attribute_text(const nnm_node *node, const char *name, const char *otherwise);
/* The integers of an INTS attribute; *count 0 and NULL when absent or of another kind. */
const int64_t *nnm_attribute_ints(const nnm_node *node, const char *name, size_t *count);

/* Element i of a constant of integer, boolean or float dtype, as int64 or double; false when out of range, without
 * bytes, or not a number. */
bool nnm_constant_int(const nnm_constant *constant, size_t index, int64_t *value);
bool nnm_constant_float(const nnm_constant *constant, size_t index, double *value);

/* "Conv 'conv1' (node 17)": for messages. Writes into buffer and returns it. */
const char *nnm_node_label(const nnm_graph *graph, nnm_node_id node, char *buffer, size_t size);

#endif
