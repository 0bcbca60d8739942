/* The reader of benchmark graphs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph_maker.h"
#include "readers/reader.h"

static nnm_error error;

static nnm_status read_text(const char *text, nnm_graph **graph) {
  nnm_ir *ir = NULL;
  error = (nnm_error){0};
  return nnm_reader_benchmark.read((const unsigned char *)text, strlen(text), graph, &ir, &error);
}

static void test_every_operator(void **state) {
  (void)state;
  nnm_graph *graph = NULL;
  nnm_shapes *shapes = NULL;
  static const char text[] =
      "{\"id\": \"m_1\", \"family\": \"m\", \"ops\": [[\"input\", [], [31, 33, 3]], [\"conv\", [0], 8, 3, 2, \"SAME\"],"
      " [\"bn\", [1]], [\"relu6\", [2]], [\"dwconv\", [3], 3, 1, \"VALID\"], [\"maxpool\", [4], 2, 2, \"VALID\"],"
      " [\"avgpool\", [5], 3, 1, \"SAME\"], [\"add\", [5, 6]], [\"concat\", [7, 6]],"
      " [\"reshape\", [8], [1, 7, 7, 2, 8]], [\"transpose\", [9], [1, 7, 7, 8, 2]], [\"reshape\", [10], [1, 7, 7, 16]],"
      " [\"split\", [11]], [\"relu\", [12]], [\"mul\", [12, 13]], [\"add_const\", [14]], [\"mul_const\", [15]],"
      " [\"mean\", [16]], [\"reshape\", [17], [1, 8]], [\"fc\", [18], 10]]}\n{\"id\": \"m_2\", \"ops\": []}\n";
  assert_int_equal(nnm_reader_benchmark.probe((const unsigned char *)text, sizeof text - 1), 2);
  assert_int_equal(read_text(text, &graph), NNM_OK);
  assert_int_equal(nnm_infer_graph_shapes(graph, NULL, &shapes, &error), NNM_OK);
  assert_string_equal(shape_text_of(graph, shapes, "op1"), "1x16x17x8");
  assert_string_equal(shape_text_of(graph, shapes, "op4"), "1x14x15x8");
  assert_string_equal(shape_text_of(graph, shapes, "op5"), "1x7x7x8");
  assert_string_equal(shape_text_of(graph, shapes, "op6"), "1x7x7x8");
  assert_string_equal(shape_text_of(graph, shapes, "op8"), "1x7x7x16");
  assert_string_equal(shape_text_of(graph, shapes, "op10"), "1x7x7x8x2");
  assert_string_equal(shape_text_of(graph, shapes, "op12"), "1x7x7x8");
  assert_string_equal(shape_text_of(graph, shapes, "op12:1"), "1x7x7x8");
  assert_string_equal(shape_text_of(graph, shapes, "op17"), "1x8");
  assert_string_equal(shape_text_of(graph, shapes, "op19"), "1x10");
  /* the readers of a split take its halves in turn */
  assert_int_equal(graph->nodes[12].inputs[0], graph->nodes[11].outputs[0]);
  assert_int_equal(graph->nodes[13].inputs[0], graph->nodes[11].outputs[1]);
  assert_int_equal(graph->blocks[0].output_count, 1);
  assert_int_equal(nnm_node_multiply_adds(graph, shapes, 0), 16 * 17 * 8 * 27);
  assert_int_equal(nnm_node_multiply_adds(graph, shapes, 3), 14 * 15 * 8 * 9);
  assert_int_equal(nnm_node_multiply_adds(graph, shapes, 18), 80);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

