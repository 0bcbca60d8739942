/* The ONNX reader on the files of tests/data/onnx (made by make.py there). */
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
  return nnm_reader_onnx.read(data, size, graph, NULL, &error);
}

/* The graph of a good file. The file stays mapped: constants point into it. */
static nnm_mapped_file good_file;

static nnm_graph *read_good(const char *name) {
  good_file = map(name);
  nnm_graph *graph = NULL;
  nnm_status status = read_bytes(good_file.data, good_file.size, &graph);
  if (status != NNM_OK) print_error("%s: %s: %s\n", name, error.place, error.message);
  assert_int_equal(status, NNM_OK);
  return graph;
}

static void done(nnm_graph *graph) {
  nnm_graph_free(graph);
  nnm_unmap_file(&good_file);
}

static const nnm_tensor *tensor(const nnm_graph *graph, const char *name) {
  for (nnm_tensor_id t = 0; t < graph->tensor_count; t++)
    if (!strcmp(graph->tensors[t].name, name)) return &graph->tensors[t];
  print_error("no tensor '%s'\n", name);
  fail();
  return NULL;
}

static const nnm_node *node(const nnm_graph *graph, const char *name) {
  for (nnm_node_id n = 0; n < graph->node_count; n++)
    if (!strcmp(graph->nodes[n].name, name)) return &graph->nodes[n];
  print_error("no node '%s'\n", name);
  fail();
  return NULL;
}

static const nnm_node *node_of_type(const nnm_graph *graph, const char *type) {
  for (nnm_node_id n = 0; n < graph->node_count; n++)
    if (!strcmp(graph->nodes[n].type, type)) return &graph->nodes[n];
  print_error("no node of type %s\n", type);
  fail();
  return NULL;
}

static const nnm_attribute *attribute(const nnm_node *owner, const char *name) {
  const nnm_attribute *found = nnm_find_attribute(owner, name);
  if (!found) print_error("no attribute '%s'\n", name);
  assert_non_null(found);
  return found;
}

static const char *input_name(const nnm_graph *graph, const nnm_node *reader, uint32_t port) {
  assert_true(port < reader->input_count);
  return reader->inputs[port] < 0 ? "" : graph->tensors[reader->inputs[port]].name;
}

