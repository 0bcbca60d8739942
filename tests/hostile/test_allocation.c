/* Fails every single allocation on the way from a file to every kind of report, one after the other. Whatever fails, the
 * answer is NNM_ERROR_MEMORY with a message, never a crash; the sanitized build also finds what leaks.
 * jansson's own allocations are left alone: see docs/security.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_malloc.h"
#include "nnmeter/nnmeter.h"

static const char *file;

typedef nnm_status report_function(const nnm_model *model, const nnm_predictor *predictor, nnm_error *error);

/* text is set by then when status is good. */
static nnm_status discard(nnm_status status, char **text) {
  if (status == NNM_OK) nnm_free(*text);
  return status;
}

static nnm_status predict(const nnm_model *model, const nnm_predictor *predictor, nnm_error *error) {
  nnm_prediction *prediction;
  char *text = NULL;
  nnm_status status = nnm_predict(predictor, model, NULL, &prediction, error);
  if (status != NNM_OK) return status;
  status = discard(nnm_report_table(prediction, 100, &text, error), &text);
  if (status == NNM_OK) status = discard(nnm_report_json(prediction, model, predictor, true, &text, error), &text);
  nnm_prediction_free(prediction);
  return status;
}

static nnm_status inspect_all(const nnm_model *model, const nnm_predictor *predictor, nnm_error *error) {
  nnm_status status = NNM_OK;
  for (int stage = NNM_STAGE_GRAPH; status == NNM_OK && stage <= NNM_STAGE_FEATURES; stage++) {
    for (int as_json = 0; status == NNM_OK && as_json < 2; as_json++) {
      char *text = NULL;
      status = discard(nnm_inspect(model, (nnm_stage)stage, predictor, NULL, as_json, &text, error), &text);
    }
  }
  return status;
}

static nnm_status write_ir(const nnm_model *model, const nnm_predictor *predictor, nnm_error *error) {
  char *text = NULL;
  (void)predictor;
  return discard(nnm_model_to_ir(model, &text, error), &text);
}

static nnm_status compat(const nnm_model *model, const nnm_predictor *predictor, nnm_error *error) {
  nnm_predict_options options = {.compat = NNM_COMPAT_NN_METER_2_0};
  char *text = NULL;
  nnm_status status = nnm_inspect(model, NNM_STAGE_KERNELS, predictor, &options, true, &text, error);
  return discard(status, &text);
}

static nnm_status list_predictors(nnm_error *error) {
  nnm_predictor_list *list;
  nnm_status status = nnm_predictor_list_create("/dev/null/none", &list, error);
  if (status == NNM_OK) nnm_predictor_list_free(list);
  return status;
}

static nnm_status whole_way(report_function *report, nnm_error *error) {
  nnm_predictor *predictor = NULL;
  nnm_model *model = NULL;
  nnm_status status = list_predictors(error);
  if (status == NNM_OK) status = nnm_predictor_open("cortexA76cpu_tflite21", NULL, "/dev/null/none", &predictor, error);
  if (status == NNM_OK) status = nnm_model_read_file(file, NULL, &model, error);
  if (status == NNM_OK) status = nnm_model_infer_shapes(model, NULL, error);
  if (status == NNM_OK) status = report(model, predictor, error);
  nnm_model_free(model);
  nnm_predictor_free(predictor);
  return status;
}

/* Fails each allocation in turn; the number of answers that are not NNM_ERROR_MEMORY with a message. */
static size_t fail_each(report_function *report) {
  nnm_error error;
  failing_malloc_arm(SIZE_MAX);
  nnm_status status = whole_way(report, &error);
  size_t count = failing_malloc_count(), wrong = 0;
  if (status != NNM_OK) print_error("without any failure: %s\n", error.message);
  assert_int_equal(status, NNM_OK);
  assert_true(count > 50); /* else the library's calls do not come here */
  for (size_t number = 0; number < count; number++) {
    memset(&error, 0, sizeof error);
    failing_malloc_arm(number);
    status = whole_way(report, &error);
    failing_malloc_arm(SIZE_MAX);
    if (status == NNM_ERROR_MEMORY && error.status == status && error.message[0]) continue;
    wrong++;
    print_error("allocation %zu of %zu failed; status %d: %s\n", number, count, status, error.message);
  }
  return wrong;
}

static void test_predict(void **state) {
  (void)state;
  assert_int_equal(fail_each(predict), 0);
}

static void test_inspect(void **state) {
  (void)state;
  assert_int_equal(fail_each(inspect_all), 0);
}

static void test_write_ir(void **state) {
  (void)state;
  assert_int_equal(fail_each(write_ir), 0);
}

static void test_compat(void **state) {
  (void)state;
  assert_int_equal(fail_each(compat), 0);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  file = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_predict),
      cmocka_unit_test(test_inspect),
      cmocka_unit_test(test_write_ir),
      cmocka_unit_test(test_compat),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
