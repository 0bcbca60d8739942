#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "ir/ir.h"
#include "ops/ops.h"
#include "readers/reader.h"
#include "shapes/shapes.h"

static nnm_error error;

static nnm_ir *parse(const char *text) {
  nnm_ir *ir = NULL;
  nnm_status status = nnm_ir_parse((const unsigned char *)text, strlen(text), &ir, &error);
  if (status != NNM_OK) print_error("%s: %s\n", error.place, error.message);
  assert_int_equal(status, NNM_OK);
  return ir;
}

static void expect_fault(const char *text, nnm_status status, const char *place, const char *part) {
  nnm_ir *ir = NULL;
  error = (nnm_error){0};
  assert_int_equal(nnm_ir_parse((const unsigned char *)text, strlen(text), &ir, &error), status);
  assert_null(ir);
  if (place) assert_string_equal(error.place, place);
  if (!strstr(error.message, part)) print_error("%s: %s\n", error.place, error.message);
  assert_non_null(strstr(error.message, part));
}

static void expect_print(const char *text, const char *expected) {
  nnm_ir *ir = parse(text);
  char *printed = NULL;
  assert_int_equal(nnm_ir_print(ir, &printed, &error), NNM_OK);
  assert_string_equal(printed, expected);
  free(printed);
  nnm_ir_free(ir);
}

/* -------------------------------------------------------------- parsing */

static void test_parse(void **state) {
  (void)state;
  nnm_ir *ir = parse("{\"a\": {\"attr\": {\"type\": \"Conv\", \"attr\": {\"strides\": [1, 2], \"group\": 4},"
                     "\"input_shape\": [[1, 8, 8, 3]], \"output_shape\": [[1, null, -7, 4]]}, \"inbounds\": [],"
                     "\"outbounds\": [\"b\"]},"
                     "\"b\": {\"attr\": {\"type\": \"Relu\", \"attr\": {}}, \"inbounds\": [\"a\", \"gone\", \"a\"]}}");
  assert_int_equal(ir->node_count, 2);
  const nnm_ir_node *a = &ir->nodes[0], *b = &ir->nodes[1];
  assert_string_equal(a->type, "Conv");
  assert_int_equal(a->input_shapes[0].dims[3], 3);
  assert_int_equal(a->output_shapes[0].dims[1], -1);
  assert_int_equal(a->output_shapes[0].dims[2], -1);
  assert_false(b->has_input_shapes);
  assert_int_equal(b->inbound_count, 3);
  assert_int_equal(b->inbounds[0], 0);
  assert_int_equal(b->inbounds[1], -1);
  assert_string_equal(b->inbound_names[1], "gone");
  int64_t values[2];
  size_t count;
  assert_true(nnm_ir_integers(a, "strides", values, 2, &count));
  assert_int_equal(count, 2);
  assert_int_equal(values[1], 2);
  assert_true(nnm_ir_integers(a, "group", values, 2, &count));
  assert_int_equal(values[0], 4);
  assert_false(nnm_ir_integers(a, "strides", values, 1, &count));
  assert_false(nnm_ir_integers(a, "dilations", values, 2, &count));
  nnm_ir_free(ir);
}

static void test_missing_inbounds_come_from_outbounds(void **state) {
  (void)state;
  nnm_ir *ir = parse("{\"a\": {\"attr\": {\"type\": \"Relu\"}, \"inbounds\": [], \"outbounds\": [\"b\", \"c\"]},"
                     "\"b\": {\"attr\": {\"type\": \"Relu\"}},"
                     "\"c\": {\"attr\": {\"type\": \"Relu\"}, \"inbounds\": []}}");
  assert_int_equal(ir->nodes[1].inbound_count, 1);
  assert_int_equal(ir->nodes[1].inbounds[0], 0);
  assert_int_equal(ir->nodes[2].inbound_count, 0);
  nnm_ir_free(ir);
}

