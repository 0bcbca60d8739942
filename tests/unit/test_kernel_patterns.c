/* Our own kernel detection: units of several operators, however a file spells them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_maker.h"

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
  expect_pattern("Add(x three)a;Max(a zero)m;Min(m six)b;Mul(x b)c;Div(c six)d;", "conv-hswish");
  expect_pattern("Min(x six)a;Max(zero a)b;", "conv-relu");
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
  expect_pattern(
      "Mul(x sixth)a;Mul(x a)b;Mul(b x)c;Add(c x)d;Mul(d half)e;Tanh(e)f;Add(one f)g;Mul(g half)h;Mul(x h)i;",
      "conv, gelu");
  expect_pattern(
      "Mul(x x)a;Mul(a sixth)b;Add(b one)c;Mul(x half)d;Mul(d c)e;Tanh(e)f;Add(f one)g;Mul(x half)h;Mul(h g)i;",
      "conv, gelu");
  expect_pattern("Softplus(x)a;Tanh(a)b;Mul(x b)c;", "conv, mish");
  expect_pattern("Exp(x)e;Add(e one)f;Log(f)a;Tanh(a)b;Mul(b x)c;", "conv, mish");
  expect_pattern("Neg(x)a;Exp(a)b;Add(b one)c;Div(x c)d;", "conv, swish");
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

/* Each line as above, on "x" of 1x10x64, gamma and beta of 64; means and sums run over the last axis. */
static void expect_norm(const char *lines, const char *names, size_t members) {
  char type[40], inputs[100], result[40];
  make_start(&maker, 17);
  make_input(&maker, "x", "1x10x64");
  scalars();
  make_weight(&maker, "gamma", "64");
  make_weight(&maker, "beta", "64");
  make_ints(&maker, "full", "1 10 64");
  int read;
  while (sscanf(lines, " %39[^(](%99[^)])%39[^;];%n", type, inputs, result, &read) == 3) {
    if (!strncmp(type, "Reduce", 6)) with_ints(&maker, "axes", "-1");
    make_node(&maker, type, inputs, result);
    lines += read;
  }
  assert_string_equal(lines, "");
  output(result);
  detect_with(cpu);
  expect_names(names);
  assert_int_equal(count_left_out(false), 0);
  assert_int_equal(kernels->items[0].member_count, members);
  release();
}

#define MEAN_AND_SQUARES "ReduceMean(x)m;Mul(x x)q;ReduceMean(q)r;Mul(m m)s;Sub(r s)v;"
static void test_norm_spellings(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  /* variance as the mean of squares less the square of the mean; gamma in the scale: Keras, flax */
  expect_norm(MEAN_AND_SQUARES "Add(v sixth)e;Sqrt(e)f;Reciprocal(f)i;Mul(i gamma)g;Sub(x m)d;Mul(d g)n;Add(n beta)y;",
              "layernorm", 12);
  expect_norm(MEAN_AND_SQUARES "Max(v zero)w;Add(w sixth)e;Sqrt(e)f;Div(one f)i;Sub(x m)d;Mul(i d)n;", "layernorm", 11);
  expect_norm(MEAN_AND_SQUARES "Add(v sixth)e;Rsqrt(e)i;Mul(i gamma)g;Mul(x g)h;Mul(m g)j;Sub(beta j)k;Add(h k)y;",
              "layernorm", 12);
  expect_norm(MEAN_AND_SQUARES
              "Add(v sixth)e;Rsqrt(e)i;Mul(i gamma)g;Mul(x g)h;Neg(m)l;Mul(l g)j;Add(j beta)k;Add(h k)y;",
              "layernorm", 13);
  expect_norm("ReduceMean(x)m;SquaredDifference(x m)q;ReduceMean(q)v;Add(v sixth)e;Rsqrt(e)i;Sub(x m)d;Mul(d i)y;",
              "layernorm", 7);
  /* means as sums times a number */
  expect_norm("ReduceSum(x)a;Mul(a sixth)m;Sub(x m)d;Mul(d d)q;ReduceSum(q)b;Mul(b sixth)v;Add(v sixth)e;Sqrt(e)f;"
              "Div(d f)y;",
              "layernorm", 9);
  expect_norm("Pow(x two)q;ReduceMean(q)v;Add(v sixth)e;Sqrt(e)f;Div(one f)i;Mul(x i)n;Mul(gamma n)y;", "rmsnorm", 7);
  expect_norm("Mul(x x)q;ReduceMean(q)v;Add(v sixth)e;Rsqrt(e)i;Mul(i gamma)g;Mul(x g)y;", "rmsnorm", 6);
  expect_norm("ReduceMax(x)m;Sub(x m)d;Exp(d)e;ReduceSum(e)s;Div(e s)y;", "softmax", 5);
  expect_norm("Exp(x)e;ReduceSum(e)s;Div(e s)y;", "softmax", 3);
  expect_norm("ReduceMean(x)m;Sub(x m)d;Mul(d d)q;ReduceMean(q)v;", "reducemean, sub, mul, reducemean", 1);
}

