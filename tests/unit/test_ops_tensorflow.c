/* Operators that only TensorFlow has: shapes, and what is folded of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph_maker.h"

static graph_maker maker;

/* One operator on inputs of some shapes and constant lists: what comes out. */
typedef struct operator_case {
  const char *type;
  const char *shapes[4];   /* of inputs; "=1 2 3": a constant list; "=7" one number */
  const char *expected[4]; /* of outputs */
  const char *ints[4];     /* attributes: name, list, ... */
} operator_case;

static const operator_case cases[] = {
    {"tf.Slice", {"4x5x6", "=0 1 2", "=-1 3 -1"}, {"4x3x4"}, {0}},
    {"tf.Where", {"4x5"}, {"20x2"}, {0}},
    {"tf.Unique", {"9"}, {"9", "9"}, {0}},
    {"tf.ScatterNd", {"3x1", "3x4", "=7 4"}, {"7x4"}, {0}},
    {"tf.RandomUniform", {"=2 3"}, {"2x3"}, {0}},
    {"ShapeN", {"4x5", "7"}, {"2", "1"}, {0}},
    {"Rank", {"4x5"}, {"scalar"}, {0}},
    {"L2Loss", {"4x5"}, {"scalar"}, {0}},
    {"BroadcastArgs", {"=1 4", "=3 1 1"}, {"3"}, {0}},
    {"MatrixDiag", {"3x4"}, {"3x4x4"}, {0}},
    {"MatrixDiagPart", {"3x5x4"}, {"3x4"}, {0}},
    {"MatrixSolve", {"3x4x4", "3x4x2"}, {"3x4x2"}, {0}},
    {"SegmentSum", {"6x3", "6"}, {"6x3"}, {0}},
    {"UnsortedSegmentSum", {"6x2x3", "6x2", "=4"}, {"4x3"}, {0}},
    {"SparseSegmentSum", {"9x3", "5", "5", "=2"}, {"2x3"}, {0}},
    {"Bincount", {"3x8", "=5"}, {"3x5"}, {0}},
    {"SparseToDense", {"3x2", "=6 7", "3"}, {"6x7"}, {0}},
    {"SparseFillEmptyRows", {"5x2", "5", "=9 4"}, {"5x2", "5", "9", "5"}, {0}},
    {"SparseReshape", {"5x2", "=4 6", "=8 -1 1"}, {"5x3", "3"}, {0}},
    {"SparseTensorDenseMatMul", {"5x2", "5", "=4 6", "6x3"}, {"4x3"}, {0}},
    {"SpaceToBatchND", {"1x6x8x3", "=2 4", "=1 1 0 0"}, {"8x4x2x3"}, {0}},
    {"BatchToSpaceND", {"8x4x2x3", "=2 4", "=1 1 0 0"}, {"1x6x8x3"}, {0}},
    {"ExtractImagePatches", {"1x10x9x2"}, {"1x4x4x18"}, {"ksizes", "1 3 3 1", "strides", "1 2 2 1"}},
    {"tf.NonMaxSuppression", {"50x4", "50", "=10"}, {"10"}, {0}},
    {"CombinedNonMaxSuppression", {"2x50x1x4", "2x50x3", "=5", "=8"}, {"2x8x4", "2x8", "2x8", "2"}, {0}},
    {"RFFT", {"3x100", "=64"}, {"3x33"}, {0}},
    {"IRFFT", {"3x33", "=64"}, {"3x64"}, {0}},
    {"BlockLSTM", {"", "5x2x6", "2x4", "2x4"}, {"5x2x4", "5x2x4"}, {0}},
    {"LSTMBlockCell", {"2x6", "2x4", "2x4"}, {"2x4", "2x4"}, {0}},
    {"GRUBlockCell", {"2x6", "2x4"}, {"2x4"}, {0}},
    {"CudnnRNN", {"5x2x6", "1x2x4", "1x2x4"}, {"5x2x4", "1x2x4", "1x2x4", "0"}, {0}},
    {"LookupTableFindV2", {"", "4x5", ""}, {"4x5"}, {0}},
    {"tf.StringSplit", {"3"}, {"300x2", "300", "2"}, {0}},
    {"StringNGrams", {"40", "5"}, {"40", "5"}, {0}},
    {"ReverseV2", {"4x5"}, {"4x5"}, {0}},
    {"StridedSlice", {"4x5x6", "=1 0 2", "=3 9 3", "=1 2 1"}, {"2x3x1"}, {0}},
    {"Unpack", {"4x2x5"}, {"2x5", "2x5"}, {0}},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void add_inputs(const operator_case *one, char *names, size_t size) {
  names[0] = '\0';
  for (int i = 0; i < 4 && one->shapes[i]; i++) {
    char name[8];
    snprintf(name, sizeof name, "in%d", i);
    if (*one->shapes[i] == '=') make_ints(&maker, name, one->shapes[i] + 1);
    else make_input(&maker, name, one->shapes[i]);
    snprintf(names + strlen(names), size - strlen(names), "%s%s", i ? " " : "", name);
  }
}

static void check_case(const operator_case *one) {
  char inputs[64], outputs[64] = "";

  make_start(&maker, 0);
  maker.layout = NNM_CHANNELS_LAST;
  add_inputs(one, inputs, sizeof inputs);
  for (int i = 0; i < 4 && one->ints[i]; i += 2) with_ints(&maker, one->ints[i], one->ints[i + 1]);
  if (!strcmp(one->type, "ExtractImagePatches")) with_ints(&maker, "rates", "1 1 1 1");
  for (int i = 0; i < 4 && one->expected[i]; i++)
    snprintf(outputs + strlen(outputs), sizeof outputs - strlen(outputs), "%sout%d", i ? " " : "", i);
  make_node(&maker, one->type, inputs, outputs);
  nnm_graph *graph = make_finish(&maker);
  nnm_shapes *shapes = NULL;
  assert_int_not_equal(graph->nodes[0].op, NNM_OP_UNKNOWN);
  if (nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error) != NNM_OK)
    fail_msg("%s: %s", one->type, maker.error.message);
  for (int i = 0; i < 4 && one->expected[i]; i++) {
    char name[8];
    snprintf(name, sizeof name, "out%d", i);
    if (strcmp(shape_text_of(graph, shapes, name), one->expected[i])) print_error("%s, output %d\n", one->type, i);
    assert_string_equal(shape_text_of(graph, shapes, name), one->expected[i]);
  }
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

static void test_shapes(void **state) {
  (void)state;
  for (int i = 0; i < CASES; i++) check_case(&cases[i]);
}

/* Sizes that do not fit are an error of the node, not a crash. */
static void test_impossible(void **state) {
  (void)state;
  static const operator_case impossible[] = {
      {"tf.Slice", {"4x5", "=0 3", "=4 3"}, {"?"}, {0}},
      {"SpaceToBatchND", {"1x5x8x3", "=2 4", "=0 0 0 0"}, {"?"}, {0}},
      {"BatchToSpaceND", {"7x4x2x3", "=2 4", "=0 0 0 0"}, {"?"}, {0}},
      {"RFFT", {"3", "=64 64"}, {"?"}, {0}},
      {"MatrixDiag", {""}, {"?"}, {0}},
      {"TensorListFromTensor", {""}, {"?"}, {0}},
      {"GRUBlockCell", {"2x6x1", "2x4"}, {"?"}, {0}},
      {"StridedSlice", {"4", "=0 0", "=1 1", "=1 1"}, {"?"}, {0}},
      {"StridedSlice", {"4", "=0", "=1", "=0"}, {"?"}, {0}},
  };
  for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++) {
    char inputs[64];
    make_start(&maker, 0);
    add_inputs(&impossible[i], inputs, sizeof inputs);
    make_node(&maker, impossible[i].type, inputs, "out0");
    nnm_graph *graph = make_finish(&maker);
    nnm_shapes *shapes = NULL;
    nnm_status status = nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error);
    if (status != NNM_ERROR_SHAPE) print_error("%s is possible\n", impossible[i].type);
    assert_int_equal(status, NNM_ERROR_SHAPE);
    nnm_graph_free(graph);
  }
}

