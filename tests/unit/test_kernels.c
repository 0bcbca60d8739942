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

#include "graph_maker.h"
#include "kernels/kernels.h"

static const char cpu[] =
    "{\"BF_conv_bn\": {\"obey\": true}, \"BF_conv_relu\": {\"obey\": true}, \"BF_dwconv_relu\": {\"obey\": true},"
    " \"BF_conv_hswish\": {\"obey\": true}, \"BF_bn_relu\": {\"obey\": true}, \"BF_add_relu\": {\"obey\": true},"
    " \"BF_fc_relu\": {\"obey\": true}, \"BF_relu_fc\": {\"obey\": true}, \"BF_conv_avgpool\": {\"obey\": true},"
    " \"BF_conv_concat\": {\"obey\": true}, \"BF_se_relu\": {\"obey\": true}, \"BF_conv_add\": {\"obey\": false}}";

static graph_maker maker;
static nnm_graph *graph;
static nnm_shapes *shapes;
static nnm_kernels *kernels;

static int setup(void **state) {
  (void)state;
  make_start(&maker, 13);
  return 0;
}

static void release(void) {
  nnm_kernels_free(kernels);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

/* Every node that runs is in one kernel at most; how many are in none. */
static int count_left_out(bool may_repeat) {
  int left_out = 0;
  char *seen = calloc((size_t)graph->node_count, 1);
  assert_non_null(seen);
  for (size_t i = 0; i < kernels->count; i++)
    for (size_t k = 0; k < kernels->items[i].member_count; k++) {
      assert_true(may_repeat || !seen[kernels->items[i].members[k]]);
      seen[kernels->items[i].members[k]] = 1;
    }
  for (nnm_node_id n = 0; n < graph->node_count; n++) left_out += !seen[n];
  free(seen);
  return left_out;
}

static void detect_with(const char *rules_text) {
  nnm_fusion_rules *rules = NULL;
  graph = make_finish(&maker);
  if (nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error) != NNM_OK)
    fail_msg("%s: %s", maker.error.place, maker.error.message);
  assert_int_equal(nnm_fusion_rules_parse(rules_text, strlen(rules_text), &rules, &maker.error), NNM_OK);
  assert_int_equal(nnm_detect_kernels(graph, shapes, rules, &kernels, &maker.error), NNM_OK);
  nnm_fusion_rules_free(rules);
}

/* The names of all kernels: "conv-bn-relu, add". */
static void expect_names(const char *expected) {
  char names[4096] = "";
  size_t length = 0;
  for (size_t i = 0; i < kernels->count; i++)
    length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i ? ", " : "", kernels->items[i].name);
  assert_string_equal(names, expected);
}

static void expect(const char *names) {
  detect_with(cpu);
  expect_names(names);
  assert_int_equal(count_left_out(false), 0);
  release();
}

/* x is 1x16x8x8; conv, dw and fc keep what their names say. */
static void input(void) { make_input(&maker, "x", "1x16x8x8"); }
static void output(const char *name) { make_output(&maker, name); }

static void conv(const char *in, const char *out, const char *weight_shape, int64_t group) {
  char inputs[100], weight[50];
  snprintf(weight, sizeof weight, "%s.w", out);
  snprintf(inputs, sizeof inputs, "%s %s", in, weight);
  make_weight(&maker, weight, weight_shape);
  with_ints(&maker, "pads", "1 1 1 1");
  with_int(&maker, "group", group);
  if (strstr(weight_shape, "x1x1")) maker.attribute_count = 0;
  make_node(&maker, "Conv", inputs, out);
}

static void conv3(const char *in, const char *out) { conv(in, out, "16x16x3x3", 1); }

static void batch_norm(const char *in, const char *out) {
  char inputs[200];
  for (int i = 0; i < 4; i++) {
    snprintf(inputs, sizeof inputs, "%s.%d", out, i);
    make_weight(&maker, inputs, "16");
  }
  snprintf(inputs, sizeof inputs, "%s %s.0 %s.1 %s.2 %s.3", in, out, out, out, out);
  make_node(&maker, "BatchNormalization", inputs, out);
}

