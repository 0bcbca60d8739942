/* Operators one by one: shapes, windows, multiply-adds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph_maker.h"

static graph_maker maker;

/* Infers the graph made so far and checks the shapes of tensors: name, shape, name, shape, NULL. */
static void expect(const char *name, ...) {
  nnm_graph *graph = make_finish(&maker);
  nnm_shapes *shapes = NULL;
  nnm_status status = nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error);
  if (status != NNM_OK) fail_msg("%s: %s", maker.error.place, maker.error.message);
  va_list pairs;
  va_start(pairs, name);
  for (; name; name = va_arg(pairs, const char *))
    assert_string_equal(shape_text_of(graph, shapes, name), va_arg(pairs, const char *));
  va_end(pairs);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

static void expect_failure(const char *part) {
  nnm_graph *graph = make_finish(&maker);
  nnm_shapes *shapes = NULL;
  assert_int_equal(nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error), NNM_ERROR_SHAPE);
  if (!strstr(maker.error.message, part)) fail_msg("'%s' is not in '%s'", part, maker.error.message);
  nnm_graph_free(graph);
}

static void expect_work(int64_t multiply_adds) {
  nnm_graph *graph = make_finish(&maker);
  nnm_shapes *shapes = NULL;
  assert_int_equal(nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error), NNM_OK);
  int64_t total = 0;
  for (nnm_node_id n = 0; n < graph->node_count; n++) total += nnm_node_multiply_adds(graph, shapes, n);
  assert_int_equal(total, multiply_adds);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

static void test_names(void **state) {
  (void)state;
  assert_int_equal(nnm_op_of_onnx("", "Conv"), NNM_OP_CONV);
  assert_int_equal(nnm_op_of_onnx("ai.onnx", "Conv"), NNM_OP_CONV);
  assert_int_equal(nnm_op_of_onnx("com.microsoft", "FusedConv"), NNM_OP_MS_FUSED_CONV);
  assert_int_equal(nnm_op_of_onnx("com.microsoft", "Conv"), NNM_OP_UNKNOWN);
  assert_int_equal(nnm_op_of_onnx("", "com.microsoft.FusedConv"), NNM_OP_UNKNOWN);
  assert_int_equal(nnm_op_of_onnx("custom", "MyOp"), NNM_OP_UNKNOWN);
  assert_int_equal(nnm_op_of_tensorflow("DepthwiseConv2dNative"), NNM_OP_CONV);
  assert_int_equal(nnm_op_of_tensorflow("FusedBatchNormV3"), NNM_OP_BATCH_NORMALIZATION);
  assert_int_equal(nnm_op_of_tensorflow("Gemm"), NNM_OP_GEMM); /* nn-Meter IR made of ONNX */
  assert_int_equal(nnm_op_of_tensorflow("Relu6"), NNM_OP_RELU6);
  assert_string_equal(nnm_op_name(NNM_OP_RELU6), "Relu6");
  assert_string_equal(nnm_op_name(NNM_OP_MS_FUSED_CONV), "com.microsoft.FusedConv");
  const char *const *names = nnm_operator_names();
  for (int op = 1; op < NNM_OP_COUNT; op++, names++) {
    assert_string_equal(*names, nnm_op_name((nnm_op)op));
    const char *dot = strrchr(*names, '.');
    char domain[64] = "";
    if (dot) memcpy(domain, *names, (size_t)(dot - *names));
    nnm_op found = nnm_op_of_onnx(domain, dot ? dot + 1 : *names);
    bool may_be_tensorflows = !dot || !strcmp(domain, "tf");
    assert_true(found == (nnm_op)op || (may_be_tensorflows && nnm_op_of_tensorflow(*names) == (nnm_op)op));
  }
  assert_null(*names);
}

