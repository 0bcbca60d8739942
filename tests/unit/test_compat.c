/* What nn-Meter 2.0 does, one behaviour a test; tests/python/test_parity.py compares whole models with its records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/text.h"
#include "compat/compat.h"

static nnm_error error;

/* Writes an IR: node("c", "Conv", "x y", CONV, "[1,8,8,3]") reads x and y. */
static nnm_text document;

static void begin(void) { document = (nnm_text){0}; }

static void node(const char *name, const char *type, const char *inbounds, const char *attributes, const char *inputs,
                 const char *outputs) {
  nnm_text_printf(&document, "%s\"%s\":{\"attr\":{\"type\":\"%s\",\"attr\":{%s},\"input_shape\":[%s],",
                  document.length ? "," : "{", name, type, attributes, inputs);
  nnm_text_printf(&document, "\"output_shape\":[%s]},\"inbounds\":[", outputs);
  for (const char *at = inbounds; *at;) {
    size_t length = strcspn(at, " ");
    nnm_text_printf(&document, "%s\"%.*s\"", at == inbounds ? "" : ",", (int)length, at);
    at += length + (at[length] == ' ');
  }
  nnm_text_add(&document, "]}");
}

#define MAP "[1,8,8,16]"
#define CONV "\"kernel_shape\":[3,3],\"strides\":[1,1],\"group\":1"
static void map(const char *name, const char *type, const char *inbounds) {
  node(name, type, inbounds, !strcmp(type, "Conv") ? CONV : "", MAP, MAP);
}

static nnm_ir *ir;
static nnm_kernels *kernels;

static nnm_status try_detect(const char *rules_text) {
  nnm_fusion_rules *rules = NULL;
  nnm_text_add(&document, document.length ? "}" : "{}");
  char *text = nnm_text_take(&document);
  assert_int_equal(nnm_ir_parse((const unsigned char *)text, strlen(text), &ir, &error), NNM_OK);
  free(text);
  assert_int_equal(nnm_fusion_rules_parse(rules_text, strlen(rules_text), &rules, &error), NNM_OK);
  nnm_status status = nnm_detect_compat_kernels(ir, NULL, NULL, rules, &kernels, &error);
  nnm_fusion_rules_free(rules);
  return status;
}

static void done(void) {
  nnm_kernels_free(kernels);
  nnm_ir_free(ir);
  kernels = NULL;
  ir = NULL;
}

/* Detects and compares the names of all kernels, "conv-relu#0 add#1"; frees nothing, so that more can be looked at. */
static void detect(const char *rules, const char *expected) {
  assert_int_equal(try_detect(rules), NNM_OK);
  nnm_text names = {0};
  for (size_t i = 0; i < kernels->count; i++)
    nnm_text_printf(&names, "%s%s", i ? " " : "", kernels->items[i].compat->name);
  char *found = nnm_text_take(&names);
  assert_string_equal(found, expected);
  free(found);
}

static const nnm_compat_kernel *kernel(size_t index) { return kernels->items[index].compat; }

