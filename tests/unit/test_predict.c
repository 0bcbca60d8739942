/* From kernels to a prediction: the amounts of work in a kernel, and the interval around the sum of their latencies. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_maker.h"
#include "model.h"
#include "predictors/kernel_set.h"
#include "predictors/predictor.h"

/* ---------------------------------------------------------------- work */

static void expect_work(size_t kernel, const double expected[NNM_WORK_COUNT]) {
  nnm_kernel_row row;
  assert_true(kernel < kernels->count);
  nnm_kernel_row_of(graph, shapes, &kernels->items[kernel], &row);
  for (size_t i = 0; i < NNM_WORK_COUNT; i++)
    if (row.work[i] != expected[i]) fail_msg("%s is %.17g, not %.17g", nnm_work_names[i], row.work[i], expected[i]);
}

/* Without padding, unlike conv. */
static void bare_conv(const char *in, const char *out, const char *weight, int64_t group) {
  char inputs[50], name[20];
  snprintf(name, sizeof name, "%s_weight", out);
  make_weight(&maker, name, weight);
  with_int(&maker, "group", group);
  snprintf(inputs, sizeof inputs, "%s %s", in, name);
  make_node(&maker, "Conv", inputs, out);
}

static void test_convolutions(void **state) {
  (void)state;
  make_input(&maker, "x", "2x16x9x9");
  with_ints(&maker, "strides", "2 2");
  bare_conv("x", "a", "8x16x3x3", 1); /* 4x4 positions of 144 elements, in 2 images */
  bare_conv("a", "b", "12x8x1x1", 1); /* pointwise: lies in memory as it is needed */
  with_ints(&maker, "strides", "2 2");
  bare_conv("b", "c", "12x12x1x1", 1); /* a stride leaves elements out */
  bare_conv("c", "d", "12x1x2x2", 12); /* depthwise */
  output("d");
  detect_with(cpu);
  expect_names("conv, conv, conv, dwconv");
  expect_work(0, (const double[]){32 * 8 * 144, 2 * 16 * 81, 32 * 8, 8 * 144, 32 * 144});
  expect_work(1, (const double[]){32 * 12 * 8, 32 * 8, 32 * 12, 12 * 8, 0});
  expect_work(2, (const double[]){8 * 12 * 12, 32 * 12, 8 * 12, 12 * 12, 8 * 12});
  expect_work(3, (const double[]){2 * 12 * 4, 8 * 12, 2 * 12, 12 * 4, 0});
  release();
}

static void test_poolings(void **state) {
  (void)state;
  make_input(&maker, "x", "1x16x9x9");
  const char *const types[] = {"MaxPool", "AveragePool"};
  for (size_t i = 0; i < 2; i++) {
    with_ints(&maker, "kernel_shape", "3 2");
    make_node(&maker, types[i], i ? "p" : "x", i ? "q" : "p");
  }
  make_node(&maker, "Sigmoid", "q", "r");
  make_node(&maker, "GlobalMaxPool", "r", "s");
  make_node(&maker, "GlobalAveragePool", "q", "t");
  make_node(&maker, "Add", "s t", "u");
  output("u");
  detect_with(cpu);
  expect_names("maxpool, avgpool, sigmoid, maxpool, global-avgpool, add");
  expect_work(0, (const double[]){0, 16 * 81, 16 * 7 * 8, 0, 16 * 7 * 8 * 6});
  expect_work(1, (const double[]){0, 16 * 7 * 8, 16 * 5 * 7, 0, 16 * 5 * 7 * 6});
  expect_work(3, (const double[]){0, 16 * 5 * 7, 16, 0, 0});
  expect_work(4, (const double[]){0, 16 * 5 * 7, 16, 0, 0});
  expect_work(5, (const double[]){0, 2 * 16, 16, 0, 0});
  release();
}

/* ---------------------------------------------------------------- the interval */

/* A predictor that says what a test wants it to say. */
typedef struct script {
  nnm_model_estimate whole;
  nnm_kernel_estimate kernels[3];
} script;

static nnm_status say_script(const void *state, const nnm_graph *g, const nnm_shapes *s, const nnm_kernels *found,
                             nnm_kernel_estimate *estimates, nnm_model_estimate *whole, nnm_error *error) {
  (void)g, (void)s, (void)error;
  const script *said = state;
  assert_int_equal(found->count, 3);
  memcpy(estimates, said->kernels, sizeof said->kernels);
  *whole = said->whole;
  return NNM_OK;
}

static const nnm_predictor_kind scripted = {.name = "script", .compat = NNM_COMPAT_OWN, .estimate = say_script};

static void three_convolutions(void) {
  input();
  conv("x", "a", "16x16x1x1", 1);
  conv("a", "b", "16x16x1x1", 1);
  conv("b", "c", "16x16x1x1", 1);
  output("c");
  detect_with(cpu);
}