static void test_convolutions(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "1x3x224x160");
  make_weight(&maker, "w", "32x3x3x3");
  with_ints(&maker, "strides", "2 2");
  with_ints(&maker, "pads", "0 0 1 1"); /* asymmetric */
  make_node(&maker, "Conv", "x w", "plain");
  with_text(&maker, "auto_pad", "SAME_UPPER");
  with_ints(&maker, "strides", "2 3");
  make_node(&maker, "Conv", "x w", "same");
  with_text(&maker, "auto_pad", "VALID");
  with_ints(&maker, "dilations", "2 3");
  make_node(&maker, "Conv", "x w", "dilated");
  make_weight(&maker, "dw", "32x1x5x5");
  with_int(&maker, "group", 32);
  make_node(&maker, "Conv", "plain dw", "depthwise");
  make_input(&maker, "line", "2x8x100");
  make_weight(&maker, "w1", "16x8x7");
  with_ints(&maker, "pads", "3 3");
  make_node(&maker, "Conv", "line w1", "conv1d");
  make_input(&maker, "volume", "1x4x8x9x10");
  make_weight(&maker, "w3", "6x2x3x3x3");
  with_int(&maker, "group", 2);
  make_node(&maker, "Conv", "volume w3", "conv3d");
  expect("plain", "1x32x112x80", "same", "1x32x112x54", "dilated", "1x32x220x154", "depthwise", "1x32x108x76", "conv1d",
         "2x16x100", "conv3d", "1x6x6x7x8", NULL);
}

static void test_convolution_without_weights(void **state) {
  (void)state;
  make_start(&maker, 0);
  make_input(&maker, "x", "1x224x224x3");
  maker.layout = NNM_CHANNELS_LAST;
  with_ints(&maker, "kernel_shape", "3 3");
  with_ints(&maker, "strides", "2 2");
  with_text(&maker, "auto_pad", "SAME_UPPER");
  with_int(&maker, "output_channels", 16);
  make_node(&maker, "Conv2D", "x", "conv");
  maker.layout = NNM_CHANNELS_LAST;
  with_ints(&maker, "kernel_shape", "5 5");
  with_text(&maker, "auto_pad", "VALID");
  with_int(&maker, "depthwise", 1);
  nnm_node_id depthwise = make_node(&maker, "DepthwiseConv2dNative", "conv", "depthwise");
  make_weight(&maker, "w", "3x3x16x8"); /* TensorFlow's order */
  maker.layout = NNM_CHANNELS_LAST;
  maker.weight_layout = NNM_WEIGHT_XIO;
  make_node(&maker, "Conv2D", "depthwise w", "weighted");
  nnm_graph *graph = make_finish(&maker);
  nnm_shapes *shapes;
  assert_int_equal(nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error), NNM_OK);
  assert_string_equal(shape_text_of(graph, shapes, "conv"), "1x112x112x16");
  assert_string_equal(shape_text_of(graph, shapes, "depthwise"), "1x108x108x16");
  assert_string_equal(shape_text_of(graph, shapes, "weighted"), "1x106x106x8");
  nnm_window window;
  assert_true(nnm_window_of(graph, shapes, depthwise, &window));
  assert_int_equal(window.group, 16);
  assert_int_equal(window.input[1], 112);
  assert_int_equal(nnm_node_multiply_adds(graph, shapes, depthwise), 108 * 108 * 16 * 25);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

static void test_transposed(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "1x8x10x12");
  make_weight(&maker, "w", "8x4x3x3");
  with_ints(&maker, "strides", "2 2");
  make_node(&maker, "ConvTranspose", "x w", "plain");
  with_ints(&maker, "strides", "2 2");
  with_ints(&maker, "pads", "1 1 1 1");
  with_ints(&maker, "output_padding", "1 1");
  make_node(&maker, "ConvTranspose", "x w", "padded");
  with_ints(&maker, "strides", "2 3");
  with_text(&maker, "auto_pad", "SAME_UPPER");
  make_node(&maker, "ConvTranspose", "x w", "same");
  with_ints(&maker, "strides", "3 2");
  with_ints(&maker, "output_shape", "32 26");
  with_int(&maker, "group", 2);
  make_node(&maker, "ConvTranspose", "x w", "sized");
  expect("plain", "1x4x21x25", "padded", "1x4x20x24", "same", "1x4x20x36", "sized", "1x8x32x26", NULL);
}

static void test_pools(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "1x8x15x14");
  with_ints(&maker, "kernel_shape", "3 3");
  with_ints(&maker, "strides", "2 2");
  make_node(&maker, "MaxPool", "x", "floor indices");
  with_ints(&maker, "kernel_shape", "3 3");
  with_ints(&maker, "strides", "2 2");
  with_int(&maker, "ceil_mode", 1);
  make_node(&maker, "MaxPool", "x", "ceil");
  with_ints(&maker, "kernel_shape", "1 1");
  with_ints(&maker, "strides", "2 2");
  with_int(&maker, "ceil_mode", 1); /* the last window would start behind the image */
  make_node(&maker, "AveragePool", "x", "inside");
  make_node(&maker, "GlobalAveragePool", "x", "global");
  maker.layout = NNM_CHANNELS_LAST;
  make_node(&maker, "GlobalMaxPool", "x", "last");
  expect("floor", "1x8x7x6", "indices", "1x8x7x6", "ceil", "1x8x7x7", "inside", "1x8x8x7", "global", "1x8x1x1", "last",
         "1x1x1x14", NULL);
}

