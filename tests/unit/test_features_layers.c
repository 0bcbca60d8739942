/* Features of layers that are no images: products of matrices, sequences, tables, one and three dimensions. Every number
 * is worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "features/features.h"
#include "kernel_maker.h"

typedef struct expected {
  nnm_feature feature;
  double number; /* whose logarithm (of one plus it) the feature is */
} expected;

static void check(const nnm_kernel *kernel, const expected *list, size_t count) {
  float row[NNM_FEATURE_COUNT];
  nnm_kernel_features(graph, shapes, kernel, row);
  for (size_t i = 0; i < count; i++)
    if (fabs((double)row[list[i].feature] - log1p(list[i].number)) > 1e-5)
      fail_msg("%s: %s is of %g, not of %g", kernel->name, nnm_feature_names[list[i].feature],
               exp((double)row[list[i].feature]) - 1, list[i].number);
}

#define CHECK(kernel, ...)                             \
  do {                                                 \
    const expected list[] = {__VA_ARGS__};             \
    check(kernel, list, sizeof list / sizeof list[0]); \
  } while (0)

static void detect(const char *names) {
  detect_with(cpu);
  expect_names(names);
  assert_int_equal(count_left_out(false), 0);
}

/* A dense layer on (2, 10, 64) is a product of 20 x 64 and 64 x 32. */
static void test_dense_of_any_rank(void **state) {
  (void)state;
  for (int rank = 2; rank < 5; rank++) {
    static const char *const sizes[] = {"20x64", "2x10x64", "2x2x5x64"};
    make_start(&maker, 17);
    make_input(&maker, "x", sizes[rank - 2]);
    make_weight(&maker, "w", "64x32");
    make_weight(&maker, "b", "32");
    make_node(&maker, "MatMul", "x w", "m");
    make_node(&maker, "Add", "m b", "y");
    output("y");
    detect("fc");
    CHECK(&kernels->items[0], {NNM_FEATURE_MULTIPLY_ADDS, 20 * 64 * 32}, {NNM_FEATURE_WEIGHT_ELEMENTS, 64 * 32},
          {NNM_FEATURE_INPUT_ELEMENTS, 20 * 64}, {NNM_FEATURE_OUTPUT_ELEMENTS, 20 * 32},
          {NNM_FEATURE_BYTES, 4 * (20 * 64 + 20 * 32 + 64 * 32)}, {NNM_FEATURE_BATCH, 1},
          {NNM_FEATURE_INPUT_HEIGHT, 20}, {NNM_FEATURE_INPUT_CHANNELS, 64}, {NNM_FEATURE_OUTPUT_CHANNELS, 32},
          {NNM_FEATURE_PIXELS, 20}, {NNM_FEATURE_DEPTH, 64});
    release();
  }
}

/* (1, 64) times the transposed (32, 64), and a bias. */
static void test_gemm(void **state) {
  (void)state;
  make_start(&maker, 17);
  make_input(&maker, "x", "1x64");
  make_weight(&maker, "w", "32x64");
  make_weight(&maker, "b", "32");
  with_int(&maker, "transB", 1);
  make_node(&maker, "Gemm", "x w b", "y");
  output("y");
  detect("fc");
  CHECK(&kernels->items[0], {NNM_FEATURE_MULTIPLY_ADDS, 64 * 32}, {NNM_FEATURE_WEIGHT_ELEMENTS, 64 * 32},
        {NNM_FEATURE_BYTES, 4 * (64 + 32 + 64 * 32)}, {NNM_FEATURE_INPUT_CHANNELS, 64},
        {NNM_FEATURE_OUTPUT_CHANNELS, 32});
  release();
}

/* Six products of 10 x 64 and 64 x 12, the second operand shared by three of them. */
static void test_product_of_activations(void **state) {
  (void)state;
  make_start(&maker, 17);
  make_input(&maker, "a", "2x3x10x64");
  make_input(&maker, "b", "2x1x64x12");
  make_node(&maker, "MatMul", "a b", "y");
  output("y");
  detect("matmul");
  CHECK(&kernels->items[0], {NNM_FEATURE_MULTIPLY_ADDS, 6 * 10 * 64 * 12}, {NNM_FEATURE_WEIGHT_ELEMENTS, 0},
        {NNM_FEATURE_INPUT_ELEMENTS, 6 * 640 + 2 * 768}, {NNM_FEATURE_OUTPUT_ELEMENTS, 6 * 120},
        {NNM_FEATURE_BYTES, 4 * (6 * 640 + 2 * 768 + 6 * 120)}, {NNM_FEATURE_BATCH, 6}, {NNM_FEATURE_INPUT_HEIGHT, 10},
        {NNM_FEATURE_INPUT_CHANNELS, 64}, {NNM_FEATURE_OUTPUT_CHANNELS, 12}, {NNM_FEATURE_PIXELS, 60},
        {NNM_FEATURE_DEPTH, 64});
  release();
}

