/* The parts of ONNX's protobuf messages that matter here: field numbers, and which fields each step of the reader
 * looks at. Numbers as in onnx.proto of ONNX 1.23 (IR version 14); they never change once given. */
#ifndef NNM_READERS_ONNX_SCHEMA_H
#define NNM_READERS_ONNX_SCHEMA_H

#include "readers/wire.h"

enum {
  MODEL_IR_VERSION = 1,
  MODEL_PRODUCER_NAME = 2,
  MODEL_PRODUCER_VERSION = 3,
  MODEL_DOMAIN = 4,
  MODEL_VERSION = 5,
  MODEL_DOC_STRING = 6,
  MODEL_GRAPH = 7,
  MODEL_OPSET_IMPORT = 8,
  MODEL_METADATA = 14,
  MODEL_TRAINING_INFO = 20,
  MODEL_FUNCTIONS = 25,
  MODEL_CONFIGURATION = 26
};
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };
enum {
  GRAPH_NODE = 1,
  GRAPH_NAME = 2,
  GRAPH_INITIALIZER = 5,
  GRAPH_INPUT = 11,
  GRAPH_OUTPUT = 12,
  GRAPH_VALUE_INFO = 13,
  GRAPH_SPARSE_INITIALIZER = 15
};
enum {
  NODE_INPUT = 1,
  NODE_OUTPUT = 2,
  NODE_NAME = 3,
  NODE_OP_TYPE = 4,
  NODE_ATTRIBUTE = 5,
  NODE_DOMAIN = 7,
  NODE_OVERLOAD = 8
};
enum {
  ATTRIBUTE_NAME = 1,
  ATTRIBUTE_F = 2,
  ATTRIBUTE_I = 3,
  ATTRIBUTE_S = 4,
  ATTRIBUTE_T = 5,
  ATTRIBUTE_G = 6,
  ATTRIBUTE_FLOATS = 7,
  ATTRIBUTE_INTS = 8,
  ATTRIBUTE_STRINGS = 9,
  ATTRIBUTE_TENSORS = 10,
  ATTRIBUTE_GRAPHS = 11,
  ATTRIBUTE_TYPE_PROTO = 14,
  ATTRIBUTE_TYPE_PROTOS = 15,
  ATTRIBUTE_TYPE = 20,
  ATTRIBUTE_REFERENCE = 21,
  ATTRIBUTE_SPARSE_TENSOR = 22,
  ATTRIBUTE_SPARSE_TENSORS = 23
};
enum {
  TENSOR_DIMS = 1,
  TENSOR_DATA_TYPE = 2,
  TENSOR_FLOAT_DATA = 4,
  TENSOR_INT32_DATA = 5,
  TENSOR_STRING_DATA = 6,
  TENSOR_INT64_DATA = 7,
  TENSOR_NAME = 8,
  TENSOR_RAW_DATA = 9,
  TENSOR_DOUBLE_DATA = 10,
  TENSOR_UINT64_DATA = 11,
  TENSOR_DATA_LOCATION = 14
};
enum { SPARSE_VALUES = 1, SPARSE_DIMS = 3 };
enum { VALUE_NAME = 1, VALUE_TYPE = 2 };
enum { TYPE_TENSOR = 1, TYPE_SPARSE_TENSOR = 8 };
enum { TENSOR_TYPE_ELEMENT = 1, TENSOR_TYPE_SHAPE = 2 };
enum { SHAPE_DIM = 1 };
enum { DIM_VALUE = 1, DIM_SYMBOL = 2 };
enum {
  FUNCTION_NAME = 1,
  FUNCTION_INPUT = 4,
  FUNCTION_OUTPUT = 5,
  FUNCTION_NODE = 7,
  FUNCTION_OPSET_IMPORT = 9,
  FUNCTION_DOMAIN = 10,
  FUNCTION_ATTRIBUTE_DEFAULT = 11,
  FUNCTION_VALUE_INFO = 12,
  FUNCTION_OVERLOAD = 13
};

/* One walk each; several for a message whose fields are wanted in another order than they lie in the file. */
extern const nnm_wire_schema nnm_onnx_model_probe, nnm_onnx_model, nnm_onnx_opset, nnm_onnx_graph_inputs,
    nnm_onnx_graph_weights, nnm_onnx_graph_nodes, nnm_onnx_graph_ends, nnm_onnx_node, nnm_onnx_node_attributes,
    nnm_onnx_attribute, nnm_onnx_attribute_name, nnm_onnx_tensor, nnm_onnx_sparse, nnm_onnx_value, nnm_onnx_type,
    nnm_onnx_tensor_type, nnm_onnx_shape, nnm_onnx_dim, nnm_onnx_function_head, nnm_onnx_function_ports,
    nnm_onnx_function_nodes, nnm_onnx_function_ends, nnm_onnx_function_defaults;

#endif