/* The window that shape inference has kept is the one that its shapes give. */
static void test_windows_are_kept(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "2x8x15x14");
  make_weight(&maker, "w", "16x4x3x5");
  with_ints(&maker, "strides", "2 1");
  with_ints(&maker, "pads", "1 0 1 2");
  with_int(&maker, "group", 2);
  nnm_node_id conv = make_node(&maker, "Conv", "x w", "c");
  with_ints(&maker, "kernel_shape", "3 3");
  nnm_node_id pool = make_node(&maker, "MaxPool", "x", "p indices");
  with_ints(&maker, "kernel_shape", "3 3");
  nnm_node_id unpool = make_node(&maker, "MaxUnpool", "p indices", "u");
  nnm_graph *graph = make_finish(&maker);
  nnm_shapes *shapes = NULL;
  assert_int_equal(nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error), NNM_OK);
  const nnm_node_id kept[] = {conv, pool};
  for (size_t i = 0; i < 2; i++) {
    nnm_window before, after;
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    assert_non_null(shapes->windows[kept[i]]);
    assert_true(nnm_window_of(graph, shapes, kept[i], &before));
    shapes->windows[kept[i]] = NULL;
    assert_true(nnm_window_of(graph, shapes, kept[i], &after));
    assert_int_equal(before.spatial, after.spatial);
    assert_int_equal(before.batch, after.batch);
    assert_int_equal(before.group, after.group);
    assert_int_equal(before.output_channels, after.output_channels);
    assert_memory_equal(before.input, after.input, 2 * sizeof *before.input);
    assert_memory_equal(before.output, after.output, 2 * sizeof *before.output);
    assert_memory_equal(before.kernel, after.kernel, 2 * sizeof *before.kernel);
    assert_memory_equal(before.stride, after.stride, 2 * sizeof *before.stride);
    assert_memory_equal(before.pad_end, after.pad_end, 2 * sizeof *before.pad_end);
    assert_int_equal(before.global, after.global);
  }
  nnm_window window;
  assert_false(nnm_window_of(graph, shapes, unpool, &window));
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

static void test_broadcasting(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "4x1x5");
  make_input(&maker, "y", "3x1");
  make_input(&maker, "s", "");
  make_node(&maker, "Add", "x y", "add");
  make_node(&maker, "Mul", "s x", "mul");
  make_node(&maker, "Max", "x y s", "max");
  make_node(&maker, "Less", "y x", "less");
  make_node(&maker, "Where", "less y x", "where");
  expect("add", "4x3x5", "mul", "4x1x5", "max", "4x3x5", "less", "4x3x5", "where", "4x3x5", NULL);
  make_start(&maker, 13);
  make_input(&maker, "x", "4x2");
  make_input(&maker, "y", "3");
  make_node(&maker, "Add", "x y", "z");
  expect_failure("4x2 and 3");
}

static void test_views(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "2x3x4x5");
  make_ints(&maker, "to", "0 -1 10");
  make_node(&maker, "Reshape", "x to", "reshape");
  make_node(&maker, "Flatten", "x", "flatten");
  with_int(&maker, "axis", -1);
  make_node(&maker, "Flatten", "x", "flatten_last");
  make_ints(&maker, "axes", "0 -1");
  make_node(&maker, "Unsqueeze", "x axes", "unsqueeze");
  make_node(&maker, "Squeeze", "unsqueeze", "squeeze");
  with_ints(&maker, "axes", "-1"); /* below opset 13 */
  make_node(&maker, "Squeeze", "unsqueeze", "squeeze_last");
  expect("reshape", "2x6x10", "flatten", "2x60", "flatten_last", "24x5", "unsqueeze", "1x2x3x4x5x1", "squeeze",
         "2x3x4x5", "squeeze_last", "1x2x3x4x5", NULL);
  make_start(&maker, 13);
  make_input(&maker, "x", "2x3");
  make_ints(&maker, "to", "4 -1");
  make_node(&maker, "Reshape", "x to", "y");
  expect_failure("cannot make 4x-1 of 2x3");
}

