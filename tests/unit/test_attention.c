/* Attention is one kernel, whether a file has an operator for it or spells it out, in the order of whichever exporter. */
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

/* 2 images, 4 heads, 10 queries, 12 keys, 16 elements a head, 8 a value */
enum { PRODUCTS = 2 * 4 * 10 * 12 * 16 + 2 * 4 * 10 * 12 * 8 };

static void start(void) {
  make_start(&maker, 18);
  make_input(&maker, "q", "2x4x10x16");
  make_input(&maker, "k", "2x4x12x16");
  make_input(&maker, "kt", "2x4x16x12");
  make_input(&maker, "v", "2x4x12x8");
  make_input(&maker, "vt", "2x4x8x12");
  make_input(&maker, "mask", "2x1x10x12");
  make_input(&maker, "scale", "");
  make_floats(&maker, "c", "0.25");
  scalars();
  with_int(&maker, "to", 9);
  make_node(&maker, "Cast", "mask", "keep");
}

/* Each node: operator, inputs, output; a Transpose exchanges the last two of four axes. The last one makes the result. */
static void spell(const char *lines) {
  char type[40], inputs[100], result[40];
  int read;
  while (sscanf(lines, " %39[^(](%99[^)])%39[^;];%n", type, inputs, result, &read) == 3) {
    if (!strcmp(type, "Transpose")) with_ints(&maker, "perm", "0 1 3 2");
    if (!strcmp(type, "Softmax")) with_int(&maker, "axis", -1);
    if (!strcmp(type, "Cast")) with_int(&maker, "to", strchr(inputs, 'p') ? 1 : 10);
    make_node(&maker, type, inputs, result);
    lines += read;
  }
  assert_string_equal(lines, "");
  output(result);
}

static int count_of(nnm_kernel_type type) {
  int count = 0;
  for (size_t i = 0; i < kernels->count; i++) count += kernels->items[i].type == type;
  return count;
}

static const nnm_kernel *the_attention(void) {
  for (size_t i = 0; i < kernels->count; i++)
    if (kernels->items[i].type == NNM_KERNEL_ATTENTION) return &kernels->items[i];
  fail_msg("no attention among the kernels");
  return NULL;
}

static void expect_feature(const float *row, nnm_feature feature, double expected) {
  if (fabs((double)row[feature] - log1p(expected)) > 1e-5)
    fail_msg("%s is of %g, not of %g", nnm_feature_names[feature], exp((double)row[feature]) - 1, expected);
}

static void check_features(const nnm_kernel *kernel, double products) {
  float row[NNM_FEATURE_COUNT];
  nnm_kernel_features(graph, shapes, kernel, row);
  expect_feature(row, NNM_FEATURE_MULTIPLY_ADDS, products);
  expect_feature(row, NNM_FEATURE_BATCH, 2 * 4);
  expect_feature(row, NNM_FEATURE_INPUT_HEIGHT, 10);
  expect_feature(row, NNM_FEATURE_OUTPUT_CHANNELS, 8);
  expect_feature(row, NNM_FEATURE_OUTPUT_ELEMENTS, 2 * 4 * 10 * 8);
  expect_feature(row, NNM_FEATURE_INPUT_CHANNELS, 36); /* 12 keys: 12 * 16 / 8 + 12 */
  expect_feature(row, NNM_FEATURE_DEPTH, 36);
  expect_feature(row, NNM_FEATURE_PIXELS, 2 * 4 * 10);
  expect_feature(row, NNM_FEATURE_ROUNDED_WORK, products);
}

static void test_spelt_out(void **state) {
  (void)state;
  static const struct {
    const char *lines;
    size_t members;
  } forms[] = {
      {"MatMul(q kt)s;Softmax(s)p;MatMul(p v)o;", 3},
      {"Transpose(k)t;MatMul(q t)s;Div(s c)d;Softmax(d)p;MatMul(p v)o;", 5},
      {"Transpose(k)t;MatMul(q t)s;Mul(s scale)d;Add(d mask)a;Softmax(a)p;MatMul(p v)o;", 6},
      {"MatMul(q kt)s;Add(mask s)a;Mul(c a)d;Softmax(d)p;MatMul(p v)o;", 5},
      /* torch's scaled_dot_product_attention */
      {"Mul(q c)u;Mul(c kt)w;MatMul(u w)s;Add(s mask)a;Softmax(a)p;IsNaN(p)n;Where(n zero p)g;MatMul(g v)o;", 8},
      {"Mul(q c)u;Mul(k c)y;Transpose(y)t;MatMul(u t)s;Softmax(s)p;MatMul(p v)o;", 6},
      /* masked by choice; clipped as Hugging Face does; soft-capped as Gemma is */
      {"MatMul(q kt)s;Where(keep s zero)a;Softmax(a)p;MatMul(p v)o;", 4},
      {"MatMul(q kt)s;Where(keep s mask)a;Max(a zero)b;Softmax(b)p;MatMul(p v)o;", 5},
      {"MatMul(q kt)s;Div(s two)a;Tanh(a)b;Mul(b two)e;Softmax(e)p;MatMul(p v)o;", 6},
      /* softmax in another precision; softmax spelt out itself */
      {"MatMul(q kt)s;Cast(s)w;Softmax(w)p;Cast(p)g;MatMul(g v)o;", 5},
      {"MatMul(q kt)s;Softmax(s)p;Transpose(p)t;MatMul(vt t)o;", 4}, /* values times probabilities, in images */
  };
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    start();
    spell(forms[i].lines);
    detect_with(cpu);
    if (count_of(NNM_KERNEL_ATTENTION) != 1 || count_of(NNM_KERNEL_MATMUL)) fail_msg("not found: %s", forms[i].lines);
    const nnm_kernel *kernel = the_attention();
    assert_string_equal(kernel->name, "attention");
    assert_int_equal(kernel->member_count, forms[i].members);
    assert_int_equal(kernel->multiply_adds, PRODUCTS);
    assert_int_equal(kernel->weight_elements, 0);
    assert_int_equal(count_left_out(false), 0);
    check_features(kernel, PRODUCTS);
    release();
  }
}

