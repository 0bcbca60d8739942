#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>

#include "base/mapped_file.h"
#include "predictors/pickle.h"
#include "predictors/pickle_forest.h"

static nnm_error error;

/* ---------------------------------------------------------------- the machine */

static nnm_pickle *read_bytes(const char *bytes, size_t size) {
  nnm_pickle *pickle = NULL;
  assert_int_equal(nnm_pickle_read((const unsigned char *)bytes, size, &pickle, &error), NNM_OK);
  return pickle;
}
#define READ(literal) read_bytes(literal, sizeof(literal) - 1)

static int64_t root_integer(nnm_pickle *pickle) {
  const nnm_pickle_value *root = nnm_pickle_at(pickle, nnm_pickle_root(pickle));
  assert_int_equal(root->kind, NNM_PICKLE_INTEGER);
  int64_t integer = root->as.integer;
  nnm_pickle_free(pickle);
  return integer;
}

static nnm_pickle_kind root_kind(nnm_pickle *pickle) {
  nnm_pickle_kind kind = nnm_pickle_at(pickle, nnm_pickle_root(pickle))->kind;
  nnm_pickle_free(pickle);
  return kind;
}

static void test_integers(void **state) {
  (void)state;
  assert_int_equal(root_integer(READ("K\xff.")), 255);
  assert_int_equal(root_integer(READ("M\x01\x02.")), 513);
  assert_int_equal(root_integer(READ("J\xfe\xff\xff\xff.")), -2);
  assert_int_equal(root_integer(READ("\x8a\x00.")), 0);
  assert_int_equal(root_integer(READ("\x8a\x01\x80.")), -128);
  assert_int_equal(root_integer(READ("\x8a\x02\x80\x00.")), 128);
  assert_int_equal(root_integer(READ("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.")), INT64_MAX);
  assert_int_equal(root_integer(READ("I-9223372036854775808\n.")), INT64_MIN);
  assert_int_equal(root_integer(READ("L42L\n.")), 42);
  assert_int_equal(root_kind(READ("L9223372036854775808L\n.")), NNM_PICKLE_BIG_INTEGER);
  assert_int_equal(root_kind(READ("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.")), NNM_PICKLE_BIG_INTEGER);
  assert_int_equal(root_kind(READ("I01\n.")), NNM_PICKLE_BOOL);
}

static void test_lists_grow_in_pieces(void **state) {
  (void)state;
  nnm_pickle *pickle = READ("](K\x01K\x02"
                            "e(eK\x03"
                            "a.");
  nnm_pickle_items items = {0};
  for (int64_t expected = 1; expected <= 3; expected++) {
    nnm_pickle_id id = nnm_pickle_next(pickle, nnm_pickle_root(pickle), &items);
    assert_int_equal(nnm_pickle_at(pickle, id)->as.integer, expected);
  }
  assert_int_equal(nnm_pickle_next(pickle, nnm_pickle_root(pickle), &items), NNM_PICKLE_NOTHING);
  assert_int_equal(nnm_pickle_at(pickle, nnm_pickle_root(pickle))->count, 3);
  nnm_pickle_free(pickle);
}

static void test_dicts(void **state) {
  (void)state;
  nnm_pickle *pickle = READ("}(\x8c\x01"
                            "aK\x01\x8c\x01"
                            "bK\x02\x8c\x01"
                            "aK\x03u.");
  nnm_pickle_id root = nnm_pickle_root(pickle);
  assert_int_equal(nnm_pickle_at(pickle, nnm_pickle_find(pickle, root, "a"))->as.integer, 3); /* the last one counts */
  assert_int_equal(nnm_pickle_at(pickle, nnm_pickle_find(pickle, root, "b"))->as.integer, 2);
  assert_int_equal(nnm_pickle_find(pickle, root, "c"), NNM_PICKLE_NOTHING);
  nnm_pickle_free(pickle);
}

static void test_text_of_protocol_0(void **state) {
  (void)state;
  nnm_pickle *pickle = READ("Vn\xf6\\u0020\\u20ac\\x\n.");
  assert_true(nnm_pickle_text_is(nnm_pickle_at(pickle, nnm_pickle_root(pickle)), "n\xc3\xb6 \xe2\x82\xac\\x"));
  nnm_pickle_free(pickle);
}

