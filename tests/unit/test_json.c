/* Our JSON reader against jansson's own: the same documents are good, and mean the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../hostile/failing_malloc.h"
#include "base/json.h"
#include "base/limits.h"

static nnm_error error;

/* A copy without a NUL behind it, so that the sanitizers see every byte read too far. */
static nnm_status parse_copy(const char *text, size_t size, json_t **out) {
  char *copy = malloc(size ? size : 1);
  memcpy(copy, text, size);
  nnm_status status = nnm_json_parse(copy, size, out, &error);
  free(copy);
  return status;
}

/* Whether both say the same of a text; what ours says. */
static bool compare(const char *text, size_t size) {
  json_error_t fault;
  json_t *ours = NULL, *theirs = json_loadb(text, size, JSON_DECODE_ANY, &fault);
  nnm_status status = parse_copy(text, size, &ours);
  bool same = (status == NNM_OK) == (theirs != NULL) && (!ours || json_equal(ours, theirs));
  if (!same)
    print_error("%.*s: ours %s, jansson's %s\n", (int)size, text, ours ? "good" : error.message,
                theirs ? "good" : fault.text);
  assert_true(same);
  if (!ours) assert_true(strstr(error.message, "; ") && error.place[0]);
  bool good = ours != NULL;
  json_decref(ours);
  json_decref(theirs);
  return good;
}

static void expect(const char *text, bool good) {
  if (compare(text, strlen(text)) != good) fail_msg("%s: expected to be %s", text, good ? "good" : "bad");
}

static void test_good(void **state) {
  (void)state;
  static const char *const texts[] = {
      "{}",
      " [ ] ",
      "null",
      "true",
      "\tfalse\r\n",
      "\"\"",
      "0",
      "-0",
      "-0.0",
      "9223372036854775807",
      "-9223372036854775808",
      "1.5",
      "-1e-5",
      "1E+3",
      "0.1",
      "3.141592653589793238462643383279",
      "1e-400",
      "123e-2",
      "0.000000000000000000000000000000000000000000000000001e60",
      "4.9e-324",
      "1.7976931348623157e308",
      "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u20ac\\ud83d\\ude00\\uFFFF\"",
      "\"\xc3\xa4 \xf0\x9f\x98\x80 \\n\xc3\xa4\"",
      "{\"a\": [1, {\"b\": \"c\"}, []], \"\": null, \"k\\u00e4\": {\"x\": 1.0}}",
      "{\"a\": 1, \"b\": 2, \"a\": 3}",
      "{\"a key of more than sixty-four characters, so that it does not fit the small buffer\": [1]}",
      "\"\x7f\""};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) expect(texts[i], true);
}

static void test_bad(void **state) {
  (void)state;
  static const char *const texts[] = {"",
                                      " ",
                                      "{",
                                      "[",
                                      "\"",
                                      "[1,]",
                                      "{,}",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "[1 2]",
                                      "{1: 2}",
                                      "tru",
                                      "nul",
                                      "nan",
                                      "NaN",
                                      "Infinity",
                                      "-",
                                      "+1",
                                      ".5",
                                      "1.",
                                      "1e",
                                      "1e+",
                                      "01",
                                      "-01",
                                      "0x10",
                                      "1e400",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999",
                                      "[1]]",
                                      "{} {}",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\u12g4\"",
                                      "\"\\ud800\"",
                                      "\"\\ud800\\n\"",
                                      "\"\\ud800\\u0041\"",
                                      "\"\\udc00\"",
                                      "\"\\u0000\"",
                                      "{\"\\u0000\": 1}",
                                      "\"a\nb\"",
                                      "\"\xff\"",
                                      "\"\xc3\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xc0\x80\"",
                                      "\"\xf4\x90\x80\x80\"",
                                      "\xef\xbb\xbf{}",
                                      "'a'",
                                      "[1;2]",
                                      "/* */ 1",
                                      "\"\\",
                                      "\"\\u",
                                      "truefalse",
                                      "1a",
                                      "--1"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) expect(texts[i], false);
}