static nnm_prediction *predict_by(const nnm_predictor_kind *kind, void *kind_state) {
  static char name[] = "model";
  nnm_model model = {.path = name, .name = name, .graph = graph, .shapes = shapes};
  nnm_predictor predictor = {.info = {.name = "test"}, .kind = kind, .state = kind_state};
  nnm_prediction *prediction = NULL;
  nnm_error error = {0};
  assert_int_equal(nnm_fusion_rules_parse(cpu, strlen(cpu), &predictor.rules, &error), NNM_OK);
  if (nnm_predict(&predictor, &model, NULL, &prediction, &error) != NNM_OK) fail_msg("%s", error.message);
  nnm_fusion_rules_free(predictor.rules);
  return prediction;
}

static void expect_interval(const script *said, double low_ms, double high_ms) {
  script copy = *said;
  nnm_prediction *prediction = predict_by(&scripted, &copy);
  const double *bounds = prediction->interval_ms;
  if (isnan(low_ms)) assert_true(isnan(bounds[0]) && isnan(bounds[1]));
  else if (fabs(bounds[0] - low_ms) > 1e-12 * low_ms || fabs(bounds[1] - high_ms) > 1e-12 * high_ms)
    fail_msg("%.17g to %.17g ms instead of %.17g to %.17g ms", bounds[0], bounds[1], low_ms, high_ms);
  nnm_prediction_free(prediction);
}

static const script certain = {{.constant_ms = 2, .interval = {true, -0.25, 0.5, 0.75}},
                               {{.latency_ms = 1, .in_range = true, .has_predictor = true},
                                {.latency_ms = 3, .in_range = true, .has_predictor = true},
                                {.latency_ms = 4, .in_range = true, .has_predictor = true}}}; /* 10 ms in all */

static void test_interval(void **state) {
  (void)state;
  three_convolutions();
  expect_interval(&certain, 10 * exp(-0.25), 10 * exp(0.5));
  script said = certain;
  said.kernels[0].doubt = 2;    /* 10 % of the latency */
  said.kernels[2].doubt = 1.25; /* 40 % */
  const double moved = 0.75 * (0.1 * 2 + 0.4 * 1.25);
  expect_interval(&said, 10 * exp(-0.25 - moved), 10 * exp(0.5 + moved));
  said.whole.interval.known = false;
  expect_interval(&said, NAN, NAN);
  release();
}

/* A predictor that was too fast, or too slow, on all new models: the latency is still within. */
static void test_interval_holds_the_latency(void **state) {
  (void)state;
  three_convolutions();
  script said = certain;
  said.whole.interval.low = 0.25;
  expect_interval(&said, 10, 10 * exp(0.5));
  said.whole.interval = (nnm_interval){true, -0.5, -0.25, 0};
  expect_interval(&said, 10 * exp(-0.5), 10);
  release();
}

static void test_interval_of_odd_latencies(void **state) {
  (void)state;
  three_convolutions();
  script nothing = {.whole.interval = certain.whole.interval}, huge = certain;
  expect_interval(&nothing, 0, 0);
  huge.kernels[0].latency_ms = 1.5e308; /* its upper bound is no number any more */
  expect_interval(&huge, NAN, NAN);
  huge = certain;
  huge.kernels[0].doubt = 2;
  huge.whole.interval.doubt = 3e38;
  expect_interval(&huge, NAN, NAN);
  release();
}

/* The features see two dimensions only. */
static void test_volumes_are_doubted(void **state) {
  (void)state;
  nnm_predictor *predictor;
  nnm_error error = {0};
  assert_int_equal(nnm_predictor_open("cortexA76cpu_tflite21", NULL, "/nowhere", &predictor, &error), NNM_OK);
  make_input(&maker, "x", "1x16x28x28x28");
  bare_conv("x", "y", "16x16x3x3x3", 1);
  output("y");
  detect_with(cpu);
  nnm_kernel_estimate estimate;
  nnm_model_estimate whole;
  assert_int_equal(kernels->count, 1);
  assert_int_equal(predictor->kind->estimate(predictor->state, graph, shapes, kernels, &estimate, &whole, &error),
                   NNM_OK);
  assert_false(estimate.in_range);
  assert_non_null(strstr(estimate.reason, "three spatial dimensions"));
  assert_true(estimate.doubt == NNM_FULL_DOUBT);
  release();
  nnm_predictor_free(predictor);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_convolutions, setup),
      cmocka_unit_test_setup(test_poolings, setup),
      cmocka_unit_test_setup(test_interval, setup),
      cmocka_unit_test_setup(test_interval_holds_the_latency, setup),
      cmocka_unit_test_setup(test_interval_of_odd_latencies, setup),
      cmocka_unit_test_setup(test_volumes_are_doubted, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