static void test_tuples_and_marks(void **state) {
  (void)state;
  nnm_pickle *pickle = READ("(K\x01(K\x02tN1(K\x05K\x06\x86K\x07t."
                            "behind the end");
  nnm_pickle_id inner = nnm_pickle_tuple_item(pickle, nnm_pickle_root(pickle), 0);
  assert_int_equal(nnm_pickle_at(pickle, nnm_pickle_tuple_item(pickle, inner, 1))->as.integer, 6);
  assert_int_equal(nnm_pickle_tuple_item(pickle, nnm_pickle_root(pickle), 2), NNM_PICKLE_NOTHING);
  nnm_pickle_free(pickle);
}

static void test_steps_are_limited(void **state) {
  (void)state;
  size_t size = 9u << 20;
  unsigned char *bytes = malloc(size);
  assert_non_null(bytes);
  for (size_t i = 0; i < size; i += 2) memcpy(bytes + i, "N0", 2);
  nnm_pickle *pickle = NULL;
  assert_int_equal(nnm_pickle_read(bytes, size, &pickle, &error), NNM_ERROR_LIMIT);
  assert_non_null(strstr(error.message, "too many steps"));
  memset(bytes, 'N', size);
  assert_int_equal(nnm_pickle_read(bytes, size, &pickle, &error), NNM_ERROR_LIMIT);
  assert_non_null(strstr(error.message, "stack"));
  memset(bytes, '(', size);
  assert_int_equal(nnm_pickle_read(bytes, size, &pickle, &error), NNM_ERROR_LIMIT);
  assert_non_null(strstr(error.message, "stack"));
  free(bytes);
}

/* ---------------------------------------------------------------- the files of tests/data/pickle */

typedef struct pickle_file {
  nnm_mapped_file bytes;
  nnm_arena arena;
  nnm_forest forest;
  nnm_status status;
} pickle_file;

static void data_path(char path[512], const char *name, const char *suffix) {
  snprintf(path, 512, "%s/pickle/%s%s", NNM_TEST_DATA, name, suffix);
}

static pickle_file open_pickle(const char *name) {
  char path[512];
  pickle_file file = {0};
  data_path(path, name, ".pkl");
  assert_int_equal(nnm_map_file(path, &file.bytes, &error), NNM_OK);
  file.status =
      nnm_forest_from_pickle(file.bytes.data, file.bytes.size, "test", &file.arena, &file.forest, NULL, &error);
  return file;
}

static void close_pickle(pickle_file *file) {
  nnm_arena_free(&file->arena);
  nnm_unmap_file(&file->bytes);
}

/* Calls check for every pickle whose name starts with prefix. */
static size_t for_each_pickle(const char *prefix, void (*check)(const char *name)) {
  size_t count = 0;
  DIR *folder = opendir(NNM_TEST_DATA "/pickle");
  assert_non_null(folder);
  for (struct dirent *entry; (entry = readdir(folder));) {
    char name[256];
    snprintf(name, sizeof name, "%s", entry->d_name);
    char *dot = strrchr(name, '.');
    if (strncmp(name, prefix, strlen(prefix)) || !dot || strcmp(dot, ".pkl")) continue;
    *dot = '\0';
    check(name);
    count++;
  }
  closedir(folder);
  return count;
}

/* A line "224 1024 : 0x1.8p+0" of a .rows file. */
static void check_line(const char *name, const nnm_forest *forest, const char *line) {
  float row[NNM_FOREST_MOST_FEATURES];
  char *at = NULL;
  uint32_t count = 0;
  while (line[0] != ':' && count < NNM_FOREST_MOST_FEATURES) {
    row[count++] = (float)strtod(line, &at);
    line = at + strspn(at, " ");
  }
  assert_int_equal(count, forest->feature_count);
  double expected = strtod(line + 1, NULL), latency;
  nnm_forest_predict(forest, row, 1, count, &latency);
  if (memcmp(&latency, &expected, sizeof latency))
    fail_msg("%s: %a, and scikit-learn says %a", name, latency, expected);
}

