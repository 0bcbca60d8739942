/* What damage, missing memory and sheer size do to the ONNX reader: never more than an error. */
#define _GNU_SOURCE /* mkstemp, mincore */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../hostile/failing_malloc.h"
#include "damage.h"
#include "readers/reader.h"

static const char *folder;
static nnm_error error;

static nnm_mapped_file map(const char *name) { return damage_map(folder, name); }

static nnm_status read_bytes(const unsigned char *data, size_t size, nnm_graph **graph) {
  error = (nnm_error){0};
  return nnm_reader_onnx.read(data, size, graph, NULL, &error);
}

static void expect_orderly_end(const unsigned char *data, size_t size) {
  nnm_graph *graph = NULL;
  nnm_status status = read_bytes(data, size, &graph);
  if (status == NNM_OK) {
    nnm_graph_free(graph);
    return;
  }
  assert_null(graph);
  damage_expect_error(&error, status);
}

static const char *const damaged_files[] = {"y_network.onnx",    "y_functions.onnx",         "y_bodies.onnx",
                                            "y_attributes.onnx", "y_weights_as_inputs.onnx", "y_by_hand_in_order.onnx"};
enum { DAMAGED_FILES = sizeof damaged_files / sizeof damaged_files[0] };

static void test_truncation(void **state) {
  (void)state;
  damage_by_truncation(folder, damaged_files, DAMAGED_FILES, expect_orderly_end);
}

static void test_bit_flips(void **state) {
  (void)state;
  damage_by_bits(folder, damaged_files, DAMAGED_FILES, expect_orderly_end);
}

/* Bytes that lengths, types and varints are made of, in every place. */
static void test_bytes_replaced(void **state) {
  (void)state;
  static const unsigned char replacements[] = {0x00, 0x7f, 0x80, 0xff};
  nnm_mapped_file file = map("y_functions.onnx");
  unsigned char *copy = malloc(file.size);
  assert_non_null(copy);
  memcpy(copy, file.data, file.size);
  for (size_t at = 0; at < file.size; at++) {
    for (size_t r = 0; r < sizeof replacements; r++) {
      copy[at] = replacements[r];
      expect_orderly_end(copy, file.size);
    }
    copy[at] = file.data[at];
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

/* ---- size */

typedef struct writing {
  unsigned char *data;
  size_t size;
} writing;

static void put(writing *to, const void *bytes, size_t size) {
  memcpy(to->data + to->size, bytes, size);
  to->size += size;
}

static void put_varint(writing *to, uint64_t number) {
  for (; number > 127; number >>= 7) to->data[to->size++] = (unsigned char)(number | 128);
  to->data[to->size++] = (unsigned char)number;
}

static void put_field(writing *to, unsigned number, const void *bytes, size_t size) {
  put_varint(to, number << 3 | 2);
  put_varint(to, size);
  put(to, bytes, size);
}

/* A chain of Relu nodes t0 -> t1 -> ... as one graph. */
static void put_chain(writing *graph, size_t nodes) {
  for (size_t i = 0; i < nodes; i++) {
    unsigned char space[64];
    writing one = {space, 0};
    char from[16], to[16];
    put_field(&one, 1, from, (size_t)snprintf(from, sizeof from, "t%zu", i));
    put_field(&one, 2, to, (size_t)snprintf(to, sizeof to, "t%zu", i + 1));
    put_field(&one, 4, "Relu", 4);
    put_field(graph, 1, one.data, one.size);
  }
  put_field(graph, 11, "\x0a\x02t0", 4);
}

static void test_a_million_nodes(void **state) {
  (void)state;
  enum { NODES = 1000000 };
  writing graph = {malloc(NODES * 40), 0}, model = {malloc(NODES * 40 + 64), 0};
  assert_non_null(graph.data);
  assert_non_null(model.data);
  put_chain(&graph, NODES);
  put(&model, "\x08\x08", 2);
  put_field(&model, 7, graph.data, graph.size);
  nnm_graph *read = NULL;
  assert_int_equal(read_bytes(model.data, model.size, &read), NNM_OK);
  assert_int_equal(read->node_count, NODES);
  nnm_graph_free(read);
  free(graph.data);
  free(model.data);
}

/* A file with a hole of half a gigabyte for a weight: reading it must not touch the hole. */
static void test_weights_stay_on_disk(void **state) {
  (void)state;
  char path[] = "/tmp/nnm_test_onnx_XXXXXX";
  int descriptor = mkstemp(path);
  const size_t hole = (size_t)512 << 20;
  unsigned char space[256], tail[64];
  writing tensor_head = {space, 0}, head = {space + 128, 0}, end = {tail, 0};
  put(&tensor_head, "\x08\x80\x80\x80\x40\x10\x01\x42\x01w", 10); /* dims 2^27, float, "w" */
  put_varint(&tensor_head, 9 << 3 | 2);
  put_varint(&tensor_head, hole);
  put_chain(&end, 1);
  size_t tensor_size = tensor_head.size + hole;
  unsigned char length[16];
  writing tensor_length = {length, 0};
  put_varint(&tensor_length, tensor_size);
  put(&head, "\x08\x08\x3a", 3);
  put_varint(&head, 1 + tensor_length.size + tensor_size + end.size);
  put(&head, "\x2a", 1);
  put(&head, length, tensor_length.size);
  put(&head, tensor_head.data, tensor_head.size);
  bool written = descriptor >= 0 && write(descriptor, head.data, head.size) == (ssize_t)head.size &&
                 lseek(descriptor, (off_t)hole, SEEK_CUR) > 0 &&
                 write(descriptor, end.data, end.size) == (ssize_t)end.size;
  if (descriptor >= 0) close(descriptor);
  nnm_mapped_file file;
  if (!written || nnm_map_file(path, &file, &error) != NNM_OK) {
    unlink(path);
    print_message("no room for a sparse file in /tmp\n");
    skip();
  }
  unlink(path);
  nnm_graph *graph = NULL;
  assert_int_equal(read_bytes(file.data, file.size, &graph), NNM_OK);
  assert_string_equal(graph->tensors[1].name, "w"); /* behind the input */
  assert_int_equal(graph->tensors[1].constant->size, hole);
  nnm_graph_free(graph);
  size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (file.size + page - 1) / page, resident = 0;
  unsigned char *present = malloc(pages);
  assert_non_null(present);
  assert_int_equal(mincore((void *)(uintptr_t)file.data, file.size, present), 0);
  for (size_t i = 0; i < pages; i++) resident += present[i] & 1;
  assert_true(resident * page < (size_t)16 << 20); /* what the kernel reads ahead, but not the weights */
  free(present);
  nnm_unmap_file(&file);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  folder = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_truncation),      cmocka_unit_test(test_bit_flips),
      cmocka_unit_test(test_bytes_replaced),  cmocka_unit_test(test_failing_allocations),
      cmocka_unit_test(test_a_million_nodes), cmocka_unit_test(test_weights_stay_on_disk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
