/* What a file only has because of how it was converted: transpositions that cancel out, padding and scales that the
 * layer behind them does, operators that change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "features/geometry.h"
#include "kernel_maker.h"
#include "readers/onnx/onnx.h"

/* ---------------------------------------------------------- transpositions */

static void to_last(const char *in, const char *out) {
  with_ints(&maker, "perm", "0 2 3 1");
  make_node(&maker, "Transpose", in, out);
}

static void to_first(const char *in, const char *out) {
  with_ints(&maker, "perm", "0 3 1 2");
  make_node(&maker, "Transpose", in, out);
}

/* expect(), after the ONNX reader's look at where the channels are. */
static void expect_layouts(const char *names) {
  graph = make_finish(&maker);
  assert_int_equal(nnm_onnx_find_layouts(graph, &maker.error), NNM_OK);
  detect_in_graph(cpu);
  expect_names(names);
}

static void test_island(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  to_last("a", "b");
  make_node(&maker, "HardSwish", "b", "c");
  to_first("c", "d");
  conv3("d", "e");
  output("e");
  expect_layouts("conv-hswish, conv");
  assert_int_equal(count_left_out(false), 0);
  release();
}

/* A gate beside the map, and a mean over the image: no transposition needed on either side. */
static void test_gated_island(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  to_last("a", "b");
  with_ints(&maker, "axes", "1 2");
  make_node(&maker, "ReduceMean", "b", "mean");
  to_first("mean", "pixel");
  conv("pixel", "s", "4x16x1x1", 1);
  make_node(&maker, "Relu", "s", "s1");
  conv("s1", "t", "16x4x1x1", 1);
  to_last("t", "u");
  make_node(&maker, "Sigmoid", "u", "gate");
  make_node(&maker, "Mul", "b gate", "scaled");
  to_first("scaled", "y");
  conv3("y", "z");
  output("z");
  expect_layouts("conv, se, conv");
  const nnm_kernel *se = &kernels->items[1];
  nnm_geometry geometry;
  nnm_kernel_geometry(graph, shapes, se, &geometry);
  assert_int_equal(se->input_count, 1); /* the map is read in both layouts, and is one map */
  assert_int_equal(se->input_elements, 1024);
  assert_int_equal(geometry.input_channels, 16);
  assert_int_equal(geometry.input_height, 8);
  release();
}

/* What leaves the island otherwise than by a transposition needs the layout it was written for. */
static void test_open_islands(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  static const char *const expected[] = {"conv, transpose, hswish, transpose, conv", "conv, transpose, hswish, fc",
                                         "hswish, transpose, conv", "conv, transpose, hswish, transpose, conv"};
  for (int way = 0; way < 4; way++) {
    make_start(&maker, 13);
    make_input(&maker, "x", way == 2 ? "1x8x8x16" : "1x16x8x8");
    if (way == 2) make_node(&maker, "Identity", "x", "b");
    else {
      conv3("x", "a");
      with_ints(&maker, "perm", way == 3 ? "0 2 1 3" : "0 2 3 1");
      make_node(&maker, "Transpose", "a", "b");
    }
    make_node(&maker, "HardSwish", "b", "c");
    make_ints(&maker, "flat", "1 1024");
    make_weight(&maker, "w", "1024x10");
    if (way == 0) output("c"); /* a result of the model */
    if (way == 1) {
      make_node(&maker, "Reshape", "c flat", "r");
      make_node(&maker, "MatMul", "r w", "e");
    } else {
      with_ints(&maker, "perm", way == 3 ? "0 2 1 3" : "0 3 1 2");
      make_node(&maker, "Transpose", "c", "d");
      conv3("d", "e");
    }
    output("e");
    expect_layouts(expected[way]);
    release();
  }
}

/* Of two islands that share a transposition one is dissolved, and what is left is counted. */
static void test_neighbours(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  to_last("a", "b");
  make_node(&maker, "HardSwish", "b", "c");
  to_first("c", "d");
  make_node(&maker, "HardSwish", "d", "e");
  to_last("e", "f");
  output("f");
  expect_layouts("conv-hswish, hswish, transpose");
  release();
}

