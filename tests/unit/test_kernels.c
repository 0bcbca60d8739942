/* Our own kernel detection: which nodes become which kernels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "kernel_maker.h"

/* ---------------------------------------------------------------- chains */

static void test_conv_bn_relu(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  batch_norm("a", "b");
  make_node(&maker, "Relu", "b", "c");
  conv("c", "d", "16x1x3x3", 16);
  batch_norm("d", "e");
  scalars();
  make_node(&maker, "Clip", "e zero six", "f");
  make_node(&maker, "Add", "f c", "g");
  make_node(&maker, "Relu", "g", "h");
  output("h");
  detect_with(cpu);
  expect_names("conv-bn-relu, dwconv-bn-relu, add-relu");
  assert_int_equal(kernels->items[0].type, NNM_KERNEL_CONV);
  assert_int_equal(kernels->items[0].core, 0);
  assert_int_equal(kernels->items[0].multiply_adds, 16 * 16 * 9 * 64);
  assert_int_equal(kernels->items[0].weight_elements, 16 * 16 * 9);
  assert_int_equal(kernels->items[0].input_elements, 16 * 64);
  assert_int_equal(kernels->items[0].input_count, 1);
  assert_int_equal(kernels->items[0].output, find_tensor(graph, "c"));
  assert_int_equal(kernels->items[1].multiply_adds, 16 * 9 * 64);
  assert_int_equal(kernels->items[2].input_count, 2);
  release();
}

static void test_groups(void **state) {
  (void)state;
  make_input(&maker, "x", "1x1x8x8");
  conv("x", "a", "16x1x3x3", 1); /* one input channel, but not depthwise */
  conv("a", "b", "16x4x3x3", 4);
  conv("b", "c", "32x1x3x3", 16); /* two outputs for each channel */
  output("c");
  expect("conv, conv, dwconv");
}

/* Operators with loops of their own stay apart, whatever the rules were measured to say. */
static void test_no_melting(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  with_ints(&maker, "kernel_shape", "2 2");
  make_node(&maker, "AveragePool", "a", "b");
  make_node(&maker, "Relu", "b", "c");
  conv3("c", "d");
  conv3("x", "e");
  with_int(&maker, "axis", 1);
  make_node(&maker, "Concat", "e x", "f");
  output("d");
  output("f");
  expect("conv, avgpool, relu, conv, conv, concat");
}

static void test_two_readers(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  make_node(&maker, "Relu", "a", "b");
  make_node(&maker, "Sigmoid", "a", "c");
  conv3("x", "d");
  make_node(&maker, "Relu", "d", "e");
  output("b");
  output("c");
  output("d"); /* the result itself is wanted */
  output("e");
  expect("conv, relu, sigmoid, conv, relu");
}

static void fork_after_conv(void) {
  input();
  conv3("x", "a");
  make_node(&maker, "Relu", "a", "b");
  make_node(&maker, "Relu", "a", "c");
  output("b");
  output("c");
}

static void test_fuse_first_reader(void **state) {
  (void)state;
  fork_after_conv();
  detect_with("{\"BF_conv_relu\": {\"obey\": true}, \"MON\": {\"obey\": true}}");
  expect_names("conv-relu, relu");
  assert_int_equal(count_left_out(false), 0);
  release();
}

static void test_fuse_all_readers(void **state) {
  (void)state;
  fork_after_conv();
  make_node(&maker, "Sigmoid", "a", "d");
  output("d");
  detect_with("{\"BF_conv_relu\": {\"obey\": true}, \"MON\": {\"obey\": 2}}");
  expect_names("conv, conv-relu, conv-relu, sigmoid"); /* the sigmoid still needs it by itself */
  assert_int_equal(count_left_out(true), 0);
  release();
  make_start(&maker, 13);
  fork_after_conv();
  detect_with("{\"BF_conv_relu\": {\"obey\": true}, \"MON\": {\"obey\": 2}}");
  expect_names("conv-relu, conv-relu");
  release();
}

/* The add goes behind the convolution computed last, and asks for the kernel's core as well as for the last operator. */
static void test_epilogue_rules(void **state) {
  (void)state;
  static const char gpu[] = "{\"BF_conv_relu\": {\"obey\": true}, \"BF_conv_add\": {\"obey\": true},"
                            " \"BF_relu_add\": {\"obey\": true}, \"BF_add_relu\": {\"obey\": true}}";
  for (int fused = 0; fused < 2; fused++) {
    if (fused) make_start(&maker, 13);
    input();
    conv3("x", "a");
    conv3("x", "b");
    make_node(&maker, "Relu", "b", "c");
    make_node(&maker, "Add", "a c", "d");
    make_node(&maker, "Relu", "d", "e");
    output("e");
    detect_with(fused ? gpu : "{\"BF_relu_add\": {\"obey\": true}, \"BF_conv_relu\": {\"obey\": true}}");
    expect_names(fused ? "conv, conv-relu-add-relu" : "conv, conv-relu, add, relu");
    release();
  }
}

