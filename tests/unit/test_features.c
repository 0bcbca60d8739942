/* Kernels as numbers: what they say, and that they say the same of the same work however a file spells it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "features/features.h"
#include "graph_maker.h"

static graph_maker maker;

static const char rules_text[] = "{\"BF_conv_relu\": {\"obey\": true}, \"BF_conv_add\": {\"obey\": true},"
                                 " \"BF_conv_hswish\": {\"obey\": true}}";

enum { MOST_KERNELS = 8 };

typedef struct result {
  size_t count;
  nnm_kernel_type types[MOST_KERNELS];
  float rows[MOST_KERNELS][NNM_FEATURE_COUNT];
} result;

/* Kernels and features of the graph made so far. */
static result finish(void) {
  result found = {0};
  nnm_graph *graph = make_finish(&maker);
  nnm_shapes *shapes = NULL;
  nnm_fusion_rules *rules = NULL;
  nnm_kernels *kernels = NULL;
  if (nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error) != NNM_OK)
    fail_msg("%s: %s", maker.error.place, maker.error.message);
  assert_int_equal(nnm_fusion_rules_parse(rules_text, strlen(rules_text), &rules, &maker.error), NNM_OK);
  assert_int_equal(nnm_detect_kernels(graph, shapes, rules, &kernels, &maker.error), NNM_OK);
  assert_true(kernels->count <= MOST_KERNELS);
  for (; found.count < kernels->count; found.count++) {
    found.types[found.count] = kernels->items[found.count].type;
    nnm_kernel_features(graph, shapes, &kernels->items[found.count], found.rows[found.count]);
    for (int i = 0; i < NNM_FEATURE_COUNT; i++)
      if (!(fabsf(found.rows[found.count][i]) < 100)) fail_msg("%s is not of scale 1 to 20", nnm_feature_names[i]);
  }
  nnm_kernels_free(kernels);
  nnm_fusion_rules_free(rules);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
  return found;
}

static void expect_same(const result *a, const result *b) {
  assert_int_equal(a->count, b->count);
  for (size_t k = 0; k < a->count; k++) {
    assert_int_equal(a->types[k], b->types[k]);
    for (int i = 0; i < NNM_FEATURE_COUNT; i++)
      if (fabsf(a->rows[k][i] - b->rows[k][i]) > 1e-6F)
        fail_msg("kernel %zu, %s: %g and %g", k, nnm_feature_names[i], (double)a->rows[k][i], (double)b->rows[k][i]);
  }
}

static void expect_feature(const float *row, nnm_feature feature, double expected) {
  if (fabs((double)row[feature] - expected) > 1e-5)
    fail_msg("%s is %g, not %g", nnm_feature_names[feature], (double)row[feature], expected);
}

static void start(const char *shape) {
  make_start(&maker, 13);
  make_input(&maker, "x", shape);
}

static void conv(const char *in, const char *out, const char *weight) {
  make_weight(&maker, "w", weight);
  char inputs[50] = "";
  strcat(strcat(inputs, in), " w");
  make_node(&maker, "Conv", inputs, out);
}

static void test_values(void **state) {
  (void)state;
  start("2x12x31x17");
  with_ints(&maker, "pads", "1 2 1 2");
  with_ints(&maker, "strides", "2 1");
  with_ints(&maker, "dilations", "1 2");
  with_int(&maker, "group", 3);
  conv("x", "y", "30x4x3x3");
  make_node(&maker, "Relu", "y", "z");
  make_output(&maker, "z");
  result found = finish();
  const float *row = found.rows[0];
  double pixels = 2 * 16 * 17, macs = pixels * 30 * 4 * 9, bytes = 4.0 * (2 * 12 * 31 * 17 + pixels * 30 + 30 * 4 * 9);
  expect_feature(row, NNM_FEATURE_MULTIPLY_ADDS, log1p(macs));
  expect_feature(row, NNM_FEATURE_INPUT_ELEMENTS, log1p(2 * 12 * 31 * 17));
  expect_feature(row, NNM_FEATURE_OUTPUT_ELEMENTS, log1p(pixels * 30));
  expect_feature(row, NNM_FEATURE_WEIGHT_ELEMENTS, log1p(30 * 4 * 9));
  expect_feature(row, NNM_FEATURE_BYTES, log1p(bytes));
  expect_feature(row, NNM_FEATURE_INTENSITY, log((1 + 2 * macs) / (1 + bytes)));
  expect_feature(row, NNM_FEATURE_ELEMENT_BYTES, 4);
  expect_feature(row, NNM_FEATURE_BATCH, log1p(2));
  expect_feature(row, NNM_FEATURE_INPUT_HEIGHT, log1p(31));
  expect_feature(row, NNM_FEATURE_INPUT_WIDTH, log1p(17));
  expect_feature(row, NNM_FEATURE_OUTPUT_HEIGHT, log1p(16));
  expect_feature(row, NNM_FEATURE_OUTPUT_WIDTH, log1p(17));
  expect_feature(row, NNM_FEATURE_STRIDE_HEIGHT, log1p(2));
  expect_feature(row, NNM_FEATURE_STRIDE_WIDTH, log1p(1));
  expect_feature(row, NNM_FEATURE_DILATION, log1p(2));
  expect_feature(row, NNM_FEATURE_GROUP, log1p(3));
  expect_feature(row, NNM_FEATURE_GROUP_CHANNELS, log1p(4));
  expect_feature(row, NNM_FEATURE_PADDED, 1);
  expect_feature(row, NNM_FEATURE_ODD_SIZE, 1);
  expect_feature(row, NNM_FEATURE_WASTE_IN_8, log(16.0 / 12));
  expect_feature(row, NNM_FEATURE_WASTE_OUT_32, log(32.0 / 30));
  expect_feature(row, NNM_FEATURE_DEPTH, log1p(4 * 9));
  expect_feature(row, NNM_FEATURE_PIXELS, log1p(pixels));
  expect_feature(row, NNM_FEATURE_OVER_L1, log(bytes / 32768));
  expect_feature(row, NNM_FEATURE_FUSED_RELU, 1);
  expect_feature(row, NNM_FEATURE_FUSED_ADD, 0);
  expect_feature(row, NNM_FEATURE_WINOGRAD, 0);
}