static void expect_dims(const nnm_tensor *t, int32_t rank, const int64_t *dims) {
  assert_int_equal(t->rank, rank);
  for (int32_t i = 0; i < rank; i++) assert_int_equal(t->dims[i], dims[i]);
}
#define DIMS(...) \
  (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (int64_t[]) { __VA_ARGS__ }

/* ---- good files */

static void test_network(void **state) {
  (void)state;
  nnm_graph *graph = read_good("y_network.onnx");
  assert_string_equal(graph->format, "onnx");
  assert_string_equal(graph->producer, "make.py 1");
  assert_int_equal(graph->opset, 17);
  assert_int_equal(graph->node_count, 6);
  assert_int_equal(graph->blocks[0].input_count, 1);
  assert_int_equal(graph->blocks[0].output_count, 1);
  const nnm_tensor *x = tensor(graph, "x");
  expect_dims(x, DIMS(-1, 3, 8, 8));
  assert_string_equal(x->symbols[0], "batch");
  assert_null(x->symbols[1]);
  assert_int_equal(x->dtype, NNM_DTYPE_F32);
  assert_int_equal(x->flags, NNM_TENSOR_INPUT);
  expect_dims(tensor(graph, "c"), DIMS(-1, 4, 4, 4));
  assert_int_equal(tensor(graph, "y")->flags, NNM_TENSOR_OUTPUT);
  const nnm_node *conv = node(graph, "conv");
  assert_int_equal(conv->op, nnm_op_of_onnx("", "Conv"));
  size_t count;
  const int64_t *pads = nnm_attribute_ints(conv, "pads", &count);
  assert_int_equal(count, 4);
  assert_int_equal(pads[3], 1);
  assert_true(nnm_attribute_float(node(graph, "bn"), "epsilon", 0) > 9e-6);
  int64_t value;
  assert_true(nnm_constant_int(tensor(graph, "shape")->constant, 1, &value));
  assert_int_equal(value, -1);
  const nnm_tensor *stripped = tensor(graph, "fc.w");
  expect_dims(stripped, DIMS(10, 4));
  assert_int_equal(stripped->flags, NNM_TENSOR_WEIGHT);
  assert_null(stripped->constant->bytes);
  /* elements stay where they are */
  const unsigned char *bytes = tensor(graph, "w")->constant->bytes;
  assert_true(bytes > good_file.data && bytes < good_file.data + good_file.size);
  done(graph);
}

static void expect_numbers(const nnm_graph *graph, const char *name, double first, double second, double third) {
  const nnm_constant *constant = tensor(graph, name)->constant;
  double expected[] = {first, second, third}, number;
  for (size_t i = 0; i < 3; i++) {
    if (!nnm_constant_float(constant, i, &number) || number < expected[i] || number > expected[i])
      print_error("%s[%zu] is not %g\n", name, i, expected[i]);
    assert_true(nnm_constant_float(constant, i, &number));
    assert_true(number >= expected[i] && number <= expected[i]);
  }
}

static void test_typed_data(void **state) {
  (void)state;
  nnm_graph *graph = read_good("y_typed_data.onnx");
  static const char *const same[] = {"float", "double", "int64", "uint64",  "uint32",   "int32", "int16",
                                     "int8",  "uint16", "uint8", "float16", "bfloat16", "raw"};
  for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) expect_numbers(graph, same[i], 1, 2, 3);
  expect_numbers(graph, "bool", 1, 0, 1);
  expect_numbers(graph, "negative", -1, -2, -3);
  const nnm_constant *int4 = tensor(graph, "int4")->constant;
  assert_int_equal(int4->dtype, NNM_DTYPE_I4);
  assert_int_equal(int4->size, 2);
  assert_memory_equal(int4->bytes, "\x21\x03", 2);
  assert_int_equal(tensor(graph, "float8")->dtype, NNM_DTYPE_F8);
  assert_int_equal(tensor(graph, "string")->dtype, NNM_DTYPE_STRING);
  assert_null(tensor(graph, "string")->constant->bytes);
  assert_int_equal(tensor(graph, "complex64")->constant->size, 24);
  assert_true(tensor(graph, "one_for_all")->constant->splat);
  double number;
  assert_true(nnm_constant_float(tensor(graph, "one_for_all")->constant, 99, &number));
  assert_true(number >= 7 && number <= 7);
  assert_int_equal(tensor(graph, "scalar")->rank, 0);
  int64_t value;
  assert_true(nnm_constant_int(tensor(graph, "scalar")->constant, 0, &value));
  assert_int_equal(value, 5);
  expect_dims(tensor(graph, "empty"), DIMS(0));
  assert_non_null(tensor(graph, "empty")->constant->bytes); /* nothing is missing */
  assert_int_equal(tensor(graph, "empty")->constant->size, 0);
  assert_null(tensor(graph, "many")->constant->bytes); /* too many to be a shape */
  assert_non_null(tensor(graph, "many_floats")->constant->bytes);
  expect_dims(tensor(graph, "outside"), DIMS(1000, 1000));
  assert_null(tensor(graph, "outside")->constant->bytes);
  done(graph);
}

static void test_attributes(void **state) {
  (void)state;
  nnm_graph *graph = read_good("y_attributes.onnx");
  const nnm_node *every = node(graph, "every");
  assert_string_equal(every->domain, "custom");
  assert_int_equal(every->op, NNM_OP_UNKNOWN);
  assert_int_equal(nnm_attribute_int(every, "an_int", 0), -7);
  assert_true(nnm_attribute_float(every, "a_float", 0) >= 0.5);
  assert_string_equal(nnm_attribute_text(every, "a_text", ""), "text");
  assert_string_equal(nnm_attribute_text(every, "bytes", ""), "???ok");
  const nnm_attribute *ints = attribute(every, "ints"), *floats = attribute(every, "floats");
  assert_int_equal(ints->count, 3);
  assert_int_equal(ints->as.integers[1], -2);
  assert_int_equal(floats->kind, NNM_ATTRIBUTE_FLOATS);
  assert_true(floats->as.numbers[1] <= -1.5 && floats->as.numbers[1] >= -1.5);
  assert_string_equal(attribute(every, "texts")->as.texts[1], "b");
  assert_int_equal(attribute(every, "a_tensor")->as.tensor->dims[0], 2);
  assert_int_equal(attribute(every, "no_ints")->kind, NNM_ATTRIBUTE_INTS);
  assert_int_equal(attribute(every, "no_ints")->count, 0);
  assert_int_equal(nnm_attribute_int(every, "zero", 1), 0);
  assert_int_equal(nnm_attribute_int(every, "untyped", 0), 3);
  assert_int_equal(nnm_attribute_int(every, "two_kinds", 0), 9);
  int tensors = 0;
  for (uint32_t i = 0; i < every->attribute_count; i++) tensors += !strcmp(every->attributes[i].name, "tensors");
  assert_int_equal(tensors, 2);
  assert_int_equal(attribute(every, "sparse")->as.tensor->dims[1], 5);
  assert_null(nnm_find_attribute(every, "a_type"));
  expect_dims(tensor(graph, "sparse_weight"), DIMS(6, 7));
  assert_int_equal(tensor(graph, "sparse_weight")->flags, NNM_TENSOR_WEIGHT);
  done(graph);
}