static void test_layouts_of_nodes(void **state) {
  (void)state;
  make_input(&maker, "x", "1x8x8x16");
  make_node(&maker, "Relu", "x", "a"); /* in front of the first transposition */
  to_first("a", "b");
  conv3("b", "c");
  make_node(&maker, "Relu", "c", "d");
  to_last("d", "e");
  make_weight(&maker, "gamma", "16");
  make_node(&maker, "LayerNormalization", "e gamma", "f");
  make_node(&maker, "Relu", "f", "g");
  output("g");
  expect_layouts("relu, transpose, conv-relu, transpose, layernorm, relu");
  static const uint8_t expected[] = {1, 0, 0, 0, 0, 1, 1};
  for (nnm_node_id n = 0; n < graph->node_count; n++) assert_int_equal(graph->nodes[n].layout, expected[n]);
  assert_int_equal(graph->node_count, 7);
  nnm_geometry geometry;
  nnm_kernel_geometry(graph, shapes, &kernels->items[5], &geometry);
  assert_int_equal(geometry.output_channels, 16);
  release();
}

static void expect_geometry(size_t kernel, int64_t height, int64_t width, int64_t channels) {
  nnm_geometry geometry;
  nnm_kernel_geometry(graph, shapes, &kernels->items[kernel], &geometry);
  assert_int_equal(geometry.batch, 1);
  assert_int_equal(geometry.output_height, height);
  assert_int_equal(geometry.output_width, width);
  assert_int_equal(geometry.output_channels, channels);
}

/* Heads are no channels: what a query, a key or a value holds is last, as it is in a TFLite file. In front of the first
 * reshape and behind the last there are images. */
static void test_heads(void **state) {
  (void)state;
  input();
  conv("x", "a", "48x16x1x1", 1);
  make_node(&maker, "Relu", "a", "b0");
  make_node(&maker, "HardSwish", "b0", "b");
  make_ints(&maker, "as-heads", "1 4 12 64");
  make_node(&maker, "Reshape", "b as-heads", "c");
  with_ints(&maker, "perm", "0 1 3 2");
  make_node(&maker, "Transpose", "c", "d");
  with_int(&maker, "axis", 3);
  make_node(&maker, "Split", "d", "q k v");
  with_ints(&maker, "perm", "0 1 3 2");
  make_node(&maker, "Transpose", "k", "t");
  make_node(&maker, "MatMul", "q t", "s");
  make_node(&maker, "Softmax", "s", "p");
  make_node(&maker, "MatMul", "p v", "r");
  with_ints(&maker, "perm", "0 1 3 2");
  make_node(&maker, "Transpose", "r", "u");
  make_ints(&maker, "as-image", "1 16 8 8");
  make_node(&maker, "Reshape", "u as-image", "y");
  make_node(&maker, "HardSwish", "y", "z");
  output("z");
  expect_layouts("conv-relu, hswish, transpose, split, attention, transpose, hswish");
  expect_geometry(1, 8, 8, 48);
  expect_geometry(2, 4, 64, 12);
  expect_geometry(3, 4, 64, 4);
  expect_geometry(5, 4, 4, 64); /* 4 heads, 4 rows of 64 queries each */
  expect_geometry(6, 8, 8, 16);
  release();
}

/* Windows of an image that has its channels last, put in a row; and rows of a product that was reshaped on the way. A
 * shuffle of channels looks alike, but its channels stay where a convolution wants them. */
static void test_rows_moved(void **state) {
  (void)state;
  make_input(&maker, "x", "1x64x16");
  make_ints(&maker, "as-windows", "1 2 4 2 4 16");
  make_node(&maker, "Reshape", "x as-windows", "a");
  with_ints(&maker, "perm", "0 1 3 2 4 5");
  make_node(&maker, "Transpose", "a", "b");
  make_ints(&maker, "as-stack", "4 16 16");
  make_node(&maker, "Reshape", "b as-stack", "c");
  make_node(&maker, "HardSwish", "c", "d");
  make_node(&maker, "MatMul", "c d", "e");
  make_ints(&maker, "as-heads", "1 4 16 16");
  make_node(&maker, "Reshape", "e as-heads", "f");
  with_ints(&maker, "perm", "0 2 1 3");
  make_node(&maker, "Transpose", "f", "g");
  output("g");
  expect_layouts("transpose, hswish, matmul, transpose");
  expect_geometry(0, 16, 4, 16); /* rows of all axes but the last two */
  expect_geometry(3, 16, 4, 16);
  release();
  setup(state);
  input();
  conv3("x", "a");
  make_ints(&maker, "as-groups", "1 2 8 8 8");
  make_node(&maker, "Reshape", "a as-groups", "b");
  with_ints(&maker, "perm", "0 2 1 3 4");
  make_node(&maker, "Transpose", "b", "c");
  make_ints(&maker, "as-image", "1 16 8 8");
  make_node(&maker, "Reshape", "c as-image", "d");
  conv3("d", "e");
  output("e");
  expect_layouts("conv, channelshuffle, conv");
  expect_geometry(1, 8, 8, 16);
  release();
}