static result conv_block(bool with_bn, bool asymmetric) {
  start("1x8x20x20");
  with_ints(&maker, "pads", asymmetric ? "0 0 1 1" : "1 1 1 1");
  with_ints(&maker, "strides", "2 2");
  conv("x", "y", "16x8x3x3");
  if (with_bn) {
    make_weight(&maker, "s", "16");
    make_node(&maker, "BatchNormalization", "y s s s s", "b");
  }
  make_node(&maker, "Relu", with_bn ? "b" : "y", "z");
  make_output(&maker, "z");
  return finish();
}

/* Folding a batch normalisation, or padding on one side only, is no other work. */
static void test_same_work(void **state) {
  (void)state;
  result folded = conv_block(false, false), unfolded = conv_block(true, false), one_sided = conv_block(true, true);
  expect_same(&folded, &unfolded);
  expect_same(&folded, &one_sided);
}

static result pooling(int spelling) {
  start(spelling == 3 ? "1x7x7x40" : "1x40x7x7");
  if (spelling == 0) make_node(&maker, "GlobalAveragePool", "x", "y");
  if (spelling == 1 || spelling == 3) {
    maker.layout = spelling == 3 ? NNM_CHANNELS_LAST : NNM_CHANNELS_FIRST;
    with_ints(&maker, "axes", spelling == 3 ? "1 2" : "2 3");
    with_int(&maker, "keepdims", 0);
    make_node(&maker, "ReduceMean", "x", "y");
  }
  if (spelling == 2) {
    with_ints(&maker, "kernel_shape", "7 7");
    make_node(&maker, "AveragePool", "x", "y");
  }
  make_output(&maker, "y");
  return finish();
}

static void test_global_pooling(void **state) {
  (void)state;
  result first = pooling(0);
  assert_int_equal(first.types[0], NNM_KERNEL_GLOBAL_AVGPOOL);
  for (int spelling = 1; spelling < 4; spelling++) {
    result other = pooling(spelling);
    expect_same(&first, &other);
  }
}

static result halves(bool slices) {
  start("1x16x8x8");
  if (slices) {
    make_ints(&maker, "axis", "1");
    make_ints(&maker, "zero", "0");
    make_ints(&maker, "eight", "8");
    make_ints(&maker, "end", "16");
    make_node(&maker, "Slice", "x zero eight axis", "a");
    make_node(&maker, "Slice", "x eight end axis", "b");
  } else {
    with_int(&maker, "axis", 1);
    make_node(&maker, "Split", "x", "a b");
  }
  make_output(&maker, "a");
  make_output(&maker, "b");
  return finish();
}

static void test_split(void **state) {
  (void)state;
  result split = halves(false), slices = halves(true);
  assert_int_equal(split.types[0], NNM_KERNEL_SPLIT);
  expect_same(&split, &slices);
  expect_feature(split.rows[0], NNM_FEATURE_OUTPUTS, log1p(2));
}

static result hard_swish(bool spelt_out) {
  start("1x16x8x8");
  if (spelt_out) {
    make_floats(&maker, "three", "3");
    make_floats(&maker, "six", "6");
    make_floats(&maker, "zero", "0");
    make_node(&maker, "Add", "x three", "a");
    make_node(&maker, "Clip", "a zero six", "b");
    make_node(&maker, "Mul", "x b", "c");
    make_node(&maker, "Div", "c six", "y");
  } else {
    make_node(&maker, "HardSwish", "x", "y");
  }
  make_output(&maker, "y");
  return finish();
}

static void test_hard_swish(void **state) {
  (void)state;
  result spelt_out = hard_swish(true), one = hard_swish(false);
  expect_same(&spelt_out, &one);
}