static void scalars(void) {
  make_floats(&maker, "three", "3");
  make_floats(&maker, "six", "6");
  make_floats(&maker, "zero", "0");
  make_floats(&maker, "half", "0.5");
  make_floats(&maker, "one", "1");
  make_floats(&maker, "two", "2");
  make_floats(&maker, "sixth", "0.16666667");
}

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

/* --------------------------------------------------------------- patterns */

/* Each line: operator, inputs, output; separated by ";". Behind a convolution that makes "x". */
static void expect_pattern(const char *lines, const char *names) {
  char type[40], inputs[100], result[40];
  make_start(&maker, 13);
  make_input(&maker, "in", "1x16x8x8");
  conv3("in", "x");
  scalars();
  int read;
  while (sscanf(lines, " %39[^(](%99[^)])%39[^;];%n", type, inputs, result, &read) == 3) {
    make_node(&maker, type, inputs, result);
    lines += read;
  }
  assert_string_equal(lines, "");
  output(result);
  expect(names);
}

static void test_hard_swish(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  expect_pattern("Add(x three)a;Clip(a zero six)b;Mul(x b)c;Div(c six)d;", "conv-hswish");
  expect_pattern("Add(three x)a;Relu6(a)b;Mul(b x)c;Mul(sixth c)d;", "conv-hswish");
  expect_pattern("Add(x three)a;Clip(a zero six)b;Div(b six)c;Mul(x c)d;", "conv-hswish");
  expect_pattern("Add(x three)a;Clip(a zero six)b;Mul(x sixth)c;Mul(b c)d;", "conv-hswish");
  expect_pattern("HardSigmoid(x)a;Mul(a x)b;", "conv-hswish");
  expect_pattern("HardSwish(x)a;", "conv-hswish");
  expect_pattern("Add(x three)a;Clip(a zero six)b;Div(b six)c;", "conv, hardsigmoid");
}

static void test_other_activations(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  expect_pattern("Sigmoid(x)a;Mul(x a)b;", "conv, swish");
  expect_pattern("Div(x two)a;Erf(a)b;Add(b one)c;Mul(x c)d;Mul(d half)e;", "conv, gelu");
  expect_pattern("Div(x two)a;Erf(a)b;Add(b one)c;Mul(c half)d;Mul(x d)e;", "conv, gelu");
  expect_pattern("Mul(x half)h;Div(x two)a;Erf(a)b;Add(b one)c;Mul(h c)d;", "conv, gelu");
  expect_pattern("Pow(x three)a;Mul(a half)b;Add(x b)c;Mul(c half)d;Tanh(d)e;Add(e one)f;Mul(x f)g;Mul(g half)h;",
                 "conv, gelu");
  expect_pattern("Mul(x x)p;Mul(p x)a;Mul(half a)b;Add(x b)c;Mul(half c)d;Tanh(d)e;Add(one e)f;Mul(half f)g;Mul(x g)h;",
                 "conv, gelu");
  expect_pattern("Softplus(x)a;Tanh(a)b;Mul(x b)c;", "conv, mish");
  expect_pattern("Sigmoid(x)a;Tanh(x)b;Mul(a b)c;", "conv, sigmoid, tanh, mul"); /* a gate, not a swish */
}

/* Something inside is read from outside: then it is no unit. */
static void test_open_pattern(void **state) {
  (void)state;
  input();
  make_node(&maker, "Sigmoid", "x", "a");
  make_node(&maker, "Mul", "x a", "b");
  make_node(&maker, "Tanh", "a", "c");
  output("b");
  output("c");
  expect("sigmoid, mul, tanh");
}

static void reduce_mean(const char *in, const char *out) {
  with_ints(&maker, "axes", "-1");
  make_node(&maker, "ReduceMean", in, out);
}

