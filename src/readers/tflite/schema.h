/* Numbers of TFLite's FlatBuffers schema: fields of its tables by their place, and the enumerations that are read. */
#ifndef NNM_READERS_TFLITE_SCHEMA_H
#define NNM_READERS_TFLITE_SCHEMA_H

enum {
  MODEL_VERSION = 0,
  MODEL_OPERATOR_CODES = 1,
  MODEL_SUBGRAPHS = 2,
  MODEL_DESCRIPTION = 3,
  MODEL_BUFFERS = 4,
  MODEL_SIGNATURES = 7
};
enum { CODE_OLD_BUILTIN = 0, CODE_CUSTOM_NAME = 1, CODE_BUILTIN = 3 };
enum { SUBGRAPH_TENSORS = 0, SUBGRAPH_INPUTS = 1, SUBGRAPH_OUTPUTS = 2, SUBGRAPH_OPERATORS = 3, SUBGRAPH_NAME = 4 };
enum {
  TENSOR_SHAPE = 0,
  TENSOR_TYPE = 1,
  TENSOR_BUFFER = 2,
  TENSOR_NAME = 3,
  TENSOR_IS_VARIABLE = 5,
  TENSOR_SPARSITY = 6,
  TENSOR_SHAPE_SIGNATURE = 7,
  TENSOR_HAS_RANK = 8
};
enum { BUFFER_DATA = 0, BUFFER_OFFSET = 1, BUFFER_SIZE = 2 };
enum {
  OPERATOR_CODE = 0,
  OPERATOR_INPUTS = 1,
  OPERATOR_OUTPUTS = 2,
  OPERATOR_OPTIONS_TYPE = 3,
  OPERATOR_OPTIONS = 4,
  OPERATOR_OPTIONS_2_TYPE = 11,
  OPERATOR_OPTIONS_2 = 12
};
enum { SIGNATURE_INPUTS = 0, SIGNATURE_OUTPUTS = 1, SIGNATURE_KEY = 2, SIGNATURE_SUBGRAPH = 4 };

/* Operators that the reader treats in a way of its own; the whole list is operators.inc. */
enum { BUILTIN_CUSTOM = 32, BUILTIN_PLACEHOLDER = 127 };

enum { PADDING_SAME = 0, PADDING_VALID = 1 };

/* Types of tensors that count for more than their size. */
enum { TYPE_STRING = 5, TYPE_RESOURCE = 13, TYPE_VARIANT = 14 };

#endif