static void test_l2_norm_spellings(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  expect_norm("LpNormalization(x)y;", "l2norm", 1);
  expect_norm("ReduceL2(x)l;Div(x l)y;", "l2norm", 2);
  /* torch's normalize, whose length is spread over x before dividing */
  expect_norm("ReduceL2(x)l;Clip(l sixth)c;Expand(c full)e;Div(x e)y;", "l2norm", 4);
  expect_norm("ReduceL2(x)l;Max(l sixth)c;Div(x c)y;", "l2norm", 3);
  expect_norm("ReduceL2(x)l;Add(l sixth)c;Reciprocal(c)r;Mul(r x)y;", "l2norm", 4);
  /* TensorFlow's l2_normalize, as the graph and as converters have it */
  expect_norm("Mul(x x)q;ReduceSum(q)s;Max(s sixth)c;Rsqrt(c)i;Mul(x i)y;", "l2norm", 5);
  expect_norm("Pow(x two)q;ReduceSum(q)s;Max(s sixth)c;Sqrt(c)l;Div(x l)y;", "l2norm", 5);
  expect_norm("ReduceSumSquare(x)s;Add(s sixth)c;Sqrt(c)l;Div(one l)i;Mul(i x)y;", "l2norm", 5);
  expect_norm("Mul(x x)q;ReduceSum(q)s;Sqrt(s)l;Div(x l)n;Mul(n gamma)y;", "l2norm", 5);
  expect_norm("ReduceL2(x)l;Div(gamma l)y;", "reducel2, div", 1); /* of something else */
}

/* A normalisation without weights of its own behind a reshape into groups; scale and shift follow in the old shape. */
static void test_norm_of_groups(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  for (int form = 0; form < 4; form++) {
    make_start(&maker, 17);
    input();
    scalars();
    make_ints(&maker, "grouped", form == 3 ? "1 4 16 16" : "1 4 256");
    make_ints(&maker, "back", "1 16 8 8");
    make_weight(&maker, "ones", "256");
    make_weight(&maker, "gamma", "16x1x1");
    make_weight(&maker, "beta", "16x1x1");
    make_node(&maker, "Reshape", "x grouped", "g");
    if (form == 0) {
      make_node(&maker, "LayerNormalization", "g ones", "n");
    } else {
      if (form == 3) with_ints(&maker, "axes", "2 3");
      else with_ints(&maker, "axes", "-1");
      make_node(&maker, "ReduceMean", "g", "m");
      make_node(&maker, "Sub", "g m", "d");
      make_node(&maker, "Mul", "d d", "q");
      if (form == 3) with_ints(&maker, "axes", "2 3");
      else with_ints(&maker, "axes", "-1");
      make_node(&maker, "ReduceMean", "q", "v");
      make_node(&maker, "Add", "v sixth", "e");
      make_node(&maker, form == 1 ? "Sqrt" : "Rsqrt", "e", "s");
      make_node(&maker, form == 1 ? "Div" : "Mul", "d s", "n");
    }
    make_node(&maker, "Reshape", "n back", "b");
    make_node(&maker, "Mul", "b gamma", "w");
    make_node(&maker, "Add", "w beta", "y");
    output("y");
    detect_with(cpu);
    expect_names("layernorm");
    assert_int_equal(kernels->items[0].type, NNM_KERNEL_NORM);
    assert_int_equal(kernels->items[0].input_elements, 1024);
    assert_int_equal(count_left_out(false), 1); /* the first Reshape, which nothing runs for */
    release();
  }
}