/* 7 steps, 2 sequences, 16 features, 32 hidden units; gates: 4 of an LSTM, 3 of a GRU, 1. */
static void test_recurrent(void **state) {
  (void)state;
  static const struct {
    const char *type, *name;
    int gates;
  } layers[] = {{"LSTM", "lstm", 4}, {"GRU", "gru", 3}, {"RNN", "rnn", 1}};
  for (int i = 0; i < 6; i++) {
    int gates = layers[i / 2].gates, directions = i % 2 + 1;
    char shape[40];
    make_start(&maker, 17);
    make_input(&maker, "x", "7x2x16");
    snprintf(shape, sizeof shape, "%dx%dx16", directions, gates * 32);
    make_weight(&maker, "w", shape);
    snprintf(shape, sizeof shape, "%dx%dx32", directions, gates * 32);
    make_weight(&maker, "r", shape);
    with_int(&maker, "hidden_size", 32);
    if (directions == 2) with_text(&maker, "direction", "bidirectional");
    make_node(&maker, layers[i / 2].type, "x w r", "y");
    output("y");
    detect(layers[i / 2].name);
    assert_int_equal(kernels->items[0].type, NNM_KERNEL_RECURRENT);
    double each = directions * gates * 32.0 * (16 + 32);
    CHECK(&kernels->items[0], {NNM_FEATURE_MULTIPLY_ADDS, 7 * 2 * each}, {NNM_FEATURE_WEIGHT_ELEMENTS, each},
          {NNM_FEATURE_BYTES, 4 * (7 * 2 * 16 + 7 * 2 * directions * 32 + each)}, {NNM_FEATURE_BATCH, 2},
          {NNM_FEATURE_INPUT_HEIGHT, 7}, {NNM_FEATURE_OUTPUT_CHANNELS, directions * 32},
          {NNM_FEATURE_DEPTH, gates * (16 + 32)}, {NNM_FEATURE_PIXELS, 14});
    release();
  }
}

/* 10 rows of a table of 30,000: the others are never read. */
static void test_embedding(void **state) {
  (void)state;
  make_start(&maker, 17);
  make_input(&maker, "ids", "1x10");
  make_weight(&maker, "table", "30000x64");
  make_node(&maker, "Gather", "table ids", "y");
  output("y");
  detect("gather");
  CHECK(&kernels->items[0], {NNM_FEATURE_MULTIPLY_ADDS, 0}, {NNM_FEATURE_WEIGHT_ELEMENTS, 640},
        {NNM_FEATURE_INPUT_ELEMENTS, 10}, {NNM_FEATURE_OUTPUT_ELEMENTS, 640},
        {NNM_FEATURE_BYTES, 4 * (10 + 640 + 640)});
  release();
}

/* A kernel of 3 on a signal of 100 samples; of 3x3x3 on a volume; the latter's rows are those of all slices. */
static void test_one_and_three_dimensions(void **state) {
  (void)state;
  make_start(&maker, 17);
  make_input(&maker, "x", "1x16x100");
  make_weight(&maker, "w", "32x16x3");
  with_ints(&maker, "strides", "2");
  make_node(&maker, "Conv", "x w", "y");
  output("y");
  detect("conv");
  CHECK(&kernels->items[0], {NNM_FEATURE_MULTIPLY_ADDS, 49 * 32 * 16 * 3}, {NNM_FEATURE_WEIGHT_ELEMENTS, 32 * 16 * 3},
        {NNM_FEATURE_INPUT_HEIGHT, 100}, {NNM_FEATURE_INPUT_WIDTH, 1}, {NNM_FEATURE_OUTPUT_HEIGHT, 49},
        {NNM_FEATURE_KERNEL_HEIGHT, 3}, {NNM_FEATURE_KERNEL_WIDTH, 1}, {NNM_FEATURE_STRIDE_HEIGHT, 2},
        {NNM_FEATURE_DEPTH, 48});
  release();
  make_start(&maker, 17);
  make_input(&maker, "x", "1x16x8x10x12");
  make_weight(&maker, "w", "32x16x3x3x3");
  make_node(&maker, "Conv", "x w", "y");
  output("y");
  detect("conv");
  CHECK(&kernels->items[0], {NNM_FEATURE_MULTIPLY_ADDS, 6.0 * 8 * 10 * 32 * 16 * 27},
        {NNM_FEATURE_WEIGHT_ELEMENTS, 32 * 16 * 27}, {NNM_FEATURE_INPUT_HEIGHT, 80}, {NNM_FEATURE_INPUT_WIDTH, 12},
        {NNM_FEATURE_OUTPUT_HEIGHT, 48}, {NNM_FEATURE_OUTPUT_WIDTH, 10}, {NNM_FEATURE_KERNEL_HEIGHT, 9},
        {NNM_FEATURE_KERNEL_WIDTH, 3}, {NNM_FEATURE_DEPTH, 16 * 27});
  release();
}