/* Where the steps in between are needed elsewhere too, or something else is done, each operator is its own kernel. */
static void test_no_attention(void **state) {
  (void)state;
  static const char *const forms[] = {
      "MatMul(q kt)s;Softmax(s)p;Relu(s)r;Add(p r)g;MatMul(g v)o;", /* not the softmax alone */
      "MatMul(q kt)s;Relu(s)p;MatMul(p v)o;",
      "Add(mask mask)s;Softmax(s)p;MatMul(p v)o;",
  };
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    start();
    spell(forms[i]);
    detect_with(cpu);
    assert_int_equal(count_of(NNM_KERNEL_ATTENTION), 0);
    assert_int_equal(count_left_out(false), 0);
    release();
  }
  start(); /* the probabilities are a result of their own */
  output("p");
  spell("MatMul(q kt)s;Softmax(s)p;MatMul(p v)o;");
  detect_with(cpu);
  assert_int_equal(count_of(NNM_KERNEL_MATMUL), 2);
  assert_int_equal(count_of(NNM_KERNEL_SOFTMAX), 1);
  release();
  start(); /* so are the scaled keys: they stay outside */
  output("w");
  spell("Mul(kt c)w;MatMul(q w)s;Softmax(s)p;MatMul(p v)o;");
  detect_with(cpu);
  assert_int_equal(count_of(NNM_KERNEL_ATTENTION), 1);
  assert_int_equal(the_attention()->member_count, 3);
  assert_int_equal(count_left_out(false), 0);
  release();
}

/* The same sizes, whatever the operator and the layout of its inputs. */
static void test_denied(void **state) {
  (void)state;
  start();
  spell("MatMul(q kt)s;Softmax(s)p;MatMul(p v)o;");
  detect_with("{\"BF_matmul_softmax\": {\"obey\": false}}");
  assert_int_equal(count_of(NNM_KERNEL_ATTENTION), 0);
  assert_int_equal(count_of(NNM_KERNEL_MATMUL), 2);
  assert_int_equal(count_of(NNM_KERNEL_SOFTMAX), 1);
  release();
}

static void test_operators(void **state) {
  (void)state;
  for (int form = 0; form < 4; form++) {
    bool flat = form > 0;
    make_start(&maker, 23);
    make_input(&maker, "q", flat ? "2x10x64" : "2x4x10x16");
    make_input(&maker, "k", flat ? "2x12x64" : "2x4x12x16");
    make_input(&maker, "v", flat ? "2x12x32" : "2x4x12x8");
    if (form == 1) with_int(&maker, "q_num_heads", 4), with_int(&maker, "kv_num_heads", 4);
    if (form > 1) maker.domain = make_text(&maker, "com.microsoft");
    if (form > 1) with_int(&maker, "num_heads", 4);
    if (form == 3) with_int(&maker, "kv_num_heads", 4);
    static const char *const types[] = {"Attention", "Attention", "MultiHeadAttention", "GroupQueryAttention"};
    make_node(&maker, types[form], "q k v", "o");
    output("o");
    detect_with(cpu);
    expect_names("attention");
    assert_int_equal(kernels->items[0].multiply_adds, PRODUCTS);
    check_features(&kernels->items[0], PRODUCTS);
    release();
  }
}

/* com.microsoft's Attention makes queries, keys and values itself: 1 x 10 x 64 times 64 x 192, then 4 heads of 16. */
static void test_with_projection(void **state) {
  (void)state;
  make_start(&maker, 17);
  make_input(&maker, "x", "1x10x64");
  make_weight(&maker, "w", "64x192");
  make_weight(&maker, "b", "192");
  maker.domain = make_text(&maker, "com.microsoft");
  with_int(&maker, "num_heads", 4);
  make_node(&maker, "Attention", "x w b", "o");
  output("o");
  detect_with(cpu);
  expect_names("attention");
  assert_int_equal(kernels->items[0].multiply_adds, 10 * 64 * 192 + 2 * (4 * 10 * 10 * 16));
  assert_int_equal(kernels->items[0].weight_elements, 64 * 192);
  release();
}

/* Many readers of one tensor, many products behind one another: the search stays short. */
static void test_long_chain(void **state) {
  (void)state;
  enum { LENGTH = 20000 };
  make_start(&maker, 18);
  make_input(&maker, "m0", "8x8");
  char name[20], inputs[60];
  for (int i = 0; i < LENGTH; i++) {
    snprintf(inputs, sizeof inputs, "m%d m%d", i, i % 3 ? i : 0);
    snprintf(name, sizeof name, "m%d", i + 1);
    make_node(&maker, i % 2 ? "Add" : "MatMul", inputs, name);
  }
  output(name);
  detect_with(cpu);
  assert_int_equal(count_left_out(false), 0);
  assert_int_equal(kernels->count, LENGTH);
  release();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_spelt_out),       cmocka_unit_test(test_no_attention), cmocka_unit_test(test_operators),
      cmocka_unit_test(test_with_projection), cmocka_unit_test(test_long_chain),   cmocka_unit_test(test_denied),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