/* Keras 2: a batch normalisation without statistics behind a reshape, gamma and beta behind the reshape back. */
static void test_norm_as_batch_norm(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  for (int form = 0; form < 3; form++) {
    make_start(&maker, 17);
    make_input(&maker, "in", "2x10x64");
    make_weight(&maker, "w", "64x64");
    make_node(&maker, "MatMul", "in w", "x");
    make_ints(&maker, "grouped", "1 20 64 1");
    make_ints(&maker, "back", "2 10 64");
    make_ints(&maker, "length", "20");
    make_weight(&maker, "none", form == 2 ? "20" : "0");
    make_weight(&maker, "gamma", "64");
    make_weight(&maker, "beta", "64");
    make_node(&maker, "ConstantOfShape", "length", "ones");
    make_node(&maker, "Reshape", "x grouped", "g");
    if (form == 1) with_int(&maker, "training_mode", 1);
    make_node(&maker, "BatchNormalization", "g ones ones none none", "n");
    make_node(&maker, "Reshape", "n back", "b");
    make_node(&maker, "Mul", "b gamma", "s");
    make_node(&maker, "Add", "s beta", "y");
    output("y");
    detect_with(cpu);
    expect_names(form == 2 ? "fc-bn" : "fc, layernorm");
    release();
  }
  make_start(&maker, 17);
  input();
  conv3("x", "c");
  with_int(&maker, "training_mode", 1);
  batch_norm("c", "y");
  output("y");
  detect_with(cpu);
  expect_names("conv, batchnormalization");
  assert_int_equal(kernels->items[1].type, NNM_KERNEL_NORM);
  release();
}

/* torch writes group normalisation as an instance normalisation of groups. */
static void test_group_norm(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  for (int form = 0; form < 3; form++) {
    make_start(&maker, 21);
    input();
    make_ints(&maker, "grouped", "1 4 -1");
    make_ints(&maker, "back", "1 16 8 8");
    make_weight(&maker, "ones", form ? "16" : "4");
    make_weight(&maker, "zeros", form ? "16" : "4");
    make_weight(&maker, "gamma", "16x1x1");
    make_weight(&maker, "beta", "16x1x1");
    if (form == 0) {
      make_node(&maker, "Reshape", "x grouped", "g");
      make_node(&maker, "InstanceNormalization", "g ones zeros", "n");
      make_node(&maker, "Reshape", "n back", "b");
      make_node(&maker, "Mul", "b gamma", "m");
      make_node(&maker, "Add", "m beta", "y");
    } else if (form == 1) {
      with_int(&maker, "num_groups", 4);
      make_node(&maker, "GroupNormalization", "x ones zeros", "y");
    } else {
      make_node(&maker, "InstanceNormalization", "x ones zeros", "y");
    }
    output("y");
    detect_with(cpu);
    expect_names(form == 2 ? "instancenorm" : "groupnorm");
    assert_int_equal(kernels->items[0].type, NNM_KERNEL_NORM);
    assert_int_equal(kernels->items[0].input_elements, 1024);
    release();
  }
}

