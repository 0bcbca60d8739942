/* What a converter does to a network before it reaches the device: batch normalisation and biases vanish into the
 * weights of the layer in front of them, and slices that cut a tensor into parts are one split. */
#include "kernels/detection.h"

static bool has_weights(nnm_role role) {
  return role == NNM_ROLE_CONV || role == NNM_ROLE_DWCONV || role == NNM_ROLE_CONVTRANS || role == NNM_ROLE_FC;
}

/* The output channels of a layer with weights: one of them stands for one element of a bias. */
static int64_t channels_of(const nnm_kernel_search *d, const nnm_unit *unit) {
  nnm_window window;
  if (nnm_window_of(d->graph, d->shapes, unit->core, &window)) return window.output_channels;
  const nnm_node *node = &d->graph->nodes[unit->core];
  nnm_shape shape = d->shapes->tensors[node->outputs[0]];
  return shape.rank > 0 ? shape.dims[shape.rank - 1] : -1;
}

/* Whether the constant operand of two holds one value for each of `channels`. A
 * single value is left alone: it is more likely a step of an activation than a bias. */
static bool is_per_channel(const nnm_kernel_search *d, const nnm_node *node, int64_t channels) {
  if (node->input_count != 2 || node->inputs[0] < 0 || node->inputs[1] < 0) return false;
  nnm_tensor_id constant = d->shapes->constant[node->inputs[1]] ? node->inputs[1] : node->inputs[0];
  return channels > 1 && nnm_shape_elements(d->shapes->tensors[constant]) == channels;
}

/* The first operand that is no constant, looked at through views. */
static nnm_tensor_id data_operand(const nnm_kernel_search *d, const nnm_node *node) {
  for (uint32_t i = 0; i < node->input_count; i++)
    if (node->inputs[i] >= 0 && !d->shapes->constant[node->inputs[i]]) return d->root[node->inputs[i]];
  return -1;
}

static bool may_fold(const nnm_kernel_search *d, const nnm_unit *layer, const nnm_node *node, bool *is_bn) {
  *is_bn = false;
  switch (node->op) {
  case NNM_OP_BIAS_ADD: return true;
  case NNM_OP_BATCH_NORMALIZATION: *is_bn = true; break;
  case NNM_OP_MUL:
  case NNM_OP_DIV:
    *is_bn = true;
    if (!is_per_channel(d, node, channels_of(d, layer))) return false;
    break;
  case NNM_OP_ADD:
  case NNM_OP_SUB: return is_per_channel(d, node, channels_of(d, layer));
  default: return false;
  }
  /* Every device folds it, so only a rule that forbids it keeps it apart. */
  return nnm_fusion_rules_ask(d->rules, nnm_roles[layer->role].rule_name, "bn") != NNM_FUSION_DENIED;
}

void nnm_fold_into_weights(nnm_kernel_search *d, nnm_node_id n) {
  nnm_unit_id id = d->unit_of[n];
  const nnm_node *node = &d->graph->nodes[n];
  if (d->units[id].member_count < 1 || d->units[id].core != n || d->units[id].input >= 0) return;
  nnm_tensor_id operand = data_operand(d, node);
  nnm_unit_id front = nnm_unit_making(d, operand);
  if (front < 0 || !has_weights(d->units[front].role) || d->units[front].output != operand ||
      d->units[front].block != node->block)
    return;
  bool is_bn;
  if (!may_fold(d, &d->units[front], node, &is_bn) || !nnm_only_read_by(d, front, id)) return;
  nnm_unit layer = d->units[front], folded = d->units[id];
  nnm_unit *unit = &d->units[nnm_join_units(d, front, id)];
  unit->role = layer.role;
  unit->core = layer.core;
  unit->position = folded.position;
  unit->block = layer.block;
  unit->input = layer.input;
  unit->output = folded.output;
  unit->shown_output = -1;
  unit->has_bn = layer.has_bn || is_bn;
}

/* ------------------------------------------------------------------ slices */

typedef struct cut {
  int32_t axis;
  int64_t start, length;
} cut;

/* What a Slice cuts out; false unless it is a contiguous piece along one axis. */
static bool read_cut(const nnm_kernel_search *d, nnm_node_id n, cut *out) {
  const nnm_node *node = &d->graph->nodes[n];
  if (node->op != NNM_OP_SLICE || node->inputs[0] < 0) return false;
  nnm_shape whole = d->shapes->tensors[node->inputs[0]], part = d->shapes->tensors[node->outputs[0]];
  if (whole.rank < 1 || whole.rank != part.rank) return false;
  out->axis = -1;
  for (int32_t i = 0; i < whole.rank; i++) {
    if (whole.dims[i] == part.dims[i]) continue;
    if (out->axis >= 0) return false;
    out->axis = i;
  }
  if (out->axis < 0) return false;
  size_t count;
  const int64_t *starts = nnm_attribute_ints(node, "starts", &count);
  if (!starts && node->input_count > 1 && node->inputs[1] >= 0) {
    const nnm_value *value = d->shapes->values[node->inputs[1]];
    if (value && !value->is_float) starts = value->as.integers, count = value->count;
  }
  /* with several starts the cut axis is not told apart cheaply; exporters write one axis at a time */
  if (!starts || count != 1) return false;
  out->length = part.dims[out->axis];
  out->start = starts[0] < 0 ? starts[0] + whole.dims[out->axis] : starts[0];
  return out->start >= 0;
}

/* Whether all readers of a root are slices that follow each other without gap or overlap, in the order they are read. */
static bool is_partition(const nnm_kernel_search *d, nnm_tensor_id root) {
  uint32_t first = d->reader_start[root], end = d->reader_start[root + 1];
  int64_t reached = 0;
  int32_t axis = -1;
  nnm_tensor_id source = -1;
  for (uint32_t i = first; i < end; i++) {
    cut piece;
    const nnm_node *node = &d->graph->nodes[d->readers[i]];
    if (!read_cut(d, d->readers[i], &piece) || piece.start != reached ||
        node->block != d->graph->nodes[d->readers[first]].block)
      return false;
    if (i > first && (piece.axis != axis || node->inputs[0] != source)) return false;
    axis = piece.axis;
    source = node->inputs[0];
    reached += piece.length;
  }
  return source >= 0 && reached == d->shapes->tensors[source].dims[axis];
}

void nnm_group_slices(nnm_kernel_search *d) {
  for (nnm_tensor_id t = 0; t < d->graph->tensor_count; t++) {
    uint32_t first = d->reader_start[t], end = d->reader_start[t + 1];
    if (end - first < 2 || d->graph->nodes[d->readers[first]].op != NNM_OP_SLICE || !is_partition(d, t)) continue;
    nnm_unit_id id = d->unit_of[d->readers[first]];
    nnm_unit split = d->units[id];
    for (uint32_t i = first + 1; i < end; i++) id = nnm_join_units(d, id, d->unit_of[d->readers[i]]);
    d->units[id].role = NNM_ROLE_SPLIT;
    d->units[id].core = split.core;
    d->units[id].position = split.position; /* the first part may be used before the last slice stands in the file */
    d->units[id].input = t;
    d->units[id].output = d->units[id].shown_output = -1;
  }
}
