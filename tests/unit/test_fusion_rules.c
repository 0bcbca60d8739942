#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/fusion_rules.h"

static nnm_error error;

static nnm_fusion_rules *parse(const char *text) {
  nnm_fusion_rules *rules = NULL;
  error = (nnm_error){0};
  assert_int_equal(nnm_fusion_rules_parse(text, strlen(text), &rules, &error), NNM_OK);
  assert_string_equal(rules->text, text);
  return rules;
}

static void expect_failure(const char *text, nnm_status status, const char *place, const char *part) {
  nnm_fusion_rules *rules = NULL;
  error = (nnm_error){0};
  assert_int_equal(nnm_fusion_rules_parse(text, strlen(text), &rules, &error), status);
  assert_null(rules);
  assert_string_equal(error.place, place);
  assert_non_null(strstr(error.message, part));
}

static void test_pairs(void **state) {
  (void)state;
  nnm_fusion_rules *rules = parse("{\"BF_conv_relu\": {\"obey\": true}, \"BF_conv_add\": {\"obey\": false},"
                                  " \"BFX_fc_relu\": {\"obey\": true}, \"ZZ_add_relu\": {\"obey\": true}}");
  assert_int_equal(nnm_fusion_rules_ask(rules, "conv", "relu"), NNM_FUSION_ALLOWED);
  assert_int_equal(nnm_fusion_rules_ask(rules, "conv", "add"), NNM_FUSION_DENIED);
  assert_int_equal(nnm_fusion_rules_ask(rules, "relu", "conv"), NNM_FUSION_UNKNOWN);
  assert_true(nnm_fusion_rules_allow(rules, "fc", "relu"));
  assert_false(nnm_fusion_rules_allow(rules, "add", "relu"));
  assert_int_equal(rules->count, 4);
  assert_int_equal(rules->items[3].op_count, 0);
  nnm_fusion_rules_free(rules);
}

/* Names are split at every "_"; three operators and more are no pair. */
static void test_names(void **state) {
  (void)state;
  nnm_fusion_rules *rules =
      parse("{\"BF_conv_bn_relu\": {\"obey\": true}, \"BF\": {\"obey\": true},"
            " \"BF__relu\": {\"obey\": true}, \"RT\": {\"obey\": false}, \"CBC\": {\"obey\": null}}");
  assert_int_equal(rules->items[0].op_count, 3);
  assert_string_equal(rules->items[0].ops[1], "bn");
  assert_int_equal(rules->items[1].op_count, 0);
  assert_true(nnm_fusion_rules_allow(rules, "", "relu"));
  assert_int_equal(nnm_fusion_rules_ask(rules, "conv", "bn"), NNM_FUSION_UNKNOWN);
  nnm_fusion_rules_free(rules);
}

static void test_truth(void **state) {
  (void)state;
  static const struct {
    const char *obey;
    bool expected;
  } cases[] = {{"true", true}, {"false", false}, {"null", false},     {"0", false},  {"1", true},   {"0.0", false},
               {"-0.5", true}, {"\"\"", false},  {"\"false\"", true}, {"[]", false}, {"[0]", true}, {"{}", false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[80];
    snprintf(text, sizeof text, "{\"BF_a_b\": {\"obey\": %s}}", cases[i].obey);
    nnm_fusion_rules *rules = parse(text);
    assert_int_equal(nnm_fusion_rules_allow(rules, "a", "b"), cases[i].expected);
    nnm_fusion_rules_free(rules);
  }
}

static void test_multi_consumer(void **state) {
  (void)state;
  static const struct {
    const char *obey;
    nnm_multi_consumer expected;
  } cases[] = {
      {"null", NNM_MULTI_CONSUMER_NEVER}, {"false", NNM_MULTI_CONSUMER_NEVER}, {"0", NNM_MULTI_CONSUMER_NEVER},
      {"0.0", NNM_MULTI_CONSUMER_NEVER},  {"true", NNM_MULTI_CONSUMER_FIRST},  {"1", NNM_MULTI_CONSUMER_FIRST},
      {"1.0", NNM_MULTI_CONSUMER_FIRST},  {"2", NNM_MULTI_CONSUMER_ALL},       {"\"0\"", NNM_MULTI_CONSUMER_ALL}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[80];
    snprintf(text, sizeof text, "{\"MON\": {\"obey\": %s}}", cases[i].obey);
    nnm_fusion_rules *rules = parse(text);
    assert_int_equal(rules->multi_consumer, cases[i].expected);
    nnm_fusion_rules_free(rules);
  }
  nnm_fusion_rules *rules = parse("{}");
  assert_int_equal(rules->multi_consumer, NNM_MULTI_CONSUMER_NEVER);
  nnm_fusion_rules_free(rules);
}

/* A key given twice: the later one counts. Two names of one pair: either allows. */
static void test_repeated(void **state) {
  (void)state;
  nnm_fusion_rules *rules = parse("{\"BF_a_b\": {\"obey\": true}, \"BF_a_b\": {\"obey\": false}}");
  assert_false(nnm_fusion_rules_allow(rules, "a", "b"));
  nnm_fusion_rules_free(rules);
  rules = parse("{\"BF_a_b\": {\"obey\": true}, \"BF2_a_b\": {\"obey\": false}}");
  assert_true(nnm_fusion_rules_allow(rules, "a", "b"));
  nnm_fusion_rules_free(rules);
}

static void test_many_rules(void **state) {
  (void)state;
  enum { RULES = 20000, EACH = 48 };
  char *text = malloc(RULES * EACH + 2), *at = text;
  assert_non_null(text);
  for (int i = 0; i < RULES; i++)
    at += snprintf(at, EACH, "%c\"BF_op%d_relu\":{\"obey\":%s}", i ? ',' : '{', i, i % 2 ? "true" : "false");
  strcpy(at, "}");
  nnm_fusion_rules *rules = parse(text);
  assert_true(nnm_fusion_rules_allow(rules, "op19999", "relu"));
  assert_int_equal(nnm_fusion_rules_ask(rules, "op0", "relu"), NNM_FUSION_DENIED);
  assert_int_equal(nnm_fusion_rules_ask(rules, "op20000", "relu"), NNM_FUSION_UNKNOWN);
  nnm_fusion_rules_free(rules);
  free(text);
}

static void test_hostile(void **state) {
  (void)state;
  expect_failure("", NNM_ERROR_FORMAT, "line 1, column 0", "JSON");
  expect_failure("[]", NNM_ERROR_FORMAT, "$", "no object");
  expect_failure("{\"BF_a_b\": true}", NNM_ERROR_FORMAT, "$.BF_a_b", "no object");
  expect_failure("{\"BF_a_b\": {\"latency\": {}}}", NNM_ERROR_FORMAT, "$.BF_a_b", "obey");
  expect_failure("{\"BF_a_b\": {\"obey\": true}} x", NNM_ERROR_FORMAT, "line 1, column 28", "JSON");
  char deep[4096];
  memset(deep, '[', sizeof deep - 1);
  deep[sizeof deep - 1] = '\0';
  expect_failure(deep, NNM_ERROR_LIMIT, "byte 64", "deeper");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pairs),    cmocka_unit_test(test_names),      cmocka_unit_test(test_truth),
      cmocka_unit_test(test_repeated), cmocka_unit_test(test_many_rules), cmocka_unit_test(test_multi_consumer),
      cmocka_unit_test(test_hostile),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
