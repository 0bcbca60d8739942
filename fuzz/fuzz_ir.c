/* nn-Meter IR is a user's file: any bytes give a document, its kernels, its text and its graph, or an error. */
#include <stdlib.h>
#include <string.h>

#include "compat/compat.h"
#include "readers/reader.h"
#include "shapes/shapes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rules_text[] =
    "{\"BF_conv_bn_relu\":{\"obey\":true},\"BF_add_relu\":{\"obey\":true},\"BF_conv_relu\":{\"obey\":true},"
    "\"BF_conv_bn\":{\"obey\":true},\"BF_relu_add_relu_add\":{\"obey\":true},\"MON\":{\"obey\":";

static nnm_fusion_rules *make_rules(const char *multi_consumer) {
  char text[512];
  nnm_fusion_rules *rules = NULL;
  strcpy(text, rules_text);
  strcat(text, multi_consumer);
  strcat(text, "}}");
  return nnm_fusion_rules_parse(text, strlen(text), &rules, NULL) == NNM_OK ? rules : NULL;
}

static void detect(const nnm_ir *ir, const nnm_graph *graph, const nnm_shapes *shapes) {
  static const char *const multi_consumers[] = {"0", "true", "2"};
  for (size_t i = 0; i < 3; i++) {
    nnm_fusion_rules *rules = make_rules(multi_consumers[i]);
    nnm_kernels *kernels = NULL;
    json_t *json = NULL;
    if (rules && nnm_detect_compat_kernels(ir, graph, shapes, rules, &kernels, NULL) == NNM_OK)
      nnm_compat_kernels_json(kernels, &json, NULL);
    json_decref(json);
    nnm_kernels_free(kernels);
    nnm_fusion_rules_free(rules);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nnm_ir *ir = NULL;
  nnm_graph *graph = NULL;
  nnm_shapes *shapes = NULL;
  char *text = NULL;
  if (nnm_ir_parse(data, size, &ir, NULL) != NNM_OK) return 0;
  if (nnm_ir_print(ir, &text, NULL) == NNM_OK) free(text);
  detect(ir, NULL, NULL);
  if (nnm_ir_to_graph(ir, &graph, NULL) == NNM_OK && nnm_infer_graph_shapes(graph, NULL, &shapes, NULL) == NNM_OK) {
    nnm_ir *again = NULL;
    detect(ir, graph, shapes);
    if (nnm_ir_from_graph(graph, shapes, NNM_IR_UNNAMED, &again, NULL) == NNM_OK) detect(again, graph, shapes);
    nnm_ir_free(again);
  }
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
  nnm_ir_free(ir);
  return 0;
}