static const char document[] = "{\"conv\": {\"attr\": {\"type\": \"Conv\", \"attr\": {\"alpha\": -1.25e-3, \"big\": "
                               "9223372036854775807, \"on\": true,\n"
                               "  \"text\": \"b'SAME' \\\"\\u00e4\\ud83d\\ude00\\\\ \xc3\xa4\", \"none\": null}, "
                               "\"shape\": [[1, 8, 8, 0.5], []]},\r\n"
                               "\t\"inbounds\": [\"x\", \"y\"], \"outbounds\": []}, \"e\": [1E2, -0, false, {}]}";

/* Changes of one to four bytes of a good document, and every piece of its beginning. */
static void test_agrees_on_damaged_documents(void **state) {
  (void)state;
  static const char bytes[] = "{}[]\",:\\u0019eE+-.ntf \n\t\x01\x80\xc3\xff/'x";
  size_t size = sizeof document - 1, good = 0;
  assert_true(compare(document, size));
  for (size_t length = 0; length < size; length++) assert_false(compare(document, length));
  uint64_t random = 88172645463325252U;
  char *copy = malloc(size);
  for (int turn = 0; turn < 30000; turn++) {
    memcpy(copy, document, size);
    for (int change = turn % 4; change >= 0; change--) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      copy[random % size] = bytes[(random >> 32) % (sizeof bytes - 1)];
    }
    good += compare(copy, size);
  }
  free(copy);
  assert_in_range(good, 1000, 29000); /* else the comparison says little */
}

static void test_places_and_limits(void **state) {
  (void)state;
  json_t *json = NULL;
  assert_int_equal(parse_copy("[1,\n 2,\n  x]", 12, &json), NNM_ERROR_FORMAT);
  assert_string_equal(error.place, "line 3, column 3");
  static const char twice[] = "{\"a\": 1,\n\"a\": 2}";
  assert_int_equal(nnm_json_parse_unique(twice, sizeof twice - 1, &json, &error), NNM_ERROR_FORMAT);
  assert_string_equal(error.place, "line 2, column 1");
  assert_non_null(strstr(error.message, "duplicate object key"));
  char deep[2 * (NNM_LIMIT_JSON_DEPTH + 1)];
  memset(deep, '[', sizeof deep / 2);
  memset(deep + sizeof deep / 2, ']', sizeof deep / 2);
  assert_int_equal(parse_copy(deep, sizeof deep, &json), NNM_ERROR_LIMIT);
  assert_int_equal(parse_copy(deep + 1, sizeof deep - 2, &json), NNM_OK);
  json_decref(json);
}

static void test_first_of_several(void **state) {
  (void)state;
  json_t *json = NULL;
  static const char lines[] = " {\"a\": [1]}\n{\"b\": ";
  assert_int_equal(nnm_json_parse_first(lines, sizeof lines - 1, &json, &error), NNM_OK);
  assert_int_equal(json_array_size(json_object_get(json, "a")), 1);
  json_decref(json);
}

static void *counted_malloc(size_t size) { return malloc(size); }
static void counted_free(void *memory) { free(memory); }

/* Last: jansson's allocator stays as it is set. */
static void test_every_failing_allocation_is_noticed(void **state) {
  (void)state;
  json_set_alloc_funcs(counted_malloc, counted_free);
  size_t number = 0;
  for (json_t *json = NULL;; number++) {
    failing_malloc_arm(number);
    nnm_status status = nnm_json_parse(document, sizeof document - 1, &json, &error);
    bool all_succeeded = failing_malloc_count() <= number;
    failing_malloc_arm(SIZE_MAX);
    if (all_succeeded) {
      assert_int_equal(status, NNM_OK);
      json_decref(json);
      break;
    }
    assert_int_equal(status, NNM_ERROR_MEMORY);
  }
  assert_in_range(number, 50, 500);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_good),
      cmocka_unit_test(test_bad),
      cmocka_unit_test(test_agrees_on_damaged_documents),
      cmocka_unit_test(test_places_and_limits),
      cmocka_unit_test(test_first_of_several),
      cmocka_unit_test(test_every_failing_allocation_is_noticed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
