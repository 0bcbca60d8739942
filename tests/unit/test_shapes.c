/* Whole graphs: input sizes, folded constants, bodies, custom operators, what runs and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "graph_maker.h"

static graph_maker maker;
static nnm_graph *graph;
static nnm_shapes *shapes;

static nnm_status infer(const nnm_shape_options *options) {
  graph = make_finish(&maker);
  shapes = NULL;
  return nnm_infer_graph_shapes(graph, options, &shapes, &maker.error);
}

static void infer_well(void) {
  if (infer(NULL) != NNM_OK) fail_msg("%s: %s", maker.error.place, maker.error.message);
}

static void done(void) {
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

#define ASSERT_SHAPE(name, shape) assert_string_equal(shape_text_of(graph, shapes, name), shape)

static void assert_note(const char *part) {
  for (size_t i = 0; i < shapes->note_count; i++)
    if (strstr(shapes->notes[i], part)) return;
  fail_msg("no note has '%s'; %zu notes, the first: %s", part, shapes->note_count,
           shapes->note_count ? shapes->notes[0] : "");
}

/* ------------------------------------------------------------------ inputs */

static void start_image(const char *shape) {
  make_start(&maker, 13);
  make_input(&maker, "images", shape);
  make_node(&maker, "Relu", "images", "y");
}

static void test_missing_size(void **state) {
  (void)state;
  start_image("batchx3xheightx?");
  assert_int_equal(infer(NULL), NNM_ERROR_SHAPE);
  assert_string_equal(maker.error.place, "images");
  assert_non_null(strstr(maker.error.message, "batch x 3 x height x ?"));
  assert_non_null(strstr(maker.error.message, "--input-shape images:1x3x224x224"));
  done();
  start_image(NULL);
  assert_int_equal(infer(NULL), NNM_ERROR_SHAPE);
  assert_non_null(strstr(maker.error.message, "--input-shape images:"));
  done();
}

static void test_batch(void **state) {
  (void)state;
  start_image("batchx3x8x8"); /* the only open dimension, and a batch by its name: 1, and a note */
  infer_well();
  ASSERT_SHAPE("y", "1x3x8x8");
  assert_note("--batch-size");
  done();
  start_image("batchx3x8x8");
  assert_int_equal(infer(&(nnm_shape_options){.batch_size = 4}), NNM_OK);
  ASSERT_SHAPE("y", "4x3x8x8");
  assert_int_equal(shapes->note_count, 0);
  done();
  start_image("1x3x8x8"); /* fixed: the option cannot be used, and is not ignored */
  assert_int_equal(infer(&(nnm_shape_options){.batch_size = 4}), NNM_ERROR_ARGUMENT);
  done();
  start_image("sequencex16"); /* a length is not a batch */
  assert_int_equal(infer(NULL), NNM_ERROR_SHAPE);
  assert_non_null(strstr(maker.error.message, "or --batch-size 1"));
  done();
  start_image("?");
  assert_int_equal(infer(NULL), NNM_ERROR_SHAPE);
  done();
}

static void test_given_shapes(void **state) {
  (void)state;
  int64_t dims[] = {2, 3, 10, 20};
  nnm_input_shape given = {"images", 4, dims};
  nnm_shape_options options = {.input_shapes = &given, .input_shape_count = 1};
  start_image("batchx3xhxw");
  assert_int_equal(infer(&options), NNM_OK);
  ASSERT_SHAPE("y", "2x3x10x20");
  done();
  given.name = ""; /* the only one that needs a size */
  start_image("batchx3xhxw");
  assert_int_equal(infer(&options), NNM_OK);
  ASSERT_SHAPE("y", "2x3x10x20");
  done();
  given.name = "image";
  start_image("batchx3xhxw");
  assert_int_equal(infer(&options), NNM_ERROR_ARGUMENT);
  assert_non_null(strstr(maker.error.message, "its inputs are: images"));
  done();
  given.name = "images";
  start_image("batchx1xhxw"); /* 3 channels do not fit */
  assert_int_equal(infer(&options), NNM_ERROR_ARGUMENT);
  assert_non_null(strstr(maker.error.message, "2x3x10x20"));
  assert_non_null(strstr(maker.error.message, "batch x 1 x h x w"));
  done();
  start_image("batchx3xhxw");
  options.batch_size = 5; /* contradicts the shape */
  assert_int_equal(infer(&options), NNM_ERROR_ARGUMENT);
  done();
}

