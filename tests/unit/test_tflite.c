/* The TFLite reader on the files of tests/data/tflite (made by make.py there). */
#include <dirent.h>
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
#include "shapes/shapes.h"

static const char *folder;
static nnm_error error;

/* ---- helpers */

static const char *path_of(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static nnm_mapped_file map(const char *name) {
  nnm_mapped_file file;
  assert_int_equal(nnm_map_file(path_of(name), &file, &error), NNM_OK);
  return file;
}

static nnm_status read_bytes(const unsigned char *data, size_t size, nnm_graph **graph) {
  error = (nnm_error){0};
  return nnm_reader_tflite.read(data, size, graph, NULL, &error);
}

/* A good file, its graph and shapes. The file stays mapped: constants point into it. */
static nnm_mapped_file good_file;
static nnm_graph *graph;
static nnm_shapes *shapes;

static void read_good(const char *name) {
  good_file = map(name);
  nnm_status status = read_bytes(good_file.data, good_file.size, &graph);
  if (status == NNM_OK) status = nnm_infer_graph_shapes(graph, NULL, &shapes, &error);
  if (status != NNM_OK) print_error("%s: %s: %s\n", name, error.place, error.message);
  assert_int_equal(status, NNM_OK);
}

static void done(void) {
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
  shapes = NULL;
  graph = NULL;
  nnm_unmap_file(&good_file);
}

static nnm_tensor_id tensor_id(const char *name) {
  for (nnm_tensor_id t = 0; t < graph->tensor_count; t++)
    if (!strcmp(graph->tensors[t].name, name)) return t;
  print_error("no tensor '%s'\n", name);
  fail();
  return -1;
}
static const nnm_tensor *tensor(const char *name) { return &graph->tensors[tensor_id(name)]; }

/* What makes a tensor. */
static const nnm_node *maker(const char *name) {
  nnm_node_id producer = tensor(name)->producer;
  if (producer < 0) print_error("nothing makes '%s'\n", name);
  assert_true(producer >= 0);
  return &graph->nodes[producer];
}

static void expect_shape(const char *name, const char *expected) {
  nnm_shape shape = shapes->tensors[tensor_id(name)];
  char text[200] = "";
  for (int32_t i = 0; i < shape.rank; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld", i ? "x" : "", (long long)shape.dims[i]);
  if (strcmp(text, expected) != 0) print_error("shape of '%s'\n", name);
  assert_string_equal(text, expected);
}

static void expect_ints(const nnm_node *node, const char *name, int64_t first, int64_t second) {
  size_t count;
  const int64_t *values = nnm_attribute_ints(node, name, &count);
  assert_true(count >= 2);
  assert_int_equal(values[0], first);
  assert_int_equal(values[1], second);
}

/* ---- good files */

static void test_network(void **state) {
  (void)state;
  read_good("y_network.tflite");
  assert_string_equal(graph->format, "tflite");
  assert_true(graph->is_converted);
  assert_string_equal(graph->producer, "make.py");
  assert_int_equal(tensor("x")->dims[0], -1); /* the signature leaves it open; the shape says 1 */
  assert_int_equal(tensor("x")->flags, NNM_TENSOR_INPUT);
  assert_int_equal(tensor("y")->flags, NNM_TENSOR_OUTPUT);
  /* the activation is a node of its own and keeps the name of the result */
  const nnm_node *relu = maker("relu;conv;bias"), *conv = &graph->nodes[graph->tensors[relu->inputs[0]].producer];
  assert_int_equal(relu->op, NNM_OP_RELU6);
  assert_string_equal(relu->type, "RELU6");
  assert_string_equal(conv->type, "CONV_2D");
  assert_string_equal(conv->name, "relu"); /* the first of the names that the converter has joined */
  assert_int_equal(conv->op, NNM_OP_CONV);
  assert_int_equal(conv->layout, NNM_CHANNELS_LAST);
  assert_int_equal(conv->weight_layout, NNM_WEIGHT_OXI);
  expect_ints(conv, "strides", 2, 1);
  expect_ints(conv, "kernel_shape", 3, 2);
  assert_string_equal(nnm_attribute_text(conv, "auto_pad", ""), "SAME_UPPER");
  nnm_window window;
  assert_true(nnm_window_of(graph, shapes, tensor("deep")->producer, &window));
  assert_int_equal(window.group, 4); /* as many as input channels, each with two outputs */
  assert_int_equal(window.output_channels, 8);
  assert_int_equal(window.dilation[0], 2);
  assert_int_equal(maker("deep")->input_count, 3); /* a bias left out */
  assert_int_equal(maker("deep")->inputs[2], -1);
  expect_shape("relu;conv;bias", "1x5x8x4");
  expect_shape("deep", "1x5x8x8");
  expect_shape("pooled", "1x2x4x8");
  expect_shape("mean", "1x1x1x8");
  expect_shape("dense", "1x10");
  /* a fully connected layer flattens its input */
  const nnm_node *view = &graph->nodes[graph->tensors[maker("dense")->inputs[0]].producer];
  assert_int_equal(view->op, NNM_OP_RESHAPE);
  assert_int_equal(nnm_node_multiply_adds(graph, shapes, tensor("dense")->producer), 80);
  done();
  nnm_shape_options options = {.batch_size = 3};
  good_file = map("y_network.tflite");
  assert_int_equal(read_bytes(good_file.data, good_file.size, &graph), NNM_OK);
  assert_int_equal(nnm_infer_graph_shapes(graph, &options, &shapes, &error), NNM_OK);
  expect_shape("pooled", "3x2x4x8");
  expect_shape("dense", "3x10");
  done();
}

static void test_identifier(void **state) {
  (void)state;
  nnm_mapped_file with = map("y_network.tflite"), without = map("y_no_identifier.tflite");
  assert_int_equal(nnm_reader_tflite.probe(with.data, with.size), 2);
  assert_int_equal(nnm_reader_tflite.probe(without.data, without.size), 0); /* only for whoever asks for it */
  nnm_unmap_file(&with);
  nnm_unmap_file(&without);
  read_good("y_no_identifier.tflite");
  expect_shape("y", "1x10");
  done();
}

static void test_names(void **state) {
  (void)state;
  read_good("y_names.tflite");
  assert_int_equal(graph->node_count, 4);
  for (nnm_tensor_id t = 0; t < graph->tensor_count; t++) assert_int_equal(tensor_id(graph->tensors[t].name), t);
  assert_string_equal(graph->tensors[maker("same")->inputs[0]].name, "same#1"); /* which the file calls so */
  assert_string_equal(graph->tensors[maker("same#2")->inputs[0]].name, "same");
  assert_int_equal(tensor("tensor_4")->flags, NNM_TENSOR_OUTPUT);
  done();
}

static void test_stored_weights(void **state) {
  (void)state;
  read_good("y_stored.tflite");
  assert_int_equal(tensor("half")->dtype, NNM_DTYPE_F16);
  assert_int_equal(shapes->dtypes[tensor_id("widened")], NNM_DTYPE_F32);
  static const char *const constants[] = {"widened", "dense", "stripped", "outside"};
  for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
    assert_true(shapes->constant[tensor_id(constants[i])]);
  assert_false(shapes->executed[tensor("widened")->producer]); /* done once, when the model is loaded */
  assert_false(shapes->executed[tensor("dense")->producer]);
  assert_null(tensor("sparse")->constant->bytes); /* its elements are not those of the shape */
  assert_null(tensor("stripped")->constant->bytes);
  const nnm_constant *outside = tensor("outside")->constant;
  assert_ptr_equal(outside->bytes, good_file.data + good_file.size - 64);
  assert_int_equal(outside->bytes[63], 63);
  assert_int_equal(shapes->dtypes[tensor_id("int8")], NNM_DTYPE_I8);
  assert_int_equal(maker("int8")->op, NNM_OP_QUANTIZE_LINEAR);
  const nnm_node *clip = maker("d");
  assert_int_equal(clip->op, NNM_OP_CLIP);
  assert_true(nnm_attribute_float(clip, "min", 0) <= -1 && nnm_attribute_float(clip, "max", 0) >= 1);
  done();
}

static void test_types(void **state) {
  (void)state;
  read_good("y_types.tflite");
  static const char *const same[] = {"float", "half",   "int32",  "uint8",  "int64", "int16",
                                     "int8",  "double", "uint64", "uint32", "uint16"};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++)
    for (size_t k = 0; k < 3; k++) {
      double number;
      assert_true(nnm_constant_float(tensor(same[i])->constant, k, &number));
      if (number < (double)k + 1 || number > (double)k + 1) print_error("%s[%zu]\n", same[i], k);
      assert_true(number >= (double)k + 1 && number <= (double)k + 1);
    }
  assert_int_equal(tensor("bool")->dtype, NNM_DTYPE_BOOL);
  assert_int_equal(tensor("int4")->dtype, NNM_DTYPE_I4);
  assert_int_equal(tensor("strange")->dtype, NNM_DTYPE_UNKNOWN);
  assert_int_equal(tensor("scalar")->rank, 0);
  assert_non_null(tensor("empty")->constant->bytes); /* nothing is missing */
  assert_int_equal(graph->note_count, 1);
  assert_non_null(strstr(graph->notes[0], "element type that is not known (77)"));
  done();
}

static void test_operators(void **state) {
  (void)state;
  static const struct {
    const char *tensor, *shape;
  } expected[] = {
      {"split_1", "1x8x6x2"},     {"split_2", "1x8x6x2"},   {"split_v_1", "1x8x6x1"}, {"split_v_2", "1x8x6x2"},
      {"split_v_3", "1x8x6x1"},   {"sliced", "1x3x4x2"},    {"strided", "1x3x3"},     {"transposed", "1x4x8x6"},
      {"by_option", "2x96"},      {"by_input", "1x48x4"},   {"squeezed", "8x6x4"},    {"largest", "1x8x6"},
      {"embedded", "2x5"},        {"gathered", "1x8x2x4"},  {"upwards", "1x16x12x5"}, {"computed_up", "1x48x8x5"},
      {"batched", "6x5x2x4"},     {"unbatched", "1x8x6x4"}, {"deep", "1x4x3x16"},     {"filled", "1x48x4"},
      {"broadcast", "3x48x4"},    {"where", "192x3"},       {"scattered", "3x1x4"},   {"chosen", "7"},
      {"their_scores", "7"},      {"how_many", ""},         {"rows", "9x5"},          {"hlo", "1x6x8x4"},
      {"convolved", "1x2x4x2x5"},
  };
  read_good("y_operators.tflite");
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) expect_shape(expected[i].tensor, expected[i].shape);
  const nnm_value *both = shapes->values[tensor_id("both")];
  assert_non_null(both);
  assert_int_equal(both->as.integers[0], 3);
  assert_int_equal(both->as.integers[1], 48);
  assert_int_equal(maker("transposed")->input_count, 1); /* the order of axes has become an attribute */
  for (nnm_node_id n = 0; n < graph->node_count; n++) assert_int_not_equal(graph->nodes[n].op, NNM_OP_UNKNOWN);
  done();
}