static void expect_row(size_t index, const char *predictor, const double *row, size_t count) {
  if (predictor) assert_string_equal(kernel(index)->predictor, predictor);
  else assert_null(kernel(index)->predictor);
  assert_int_equal(kernel(index)->row_count, count);
  for (size_t i = 0; i < count; i++)
    if (kernel(index)->row[i] != row[i]) fail_msg("row[%zu] is %.17g, not %.17g", i, kernel(index)->row[i], row[i]);
}
#define EXPECT_ROW(index, predictor, ...) \
  expect_row(index, predictor, (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

#define RULE(name) "\"BF_" name "\":{\"obey\":true}"
#define PAIRS "{" RULE("conv_relu") "," RULE("conv_bn") "," RULE("add_relu") "," RULE("bn_relu")
#define MON0 PAIRS "}"
#define MON1 PAIRS ",\"MON\":{\"obey\":true}}"
#define MON2 PAIRS ",\"MON\":{\"obey\":2}}"

/* ------------------------------------------------------------ pair rules */

static void test_first_operator_decides(void **state) {
  (void)state;
  begin();
  map("c", "Conv", "");
  map("b", "BatchNormalization", "c");
  map("r", "Relu", "b");
  detect(MON0, "conv-bn-relu#0"); /* conv-bn, then conv-relu; bn-relu is never asked */
  assert_int_equal(kernel(0)->block_count, 3);
  EXPECT_ROW(0, "conv-bn-relu", 8, 16, 16, 3, 1, 0.14848, 0.00232);
  done();
  begin();
  map("c", "Conv", "");
  map("b", "BatchNormalization", "c");
  map("r", "Relu", "b");
  detect("{" RULE("conv_bn") "," RULE("bn_relu") "}", "conv-bn#0 relu#1");
  done();
}

static void make_fork(void) {
  begin();
  map("c", "Conv", "");
  map("r1", "Relu", "c");
  map("r2", "Relu", "c");
  map("a", "Add", "r1 r2");
}

static void test_several_consumers(void **state) {
  (void)state;
  make_fork();
  detect(MON0, "conv#0 relu#1 relu#2 add#3");
  assert_int_equal(kernel(0)->outbound_count, 2);
  done();
  make_fork();
  detect(MON1, "conv-relu-relu#0 add#1");         /* first consumer first, then looked at again */
  assert_int_equal(kernel(0)->outbound_count, 3); /* the relus, members by now, and the addition */
  assert_int_equal(kernel(0)->outbounds[0], 0);
  assert_int_equal(kernel(0)->inbound_count, 2);
  done();
  make_fork();
  detect(MON2, "conv-relu-relu#0 add#1");
  done();
}

static void test_double_edge(void **state) {
  (void)state;
  begin();
  map("r", "Relu", "");
  map("a", "Add", "r r");
  detect("{" RULE("relu_add") "}", "relu-add#0"); /* one reader, though it reads twice */
  done();
}

static void test_concat_taken_by_the_first_branch(void **state) {
  (void)state;
  begin();
  map("c1", "Conv", "");
  map("c2", "Conv", "");
  map("j", "Concat", "c1 c2");
  detect("{" RULE("conv_concat") "}", "conv-concat#0 conv#1");
  assert_int_equal(kernel(1)->outbounds[0], 0);
  done();
}

/* ----------------------------------------------------------------- units */

static void test_chain_rule(void **state) {
  (void)state;
  begin();
  map("c", "Conv", "");
  map("b", "BatchNormalization", "c");
  map("r", "Relu", "b");
  map("r2", "Relu", "r");
  detect("{" RULE("conv_bn_relu") "," RULE("conv-bn-relu_relu") "}", "conv-bn-relu-relu#0");
  assert_int_equal(kernel(0)->block_count, 2);
  assert_true(kernel(0)->block_is_list[0]);
  assert_false(kernel(0)->block_is_list[1]);
  assert_int_equal(kernel(0)->block_start[1], 3);
  assert_true(kernel(0)->has_ks);
  done();
}

/* A block goes to the end of the old tool's dictionary, and with it what starts there. */
static void test_blocks_come_last_among_heads(void **state) {
  (void)state;
  begin();
  map("c", "Conv", "");
  map("b", "BatchNormalization", "c");
  map("r", "Relu", "b");
  map("p", "MaxPool", "");
  map("q", "MaxPool", "p");
  detect("{" RULE("conv_bn_relu") "}", "maxpool#0 conv-bn-relu#1 maxpool#2");
  done();
}

static void test_squeeze_and_excite(void **state) {
  (void)state;
  begin();
  map("d", "Relu", "");
  map("g", "GlobalAveragePool", "d");
  map("c1", "Conv", "g");
  map("r", "Relu", "c1");
  map("c2", "Conv", "r");
  map("h", "HardSigmoid", "c2");
  map("m", "Mul", "h d");
  map("e", "Relu", "m");
  detect("{" RULE("se_relu") "}", "relu#0 se-relu#1");
  assert_int_equal(kernel(1)->block_start[1], 6);
  EXPECT_ROW(1, "se", 8, 16);
  done();
  begin(); /* nothing before the gate: the old tool wants an operator there */
  map("g", "GlobalAveragePool", "");
  map("c1", "Conv", "g");
  map("r", "Relu", "c1");
  map("c2", "Conv", "r");
  map("h", "HardSigmoid", "c2");
  map("m", "Mul", "h");
  detect("{}", "gap#0 conv#1 relu#2 conv#3 hardsigmoid#4 mul#5");
  done();
}

static void test_hard_swish(void **state) {
  (void)state;
  begin();
  map("x", "Conv", "");
  node("a", "Add", "x", "", MAP ",[]", MAP);
  map("r", "Clip", "a");
  map("v", "Div", "r");
  map("m", "Mul", "x v");
  detect("{}", "conv#0 hswish#1");
  assert_int_equal(kernel(1)->input_tensor_count, 1);
  EXPECT_ROW(1, "hswish", 8, 16);
  done();
  begin(); /* an operator reads twice: no longer exactly the pattern, but it still is the one without the input */
  map("x", "Conv", "");
  map("a", "Add", "x");
  map("r", "Clip", "a");
  map("v", "Mul", "r");
  map("m", "Mul", "v v");
  detect("{}", "conv#0 add#1 relu#2 mul#3 mul#4");
  done();
}

static void test_shuffle_and_pool(void **state) {
  (void)state;
  begin();
  map("c", "Conv", "");
  map("a", "Reshape", "c");
  map("t", "Transpose", "a");
  map("b", "Reshape", "t");
  map("g", "ReduceMean", "b");
  map("f", "Flatten", "g");
  detect("{}", "conv#0 channelshuffle#1 gap#2");
  EXPECT_ROW(1, "channelshuffle", 8, 16);
  EXPECT_ROW(2, "global-avgpool", 1, 16);
  done();
}

/* Fusing conv, bn and add would enclose the relu between conv and add: the old tool finds a cycle and stops. */
static void test_no_block_around_others(void **state) {
  (void)state;
  begin();
  map("c", "Conv", "");
  map("b", "BatchNormalization", "c");
  map("r", "Relu", "c");
  map("a", "Add", "b r");
  map("c2", "Conv", "a");
  map("b2", "BatchNormalization", "c2");
  map("a2", "Add", "b2");
  detect("{" RULE("conv_bn_add") "}", "conv#0 bn#1 relu#2 add#3 conv-bn-add#4");
  done();
}

/* ---------------------------------------------------------------- the graph */

static void test_isolated_nodes_vanish(void **state) {
  (void)state;
  begin();
  map("c", "Conv", "");
  detect(MON0, "");
  done();
  begin();
  detect(MON0, "");
  done();
  begin();
  map("c", "Conv", "gone");
  map("a", "Relu", "");
  map("b", "Relu", "a");
  detect(MON0, "relu#0 relu#1");
  done();
}

/* Taking a name out of the list while walking it skips the next one, here the only reader of h. */
static void test_dangling_name_hides_the_next(void **state) {
  (void)state;
  begin();
  map("h", "Relu", "");
  map("x", "Conv", "");
  map("a", "Add", "gone h x");
  map("m", "MaxPool", "x");
  detect(MON0, "conv#0 add#1 maxpool#2");
  done();
  begin();
  map("h", "Relu", "");
  map("x", "Conv", "");
  map("a", "Add", "h x gone");
  detect(MON0, "relu#0 conv#1 add#2");
  done();
}

static void test_dummies(void **state) {
  (void)state;
  begin(); /* numbers count groups that are no kernel */
  node("p", "Placeholder", "", "", "", MAP);
  map("c", "Conv", "p");
  map("i", "Identity", "c");
  map("r", "Relu", "i");
  detect(MON0, "conv-relu#1");
  assert_int_equal(kernel(0)->inbound_count, 0);
  done();
  begin(); /* an identity of a constant does no harm, and is a group */
  node("k", "Const", "", "", "", MAP);
  map("i", "Identity", "k");
  map("c", "Conv", "i");
  map("r", "Relu", "c");
  detect(MON0, "conv-relu#2");
  done();
  begin();
  map("i3", "Identity", "i2"); /* chains in any order */
  map("r", "Relu", "i3");
  map("i2", "Identity", "i1");
  map("i1", "Identity", "c");
  map("c", "Conv", "");
  detect(MON0, "conv-relu#0");
  done();
}

static void test_node_without_type_is_left_out(void **state) {
  (void)state;
  static const char text[] =
      "{\"c\":{\"attr\":{\"type\":\"Conv\",\"attr\":{\"kernel_shape\":[1,1]},\"input_shape\":[[1,2,2,3]],"
      "\"output_shape\":[[1,2,2,4]]},\"inbounds\":[]},\"s\":{\"attr\":{},\"inbounds\":[\"c\"]},"
      "\"r\":{\"attr\":{\"type\":\"Relu\",\"attr\":{},\"input_shape\":[[1,2,2,4]],\"output_shape\":[[1,2,2,4]]},"
      "\"inbounds\":[\"c\",\"s\"]}}";
  nnm_fusion_rules *rules = NULL;
  assert_int_equal(nnm_ir_parse((const unsigned char *)text, strlen(text), &ir, &error), NNM_OK);
  assert_int_equal(nnm_fusion_rules_parse(MON0, strlen(MON0), &rules, &error), NNM_OK);
  assert_int_equal(nnm_detect_compat_kernels(ir, NULL, NULL, rules, &kernels, &error), NNM_OK);
  assert_int_equal(kernels->count, 1);
  nnm_fusion_rules_free(rules);
  done();
}

static void test_cycle_is_an_error(void **state) {
  (void)state;
  begin();
  map("a", "Relu", "b");
  map("b", "Relu", "a");
  assert_int_equal(try_detect(MON0), NNM_ERROR_GRAPH);
  done();
}

/* ------------------------------------------------------------- attributes */

static void test_attributes(void **state) {
  (void)state;
  begin();
  node("d", "Conv", "", "\"kernel_shape\":[3,3],\"group\":16", MAP, MAP);
  node("t", "Conv2D", "d", "\"kernel_shape\":[1,1],\"weight_shape\":[5,7,16,4]", MAP, "[1,8,8,4]");
  node("n", "Conv2D", "t", "\"kernel_shape\":[1,1],\"weight_shape\":null", MAP, MAP);
  node("s", "Split", "n", "\"axis\":[3]", MAP, "[1,8,8,8],[1,8,8,8]");
  node("a", "Add", "s", "", "[],[1,8,8,8]", "[1,8,8,8]");
  detect("{}", "dwconv#0 conv#1 conv#2 split#3 add#4");
  assert_int_equal(kernel(1)->ks[1], 7);
  assert_int_equal(kernel(1)->ks_count, 2);
  assert_int_equal(kernel(2)->ks[0], 1);
  assert_true(kernel(3)->split_dim_is_list);
  assert_int_equal(kernel(3)->split_dim[0], 3);
  assert_false(kernel(3)->has_cout);
  assert_int_equal(kernel(3)->output_tensor_count, 2);
  assert_int_equal(kernel(4)->input_tensors[0].rank, 4); /* both operands as the first that is known */
  EXPECT_ROW(4, "add", 8, 8, 8);
  EXPECT_ROW(0, "dwconv-bn-relu", 8, 16, 16, 3, 1, 0.01024, 0.00016);
  done();
}

/* -------------------------------------------------------------------- rows */

static void test_concat_rows(void **state) {
  (void)state;
  begin();
  map("x", "Relu", "");
  node("two", "Concat", "x", "", MAP ",[1,8,8,3]", MAP);
  node("six", "Concat", "two", "", "[1,9,9,1],[1,8,8,2],[1,8,8,3],[1,8,8,4],[1,8,8,5],[1,8,8,6]", MAP);
  detect("{}", "relu#0 concat#1 concat#2");
  EXPECT_ROW(1, "concat", 8, 2, 16, 3, 0, 0);
  EXPECT_ROW(2, "concat", 9, 6, 1, 2, 3, 4);
  done();
}

/* "split-relu" has split in its name, but only "split" itself sets the size: what is left over counts. */
static void test_left_over_variables(void **state) {
  (void)state;
  begin();
  node("c", "Conv", "", CONV, "[1,32,32,3]", MAP);
  node("s", "Split", "c", "", MAP, "[1,8,8,8],[1,8,8,8]");
  map("r", "Relu", "s");
  detect("{" RULE("split_relu") "}", "conv#0 split-relu#1");
  EXPECT_ROW(1, "split-relu", 32, 3);
  done();
}

static void test_odd_rows(void **state) {
  (void)state;
  begin();
  node("c", "Conv", "", "\"kernel_shape\":[3,3],\"strides\":[2,2]", "[1,7,9,3]", "[1,4,5,8]");
  node("t", "Transpose", "c", "", "[1,4,5,8]", "[1,5,4,8]");
  node("m", "Mul", "t", "", "[1,5,4,8]", "[1,5,4,8]");
  node("f", "Gemm", "m", "", "[1,20]", "[1,10]");
  node("r", "Relu", "f", "", "[2,10]", "[2,10]");
  node("g", "GlobalAveragePool", "r", "", "[1,7,7,12]", "[1,1,1,12]");
  detect("{}", "conv#0 transpose#1 mul#2 fc#3 relu#4 gap#5");
  EXPECT_ROW(0, "conv-bn-relu", 7, 3, 8, 3, 2, 2 * 7. / 2 * 7. / 2 * 224 / 2e6, 224 / 1e6);
  EXPECT_ROW(1, "transpose", 5, 8); /* its name has an "se" in it */
  assert_int_equal(kernel(2)->row_count, 0);
  assert_null(kernel(2)->predictor);
  EXPECT_ROW(3, "fc", 20, 10, 410 / 2e6, 410 / 1e6);
  EXPECT_ROW(4, "relu", 2, 10);
  EXPECT_ROW(5, "global-avgpool", 1, 12);
  done();
}

/* Where the old tool stops with an exception. */
static void test_right_rows(void **state) {
  (void)state;
  begin();
  map("r", "Relu", "");
  map("c", "Conv", "r");
  map("u", "Mul", "c");
  node("s", "Conv", "u", "\"kernel_shape\":[3],\"group\":1", "[1,16,100]", "[1,32,98]");
  node("v", "Conv", "s", "\"kernel_shape\":[1,3,3],\"strides\":[1,2,2],\"group\":2", "[1,4,6,8,8]", "[1,8,6,4,4]");
  node("a", "Add", "v", "", MAP, MAP);
  node("b", "Add", "a", "", "[1,10],[1,10]", "[1,10]");
  node("n", "Conv", "b", "", MAP, MAP);
  detect("{" RULE("relu_conv") "}", "relu-conv#0 mul#1 conv#2 conv#3 add#4 add#5 conv#6");
  EXPECT_ROW(0, "conv-bn-relu", 8, 16, 16, 3, 1, 0.14848, 0.00232);
  EXPECT_ROW(2, "conv-bn-relu", 100, 16, 32, 3, 1, 2 * 100. * 1568 / 2e6, 1568 / 1e6);
  assert_int_equal(kernel(2)->cin, 16);
  EXPECT_ROW(3, "conv-bn-relu", 8, 4, 8, 3, 2, 2 * 6. * 4 * 4 * 152 / 2e6, 152 / 1e6);
  EXPECT_ROW(4, "add", 8, 16, 16);
  EXPECT_ROW(5, "add", 1, 10, 10);
  assert_int_equal(kernel(6)->row_count, 0); /* no kernel size anywhere */
  done();
}

/* ------------------------------------------------------------------- JSON */

static void test_json(void **state) {
  (void)state;
  begin();
  map("c", "Conv", "");
  map("b", "BatchNormalization", "c");
  map("r", "Relu", "b");
  node("s", "Split", "r", "\"axis\":1", MAP, "[1,8,8,8],[1,8,8,8]");
  detect("{" RULE("conv_bn_relu") "}", "conv-bn-relu#0 split#1");
  json_t *list = NULL;
  assert_int_equal(nnm_compat_kernels_json(kernels, &list, &error), NNM_OK);
  char *text = json_dumps(list, JSON_COMPACT);
  assert_string_equal(
      text, "[{\"op\":\"conv-bn-relu\",\"name\":\"conv-bn-relu#0\",\"input_tensors\":[[1,8,8,16]],\"ks\":[3,3],"
            "\"strides\":[1,1],\"inputh\":8,\"inputw\":8,\"cin\":16,\"cout\":16,\"inbounds\":[],"
            "\"outbounds\":[\"split#1\"],\"nodes\":[[0,1,2]]},"
            "{\"op\":\"split\",\"name\":\"split#1\",\"input_tensors\":[[1,8,8,16]],\"split_dim\":1,\"inputh\":8,"
            "\"inputw\":8,\"cin\":16,\"output_tensors\":[[1,8,8,8],[1,8,8,8]],\"inbounds\":[\"conv-bn-relu#0\"],"
            "\"outbounds\":[],\"nodes\":[3]}]");
  free(text);
  json_decref(list);
  done();
}

/* ------------------------------------------------------------------ scale */

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Everything reads one node, one node reads everything, and patterns nearly fit everywhere. */
static double time_hub(int count) {
  begin();
  map("hub", "BatchNormalization", "");
  char name[24], all[24];
  nnm_text inbounds = {0};
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "c%d", i);
    snprintf(all, sizeof all, "%sa%d", i ? " " : "", i);
    map(name, "Add", "hub");
    nnm_text_add(&inbounds, all);
    snprintf(all, sizeof all, "a%d", i);
    map(all, "Relu", name);
  }
  char *text = nnm_text_take(&inbounds);
  map("end", "Mul", text);
  free(text);
  double before = seconds();
  assert_int_equal(try_detect("{" RULE("bn_add_relu") "," RULE("add_relu_mul") "," RULE(
                       "bn_add_relu_mul") ",\"MON\":{\"obey\":true}}"),
                   NNM_OK);
  double taken = seconds() - before;
  done();
  return taken;
}

