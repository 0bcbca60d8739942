/* Every allocation on the way through an IR fails once, jansson's as well: an error, no crash, no leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../hostile/failing_malloc.h"
#include "compat/compat.h"

static const char document[] =
    "{\"x\":{\"attr\":{\"type\":\"Conv\",\"attr\":{\"kernel_shape\":[3,3],\"auto_pad\":\"b'SAME_UPPER'\",\"group\":1},"
    "\"input_shape\":[[1,8,8,3]],\"output_shape\":[[1,8,8,4]]},\"inbounds\":[],\"outbounds\":[\"a\"]},"
    "\"a\":{\"attr\":{\"type\":\"Add\",\"attr\":{},\"input_shape\":[[1,8,8,4]],\"output_shape\":[[1,8,8,4]]},"
    "\"inbounds\":[\"x\"]},"
    "\"r\":{\"attr\":{\"type\":\"Clip\",\"attr\":{\"max\":6.0},\"input_shape\":[[1,8,8,4]],\"output_shape\":[[1,8,8,4]]"
    "},"
    "\"inbounds\":[\"a\",\"gone\"]},"
    "\"d\":{\"attr\":{\"type\":\"Div\",\"attr\":{},\"input_shape\":[[1,8,8,4]],\"output_shape\":[[1,8,8,4]]},"
    "\"inbounds\":[\"r\"]},"
    "\"m\":{\"attr\":{\"type\":\"Mul\",\"attr\":{},\"input_shape\":[[1,8,8,4],[1,8,8,4]],\"output_shape\":[[1,8,8,4]]},"
    "\"inbounds\":[\"x\",\"d\"]},"
    "\"i\":{\"attr\":{\"type\":\"Identity\",\"attr\":{},\"input_shape\":[[1,8,8,4]],\"output_shape\":[[1,8,8,4]]},"
    "\"inbounds\":[\"m\"]},"
    "\"s\":{\"attr\":{\"type\":\"Slice\",\"attr\":{},\"input_shape\":[[1,8,8,4]],\"output_shape\":[[1,8,8,1],[1,8,8,3]]"
    "},"
    "\"inbounds\":[\"i\"]},"
    "\"c\":{\"attr\":{\"type\":\"Concat\",\"attr\":{\"axis\":1},\"input_shape\":[[1,8,8,1],[1,8,8,3]],"
    "\"output_shape\":[[1,8,8,4]]},\"inbounds\":[\"s\",\"s2\"]}}";
static const char rules_text[] = "{\"BF_conv_hswish\":{\"obey\":true},\"BF_split_concat_relu\":{\"obey\":true},"
                                 "\"MON\":{\"obey\":true}}";

/* All that is done with an IR; the first failure ends it. */
static nnm_status walk(const nnm_fusion_rules *rules) {
  nnm_ir *ir = NULL, *again = NULL;
  nnm_graph *graph = NULL;
  nnm_shapes *shapes = NULL;
  nnm_kernels *kernels = NULL;
  json_t *json = NULL;
  char *text = NULL, *again_text = NULL;
  nnm_error error;
  nnm_status status = nnm_ir_parse((const unsigned char *)document, sizeof document - 1, &ir, &error);
  if (status == NNM_OK) status = nnm_ir_print(ir, &text, &error);
  if (status == NNM_OK) status = nnm_ir_to_graph(ir, &graph, &error);
  if (status == NNM_OK) status = nnm_infer_graph_shapes(graph, NULL, &shapes, &error);
  if (status == NNM_OK) status = nnm_detect_compat_kernels(ir, graph, shapes, rules, &kernels, &error);
  if (status == NNM_OK) status = nnm_compat_kernels_json(kernels, &json, &error);
  if (status == NNM_OK) status = nnm_ir_from_graph(graph, shapes, NNM_IR_NAMED, &again, &error);
  if (status == NNM_OK) status = nnm_ir_print(again, &again_text, &error);
  json_decref(json);
  free(text);
  free(again_text);
  nnm_kernels_free(kernels);
  nnm_ir_free(again);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
  nnm_ir_free(ir);
  return status;
}

/* Its own malloc is in another library; through these it is counted as well. */
static void *counted_malloc(size_t size) { return malloc(size); }
static void counted_free(void *memory) { free(memory); }

static void test_failing_allocations(void **state) {
  (void)state;
  json_set_alloc_funcs(counted_malloc, counted_free);
  nnm_fusion_rules *rules = NULL;
  assert_int_equal(nnm_fusion_rules_parse(rules_text, sizeof rules_text - 1, &rules, NULL), NNM_OK);
  assert_int_equal(walk(rules), NNM_OK);
  size_t number = 0;
  for (; number < 100000; number++) {
    failing_malloc_arm(number);
    nnm_status status = walk(rules);
    bool all_succeeded = failing_malloc_count() <= number;
    failing_malloc_arm(SIZE_MAX);
    if (all_succeeded) break;
    /* jansson does not always say that it was memory that it lacked */
    if (status == NNM_OK) fail_msg("allocation %zu failed, but all is said to be well", number);
  }
  assert_in_range(number, 100, 99999);
  nnm_fusion_rules_free(rules);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_failing_allocations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