static void test_recurrent_layers(void **state) {
  (void)state;
  read_good("y_recurrent.tflite");
  expect_shape("lstm", "1x20x16");
  expect_shape("rnn", "1x20x6");
  expect_shape("both", "1x20x12");
  expect_shape("svdf", "1x6");
  assert_int_equal(nnm_node_multiply_adds(graph, shapes, tensor("lstm")->producer), 20 * (4 * 16 * 8 + 4 * 16 * 16));
  assert_int_equal(nnm_node_multiply_adds(graph, shapes, tensor("both")->producer), 20 * 2 * (6 * 16 + 6 * 6));
  assert_int_equal(nnm_node_multiply_adds(graph, shapes, tensor("svdf/before_activation")->producer), 12 * 10 + 12 * 5);
  assert_false(shapes->constant[tensor_id("state")]); /* it changes from run to run */
  done();
}

static void test_bodies(void **state) {
  (void)state;
  read_good("y_bodies.tflite");
  assert_int_equal(graph->block_count, 5);
  const nnm_node *choice = maker("chosen"), *counted = maker("counted"), *uncounted = maker("uncounted");
  assert_int_equal(choice->op, NNM_OP_IF);
  assert_int_equal(choice->input_count, 1);
  expect_shape("chosen", "1x4"); /* of the dearer branch */
  assert_int_equal(counted->op, NNM_OP_LOOP);
  nnm_block_id body = nnm_find_attribute(counted, "body")->as.block;
  assert_int_equal(shapes->turns[body], 7);                /* 1, 3, ... 13 are less than 15 */
  assert_int_equal(graph->blocks[body].node_count, 2 + 3); /* two arguments; the condition runs in each turn, too */
  assert_int_equal(uncounted->inputs[0], -1);
  assert_int_equal(shapes->turns[nnm_find_attribute(uncounted, "body")->as.block], 1);
  bool said = false;
  for (size_t i = 0; i < shapes->note_count; i++) said = said || strstr(shapes->notes[i], "how often it turns");
  assert_true(said);
  done();
}