static void test_norms(void **state) {
  (void)state;
  make_input(&maker, "x", "1x10x64");
  scalars();
  make_weight(&maker, "gamma", "64");
  make_weight(&maker, "beta", "64");
  reduce_mean("x", "m");
  make_node(&maker, "Sub", "x m", "d");
  make_node(&maker, "Pow", "d two", "p");
  reduce_mean("p", "v");
  make_node(&maker, "Add", "v sixth", "e");
  make_node(&maker, "Sqrt", "e", "s");
  make_node(&maker, "Div", "d s", "n");
  make_node(&maker, "Mul", "n gamma", "g");
  make_node(&maker, "Add", "g beta", "y");
  make_node(&maker, "Mul", "y y", "q"); /* from here RMS normalisation */
  reduce_mean("q", "r");
  make_node(&maker, "Add", "r sixth", "t");
  make_node(&maker, "Sqrt", "t", "u");
  make_node(&maker, "Reciprocal", "u", "w");
  make_node(&maker, "Mul", "y w", "z");
  make_node(&maker, "Mul", "gamma z", "o");
  output("o");
  detect_with(cpu);
  expect_names("layernorm, rmsnorm");
  assert_int_equal(kernels->items[0].type, NNM_KERNEL_NORM);
  assert_int_equal(kernels->items[0].member_count, 9);
  assert_int_equal(kernels->items[1].member_count, 7);
  release();
}

/* A block on the map "x" (1x16x8x8); pool: 0 GlobalAveragePool, 1 ReduceMean, 2 AveragePool. */
static void squeeze_excite(int pool, bool with_matrices, const char *gate) {
  if (pool == 0) make_node(&maker, "GlobalAveragePool", "x", "p");
  if (pool == 1)
    with_ints(&maker, "axes", "2 3"), with_int(&maker, "keepdims", !with_matrices),
        make_node(&maker, "ReduceMean", "x", "p");
  if (pool == 2) with_ints(&maker, "kernel_shape", "8 8"), make_node(&maker, "AveragePool", "x", "p");
  if (with_matrices) {
    make_ints(&maker, "flat", "1 16");
    make_ints(&maker, "back", "1 16 1 1");
    make_weight(&maker, "w1", "16x4");
    make_weight(&maker, "b1", "4");
    make_weight(&maker, "w2", "4x16");
    make_node(&maker, "Reshape", "p flat", "p2");
    make_node(&maker, "MatMul", "p2 w1", "m1");
    make_node(&maker, "Add", "m1 b1", "s1");
    make_node(&maker, "Relu", "s1", "r1");
    make_node(&maker, "Gemm", "r1 w2", "s2");
    make_node(&maker, "Reshape", "s2 back", "s");
  } else {
    conv("p", "s1", "4x16x1x1", 1);
    make_node(&maker, "Sigmoid", "s1", "a1"); /* swish */
    make_node(&maker, "Mul", "s1 a1", "r1");
    conv("r1", "s", "16x4x1x1", 1);
  }
  if (*gate) make_node(&maker, gate, "s", "g");
  else {
    make_node(&maker, "Add", "s three", "g1");
    make_node(&maker, "Clip", "g1 zero six", "g2");
    make_node(&maker, "Mul", "g2 sixth", "g");
  }
  make_node(&maker, "Mul", "g x", "y");
  make_node(&maker, "Relu", "y", "z");
}

static void test_squeeze_excite(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  static const char *const gates[] = {"Sigmoid", "HardSigmoid", ""};
  for (int variant = 0; variant < 18; variant++) {
    make_start(&maker, 11);
    input();
    scalars();
    squeeze_excite(variant % 3, variant / 3 % 2, gates[variant / 6]);
    output("z");
    detect_with(cpu);
    expect_names("se-relu");
    assert_int_equal(kernels->items[0].type, NNM_KERNEL_SE);
    assert_int_equal(kernels->items[0].multiply_adds, 2 * 4 * 16);
    assert_int_equal(kernels->items[0].input_elements, 1024);
    assert_int_equal(count_left_out(false), 0);
    release();
  }
}

