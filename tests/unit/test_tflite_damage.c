/* What damage, missing memory and sheer size do to the TFLite reader: never more than an error. */
#define _GNU_SOURCE /* mkstemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../hostile/failing_malloc.h"
#include "damage.h"
#include "readers/reader.h"
#include "shapes/shapes.h"

static const char *folder;
static nnm_error error;

static nnm_mapped_file map(const char *name) { return damage_map(folder, name); }

static nnm_status read_bytes(const unsigned char *data, size_t size, nnm_graph **graph) {
  error = (nnm_error){0};
  return nnm_reader_tflite.read(data, size, graph, NULL, &error);
}

static void expect_orderly_end(const unsigned char *data, size_t size) {
  nnm_graph *graph = NULL;
  nnm_shapes *shapes = NULL;
  nnm_status status = read_bytes(data, size, &graph);
  if (status != NNM_OK) {
    assert_null(graph);
    damage_expect_error(&error, status);
    return;
  }
  status = nnm_infer_graph_shapes(graph, NULL, &shapes, &error);
  if (status != NNM_OK) damage_expect_error(&error, status);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

/* The first few are small, and are damaged at every bit. */
static const char *const damaged_files[] = {"y_bodies.tflite",     "y_variables.tflite", "y_composite.tflite",
                                            "y_signatures.tflite", "y_custom.tflite",    "y_stored.tflite",
                                            "y_network.tflite",    "y_recurrent.tflite", "y_operators.tflite"};
enum { DAMAGED_FILES = sizeof damaged_files / sizeof damaged_files[0], DAMAGED_AT_EVERY_BIT = 6 };

static void test_truncation(void **state) {
  (void)state;
  damage_by_truncation(folder, damaged_files, DAMAGED_FILES, expect_orderly_end);
}

static void test_bit_flips(void **state) {
  (void)state;
  damage_by_bits(folder, damaged_files, DAMAGED_AT_EVERY_BIT, expect_orderly_end);
}

/* Offsets, counts and numbers that are absurd, in every place where one may lie. */
static void test_words_replaced(void **state) {
  (void)state;
  static const uint32_t replacements[] = {0, 4, 0x7fffffff, 0xffffffff};
  nnm_mapped_file file = map("y_network.tflite");
  unsigned char *copy = malloc(file.size);
  assert_non_null(copy);
  memcpy(copy, file.data, file.size);
  for (size_t at = 0; at + 4 <= file.size; at += 2) {
    for (size_t r = 0; r < sizeof replacements / sizeof *replacements; r++) {
      memcpy(copy + at, &replacements[r], 4);
      expect_orderly_end(copy, file.size);
    }
    memcpy(copy + at, file.data + at, 4);
  }
  free(copy);
  nnm_unmap_file(&file);
}

static void test_failing_allocations(void **state) {
  (void)state;
  for (size_t i = 0; i < DAMAGED_FILES; i++) {
    nnm_mapped_file file = map(damaged_files[i]);
    nnm_status status = NNM_ERROR_MEMORY;
    size_t number = 0;
    for (; status != NNM_OK; number++) {
      nnm_graph *graph = NULL;
      failing_malloc_arm(number);
      status = read_bytes(file.data, file.size, &graph);
      failing_malloc_arm(SIZE_MAX);
      if (status == NNM_OK) nnm_graph_free(graph);
      else assert_int_equal(status, NNM_ERROR_MEMORY);
    }
    assert_true(number > 5);
    nnm_unmap_file(&file);
  }
}

/* A weight over two gigabytes behind the FlatBuffer, in a file that is a hole there: it is found, and not touched. */
static void test_weights_outside(void **state) {
  (void)state;
  char path[] = "/tmp/nnm_test_tflite_XXXXXX";
  nnm_mapped_file small = map("y_stored.tflite"), file;
  unsigned char *copy = malloc(small.size);
  assert_non_null(copy);
  memcpy(copy, small.data, small.size);
  const uint64_t offset = UINT64_C(5) << 30;
  const size_t inside = small.size - 64;
  size_t changed = 0;
  for (size_t at = 0; at + 8 <= inside; at += 4) {
    uint64_t word;
    memcpy(&word, copy + at, 8);
    if (word != inside) continue;
    memcpy(copy + at, &offset, 8);
    changed++;
  }
  assert_int_equal(changed, 1);
  int descriptor = mkstemp(path);
  bool written = descriptor >= 0 && write(descriptor, copy, inside) == (ssize_t)inside &&
                 ftruncate(descriptor, (off_t)offset + 64) == 0;
  if (descriptor >= 0) close(descriptor);
  free(copy);
  nnm_unmap_file(&small);
  if (!written || nnm_map_file(path, &file, &error) != NNM_OK) {
    unlink(path);
    print_message("no room for a sparse file in /tmp\n");
    skip();
  }
  unlink(path);
  nnm_graph *graph = NULL;
  assert_int_equal(read_bytes(file.data, file.size, &graph), NNM_OK);
  bool found = false;
  for (nnm_tensor_id t = 0; t < graph->tensor_count; t++)
    if (graph->tensors[t].constant && graph->tensors[t].constant->bytes == file.data + offset) found = true;
  assert_true(found);
  nnm_graph_free(graph);
  nnm_unmap_file(&file);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  folder = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_truncation),      cmocka_unit_test(test_bit_flips),
      cmocka_unit_test(test_words_replaced),  cmocka_unit_test(test_failing_allocations),
      cmocka_unit_test(test_weights_outside),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
