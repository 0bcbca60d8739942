#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_maker.h"

const char cpu[] =
    "{\"BF_conv_bn\": {\"obey\": true}, \"BF_conv_relu\": {\"obey\": true}, \"BF_dwconv_relu\": {\"obey\": true},"
    " \"BF_conv_hswish\": {\"obey\": true}, \"BF_bn_relu\": {\"obey\": true}, \"BF_add_relu\": {\"obey\": true},"
    " \"BF_fc_relu\": {\"obey\": true}, \"BF_relu_fc\": {\"obey\": true}, \"BF_conv_avgpool\": {\"obey\": true},"
    " \"BF_conv_concat\": {\"obey\": true}, \"BF_se_relu\": {\"obey\": true}, \"BF_conv_add\": {\"obey\": false}}";

graph_maker maker;
nnm_graph *graph;
nnm_shapes *shapes;
nnm_kernels *kernels;

int setup(void **state) {
  (void)state;
  make_start(&maker, 13);
  return 0;
}

void release(void) {
  nnm_kernels_free(kernels);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

int count_left_out(bool may_repeat) {
  int left_out = 0;
  char *seen = calloc((size_t)graph->node_count, 1);
  assert_non_null(seen);
  for (size_t i = 0; i < kernels->count; i++)
    for (size_t k = 0; k < kernels->items[i].member_count; k++) {
      assert_true(may_repeat || !seen[kernels->items[i].members[k]]);
      seen[kernels->items[i].members[k]] = 1;
    }
  for (nnm_node_id n = 0; n < graph->node_count; n++) left_out += !seen[n];
  free(seen);
  return left_out;
}

void detect_with(const char *rules_text) {
  graph = make_finish(&maker);
  detect_in_graph(rules_text);
}

void detect_in_graph(const char *rules_text) {
  nnm_fusion_rules *rules = NULL;
  if (nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error) != NNM_OK)
    fail_msg("%s: %s", maker.error.place, maker.error.message);
  assert_int_equal(nnm_fusion_rules_parse(rules_text, strlen(rules_text), &rules, &maker.error), NNM_OK);
  assert_int_equal(nnm_detect_kernels(graph, shapes, rules, &kernels, &maker.error), NNM_OK);
  nnm_fusion_rules_free(rules);
}

void expect_names(const char *expected) {
  char names[4096] = "";
  size_t length = 0;
  for (size_t i = 0; i < kernels->count; i++)
    length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i ? ", " : "", kernels->items[i].name);
  assert_string_equal(names, expected);
}

void expect(const char *names) {
  detect_with(cpu);
  expect_names(names);
  assert_int_equal(count_left_out(false), 0);
  release();
}

void input(void) { make_input(&maker, "x", "1x16x8x8"); }
void output(const char *name) { make_output(&maker, name); }

void conv(const char *in, const char *out, const char *weight_shape, int64_t group) {
  char inputs[100], weight[50];
  snprintf(weight, sizeof weight, "%s.w", out);
  snprintf(inputs, sizeof inputs, "%s %s", in, weight);
  make_weight(&maker, weight, weight_shape);
  with_ints(&maker, "pads", "1 1 1 1");
  with_int(&maker, "group", group);
  if (strstr(weight_shape, "x1x1")) maker.attribute_count = 0;
  make_node(&maker, "Conv", inputs, out);
}

void conv3(const char *in, const char *out) { conv(in, out, "16x16x3x3", 1); }

void batch_norm(const char *in, const char *out) {
  char inputs[200];
  for (int i = 0; i < 4; i++) {
    snprintf(inputs, sizeof inputs, "%s.%d", out, i);
    make_weight(&maker, inputs, "16");
  }
  snprintf(inputs, sizeof inputs, "%s %s.0 %s.1 %s.2 %s.3", in, out, out, out, out);
  make_node(&maker, "BatchNormalization", inputs, out);
}

void scalars(void) {
  make_floats(&maker, "three", "3");
  make_floats(&maker, "six", "6");
  make_floats(&maker, "zero", "0");
  make_floats(&maker, "half", "0.5");
  make_floats(&maker, "one", "1");
  make_floats(&maker, "two", "2");
  make_floats(&maker, "sixth", "0.16666667");
}
