/* Memory, names and files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mapped_file.h"
#include "base/strings.h"

enum { LARGEST_ITEM = 300 };

/* Every item is zero when it is handed out, however the memory before it was used, and zeroing it harms no other. */
static void test_items_are_zero(void **state) {
  (void)state;
  nnm_arena arena = {0};
  unsigned char *items[LARGEST_ITEM];
  assert_true(nnm_arena_reserve(&arena, 1000));
  for (size_t size = 0; size < LARGEST_ITEM; size++) {
    items[size] = nnm_arena_alloc(&arena, size, 1);
    assert_non_null(items[size]);
    for (size_t i = 0; i < size; i++) assert_int_equal(items[size][i], 0);
    memset(items[size], 0xa5, size);
  }
  for (size_t size = 0; size < LARGEST_ITEM; size++)
    for (size_t i = 0; i < size; i++) assert_int_equal(items[size][i], 0xa5);
  nnm_arena_free(&arena);
}

static void test_texts(void **state) {
  (void)state;
  nnm_arena arena = {0};
  assert_string_equal(nnm_arena_numbered(&arena, "conv-bn", 0), "conv-bn#0");
  assert_string_equal(nnm_arena_numbered(&arena, "", SIZE_MAX), "#18446744073709551615");
  assert_string_equal(nnm_arena_text(&arena, "abcdef", 3), "abc");
  for (int length = 0; length < 3000; length += 7) { /* fitting into what is left, just so, and not */
    char *text = nnm_arena_printf(&arena, "%0*d", length + 1, 5);
    assert_int_equal(strlen(text), length + 1);
    assert_int_equal(text[length], '5');
  }
  nnm_arena_free(&arena);
}

/* Texts that differ in one byte or in length only, past every length at which hashing works differently. */
static void test_names(void **state) {
  (void)state;
  nnm_arena arena = {0};
  nnm_strings strings = {.arena = &arena};
  char text[40];
  const char *kept[40][41];
  memset(text, 'x', sizeof text);
  for (size_t length = 0; length < 40; length++)
    for (size_t at = 0; at <= length; at++) {
      if (at < length) text[at] = 'y';
      kept[length][at] = nnm_intern(&strings, text, length);
      text[at] = 'x';
      assert_int_equal(strlen(kept[length][at]), length);
      assert_int_equal(*nnm_interned_value(kept[length][at]), -1);
      *nnm_interned_value(kept[length][at]) = (int32_t)(length * 100 + at);
    }
  for (size_t length = 0; length < 40; length++)
    for (size_t at = 0; at <= length; at++) {
      if (at < length) text[at] = 'y';
      assert_ptr_equal(nnm_intern(&strings, text, length), kept[length][at]);
      assert_int_equal(*nnm_strings_value(&strings, text, length), length * 100 + at);
      text[at] = 'x';
    }
  assert_ptr_not_equal(nnm_intern(&strings, "x\0x", 3), nnm_intern(&strings, "x", 1));
  nnm_strings_free(&strings);
  nnm_arena_free(&arena);
}

static void test_files(void **state) {
  (void)state;
  char path[] = "/tmp/nnm_base_XXXXXX";
  int descriptor = mkstemp(path);
  assert_true(descriptor >= 0);
  close(descriptor);
  static const size_t sizes[] = {0, 1, 4096, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 1 << 20}; /* read, and mapped */
  unsigned char *data = malloc(1 << 20);
  assert_non_null(data);
  for (size_t i = 0; i < 1 << 20; i++) data[i] = (unsigned char)(i * 31 + (i >> 8));
  nnm_error error;
  nnm_mapped_file file;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    assert_int_equal(nnm_write_file(path, data, sizes[i], &error), NNM_OK);
    assert_int_equal(nnm_map_file(path, &file, &error), NNM_OK);
    assert_non_null(file.data);
    assert_int_equal(file.size, sizes[i]);
    assert_memory_equal(file.data, data, sizes[i]);
    nnm_unmap_file(&file);
    assert_null(file.data);
    nnm_unmap_file(&file); /* does nothing */
  }
  unlink(path);
  assert_int_equal(nnm_map_file(path, &file, &error), NNM_ERROR_NOT_FOUND);
  free(data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_items_are_zero),
      cmocka_unit_test(test_texts),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
