/* What damage, missing memory and sheer size do to the TensorFlow reader: never more than an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../hostile/failing_malloc.h"
#include "damage.h"
#include "ir/ir.h"
#include "readers/reader.h"
#include "shapes/shapes.h"

static const char *folder;
static nnm_error error;

/* As far as the IR: the old converter's rules see the same files. */
static nnm_status whole_way(const unsigned char *data, size_t size, bool with_ir) {
  nnm_graph *graph = NULL;
  nnm_shapes *shapes = NULL;
  nnm_ir *ir = NULL;
  nnm_shape_options options = {.batch_size = 2};
  error = (nnm_error){0};
  nnm_status status = nnm_reader_tensorflow.read(data, size, &graph, NULL, &error);
  if (status == NNM_OK) status = nnm_infer_graph_shapes(graph, NULL, &shapes, &error);
  if (status != NNM_OK && status != NNM_ERROR_MEMORY && graph)
    status = nnm_infer_graph_shapes(graph, &options, &shapes, &error);
  if (status == NNM_OK && with_ir) status = nnm_ir_from_graph(graph, shapes, NNM_IR_NAMED, &ir, &error);
  nnm_ir_free(ir);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
  return status;
}

static void expect_orderly_end(const unsigned char *data, size_t size) {
  nnm_status status = whole_way(data, size, true);
  if (status != NNM_OK) damage_expect_error(&error, status);
}

static const char *const files[] = {"y_network.pb",  "y_functions.pb",  "y_branches.pb", "y_loop.pb",
                                    "y_old_loop.pb", "y_arithmetic.pb", "y_fused.pb",    "y_saved_model.pb"};
enum { FILES = sizeof files / sizeof files[0] };

static void test_truncation(void **state) {
  (void)state;
  damage_by_truncation(folder, files, FILES, expect_orderly_end);
}

static void test_bit_flips(void **state) {
  (void)state;
  damage_by_bits(folder, files, FILES, expect_orderly_end);
}

/* Without the IR: it is made with jansson, whose own allocations are left alone (docs/security.md). */
static void test_failing_allocations(void **state) {
  (void)state;
  for (size_t i = 0; i < FILES; i++) {
    nnm_mapped_file file = damage_map(folder, files[i]);
    nnm_status status = NNM_ERROR_MEMORY;
    size_t number = 0;
    for (; status == NNM_ERROR_MEMORY; number++) {
      failing_malloc_arm(number);
      status = whole_way(file.data, file.size, false);
      failing_malloc_arm(SIZE_MAX);
    }
    assert_true(status == NNM_OK || status == NNM_ERROR_ARGUMENT);
    assert_true(number > 5);
    nnm_unmap_file(&file);
  }
}

/* ---- size */

typedef struct writing {
  unsigned char *data;
  size_t size;
} writing;

static void put_field(writing *to, unsigned number, const void *bytes, size_t size) {
  assert_true(size < 128);
  to->data[to->size++] = (unsigned char)(number << 3 | 2);
  to->data[to->size++] = (unsigned char)size;
  memcpy(to->data + to->size, bytes, size);
  to->size += size;
}

static void put_node(writing *graph, const char *name, const char *op, const char *input) {
  unsigned char space[128];
  writing node = {space, 0};
  put_field(&node, 1, name, strlen(name));
  put_field(&node, 2, op, strlen(op));
  if (input) put_field(&node, 3, input, strlen(input));
  put_field(graph, 1, node.data, node.size);
}

/* A chain of Relu nodes, and many nodes that all read the first one: time grows with the nodes, not their square. */
static void test_many_nodes(void **state) {
  (void)state;
  enum { NODES = 250000, READERS = 60000 };
  writing graph = {malloc(NODES * 100), 0};
  assert_non_null(graph.data);
  put_node(&graph, "n0", "Placeholder", NULL);
  for (size_t i = 1; i < NODES; i++) {
    char name[16], input[16];
    snprintf(name, sizeof name, "n%zu", i);
    snprintf(input, sizeof input, "n%zu", i - 1);
    put_node(&graph, name, "Relu", input);
    name[0] = 'm';
    if (i < READERS) put_node(&graph, name, "Relu", "n0");
  }
  nnm_graph *read = NULL;
  if (nnm_reader_tensorflow.read(graph.data, graph.size, &read, NULL, &error) != NNM_OK)
    print_error("%s\n", error.message);
  assert_non_null(read);
  assert_int_equal(read->node_count, NODES + READERS - 2);
  int64_t dims[] = {2};
  nnm_input_shape given = {.name = "n0", .rank = 1, .dims = dims};
  nnm_shape_options options = {.input_shapes = &given, .input_shape_count = 1};
  nnm_shapes *shapes = NULL;
  nnm_ir *ir = NULL;
  if (nnm_infer_graph_shapes(read, &options, &shapes, &error) != NNM_OK) print_error("%s\n", error.message);
  assert_non_null(shapes);
  assert_int_equal(nnm_ir_from_graph(read, shapes, NNM_IR_NAMED, &ir, &error), NNM_OK);
  nnm_ir_free(ir);
  nnm_shapes_free(shapes);
  nnm_graph_free(read);
  free(graph.data);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  folder = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_truncation),
      cmocka_unit_test(test_bit_flips),
      cmocka_unit_test(test_failing_allocations),
      cmocka_unit_test(test_many_nodes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