/* The same symbol is the same number everywhere: given once is enough, given twice it must agree. */
static void test_symbols(void **state) {
  (void)state;
  int64_t ids[] = {2, 77}, mask[] = {2, 78};
  nnm_input_shape given[] = {{"ids", 2, ids}, {"mask", 2, mask}};
  for (size_t count = 1; count <= 2; count++) {
    make_start(&maker, 13);
    make_input(&maker, "ids", "batchxsequence");
    make_input(&maker, "mask", "batchxsequence");
    make_node(&maker, "Add", "ids mask", "sum");
    nnm_shape_options options = {.input_shapes = given, .input_shape_count = count};
    nnm_status status = infer(&options);
    assert_int_equal(status, count == 1 ? NNM_OK : NNM_ERROR_ARGUMENT);
    if (status == NNM_OK) ASSERT_SHAPE("sum", "2x77");
    else assert_non_null(strstr(maker.error.message, "sequence"));
    done();
  }
}

/* ----------------------------------------------------------------- folding */

/* x.view(x.size(0), -1) as exporters write it, and a size computed with floats. */
static void test_shape_arithmetic(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "2x3x5x7");
  make_node(&maker, "Shape", "x", "shape");
  make_scalar(&maker, "zero", 0);
  make_node(&maker, "Gather", "shape zero", "batch");
  make_ints(&maker, "axis", "0");
  make_node(&maker, "Unsqueeze", "batch axis", "batch1");
  make_ints(&maker, "minus", "-1");
  with_int(&maker, "axis", 0);
  make_node(&maker, "Concat", "batch1 minus", "target");
  make_node(&maker, "Reshape", "x target", "flat");
  make_ints(&maker, "two", "2");
  make_ints(&maker, "four", "4");
  make_node(&maker, "Slice", "shape two four", "size");
  with_int(&maker, "to", 1);
  make_node(&maker, "Cast", "size", "size_float");
  make_floats(&maker, "half", "0.5");
  make_node(&maker, "Mul", "size_float half", "halved");
  make_node(&maker, "Ceil", "halved", "up");
  with_int(&maker, "to", 7);
  make_node(&maker, "Cast", "up", "new_size");
  make_ints(&maker, "front", "1 1");
  with_int(&maker, "axis", 0);
  make_node(&maker, "Concat", "front new_size", "all");
  make_node(&maker, "ConstantOfShape", "all", "zeros");
  make_node(&maker, "Add", "flat zero", "sum");
  infer_well();
  ASSERT_SHAPE("flat", "2x105");
  ASSERT_SHAPE("zeros", "1x1x3x4");
  assert_int_equal(shapes->constant[find_tensor(graph, "zeros")], 1);
  assert_int_equal(shapes->constant[find_tensor(graph, "flat")], 0);
  for (nnm_node_id n = 0; n < graph->node_count; n++) {
    const char *type = graph->nodes[n].type;
    assert_int_equal(shapes->executed[n], !strcmp(type, "Reshape") || !strcmp(type, "Add"));
  }
  /* nothing hangs on the value of `zeros`, so it is not computed */
  assert_null(shapes->values[find_tensor(graph, "zeros")]);
  done();
}

static void test_value_unknown(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "4x4");
  make_input(&maker, "size", "2");
  make_node(&maker, "Reshape", "x size", "y");
  assert_int_equal(infer(NULL), NNM_ERROR_SHAPE);
  assert_non_null(strstr(maker.error.message, "'size'"));
  done();
}

