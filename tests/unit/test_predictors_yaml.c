/* Changes to predictors.yaml: what is not meant stays as it is, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "predictors/predictors_yaml.h"

static nnm_error error;
static nnm_arena arena;

static int empty_arena(void **state) {
  (void)state;
  nnm_arena_free(&arena);
  return 0;
}

static nnm_predictors_yaml read_list(const char *text) {
  nnm_predictors_yaml list;
  nnm_status status = nnm_predictors_yaml_parse("list.yaml", text, strlen(text), &arena, &list, &error);
  if (status != NNM_OK) fail_msg("'%s': %s: %s", text, error.place, error.message);
  return list;
}

static nnm_status add(const char *list_text, const char *meta, char **out) {
  nnm_predictors_yaml list = read_list(list_text);
  nnm_yaml_node *root;
  assert_int_equal(nnm_yaml_parse(meta, strlen(meta), &arena, &root, &error), NNM_OK);
  return nnm_predictors_yaml_add(&list, meta, root, "/a \"b\"", out, &error);
}

static void expect_added(const char *list_text, const char *meta, const char *expected) {
  char *text = NULL;
  if (add(list_text, meta, &text) != NNM_OK) fail_msg("'%s': %s", list_text, error.message);
  assert_string_equal(text, expected);
  free(text);
}

#define META "name: x\nversion: 1\npackage_location: old\n"
#define ADDED "- name: x\n  version: 1\n  package_location: \"/a \\\"b\\\"\"\n"

static void test_add(void **state) {
  (void)state;
  expect_added("", META, ADDED);
  expect_added("# mine\n", META, "# mine\n" ADDED);
  expect_added("[]\n", META, ADDED);
  expect_added("--- [] # none\n# end\n", META, "--- \n" ADDED " # none\n# end\n");
  expect_added("- name: y\n  version: 2", META, "- name: y\n  version: 2\n" ADDED);
  expect_added("- name: y\n  version: 2 # two\n# end\n...\n", META,
               "- name: y\n  version: 2 # two\n" ADDED "# end\n...\n");
  expect_added("  - name: y\n    version: 2\n", META,
               "  - name: y\n    version: 2\n  - name: x\n    version: 1\n    package_location: \"/a \\\"b\\\"\"\n");
  /* comments, unknown keys and the way it is written come along */
  expect_added("",
               "# top\n    name: x # n\n    version: 1\n\n    extra:\n      - |\n        two\n        lines\n    "
               "package_location: >-\n      old\n    category: cpu # c",
               "- name: x # n\n  version: 1\n\n  extra:\n    - |\n      two\n      lines\n  package_location: \"/a "
               "\\\"b\\\"\"\n  category: cpu # c\n");
}

static void test_add_what_cannot_be_added(void **state) {
  (void)state;
  char *text = NULL;
  assert_int_equal(add("[{name: y, version: 2}]\n", META, &text), NNM_ERROR_UNSUPPORTED);
  assert_non_null(strstr(error.message, "left as it is"));
  assert_string_equal(error.file, "list.yaml");
}

static void expect_removed(const char *list_text, const char *name, const char *expected) {
  nnm_predictors_yaml list = read_list(list_text);
  bool chosen[8] = {false};
  for (size_t i = 0; i < list.count; i++) chosen[i] = list.entries[i].name && !strcmp(list.entries[i].name, name);
  char *text = NULL;
  nnm_status status = nnm_predictors_yaml_remove(&list, chosen, &text, &error);
  if (!expected) {
    assert_int_equal(status, NNM_ERROR_UNSUPPORTED);
    return;
  }
  if (status != NNM_OK) fail_msg("'%s': %s", list_text, error.message);
  assert_string_equal(text, expected);
  free(text);
}

static void test_remove(void **state) {
  (void)state;
  expect_removed("- name: x\n  version: 1\n", "x", "[]\n");
  expect_removed("# top\n- name: x\n  version: 1 # c\n# end", "x", "# top\n[]\n# end");
  /* two in a row, of which the old tool leaves one */
  expect_removed("- name: x\n  version: 1\n- name: x\n  version: 2\n- name: y\n  version: 3\n", "x",
                 "- name: y\n  version: 3\n");
  expect_removed(
      "- name: y\n  version: 3\n\n# about x\n-\n  # x\n  name: x\n  version: 1\n  kernel_predictors:\n  - a\n  "
      "- b\n\n# about z\n- name: z\n  version: 1",
      "x", "- name: y\n  version: 3\n\n# about x\n\n# about z\n- name: z\n  version: 1");
  expect_removed("- name: y\n  version: 3\n- {name: x,\n   version: 1}\n", "x", "- name: y\n  version: 3\n");
  expect_removed(
      "- name: y\n  version: 3\n- name: x\n  version: 1\n  text: |\n    - name: y\n\n- name: z\n  version: 1\n", "x",
      "- name: y\n  version: 3\n\n- name: z\n  version: 1\n");
  expect_removed("- name: y\n  version: 3\n- name: x\n  version: 1", "x", "- name: y\n  version: 3\n");
  expect_removed("[{name: x, version: 1}, {name: y, version: 1}]\n", "x", NULL);
  expect_removed("- {name: x, version: 1}\n- 7\n- \n", "x", "- 7\n- \n");
}

static void test_faults(void **state) {
  (void)state;
  nnm_predictors_yaml list = read_list(
      "- 7\n- name: a\n- version: 1\n- name: ../a\n  version: 1\n- name: a\n  version: 1-1\n- name: a\n  version: "
      "1\n  kernel_predictors: [../b]\n- name: all\n  version: 1\n- name: a\n  version: 1\n  kernel_predictors: "
      "[c, d]\n");
  static const char *const parts[] = {"is no predictor's entry", "has no version",    "has no name", "predictor's name",
                                      "predictor's version",     "kernel_predictors", "'all'"};
  assert_int_equal(list.count, 8);
  for (size_t i = 0; i < 7; i++) {
    assert_non_null(list.entries[i].fault);
    if (!strstr(list.entries[i].fault, parts[i])) fail_msg("'%s': '%s'", list.entries[i].fault, parts[i]);
  }
  assert_null(list.entries[7].fault);
  assert_int_equal(list.entries[7].kernel_count, 2);
  nnm_predictors_yaml none;
  assert_int_equal(nnm_predictors_yaml_parse("l", "a: 1", 4, &arena, &none, &error), NNM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "no list of predictors"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_add, empty_arena),
      cmocka_unit_test_teardown(test_add_what_cannot_be_added, empty_arena),
      cmocka_unit_test_teardown(test_remove, empty_arena),
      cmocka_unit_test_teardown(test_faults, empty_arena),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