/* Dense layers and layer normalisation have their channels last without any transposition around, but a mean over the
 * image may have brought them there. */
static void test_dense_layers(void **state) {
  (void)state;
  make_input(&maker, "x", "1x64x16");
  make_ints(&maker, "as-image", "1 8 8 16");
  make_node(&maker, "Reshape", "x as-image", "a");
  make_node(&maker, "HardSwish", "a", "b");
  make_weight(&maker, "gamma", "16");
  make_node(&maker, "LayerNormalization", "b gamma", "c");
  make_weight(&maker, "w", "16x32");
  make_node(&maker, "MatMul", "c w", "d");
  make_node(&maker, "HardSwish", "d", "e");
  with_ints(&maker, "axes", "1 2");
  make_node(&maker, "ReduceMean", "e", "f");
  output("f");
  expect_layouts("hswish, layernorm, fc, hswish, global-avgpool");
  expect_geometry(0, 8, 8, 16);
  expect_geometry(1, 8, 8, 16);
  expect_geometry(3, 8, 8, 32);
  release();
  setup(state);
  input();
  make_node(&maker, "HardSwish", "x", "a");
  with_ints(&maker, "axes", "2 3");
  with_int(&maker, "keepdims", 0);
  make_node(&maker, "ReduceMean", "a", "b");
  make_weight(&maker, "w", "16x32");
  make_node(&maker, "MatMul", "b w", "c");
  output("c");
  expect_layouts("hswish, global-avgpool, fc");
  expect_geometry(0, 8, 8, 16);
  release();
}

/* ----------------------------------------------------------------- padding */

/* A Pad and a convolution of stride 2 without padding, channels last. */
static void padded(const char *pads, const char *kernel, const char *mode) {
  make_input(&maker, "x", "1x8x8x16");
  make_ints(&maker, "pads", pads);
  make_weight(&maker, "w", kernel);
  if (mode) with_text(&maker, "mode", mode);
  maker.layout = NNM_CHANNELS_LAST;
  make_node(&maker, "Pad", "x pads", "p");
  maker.layout = NNM_CHANNELS_LAST;
  maker.weight_layout = NNM_WEIGHT_XIO;
  with_ints(&maker, "strides", "2 2");
  with_text(&maker, "auto_pad", "VALID");
  make_node(&maker, "Conv", "p w", "y");
  output("y");
}

static void test_padding_of_the_layer(void **state) {
  (void)state;
  padded("0 0 0 0 0 1 1 0", "3x3x16x16", NULL);
  detect_with(cpu);
  expect_names("conv");
  assert_int_equal(kernels->items[0].input_elements, 1024);
  nnm_geometry geometry;
  nnm_kernel_geometry(graph, shapes, &kernels->items[0], &geometry);
  assert_int_equal(geometry.input_height, 8);
  assert_int_equal(geometry.output_height, 4);
  assert_true(geometry.padded);
  release();
  make_start(&maker, 13);
  padded("0 1 1 0 0 2 2 0", "5x5x16x16", "constant");
  expect("conv");
}

static void test_padding_of_its_own(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  static const struct {
    const char *pads, *kernel, *mode;
  } cases[] = {
      {"0 1 1 0 0 1 1 0", "3x3x16x16", NULL},      /* on both sides: not what SAME pads */
      {"0 1 1 0 0 0 0 0", "3x3x16x16", NULL},      /* on the other side */
      {"0 0 0 0 0 1 2 0", "3x3x16x16", NULL},      /* too much of it */
      {"0 0 0 1 0 1 1 0", "3x3x17x16", NULL},      /* channels as well */
      {"0 0 0 0 0 1 1 0", "3x3x16x16", "reflect"}, /* not with zeros */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    make_start(&maker, 13);
    padded(cases[i].pads, cases[i].kernel, cases[i].mode);
    expect("pad, conv");
  }
  make_start(&maker, 13);
  padded("0 0 0 0 0 1 1 0", "3x3x16x16", NULL);
  make_node(&maker, "Relu", "p", "r");
  output("r");
  expect("pad, conv, relu");
}