static void test_constants(void **state) {
  (void)state;
  nnm_graph *graph = read_good("y_constants.onnx");
  static const struct {
    const char *tensor, *attribute;
    nnm_attribute_kind kind;
  } expected[] = {
      {"tensor", "value", NNM_ATTRIBUTE_TENSOR},        {"int", "value_int", NNM_ATTRIBUTE_INT},
      {"ints", "value_ints", NNM_ATTRIBUTE_INTS},       {"float", "value_float", NNM_ATTRIBUTE_FLOAT},
      {"floats", "value_floats", NNM_ATTRIBUTE_FLOATS}, {"text", "value_string", NNM_ATTRIBUTE_TEXT},
      {"texts", "value_strings", NNM_ATTRIBUTE_TEXTS},  {"sparse", "sparse_value", NNM_ATTRIBUTE_TENSOR},
  };
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    const nnm_tensor *result = tensor(graph, expected[i].tensor);
    assert_int_equal(result->flags, 0); /* a node's result, not a weight */
    assert_int_equal(attribute(&graph->nodes[result->producer], expected[i].attribute)->kind, expected[i].kind);
  }
  done(graph);
}

static void test_names(void **state) {
  (void)state;
  nnm_graph *graph = read_good("y_names.onnx");
  assert_int_equal(graph->node_count, 5);
  const nnm_node *resize = node_of_type(graph, "Resize");
  assert_int_equal(resize->input_count, 3);
  assert_int_equal(resize->inputs[1], -1);
  assert_string_equal(graph->nodes[1].name, "same");
  assert_string_equal(graph->nodes[2].name, "");
  assert_int_equal(node_of_type(graph, "Dropout")->outputs[1], -1);
  tensor(graph, "gr\xc3\xbc\xc3\x9f"
                "e");
  done(graph);
}

static void test_bodies(void **state) {
  (void)state;
  nnm_graph *graph = read_good("y_bodies.onnx");
  assert_int_equal(graph->block_count, 6);
  const nnm_node *outer = node(graph, "outer_if"), *inner = node(graph, "inner_if"), *loop = node(graph, "loop");
  nnm_block_id then = attribute(outer, "then_branch")->as.block;
  assert_int_equal(inner->block, then);
  assert_int_equal(graph->blocks[attribute(inner, "else_branch")->as.block].parent, then);
  assert_string_equal(graph->blocks[then].name, "then_branch");
  /* a body reads what is defined around it, even if later; the If then runs after that */
  const nnm_node *deep = node(graph, "deep_add");
  assert_string_equal(input_name(graph, deep, 0), "outside");
  assert_int_equal(graph->tensors[deep->inputs[0]].block, 0);
  assert_string_equal(graph->nodes[graph->blocks[0].nodes[0]].name, "defines_late");
  /* ... and its own weight or input before one of the same name outside */
  const nnm_tensor *own = &graph->tensors[node(graph, "reads_own")->inputs[0]];
  assert_int_equal(own->block, attribute(outer, "else_branch")->as.block);
  assert_int_equal(own->flags, NNM_TENSOR_WEIGHT);
  const nnm_tensor *formal = &graph->tensors[node(graph, "loop_add")->inputs[0]];
  assert_int_equal(formal->flags, NNM_TENSOR_BLOCK_INPUT);
  const nnm_block *body = &graph->blocks[attribute(loop, "body")->as.block];
  assert_int_equal(body->input_count, 3);
  assert_int_equal(body->output_count, 2);
  expect_dims(formal, DIMS(1));
  assert_int_equal(loop->inputs[1], -1);
  done(graph);
}

