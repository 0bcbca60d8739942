/* Products of 8-bit numbers whose 32-bit sums are turned back into floats behind them: MatMulInteger, Cast, Mul by the
 * product of both scales. Runtimes do that in the product's own loop, so it is one layer, as in the file of its float
 * twin. (Pairs of QuantizeLinear and DequantizeLinear are mere views, activity.c; scales inside of QLinearConv and its
 * like are operands.) */
#include "kernels/detection.h"

static bool is_integer_product(int32_t op) {
  return op == NNM_OP_MATMUL_INTEGER || op == NNM_OP_CONV_INTEGER || op == NNM_OP_MS_MATMUL_INTEGER16;
}

/* The unit of an integer product that makes this tensor for `reader` alone, or -1. */
static nnm_unit_id product_making(const nnm_kernel_search *d, nnm_tensor_id tensor, nnm_unit_id reader) {
  if (tensor < 0 || d->shapes->constant[tensor]) return -1;
  nnm_unit_id unit = nnm_unit_making(d, d->root[tensor]);
  if (unit < 0 || unit == reader || d->units[unit].output != d->root[tensor]) return -1;
  bool is_product = is_integer_product(d->graph->nodes[d->units[unit].core].op);
  return is_product && d->units[unit].block == d->units[reader].block && nnm_only_read_by(d, unit, reader) ? unit : -1;
}

/* Puts `behind` into the product's unit. */
static nnm_unit_id fold(nnm_kernel_search *d, nnm_unit_id product, nnm_unit_id behind) {
  const nnm_unit layer = d->units[product], folded = d->units[behind];
  nnm_unit_id id = nnm_join_units(d, product, behind);
  d->units[id].role = layer.role;
  d->units[id].core = layer.core;
  d->units[id].block = layer.block;
  d->units[id].input = layer.input;
  d->units[id].position = folded.position;
  d->units[id].output = folded.output;
  d->units[id].shown_output = -1;
  return id;
}

/* The scale of the input times that of the weights is computed in each run, from one number each: it goes along. */
static void fold_scale(nnm_kernel_search *d, nnm_unit_id layer, nnm_tensor_id scale) {
  nnm_unit_id maker = d->shapes->constant[scale] ? -1 : nnm_unit_making(d, d->root[scale]);
  if (maker < 0 || maker == layer || d->units[maker].block != d->units[layer].block) return;
  if (d->graph->nodes[d->units[maker].core].op != NNM_OP_MUL || !nnm_only_read_by(d, maker, layer)) return;
  const nnm_unit unit = d->units[layer];
  nnm_unit_id id = nnm_join_units(d, layer, maker);
  nnm_node_id first = d->units[id].first, last = d->units[id].last;
  int32_t members = d->units[id].member_count;
  d->units[id] = unit;
  d->units[id].first = first;
  d->units[id].last = last;
  d->units[id].member_count = members;
}

void nnm_fold_dequantisation(nnm_kernel_search *d, nnm_node_id n) {
  const nnm_node *node = &d->graph->nodes[n];
  nnm_unit_id id = d->unit_of[n];
  if (id < 0 || d->units[id].core != n || d->units[id].input >= 0) return;
  if (node->op == NNM_OP_CAST) {
    nnm_unit_id product = product_making(d, node->inputs[0], id);
    if (product >= 0) fold(d, product, id);
  }
  if (node->op != NNM_OP_MUL || node->input_count != 2) return;
  for (int i = 0; i < 2; i++) {
    nnm_tensor_id scale = node->inputs[!i];
    nnm_unit_id product = product_making(d, node->inputs[i], id);
    if (product < 0 || scale < 0 || nnm_shape_elements(d->shapes->tensors[scale]) != 1) continue;
    fold_scale(d, fold(d, product, id), scale);
    return;
  }
}