static void test_linear(void **state) {
  (void)state;
  double small = time_hub(3000), large = time_hub(30000);
  if (large > small * 40 + 0.5) fail_msg("10 times the nodes took %.1f times as long", large / small);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_first_operator_decides),
      cmocka_unit_test(test_several_consumers),
      cmocka_unit_test(test_double_edge),
      cmocka_unit_test(test_concat_taken_by_the_first_branch),
      cmocka_unit_test(test_chain_rule),
      cmocka_unit_test(test_blocks_come_last_among_heads),
      cmocka_unit_test(test_squeeze_and_excite),
      cmocka_unit_test(test_hard_swish),
      cmocka_unit_test(test_shuffle_and_pool),
      cmocka_unit_test(test_no_block_around_others),
      cmocka_unit_test(test_isolated_nodes_vanish),
      cmocka_unit_test(test_dangling_name_hides_the_next),
      cmocka_unit_test(test_dummies),
      cmocka_unit_test(test_node_without_type_is_left_out),
      cmocka_unit_test(test_cycle_is_an_error),
      cmocka_unit_test(test_attributes),
      cmocka_unit_test(test_concat_rows),
      cmocka_unit_test(test_left_over_variables),
      cmocka_unit_test(test_odd_rows),
      cmocka_unit_test(test_right_rows),
      cmocka_unit_test(test_json),
      cmocka_unit_test(test_linear),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