static void test_faults(void **state) {
  (void)state;
  expect_fault("[]", NNM_ERROR_FORMAT, "$", "object of nodes");
  expect_fault("{", NNM_ERROR_FORMAT, NULL, "not valid JSON");
  expect_fault("{\"a\": {\"attr\": {}}, \"a\": {\"attr\": {}}}", NNM_ERROR_FORMAT, NULL, "duplicate object key");
  expect_fault("{\"a\": 3}", NNM_ERROR_FORMAT, "$.a", "is no object");
  expect_fault("{\"a\": {\"x\": 1}}", NNM_ERROR_FORMAT, "$.a", "is no node");
  expect_fault("{\"a\": {\"attr\": []}}", NNM_ERROR_FORMAT, "$.a.attr", "is no object");
  expect_fault("{\"a\": {\"attr\": {\"type\": 1}}}", NNM_ERROR_FORMAT, "$.a.attr.type", "is no text");
  expect_fault("{\"a\": {\"attr\": {\"attr\": 1}}}", NNM_ERROR_FORMAT, "$.a.attr.attr", "is no object");
  expect_fault("{\"a\": {\"inbounds\": \"b\"}}", NNM_ERROR_FORMAT, "$.a.inbounds", "is no list");
  expect_fault("{\"a\": {\"inbounds\": [1]}}", NNM_ERROR_FORMAT, "$.a.inbounds", "no node name");
  expect_fault("{\"a\": {\"attr\": {\"input_shape\": 1}}}", NNM_ERROR_FORMAT, "$.a.attr.input_shape",
               "no list of shapes");
  expect_fault("{\"a\": {\"attr\": {\"input_shape\": [1]}}}", NNM_ERROR_FORMAT, "$.a.attr.input_shape", "no shape");
  expect_fault("{\"a\": {\"attr\": {\"output_shape\": [[1.5]]}}}", NNM_ERROR_FORMAT, "$.a.attr.output_shape",
               "not an integer");
  expect_fault("{\"a\": {\"attr\": {\"output_shape\": [[99999999999999]]}}}", NNM_ERROR_LIMIT, "$.a.attr.output_shape",
               "larger than");
  expect_fault("{\"a\": {\"attr\": {\"output_shape\": [[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]]}}}", NNM_ERROR_LIMIT,
               "$.a.attr.output_shape", "more than 16 dimensions");
}

static void test_every_truncation_fails(void **state) {
  (void)state;
  static const char text[] = "{\"a\": {\"attr\": {\"type\": \"Conv\", \"attr\": {\"k\": [1, 2.5, \"x\"]},"
                             "\"input_shape\": [[1, 8]], \"output_shape\": [[]]}, \"inbounds\": [\"b\"]}}";
  for (size_t size = 0; size + 1 < sizeof text; size++) {
    nnm_ir *ir = NULL;
    char *copy = malloc(size + 1); /* so that reading past the end shows */
    memcpy(copy, text, size);
    assert_int_not_equal(nnm_ir_parse((unsigned char *)copy, size, &ir, &error), NNM_OK);
    free(copy);
  }
}

/* ------------------------------------------------------------- printing */

static void test_print_as_python_does(void **state) {
  (void)state;
  expect_print("{}", "{}");
  expect_print("{\"b\": {\"inbounds\": [], \"attr\": {}}, \"a\\u00e4\\ud83d\\ude00\\n\\u007f\": {\"attr\": {}, "
               "\"inbounds\": [\"b\"]}}",
               "{\n    \"a\\u00e4\\ud83d\\ude00\\n\\u007f\": {\n        \"attr\": {},\n        \"inbounds\": [\n"
               "            \"b\"\n        ]\n    },\n    \"b\": {\n        \"attr\": {},\n        \"inbounds\": []\n"
               "    }\n}");
}