static result fully_connected(bool as_gemm) {
  start("4x64");
  make_weight(&maker, "w", as_gemm ? "10x64" : "64x10");
  make_weight(&maker, "b", "10");
  with_int(&maker, "transB", 1);
  if (!as_gemm) maker.attribute_count = 0;
  make_node(&maker, as_gemm ? "Gemm" : "MatMul", as_gemm ? "x w b" : "x w", "y");
  if (!as_gemm) make_node(&maker, "Add", "y b", "z");
  make_output(&maker, as_gemm ? "y" : "z");
  return finish();
}

static void test_fully_connected(void **state) {
  (void)state;
  result gemm = fully_connected(true), matmul = fully_connected(false);
  expect_same(&gemm, &matmul);
  expect_feature(gemm.rows[0], NNM_FEATURE_INPUT_CHANNELS, log1p(64));
  expect_feature(gemm.rows[0], NNM_FEATURE_OUTPUT_CHANNELS, log1p(10));
  expect_feature(gemm.rows[0], NNM_FEATURE_INPUT_HEIGHT, log1p(4));
  expect_feature(gemm.rows[0], NNM_FEATURE_WEIGHT_ELEMENTS, log1p(640));
}

static void test_matmul(void **state) {
  (void)state;
  start("1x12x50x64");
  make_input(&maker, "k", "1x12x64x30");
  make_node(&maker, "MatMul", "x k", "y");
  make_output(&maker, "y");
  result found = finish();
  assert_int_equal(found.types[0], NNM_KERNEL_MATMUL);
  expect_feature(found.rows[0], NNM_FEATURE_BATCH, log1p(12));
  expect_feature(found.rows[0], NNM_FEATURE_INPUT_HEIGHT, log1p(50));
  expect_feature(found.rows[0], NNM_FEATURE_INPUT_CHANNELS, log1p(64));
  expect_feature(found.rows[0], NNM_FEATURE_OUTPUT_CHANNELS, log1p(30));
  expect_feature(found.rows[0], NNM_FEATURE_INPUTS, log1p(2));
}

static void test_quantised(void **state) {
  (void)state;
  start("1x16x8x8");
  make_floats(&maker, "scale", "0.1");
  make_node(&maker, "Relu", "x", "r"); /* not folded into the input's quantisation */
  nnm_constant *zero = nnm_arena_alloc(nnm_graph_builder_arena(maker.builder), 1, sizeof *zero);
  assert_non_null(zero);
  *zero = (nnm_constant){.dtype = NNM_DTYPE_U8};
  nnm_tensor_id id;
  assert_int_equal(nnm_graph_builder_tensor(maker.builder, make_text(&maker, "point"), &id, &maker.error), NNM_OK);
  assert_int_equal(nnm_graph_builder_weight(maker.builder, id, zero, &maker.error), NNM_OK);
  make_node(&maker, "QuantizeLinear", "r scale point", "q");
  make_node(&maker, "DequantizeLinear", "q scale point", "d");
  conv("d", "y", "16x16x1x1");
  make_output(&maker, "y");
  result found = finish();
  assert_int_equal(found.count, 2);
  expect_feature(found.rows[0], NNM_FEATURE_ELEMENT_BYTES, 4);
  expect_feature(found.rows[1], NNM_FEATURE_ELEMENT_BYTES, 1);
}

/* The largest and the strangest shapes still give finite numbers. */
static void test_extremes(void **state) {
  (void)state;
  static const char *const shapes[] = {"1", "", "1x1x1x1", "1099511627776x1x1x1024", "3x0x5x5", "2x3x4x5x6x7"};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    start(shapes[i]);
    make_node(&maker, "Sigmoid", "x", "a");
    make_node(&maker, "Add", "a x", "b");
    make_node(&maker, "ReduceMax", "b", "c");
    make_output(&maker, "c");
    finish();
  }
  start("1x65536x4096x2");
  with_ints(&maker, "pads", "4096 1 4096 1");
  conv("x", "y", "1048576x65536x4096x2");
  make_output(&maker, "y");
  finish();
  make_start(&maker, 13); /* shapes that nobody knows */
  make_input(&maker, "x", "1x4");
  maker.domain = "lab";
  make_node(&maker, "Wobble", "x", "y");
  maker.domain = "lab";
  make_node(&maker, "Wobble", "y", "z");
  make_output(&maker, "z");
  finish();
}

static void test_names(void **state) {
  (void)state;
  for (int i = 0; i < NNM_FEATURE_COUNT; i++)
    for (int k = 0; k < i; k++) assert_string_not_equal(nnm_feature_names[i], nnm_feature_names[k]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values), cmocka_unit_test(test_same_work),  cmocka_unit_test(test_global_pooling),
      cmocka_unit_test(test_split),  cmocka_unit_test(test_hard_swish), cmocka_unit_test(test_fully_connected),
      cmocka_unit_test(test_matmul), cmocka_unit_test(test_quantised),  cmocka_unit_test(test_extremes),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