static void test_variables(void **state) {
  (void)state;
  read_good("y_variables.tflite");
  expect_shape("before", "1x4");
  assert_false(shapes->constant[tensor_id("before")]);
  assert_true(shapes->executed[tensor("after")->producer]);
  for (nnm_node_id n = 0; n < graph->node_count; n++) assert_int_not_equal(graph->nodes[n].op, NNM_OP_UNKNOWN);
  done();
}

static void test_composites(void **state) {
  (void)state;
  read_good("y_composite.tflite");
  size_t tanh_count = 0;
  for (nnm_node_id n = 0; n < graph->node_count; n++) tanh_count += graph->nodes[n].op == NNM_OP_TANH;
  assert_int_equal(tanh_count, 2);
  assert_int_equal(maker("twice")->op, NNM_OP_IDENTITY);
  assert_true(tensor("twice")->flags & NNM_TENSOR_OUTPUT);
  done();
}

/* Axes by number: layouts, equations and windows are found in them. */
static void test_stablehlo(void **state) {
  (void)state;
  read_good("y_stablehlo.tflite");
  static const struct {
    const char *tensor, *shape;
    nnm_op op;
    int64_t multiply_adds;
  } rows[] = {{"plain", "1x4x6x16", NNM_OP_CONV, 4 * 6 * 16 * 36},
              {"grouped", "1x4x4x16", NNM_OP_CONV, 4 * 4 * 16 * 18},
              {"first", "1x5x6x4", NNM_OP_CONV, 5 * 6 * 4 * 72},
              {"turned", "1x15x11x16", NNM_OP_UNKNOWN, 0}, /* as the file says */
              {"dense", "1x8x6x10", NNM_OP_EINSUM, 48 * 4 * 10},
              {"scores", "1x8x6x6", NNM_OP_EINSUM, 8 * 6 * 6 * 4},
              {"sum", "1x4", NNM_OP_REDUCE_SUM, 0},
              {"largest", "1x8x6", NNM_OP_REDUCE_MAX, 0},
              {"pooled", "1x4x3x4", NNM_OP_MAX_POOL, 0},
              {"padded", "1x11x6x4", NNM_OP_PAD, 0},
              {"spread", "1x15x6x4", NNM_OP_LITE_MOVE, 0}, /* as the file says */
              {"cut", "1x2x3x4", NNM_OP_SLICE, 0},
              {"sorted", "1x8x6x4", NNM_OP_LITE_SORT, 0},
              {"along", "1x11x6x4", NNM_OP_LITE_SORT, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    expect_shape(rows[i].tensor, rows[i].shape);
    assert_int_equal(maker(rows[i].tensor)->op, rows[i].op);
    assert_int_equal(nnm_node_multiply_adds(graph, shapes, tensor(rows[i].tensor)->producer), rows[i].multiply_adds);
  }
  done();
}

static void test_signatures(void **state) {
  (void)state;
  read_good("y_signatures.tflite");
  assert_int_equal(graph->node_count, 1);
  assert_int_equal(graph->nodes[0].op, NNM_OP_TANH);
  assert_int_equal(graph->note_count, 1);
  assert_non_null(strstr(graph->notes[0], "only the first, 'second', is read"));
  done();
}

static void test_custom_operators(void **state) {
  (void)state;
  read_good("y_custom.tflite");
  const nnm_node *custom = maker("known"), *newer = maker("new");
  assert_int_equal(custom->op, NNM_OP_UNKNOWN);
  assert_string_equal(custom->type, "TFLite_Detection_PostProcess");
  assert_string_equal(custom->domain, "custom");
  assert_int_equal(maker("erf")->op, NNM_OP_ERF); /* TensorFlow's own, behind TFLite */
  assert_int_equal(newer->op, NNM_OP_UNKNOWN);
  assert_string_equal(newer->type, "BUILTIN_999");
  expect_shape("erf", "1x6");
  expect_shape("new", "1x7");
  done();
}

/* ---- bad files */

static const char *status_name(nnm_status status) {
  switch (status) {
  case NNM_ERROR_FORMAT: return "FORMAT";
  case NNM_ERROR_GRAPH: return "GRAPH";
  case NNM_ERROR_LIMIT: return "LIMIT";
  case NNM_ERROR_UNSUPPORTED: return "UNSUPPORTED";
  default: return "?";
  }
}

static void test_bad_files(void **state) {
  (void)state;
  FILE *list = fopen(path_of("expected.tsv"), "r");
  assert_non_null(list);
  char line[512];
  size_t count = 0;
  for (; fgets(line, sizeof line, list); count++) {
    char *name = strtok(line, "\t"), *status = strtok(NULL, "\t"), *message = strtok(NULL, "\n");
    assert_non_null(message);
    nnm_mapped_file file = map(name);
    nnm_graph *read = NULL;
    nnm_status got = read_bytes(file.data, file.size, &read);
    bool good = !strcmp(status_name(got), status) && strstr(error.message, message) && !read;
    if (!good) print_error("%s: %d: %s: %s\n", name, got, error.place, error.message);
    assert_true(good);
    nnm_unmap_file(&file);
  }
  fclose(list);
  size_t files = 0;
  DIR *directory = opendir(folder);
  assert_non_null(directory);
  for (struct dirent *entry; (entry = readdir(directory));) files += !strncmp(entry->d_name, "n_", 2);
  closedir(directory);
  assert_int_equal(count, files);
  assert_true(count > 40);
}

/* The place says where in the file, or which operator. */
static void test_places(void **state) {
  (void)state;
  static const struct {
    const char *file, *place;
  } expected[] = {
      {"n_cut_short.tflite", "byte "},
      {"n_buffer_outside.tflite", "byte "},
      {"n_padding.tflite", "operator 0 (CONV_2D) of subgraph 0"},
      {"n_runs_itself.tflite", "operator 0 (IF) of subgraph 0"},
  };
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    nnm_mapped_file file = map(expected[i].file);
    nnm_graph *read = NULL;
    assert_int_not_equal(read_bytes(file.data, file.size, &read), NNM_OK);
    assert_int_equal(strncmp(error.place, expected[i].place, strlen(expected[i].place)), 0);
    nnm_unmap_file(&file);
  }
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  folder = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_network),
      cmocka_unit_test(test_identifier),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_stored_weights),
      cmocka_unit_test(test_operators),
      cmocka_unit_test(test_bodies),
      cmocka_unit_test(test_recurrent_layers),
      cmocka_unit_test(test_variables),
      cmocka_unit_test(test_composites),
      cmocka_unit_test(test_stablehlo),
      cmocka_unit_test(test_signatures),
      cmocka_unit_test(test_custom_operators),
      cmocka_unit_test(test_bad_files),
      cmocka_unit_test(test_places),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