/* ------------------------------------------------- scales in front of layers */

static void test_scale_in_front(void **state) {
  (void)state;
  input();
  scalars();
  make_node(&maker, "Mul", "x half", "a");
  make_node(&maker, "Add", "a three", "b"); /* reaches the padding: stays, and what is in front of it */
  make_node(&maker, "Div", "b two", "c");
  conv3("c", "d");
  make_node(&maker, "Relu", "d", "r");
  make_node(&maker, "Sub", "r one", "e");
  conv("e", "f", "16x16x1x1", 1); /* pads nothing */
  output("f");
  expect("mul, add, conv-relu, conv");
}

static void test_scale_that_stays(void **state) {
  (void)state;
  input();
  scalars();
  make_node(&maker, "Mul", "x half", "a");
  conv3("a", "b");
  output("a"); /* a result */
  output("b");
  expect("mul, conv");
  make_start(&maker, 13);
  input();
  scalars();
  make_node(&maker, "Div", "one x", "a"); /* no factor */
  conv3("a", "b");
  output("b");
  expect("div, conv");
  make_start(&maker, 13);
  input();
  make_weight(&maker, "each", "16x1x1"); /* a number for each channel */
  make_node(&maker, "Mul", "x each", "a");
  conv3("a", "b");
  output("b");
  expect("mul, conv");
}

/* What the converter of a runtime has left in the file is run. */
static void test_converted_file(void **state) {
  (void)state;
  padded("0 0 0 0 0 1 1 0", "3x3x16x16", NULL);
  scalars();
  make_node(&maker, "Mul", "y one", "a");
  with_ints(&maker, "perm", "0 3 1 2");
  make_node(&maker, "Transpose", "a", "b");
  make_node(&maker, "Tanh", "b", "c");
  with_ints(&maker, "perm", "0 2 3 1");
  make_node(&maker, "Transpose", "c", "d");
  make_node(&maker, "Tanh", "d", "e");
  make_node(&maker, "Mul", "e half", "f");
  make_weight(&maker, "v", "16x16x1x1");
  to_first("f", "g");
  make_node(&maker, "Conv", "g v", "z");
  output("z");
  graph = make_finish(&maker);
  graph->is_converted = true;
  detect_in_graph(cpu);
  expect_names("pad, conv, mul, transpose, tanh, transpose, tanh, mul, transpose, conv");
  release();
}

static void test_neutral_operands(void **state) {
  (void)state;
  input();
  scalars();
  make_node(&maker, "Relu", "x", "r");
  make_node(&maker, "Add", "r zero", "a");
  make_node(&maker, "Mul", "a one", "b");
  make_node(&maker, "Sub", "b zero", "c");
  make_node(&maker, "Div", "c one", "d");
  make_node(&maker, "Mul", "d zero", "e"); /* changes something */
  make_node(&maker, "Tanh", "e", "y");
  output("y");
  expect("relu, mul, tanh");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_island, setup),
      cmocka_unit_test_setup(test_gated_island, setup),
      cmocka_unit_test_setup(test_open_islands, setup),
      cmocka_unit_test_setup(test_neighbours, setup),
      cmocka_unit_test_setup(test_layouts_of_nodes, setup),
      cmocka_unit_test_setup(test_heads, setup),
      cmocka_unit_test_setup(test_rows_moved, setup),
      cmocka_unit_test_setup(test_dense_layers, setup),
      cmocka_unit_test_setup(test_padding_of_the_layer, setup),
      cmocka_unit_test_setup(test_padding_of_its_own, setup),
      cmocka_unit_test_setup(test_scale_in_front, setup),
      cmocka_unit_test_setup(test_scale_that_stays, setup),
      cmocka_unit_test_setup(test_neutral_operands, setup),
      cmocka_unit_test_setup(test_converted_file, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
