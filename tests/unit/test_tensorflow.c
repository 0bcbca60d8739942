/* The TensorFlow reader: what the files of tests/data/tensorflow become, and what each broken one must be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mapped_file.h"
#include "ops/ops.h"
#include "readers/reader.h"
#include "readers/tensorflow/tensorflow.h"
#include "shapes/shapes.h"

static const char *folder;
static nnm_error error;
static nnm_mapped_file file;
static nnm_graph *graph;
static nnm_shapes *shapes;

static nnm_status map(const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  error = (nnm_error){0};
  return nnm_map_file(path, &file, &error);
}

static void read_good(const char *name, int64_t batch) {
  nnm_shape_options options = {.batch_size = batch};
  assert_int_equal(map(name), NNM_OK);
  assert_int_equal(nnm_reader_tensorflow.probe(file.data, file.size), 2);
  if (nnm_reader_tensorflow.read(file.data, file.size, &graph, NULL, &error) != NNM_OK ||
      nnm_infer_graph_shapes(graph, batch ? &options : NULL, &shapes, &error) != NNM_OK)
    print_error("%s: [%s] %s\n", name, error.place, error.message);
  assert_non_null(graph);
  assert_non_null(shapes);
}

static int forget(void **state) {
  (void)state;
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
  if (file.data) nnm_unmap_file(&file);
  shapes = NULL;
  graph = NULL;
  file = (nnm_mapped_file){0};
  return 0;
}

static nnm_tensor_id tensor(const char *name) {
  for (nnm_tensor_id t = 0; t < graph->tensor_count; t++)
    if (!strcmp(graph->tensors[t].name, name)) return t;
  print_error("no tensor %s\n", name);
  fail();
  return -1;
}

static const nnm_node *maker(const char *name) { return &graph->nodes[graph->tensors[tensor(name)].producer]; }

/* dims: "2x5x4x8"; "" for a scalar. */
static void check_shape(const char *name, const char *dims) {
  char text[200] = "";
  nnm_shape shape = shapes->tensors[tensor(name)];
  for (int32_t i = 0; i < shape.rank; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld", i ? "x" : "", (long long)shape.dims[i]);
  if (strcmp(text, dims)) print_error("%s is %s, not %s\n", name, text, dims);
  assert_string_equal(text, dims);
}

static bool has_note(const char *part) {
  for (size_t i = 0; i < graph->note_count; i++)
    if (strstr(graph->notes[i], part)) return true;
  for (size_t i = 0; i < shapes->note_count; i++)
    if (strstr(shapes->notes[i], part)) return true;
  return false;
}

static void test_network(void **state) {
  (void)state;
  read_good("y_network.pb", 2);
  check_shape("conv:0", "2x5x4x8");
  check_shape("mean:0", "2x8");
  check_shape("probabilities:0", "2x10");
  check_shape("bn:4", "8");
  assert_string_equal(graph->format, "tensorflow");
  assert_int_equal(graph->blocks[0].input_count, 1);
  assert_int_equal(graph->blocks[0].output_count, 1);
  const nnm_node *conv = maker("conv:0"), *relu = maker("relu:0");
  size_t count;
  assert_int_equal(conv->op, NNM_OP_CONV);
  assert_int_equal(conv->layout, NNM_CHANNELS_LAST);
  assert_int_equal(conv->weight_layout, NNM_WEIGHT_XIO);
  assert_int_equal(nnm_attribute_ints(conv, "strides", &count)[0], 2);
  assert_int_equal(count, 2);
  assert_string_equal(nnm_attribute_text(conv, "auto_pad", ""), "SAME_UPPER");
  assert_int_equal(relu->input_count, 1); /* "^bn/gamma" is an order, no input */
  const nnm_constant *kernel = graph->tensors[tensor("conv/kernel:0")].constant;
  double value;
  assert_true(kernel->splat && nnm_constant_float(kernel, 1079, &value) && value > 0.49 && value < 0.51);
}

static void test_functions(void **state) {
  (void)state;
  read_good("y_functions.pb", 0);
  check_shape("first/half/split:1", "4x3");
  check_shape("second/relu:0", "4x1");
  assert_int_equal(graph->node_count, 9); /* split, ReLU, split, ReLU, two more, and copies that name results */
  check_shape("first:1", "4x3");
  check_shape("second:1", "4x1");
  assert_int_equal(maker("negative:0")->inputs[0], tensor("first/relu:0"));
  assert_int_equal(maker("second/half/split:0")->inputs[0], tensor("first/half/split:0"));
}

static void test_branches(void **state) {
  (void)state;
  read_good("y_branches.pb", 0);
  const nnm_node *node = maker("if:0");
  assert_int_equal(node->op, NNM_OP_IF);
  assert_int_equal(graph->block_count, 3);
  assert_int_equal(maker("if/else/product:0")->inputs[1], tensor("w:0"));
  check_shape("y:0", "4x4");
}

static void test_case(void **state) {
  (void)state;
  read_good("y_case.pb", 0);
  assert_int_equal(maker("case:0")->op, NNM_OP_IF);
  check_shape("y:0", "4x4");
  assert_true(has_note("more than two branches"));
}

static void test_loop(void **state) {
  (void)state;
  read_good("y_loop.pb", 0);
  const nnm_node *node = maker("while:2");
  assert_int_equal(node->op, NNM_OP_LOOP);
  assert_int_equal(shapes->turns[node->attributes[0].as.block], 7);
  check_shape("stack:0", "7x3x4");
  check_shape("last:0", "3x4");
  assert_false(has_note("may end before"));
}

static void test_loop_of_tensorflow_1(void **state) {
  (void)state;
  read_good("y_old_loop.pb", 0);
  check_shape("exit:0", "2x3");
  check_shape("body:0", "2x3");
  assert_true(has_note("one turn counted"));
}

static void test_fused(void **state) {
  (void)state;
  read_good("y_fused.pb", 0);
  check_shape("conv:0", "1x16x9x5");
  check_shape("up:0", "1x4x17x10");
  check_shape("dense:0", "1x3");
  assert_int_equal(maker("conv:0")->op, NNM_OP_RELU);
  assert_int_equal(maker("conv/step_0")->op, NNM_OP_BIAS_ADD);
  const nnm_node *conv = maker("conv/layer");
  size_t count;
  const int64_t *pads = nnm_attribute_ints(conv, "pads", &count);
  assert_int_equal(conv->layout, NNM_CHANNELS_FIRST);
  assert_int_equal(count, 4);
  assert_memory_equal(pads, ((int64_t[]){1, 0, 2, 1}), sizeof(int64_t[4]));
}

static void test_arithmetic(void **state) {
  (void)state;
  read_good("y_arithmetic.pb", 0);
  check_shape("flat:0", "2x24");
  check_shape("parts:1", "2x15");
  check_shape("tile:0", "3");
  check_shape("cut:0", "2x3x3");
  check_shape("row:0", "2x6");
  assert_false(shapes->executed[graph->tensors[tensor("both:0")].producer]); /* known before the model runs */
}

static void test_saved_model(void **state) {
  (void)state;
  read_good("y_saved_model.pb", 3);
  assert_string_equal(graph->producer, "tensorflow 2.99.0");
  assert_int_equal(graph->note_count, 0);
  assert_int_equal(graph->node_count, 4); /* nothing of what restores the variables */
  check_shape("StatefulPartitionedCall:0", "3x2");
  nnm_tensor_id kernel = tensor("kernel:0");
  assert_true(graph->tensors[kernel].flags & NNM_TENSOR_WEIGHT);
  assert_null(graph->tensors[kernel].constant->bytes);
  check_shape("kernel:0", "6x2");
  check_shape("StatefulPartitionedCall/identity:0", "3x2");
  assert_string_equal(graph->tensors[graph->blocks[0].inputs[0]].alias, "x");
}

static void test_input_names(void **state) {
  (void)state;
  static const char *const names[] = {"x", "serving_default_x", "serving_default_x:0"};
  for (size_t i = 0; i < 3; i++) {
    int64_t dims[] = {5, 6};
    nnm_input_shape given = {.name = names[i], .rank = 2, .dims = dims};
    nnm_shape_options options = {.input_shapes = &given, .input_shape_count = 1};
    read_good("y_saved_model.pb", 3);
    nnm_shapes_free(shapes);
    shapes = NULL;
    assert_int_equal(nnm_infer_graph_shapes(graph, &options, &shapes, &error), NNM_OK);
    check_shape("StatefulPartitionedCall/identity:0", "5x2");
    forget(state);
  }
}

static void test_which_graph_and_signature(void **state) {
  (void)state;
  read_good("y_saved_model_of_two.pb", 1);
  assert_true(has_note("signature 'other' is taken, of 2"));
  check_shape("StatefulPartitionedCall/identity:0", "1x2");
}

static void test_broken_files(void **state) {
  (void)state;
  char path[4096], line[512];
  snprintf(path, sizeof path, "%s/expected.tsv", folder);
  FILE *list = fopen(path, "r");
  size_t count = 0;
  assert_non_null(list);
  while (fgets(line, sizeof line, list)) {
    static const struct {
      const char *name;
      nnm_status status;
    } statuses[] = {{"FORMAT", NNM_ERROR_FORMAT}, {"GRAPH", NNM_ERROR_GRAPH}, {"LIMIT", NNM_ERROR_LIMIT}};
    const char *name = strtok(line, "\t"), *status = strtok(NULL, "\t"), *words = strtok(NULL, "\n");
    nnm_status expected = NNM_OK;
    for (size_t i = 0; i < 3; i++)
      if (!strcmp(status, statuses[i].name)) expected = statuses[i].status;
    assert_int_equal(map(name), NNM_OK);
    nnm_status found = nnm_reader_tensorflow.read(file.data, file.size, &graph, NULL, &error);
    if (found != expected || !strstr(error.message, words))
      print_error("%s: %d, %d expected; \"%s\", %s expected\n", name, found, expected, error.message, words);
    assert_int_equal(found, expected);
    assert_non_null(strstr(error.message, words));
    assert_true(strchr(error.message, ';') || !strcmp(name, "n_cycle.pb"));
    forget(state);
    count++;
  }
  fclose(list);
  assert_true(count > 25);
}

/* Its rows are looked up by halving. */
static void test_table_is_sorted(void **state) {
  (void)state;
  static const char *const some[] = {"Abort", "AddN", "Conv2D", "Placeholder", "While", "_FusedConv2D", "IdentityN"};
  assert_null(nnm_tf_find_op(some[0]));
  assert_null(nnm_tf_find_op(some[1]));
  for (size_t i = 2; i < sizeof some / sizeof some[0]; i++) assert_non_null(nnm_tf_find_op(some[i]));
  assert_true(nnm_tf_ops_are_sorted());
}

static void test_names_mean_tensorflows_operators(void **state) {
  (void)state;
  assert_int_equal(nnm_op_of_graph_def("Where"), NNM_OP_UNKNOWN); /* ONNX's is another */
  assert_int_equal(nnm_op_of_graph_def("LSTM"), NNM_OP_UNKNOWN);
  assert_int_equal(nnm_op_of_graph_def("Pad"), NNM_OP_PAD);
  assert_int_equal(nnm_tf_find_op("Where")->op, NNM_OP_TRUE_POSITIONS);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  folder = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_network, forget),
      cmocka_unit_test_teardown(test_functions, forget),
      cmocka_unit_test_teardown(test_branches, forget),
      cmocka_unit_test_teardown(test_case, forget),
      cmocka_unit_test_teardown(test_loop, forget),
      cmocka_unit_test_teardown(test_loop_of_tensorflow_1, forget),
      cmocka_unit_test_teardown(test_fused, forget),
      cmocka_unit_test_teardown(test_arithmetic, forget),
      cmocka_unit_test_teardown(test_saved_model, forget),
      cmocka_unit_test_teardown(test_input_names, forget),
      cmocka_unit_test_teardown(test_which_graph_and_signature, forget),
      cmocka_unit_test_teardown(test_broken_files, forget),
      cmocka_unit_test(test_table_is_sorted),
      cmocka_unit_test(test_names_mean_tensorflows_operators),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
