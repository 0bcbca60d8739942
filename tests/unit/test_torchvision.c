/* The networks of torchvision that the library carries: every one is read and has the multiply-adds that were recorded
 * beside torchvision (tests/data/torchvision.csv, written by make torchvision). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "nnmeter/nnmeter.h"

#define DEVICE "cortexA76cpu_tflite21"
#define NO_HOME "/dev/null/none"

typedef struct recorded {
  char name[512], kind[512], input[512], open[512]; /* no field is longer than its line */
  long long multiply_adds, parameters;
} recorded;

static char *next_field(char **line) {
  char *field = *line, *end = field + strcspn(field, ",\n");
  *line = *end ? end + 1 : end;
  *end = '\0';
  return field;
}

/* The columns that the tests look at: name,kind,input,multiply_adds,parameters,meta_parameters,meta_gigaops,open,... */
static bool read_row(FILE *file, recorded *row) {
  char text[512], *line = text;
  if (!fgets(text, sizeof text, file)) return false;
  snprintf(row->name, sizeof row->name, "%s", next_field(&line));
  snprintf(row->kind, sizeof row->kind, "%s", next_field(&line));
  snprintf(row->input, sizeof row->input, "%s", next_field(&line));
  row->multiply_adds = strtoll(next_field(&line), NULL, 10);
  row->parameters = strtoll(next_field(&line), NULL, 10);
  next_field(&line);
  next_field(&line);
  snprintf(row->open, sizeof row->open, "%s", next_field(&line));
  return true;
}

static FILE *open_table(void) {
  FILE *file = fopen(NNM_TEST_DATA "/torchvision.csv", "r");
  char header[512];
  assert_non_null(file);
  assert_non_null(fgets(header, sizeof header, file));
  assert_int_equal(strncmp(header, "name,kind,input,multiply_adds,parameters,", 41), 0);
  return file;
}

static nnm_model *read_network(const char *name) {
  nnm_model *model = NULL;
  nnm_error error = {0};
  if (nnm_model_read_torchvision(name, &model, &error) != NNM_OK) fail_msg("%s: %s", name, error.message);
  return model;
}

static nnm_prediction *predict(const nnm_predictor *device, nnm_model *model, const nnm_shape_options *options) {
  nnm_prediction *prediction = NULL;
  nnm_error error = {0};
  if (nnm_model_infer_shapes(model, options, &error) != NNM_OK ||
      nnm_predict(device, model, NULL, &prediction, &error) != NNM_OK)
    fail_msg("%s: %s: %s", nnm_model_name(model), error.place, error.message);
  return prediction;
}

static long long multiply_adds(const nnm_prediction *prediction) {
  long long sum = 0;
  for (size_t i = 0; i < prediction->kernel_count; i++) sum += prediction->kernels[i].multiply_adds;
  return sum;
}

static int open_device(void **state) {
  return nnm_predictor_open(DEVICE, NULL, NO_HOME, (nnm_predictor **)(void *)state, NULL) != NNM_OK;
}

static int close_device(void **state) {
  nnm_predictor_free(*state);
  return 0;
}

static void every_network_has_its_work(void **state) {
  FILE *table = open_table();
  recorded row;
  size_t count = 0;
  for (const char *const *name = nnm_torchvision_names(); *name; name++) count++;
  for (; read_row(table, &row); count--) {
    nnm_model *model = read_network(row.name);
    nnm_prediction *prediction = predict(*state, model, NULL);
    assert_string_equal(nnm_model_name(model), row.name);
    assert_string_equal(nnm_model_format(model), "onnx");
    if (multiply_adds(prediction) != row.multiply_adds)
      fail_msg("%s: %lld multiply-adds, %lld were recorded", row.name, multiply_adds(prediction), row.multiply_adds);
    assert_true(prediction->latency_ms > 0);
    nnm_prediction_free(prediction);
    nnm_model_free(model);
  }
  assert_int_equal(count, 0); /* no network without a row */
  fclose(table);
}

static void names_are_sorted_and_take_any_case(void **state) {
  (void)state;
  const char *const *names = nnm_torchvision_names();
  for (size_t i = 1; names[i]; i++) assert_true(strcmp(names[i - 1], names[i]) < 0);
  nnm_model *model = read_network("ResNet18");
  assert_string_equal(nnm_model_name(model), "resnet18");
  nnm_model_free(model);
}

static void unknown_names_are_answered_with_near_ones(void **state) {
  (void)state;
  static const char *const cases[][2] = {{"resnet_18", "did you mean resnet18?"},
                                         {"mobilnet_v2", "did you mean mobilenet_v2?"},
                                         {"quantized_resnet18", "quantised"},
                                         {"", "known as ''; see"},
                                         {"nothing at all like a network of any kind, and much longer than any name",
                                          "; see nn-meter --list-torchvision"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    nnm_model *model = NULL;
    nnm_error error = {0};
    assert_int_equal(nnm_model_read_torchvision(cases[i][0], &model, &error), NNM_ERROR_NOT_FOUND);
    assert_null(model);
    if (!strstr(error.message, cases[i][1])) fail_msg("%s: %s", cases[i][0], error.message);
  }
  assert_int_equal(nnm_model_read_torchvision("resnet_18", NULL, NULL), NNM_ERROR_NOT_FOUND);
}

static void sizes_can_be_chosen_where_they_are_open(void **state) {
  nnm_model *model = read_network("resnet18");
  nnm_prediction *own = predict(*state, model, NULL);
  nnm_shape_options batch = {.batch_size = 4};
  nnm_prediction *four = predict(*state, model, &batch);
  assert_int_equal(multiply_adds(four), 4 * multiply_adds(own));
  const int64_t dims[] = {1, 3, 448, 448};
  nnm_input_shape shape = {.name = "input", .rank = 4, .dims = dims};
  nnm_shape_options large = {.input_shapes = &shape, .input_shape_count = 1};
  nnm_prediction *twice = predict(*state, model, &large);
  assert_true(multiply_adds(twice) > 3.9 * (double)multiply_adds(own));
  nnm_prediction *again = predict(*state, model, NULL);
  assert_true(again->latency_ms == own->latency_ms); /* what was asked for before is forgotten */
  nnm_prediction_free(own);
  nnm_prediction_free(four);
  nnm_prediction_free(twice);
  nnm_prediction_free(again);
  nnm_model_free(model);
}

static void fixed_sizes_are_said(void **state) {
  (void)state;
  nnm_model *model = read_network("vit_b_32");
  const int64_t dims[] = {1, 3, 256, 256};
  nnm_input_shape shape = {.name = "", .rank = 4, .dims = dims};
  nnm_shape_options options = {.input_shapes = &shape, .input_shape_count = 1};
  nnm_error error = {0};
  assert_int_equal(nnm_model_infer_shapes(model, &options, &error), NNM_ERROR_ARGUMENT);
  assert_string_equal(error.file, "vit_b_32");
  assert_non_null(strstr(error.message, "224"));
  nnm_model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_network_has_its_work),
      cmocka_unit_test(names_are_sorted_and_take_any_case),
      cmocka_unit_test(unknown_names_are_answered_with_near_ones),
      cmocka_unit_test(sizes_can_be_chosen_where_they_are_open),
      cmocka_unit_test(fixed_sizes_are_said),
  };
  return cmocka_run_group_tests_name("torchvision", tests, open_device, close_device);
}