/* The operators of the phones' blocks. */
static void test_blocks(void **state) {
  (void)state;
  nnm_graph *graph = NULL;
  nnm_shapes *shapes = NULL;
  static const char text[] =
      "{\"id\": \"b\", \"family\": \"b\", \"ops\": [[\"input\", [], [100, 104]], [\"layernorm\", [0]], [\"dense\", "
      "[1], 384],"
      " [\"reshape\", [2], [1, 100, 6, 64]], [\"transpose\", [3], [1, 6, 100, 64]], [\"split\", [4], [1, 6, 100, 16]],"
      " [\"split\", [4], [1, 6, 100, 16]], [\"split\", [4], [1, 6, 100, 32]], [\"bmm\", [5, 6], [1, 6, 100, 100]],"
      " [\"mul_const\", [8]], [\"add_const\", [9]], [\"softmax\", [10]], [\"bmm\", [11, 7], [1, 6, 100, 32]],"
      " [\"transpose\", [12], [1, 100, 6, 32]], [\"reshape\", [13], [1, 10, 10, 192]], [\"hswish\", [14]], [\"pad\", "
      "[15], 1],"
      " [\"avgpool\", [16], 2, 2, \"VALID\"], [\"conv\", [17], 8, 1, 1, \"SAME\", \"bias\"], [\"mean\", [18], "
      "\"keepdims\"],"
      " [\"swish\", [19]]]}";
  assert_int_equal(read_text(text, &graph), NNM_OK);
  assert_int_equal(nnm_infer_graph_shapes(graph, NULL, &shapes, &error), NNM_OK);
  assert_string_equal(shape_text_of(graph, shapes, "op2"), "1x100x384");
  assert_string_equal(shape_text_of(graph, shapes, "op4"), "1x6x100x64");
  assert_string_equal(shape_text_of(graph, shapes, "op6"), "1x6x100x16");
  assert_string_equal(shape_text_of(graph, shapes, "op7"), "1x6x100x32");
  assert_string_equal(shape_text_of(graph, shapes, "op8"), "1x6x100x100");
  assert_string_equal(shape_text_of(graph, shapes, "op12"), "1x6x100x32");
  assert_string_equal(shape_text_of(graph, shapes, "op13"), "1x100x6x32");
  assert_string_equal(shape_text_of(graph, shapes, "op16"), "1x12x12x192");
  assert_string_equal(shape_text_of(graph, shapes, "op17"), "1x6x6x192");
  assert_string_equal(shape_text_of(graph, shapes, "op19"), "1x1x1x8");
  assert_string_equal(shape_text_of(graph, shapes, "op20"), "1x1x1x8");
  assert_int_equal(graph->node_count, 18); /* the three parts of the split are one node, and the input is none */
  assert_int_equal(nnm_node_multiply_adds(graph, shapes, 1), 100 * 104 * 384);
  assert_int_equal(nnm_node_multiply_adds(graph, shapes, 5), 6 * 100 * 100 * 16);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

#define TOKENS "[\"input\", [], [4, 6]], [\"reshape\", [0], [1, 4, 6]]"

static void test_faults(void **state) {
  (void)state;
  static const struct {
    const char *text, *place, *part;
    nnm_status status;
  } cases[] = {
      {"{}", "$.ops", "no list", NNM_ERROR_FORMAT},
      {"{\"ops\": []}", "$.ops", "no list", NNM_ERROR_FORMAT},
      {"{\"ops\": [7]}", "$.ops[0]", "is no [name", NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", []]]}", "$.ops[0]", "shape", NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [99999], [1, 1, 3]]]}", "$.ops[0]", "number of inputs", NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [], [1, 0, 3]]]}", "$.ops[0]", "positive", NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [], [1, 1, 3]], [\"relu\", [1]]]}", "$.ops[1]", "before it", NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [], [1, 1, 3]], [\"relu\", [-1]]]}", "$.ops[1]", "before it", NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [], [1, 1, 3]], [\"relu\", []]]}", "$.ops[1]", "number of inputs", NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [], [1, 1, 3]], [\"relu\", [0, 0]]]}", "$.ops[1]", "number of inputs", NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [], [1, 1, 3]], [\"conv\", [0], 4]]}", "$.ops[1]", "positive integer", NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [], [1, 1, 3]], [\"conv\", [0], 4, 1, 1, \"FULL\"]]}", "$.ops[1]", "SAME",
       NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [], [1, 1, 3]], [\"lstm\", [0]]]}", "$.ops[1]", "no operator", NNM_ERROR_UNSUPPORTED},
      {"{\"ops\": [[\"input\", [], [99999999999999, 1, 3]]]}", "$.ops[0]", "positive", NNM_ERROR_FORMAT},
      {"{\"ops\": [" TOKENS ", [\"transpose\", [1], [1, 6, 5]]]}", "$.ops[2]", "no exchange", NNM_ERROR_FORMAT},
      {"{\"ops\": [" TOKENS ", [\"transpose\", [1], [6, 4]]]}", "$.ops[2]", "no exchange", NNM_ERROR_FORMAT},
      {"{\"ops\": [" TOKENS ", [\"transpose\", [1], [24]]]}", "$.ops[2]", "two dimensions", NNM_ERROR_FORMAT},
      {"{\"ops\": [" TOKENS ", [\"bmm\", [1, 1], [1, 4, 5]]]}", "$.ops[2]", "another shape", NNM_ERROR_FORMAT},
      {"{\"ops\": [" TOKENS ", [\"bmm\", [1, 1], [4, 4]]]}", "$.ops[2]", "not said before", NNM_ERROR_FORMAT},
      {"{\"ops\": [" TOKENS ", [\"bn\", [1]], [\"add\", [1, 2]], [\"bmm\", [2, 3], [1, 4, 4]]]}", "$.ops[4]",
       "not said", NNM_ERROR_FORMAT},
      {"{\"ops\": [" TOKENS ", [\"split\", [1], [1, 4, 2]], [\"split\", [1], 4]]}", "$.ops[3]", "shape",
       NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [], [4, 4, 3]], [\"mean\", [0], \"all\"]]}", "$.ops[1]", "\"keepdims\"",
       NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [], [4, 4, 3]], [\"conv\", [0], 4, 1, 1, \"SAME\", 7]]}", "$.ops[1]", "\"bias\"",
       NNM_ERROR_FORMAT},
      {"{\"ops\": [[\"input\", [], [4, 4, 3]], [\"pad\", [0], 0]]}", "$.ops[1]", "positive", NNM_ERROR_FORMAT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    nnm_graph *graph = NULL;
    assert_int_equal(read_text(cases[i].text, &graph), cases[i].status);
    assert_null(graph);
    assert_string_equal(error.place, cases[i].place);
    if (!strstr(error.message, cases[i].part)) fail_msg("'%s' is not in '%s'", cases[i].part, error.message);
  }
}

/* Cut off anywhere it is an error, never a crash; the probe never claims what is not JSON. */
static void test_truncation(void **state) {
  (void)state;
  static const char text[] = "{\"id\": \"a\", \"ops\": [[\"input\", [], [8, 8, 3]], [\"conv\", [0], 4, 3, 1, \"SAME\"],"
                             " [\"split\", [1]], [\"concat\", [2, 2]], [\"reshape\", [3], [1, 256]]]}";
  for (size_t size = 0; size < sizeof text - 1; size++) {
    char *copy = malloc(size ? size : 1);
    nnm_graph *graph = NULL;
    nnm_ir *ir = NULL;
    assert_non_null(copy);
    memcpy(copy, text, size);
    assert_int_equal(nnm_reader_benchmark.read((unsigned char *)copy, size, &graph, &ir, &error), NNM_ERROR_FORMAT);
    nnm_reader_benchmark.probe((unsigned char *)copy, size);
    free(copy);
  }
  assert_int_equal(nnm_reader_benchmark.probe((const unsigned char *)"\x08\x07 \"ops\"", 8), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_operator),
      cmocka_unit_test(test_blocks),
      cmocka_unit_test(test_faults),
      cmocka_unit_test(test_truncation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