/* A list made of a tensor's rows, changed, and stacked again. */
static void test_lists(void **state) {
  (void)state;
  make_start(&maker, 0);
  make_input(&maker, "x", "7x3x4");
  make_input(&maker, "item", "5");
  make_ints(&maker, "any", "-1");
  make_scalar(&maker, "where", 2);
  make_node(&maker, "TensorListFromTensor", "x any", "list");
  make_node(&maker, "TensorListGetItem", "list where any", "got");
  make_node(&maker, "TensorListSetItem", "list where item", "changed");
  make_node(&maker, "TensorListStack", "changed any", "stacked");
  make_node(&maker, "TensorListConcatV2", "changed", "joined lengths");
  nnm_graph *graph = make_finish(&maker);
  nnm_shapes *shapes = NULL;
  assert_int_equal(nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error), NNM_OK);
  assert_string_equal(shape_text_of(graph, shapes, "list"), "scalar");
  assert_string_equal(shape_text_of(graph, shapes, "got"), "3x4");
  assert_string_equal(shape_text_of(graph, shapes, "stacked"), "7x5");
  assert_string_equal(shape_text_of(graph, shapes, "joined"), "35");
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

/* Values go through: a reshape to what StridedSlice, Unpack and ShapeN make of sizes. */
static void test_folding(void **state) {
  (void)state;
  make_start(&maker, 0);
  make_input(&maker, "x", "6x4x5");
  make_input(&maker, "y", "1x5");
  make_node(&maker, "ShapeN", "x y", "sx sy");
  make_ints(&maker, "last", "-1");
  make_ints(&maker, "first", "-4");
  make_ints(&maker, "back", "-1");
  make_node(&maker, "StridedSlice", "sx last first back", "turned"); /* 5 4 6 */
  make_node(&maker, "Reshape", "x turned", "reshaped");
  make_node(&maker, "Unpack", "sy", "one five");
  make_node(&maker, "Pack", "five one last_size", "sizes");
  make_node(&maker, "Rank", "x", "rank");
  make_node(&maker, "Pack", "rank", "last_list");
  make_ints(&maker, "all", "0");
  with_int(&maker, "keepdims", 0);
  make_node(&maker, "Prod", "last_list all", "last_size");
  make_node(&maker, "Fill", "sizes zero", "filled"); /* 5 1 3 */
  make_scalar(&maker, "zero", 0);
  nnm_graph *graph = make_finish(&maker);
  nnm_shapes *shapes = NULL;
  nnm_status status = nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error);
  if (status != NNM_OK) print_error("%s: %s\n", maker.error.place, maker.error.message);
  assert_int_equal(status, NNM_OK);
  assert_string_equal(shape_text_of(graph, shapes, "reshaped"), "5x4x6");
  assert_string_equal(shape_text_of(graph, shapes, "filled"), "5x1x3");
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_impossible),
      cmocka_unit_test(test_lists),
      cmocka_unit_test(test_folding),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
