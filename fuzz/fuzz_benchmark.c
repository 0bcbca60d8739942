/* A benchmark graph all the way to features: the stages behind a reader must stand whatever graph it lets through. */
#include "features/features.h"
#include "readers/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void detect(const nnm_graph *graph, const nnm_shapes *shapes) {
  static const char text[] =
      "{\"BF_conv_relu\": {\"obey\": 1}, \"BF_relu_relu\": {\"obey\": 1}, \"MON\": {\"obey\": 2}}";
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
  nnm_graph *graph = NULL;
  nnm_shapes *shapes = NULL;
  nnm_ir *ir = NULL;
  nnm_reader_benchmark.probe(data, size);
  if (nnm_reader_benchmark.read(data, size, &graph, &ir, NULL) != NNM_OK) return 0;
  if (nnm_infer_graph_shapes(graph, NULL, &shapes, NULL) == NNM_OK) detect(graph, shapes);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
  return 0;
}
