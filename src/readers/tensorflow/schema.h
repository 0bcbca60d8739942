/* The parts of TensorFlow's protobuf messages that matter here: field numbers, and which fields each step of the reader
 * looks at. Numbers as in TensorFlow 2.21; they never change once given. */
#ifndef NNM_READERS_TENSORFLOW_SCHEMA_H
#define NNM_READERS_TENSORFLOW_SCHEMA_H

#include "readers/wire.h"

enum { SAVED_MODEL_VERSION = 1, SAVED_MODEL_META_GRAPH = 2 };
enum { META_GRAPH_INFO = 1, META_GRAPH_GRAPH = 2, META_GRAPH_SIGNATURE = 5 };
enum { META_INFO_TAG = 4, META_INFO_VERSION = 5 };
enum { SIGNATURE_INPUT = 1, SIGNATURE_OUTPUT = 2, SIGNATURE_METHOD = 3 };
enum { TENSOR_INFO_NAME = 1, TENSOR_INFO_TYPE = 2, TENSOR_INFO_SHAPE = 3 };
enum { GRAPH_DEF_NODE = 1, GRAPH_DEF_LIBRARY = 2, GRAPH_DEF_OLD_VERSION = 3, GRAPH_DEF_VERSIONS = 4 };
enum { VERSIONS_PRODUCER = 1 };
enum { LIBRARY_FUNCTION = 1 };
enum { FUNCTION_SIGNATURE = 1, FUNCTION_NODE = 3, FUNCTION_RESULT = 4 };
enum { OP_DEF_NAME = 1, OP_DEF_INPUT = 2, OP_DEF_OUTPUT = 3 };
enum { ARG_DEF_NAME = 1 };
enum { NODE_DEF_NAME = 1, NODE_DEF_OP = 2, NODE_DEF_INPUT = 3, NODE_DEF_ATTRIBUTE = 5 };
enum { MAP_KEY = 1, MAP_VALUE = 2 };
enum {
  VALUE_LIST = 1,
  VALUE_TEXT = 2,
  VALUE_INT = 3,
  VALUE_FLOAT = 4,
  VALUE_BOOL = 5,
  VALUE_TYPE = 6,
  VALUE_SHAPE = 7,
  VALUE_TENSOR = 8,
  VALUE_FUNCTION = 10
};
enum { FUNCTION_NAME_NAME = 1 };
enum { SHAPE_DIM = 2, SHAPE_UNKNOWN_RANK = 3 };
enum { SHAPE_DIM_SIZE = 1 };
enum {
  TENSOR_PROTO_TYPE = 1,
  TENSOR_PROTO_SHAPE = 2,
  TENSOR_PROTO_CONTENT = 4,
  TENSOR_PROTO_FLOAT = 5,
  TENSOR_PROTO_DOUBLE = 6,
  TENSOR_PROTO_INT = 7,
  TENSOR_PROTO_STRING = 8,
  TENSOR_PROTO_COMPLEX64 = 9,
  TENSOR_PROTO_INT64 = 10,
  TENSOR_PROTO_BOOL = 11,
  TENSOR_PROTO_COMPLEX128 = 12,
  TENSOR_PROTO_HALF = 13,
  TENSOR_PROTO_UINT32 = 16,
  TENSOR_PROTO_UINT64 = 17,
  TENSOR_PROTO_FLOAT8 = 18
};

extern const nnm_wire_schema nnm_tf_saved_model, nnm_tf_meta_graph, nnm_tf_meta_info, nnm_tf_signature,
    nnm_tf_tensor_info, nnm_tf_graph_probe, nnm_tf_graph, nnm_tf_graph_nodes, nnm_tf_versions, nnm_tf_library,
    nnm_tf_function_head, nnm_tf_function_nodes, nnm_tf_function_results, nnm_tf_op_def, nnm_tf_arg_def, nnm_tf_node,
    nnm_tf_node_name, nnm_tf_node_attributes, nnm_tf_map, nnm_tf_value, nnm_tf_list, nnm_tf_function_name, nnm_tf_shape,
    nnm_tf_shape_dim, nnm_tf_tensor;

#endif
