/* Any bytes given as a TensorFlow file make a graph or an error, any graph shapes or an error, and all of that nn-Meter
 * IR as the old converter would make it. */
#include "ir/ir.h"
#include "readers/reader.h"
#include "shapes/shapes.h"

enum { MOST_NODES = 10000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nnm_graph *graph = NULL;
  nnm_error error;
  if (nnm_reader_tensorflow.read(data, size, &graph, NULL, &error) != NNM_OK) return 0;
  nnm_shapes *shapes = NULL;
  nnm_shape_options options = {.batch_size = 2};
  if (nnm_infer_graph_shapes(graph, NULL, &shapes, &error) == NNM_OK ||
      nnm_infer_graph_shapes(graph, &options, &shapes, &error) == NNM_OK) {
    nnm_ir *ir = NULL;
    /* a large one says no more, and takes long under the sanitizers */
    if (graph->node_count < MOST_NODES && nnm_ir_from_graph(graph, shapes, NNM_IR_NAMED, &ir, &error) == NNM_OK)
      nnm_ir_free(ir);
    nnm_shapes_free(shapes);
  }
  nnm_graph_free(graph);
  return 0;
}
