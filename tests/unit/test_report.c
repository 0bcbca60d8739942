#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "model.h"
#include "predictors/predictor.h"
#include "report/write.h"

static void expect_number(double number, const char *expected) {
  char buffer[NNM_NUMBER_SIZE];
  assert_string_equal(nnm_number_text(number, buffer), expected);
}

/* As Python's repr writes them. */
static void test_numbers(void **state) {
  (void)state;
  expect_number(0, "0.0");
  expect_number(-0.0, "-0.0");
  expect_number(1, "1.0");
  expect_number(0.1, "0.1");
  expect_number(0.1 + 0.2, "0.30000000000000004");
  expect_number(68753.0570432432, "68753.0570432432");
  expect_number(1e15, "1000000000000000.0");
  expect_number(1e16, "1e+16");
  expect_number(123456789012345678.0, "1.2345678901234568e+17");
  expect_number(0.0001, "0.0001");
  expect_number(0.00001, "1e-05");
  expect_number(-2.5e-300, "-2.5e-300");
  expect_number(1.7976931348623157e308, "1.7976931348623157e+308");
  expect_number(5e-324, "5e-324");
  expect_number(NAN, "null");
  expect_number(INFINITY, "null");
}

static void test_numbers_read_back(void **state) {
  (void)state;
  uint64_t bits = 88172645463325252u;
  char buffer[NNM_NUMBER_SIZE];
  for (int i = 0; i < 20000; i++) {
    bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
    double number;
    memcpy(&number, &bits, sizeof number);
    if (!isfinite(number)) continue;
    assert_true(strtod(nnm_number_text(number, buffer), NULL) == number);
    assert_true(strlen(buffer) < NNM_NUMBER_SIZE);
  }
}

static void expect_json(const char *value, const char *expected) {
  nnm_text text = {0};
  nnm_write_json_text(&text, value);
  char *written = nnm_text_take(&text);
  assert_string_equal(written, expected);
  json_t *parsed = json_loads(written, JSON_DECODE_ANY, NULL);
  assert_non_null(parsed);
  json_decref(parsed);
  free(written);
}

