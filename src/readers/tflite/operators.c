/* The table of TFLite's operators, indexed by their number. */
#include "readers/tflite/tflite.h"

/* ---- options that only have another name: field of the options table, kind, ONNX's attribute */

static const tflite_option options_none[] = {{0}};
static const tflite_option options_axis[] = {{0, TFLITE_INT32, "axis"}, {0}};
static const tflite_option options_pack[] = {{1, TFLITE_INT32, "axis"}, {0}};
static const tflite_option options_gather[] = {{0, TFLITE_INT32, "axis"}, {1, TFLITE_INT32, "batch_dims"}, {0}};
static const tflite_option options_block[] = {{0, TFLITE_INT32, "blocksize"}, {0}};
static const tflite_option options_reduce[] = {{0, TFLITE_BOOL, "keepdims"}, {0}};
static const tflite_option options_alpha[] = {{0, TFLITE_FLOAT, "alpha"}, {0}};
static const tflite_option options_matmul[] = {{0, TFLITE_BOOL, "adj_x"}, {1, TFLITE_BOOL, "adj_y"}, {0}};
static const tflite_option options_cumsum[] = {{0, TFLITE_BOOL, "exclusive"}, {1, TFLITE_BOOL, "reverse"}, {0}};
static const tflite_option options_svdf[] = {{0, TFLITE_INT32, "rank"}, {0}};
static const tflite_option options_merge_rnn[] = {{2, TFLITE_BOOL, "merge_outputs"}, {0}};
static const tflite_option options_merge_lstm[] = {{3, TFLITE_BOOL, "merge_outputs"}, {0}};
static const tflite_option options_strided[] = {{0, TFLITE_INT32, "begin_mask"},
                                                {1, TFLITE_INT32, "end_mask"},
                                                {2, TFLITE_INT32, "ellipsis_mask"},
                                                {3, TFLITE_INT32, "new_axis_mask"},
                                                {4, TFLITE_INT32, "shrink_axis_mask"},
                                                {5, TFLITE_BOOL, "offset"},
                                                {0}};
static const tflite_option options_hlo_axis[] = {{0, TFLITE_INT64, "axis"}, {0}};

#define nnm_tflite_plain NULL
#define TFLITE_OPERATOR(number, name, op, options_type, activation, options, translation) \
  [number] = {#name, NNM_OP_##op, options_type, activation, options_##options, nnm_tflite_##translation},
static const tflite_operator operators[] = {
#include "readers/tflite/operators.inc"
};

const tflite_operator *nnm_tflite_operator(uint32_t builtin) {
  bool is_known = builtin < sizeof operators / sizeof *operators && operators[builtin].name;
  return is_known ? &operators[builtin] : NULL;
}
