/* Multiply-adds, as catalogues count them: one for each product that is summed. */
#include "base/checked.h"
#include "ops/attention.h"
#include "ops/lite.h"
#include "ops/matrix.h"
#include "ops/recurrent.h"
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

static int64_t add_up(int64_t a, int64_t b) {
  int64_t sum;
  return nnm_add_i64(a, b, &sum) ? sum : INT64_MAX;
}

/* Every combination of letters is one product. */
static int64_t einsum_work(const nnm_inference *view, const nnm_node *node) {
  nnm_einsum solved = {0};
  bool known = false;
  if (nnm_solve_einsum(view, node, &solved, &known, NULL) != NNM_OK || !known) return 0;
  int64_t factors[64];
  size_t count = 0;
  for (int letter = 0; letter < 64; letter++)
    if (solved.seen >> letter & 1) factors[count++] = solved.sizes[letter];
  return product_of(factors, count);
}

static nnm_inference read_only(const nnm_graph *graph, const nnm_shapes *shapes) {
  return (nnm_inference){.graph = graph, .shapes = (nnm_shapes *)(uintptr_t)shapes};
}

/* Queries with keys, then scores with values; and the projections where they are inside. */
static int64_t attention_work(const nnm_inference *view, const nnm_node *node) {
  nnm_attention sizes = {0};
  bool known = false;
  if (nnm_attention_of(view, node, &sizes, &known, NULL) != NNM_OK || !known) return 0;
  bool linear = nnm_op_shape_rule(node->op) == nnm_rule_linear_attention;
  int64_t scores[5] = {sizes.batch, sizes.heads, sizes.queries, linear ? sizes.value_size : sizes.keys,
                       sizes.head_size};
  int64_t values[5] = {sizes.batch, sizes.heads, sizes.queries, linear ? sizes.head_size : sizes.keys,
                       sizes.value_size};
  int64_t projection = sizes.projection < 0 ? INT64_MAX : sizes.projection;
  return add_up(projection, add_up(product_of(scores, 5), product_of(values, 5)));
}

static int64_t recurrent_work(const nnm_inference *view, const nnm_node *node) {
  if (nnm_op_shape_rule(node->op) == nnm_rule_lite_layer) return nnm_lite_layer_work(view, node);
  nnm_recurrence layer = {0};
  bool known = false;
  if (nnm_recurrence_of(view, node, &layer, &known, NULL) != NNM_OK || !known) return 0;
  int64_t factors[6] = {layer.steps, layer.batch,  layer.directions,
                        layer.gates, layer.hidden, add_up(layer.inputs, layer.hidden)};
  return product_of(factors, 6);
}

static bool is_attention(nnm_shape_rule rule) {
  return rule == nnm_rule_attention || rule == nnm_rule_fused_attention || rule == nnm_rule_multi_head_attention ||
         rule == nnm_rule_group_query_attention || rule == nnm_rule_packed_attention ||
         rule == nnm_rule_linear_attention;
}

static int64_t matrix_work(const nnm_inference *view, const nnm_node *node) {
  nnm_shape_rule rule = nnm_op_shape_rule(node->op);
  if (rule == nnm_rule_einsum) return einsum_work(view, node);
  if (is_attention(rule)) return attention_work(view, node);
  nnm_product product = {0};
  bool known = false;
  if (nnm_matrix_product(view, node, &product, &known, NULL) != NNM_OK || !known) return 0;
  int64_t factors[4] = {product_of(product.batch, (size_t)product.batch_rank), product.rows, product.inner,
                        product.columns};
  return product_of(factors, 4);
}

bool nnm_rows_of(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id id, nnm_rows *out) {
  nnm_inference view = read_only(graph, shapes);
  const nnm_node *node = &graph->nodes[id];
  bool known = false;
  if (nnm_op_work((nnm_op)node->op) == NNM_WORK_RECURRENT) {
    nnm_recurrence layer = {0};
    if (nnm_recurrence_of(&view, node, &layer, &known, NULL) != NNM_OK || !known) return false;
    int64_t columns[2] = {layer.directions, layer.hidden};
    int64_t weights[4] = {layer.directions, layer.gates, layer.hidden, add_up(layer.inputs, layer.hidden)};
    *out = (nnm_rows){layer.batch, layer.steps, product_of(columns, 2), product_of(weights, 4)};
    return true;
  }
  nnm_attention sizes = {0};
  if (!is_attention(nnm_op_shape_rule(node->op)) || nnm_attention_of(&view, node, &sizes, &known, NULL) != NNM_OK ||
      !known)
    return false;
  int64_t stacks[2] = {sizes.batch, sizes.heads};
  *out = (nnm_rows){product_of(stacks, 2), sizes.queries, sizes.value_size, 0};
  return true;
}

int64_t nnm_node_multiply_adds(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id id) {
  nnm_inference view = read_only(graph, shapes);
  const nnm_node *node = &graph->nodes[id];
  switch (nnm_op_work((nnm_op)node->op)) {
  case NNM_WORK_CONVOLUTION: return convolution_work(&view, node);
  case NNM_WORK_MATRIX: return matrix_work(&view, node);
  case NNM_WORK_RECURRENT: return recurrent_work(&view, node);
  default: return 0;
  }
}