/* Batch normalisation by its formula, as Keras 3 writes it; with a layer in front it vanishes into that. */
static void test_batch_norm_by_formula(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  static const char *const orders[][2] = {{"Mul", "Add"}, {"Sub", "Mul"}, {"Mul", "Sub"}};
  for (int form = 0; form < 6; form++) {
    make_start(&maker, 17);
    make_input(&maker, "in", "1x16x8x8");
    scalars();
    static const char *const names[] = {"mean", "variance", "gamma", "beta"};
    for (int i = 0; i < 4; i++) make_weight(&maker, names[i], "16x1x1");
    if (form % 2) conv3("in", "x");
    else make_node(&maker, "Sin", "in", "x");
    make_node(&maker, "Add", "variance sixth", "e");
    make_node(&maker, "Rsqrt", "e", "i");
    make_node(&maker, "Mul", "i gamma", "scale");
    make_node(&maker, "Mul", "mean scale", "j");
    make_node(&maker, "Sub", "beta j", "shift");
    const char *const *order = orders[form / 2];
    make_node(&maker, order[0], strcmp(order[0], "Mul") ? "x mean" : "x scale", "a");
    make_node(&maker, order[1], strcmp(order[1], "Mul") ? "a shift" : "a scale", "b");
    make_node(&maker, "Relu", "b", "y");
    output("y");
    detect_with(cpu);
    expect_names(form % 2 ? "conv-bn-relu" : "sin, bn-relu");
    assert_int_equal(count_left_out(false), 5); /* computed once: they are constants */
    release();
  }
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
  if (!strcmp(gate, "bias")) { /* "+ 3" is in the bias of the layer in front */
    make_node(&maker, "Relu6", "s", "g2");
    make_node(&maker, "Mul", "g2 sixth", "g");
  } else if (*gate) {
    make_node(&maker, gate, "s", "g");
  } else {
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
  static const char *const gates[] = {"Sigmoid", "HardSigmoid", "", "bias"};
  for (int variant = 0; variant < 24; variant++) {
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

/* Blocks stay in one unless the rules say no; a rule that says yes changes nothing. */
static void test_blocks_denied(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  static const struct {
    const char *rules, *names;
  } cases[] = {
      {"{\"BF_se_relu\": {\"obey\": true}}", "se-relu"},
      {"{\"BF_se_relu\": {\"obey\": true}, \"BF_gap_conv\": {\"obey\": true}}", "se-relu"},
      {"{\"BF_gap_conv\": {\"obey\": false}}", "global-avgpool, conv, swish, conv, sigmoid, mul, relu"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    make_start(&maker, 11);
    input();
    scalars();
    squeeze_excite(0, false, "Sigmoid");
    output("z");
    detect_with(cases[i].rules);
    expect_names(cases[i].names);
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

/* Taking each index of an axis, one Gather each: how torch unpacks queries, keys and values. */
static void test_indices(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  for (int parts = 2; parts < 4; parts++) {
    make_start(&maker, 17);
    make_input(&maker, "x", "3x10x64");
    for (int i = 0; i < parts; i++) {
      char index[2] = {(char)('0' + i), 0}, inputs[10], result[10];
      snprintf(inputs, sizeof inputs, "x i%s", index);
      snprintf(result, sizeof result, "y%s", index);
      make_scalar(&maker, inputs + 2, i);
      make_node(&maker, "Gather", inputs, result);
      output(result);
    }
    detect_with(cpu);
    expect_names(parts == 3 ? "split" : "split, split"); /* not all of it: two crops */
    if (parts == 3) assert_int_equal(kernels->items[0].output_elements, 3 * 10 * 64);
    release();
  }
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

/* A roll reads the end in front of the beginning; whichever is written first, it is one split, and the same one. */
static void test_roll(void **state) {
  (void)state;
  nnm_graph_builder_free(maker.builder);
  for (int way = 0; way < 4; way++) {
    make_start(&maker, 13);
    input();
    make_ints(&maker, "axis", "1");
    if (way == 0) slice("beginning", "0", "3");
    slice("end", "-6", "9223372036854775807");
    if (way == 2) slice("middle", "3", "10");
    if (way == 3) slice("middle", "4", "10"); /* a gap */
    if (way < 2) slice("middle", "3", "10");
    if (way) slice("beginning", "0", "3");
    with_int(&maker, "axis", 1);
    make_node(&maker, "Concat", "end middle beginning", "y");
    output("y");
    detect_with(cpu);
    expect_names(way == 3 ? "split, split, split, concat" : "split, concat");
    if (way < 3) assert_int_equal(kernels->items[0].output_elements, 1024);
    if (way < 3) assert_string_equal(graph->nodes[kernels->items[0].core].name, "beginning");
    release();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_hard_swish, setup),
      cmocka_unit_test_setup(test_other_activations, setup),
      cmocka_unit_test_setup(test_open_pattern, setup),
      cmocka_unit_test_setup(test_norms, setup),
      cmocka_unit_test_setup(test_squeeze_excite, setup),
      cmocka_unit_test_setup(test_channel_shuffle, setup),
      cmocka_unit_test_setup(test_global_pooling, setup),
      cmocka_unit_test_setup(test_slices, setup),
      cmocka_unit_test_setup(test_roll, setup),
      cmocka_unit_test_setup(test_norm_spellings, setup),
      cmocka_unit_test_setup(test_group_norm, setup),
      cmocka_unit_test_setup(test_indices, setup),
      cmocka_unit_test_setup(test_batch_norm_by_formula, setup),
      cmocka_unit_test_setup(test_l2_norm_spellings, setup),
      cmocka_unit_test_setup(test_norm_as_batch_norm, setup),
      cmocka_unit_test_setup(test_norm_of_groups, setup),
      cmocka_unit_test_setup(test_blocks_denied, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