static void test_json_text(void **state) {
  (void)state;
  expect_json("", "\"\"");
  expect_json("a/b:0", "\"a/b:0\"");
  expect_json("\"\\\n\t\x01\x7f", "\"\\\"\\\\\\n\\t\\u0001\\u007f\"");
  expect_json("\xc2\x9b"
              "2J",
              "\"\\u009b2J\"");
  expect_json("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
              "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
  expect_json("\xff|\xc3|\xc0\x80|\xed\xa0\x80|\xf5\x80\x80\x80",
              "\"\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|"
              "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void expect_cell(const char *value, size_t columns, bool keep_end, const char *expected, size_t width) {
  nnm_text text = {0};
  assert_int_equal(nnm_write_cell(&text, value, columns, keep_end), width);
  char *written = nnm_text_take(&text);
  assert_string_equal(written, expected);
  free(written);
}

static void test_cells(void **state) {
  (void)state;
  expect_cell("abcdefgh", 8, false, "abcdefgh", 8);
  expect_cell("abcdefghi", 8, false, "abcdef..", 8);
  expect_cell("abcdefghi", 8, true, "..defghi", 8);
  expect_cell("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4", 3, false, "\xc3\xa4..", 3);
  expect_cell("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4", 3, true, "..\xc3\xa4", 3);
  expect_cell("a\x1b[31m\xff\n\xc2\x9b"
              "b",
              20, false, "a?[31m???b", 10);
}

/* ------------------------------------------------------------------------------------------------ results */

static const int64_t map[] = {1, 56, 56, 24};
static const nnm_kernel_shape shapes[] = {{4, map}, {4, map}};
static const char *const members[] = {"features/\"0\"/Conv", "bn", "relu"};
static const nnm_kernel_attribute attributes[] = {{"kernel_size", 3}, {"stride", 2}};

static const nnm_kernel_result kernels[] = {
    {.name = "conv-bn-relu#0",
     .type = "conv-bn-relu",
     .latency_ms = 1.5,
     .in_range = true,
     .has_predictor = true,
     .multiply_adds = 1000,
     .member_count = 3,
     .members = members,
     .input_count = 1,
     .inputs = shapes,
     .output = {4, map},
     .attribute_count = 2,
     .attributes = attributes},
    {.name = "add#1", .type = "add", .latency_ms = 0.5, .has_predictor = true, .input_count = 2, .inputs = shapes},
    {.name = "odd,\"x\"#2", .type = "odd,\"x\""},
};
static const char *const notes[] = {"1 odd kernel counted as 0: no predictor"};
static const nnm_prediction prediction = {.latency_ms = 2.25,
                                          .constant_ms = 0.25,
                                          .interval_ms = {NAN, NAN},
                                          .coverage = 0.75,
                                          .kernel_count = 3,
                                          .kernels = kernels,
                                          .note_count = 1,
                                          .notes = notes};
static nnm_error error;
static char model_name[] = "a\"b\n.onnx";
static const nnm_model model = {.name = model_name, .path = model_name, .reader = &nnm_reader_onnx};
static const nnm_predictor predictor = {.info = {.name = "phone", .version = "1.0", .kind = "forest"}};

static json_t *parse_report(const nnm_prediction *shown, bool with_kernels) {
  char *text;
  assert_int_equal(nnm_report_json(shown, &model, &predictor, with_kernels, &text, &error), NNM_OK);
  assert_null(strchr(text, '\n'));
  json_t *parsed = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
  assert_non_null(parsed);
  nnm_free(text);
  return parsed;
}

static void test_json(void **state) {
  (void)state;
  json_t *parsed = parse_report(&prediction, true);
  assert_string_equal(json_string_value(json_object_get(parsed, "model")), model_name);
  assert_string_equal(json_string_value(json_object_get(parsed, "format")), "onnx");
  assert_string_equal(json_string_value(json_object_get(parsed, "predictor")), "phone");
  assert_true(json_real_value(json_object_get(parsed, "latency_ms")) == 2.25);
  assert_true(json_is_null(json_object_get(parsed, "interval_ms")));
  assert_int_equal(json_array_size(json_object_get(parsed, "kernels")), 3);
  json_t *kernel = json_array_get(json_object_get(parsed, "kernels"), 0);
  assert_int_equal(json_object_size(kernel), 6);
  json_t *details = json_object_get(kernel, "attributes");
  assert_int_equal(json_integer_value(json_object_get(details, "kernel_size")), 3);
  assert_int_equal(json_integer_value(json_object_get(details, "multiply_adds")), 1000);
  assert_int_equal(json_array_size(json_array_get(json_object_get(details, "input_shapes"), 0)), 4);
  json_t *last = json_array_get(json_object_get(parsed, "kernels"), 2);
  assert_true(json_is_null(json_object_get(json_object_get(last, "attributes"), "output_shape")));
  assert_true(json_is_false(json_object_get(last, "in_range")));
  json_decref(parsed);
}

static void test_json_without_kernels(void **state) {
  (void)state;
  nnm_prediction with_interval = prediction;
  with_interval.interval_ms[0] = 2, with_interval.interval_ms[1] = 2.5;
  json_t *parsed = parse_report(&with_interval, false);
  assert_null(json_object_get(parsed, "kernels"));
  json_t *interval = json_object_get(parsed, "interval_ms");
  assert_true(json_real_value(json_array_get(interval, 0)) == 2 && json_real_value(json_array_get(interval, 1)) == 2.5);
  assert_int_equal(json_array_size(json_object_get(parsed, "notes")), 1);
  json_decref(parsed);
}

static void test_json_error(void **state) {
  (void)state;
  nnm_error fault = {.status = NNM_ERROR_FORMAT, .file = "dir/x.onnx", .place = "byte 3", .message = "is \"cut\" off"};
  char *text;
  assert_int_equal(nnm_report_json_error("x.onnx", &fault, &text, &error), NNM_OK);
  assert_string_equal(text, "{\"model\": \"x.onnx\", \"message\": \"dir/x.onnx: byte 3: is \\\"cut\\\" off\"}");
  nnm_free(text);
}

static void expect_csv(const nnm_prediction *shown, bool with_kernels, const char *expected) {
  char *text;
  assert_int_equal(nnm_report_csv(shown, &model, &predictor, with_kernels, &text, &error), NNM_OK);
  assert_string_equal(text, expected);
  nnm_free(text);
}

static void test_csv(void **state) {
  (void)state;
  expect_csv(NULL, false,
             "model,format,predictor,version,latency_ms,interval_low_ms,interval_high_ms,coverage,notes\n");
  expect_csv(&prediction, false,
             "\"a\"\"b?.onnx\",onnx,phone,1.0,2.25,,,0.75,1 odd kernel counted as 0: no predictor\n");
  nnm_prediction with_interval = prediction;
  with_interval.interval_ms[0] = 2, with_interval.interval_ms[1] = 2.5;
  expect_csv(&with_interval, false,
             "\"a\"\"b?.onnx\",onnx,phone,1.0,2.25,2.0,2.5,0.75,1 odd kernel counted as 0: no predictor\n");
  expect_csv(&prediction, true,
             "\"a\"\"b?.onnx\",onnx,phone,1.0,conv-bn-relu#0,conv-bn-relu,\"features/\"\"0\"\"/Conv bn relu\","
             "1x56x56x24 -> 1x56x56x24,1000,1.5,0.6666666666666666,true\n"
             "\"a\"\"b?.onnx\",onnx,phone,1.0,add#1,add,,1x56x56x24 + 1x56x56x24,0,0.5,0.2222222222222222,false\n"
             "\"a\"\"b?.onnx\",onnx,phone,1.0,\"odd,\"\"x\"\"#2\",\"odd,\"\"x\"\"\",,,0,0.0,0.0,false\n");
}

static void test_line(void **state) {
  (void)state;
  char *text;
  assert_int_equal(nnm_report_line(&prediction, &model, &text, &error), NNM_OK);
  assert_string_equal(text, "(nn-Meter) [RESULT] predict latency for a\"b?.onnx: 2.25 ms\n");
  nnm_free(text);
}

/* No line may be wider than the terminal, whatever the names. */
static void expect_width(const nnm_prediction *shown, size_t columns) {
  char *text;
  assert_int_equal(nnm_report_table(shown, columns, &text, &error), NNM_OK);
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    if (!strncmp(line, "coverage", 8)) break; /* notes are whole sentences */
    size_t width = 0;
    for (const char *at = line; *at; at++) width += (*at & 0xc0) != 0x80;
    if (width > columns) fail_msg("%zu columns wanted, %zu written: %s", columns, width, line);
  }
  nnm_free(text);
}

static void expect_interval_line(double low_ms, double high_ms, const char *expected) {
  nnm_prediction with_interval = prediction;
  with_interval.interval_ms[0] = low_ms, with_interval.interval_ms[1] = high_ms;
  char *text;
  assert_int_equal(nnm_report_table(&with_interval, 0, &text, &error), NNM_OK);
  if (!strstr(text, expected)) fail_msg("'%s' lacks '%s'", text, expected);
  nnm_free(text);
  expect_width(&with_interval, 60);
}

static void test_table(void **state) {
  (void)state;
  char *text;
  assert_int_equal(nnm_report_table(&prediction, 0, &text, &error), NNM_OK);
  assert_non_null(strstr(text, "features/\"0\"/Conv +2"));
  assert_non_null(strstr(text, "1.500     66.7%"));
  assert_non_null(strstr(text, "0.500*    22.2%"));
  assert_non_null(strstr(text, "0.000!     0.0%"));
  assert_non_null(strstr(text, "fixed cost of a run"));
  assert_non_null(strstr(text, "2.250    100.0%"));
  assert_non_null(strstr(text, "coverage: 75.0 %"));
  assert_non_null(strstr(text, notes[0]));
  assert_null(strstr(text, "between"));
  nnm_free(text);
  expect_interval_line(2.1249, 2.5, "\n90 % between 2.12 and 2.50 ms\ncoverage");
  expect_interval_line(11.84, 12.9, "\n90 % between 11.8 and 12.9 ms\ncoverage");
  expect_interval_line(998.4, 12345.6, "\n90 % between 998 and 12346 ms\ncoverage");
  expect_interval_line(0, 0, "\n90 % between 0.00 and 0.00 ms\ncoverage");
  for (size_t columns = 60; columns <= 200; columns += 7) expect_width(&prediction, columns);
  const nnm_prediction empty = {.interval_ms = {NAN, NAN}, .coverage = 1};
  expect_width(&empty, 80);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_numbers),    cmocka_unit_test(test_numbers_read_back),
      cmocka_unit_test(test_json_text),  cmocka_unit_test(test_cells),
      cmocka_unit_test(test_json),       cmocka_unit_test(test_json_without_kernels),
      cmocka_unit_test(test_json_error), cmocka_unit_test(test_csv),
      cmocka_unit_test(test_line),       cmocka_unit_test(test_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