static void check_accepted(const char *name) {
  pickle_file pickle = open_pickle(name);
  if (pickle.status != NNM_OK) fail_msg("%s: %s: %s", name, error.place, error.message);
  assert_int_equal(nnm_forest_check(&pickle.forest, &error), NNM_OK);
  char path[512], line[256];
  data_path(path, name, ".rows");
  FILE *rows = fopen(path, "r");
  assert_non_null(rows);
  size_t lines = 0;
  for (; fgets(line, sizeof line, rows); lines++) check_line(name, &pickle.forest, line);
  assert_true(lines >= 5);
  fclose(rows);
  close_pickle(&pickle);
}

static void test_forests_of_every_version(void **state) {
  (void)state;
  assert_true(for_each_pickle("y_", check_accepted) >= 29);
}

static void check_refused(const char *name) {
  pickle_file pickle = open_pickle(name);
  if (pickle.status == NNM_OK) fail_msg("%s was read", name);
  char path[512], message[256] = "";
  data_path(path, name, ".message");
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  assert_non_null(fgets(message, sizeof message, file));
  fclose(file);
  message[strcspn(message, "\n")] = '\0';
  if (!strstr(error.message, message)) fail_msg("%s: '%s', without '%s'", name, error.message, message);
  if (strchr(error.message, '\n') || !strchr(error.message, ';')) fail_msg("%s: no remedy, or two lines", name);
  close_pickle(&pickle);
}

static void test_refusals(void **state) {
  (void)state;
  assert_true(for_each_pickle("n_", check_refused) >= 60);
  assert_int_not_equal(remove("pickle_was_run"), 0); /* what the attacks would leave behind */
}

/* ---------------------------------------------------------------- damage */

/* A copy of its own size, so that AddressSanitizer sees a step too far. */
static nnm_status read_copy(const unsigned char *data, size_t size, size_t changed_bit) {
  unsigned char *copy = malloc(size ? size : 1);
  assert_non_null(copy);
  memcpy(copy, data, size);
  if (changed_bit / 8 < size) copy[changed_bit / 8] ^= (unsigned char)(1u << changed_bit % 8);
  nnm_arena arena = {0};
  nnm_forest forest;
  nnm_status status = nnm_forest_from_pickle(copy, size, "test", &arena, &forest, NULL, &error);
  if (status == NNM_OK) assert_int_equal(nnm_forest_check(&forest, &error), NNM_OK);
  nnm_arena_free(&arena);
  free(copy);
  return status;
}

static const char *const damaged_files[] = {"y_sklearn_1.2.2_protocol_1", "y_sklearn_0.23_protocol_2",
                                            "y_sklearn_1.3_layout", "y_sklearn_0.23_protocol_5"};

static void test_truncation_at_every_byte(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof damaged_files / sizeof damaged_files[0]; i++) {
    pickle_file pickle = open_pickle(damaged_files[i]);
    for (size_t size = 0; size < pickle.bytes.size; size++)
      assert_int_not_equal(read_copy(pickle.bytes.data, size, SIZE_MAX), NNM_OK);
    close_pickle(&pickle);
  }
}

static void test_every_bit_flipped(void **state) {
  (void)state;
  pickle_file pickle = open_pickle("y_sklearn_0.23_protocol_4");
  size_t read = 0, bits = pickle.bytes.size * 8;
  for (size_t bit = 0; bit < bits; bit++) read += read_copy(pickle.bytes.data, pickle.bytes.size, bit) == NNM_OK;
  assert_true(read > 0 && read < bits); /* some bits matter, others do not */
  close_pickle(&pickle);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_integers),
      cmocka_unit_test(test_lists_grow_in_pieces),
      cmocka_unit_test(test_dicts),
      cmocka_unit_test(test_text_of_protocol_0),
      cmocka_unit_test(test_tuples_and_marks),
      cmocka_unit_test(test_steps_are_limited),
      cmocka_unit_test(test_forests_of_every_version),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_truncation_at_every_byte),
      cmocka_unit_test(test_every_bit_flipped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
