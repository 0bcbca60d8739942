/* Any bytes given as a TFLite file make a graph or an error, and any graph shapes or an error. */
#include "readers/reader.h"
#include "shapes/shapes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nnm_graph *graph = NULL;
  nnm_error error;
  if (nnm_reader_tflite.read(data, size, &graph, NULL, &error) != NNM_OK) return 0;
  nnm_shapes *shapes = NULL;
  nnm_shape_options options = {.batch_size = 2};
  if (nnm_infer_graph_shapes(graph, &options, &shapes, &error) == NNM_OK) nnm_shapes_free(shapes);
  nnm_graph_free(graph);
  return 0;
}
