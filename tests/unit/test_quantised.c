/* A quantised network has the kernels of its float twin, and says of each that it is quantised. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "features/features.h"
#include "kernel_maker.h"

static void start(void) {
  make_start(&maker, 17);
  input();
  make_floats(&maker, "s", "0.1");
  make_typed_weight(&maker, "z", NNM_DTYPE_I8, "");
  make_typed_weight(&maker, "w8", NNM_DTYPE_I8, "16x16x3x3");
  make_weight(&maker, "w", "16x16x3x3");
}

/* `name` as 8 bits and back: what an exporter puts around every operator. */
static const char *quantised(const char *name) {
  static char result[20];
  char inputs[40], stored[20];
  snprintf(inputs, sizeof inputs, "%s s z", name);
  snprintf(stored, sizeof stored, "%s.8", name);
  make_node(&maker, "QuantizeLinear", inputs, stored);
  snprintf(inputs, sizeof inputs, "%s.8 s z", name);
  snprintf(result, sizeof result, "%s.f", name);
  make_node(&maker, "DequantizeLinear", inputs, result);
  return result;
}

static void conv_relu(const char *in, const char *weight, const char *out, bool quantise) {
  char inputs[40], between[20];
  snprintf(inputs, sizeof inputs, "%s %s", in, weight);
  snprintf(between, sizeof between, "%s.c", out);
  with_ints(&maker, "pads", "1 1 1 1");
  make_node(&maker, "Conv", inputs, between);
  make_node(&maker, "Relu", between, out);
  if (quantise) quantised(out);
}

static void expect_bytes(const nnm_kernel *kernel, double element, double weight) {
  float row[NNM_FEATURE_COUNT];
  nnm_kernel_features(graph, shapes, kernel, row);
  if (fabs((double)row[NNM_FEATURE_ELEMENT_BYTES] - element) > 1e-6 ||
      fabs((double)row[NNM_FEATURE_WEIGHT_BYTES] - weight) > 1e-6)
    fail_msg("%s: %g bytes an element, %g a weight", kernel->name, (double)row[NNM_FEATURE_ELEMENT_BYTES],
             (double)row[NNM_FEATURE_WEIGHT_BYTES]);
}

/* Two layers and a sum; as floats, and with pairs of QuantizeLinear and DequantizeLinear around everything. */
static void test_pairs(void **state) {
  (void)state;
  for (int form = 0; form < 2; form++) {
    start();
    if (form) {
      make_node(&maker, "DequantizeLinear", "w8 s z", "wf");
      quantised("x");
      conv_relu("x.f", "wf", "a", true);
      conv_relu("a.f", "wf", "b", true);
      make_node(&maker, "Add", "a.f b.f", "c");
      output(quantised("c"));
    } else {
      conv_relu("x", "w", "a", false);
      conv_relu("a", "w", "b", false);
      make_node(&maker, "Add", "a b", "c");
      output("c");
    }
    detect_with(cpu);
    expect_names("conv-relu, conv-relu, add");
    for (size_t i = 0; i < 3; i++) expect_bytes(&kernels->items[i], form ? 1 : 4, form ? 1 : 4);
    assert_int_equal(kernels->items[0].multiply_adds, 16 * 16 * 9 * 64);
    assert_int_equal(kernels->items[0].weight_elements, 16 * 16 * 9);
    release();
  }
}

static void test_qlinear(void **state) {
  (void)state;
  start();
  make_node(&maker, "QuantizeLinear", "x s z", "q");
  with_ints(&maker, "pads", "1 1 1 1");
  make_node(&maker, "QLinearConv", "q s z w8 s z s z", "a");
  maker.domain = make_text(&maker, "com.microsoft");
  make_node(&maker, "QLinearAdd", "a s z q s z s z", "b");
  make_node(&maker, "DequantizeLinear", "b s z", "y");
  output("y");
  detect_with(cpu);
  expect_names("quantizelinear, conv, add, dequantizelinear");
  expect_bytes(&kernels->items[1], 1, 1);
  assert_int_equal(kernels->items[1].weight_elements, 16 * 16 * 9);
  assert_int_equal(kernels->items[1].multiply_adds, 16 * 16 * 9 * 64);
  release();
}

/* Quantised as it runs: what turns the sums back into floats belongs to the layer. */
static void test_dynamic(void **state) {
  (void)state;
  for (int form = 0; form < 2; form++) {
    make_start(&maker, 17);
    make_input(&maker, "x", "1x10x64");
    make_typed_weight(&maker, "w", NNM_DTYPE_I8, "64x32");
    make_typed_weight(&maker, "wz", NNM_DTYPE_I8, "");
    make_floats(&maker, "ws", "0.1");
    make_weight(&maker, "bias", "32");
    make_node(&maker, "DynamicQuantizeLinear", "x", "q qs qz");
    make_node(&maker, "Mul", "qs ws", "scale");
    make_node(&maker, "MatMulInteger", "q w qz wz", "p");
    with_int(&maker, "to", 1);
    make_node(&maker, "Cast", "p", "f");
    make_node(&maker, "Mul", form ? "scale f" : "f scale", "m");
    make_node(&maker, "Add", "bias m", "y");
    make_node(&maker, "Relu", "y", "z");
    output("z");
    detect_with(cpu);
    expect_names("dynamicquantizelinear, fc-relu");
    assert_int_equal(kernels->items[1].member_count, 6);
    assert_int_equal(kernels->items[1].multiply_adds, 10 * 64 * 32);
    expect_bytes(&kernels->items[1], 1, 1);
    assert_int_equal(count_left_out(false), 0);
    release();
  }
}

/* Weights of 4 bits, packed. */
static void test_packed_weights(void **state) {
  (void)state;
  make_start(&maker, 17);
  make_input(&maker, "x", "1x10x64");
  make_typed_weight(&maker, "w", NNM_DTYPE_U8, "32x2x16");
  make_weight(&maker, "s", "64");
  maker.domain = make_text(&maker, "com.microsoft");
  with_int(&maker, "K", 64);
  with_int(&maker, "N", 32);
  with_int(&maker, "bits", 4);
  with_int(&maker, "block_size", 32);
  make_node(&maker, "MatMulNBits", "x w s", "y");
  output("y");
  detect_with(cpu);
  expect_names("fc");
  assert_int_equal(kernels->items[0].multiply_adds, 10 * 64 * 32);
  assert_int_equal(kernels->items[0].weight_elements, 64 * 32);
  expect_bytes(&kernels->items[0], 4, 0.5);
  release();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pairs),
      cmocka_unit_test(test_qlinear),
      cmocka_unit_test(test_dynamic),
      cmocka_unit_test(test_packed_weights),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