static void test_data_dependent(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "4x4");
  make_node(&maker, "NonZero", "x", "where");
  make_input(&maker, "boxes", "1x100x4");
  make_input(&maker, "scores", "1x3x100");
  make_scalar(&maker, "most", 10);
  make_node(&maker, "NonMaxSuppression", "boxes scores most", "kept");
  infer_well();
  ASSERT_SHAPE("where", "2x16");
  assert_note("all 16 assumed");
  ASSERT_SHAPE("kept", "30x3");
  assert_note("at most 30");
  done();
}

/* ---------------------------------------------------------- custom operators */

static void test_custom_operator(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "1x8");
  maker.domain = "custom";
  make_node(&maker, "MyOp", "x", "unknown");
  make_node(&maker, "Relu", "unknown", "behind");
  make_node(&maker, "Add", "behind x", "further");
  make_declared(&maker, "known", "1x5");
  maker.domain = "custom";
  make_node(&maker, "MyOp", "x", "known");
  make_node(&maker, "Relu", "known", "fine");
  infer_well();
  ASSERT_SHAPE("unknown", "?");
  ASSERT_SHAPE("further", "?");
  ASSERT_SHAPE("fine", "1x5");
  assert_int_equal(shapes->note_count, 1); /* one for the operator, none for what is behind it */
  assert_note("custom operator");
  done();
}

static void test_contradiction(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "1x8");
  make_declared(&maker, "y", "1x9");
  make_node(&maker, "Relu", "x", "y");
  infer_well();
  ASSERT_SHAPE("y", "1x8");
  assert_note("declares 'y' as 1x9");
  done();
}

/* -------------------------------------------------------------------- bodies */

/* If with branches of one Transpose (dear) and one Identity (cheap). */
static void make_if(const char *condition, const char *output) {
  char name[64];
  nnm_block_id then_branch = make_begin(&maker, "then_branch");
  snprintf(name, sizeof name, "%s_then", output);
  make_node(&maker, "Concat", "x x x", name);
  make_output(&maker, name);
  make_end(&maker);
  nnm_block_id else_branch = make_begin(&maker, "else_branch");
  snprintf(name, sizeof name, "%s_else", output);
  make_node(&maker, "Relu", "x", name);
  make_output(&maker, name);
  make_end(&maker);
  with_block(&maker, "then_branch", then_branch);
  with_block(&maker, "else_branch", else_branch);
  make_node(&maker, "If", condition, output);
}

static void test_if(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "2x3");
  make_input(&maker, "data", "");
  make_scalar(&maker, "never", 0);
  make_if("never", "known");
  make_if("data", "guessed");
  infer_well();
  ASSERT_SHAPE("known", "2x3");
  ASSERT_SHAPE("known_then", "?"); /* the branch that does not run */
  ASSERT_SHAPE("guessed_then", "2x9");
  ASSERT_SHAPE("guessed_else", "2x3");
  ASSERT_SHAPE("guessed", "2x9"); /* the dearer one */
  assert_note("dearer branch (then_branch)");
  assert_note("2x9 or 2x3");
  const char *runs[] = {"known_else", "guessed_then"}, *rests[] = {"known_then", "guessed_else"};
  for (int i = 0; i < 2; i++) {
    assert_int_equal(shapes->executed[graph->tensors[find_tensor(graph, runs[i])].producer], 1);
    assert_int_equal(shapes->executed[graph->tensors[find_tensor(graph, rests[i])].producer], 0);
  }
  done();
}

/* A branch that cannot be for these shapes is not the one that runs. */
static void test_impossible_branch(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "2x3");
  make_input(&maker, "data", "");
  make_ints(&maker, "wrong", "5 5");
  nnm_block_id then_branch = make_begin(&maker, "then_branch");
  make_node(&maker, "Reshape", "x wrong", "a");
  make_output(&maker, "a");
  make_end(&maker);
  nnm_block_id else_branch = make_begin(&maker, "else_branch");
  make_node(&maker, "Relu", "x", "b");
  make_output(&maker, "b");
  make_end(&maker);
  with_block(&maker, "then_branch", then_branch);
  with_block(&maker, "else_branch", else_branch);
  make_node(&maker, "If", "data", "y");
  infer_well();
  ASSERT_SHAPE("y", "2x3");
  assert_note("then_branch is impossible");
  done();
}

