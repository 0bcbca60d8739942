#define _XOPEN_SOURCE 700 /* nftw */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "../hostile/failing_malloc.h"
#include "base/mapped_file.h"
#include "predictors/forest.h"
#include "predictors/predictor.h"
#include "predictors/registry.h"

static nnm_error error;
static char home[64]; /* a folder of its own for each test */

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *buffer) {
  (void)info, (void)flag, (void)buffer;
  return remove(path);
}

static int make_home(void **state) {
  (void)state;
  error = (nnm_error){0};
  snprintf(home, sizeof home, "/tmp/nnm_test_XXXXXX");
  return mkdtemp(home) ? 0 : -1;
}

static int remove_home(void **state) {
  (void)state;
  return nftw(home, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static char *in_home(const char *name) {
  static char paths[4][256];
  static unsigned turn;
  char *path = paths[turn++ % 4];
  snprintf(path, 256, "%s/%s", home, name);
  return path;
}

static void expect_message(nnm_status status, nnm_status expected, const char *part) {
  char text[1600];
  nnm_error_text(&error, text, sizeof text);
  if (status != expected) fail_msg("status %d, expected %d: %s", (int)status, (int)expected, text);
  if (!strstr(text, part)) fail_msg("'%s' does not say '%s'", text, part);
}

/* ---------------------------------------------------------------- a predictor file in memory */

typedef struct file_bytes {
  unsigned char *data;
  size_t size;
} file_bytes;

static file_bytes make_file(const char *name, const char *version, const char *kind) {
  static const nnm_forest_node nodes[] = {{NNM_FOREST_LEAF, {.leaf = 0}}};
  static const double leaves[] = {7};
  static const uint32_t start[] = {0, 1};
  const nnm_forest forest = {"bn", 2, 1, 1, 1, leaves, nodes, start};
  unsigned char *section;
  size_t size;
  file_bytes file;
  assert_int_equal(nnm_forest_section_write(&forest, 1, &section, &size, &error), NNM_OK);
  const nnm_predictor_sections sections = {.kind = kind,
                                           .name = name,
                                           .version = version,
                                           .card = "a card",
                                           .fusion_rules = "{\"BF_conv_relu\": {\"obey\": true}}",
                                           .data = section,
                                           .size = size};
  assert_int_equal(nnm_predictor_write(&sections, &file.data, &file.size, &error), NNM_OK);
  free(section);
  return file;
}

static void seal(file_bytes file) {
  uint32_t checksum = (uint32_t)crc32(crc32(0, NULL, 0), file.data + 32, (uInt)(file.size - 32));
  memcpy(file.data + 24, &checksum, 4);
}

static nnm_status read_file(file_bytes file) {
  nnm_predictor *predictor;
  nnm_status status = nnm_predictor_read(file.data, file.size, "there", &predictor, &error);
  if (status == NNM_OK) nnm_predictor_free(predictor);
  return status;
}

static void test_there_and_back(void **state) {
  (void)state;
  file_bytes file = make_file("My_Phone-2", "1.0", "forest");
  nnm_predictor *predictor;
  assert_int_equal(nnm_predictor_read(file.data, file.size, "there", &predictor, &error), NNM_OK);
  const nnm_predictor_info *info = nnm_predictor_get_info(predictor);
  assert_string_equal(info->name, "My_Phone-2");
  assert_string_equal(info->version, "1.0");
  assert_string_equal(info->kind, "forest");
  assert_string_equal(info->origin, "there");
  assert_string_equal(info->card, "a card");
  assert_true(nnm_fusion_rules_allow(predictor->rules, "conv", "relu"));
  nnm_predictor_free(predictor);
  unsigned char *shifted = malloc(file.size + 1); /* bytes need not be aligned */
  assert_non_null(shifted);
  memcpy(shifted + 1, file.data, file.size);
  assert_int_equal(read_file((file_bytes){shifted + 1, file.size}), NNM_OK);
  free(shifted);
  free(file.data);
}

static void test_truncation_and_flipped_bits(void **state) {
  (void)state;
  file_bytes file = make_file("phone", "1.0", "forest");
  for (size_t size = 0; size < file.size; size++) {
    unsigned char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, file.data, size);
    assert_int_not_equal(read_file((file_bytes){copy, size}), NNM_OK);
    free(copy);
  }
  for (size_t bit = 0; bit < file.size * 8; bit++) {
    file.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
    assert_int_not_equal(read_file(file), NNM_OK);
    file.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
  }
  assert_int_equal(read_file(file), NNM_OK);
  free(file.data);
}

/* Changes size bytes at offset, with the right checksum. */
static void expect_refused(size_t offset, const void *bytes, size_t size, nnm_status status, const char *part) {
  file_bytes file = make_file("phone", "1.0", "forest");
  memcpy(file.data + offset, bytes, size);
  seal(file);
  expect_message(read_file(file), status, part);
  assert_string_equal(error.file, "there");
  free(file.data);
}

static void test_contradictions(void **state) {
  (void)state;
  enum { INFO = 32, RULES = 64, DATA = 96 }; /* their entries in the section table */
  expect_refused(0, "PK", 2, NNM_ERROR_FORMAT, "is not an nn-Meter predictor file");
  expect_refused(8, &(uint32_t){2}, 4, NNM_ERROR_UNSUPPORTED, "predictor format 2 is not known");
  expect_refused(12, &(uint32_t){UINT32_MAX}, 4, NNM_ERROR_LIMIT, "4294967295 sections");
  expect_refused(12, &(uint32_t){2}, 4, NNM_ERROR_FORMAT, "is missing");
  expect_refused(12, &(uint32_t){64}, 4, NNM_ERROR_FORMAT, "outside of the file");
  expect_refused(16, &(uint64_t){UINT64_MAX}, 8, NNM_ERROR_FORMAT, "should have 18446744073709551615 bytes");
  expect_refused(28, &(uint32_t){1}, 4, NNM_ERROR_FORMAT, "reserved");
  expect_refused(DATA + 16, &(uint64_t){64}, 8, NNM_ERROR_FORMAT, "data: the section lies outside");
  expect_refused(DATA + 16, &(uint64_t){UINT64_MAX}, 8, NNM_ERROR_FORMAT, "outside");
  expect_refused(DATA + 24, &(uint64_t){UINT64_MAX - 8}, 8, NNM_ERROR_FORMAT, "outside");
  expect_refused(DATA + 16, &(uint64_t){136}, 8, NNM_ERROR_FORMAT, "not aligned");
  expect_refused(DATA, "rules", 6, NNM_ERROR_FORMAT, "rules: the section is there twice");
  expect_refused(RULES, "notes", 6, NNM_ERROR_FORMAT, "is missing");
  expect_refused(DATA + 24, &(uint64_t){0}, 8, NNM_ERROR_FORMAT, "cut short");
  expect_refused(INFO + 24, &(uint64_t){5}, 8, NNM_ERROR_FORMAT, "not JSON");
  expect_refused(RULES + 24, &(uint64_t){5}, 8, NNM_ERROR_FORMAT, "");
}

static void test_unknown_sections_are_skipped(void **state) {
  (void)state;
  file_bytes file = make_file("phone", "1.0", "forest");
  /* make room for a fourth entry: 32 bytes behind the table, everything else moves on */
  size_t size = file.size + 32;
  unsigned char *longer = calloc(1, size);
  assert_non_null(longer);
  memcpy(longer, file.data, 128);
  memcpy(longer + 160, file.data + 128, file.size - 128);
  for (size_t entry = 32; entry < 128; entry += 32) {
    uint64_t offset;
    memcpy(&offset, longer + entry + 16, 8);
    offset += 32;
    memcpy(longer + entry + 16, &offset, 8);
  }
  memcpy(longer + 128, "a later idea", 12);
  memcpy(longer + 128 + 16, &(uint64_t){160}, 8);
  memcpy(longer + 12, &(uint32_t){4}, 4);
  memcpy(longer + 16, &(uint64_t){size}, 8);
  seal((file_bytes){longer, size});
  assert_int_equal(read_file((file_bytes){longer, size}), NNM_OK);
  free(longer);
  free(file.data);
}

static void test_unknown_kind(void **state) {
  (void)state;
  file_bytes file = make_file("phone", "1.0", "oracle");
  expect_message(read_file(file), NNM_ERROR_UNSUPPORTED, "kind 'oracle' is not known");
  free(file.data);
}

static void test_names(void **state) {
  (void)state;
  static const char *const bad[][2] = {{"", "1.0"},    {"a/b", "1.0"},  {"../x", "1.0"}, {".x", "1.0"},
                                       {"a b", "1.0"}, {"x", "1.0-rc"}, {"x", "1/0"},    {"x", ""},
                                       {"-x", "1"},    {"x\n", "1"},    {"x", ".."},     {"x\xc3\xa4", "1"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    const nnm_predictor_sections sections = {.kind = "forest",
                                             .name = bad[i][0],
                                             .version = bad[i][1],
                                             .card = "",
                                             .fusion_rules = "{}",
                                             .data = "",
                                             .size = 0};
    unsigned char *bytes;
    size_t size;
    assert_int_equal(nnm_predictor_write(&sections, &bytes, &size, &error), NNM_ERROR_ARGUMENT);
  }
}

/* ---------------------------------------------------------------- the registry */

static void test_versions(void **state) {
  (void)state;
  static const char *const rising[] = {"0.9", "1", "1.0.1", "1.2", "1.9", "1.10", "1.10a", "1.10b", "2.0", "10"};
  enum { COUNT = sizeof rising / sizeof rising[0] };
  for (size_t i = 0; i < COUNT; i++)
    for (size_t j = 0; j < COUNT; j++) {
      int order = nnm_compare_versions(rising[i], rising[j]);
      assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
    }
  assert_int_equal(nnm_compare_versions("1", "1.0"), 0);
  assert_int_equal(nnm_compare_versions("01.0", "1.00"), 0);
}

static void register_file(const char *name, const char *version) {
  mkdir(in_home("predictors"), 0755);
  char path[256];
  snprintf(path, sizeof path, "%s/predictors/%s-%s.nnmeter", home, name, version);
  file_bytes file = make_file(name, version, "forest");
  assert_int_equal(nnm_write_file(path, file.data, file.size, &error), NNM_OK);
  free(file.data);
}

static void expect_version(const char *name, const char *version, const char *expected) {
  nnm_predictor *predictor;
  nnm_status status = nnm_predictor_open(name, version, home, &predictor, &error);
  expect_message(status, NNM_OK, "");
  assert_string_equal(nnm_predictor_get_info(predictor)->version, expected);
  nnm_predictor_free(predictor);
}

static nnm_status open_name(const char *name, const char *version) {
  nnm_predictor *predictor;
  return nnm_predictor_open(name, version, home, &predictor, &error);
}

static void test_opening_by_name(void **state) {
  (void)state;
  register_file("My_Phone", "1.9");
  register_file("My_Phone", "1.10");
  register_file("other", "3");
  expect_version("my_phone", NULL, "1.10");
  expect_version("MY_PHONE", "1.9", "1.9");
  expect_version("other", "3.0", "3");
  expect_version(in_home("predictors/other-3.nnmeter"), NULL, "3");
  expect_version(in_home("predictors/other-3.nnmeter"), "3", "3");
  expect_message(open_name(in_home("predictors/other-3.nnmeter"), "4"), NNM_ERROR_NOT_FOUND, "is version 3, not 4");
  expect_message(open_name("my_phone", "2"), NNM_ERROR_NOT_FOUND, "has no version 2; it has 1.9, 1.10");
  expect_message(open_name("my_fone", NULL), NNM_ERROR_NOT_FOUND, "did you mean 'My_Phone'?");
  expect_message(open_name("my_", NULL), NNM_ERROR_NOT_FOUND, "did you mean 'My_Phone'?");
  expect_message(open_name("zzzzzzzzz", NULL), NNM_ERROR_NOT_FOUND, "--list-predictors");
  assert_null(strstr(error.message, "did you mean"));
  assert_non_null(strstr(error.message, "My_Phone, other"));
  expect_message(open_name("./nowhere.nnmeter", NULL), NNM_ERROR_NOT_FOUND, "nowhere.nnmeter");
  expect_message(open_name("", NULL), NNM_ERROR_NOT_FOUND, "no predictor ''");
}

static const nnm_predictor_info *entry_named(const nnm_predictor_list *list, const char *name, size_t skip) {
  for (size_t i = 0; i < nnm_predictor_list_count(list); i++)
    if (!strcmp(nnm_predictor_list_at(list, i)->name, name) && !skip--) return nnm_predictor_list_at(list, i);
  return NULL;
}

static void test_listing(void **state) {
  (void)state;
  register_file("b", "1.10");
  register_file("b", "1.9");
  register_file("A", "1");
  assert_int_equal(nnm_write_file(in_home("predictors/broken-1.nnmeter"), "NNMETER", 8, &error), NNM_OK);
  assert_int_equal(nnm_write_file(in_home("predictors/notes.txt"), "notes", 5, &error), NNM_OK);
  size_t built_in;
  nnm_built_in_predictors(&built_in);
  nnm_predictor_list *list;
  assert_int_equal(nnm_predictor_list_create(home, &list, &error), NNM_OK);
  assert_int_equal(nnm_predictor_list_count(list), built_in + 4);
  assert_string_equal(nnm_predictor_list_at(list, built_in)->name, "A");
  assert_string_equal(entry_named(list, "b", 0)->version, "1.9");
  assert_string_equal(entry_named(list, "b", 1)->version, "1.10");
  const nnm_predictor_info *broken = entry_named(list, "broken-1", 0);
  assert_string_equal(broken->kind, "damaged");
  assert_non_null(strstr(broken->card, "cut short"));
  assert_null(nnm_predictor_list_at(list, built_in + 4));
  nnm_predictor_list_free(list);
  expect_message(open_name("broken-1", NULL), NNM_ERROR_NOT_FOUND, "no predictor");
}

static void test_homes(void **state) {
  (void)state;
  char *folder;
  setenv("NN_METER_HOME", "/somewhere", 1);
  assert_int_equal(nnm_predictors_folder(NULL, &folder, &error), NNM_OK);
  assert_string_equal(folder, "/somewhere/predictors");
  free(folder);
  setenv("NN_METER_HOME", "", 1);
  setenv("HOME", "/me", 1);
  unsetenv("XDG_DATA_HOME");
  assert_int_equal(nnm_predictors_folder(NULL, &folder, &error), NNM_OK);
  assert_string_equal(folder, "/me/.nn_meter/predictors");
  free(folder);
  setenv("XDG_DATA_HOME", "relative", 1); /* counts for nothing */
  assert_int_equal(nnm_predictors_folder(NULL, &folder, &error), NNM_OK);
  assert_string_equal(folder, "/me/.nn_meter/predictors");
  free(folder);
  setenv("XDG_DATA_HOME", "/data", 1);
  assert_int_equal(nnm_predictors_folder(NULL, &folder, &error), NNM_OK);
  assert_string_equal(folder, "/data/nn_meter/predictors");
  free(folder);
  setenv("HOME", home, 1); /* a folder of nn-Meter 2.0 that is there stays in use */
  mkdir(in_home(".nn_meter"), 0755);
  assert_int_equal(nnm_predictors_folder(NULL, &folder, &error), NNM_OK);
  assert_string_equal(folder, in_home(".nn_meter/predictors"));
  free(folder);
  unsetenv("HOME");
  unsetenv("XDG_DATA_HOME");
  assert_int_equal(nnm_predictors_folder(NULL, &folder, &error), NNM_OK);
  assert_null(folder);
}

/* ---------------------------------------------------------------- import */

static void copy_pickle(const char *from, const char *to) {
  char path[512];
  nnm_mapped_file file;
  snprintf(path, sizeof path, "%s/pickle/%s.pkl", NNM_TEST_DATA, from);
  assert_int_equal(nnm_map_file(path, &file, &error), NNM_OK);
  assert_int_equal(nnm_write_file(to, file.data, file.size, &error), NNM_OK);
  nnm_unmap_file(&file);
}

static void write_text(const char *path, const char *text) {
  assert_int_equal(nnm_write_file(path, text, strlen(text), &error), NNM_OK);
}

static void make_folder(void) {
  mkdir(in_home("folder"), 0755);
  copy_pickle("y_sklearn_1.7.2_protocol_4", in_home("folder/bn.pkl"));
  copy_pickle("y_sklearn_0.23_protocol_2", in_home("folder/conv-bn-relu.pkl"));
  write_text(in_home("folder/fusion_rules.json"), "{\"BF_conv_relu\": {\"obey\": true}}");
  write_text(in_home("folder/notes.txt"), "not ours");
}

static nnm_status import_folder(const char *name, const char *version) {
  return nnm_predictor_import(in_home("folder/"), name, version, in_home("new/home"), NULL, &error);
}

static void test_import(void **state) {
  (void)state;
  make_folder();
  char *path;
  expect_message(nnm_predictor_import(in_home("folder/"), "phone", "2.0", in_home("new/home"), &path, &error), NNM_OK,
                 "");
  assert_string_equal(path, in_home("new/home/predictors/phone-2.0.nnmeter"));
  free(path);
  nnm_predictor *predictor;
  assert_int_equal(nnm_predictor_open("phone", NULL, in_home("new/home"), &predictor, &error), NNM_OK);
  assert_string_equal(predictor->kind->name, "forest");
  assert_non_null(strstr(predictor->info.card, "folder 'folder': 2 random forests of scikit-learn 1.7.2, 6 trees"));
  assert_true(nnm_fusion_rules_allow(predictor->rules, "conv", "relu"));
  nnm_predictor_free(predictor);
  expect_message(import_folder("PHONE", "2"), NNM_ERROR_ARGUMENT, "has a version 2.0 already");
  assert_non_null(strstr(error.message, "remove that one with nn-meter unregister"));
  assert_int_equal(import_folder("phone", "2.1"), NNM_OK);
}

static void test_import_refusals(void **state) {
  (void)state;
  expect_message(import_folder("phone", "1"), NNM_ERROR_NOT_FOUND, "folder: cannot open");
  mkdir(in_home("folder"), 0755);
  expect_message(import_folder("phone", "1"), NNM_ERROR_NOT_FOUND, "no .pkl file in it");
  make_folder();
  expect_message(import_folder("../phone", "1"), NNM_ERROR_ARGUMENT, "cannot be a predictor's name");
  expect_message(import_folder("phone", "1-1"), NNM_ERROR_ARGUMENT, "cannot be a predictor's version");
  copy_pickle("n_posix_system", in_home("folder/add.pkl"));
  expect_message(import_folder("phone", "1"), NNM_ERROR_UNSUPPORTED, "asks to run posix.system");
  assert_non_null(strstr(error.file, "folder/add.pkl"));
  write_text(in_home("folder/add.pkl"), "version https://git-lfs.github.com/spec/v1\n");
  expect_message(import_folder("phone", "1"), NNM_ERROR_FORMAT, "Git LFS pointer");
  remove(in_home("folder/add.pkl"));
  copy_pickle("y_big_endian", in_home("folder/a-kernel-type-of-far-too-long-a-name.pkl"));
  expect_message(import_folder("phone", "1"), NNM_ERROR_LIMIT, "longer than 31 characters");
  remove(in_home("folder/a-kernel-type-of-far-too-long-a-name.pkl"));
  write_text(in_home("folder/fusion_rules.json"), "{");
  expect_message(import_folder("phone", "1"), NNM_ERROR_FORMAT, "fusion_rules.json");
  remove(in_home("folder/fusion_rules.json"));
  expect_message(import_folder("phone", "1"), NNM_ERROR_NOT_FOUND, "fusion_rules.json: is missing");
  assert_int_not_equal(access(in_home("new"), F_OK), 0); /* nothing was left behind */
  make_folder();
  write_text(in_home("new"), "a file where the home should be");
  expect_message(import_folder("phone", "1"), NNM_ERROR_IO, "cannot make the folder");
}

/* ---------------------------------------------------------------- memory that runs out */

static nnm_status open_phone(void) {
  nnm_predictor *predictor;
  nnm_status status = nnm_predictor_open("phone", NULL, in_home("new/home"), &predictor, &error);
  if (status == NNM_OK) nnm_predictor_free(predictor);
  return status;
}

static nnm_status list_all(void) {
  nnm_predictor_list *list;
  nnm_status status = nnm_predictor_list_create(in_home("new/home"), &list, &error);
  if (status == NNM_OK) nnm_predictor_list_free(list);
  return status;
}

static nnm_status import_phone(void) { return import_folder("phone", "1"); }

static const char *table(void) { return in_home("new/home/config/predictors.yaml"); }

static nnm_status register_pickles(void) {
  nnm_status status = nnm_predictor_register(in_home("pickles.yaml"), in_home("new/home"), NULL, &error);
  if (status != NNM_OK) assert_int_not_equal(access(table(), F_OK), 0);
  return status;
}

static nnm_status open_pickles(void) {
  nnm_predictor *predictor;
  nnm_status status = nnm_predictor_open("pickles", NULL, in_home("new/home"), &predictor, &error);
  if (status == NNM_OK) nnm_predictor_free(predictor);
  return status;
}

static nnm_status unregister_pickles(void) {
  nnm_status status = nnm_predictor_unregister("pickles", NULL, in_home("new/home"), NULL, &error);
  struct stat info;
  assert_int_equal(stat(table(), &info), 0);
  assert_true(status == NNM_OK || info.st_size > 10);
  return status;
}

/* Fails each allocation of a call in turn, until the call makes do with all of them. */
static void fail_each_allocation(nnm_status (*call)(void), size_t at_least) {
  nnm_status status = NNM_ERROR_MEMORY;
  size_t number = 0;
  for (; status != NNM_OK; number++) {
    failing_malloc_arm(number);
    status = call();
    failing_malloc_arm(SIZE_MAX);
    if (status != NNM_OK) expect_message(status, NNM_ERROR_MEMORY, "out of memory");
    if (status != NNM_OK && call == import_phone)
      assert_int_not_equal(access(in_home("new/home/predictors/phone-1.nnmeter"), F_OK), 0);
  }
  assert_true(number > at_least);
}

static void test_failing_allocations(void **state) {
  (void)state;
  make_folder();
  fail_each_allocation(import_phone, 50);
  fail_each_allocation(open_phone, 10);
  fail_each_allocation(list_all, 3);
  write_text(in_home("pickles.yaml"), "name: pickles\nversion: 1\npackage_location: folder\nkernel_predictors: [bn]\n");
  fail_each_allocation(register_pickles, 50);
  fail_each_allocation(open_pickles, 10);
  fail_each_allocation(list_all, 4);
  fail_each_allocation(unregister_pickles, 5);
}

#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_there_and_back),
      cmocka_unit_test(test_truncation_and_flipped_bits),
      cmocka_unit_test(test_contradictions),
      cmocka_unit_test(test_unknown_sections_are_skipped),
      cmocka_unit_test(test_unknown_kind),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_versions),
      IN_HOME(test_opening_by_name),
      IN_HOME(test_listing),
      IN_HOME(test_import),
      IN_HOME(test_import_refusals),
      IN_HOME(test_failing_allocations),
      cmocka_unit_test_setup_teardown(test_homes, make_home, remove_home), /* last: it changes the environment */
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