static void expect_type_and_input(const nnm_graph *graph, const char *name, const char *type, const char *input) {
  const nnm_node *found = node(graph, name);
  assert_string_equal(found->type, type);
  assert_string_equal(input_name(graph, found, 0), input);
}

static void test_functions(void **state) {
  (void)state;
  nnm_graph *graph = read_good("y_functions.onnx");
  assert_int_equal(graph->opset, 17);
  for (nnm_node_id n = 0; n < graph->node_count; n++) assert_string_equal(graph->nodes[n].domain, "");
  expect_type_and_input(graph, "first#1/add", "Add", "x");
  expect_type_and_input(graph, "first#1/call#2/elu", "Elu", "first#1/t");
  expect_type_and_input(graph, "first#1/relu", "Relu", "first#1/u");
  expect_type_and_input(graph, "Outer#3/add", "Add", "o"); /* the unnamed call goes by its type */
  expect_type_and_input(graph, "second#5/sigmoid", "Sigmoid", "second_in");
  expect_type_and_input(graph, "clip#8/max", "Max", "chosen");
  assert_int_equal(node(graph, "clip#8/max")->inputs[1], -1);
  /* attributes: from the caller's caller, else the default of the function that has one */
  assert_true(nnm_attribute_float(node(graph, "first#1/call#2/elu"), "alpha", 0) >= 0.75);
  double second = nnm_attribute_float(node(graph, "Outer#3/call#4/elu"), "alpha", -1);
  assert_true(second <= -1); /* the outer function was given none, and hands none down */
  /* an input handed on as an output */
  const nnm_node *identity = node_of_type(graph, "Identity");
  assert_string_equal(input_name(graph, identity, 0), "second_out");
  assert_string_equal(graph->tensors[identity->outputs[0]].name, "kept");
  /* bodies inside a function see its formal names, unless they have their own */
  expect_type_and_input(graph, "choose#7/branch_relu", "Relu", "kept");
  expect_type_and_input(graph, "choose#7/branch_neg", "Neg", "x");
  const nnm_node *hiding = node(graph, "choose#7/branch_neg");
  assert_int_equal(graph->tensors[hiding->outputs[0]].block, hiding->block);
  done(graph);
}

static void expect_flags(const nnm_graph *graph, const char *name, uint32_t flags) {
  if (tensor(graph, name)->flags != flags) print_error("%s\n", name);
  assert_int_equal(tensor(graph, name)->flags, flags);
}

static void test_weights_as_inputs(void **state) {
  (void)state;
  nnm_graph *graph = read_good("y_weights_as_inputs.onnx");
  static const char *const weights[] = {"conv.weight", "conv.bias", "bn.weight", "bn.bias", "m",
                                        "v",           "fc",        "offset",    "default", "rnn.weight_ih_l0"};
  static const char *const data[] = {"x", "other_data", "dynamic"};
  for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++)
    expect_flags(graph, weights[i], NNM_TENSOR_WEIGHT | NNM_TENSOR_LISTED);
  for (size_t i = 0; i < sizeof data / sizeof data[0]; i++) expect_flags(graph, data[i], NNM_TENSOR_INPUT);
  expect_flags(graph, "handed.weight", NNM_TENSOR_INPUT | NNM_TENSOR_OUTPUT);
  expect_dims(tensor(graph, "conv.weight"), DIMS(4, 3, 3, 3));
  assert_int_equal(graph->blocks[0].input_count, 4);
  done(graph);
}

static void test_by_hand(void **state) {
  (void)state;
  static const char *const names[] = {"y_by_hand.onnx", "y_by_hand_in_order.onnx"};
  for (size_t i = 0; i < 2; i++) {
    nnm_graph *graph = read_good(names[i]);
    assert_int_equal(graph->opset, 1);
    size_t count;
    const int64_t *kernel = nnm_attribute_ints(node_of_type(graph, "Conv"), "kernel_shape", &count);
    assert_int_equal(count, 2);
    assert_int_equal(kernel[1], 3);
    assert_int_equal(nnm_attribute_ints(node_of_type(graph, "Conv"), "pads", &count)[3], 4);
    expect_dims(tensor(graph, "w"), DIMS(4, 3, 3, 3));
    done(graph);
  }
}