/* A loop of `trips` turns that carries a tensor along (growing by one row a turn), and stacks a result. */
static void make_loop(const char *trips, const char *inner) {
  nnm_block_id body = make_begin(&maker, "body");
  make_input(&maker, "i", "");
  make_input(&maker, "go", "");
  make_input(&maker, "carried", NULL);
  make_node(&maker, "Identity", "go", "go_on");
  with_int(&maker, "axis", 0);
  make_node(&maker, "Concat", "carried row", "longer");
  make_node(&maker, inner, "row", "result");
  make_output(&maker, "go_on");
  make_output(&maker, "longer");
  make_output(&maker, "result");
  make_end(&maker);
  make_scalar(&maker, "yes", 1);
  make_input(&maker, "start", "4x3");
  char inputs[100];
  snprintf(inputs, sizeof inputs, "%s yes start", trips);
  with_block(&maker, "body", body);
  make_node(&maker, "Loop", inputs, "end stacked");
}

static void test_loop(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "row", "1x3");
  make_scalar(&maker, "ten", 10);
  make_loop("ten", "Relu");
  infer_well();
  ASSERT_SHAPE("stacked", "10x1x3");
  ASSERT_SHAPE("end", "14x3");
  assert_note("14x3 assumed");
  assert_int_equal(shapes->turns[1], 10);
  done();
  make_start(&maker, 13);
  make_input(&maker, "row", "1x3");
  make_input(&maker, "trips", "");
  make_loop("trips", "Relu");
  infer_well();
  ASSERT_SHAPE("stacked", "1x1x3");
  assert_note("one turn counted");
  done();
  make_start(&maker, 13);
  make_input(&maker, "row", "1x3");
  make_scalar(&maker, "none", 0);
  make_loop("none", "Relu");
  infer_well();
  ASSERT_SHAPE("stacked", "0x1x3");
  ASSERT_SHAPE("end", "4x3");
  assert_int_equal(shapes->executed[graph->tensors[find_tensor(graph, "result")].producer], 0);
  done();
}

static void test_scan(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "state", "8");
  make_input(&maker, "sequence", "5x20x8");
  nnm_block_id body = make_begin(&maker, "body");
  make_input(&maker, "s", NULL);
  make_input(&maker, "step", NULL);
  make_node(&maker, "Identity", "s", "s_out");
  make_node(&maker, "Add", "step s", "sum");
  make_output(&maker, "s_out");
  make_output(&maker, "sum");
  make_end(&maker);
  with_block(&maker, "body", body);
  with_int(&maker, "num_scan_inputs", 1);
  with_ints(&maker, "scan_input_axes", "1");
  with_ints(&maker, "scan_output_axes", "-1");
  make_node(&maker, "Scan", "state sequence", "last all");
  infer_well();
  ASSERT_SHAPE("sum", "5x8");
  ASSERT_SHAPE("last", "8");
  ASSERT_SHAPE("all", "5x8x20");
  assert_int_equal(shapes->turns[1], 20);
  assert_int_equal(shapes->note_count, 0);
  done();
}

static void test_sequences(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "a", "2x3");
  make_input(&maker, "b", "4x3");
  make_node(&maker, "SequenceConstruct", "a b a", "list");
  make_scalar(&maker, "last", -2);
  make_node(&maker, "SequenceAt", "list last", "item");
  make_node(&maker, "ConcatFromSequence", "list", "joined");
  make_node(&maker, "SequenceErase", "list last", "shorter");
  with_int(&maker, "axis", 0);
  with_int(&maker, "new_axis", 1);
  make_node(&maker, "ConcatFromSequence", "shorter", "stacked");
  make_node(&maker, "SequenceLength", "shorter", "length");
  make_node(&maker, "ConstantOfShape", "length1", "as_many");
  make_ints(&maker, "one", "1");
  make_node(&maker, "Reshape", "length one", "length1");
  infer_well();
  ASSERT_SHAPE("item", "4x3");
  ASSERT_SHAPE("stacked", "2x2x3");
  ASSERT_SHAPE("as_many", "2");
  done();
}

