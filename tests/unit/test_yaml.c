#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/text.h"
#include "base/yaml.h"

static nnm_error error;
static nnm_arena arena;

static nnm_yaml_node *read_text(const char *text) {
  nnm_yaml_node *root = NULL;
  nnm_status status = nnm_yaml_parse(text, strlen(text), &arena, &root, &error);
  if (status != NNM_OK) fail_msg("'%s': %s: %s", text, error.place, error.message);
  return root;
}

static void refuse(const char *text, size_t size, nnm_status expected, const char *part) {
  nnm_yaml_node *root = NULL;
  error = (nnm_error){0};
  assert_int_equal(nnm_yaml_parse(text, size, &arena, &root, &error), expected);
  char all[1600];
  nnm_error_text(&error, all, sizeof all);
  if (!strstr(all, part)) fail_msg("'%s' does not say '%s'", all, part);
  assert_null(root);
}

static int empty_arena(void **state) {
  (void)state;
  nnm_arena_free(&arena);
  return 0;
}

static void test_values(void **state) {
  (void)state;
  const nnm_yaml_node *root = read_text("a: 1.0\nb: [x, 'y z']\nc:\n  d: \"q\\n\"\na: 2.0\n");
  assert_int_equal(root->kind, NNM_YAML_MAPPING);
  assert_int_equal(root->count, 8);
  assert_string_equal(nnm_yaml_text(root, "a"), "2.0"); /* the last, as in Python */
  const nnm_yaml_node *list = nnm_yaml_get(root, "b");
  assert_true(list->is_flow && list->count == 2);
  assert_string_equal(list->first->next->text, "y z");
  assert_string_equal(nnm_yaml_text(nnm_yaml_get(root, "c"), "d"), "q\n");
  assert_null(nnm_yaml_text(root, "b"));
  assert_null(nnm_yaml_get(root, "nosuch"));
  assert_null(nnm_yaml_get(list, "a"));
  assert_null(read_text("# nothing\n"));
  assert_null(read_text(""));
}

/* The text of a node, by its places. */
static void expect_span(const char *text, const nnm_yaml_node *node, const char *expected) {
  size_t length = node->end - node->start;
  assert_int_equal(length, strlen(expected));
  assert_memory_equal(text + node->start, expected, length);
}

static void test_places(void **state) {
  (void)state;
  static const char text[] =
      "\xef\xbb\xbf# \xc3\xa4\xe2\x82\xac\n\n  - name: \"\xc3\xb6\"  # one\n    more: [1,\n 2]  \n# "
      "between\n  -\n    name: two\n\n# end\n";
  const nnm_yaml_node *root = read_text(text);
  assert_int_equal(root->column, 2);
  assert_int_equal(text[root->start], '-');
  const nnm_yaml_node *one = root->first, *two = one->next;
  assert_int_equal(one->line, 3);
  expect_span(text, nnm_yaml_get(one, "name"), "\"\xc3\xb6\"");
  expect_span(text, one, "name: \"\xc3\xb6\"  # one\n    more: [1,\n 2]");
  expect_span(text, two, "name: two");
  assert_int_equal(root->end, two->end);
}

static void test_refusals(void **state) {
  (void)state;
#define REFUSE(text, status, part) refuse(text, sizeof text - 1, status, part)
  REFUSE("a: &x 1\n", NNM_ERROR_UNSUPPORTED, "line 1, column 4: anchors");
  REFUSE("a: [&x [1], *x]\n", NNM_ERROR_UNSUPPORTED, "anchors");
  REFUSE("a: *x\n", NNM_ERROR_UNSUPPORTED, "aliases");
  REFUSE("a: !!python/object/apply:os.system [id]\n", NNM_ERROR_UNSUPPORTED, "tags");
  REFUSE("!t\na: 1\n", NNM_ERROR_UNSUPPORTED, "tags");
  REFUSE("a: [1\n", NNM_ERROR_FORMAT, "is no YAML");
  REFUSE("a: 1\n--- \nb: 2\n", NNM_ERROR_FORMAT, "second document");
  REFUSE("a: \"\\0\"\n", NNM_ERROR_FORMAT, "NUL");
  REFUSE("a: \xff\n", NNM_ERROR_FORMAT, "byte 3 is no UTF-8");
  REFUSE("\xff\xfe"
         "a\0",
         NNM_ERROR_FORMAT, "no UTF-8");
  REFUSE("a: \0\n", NNM_ERROR_FORMAT, "is no YAML");
}

static void refuse_repeated(const char *piece, size_t count, nnm_status status, const char *part) {
  nnm_text text = {0};
  for (size_t i = 0; i < count; i++) nnm_text_add(&text, piece);
  char *all = nnm_text_take(&text);
  refuse(all, strlen(all), status, part);
  free(all);
}

static void test_limits(void **state) {
  (void)state;
  refuse_repeated("[", NNM_LIMIT_YAML_DEPTH + 1, NNM_ERROR_LIMIT, "nested deeper");
  refuse_repeated("- ", 100000, NNM_ERROR_LIMIT, "nested deeper");
  refuse_repeated("- x\n", NNM_LIMIT_YAML_NODES + 1, NNM_ERROR_LIMIT, "more values");
  refuse_repeated("# comment\n", NNM_LIMIT_YAML_BYTES / 10 + 1, NNM_ERROR_LIMIT, "is larger than");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_values, empty_arena),
      cmocka_unit_test_teardown(test_places, empty_arena),
      cmocka_unit_test_teardown(test_refusals, empty_arena),
      cmocka_unit_test_teardown(test_limits, empty_arena),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
