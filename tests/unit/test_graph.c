#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph/builder.h"

/* A builder with helpers that fail the test on any error. */
static nnm_graph_builder *builder;
static nnm_error error;

static const char *text(const char *name) { return nnm_graph_builder_intern(builder, name, strlen(name)); }

static nnm_tensor_id tensor(const char *name) {
  nnm_tensor_id id = -1;
  assert_int_equal(nnm_graph_builder_tensor(builder, text(name), &id, &error), NNM_OK);
  return id;
}

static nnm_status add_node(const char *name, const char *input, const char *output) {
  nnm_tensor_id in = tensor(input), out = -1;
  assert_int_equal(nnm_graph_builder_local_tensor(builder, text(output), &out, &error), NNM_OK);
  nnm_node node = {.name = text(name),
                   .type = text("Relu"),
                   .domain = text(""),
                   .input_count = 1,
                   .inputs = &in,
                   .output_count = 1,
                   .outputs = &out};
  return nnm_graph_builder_node(builder, &node, NULL, &error);
}

static int setup(void **state) {
  (void)state;
  return nnm_graph_builder_create("test", &builder, &error);
}

static void test_chain_out_of_order(void **state) {
  (void)state;
  assert_int_equal(add_node("second", "b", "c"), NNM_OK);
  assert_int_equal(nnm_graph_builder_input(builder, tensor("a"), &error), NNM_OK);
  assert_int_equal(add_node("first", "a", "b"), NNM_OK);
  assert_int_equal(nnm_graph_builder_output(builder, tensor("c"), &error), NNM_OK);
  nnm_graph *graph;
  assert_int_equal(nnm_graph_builder_finish(builder, &graph, &error), NNM_OK);
  assert_int_equal(graph->blocks[0].node_count, 2);
  assert_string_equal(graph->nodes[graph->blocks[0].nodes[0]].name, "first");
  assert_string_equal(graph->nodes[graph->blocks[0].nodes[1]].name, "second");
  nnm_tensor_id b = graph->nodes[0].inputs[0];
  assert_int_equal(graph->consumer_start[b + 1] - graph->consumer_start[b], 1);
  assert_int_equal(graph->consumer_nodes[graph->consumer_start[b]], 0);
  nnm_graph_free(graph);
}

static void expect_finish(nnm_status status, const char *part) {
  nnm_graph *graph;
  assert_int_equal(nnm_graph_builder_finish(builder, &graph, &error), status);
  assert_non_null(strstr(error.message, part));
}

static void test_cycle(void **state) {
  (void)state;
  assert_int_equal(add_node("one", "a", "b"), NNM_OK);
  assert_int_equal(add_node("two", "b", "a"), NNM_OK);
  expect_finish(NNM_ERROR_GRAPH, "cycle");
}

static void test_self_loop(void **state) {
  (void)state;
  assert_int_equal(add_node("one", "a", "a"), NNM_OK);
  expect_finish(NNM_ERROR_GRAPH, "cycle");
}

static void test_dangling(void **state) {
  (void)state;
  assert_int_equal(add_node("one", "nowhere", "b"), NNM_OK);
  expect_finish(NNM_ERROR_GRAPH, "nowhere");
}

static void test_defined_twice(void **state) {
  (void)state;
  assert_int_equal(nnm_graph_builder_input(builder, tensor("a"), &error), NNM_OK);
  assert_int_equal(add_node("one", "a", "b"), NNM_OK);
  assert_int_equal(add_node("two", "a", "b"), NNM_ERROR_GRAPH);
  nnm_graph_builder_free(builder);
}

/* A body reads a tensor that the main graph defines only later, hides another, and leaves no name behind. */
static void test_body_scopes(void **state) {
  (void)state;
  nnm_block_id body;
  assert_int_equal(nnm_graph_builder_input(builder, tensor("x"), &error), NNM_OK);
  assert_int_equal(nnm_graph_builder_begin_block(builder, text("then_branch"), &body, &error), NNM_OK);
  assert_int_equal(add_node("inner", "late", "x"), NNM_OK); /* hides x */
  nnm_tensor_id hidden = tensor("x");
  assert_int_equal(nnm_graph_builder_output(builder, hidden, &error), NNM_OK);
  assert_int_equal(nnm_graph_builder_end_block(builder, &error), NNM_OK);
  assert_int_not_equal(tensor("x"), hidden);
  nnm_attribute attribute = {.name = text("then_branch"), .kind = NNM_ATTRIBUTE_BLOCK, .as.block = body};
  nnm_tensor_id x = tensor("x"), y = tensor("y");
  nnm_node owner = {.name = text("if"),
                    .type = text("If"),
                    .domain = text(""),
                    .input_count = 1,
                    .inputs = &x,
                    .output_count = 1,
                    .outputs = &y,
                    .attribute_count = 1,
                    .attributes = &attribute};
  assert_int_equal(nnm_graph_builder_node(builder, &owner, NULL, &error), NNM_OK);
  assert_int_equal(add_node("later", "x", "late"), NNM_OK);
  nnm_graph *graph;
  assert_int_equal(nnm_graph_builder_finish(builder, &graph, &error), NNM_OK);
  assert_int_equal(graph->blocks[0].node_count, 2);
  assert_string_equal(graph->nodes[graph->blocks[0].nodes[0]].name, "later"); /* the If waits for what its body reads */
  assert_int_equal(graph->blocks[1].node_count, 1);
  assert_int_equal(graph->blocks[1].owner, 1);
  nnm_graph_free(graph);
}

static void test_limits(void **state) {
  (void)state;
  int64_t dims[1] = {INT64_MAX};
  assert_int_equal(nnm_graph_builder_declare(builder, tensor("a"), NNM_DTYPE_F32, 1, dims, NULL, &error),
                   NNM_ERROR_LIMIT);
  nnm_block_id block;
  nnm_status status = NNM_OK;
  for (int i = 0; i < 100 && status == NNM_OK; i++)
    status = nnm_graph_builder_begin_block(builder, text("body"), &block, &error);
  assert_int_equal(status, NNM_ERROR_LIMIT);
  nnm_graph_builder_free(builder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_chain_out_of_order, setup),
      cmocka_unit_test_setup(test_cycle, setup),
      cmocka_unit_test_setup(test_self_loop, setup),
      cmocka_unit_test_setup(test_dangling, setup),
      cmocka_unit_test_setup(test_defined_twice, setup),
      cmocka_unit_test_setup(test_body_scopes, setup),
      cmocka_unit_test_setup(test_limits, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
