/* Multiply-adds, as catalogues count them: one for each product that is summed. */
#include "base/checked.h"
#include "ops/matrix.h"
#include "ops/window.h"

/* INT64_MAX stands for "too many". */
static int64_t product_of(const int64_t *factors, size_t count) {
  int64_t product = 1;
  for (size_t i = 0; i < count; i++)
    if (factors[i] < 0 || !nnm_multiply_i64(product, factors[i], &product)) return INT64_MAX;
  return product;
}

static int64_t convolution_work(const nnm_inference *view, const nnm_node *node) {
  nnm_window window;
  if (!nnm_window_of(view->graph, view->shapes, (nnm_node_id)(node - view->graph->nodes), &window)) return 0;
  int64_t factors[3 + 2 * 3];
  size_t count = 0;
  int64_t group = window.group > 0 ? window.group : 1;
  factors[count++] = window.batch;
  factors[count++] = window.transposed ? window.input_channels : window.output_channels;
  factors[count++] = (window.transposed ? window.output_channels : window.input_channels) / group;
  for (int i = 0; i < window.spatial; i++) {
    factors[count++] = window.kernel[i];
    factors[count++] = window.transposed ? window.input[i] : window.output[i];
  }
  return product_of(factors, count);
}

static int64_t matrix_work(const nnm_inference *view, const nnm_node *node) {
  nnm_product product = {0};
  bool known = false;
  if (nnm_matrix_product(view, node, &product, &known, NULL) != NNM_OK || !known) return 0;
  int64_t factors[4] = {product_of(product.batch, (size_t)product.batch_rank), product.rows, product.inner,
                        product.columns};
  return product_of(factors, 4);
}

int64_t nnm_node_multiply_adds(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id id) {
  nnm_inference view = {.graph = graph, .shapes = (nnm_shapes *)(uintptr_t)shapes}; /* only read */
  const nnm_node *node = &graph->nodes[id];
  switch (nnm_op_work((nnm_op)node->op)) {
    case NNM_WORK_CONVOLUTION: return convolution_work(&view, node);
    case NNM_WORK_MATRIX: return matrix_work(&view, node);
    default: return 0;
  }
}