static void test_chain_rule(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  batch_norm("a", "b");
  make_node(&maker, "Relu", "b", "c");
  output("c");
  detect_with("{\"BF_conv_bn_relu\": {\"obey\": true}}");
  expect_names("conv-bn-relu");
  release();
}

static void test_forbidden_bn(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  batch_norm("a", "b");
  output("b");
  detect_with("{\"BF_conv_bn\": {\"obey\": false}}");
  expect_names("conv, bn");
  release();
}

/* --------------------------------------------------------- what costs nothing */

static void test_views(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  make_ints(&maker, "flat", "1 16 64");
  make_node(&maker, "Reshape", "a flat", "b");
  make_node(&maker, "Identity", "b", "c");
  make_node(&maker, "Dropout", "c", "d");
  make_node(&maker, "Relu", "d", "e");
  with_int(&maker, "to", 1);
  make_node(&maker, "Cast", "e", "f");
  with_ints(&maker, "perm", "1 0 2"); /* moves an axis of one element */
  make_node(&maker, "Transpose", "f", "g");
  output("g");
  detect_with(cpu);
  expect_names("conv-relu");
  assert_int_equal(kernels->items[0].member_count, 7);
  assert_int_equal(kernels->items[0].output, find_tensor(graph, "e"));
  release();
}

static void test_weight_paths(void **state) {
  (void)state;
  input();
  make_weight(&maker, "q", "16x16x3x3");
  make_floats(&maker, "scale", "0.1");
  make_node(&maker, "DequantizeLinear", "q scale", "w1");
  make_node(&maker, "Identity", "w1", "w2");
  with_ints(&maker, "pads", "1 1 1 1");
  make_node(&maker, "Conv", "x w2", "y");
  make_weight(&maker, "m", "10x64");
  with_ints(&maker, "perm", "1 0");
  make_node(&maker, "Transpose", "m", "t");
  make_ints(&maker, "rows", "16 64");
  make_node(&maker, "Reshape", "y rows", "r");
  make_node(&maker, "MatMul", "r t", "z");
  output("z");
  detect_with(cpu);
  expect_names("conv, fc");
  assert_int_equal(kernels->items[0].input_count, 1);
  assert_int_equal(kernels->items[1].weight_elements, 640);
  assert_int_equal(kernels->items[1].multiply_adds, 16 * 640);
  assert_int_equal(count_left_out(false), 3);
  release();
}

static void test_quantisation_marks(void **state) {
  (void)state;
  input();
  make_floats(&maker, "scale", "0.1");
  conv3("x", "a");
  make_node(&maker, "QuantizeLinear", "a scale", "b");
  make_node(&maker, "DequantizeLinear", "b scale", "c");
  make_node(&maker, "Relu", "c", "d");
  output("d");
  expect("conv-relu");
}

static void test_folded_bias(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  make_weight(&maker, "scale", "16x1x1");
  make_weight(&maker, "bias", "1x16x1x1");
  make_node(&maker, "Mul", "a scale", "b"); /* a batch normalisation in disguise */
  make_node(&maker, "Add", "bias b", "c");
  make_node(&maker, "Relu", "c", "d");
  make_ints(&maker, "flat", "1 1024");
  make_node(&maker, "Reshape", "d flat", "e");
  make_weight(&maker, "m", "1024x10");
  make_weight(&maker, "n", "10");
  make_node(&maker, "MatMul", "e m", "f");
  make_node(&maker, "Add", "f n", "g");
  make_node(&maker, "Relu", "g", "h");
  output("h");
  expect("conv-bn-relu, fc-relu");
}

/* Scales and shifts by one value are folded too, but not when they are part of an activation, and a gate is no scale. */
static void test_folded_scalars(void **state) {
  (void)state;
  input();
  scalars();
  conv3("x", "a");
  make_node(&maker, "Mul", "half a", "b");
  make_node(&maker, "Add", "b two", "c");
  make_node(&maker, "Add", "c three", "d");
  make_node(&maker, "Relu6", "d", "e");
  make_node(&maker, "Mul", "c e", "f");
  make_node(&maker, "Div", "f six", "g"); /* hard swish of c */
  conv3("x", "h");
  make_node(&maker, "Div", "one h", "i"); /* no constant factor */
  conv3("x", "j");
  make_input(&maker, "gate", "1x16x1x1");
  make_node(&maker, "Mul", "j gate", "k");
  output("g");
  output("i");
  output("k");
  expect("conv-bn-hswish, conv, div, conv, mul");
}