static void test_formats_are_told_apart(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int sure;
  } files[] = {{"y_network.onnx", 2},      {"y_functions.onnx", 2}, {"y_by_hand_in_order.onnx", 2},
               {"y_by_hand.onnx", 1},      {"n_json.onnx", 0},      {"n_zip.onnx", 0},
               {"n_tflite.onnx", 0},       {"n_empty.onnx", 0},     {"n_saved_model.onnx", 0},
               {"n_frozen_graph.onnx", 0}, {"n_pickle.onnx", 0},    {"n_text.onnx", 0}};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    nnm_mapped_file file = map(files[i].name);
    if (nnm_reader_onnx.probe(file.data, file.size) != files[i].sure) print_error("%s\n", files[i].name);
    assert_int_equal(nnm_reader_onnx.probe(file.data, file.size), files[i].sure);
    nnm_unmap_file(&file);
  }
}

static void test_registry(void **state) {
  (void)state;
  const nnm_reader *found = NULL;
  assert_int_equal(nnm_find_reader("onnx", NULL, 0, &found, &error), NNM_OK);
  assert_ptr_equal(found, &nnm_reader_onnx);
  for (const char *const *name = nnm_formats(); *name; name++) {
    assert_int_equal(nnm_find_reader(*name, NULL, 0, &found, &error), NNM_OK);
    assert_string_equal(found->name, *name);
  }
  assert_int_equal(nnm_find_reader("caffe", NULL, 0, &found, &error), NNM_ERROR_NOT_FOUND);
  assert_non_null(strstr(error.message, "onnx, "));
  nnm_mapped_file file = map("n_zip.onnx");
  assert_int_equal(nnm_find_reader(NULL, file.data, file.size, &found, &error), NNM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "torch.onnx.export"));
  nnm_unmap_file(&file);
}

/* ---- bad files */

static const char *const status_names[] = {
    [NNM_ERROR_FORMAT] = "FORMAT", [NNM_ERROR_LIMIT] = "LIMIT", [NNM_ERROR_GRAPH] = "GRAPH"};

static void expect_bad(const char *name, const char *status_name, const char *part) {
  nnm_mapped_file file = map(name);
  nnm_graph *graph = NULL;
  nnm_status status = read_bytes(file.data, file.size, &graph);
  nnm_unmap_file(&file);
  bool right = (status == NNM_ERROR_FORMAT || status == NNM_ERROR_LIMIT || status == NNM_ERROR_GRAPH) &&
               !strcmp(status_names[status], status_name) && strstr(error.message, part) && !graph;
  if (!right) print_error("%s: status %d: %s: %s\n", name, (int)status, error.place, error.message);
  assert_true(right);
  assert_null(strchr(error.message, '\n'));
  assert_true(strchr(error.message, ';') || strchr(error.message, ':')); /* a remedy */
}

static void test_bad_files(void **state) {
  (void)state;
  FILE *list = fopen(path_of("expected.tsv"), "r");
  assert_non_null(list);
  char line[512];
  int rows = 0, files = 0;
  while (fgets(line, sizeof line, list)) {
    char *name = strtok(line, "\t"), *status = strtok(NULL, "\t"), *part = strtok(NULL, "\n");
    assert_non_null(part);
    expect_bad(name, status, part);
    rows++;
  }
  fclose(list);
  DIR *entries = opendir(folder);
  assert_non_null(entries);
  for (struct dirent *entry; (entry = readdir(entries));) files += !strncmp(entry->d_name, "n_", 2);
  closedir(entries);
  assert_int_equal(files, rows);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  folder = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_network),    cmocka_unit_test(test_typed_data),
      cmocka_unit_test(test_attributes), cmocka_unit_test(test_constants),
      cmocka_unit_test(test_names),      cmocka_unit_test(test_bodies),
      cmocka_unit_test(test_functions),  cmocka_unit_test(test_weights_as_inputs),
      cmocka_unit_test(test_by_hand),    cmocka_unit_test(test_formats_are_told_apart),
      cmocka_unit_test(test_registry),   cmocka_unit_test(test_bad_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