static void test_channel_shuffle(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  for (int last = 0; last < 2; last++) {
    make_start(&maker, 13);
    make_input(&maker, "x", last ? "1x8x8x16" : "1x16x8x8");
    make_ints(&maker, "apart", last ? "1 8 8 2 8" : "1 2 8 8 8");
    make_ints(&maker, "together", last ? "1 8 8 16" : "1 16 8 8");
    make_node(&maker, "Reshape", "x apart", "a");
    with_ints(&maker, "perm", last ? "0 1 2 4 3" : "0 2 1 3 4");
    maker.layout = last ? NNM_CHANNELS_LAST : NNM_CHANNELS_FIRST;
    make_node(&maker, "Transpose", "a", "b");
    make_node(&maker, "Reshape", "b together", "c");
    output("c");
    detect_with(cpu);
    expect_names("channelshuffle");
    assert_int_equal(kernels->items[0].output, find_tensor(graph, "c"));
    release();
  }
}

static void test_global_pooling(void **state) {
  (void)state;
  input();
  make_node(&maker, "GlobalAveragePool", "x", "a");
  with_ints(&maker, "axes", "3 -2");
  make_node(&maker, "ReduceMean", "x", "b");
  with_ints(&maker, "kernel_shape", "8 8");
  make_node(&maker, "AveragePool", "x", "c");
  with_ints(&maker, "kernel_shape", "4 4");
  make_node(&maker, "AveragePool", "x", "d");
  with_ints(&maker, "axes", "1");
  make_node(&maker, "ReduceMean", "x", "e");
  output("a");
  output("b");
  output("c");
  output("d");
  output("e");
  expect("global-avgpool, global-avgpool, global-avgpool, avgpool, reducemean");
}

static void slice(const char *name, const char *from, const char *to) {
  char start[20], end[20], inputs[80];
  snprintf(start, sizeof start, "%s.from", name);
  snprintf(end, sizeof end, "%s.to", name);
  make_ints(&maker, start, from);
  make_ints(&maker, end, to);
  snprintf(inputs, sizeof inputs, "x %s %s axis", start, end);
  make_node(&maker, "Slice", inputs, name);
}

static void test_slices(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  for (int parts = 0; parts < 3; parts++) {
    make_start(&maker, 13);
    input();
    make_ints(&maker, "axis", "1");
    slice("a", "0", "6");
    conv("a", "c", "6x6x3x3", 1);
    slice("b", parts == 1 ? "4" : "-10", parts == 2 ? "15" : "9223372036854775807");
    output("b");
    output("c");
    detect_with(cpu);
    expect_names(parts ? "split, conv, split" : "split, conv"); /* overlapping, or not all of it: two crops */
    if (!parts) assert_int_equal(kernels->items[0].output_elements, 1024);
    if (!parts) assert_int_equal(kernels->items[0].input_elements, 1024);
    release();
  }
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
      cmocka_unit_test_setup(test_hard_swish, setup),
      cmocka_unit_test_setup(test_other_activations, setup),
      cmocka_unit_test_setup(test_open_pattern, setup),
      cmocka_unit_test_setup(test_norms, setup),
      cmocka_unit_test_setup(test_squeeze_excite, setup),
      cmocka_unit_test_setup(test_channel_shuffle, setup),
      cmocka_unit_test_setup(test_global_pooling, setup),
      cmocka_unit_test_setup(test_slices, setup),
      cmocka_unit_test_setup(test_loop, setup),
      cmocka_unit_test_setup(test_if, setup),
      cmocka_unit_test_setup(test_custom_operator, setup),
      cmocka_unit_test_setup(test_describe, setup),
      cmocka_unit_test_setup(test_large, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