/* Without a layer in front, a scale and a shift for each channel are a batch normalisation of its own. */
static void test_lone_scale(void **state) {
  (void)state;
  input();
  make_weight(&maker, "scale", "16x1x1");
  make_weight(&maker, "rows", "8x1"); /* for each row, not for each channel */
  make_node(&maker, "Mul", "x scale", "a");
  make_node(&maker, "Add", "scale a", "b");
  make_node(&maker, "Relu", "b", "c");
  batch_norm("c", "d");
  make_node(&maker, "Mul", "d scale", "e");
  make_node(&maker, "Mul", "e rows", "f");
  make_node(&maker, "Add", "f rows", "g");
  output("g");
  expect("bn-relu, bn, mul, add");
}

static void test_quantised_matrix(void **state) {
  (void)state;
  make_input(&maker, "x", "5x64");
  make_node(&maker, "DynamicQuantizeLinear", "x", "q scale zero");
  make_weight(&maker, "w", "64x10");
  make_weight(&maker, "zeros", "10");
  make_node(&maker, "MatMulInteger", "q w zero zeros", "y");
  with_int(&maker, "to", 1);
  make_node(&maker, "Cast", "y", "z");
  output("z");
  output("scale");
  detect_with(cpu);
  assert_int_equal(kernels->items[1].type, NNM_KERNEL_FC);
  assert_int_equal(kernels->items[1].weight_elements, 640);
  release();
}

static void test_positional_embedding(void **state) {
  (void)state;
  input();
  make_weight(&maker, "position", "1x16x8x8");
  make_node(&maker, "Add", "x position", "a");
  scalars();
  make_node(&maker, "Mul", "a half", "b");
  output("b");
  detect_with(cpu);
  expect_names("add, mul");
  assert_int_equal(kernels->items[0].type, NNM_KERNEL_ELEMENTWISE);
  assert_int_equal(kernels->items[1].type, NNM_KERNEL_ELEMENTWISE);
  release();
}

/* ------------------------------------------------------- bodies and strangers */

static void test_loop(void **state) {
  (void)state;
  input();
  make_scalar(&maker, "turns", 7);
  nnm_block_id body = make_begin(&maker, "body");
  make_input(&maker, "i", "");
  make_input(&maker, "go", "");
  make_input(&maker, "s", "1x16x8x8");
  make_node(&maker, "Identity", "go", "go_on");
  conv3("s", "next");
  make_output(&maker, "go_on");
  make_output(&maker, "next");
  make_end(&maker);
  with_block(&maker, "body", body);
  make_node(&maker, "Loop", "turns - x", "y");
  make_node(&maker, "Relu", "y", "z");
  output("z");
  detect_with(cpu);
  expect_names("conv, relu");
  assert_int_equal(kernels->items[0].repeat, 7);
  assert_int_equal(kernels->items[1].repeat, 1);
  release();
}

static void test_if(void **state) {
  (void)state;
  input();
  make_input(&maker, "condition", "");
  nnm_block_id light = make_begin(&maker, "then_branch");
  make_node(&maker, "Relu", "x", "t");
  make_output(&maker, "t");
  make_end(&maker);
  nnm_block_id heavy = make_begin(&maker, "else_branch");
  conv3("x", "e");
  make_output(&maker, "e");
  make_end(&maker);
  with_block(&maker, "then_branch", light);
  with_block(&maker, "else_branch", heavy);
  make_node(&maker, "If", "condition", "y");
  output("y");
  detect_with(cpu);
  expect_names("conv");
  release();
}

static void test_custom_operator(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  maker.domain = "my.lab";
  make_declared(&maker, "b", "1x16x8x8");
  make_node(&maker, "Wobble", "a", "b");
  maker.domain = NULL;
  make_node(&maker, "Relu", "b", "c");
  output("c");
  detect_with(cpu);
  expect_names("conv, wobble, relu");
  assert_int_equal(kernels->items[1].type, NNM_KERNEL_OTHER);
  assert_int_equal(kernels->note_count, 1);
  assert_non_null(strstr(kernels->notes[0], "my.lab.Wobble"));
  release();
}

