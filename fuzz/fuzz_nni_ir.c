/* An NNI graph all the way to features: the reader makes nodes of its own, so later stages meet what no exporter writes. */
#include "features/features.h"
#include "readers/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void detect(const nnm_graph *graph, const nnm_shapes *shapes) {
  static const char text[] = "{\"BF_conv_relu\": {\"obey\": 1}, \"BF_fc_add\": {\"obey\": 1}, \"MON\": {\"obey\": 1}}";
  nnm_fusion_rules *rules = NULL;
  nnm_kernels *kernels = NULL;
  if (nnm_fusion_rules_parse(text, sizeof text - 1, &rules, NULL) != NNM_OK) return;
  if (nnm_detect_kernels(graph, shapes, rules, &kernels, NULL) == NNM_OK)
    for (size_t i = 0; i < kernels->count; i++) {
      float features[NNM_FEATURE_COUNT];
      nnm_kernel_features(graph, shapes, &kernels->items[i], features);
    }
  nnm_kernels_free(kernels);
  nnm_fusion_rules_free(rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int64_t dims[] = {1, 3, 32, 32};
  static const nnm_input_shape input = {"", 4, dims};
  static const nnm_shape_options options = {1, &input, 1};
  nnm_graph *graph = NULL;
  nnm_shapes *shapes = NULL;
  nnm_ir *ir = NULL;
  nnm_reader_nni_ir.probe(data, size);
  if (nnm_reader_nni_ir.read(data, size, &graph, &ir, NULL) != NNM_OK) return 0;
  /* with the IR's own shapes; if they do not do, with one that fits small images */
  if (nnm_infer_graph_shapes(graph, NULL, &shapes, NULL) == NNM_OK ||
      nnm_infer_graph_shapes(graph, &options, &shapes, NULL) == NNM_OK)
    detect(graph, shapes);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
  return 0;
}
