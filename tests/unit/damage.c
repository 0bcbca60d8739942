#include "damage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

nnm_mapped_file damage_map(const char *folder, const char *name) {
  char path[4096];
  nnm_mapped_file file;
  nnm_error error = {0};
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_int_equal(nnm_map_file(path, &file, &error), NNM_OK);
  return file;
}

static bool is_one_printable_line(const char *text) {
  for (size_t left = strlen(text), length; left; text += length, left -= length) {
    length = nnm_utf8_length(text, left);
    if (!length || (unsigned char)*text < 0x20) return false;
  }
  return true;
}

void damage_expect_error(const nnm_error *error, nnm_status status) {
  assert_int_not_equal(status, NNM_ERROR_MEMORY);
  assert_int_equal(error->status, status);
  assert_true(error->message[0] && is_one_printable_line(error->message) && is_one_printable_line(error->place));
}

void damage_by_truncation(const char *folder, const char *const *names, size_t count, damage_reader read) {
  for (size_t i = 0; i < count; i++) {
    nnm_mapped_file file = damage_map(folder, names[i]);
    for (size_t size = 0; size < file.size; size++) {
      unsigned char *prefix = malloc(size ? size : 1);
      assert_non_null(prefix);
      memcpy(prefix, file.data, size);
      read(prefix, size);
      free(prefix);
    }
    nnm_unmap_file(&file);
  }
}

void damage_by_bits(const char *folder, const char *const *names, size_t count, damage_reader read) {
  for (size_t i = 0; i < count; i++) {
    nnm_mapped_file file = damage_map(folder, names[i]);
    unsigned char *copy = malloc(file.size);
    assert_non_null(copy);
    memcpy(copy, file.data, file.size);
    for (size_t bit = 0; bit < file.size * 8; bit++) {
      copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
      read(copy, file.size);
      copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    free(copy);
    nnm_unmap_file(&file);
  }
}