/* ------------------------------------------------------------------- limits */

static void test_overflow(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "1099511627776x0"); /* an empty dimension must not hide the other one's size */
  make_ints(&maker, "repeats", "4096 1");
  make_node(&maker, "Tile", "x repeats", "y");
  assert_int_equal(infer(NULL), NNM_ERROR_SHAPE);
  assert_non_null(strstr(maker.error.message, "2^50"));
  done();
  make_start(&maker, 13);
  make_input(&maker, "x", "1099511627776x4096");
  make_node(&maker, "Relu", "x", "y");
  assert_int_equal(infer(NULL), NNM_ERROR_LIMIT);
  done();
}

/* Every node folds 65,536 numbers: the total is bounded, and the failure says so. */
static void test_folding_is_bounded(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "1");
  make_ints(&maker, "many", "65536");
  make_node(&maker, "ConstantOfShape", "many", "t0");
  char from[32], to[32];
  for (int i = 0; i < 1000; i++) {
    snprintf(from, sizeof from, "t%d", i);
    snprintf(to, sizeof to, "t%d", i + 1);
    make_node(&maker, "Neg", from, to);
  }
  make_node(&maker, "Expand", "x t1000", "y");
  nnm_status status = infer(NULL);
  assert_int_equal(status, NNM_ERROR_LIMIT);
  done();
}

/* Linear: ten times the nodes must not take a hundred times as long (the margin is wide; machines are noisy). */
static double seconds_for(int nodes) {
  make_start(&maker, 13);
  make_input(&maker, "t0", "1x16x32x32");
  char from[32], to[32];
  for (int i = 0; i < nodes; i++) {
    snprintf(from, sizeof from, "t%d", i);
    snprintf(to, sizeof to, "t%d", i + 1);
    make_node(&maker, i % 2 ? "Relu" : "Sigmoid", from, to);
  }
  graph = make_finish(&maker);
  clock_t start = clock();
  assert_int_equal(nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error), NNM_OK);
  double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
  done();
  return seconds;
}

static void test_linear(void **state) {
  (void)state;
  double small = seconds_for(10000), large = seconds_for(100000);
  assert_true(large < 50 * small + 0.2);
}

/* What hangs on a guess believes the file, as far as the file knows; nothing else does. */
static void test_guess_and_declaration(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "20x4");
  make_input(&maker, "starts", "1");
  make_ints(&maker, "ends", "20");
  make_ints(&maker, "axes", "0");
  make_node(&maker, "Slice", "x starts ends axes", "tail");
  make_declared(&maker, "tail", "?x4");
  with_int(&maker, "axis", 0);
  make_node(&maker, "Concat", "tail x", "joined");
  make_declared(&maker, "joined", "21x4");
  make_node(&maker, "Relu", "joined", "behind");
  make_declared(&maker, "behind", "99x4");
  infer_well();
  ASSERT_SHAPE("tail", "20x4");
  assert_note("where it cuts depends on the input data");
  ASSERT_SHAPE("joined", "21x4");
  ASSERT_SHAPE("behind", "21x4"); /* no guess any more: what is computed counts */
  assert_note("declares 'behind' as 99x4, but it is 21x4");
  done();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_missing_size),
      cmocka_unit_test(test_batch),
      cmocka_unit_test(test_given_shapes),
      cmocka_unit_test(test_symbols),
      cmocka_unit_test(test_shape_arithmetic),
      cmocka_unit_test(test_value_unknown),
      cmocka_unit_test(test_data_dependent),
      cmocka_unit_test(test_custom_operator),
      cmocka_unit_test(test_contradiction),
      cmocka_unit_test(test_guess_and_declaration),
      cmocka_unit_test(test_if),
      cmocka_unit_test(test_impossible_branch),
      cmocka_unit_test(test_loop),
      cmocka_unit_test(test_scan),
      cmocka_unit_test(test_sequences),
      cmocka_unit_test(test_overflow),
      cmocka_unit_test(test_folding_is_bounded),
      cmocka_unit_test(test_linear),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