/* nnm_describe_kernel is given nothing but a name and nodes. */
static void test_describe(void **state) {
  (void)state;
  input();
  conv3("x", "a");
  make_node(&maker, "Relu", "a", "b");
  make_node(&maker, "GlobalAveragePool", "b", "c");
  output("c");
  detect_with(cpu);
  nnm_arena arena = {0};
  nnm_node_id members[] = {0, 1};
  nnm_kernel kernel = {.name = "conv-relu", .member_count = 2, .members = members};
  assert_int_equal(nnm_describe_kernel(graph, shapes, &arena, &kernel, &maker.error), NNM_OK);
  assert_int_equal(kernel.type, NNM_KERNEL_CONV);
  assert_int_equal(kernel.core, 0);
  assert_int_equal(kernel.output, find_tensor(graph, "b"));
  assert_int_equal(kernel.multiply_adds, kernels->items[0].multiply_adds);
  nnm_node_id pooling = 2;
  kernel = (nnm_kernel){.name = "global-avgpool", .member_count = 1, .members = &pooling};
  assert_int_equal(nnm_describe_kernel(graph, shapes, &arena, &kernel, &maker.error), NNM_OK);
  assert_int_equal(kernel.type, NNM_KERNEL_GLOBAL_AVGPOOL);
  kernel = (nnm_kernel){.name = "nothing-known"};
  assert_int_equal(nnm_describe_kernel(graph, shapes, &arena, &kernel, &maker.error), NNM_OK);
  assert_int_equal(kernel.type, NNM_KERNEL_OTHER);
  assert_int_equal(kernel.output, -1);
  nnm_arena_free(&arena);
  release();
}

/* ------------------------------------------------------------------- sizes */

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Shapes of graphs that are bad for anything quadratic; node i reads what node i - 1 made, or all read node 0. */
static void test_large(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  enum { NODES = 100000 };
  static const char *const types[] = {"Relu", "Sigmoid", "Mul", "Add"};
  for (int shape = 0; shape < 4; shape++) {
    make_start(&maker, 13);
    make_input(&maker, "t0", "1x16x4x4");
    make_weight(&maker, "c", "16x1x1");
    make_node(&maker, "LayerNormalization", "t0 c", "t1");
    char in[40], out[20];
    for (int i = 1; i < NODES; i++) {
      snprintf(in, sizeof in, "t%d%s", shape == 1 ? 1 : i, shape == 2 ? " c" : shape == 3 ? " t1" : "");
      snprintf(out, sizeof out, "t%d", i + 1);
      make_node(&maker, types[shape], in, out);
    }
    make_output(&maker, out);
    graph = make_finish(&maker);
    assert_int_equal(nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error), NNM_OK);
    static const char rules_text[] = "{\"BF_relu_relu\": {\"obey\": true}, \"BF_add_add\": {\"obey\": true},"
                                     " \"MON\": {\"obey\": \"all\"}}";
    nnm_fusion_rules *rules;
    assert_int_equal(nnm_fusion_rules_parse(rules_text, strlen(rules_text), &rules, &maker.error), NNM_OK);
    double start = seconds();
    assert_int_equal(nnm_detect_kernels(graph, shapes, rules, &kernels, &maker.error), NNM_OK);
    double took = seconds() - start;
    if (took > 5) fail_msg("graph %d: %d nodes took %.1f s", shape, NODES, took); /* tens of ms without sanitizers */
    assert_int_equal(count_left_out(shape == 3), 0);
    nnm_fusion_rules_free(rules);
    release();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_conv_bn_relu, setup),
      cmocka_unit_test_setup(test_groups, setup),
      cmocka_unit_test_setup(test_no_melting, setup),
      cmocka_unit_test_setup(test_two_readers, setup),
      cmocka_unit_test_setup(test_fuse_first_reader, setup),
      cmocka_unit_test_setup(test_fuse_all_readers, setup),
      cmocka_unit_test_setup(test_epilogue_rules, setup),
      cmocka_unit_test_setup(test_chain_rule, setup),
      cmocka_unit_test_setup(test_forbidden_bn, setup),
      cmocka_unit_test_setup(test_views, setup),
      cmocka_unit_test_setup(test_weight_paths, setup),
      cmocka_unit_test_setup(test_quantisation_marks, setup),
      cmocka_unit_test_setup(test_folded_bias, setup),
      cmocka_unit_test_setup(test_folded_scalars, setup),
      cmocka_unit_test_setup(test_lone_scale, setup),
      cmocka_unit_test_setup(test_quantised_matrix, setup),
      cmocka_unit_test_setup(test_positional_embedding, setup),
      cmocka_unit_test_setup(test_loop, setup),
      cmocka_unit_test_setup(test_if, setup),
      cmocka_unit_test_setup(test_custom_operator, setup),
      cmocka_unit_test_setup(test_describe, setup),
      cmocka_unit_test_setup(test_large, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