/* 3x3 with stride 2 from 8x8 to 17x17: each of the 64 pixels goes into 9 of the result, for each pair of channels. */
static void test_transposed_convolution(void **state) {
  (void)state;
  make_start(&maker, 17);
  make_input(&maker, "x", "1x16x8x8");
  make_weight(&maker, "w", "16x32x3x3");
  with_ints(&maker, "strides", "2 2");
  make_node(&maker, "ConvTranspose", "x w", "y");
  output("y");
  detect("convtrans");
  CHECK(&kernels->items[0], {NNM_FEATURE_MULTIPLY_ADDS, 64 * 9 * 16 * 32}, {NNM_FEATURE_WEIGHT_ELEMENTS, 16 * 32 * 9},
        {NNM_FEATURE_OUTPUT_HEIGHT, 17}, {NNM_FEATURE_OUTPUT_CHANNELS, 32});
  release();
}

/* Upsampling; boxes: each is a kernel that reads and writes what it must. */
static void test_resize_and_suppression(void **state) {
  (void)state;
  make_start(&maker, 17);
  make_input(&maker, "x", "1x16x8x8");
  make_input(&maker, "boxes", "1x100x4");
  make_input(&maker, "scores", "1x5x100");
  make_floats(&maker, "scales", "1 1 2 2");
  make_scalar(&maker, "most", 7);
  make_node(&maker, "Resize", "x - scales", "y");
  make_node(&maker, "NonMaxSuppression", "boxes scores most", "kept");
  output("y");
  output("kept");
  detect("resize, nonmaxsuppression");
  CHECK(&kernels->items[0], {NNM_FEATURE_INPUT_ELEMENTS, 1024}, {NNM_FEATURE_OUTPUT_ELEMENTS, 4096},
        {NNM_FEATURE_OUTPUT_HEIGHT, 16}, {NNM_FEATURE_OUTPUT_CHANNELS, 16});
  CHECK(&kernels->items[1], {NNM_FEATURE_INPUT_ELEMENTS, 400 + 500}, {NNM_FEATURE_INPUTS, 2});
  release();
}

/* A normalisation reads and writes each element once, however it is spelt (spellings: test_kernel_patterns.c). */
static void test_norm(void **state) {
  (void)state;
  make_start(&maker, 17);
  make_input(&maker, "x", "2x10x64");
  make_weight(&maker, "g", "64");
  make_weight(&maker, "b", "64");
  make_node(&maker, "LayerNormalization", "x g b", "y");
  output("y");
  detect("layernorm");
  CHECK(&kernels->items[0], {NNM_FEATURE_MULTIPLY_ADDS, 0}, {NNM_FEATURE_INPUT_ELEMENTS, 1280},
        {NNM_FEATURE_OUTPUT_ELEMENTS, 1280}, {NNM_FEATURE_BYTES, 4 * 2560}, {NNM_FEATURE_BATCH, 2},
        {NNM_FEATURE_INPUT_HEIGHT, 10}, {NNM_FEATURE_INPUT_CHANNELS, 64});
  release();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_dense_of_any_rank),
      cmocka_unit_test(test_gemm),
      cmocka_unit_test(test_product_of_activations),
      cmocka_unit_test(test_recurrent),
      cmocka_unit_test(test_embedding),
      cmocka_unit_test(test_one_and_three_dimensions),
      cmocka_unit_test(test_transposed_convolution),
      cmocka_unit_test(test_resize_and_suppression),
      cmocka_unit_test(test_norm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
