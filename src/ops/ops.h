/* Operators: one list (op_list.inc), descriptors by family. What an operator is called in each format, how its output
 * shapes follow from its inputs, and what work it does. */
#ifndef NNM_OPS_OPS_H
#define NNM_OPS_OPS_H

#include "graph/graph.h"
#include "shapes/shapes.h"

typedef enum nnm_op {
  NNM_OP_UNKNOWN = 0,
#define NNM_OP(id, onnx_name, tensorflow_name, shape_rule, work) NNM_OP_##id,
#include "ops/op_list.inc"
#undef NNM_OP
  NNM_OP_COUNT
} nnm_op;

/* What the operator costs, coarsely; kernel detection and multiply-add counts hang on it. */
typedef enum nnm_work {
  NNM_WORK_NONE,        /* no code runs: Constant, Identity, Dropout at inference */
  NNM_WORK_VIEW,        /* only the shape changes: Reshape, Flatten, Squeeze, Unsqueeze */
  NNM_WORK_ELEMENTWISE, /* one pass over the data */
  NNM_WORK_MOVE,        /* data is moved: Transpose, Concat, Slice, Pad, Gather */
  NNM_WORK_REDUCE,      /* ReduceMean, ArgMax, Softmax, normalisations */
  NNM_WORK_WINDOW,      /* pooling */
  NNM_WORK_CONVOLUTION, /* Conv, ConvTranspose and their quantised forms */
  NNM_WORK_MATRIX,      /* MatMul, Gemm, Einsum, attention */
  NNM_WORK_RECURRENT,   /* LSTM, GRU, RNN */
  NNM_WORK_CONTROL,     /* If, Loop, Scan */
  NNM_WORK_OTHER        /* NonMaxSuppression, TopK and whatever fits nowhere */
} nnm_work;

/* Whether a node is a transposition of an image that moves the channels: from axis 1 to the end, or back. Of four axes or
 * five; with three, moving them and moving them back is the same. */
bool nnm_moves_channels(const nnm_node *node, bool to_last);

nnm_op nnm_op_of_onnx(const char *domain, const char *type); /* NNM_OP_UNKNOWN for a custom operator */
nnm_op nnm_op_of_tensorflow(const char *type);               /* also the names used in nn-Meter IR */
nnm_op nnm_op_of_graph_def(const char *type);                /* TensorFlow's names and no others */
const char *nnm_op_name(nnm_op op);                          /* our name: the ONNX one where there is one */
nnm_work nnm_op_work(nnm_op op);

/* Geometry of a convolution or pooling window, whatever the format and layout. Spatial arrays hold `spatial` entries,
 * outermost first (depth, height, width). */
typedef struct nnm_window {
  int spatial; /* 1, 2 or 3 */
  int64_t batch, input_channels, output_channels, group;
  int64_t input[3], output[3], kernel[3], stride[3], dilation[3], pad_begin[3], pad_end[3]; /* elements */
  bool transposed;
  bool global; /* global pooling, or a window that covers the whole map */
} nnm_window;

/* false when the node is no convolution or pooling, or its shapes are unknown. */
bool nnm_window_of(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id node, nnm_window *out);

/* The type in which a tensor is kept: that of the 8-bit numbers where the file has those and only says how to read them
 * as float (DequantizeLinear), looked at through views. */
nnm_dtype nnm_stored_dtype(const nnm_graph *graph, const nnm_shapes *shapes, nnm_tensor_id tensor);

/* What attention and recurrent layers work on: stacks of rows. */
typedef struct nnm_rows {
  int64_t stacks;  /* images, times heads for attention */
  int64_t rows;    /* queries; steps of a sequence */
  int64_t columns; /* of the result: elements of one head's value; hidden units, both directions together */
  int64_t weights; /* of a recurrent layer, biases excluded; 0 for attention */
} nnm_rows;

/* false when the node is neither, or its shapes are unknown. */
bool nnm_rows_of(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id node, nnm_rows *out);

/* Multiply-adds of convolutions, matrix products, recurrent layers and attention (0 for the rest), as catalogues count
 * them. INT64_MAX when it overflows. */
int64_t nnm_node_multiply_adds(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id node);

#endif