static void test_movement(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "2x6x4");
  make_input(&maker, "y", "2x1x4");
  with_int(&maker, "axis", -2);
  make_node(&maker, "Concat", "x y x", "concat");
  with_int(&maker, "axis", 1);
  make_node(&maker, "Split", "x", "half1 half2");
  with_int(&maker, "axis", 1);
  with_int(&maker, "num_outputs", 4);
  make_node(&maker, "Split", "concat", "q1 q2 q3 q4"); /* 13 in 4 parts */
  make_node(&maker, "Transpose", "x", "reversed");
  with_ints(&maker, "perm", "1 0 2");
  make_node(&maker, "Transpose", "x", "transposed");
  make_ints(&maker, "pads", "0 1 2 0 3 -1");
  make_node(&maker, "Pad", "x pads", "padded");
  make_ints(&maker, "starts", "5 -1");
  make_ints(&maker, "ends", "-9223372036854775808 9223372036854775807");
  make_ints(&maker, "axes", "1 2");
  make_ints(&maker, "steps", "-2 1");
  make_node(&maker, "Slice", "x starts ends axes steps", "slice");
  with_int(&maker, "axis", 1);
  make_ints(&maker, "which", "0 2 4");
  make_node(&maker, "Gather", "x which", "gather");
  make_ints(&maker, "wide", "3 1 6 1");
  make_node(&maker, "Expand", "y wide", "expand");
  expect("concat", "2x13x4", "half2", "2x3x4", "q1", "2x4x4", "q4", "2x1x4", "reversed", "4x6x2", "transposed", "6x2x4",
         "padded", "2x10x5", "slice", "2x3x1", "gather", "2x3x4", "expand", "3x2x6x4", NULL);
}

static void test_reductions(void **state) {
  (void)state;
  make_start(&maker, 18);
  make_input(&maker, "x", "2x3x4");
  make_ints(&maker, "axes", "-1 0");
  make_node(&maker, "ReduceSum", "x axes", "kept");
  with_int(&maker, "keepdims", 0);
  with_ints(&maker, "axes", "1");
  make_node(&maker, "ReduceMean", "x", "dropped");
  with_int(&maker, "keepdims", 0);
  make_node(&maker, "ReduceMax", "x", "all");
  with_int(&maker, "noop_with_empty_axes", 1);
  make_node(&maker, "ReduceSum", "x", "nothing");
  with_int(&maker, "axis", -1);
  make_node(&maker, "ArgMax", "x", "argmax");
  make_ints(&maker, "k", "2");
  make_node(&maker, "TopK", "x k", "largest where");
  expect("kept", "1x3x1", "dropped", "2x4", "all", "scalar", "nothing", "2x3x4", "argmax", "2x3x1", "largest", "2x3x2",
         "where", "2x3x2", NULL);
}

static void test_matrices(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "5x1x2x3");
  make_input(&maker, "y", "4x3x7");
  make_input(&maker, "v", "3");
  make_node(&maker, "MatMul", "x y", "batched");
  make_node(&maker, "MatMul", "x v", "vector");
  make_node(&maker, "MatMul", "v v", "dot");
  make_input(&maker, "a", "8x2");
  make_weight(&maker, "w", "10x8");
  with_int(&maker, "transA", 1);
  with_int(&maker, "transB", 1);
  make_node(&maker, "Gemm", "a w", "gemm");
  with_int(&maker, "output_channels", 1000);
  make_node(&maker, "Gemm", "a", "described");
  expect("batched", "5x4x2x7", "vector", "5x1x2", "dot", "scalar", "gemm", "2x10", "described", "8x1000", NULL);
  make_start(&maker, 13);
  make_input(&maker, "x", "5x1x2x3");
  make_input(&maker, "y", "4x3x7");
  make_node(&maker, "MatMul", "x y", "batched");
  expect_work(5 * 4 * 2 * 3 * 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_convolutions),
      cmocka_unit_test(test_convolution_without_weights),
      cmocka_unit_test(test_transposed),
      cmocka_unit_test(test_pools),
      cmocka_unit_test(test_windows_are_kept),
      cmocka_unit_test(test_broadcasting),
      cmocka_unit_test(test_views),
      cmocka_unit_test(test_movement),
      cmocka_unit_test(test_reductions),
      cmocka_unit_test(test_matrices),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