static void test_print_numbers(void **state) {
  (void)state;
  static const char *const cases[][2] = {{"0.0010000000474974513", "0.0010000000474974513"},
                                         {"1e-5", "1e-05"},
                                         {"0.0001", "0.0001"},
                                         {"100000.0", "100000.0"},
                                         {"1e16", "1e+16"},
                                         {"123456789012345680.0", "1.2345678901234568e+17"},
                                         {"1e15", "1000000000000000.0"},
                                         {"-0.5", "-0.5"},
                                         {"-0.0", "-0.0"},
                                         {"2.5e-310", "2.5e-310"},
                                         {"3.0", "3.0"},
                                         {"1.7976931348623157e308", "1.7976931348623157e+308"},
                                         {"0.1", "0.1"},
                                         {"12.75", "12.75"},
                                         {"7", "7"},
                                         {"-9223372036854775808", "-9223372036854775808"},
                                         {"true", "true"},
                                         {"null", "null"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[256], expected[256];
    snprintf(text, sizeof text, "{\"a\": {\"attr\": {\"attr\": {\"v\": %s}}}}", cases[i][0]);
    snprintf(expected, sizeof expected,
             "{\n    \"a\": {\n        \"attr\": {\n            \"attr\": {\n                \"v\": %s\n            }\n"
             "        }\n    }\n}",
             cases[i][1]);
    expect_print(text, expected);
  }
}

/* ------------------------------------------------------------- to a graph */

typedef struct opened {
  nnm_ir *ir;
  nnm_graph *graph;
  nnm_shapes *shapes;
} opened;

static opened open_text(const char *text) {
  opened o = {.ir = parse(text)};
  assert_int_equal(nnm_ir_to_graph(o.ir, &o.graph, &error), NNM_OK);
  nnm_status status = nnm_infer_graph_shapes(o.graph, NULL, &o.shapes, &error);
  if (status != NNM_OK) print_error("%s: %s\n", error.place, error.message);
  assert_int_equal(status, NNM_OK);
  return o;
}

static void shut(opened *o) {
  nnm_shapes_free(o->shapes);
  nnm_graph_free(o->graph);
  nnm_ir_free(o->ir);
}

static nnm_shape output_of(const opened *o, const char *name, uint32_t index) {
  for (nnm_node_id i = 0; i < o->graph->node_count; i++)
    if (!strcmp(o->graph->nodes[i].name, name)) return o->shapes->tensors[o->graph->nodes[i].outputs[index]];
  fail_msg("no node %s", name);
  return (nnm_shape){.rank = -1};
}

static void expect_shape(nnm_shape shape, const int64_t *dims, int32_t rank) {
  assert_int_equal(shape.rank, rank);
  for (int32_t i = 0; i < rank; i++) assert_int_equal(shape.dims[i], dims[i]);
}
#define EXPECT_SHAPE(shape, ...)                      \
  expect_shape(shape, (const int64_t[]){__VA_ARGS__}, \
               (int32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

static const char onnx_text[] =
    "{\"c\": {\"attr\": {\"type\": \"Conv\", \"attr\": {\"kernel_shape\": [3, 5], \"strides\": [2, 1], \"group\": 1,"
    "  \"auto_pad\": \"b'SAME_UPPER'\"}, \"input_shape\": [[1, 9, 7, 3]], \"output_shape\": [[1, 5, 7, 8]]},"
    "  \"inbounds\": [], \"outbounds\": [\"s0\", \"s1\"]},"
    "\"s0\": {\"attr\": {\"type\": \"Slice\", \"attr\": {}, \"input_shape\": [[1, 5, 7, 8]],"
    "  \"output_shape\": [[1, 5, 7, 6], [1, 5, 7, 2]]}, \"inbounds\": [\"c\"], \"outbounds\": [\"r\", \"t1\"]},"
    "\"r\": {\"attr\": {\"type\": \"Relu\", \"attr\": {}, \"input_shape\": [[1, 5, 7, 6]], \"output_shape\": [[1, 5, "
    "7, 6]]},"
    "  \"inbounds\": [\"s0\"], \"outbounds\": [\"j\"]},"
    "\"j\": {\"attr\": {\"type\": \"Concat\", \"attr\": {\"axis\": 1}, \"input_shape\": [[1, 5, 7, 6], [1, 5, 7, 2]],"
    "  \"output_shape\": [[1, 5, 7, 8]]}, \"inbounds\": [\"r\", \"s1\"], \"outbounds\": [\"m\"]},"
    "\"m\": {\"attr\": {\"type\": \"ReduceMean\", \"attr\": {\"keepdims\": 0}, \"input_shape\": [[1, 5, 7, 8]],"
    "  \"output_shape\": [[1, 8]]}, \"inbounds\": [\"j\"], \"outbounds\": [\"f\"]},"
    "\"f\": {\"attr\": {\"type\": \"Gemm\", \"attr\": {\"transB\": 1}, \"input_shape\": [[1, 8]],"
    "  \"output_shape\": [[1, 10]]}, \"inbounds\": [\"m\"], \"outbounds\": []}}";

static void test_onnx_dialect(void **state) {
  (void)state;
  opened o = open_text(onnx_text);
  EXPECT_SHAPE(output_of(&o, "c", 0), 1, 8, 5, 7);
  EXPECT_SHAPE(output_of(&o, "s0", 0), 1, 6, 5, 7);
  EXPECT_SHAPE(output_of(&o, "s0", 1), 1, 2, 5, 7);
  EXPECT_SHAPE(output_of(&o, "j", 0), 1, 8, 5, 7);
  EXPECT_SHAPE(output_of(&o, "m", 0), 1, 8);
  EXPECT_SHAPE(output_of(&o, "f", 0), 1, 10);
  assert_int_equal(o.graph->blocks[0].input_count, 1); /* the dropped slice is an output of the other again */
  assert_int_equal(o.graph->blocks[0].output_count, 1);
  nnm_window window;
  assert_true(nnm_window_of(o.graph, o.shapes, 0, &window));
  assert_int_equal(window.kernel[1], 5);
  assert_int_equal(window.output_channels, 8);
  assert_int_equal(o.ir->nodes[0].graph_node_count, 1);
  assert_int_equal(o.shapes->note_count, 0);
  shut(&o);
}

static const char tensorflow_text[] =
    "{\"x\": {\"attr\": {\"type\": \"Placeholder\", \"attr\": {}, \"input_shape\": [], \"output_shape\": [[1, 9, 9, "
    "3]]},"
    "  \"inbounds\": []},"
    "\"c\": {\"attr\": {\"type\": \"Conv2D\", \"attr\": {\"padding\": \"VALID\", \"strides\": [1, 2, 2, 1],"
    "  \"weight_shape\": [5, 5, 3, 8]}, \"input_shape\": [[1, 9, 9, 3]], \"output_shape\": [[1, 4, 4, 8]]},"
    "  \"inbounds\": [\"x\"]},"
    "\"b\": {\"attr\": {\"type\": \"FusedBatchNorm\", \"attr\": {}, \"input_shape\": [[1, 4, 4, 8]],"
    "  \"output_shape\": [[1, 4, 4, 8]]}, \"inbounds\": [\"c\", \"b/moving_variance/read\"]},"
    "\"d\": {\"attr\": {\"type\": \"DepthwiseConv2dNative\", \"attr\": {\"padding\": \"SAME\", \"strides\": [1, 1],"
    "  \"weight_shape\": [3, 3, 8, 2]}, \"input_shape\": [[1, 3, 3, 8]], \"output_shape\": [[1, 3, 3, 16]]},"
    "  \"inbounds\": [\"b\"]},"
    "\"k\": {\"attr\": {\"type\": \"Const\", \"attr\": {\"tensor_shape\": [], \"constant\": [0.5]}, \"input_shape\": "
    "[],"
    "  \"output_shape\": [[]]}, \"inbounds\": []},"
    "\"s\": {\"attr\": {\"type\": \"Mul\", \"attr\": {}, \"input_shape\": [[1, 3, 3, 16], []],"
    "  \"output_shape\": [[1, 99, 99, 16]]}, \"inbounds\": [\"d\", \"k\"]},"
    "\"p\": {\"attr\": {\"type\": \"Const\", \"attr\": {\"constant\": [0, 3, 1, 2]}, \"input_shape\": [],"
    "  \"output_shape\": [[4]]}, \"inbounds\": []},"
    "\"t\": {\"attr\": {\"type\": \"Transpose\", \"attr\": {}, \"input_shape\": [[1, 3, 3, 16]],"
    "  \"output_shape\": [[1, 16, 3, 3]]}, \"inbounds\": [\"s\", \"p\"]},"
    "\"v\": {\"attr\": {\"type\": \"Split\", \"attr\": {\"split_dim\": [1]}, \"input_shape\": [[1, 16, 3, 3]],"
    "  \"output_shape\": [[1, 8, 3, 3], [1, 8, 3, 3]]}, \"inbounds\": [\"t\"]},"
    "\"a\": {\"attr\": {\"type\": \"Add\", \"attr\": {}, \"input_shape\": [[1, 8, 3, 3], [1, 8, 3, 3]],"
    "  \"output_shape\": [[1, 8, 3, 3]]}, \"inbounds\": [\"v\", \"v\"]},"
    "\"m\": {\"attr\": {\"type\": \"Mean\", \"attr\": {\"reduction_indices\": [1, 2]}, \"input_shape\": [[1, 3]],"
    "  \"output_shape\": [[1, 3]]}, \"inbounds\": [\"a\"]},"
    "\"r\": {\"attr\": {\"type\": \"Reshape\", \"attr\": {}, \"input_shape\": [[1, 3]], \"output_shape\": [[-1, 3]]},"
    "  \"inbounds\": [\"m\"]},"
    "\"f\": {\"attr\": {\"type\": \"MatMul\", \"attr\": {}, \"input_shape\": [[-1, 3]], \"output_shape\": [[-1, 10]]},"
    "  \"inbounds\": [\"r\"]}}";

static void test_tensorflow_dialect(void **state) {
  (void)state;
  opened o = open_text(tensorflow_text);
  EXPECT_SHAPE(output_of(&o, "c", 0), 1, 3, 3, 8); /* the declared 4 is the old converter's slip */
  EXPECT_SHAPE(output_of(&o, "d", 0), 1, 3, 3, 16);
  EXPECT_SHAPE(output_of(&o, "s", 0), 1, 3, 3, 16);
  EXPECT_SHAPE(output_of(&o, "t", 0), 1, 16, 3, 3);
  EXPECT_SHAPE(output_of(&o, "v", 1), 1, 8, 3, 3);
  EXPECT_SHAPE(output_of(&o, "m", 0), 1, 3);
  EXPECT_SHAPE(output_of(&o, "f", 0), 1, 10);
  const nnm_node *add = &o.graph->nodes[o.ir->nodes[9].graph_nodes[0]];
  assert_int_not_equal(add->inputs[0], add->inputs[1]); /* the readers of equal outputs take them in turn */
  assert_int_equal(o.graph->blocks[0].input_count, 1);
  assert_true(o.shapes->note_count > 0);
  shut(&o);
}

/* Operators whose parameters the IR does not show have the declared shape, and faults of one do not stop the rest. */
static void test_declared_shapes(void **state) {
  (void)state;
  opened o = open_text(
      "{\"a\": {\"attr\": {\"type\": \"Resize\", \"attr\": {}, \"input_shape\": [[1, 4, 4, 2]],"
      "  \"output_shape\": [[1, 8, 8, 2]]}, \"inbounds\": []},"
      "\"b\": {\"attr\": {\"type\": \"Nonesuch\", \"attr\": {}, \"input_shape\": [[1, 8, 8, 2]],"
      "  \"output_shape\": [[1, 8, 8, 5]]}, \"inbounds\": [\"a\"]},"
      "\"c\": {\"attr\": {\"type\": \"Conv\", \"attr\": {\"kernel_shape\": [20, 20]}, \"input_shape\": [[1, 8, 8, 5]],"
      "  \"output_shape\": [[1, 1, 1, 6]]}, \"inbounds\": [\"b\"]}}");
  EXPECT_SHAPE(output_of(&o, "a", 0), 1, 2, 8, 8);
  EXPECT_SHAPE(output_of(&o, "b", 0), 1, 5, 8, 8);
  EXPECT_SHAPE(output_of(&o, "c", 0), 1, 6, 1, 1);
  assert_true(o.shapes->note_count > 0);
  shut(&o);
}

#define IR_NODE(name, type, attributes, input, output, bounds)                                                   \
  "\"" name "\": {\"attr\": {\"type\": \"" type "\", \"attr\": {" attributes "}, \"input_shape\": [" input "], " \
  "\"output_shape\": [" output "]}, " bounds "}"
#define IR_MAP "[1, 4, 4, 2]"

/* The notes of the file, joined by bars; nothing that a file says may vanish without one. */
static void expect_notes(const char *text, const char *expected) {
  opened o = open_text(text);
  char joined[1024] = "";
  for (size_t i = 0; i < o.graph->note_count; i++)
    snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%s", i ? "|" : "", o.graph->notes[i]);
  assert_string_equal(joined, expected);
  shut(&o);
}

static void test_lost_edges_are_noted(void **state) {
  (void)state;
  expect_notes(onnx_text, ""); /* the dropped slice is known */
  expect_notes(tensorflow_text, "");
  expect_notes(
      "{" IR_NODE("a", "Relu", "", IR_MAP, IR_MAP, "\"inbounds\": [\"gone\"]") "}",
      "node 'a' has 'gone' among its inbounds, which is no node of the file; taken to come from outside of the "
      "model");
  expect_notes("{" IR_NODE("a", "Relu", "", IR_MAP, IR_MAP, "\"inbounds\": []") "," IR_NODE(
                   "b", "Add", "", IR_MAP "," IR_MAP, IR_MAP, "\"inbounds\": [\"a\", \"g\\nne\", \"lost\"]") "}",
               "node 'b' has 'g?ne' among its inbounds, which is no node of the file (and 1 more); taken to "
               "come from outside of the model");
  expect_notes(
      "{" IR_NODE("p", "Placeholder", "", "", IR_MAP, "\"inbounds\": []") "," IR_NODE(
          "b", "Add", "", IR_MAP "," IR_MAP, IR_MAP, "\"inbounds\": [\"p\", \"gone\"]") "}",
      "node 'b' has 'gone' among its inbounds, which is no node of the file; taken to come from outside of the "
      "model");
  expect_notes(
      "{" IR_NODE("a", "Relu", "", IR_MAP, IR_MAP, "\"inbounds\": [], \"outbounds\": [\"b\", \"x\"]") "," IR_NODE(
          "b", "Relu", "", IR_MAP, IR_MAP, "\"inbounds\": [], \"outbounds\": []") "}",
      "node 'a' has 'b' among its outbounds, which does not read it (and 1 more); only inbounds "
      "count");
  expect_notes("{" IR_NODE("a", "Relu", "", IR_MAP, IR_MAP, "\"inbounds\": []") ", \"s\": {\"attr\": {}}}",
               "node 's' has no type in the IR: left out");
}

static void test_guesses_are_noted(void **state) {
  (void)state;
  expect_notes("{" IR_NODE("c", "Conv",
                           "\"strides\": \"2\", \"auto_pad\": 1, \"kernel_shape\": [1, 1], \"group\": null, "
                           "\"other\": {}",
                           IR_MAP, "[1, 4, 4, 8]", "\"inbounds\": []") "}",
               "attribute 'strides' of node 'c' is no integer or short list of them: taken as if it were not there|"
               "attribute 'auto_pad' of node 'c' is no text: taken as if it were not there");
  expect_notes("{" IR_NODE("c", "Concat", "", IR_MAP "," IR_MAP, IR_MAP, "\"inbounds\": []") "}", "");
  expect_notes("{" IR_NODE("c", "Concat", "", IR_MAP "," IR_MAP, "", "\"inbounds\": []") "}",
               "node 'c' has no 'axis': its usual value is assumed");
}

static void test_booleans_and_lists_of_floats(void **state) {
  (void)state;
  opened o = open_text("{" IR_NODE("p", "MaxPool", "\"kernel_shape\": [2, 2], \"strides\": [2, 2], \"ceil_mode\": true",
                                   "[1, 5, 5, 2]", "",
                                   "\"inbounds\": []") "," IR_NODE("u", "Upsample", "\"scales\": [1, 1, 2.0, 2]",
                                                                   "[1, 3, 3, 2]", "", "\"inbounds\": [\"p\"]") "}");
  EXPECT_SHAPE(output_of(&o, "p", 0), 1, 2, 3, 3);
  EXPECT_SHAPE(output_of(&o, "u", 0), 1, 2, 6, 6);
  shut(&o);
}

static void test_zero_is_a_size_not_fixed(void **state) {
  (void)state;
  opened o = open_text("{\"a\": {\"attr\": {\"type\": \"Relu\", \"attr\": {}, \"input_shape\": [[0, 4, 4, 2]],"
                       "\"output_shape\": [[0, 4, 4, 2]]}, \"inbounds\": []}}");
  EXPECT_SHAPE(output_of(&o, "a", 0), 1, 2, 4, 4);
  shut(&o);
}

static void test_names_do_not_collide(void **state) {
  (void)state;
  opened o =
      open_text("{\"s\": {\"attr\": {\"type\": \"Split\", \"attr\": {\"axis\": 1}, \"input_shape\": [[1, 4, 4, 2]],"
                "  \"output_shape\": [[1, 4, 4, 1], [1, 4, 4, 1]]}, \"inbounds\": []},"
                "\"s:1\": {\"attr\": {\"type\": \"Relu\", \"attr\": {}, \"input_shape\": [[1, 4, 4, 1]],"
                "  \"output_shape\": [[1, 4, 4, 1]]}, \"inbounds\": [\"s\"]},"
                "\"input:1x2x4x4\": {\"attr\": {\"type\": \"Relu\", \"attr\": {}, \"input_shape\": [[1, 4, 4, 1]],"
                "  \"output_shape\": [[1, 4, 4, 1]]}, \"inbounds\": [\"s:1\"]}}");
  assert_int_equal(o.graph->node_count, 3);
  shut(&o);
}

static void test_cycle(void **state) {
  (void)state;
  nnm_ir *ir = parse("{\"a\": {\"attr\": {\"type\": \"Relu\", \"input_shape\": [[1]], \"output_shape\": [[1]]},"
                     "\"inbounds\": [\"b\"]}, \"b\": {\"attr\": {\"type\": \"Relu\", \"input_shape\": [[1]],"
                     "\"output_shape\": [[1]]}, \"inbounds\": [\"a\"]}}");
  nnm_graph *graph = NULL;
  assert_int_equal(nnm_ir_to_graph(ir, &graph, &error), NNM_ERROR_GRAPH);
  nnm_ir_free(ir);
}

/* A graph made of an IR gives that IR again, but for what only files have. */
static void test_round_trip(void **state) {
  (void)state;
  opened o = open_text(onnx_text);
  nnm_ir *again = NULL;
  assert_int_equal(nnm_ir_from_graph(o.graph, o.shapes, NNM_IR_NAMED, &again, &error), NNM_OK);
  assert_int_equal(again->node_count, o.ir->node_count);
  for (size_t i = 0; i < again->node_count; i++) {
    assert_string_equal(again->nodes[i].name, o.ir->nodes[i].name);
    assert_string_equal(again->nodes[i].type, o.ir->nodes[i].type);
    assert_int_equal(again->nodes[i].output_shapes[0].rank, o.ir->nodes[i].output_shapes[0].rank);
    for (int32_t d = 0; d < again->nodes[i].output_shapes[0].rank; d++)
      assert_int_equal(again->nodes[i].output_shapes[0].dims[d], o.ir->nodes[i].output_shapes[0].dims[d]);
  }
  json_t *attributes = NULL;
  assert_int_equal(nnm_ir_attributes_json(&again->nodes[0], &attributes, &error), NNM_OK);
  assert_string_equal(json_string_value(json_object_get(attributes, "auto_pad")), "b'SAME_UPPER'");
  json_decref(attributes);
  nnm_ir_free(again);
  shut(&o);
}

/* Kernel detection does without names: but for them, and for who reads what, the IR is the same. */
static void test_without_names(void **state) {
  (void)state;
  opened o = open_text(onnx_text);
  nnm_ir *named = NULL, *unnamed = NULL;
  assert_int_equal(nnm_ir_from_graph(o.graph, o.shapes, NNM_IR_NAMED, &named, &error), NNM_OK);
  assert_int_equal(nnm_ir_from_graph(o.graph, o.shapes, NNM_IR_UNNAMED, &unnamed, &error), NNM_OK);
  assert_int_equal(unnamed->node_count, named->node_count);
  for (size_t i = 0; i < named->node_count; i++) {
    const nnm_ir_node *a = &named->nodes[i], *b = &unnamed->nodes[i];
    assert_null(b->name);
    assert_string_equal(a->type, b->type);
    assert_ptr_equal(a->source, b->source);
    assert_int_equal(a->inbound_count, b->inbound_count);
    assert_memory_equal(a->inbounds, b->inbounds, a->inbound_count * sizeof *a->inbounds);
    for (size_t k = 0; k < a->inbound_count; k++)
      assert_string_equal(a->inbound_names[k], named->nodes[a->inbounds[k]].name);
    assert_int_equal(a->input_shape_count, b->input_shape_count);
    assert_int_equal(a->output_shape_count, b->output_shape_count);
    assert_int_equal(b->graph_node_count, a->graph_node_count);
  }
  nnm_ir_free(unnamed);
  nnm_ir_free(named);
  shut(&o);
}

/* Attributes of a graph's node are what they would be in the document. */
static void test_attributes_of_a_graph(void **state) {
  (void)state;
  const int64_t sizes[] = {3, 5};
  const nnm_attribute attributes[] = {
      {"kernel_shape", NNM_ATTRIBUTE_INTS, 2, {.integers = sizes}},
      {"group", NNM_ATTRIBUTE_INT, 0, {.integer = 4}},
      {"twice", NNM_ATTRIBUTE_INT, 0, {.integer = 1}},
      {"twice", NNM_ATTRIBUTE_INT, 0, {.integer = 2}},       /* the last counts ... */
      {"twice", NNM_ATTRIBUTE_FLOATS, 0, {.numbers = NULL}}, /* ... of what the document would have */
      {"auto_pad", NNM_ATTRIBUTE_TEXT, 0, {.text = "VALID"}},
  };
  const nnm_node source = {.attribute_count = 6, .attributes = attributes};
  const nnm_ir_node node = {.source = &source};
  int64_t values[2] = {0};
  size_t count = 0;
  assert_true(nnm_ir_integers(&node, "kernel_shape", values, 2, &count));
  assert_int_equal(count, 2);
  assert_int_equal(values[1], 5);
  assert_false(nnm_ir_integers(&node, "kernel_shape", values, 1, &count));
  assert_true(nnm_ir_integers(&node, "group", values, 2, &count));
  assert_int_equal(count, 1);
  assert_true(nnm_ir_integer(&node, "twice", values));
  assert_int_equal(values[0], 2);
  assert_true(nnm_ir_is_list(&node, "kernel_shape"));
  assert_false(nnm_ir_is_list(&node, "group"));
  assert_true(nnm_ir_has(&node, "auto_pad"));
  assert_false(nnm_ir_has(&node, "pads"));
  assert_false(nnm_ir_integers(&node, "auto_pad", values, 2, &count));
  json_t *json = NULL;
  assert_int_equal(nnm_ir_attributes_json(&node, &json, &error), NNM_OK);
  char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
  assert_string_equal(text, "{\"auto_pad\":\"b'VALID'\",\"group\":4,\"kernel_shape\":[3,5],\"twice\":2}");
  free(text);
  json_decref(json);
}

static void test_probe(void **state) {
  (void)state;
  assert_int_equal(nnm_reader_nnmeter_ir.probe((const unsigned char *)onnx_text, sizeof onnx_text - 1), 2);
  assert_int_equal(nnm_reader_nnmeter_ir.probe((const unsigned char *)" {}", 3), 1);
  assert_int_equal(nnm_reader_nnmeter_ir.probe((const unsigned char *)"{ \"a\" : { } }", 13), 1);
  static const char package[] = "{\"name\": \"x\", \"version\": \"1.0\"}", options[] = "{\"options\": {\"a\": 1}}";
  assert_int_equal(nnm_reader_nnmeter_ir.probe((const unsigned char *)package, sizeof package - 1), 0);
  assert_int_equal(nnm_reader_nnmeter_ir.probe((const unsigned char *)options, sizeof options - 1), 0);
  assert_int_equal(nnm_reader_nnmeter_ir.probe((const unsigned char *)"\x08\x07", 2), 0);
  assert_int_equal(nnm_reader_nnmeter_ir.probe((const unsigned char *)"", 0), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parse),
      cmocka_unit_test(test_missing_inbounds_come_from_outbounds),
      cmocka_unit_test(test_faults),
      cmocka_unit_test(test_every_truncation_fails),
      cmocka_unit_test(test_print_as_python_does),
      cmocka_unit_test(test_print_numbers),
      cmocka_unit_test(test_onnx_dialect),
      cmocka_unit_test(test_tensorflow_dialect),
      cmocka_unit_test(test_declared_shapes),
      cmocka_unit_test(test_lost_edges_are_noted),
      cmocka_unit_test(test_guesses_are_noted),
      cmocka_unit_test(test_booleans_and_lists_of_floats),
      cmocka_unit_test(test_zero_is_a_size_not_fixed),
      cmocka_unit_test(test_names_do_not_collide),
      cmocka_unit_test(test_cycle),
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_without_names),
      cmocka_unit_test(test_attributes_of_a_graph),
      cmocka_unit_test(test_probe),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
