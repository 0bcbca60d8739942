#include "readers/tf_schema.h"

/* Repeated numbers may be packed, whatever the file's .proto says of it. */
enum {
  NUMBER = NNM_WIRE_VARINT,
  NUMBERS = NNM_WIRE_VARINT | NNM_WIRE_BYTES,
  FLOAT = NNM_WIRE_FIXED32,
  FLOATS = NNM_WIRE_FIXED32 | NNM_WIRE_BYTES,
  DOUBLES = NNM_WIRE_FIXED64 | NNM_WIRE_BYTES,
  BYTES = NNM_WIRE_BYTES
};

#define SCHEMA(name, what, ...)                         \
  static const uint8_t name##_fields[] = {__VA_ARGS__}; \
  const nnm_wire_schema nnm_tf_##name = {what, name##_fields, sizeof name##_fields}

SCHEMA(saved_model, "saved model", [SAVED_MODEL_VERSION] = NUMBER, [SAVED_MODEL_META_GRAPH] = BYTES);
SCHEMA(meta_graph, "meta graph", [META_GRAPH_INFO] = BYTES, [META_GRAPH_GRAPH] = BYTES, [META_GRAPH_SIGNATURE] = BYTES);
SCHEMA(meta_info, "meta info", [META_INFO_TAG] = BYTES, [META_INFO_VERSION] = BYTES);
SCHEMA(signature, "signature", [SIGNATURE_INPUT] = BYTES, [SIGNATURE_OUTPUT] = BYTES, [SIGNATURE_METHOD] = BYTES);
SCHEMA(tensor_info,
       "tensor info", [TENSOR_INFO_NAME] = BYTES, [TENSOR_INFO_TYPE] = NUMBER, [TENSOR_INFO_SHAPE] = BYTES);

SCHEMA(graph_probe, "graph", [GRAPH_DEF_NODE] = BYTES, [GRAPH_DEF_LIBRARY] = BYTES, [GRAPH_DEF_OLD_VERSION] = NUMBER,
       [GRAPH_DEF_VERSIONS] = BYTES);
SCHEMA(graph, "graph", [GRAPH_DEF_LIBRARY] = BYTES, [GRAPH_DEF_VERSIONS] = BYTES);
SCHEMA(graph_nodes, "graph", [GRAPH_DEF_NODE] = BYTES);
SCHEMA(versions, "versions", [VERSIONS_PRODUCER] = NUMBER);
SCHEMA(library, "function library", [LIBRARY_FUNCTION] = BYTES);
SCHEMA(function_head, "function", [FUNCTION_SIGNATURE] = BYTES);
SCHEMA(function_nodes, "function", [FUNCTION_NODE] = BYTES);
SCHEMA(function_results, "function", [FUNCTION_RESULT] = BYTES);
SCHEMA(op_def, "function's signature", [OP_DEF_NAME] = BYTES, [OP_DEF_INPUT] = BYTES, [OP_DEF_OUTPUT] = BYTES);
SCHEMA(arg_def, "function's argument", [ARG_DEF_NAME] = BYTES);

SCHEMA(node, "node", [NODE_DEF_NAME] = BYTES, [NODE_DEF_OP] = BYTES, [NODE_DEF_INPUT] = BYTES);
SCHEMA(node_name, "node", [NODE_DEF_NAME] = BYTES, [NODE_DEF_OP] = BYTES);
SCHEMA(node_attributes, "node", [NODE_DEF_ATTRIBUTE] = BYTES);
SCHEMA(map, "map", [MAP_KEY] = BYTES, [MAP_VALUE] = BYTES);
SCHEMA(value, "attribute", [VALUE_LIST] = BYTES, [VALUE_TEXT] = BYTES, [VALUE_INT] = NUMBER, [VALUE_FLOAT] = FLOAT,
       [VALUE_BOOL] = NUMBER, [VALUE_TYPE] = NUMBER, [VALUE_SHAPE] = BYTES, [VALUE_TENSOR] = BYTES,
       [VALUE_FUNCTION] = BYTES);
SCHEMA(list, "attribute's list", [VALUE_TEXT] = BYTES, [VALUE_INT] = NUMBERS, [VALUE_FLOAT] = FLOATS,
       [VALUE_BOOL] = NUMBERS, [VALUE_TYPE] = NUMBERS, [VALUE_SHAPE] = BYTES, [VALUE_FUNCTION - 1] = BYTES);
SCHEMA(function_name, "function's name", [FUNCTION_NAME_NAME] = BYTES);
SCHEMA(shape, "shape", [SHAPE_DIM] = BYTES, [SHAPE_UNKNOWN_RANK] = NUMBER);
SCHEMA(shape_dim, "dimension", [SHAPE_DIM_SIZE] = NUMBER);
SCHEMA(tensor, "tensor", [TENSOR_PROTO_TYPE] = NUMBER, [TENSOR_PROTO_SHAPE] = BYTES, [TENSOR_PROTO_CONTENT] = BYTES,
       [TENSOR_PROTO_FLOAT] = FLOATS, [TENSOR_PROTO_DOUBLE] = DOUBLES, [TENSOR_PROTO_INT] = NUMBERS,
       [TENSOR_PROTO_STRING] = BYTES, [TENSOR_PROTO_COMPLEX64] = FLOATS, [TENSOR_PROTO_INT64] = NUMBERS,
       [TENSOR_PROTO_BOOL] = NUMBERS, [TENSOR_PROTO_COMPLEX128] = DOUBLES, [TENSOR_PROTO_HALF] = NUMBERS,
       [TENSOR_PROTO_UINT32] = NUMBERS, [TENSOR_PROTO_UINT64] = NUMBERS, [TENSOR_PROTO_FLOAT8] = BYTES);
