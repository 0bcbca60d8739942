/* Rotary position embedding is one kernel, whether a file has an operator for it or spells it out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_maker.h"

/* 2 images, 4 heads, 10 positions, 16 elements a head */
static void start(void) {
  make_start(&maker, 23);
  make_input(&maker, "in", "2x4x10x16");
  make_input(&maker, "cos", "1x1x10x16");
  make_input(&maker, "sin", "1x1x10x16");
  make_input(&maker, "c", "1x1x10x8"); /* for one half */
  make_input(&maker, "s", "1x1x10x8");
  make_ints(&maker, "zero", "0");
  make_ints(&maker, "one", "1");
  make_ints(&maker, "two", "2");
  make_ints(&maker, "half", "8");
  make_ints(&maker, "end", "9223372036854775807");
  make_ints(&maker, "axis", "-1");
  make_ints(&maker, "halves", "8 8");
  make_ints(&maker, "pairs", "2 4 10 8 2");
  make_ints(&maker, "whole", "2 4 10 16");
  make_scalar(&maker, "i0", 0);
  make_scalar(&maker, "i1", 1);
  make_node(&maker, "Tanh", "in", "x");
}

/* Each node: operator, inputs, outputs. What joins or takes indices does so along the last axis. */
static void spell(const char *lines) {
  char type[40], inputs[100], results[40];
  int read;
  while (sscanf(lines, " %39[^(](%99[^)])%39[^;];%n", type, inputs, results, &read) == 3) {
    bool has_axis = !strcmp(type, "Concat") || !strcmp(type, "Split") || !strcmp(type, "Gather");
    if (has_axis) with_int(&maker, "axis", -1);
    make_node(&maker, type, inputs, results);
    lines += read;
  }
  assert_string_equal(lines, "");
  output(results);
}

static void expect_kernels(const char *lines, const char *names, size_t members) {
  start();
  spell(lines);
  detect_with(cpu);
  expect_names(names);
  assert_int_equal(count_left_out(false), 0);
  if (members) {
    const nnm_kernel *kernel = &kernels->items[1];
    assert_int_equal(kernel->type, NNM_KERNEL_ROTARY);
    assert_int_equal(kernel->member_count, members);
    assert_int_equal(kernel->output_elements, 2 * 4 * 10 * 16);
    assert_int_equal(kernel->input_count, 3); /* what is turned, cosines, sines */
  }
  release();
}

#define SLICES "Slice(x zero half axis)a;Slice(x half end axis)b;"
static void test_turned_copy(void **state) {
  (void)state;
  expect_kernels(SLICES "Neg(b)n;Concat(n a)r;Mul(x cos)p;Mul(r sin)q;Add(p q)y;", "tanh, rotary", 7);
  expect_kernels(SLICES "Neg(b)n;Concat(n a)r;Mul(sin r)q;Mul(cos x)p;Add(q p)y;", "tanh, rotary", 7);
  expect_kernels("Split(x halves)a b;Neg(b)n;Concat(n a)r;Mul(x cos)p;Mul(r sin)q;Add(p q)y;", "tanh, rotary", 6);
  /* even and odd elements in turn */
  expect_kernels("Slice(x zero end axis two)a;Slice(x one end axis two)b;Neg(b)n;Unsqueeze(n axis)u;Unsqueeze(a axis)v;"
                 "Concat(u v)w;Reshape(w whole)r;Mul(x cos)p;Mul(r sin)q;Add(p q)y;",
                 "tanh, rotary", 10);
}

static void test_turned_parts(void **state) {
  (void)state;
  expect_kernels(SLICES "Mul(a c)d;Mul(b s)e;Sub(d e)f;Mul(b c)g;Mul(a s)h;Add(g h)i;Concat(f i)y;", "tanh, rotary", 9);
  expect_kernels("Split(x halves)a b;Mul(a c)d;Mul(s b)e;Sub(d e)f;Mul(a s)g;Mul(c b)h;Add(g h)i;Concat(f i)y;",
                 "tanh, rotary", 8);
  /* pairs: complex numbers */
  expect_kernels("Reshape(x pairs)z;Gather(z i0)a;Gather(z i1)b;Mul(a c)d;Mul(b s)e;Sub(d e)f;Mul(a s)g;Mul(b c)h;"
                 "Add(g h)i;Unsqueeze(f axis)j;Unsqueeze(i axis)k;Concat(j k)l;Reshape(l whole)y;",
                 "tanh, rotary", 12);
}

static void test_operators(void **state) {
  (void)state;
  start();
  make_weight(&maker, "table", "10x8");
  make_node(&maker, "RotaryEmbedding", "x c s", "y");
  output("y");
  detect_with(cpu);
  expect_names("tanh, rotary");
  assert_int_equal(kernels->items[1].type, NNM_KERNEL_ROTARY);
  release();
}

/* Queries and keys are turned by the same angles; what is only like a rotation stays what it is. */
static void test_what_is_none(void **state) {
  (void)state;
  expect_kernels(SLICES "Neg(b)n;Concat(n a)r;Mul(x cos)p;Mul(r sin)q;Add(p q)t;Exp(r)y;",
                 "tanh, split, split, neg, concat, mul, mul, add, exp", 0);
  expect_kernels(SLICES "Neg(b)n;Concat(n b)r;Mul(x cos)p;Mul(r sin)q;Add(p q)y;",
                 "tanh, split, split, neg, concat, mul, mul, add", 0);
  expect_kernels(SLICES "Neg(b)n;Concat(n a)r;Mul(in cos)p;Mul(r sin)q;Add(p q)y;",
                 "tanh, split, neg, concat, mul, mul, add", 0);
  expect_kernels(SLICES "Mul(a c)d;Mul(b s)e;Sub(d e)f;Mul(b c)g;Mul(b s)h;Add(g h)i;Concat(f i)y;",
                 "tanh, split, mul, mul, sub, mul, mul, add, concat", 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_turned_copy),
      cmocka_unit_test(test_turned_parts),
      cmocka_unit_test(test_operators),
      cmocka_unit_test(test_what_is_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
