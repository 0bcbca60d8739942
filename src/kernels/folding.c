/* What a converter does to a network before it reaches the device: batch normalisation and biases vanish into the
 * weights of the layer in front of them or behind them, padding with zeros into the padding of the layer behind it, and
 * slices that cut a tensor into parts are one split. */
#include <string.h>

#include "kernels/detection.h"

/* What can take a scale and a shift for each of its channels into its own constants. */
static bool can_take(nnm_role role) {
  return role == NNM_ROLE_CONV || role == NNM_ROLE_DWCONV || role == NNM_ROLE_CONVTRANS || role == NNM_ROLE_FC ||
         role == NNM_ROLE_BN;
}

/* The constant operand of two, or -1. What is divided by a tensor is no constant factor of it. */
static nnm_tensor_id constant_operand(const nnm_kernel_search *d, const nnm_node *node) {
  if (node->input_count != 2 || node->inputs[0] < 0 || node->inputs[1] < 0) return -1;
  bool first = d->shapes->constant[node->inputs[0]], second = d->shapes->constant[node->inputs[1]];
  if (first == second || (first && node->op == NNM_OP_DIV)) return -1;
  return node->inputs[first ? 0 : 1];
}

static int32_t channel_axis(const nnm_node *node, nnm_shape shape, nnm_role front) {
  if (front == NNM_ROLE_FC) return shape.rank - 1;
  bool is_image = shape.rank > 3 || front == NNM_ROLE_CONV || front == NNM_ROLE_DWCONV || front == NNM_ROLE_CONVTRANS;
  return is_image && node->layout == NNM_CHANNELS_FIRST ? 1 : shape.rank - 1;
}

/* Whether a constant has one value for each channel of `shape`. */
static bool is_per_channel(nnm_shape constant, nnm_shape shape, int32_t axis) {
  if (constant.rank > shape.rank || axis < 0 || axis >= shape.rank || shape.dims[axis] < 2) return false;
  for (int32_t i = 0; i < constant.rank; i++) {
    int32_t at = shape.rank - constant.rank + i;
    if (constant.dims[i] != (at == axis ? shape.dims[axis] : 1)) return false;
  }
  return axis >= shape.rank - constant.rank;
}

/* The first operand that is no constant, looked at through views. */
static nnm_tensor_id data_operand(const nnm_kernel_search *d, const nnm_node *node) {
  for (uint32_t i = 0; i < node->input_count; i++)
    if (node->inputs[i] >= 0 && !d->shapes->constant[node->inputs[i]]) return d->root[node->inputs[i]];
  return -1;
}

static bool is_scale(int32_t op) { return op == NNM_OP_MUL || op == NNM_OP_DIV; }
static bool is_shift(int32_t op) { return op == NNM_OP_ADD || op == NNM_OP_SUB; }

/* Whether a node scales or shifts each channel by a constant. One constant for all channels may be a step of an
 * activation, so it counts only when the patterns have had their chance (`scalars`). */
static bool is_affine(const nnm_kernel_search *d, const nnm_node *node, nnm_role front, bool scalars) {
  if (node->op == NNM_OP_BIAS_ADD || node->op == NNM_OP_BATCH_NORMALIZATION) return true;
  nnm_tensor_id constant = is_scale(node->op) || is_shift(node->op) ? constant_operand(d, node) : -1;
  if (constant < 0) return false;
  nnm_shape shape = d->shapes->tensors[node->outputs[0]];
  if (nnm_shape_elements(d->shapes->tensors[constant]) == 1) return scalars;
  return is_per_channel(d->shapes->tensors[constant], shape, channel_axis(node, shape, front));
}

/* Every device folds a batch normalisation, so only a rule that forbids it keeps it apart. */
static bool may_fold(const nnm_kernel_search *d, nnm_role front, bool is_bn) {
  return !is_bn || front == NNM_ROLE_BN ||
         nnm_fusion_rules_ask(d->rules, nnm_roles[front].rule_name, "bn") != NNM_FUSION_DENIED;
}

/* A scale and a shift, in either order, are a batch normalisation, also with no layer in front. */
static bool is_lone_bn(const nnm_kernel_search *d, nnm_unit_id front, const nnm_node *second) {
  const nnm_unit *unit = &d->units[front];
  if (unit->role != NNM_ROLE_ELEMENTWISE || unit->input >= 0) return false;
  const nnm_node *first = &d->graph->nodes[unit->core];
  bool is_pair = (is_scale(first->op) && is_shift(second->op)) || (is_shift(first->op) && is_scale(second->op));
  return is_pair && is_affine(d, first, NNM_ROLE_ELEMENTWISE, false) &&
         is_affine(d, second, NNM_ROLE_ELEMENTWISE, false);
}

void nnm_fold_into_weights(nnm_kernel_search *d, nnm_node_id n, bool scalars) {
  nnm_unit_id id = d->unit_of[n];
  const nnm_node *node = &d->graph->nodes[n];
  if (d->units[id].core != n || d->units[id].input >= 0) return;
  if (node->op == NNM_OP_BATCH_NORMALIZATION && d->units[id].role != NNM_ROLE_BN) return;
  nnm_tensor_id operand = data_operand(d, node);
  nnm_unit_id front = nnm_unit_making(d, operand);
  if (front < 0 || front == id || d->units[front].output != operand || d->units[front].block != node->block) return;
  nnm_unit layer = d->units[front], folded = d->units[id];
  bool is_bn = is_scale(node->op) || node->op == NNM_OP_BATCH_NORMALIZATION, lone = is_lone_bn(d, front, node);
  if (!lone && (!can_take(layer.role) || !is_affine(d, node, layer.role, scalars) || !may_fold(d, layer.role, is_bn)))
    return;
  if (!nnm_only_read_by(d, front, id)) return;
  nnm_unit *unit = &d->units[nnm_join_units(d, front, id)];
  unit->role = lone ? NNM_ROLE_BN : layer.role;
  unit->core = layer.core;
  unit->position = folded.position;
  unit->block = layer.block;
  unit->input = layer.input;
  unit->output = folded.output;
  unit->shown_output = -1;
  unit->has_bn = layer.has_bn || (is_bn && unit->role != NNM_ROLE_BN);
}

/* ---------------------------------------------------- into the layer behind */

/* The unit behind keeps what it is, and reads what the folded one read. */
static void fold_behind(nnm_kernel_search *d, nnm_unit_id id, nnm_unit_id behind) {
  const nnm_unit layer = d->units[behind];
  nnm_unit *unit = &d->units[nnm_join_units(d, id, behind)];
  unit->role = layer.role;
  unit->core = layer.core;
  unit->position = layer.position;
  unit->block = layer.block;
  unit->input = layer.input;
  unit->output = layer.output;
  unit->shown_output = layer.shown_output;
  unit->has_bn = layer.has_bn;
}

/* The layer with weights of its own that alone reads what a unit makes, as it is made; -1: none. */
static nnm_unit_id layer_behind(const nnm_kernel_search *d, nnm_unit_id id) {
  nnm_tensor_id output = d->units[id].output;
  if (output < 0 || d->reader_start[output] == d->reader_start[output + 1]) return -1;
  nnm_unit_id behind = d->unit_of[d->readers[d->reader_start[output]]];
  const nnm_unit *unit = &d->units[behind];
  if (behind == id || unit->block != d->units[id].block || unit->input >= 0 || !nnm_only_read_by(d, id, behind))
    return -1;
  const nnm_node *core = &d->graph->nodes[unit->core];
  if (core->input_count < 2 || core->inputs[1] < 0 || !d->shapes->constant[core->inputs[1]]) return -1;
  return unit->role == NNM_ROLE_CONV || unit->role == NNM_ROLE_DWCONV || unit->role == NNM_ROLE_FC ? behind : -1;
}

/* A shift reaches the padding of a layer too, which stays 0: it may only go into one that pads nothing. */
static bool pads_nothing(const nnm_kernel_search *d, nnm_unit_id layer) {
  nnm_window window;
  if (d->units[layer].role == NNM_ROLE_FC) return true;
  if (!nnm_window_of(d->graph, d->shapes, d->units[layer].core, &window)) return false;
  for (int i = 0; i < window.spatial; i++)
    if (window.pad_begin[i] || window.pad_end[i]) return false;
  return true;
}

/* Only one number for all channels: TFLite's converter leaves a scale of each channel where it is, and the device runs
 * it. To be called for each node from the last to the first, so that a shift in front of a scale may follow it. */
void nnm_fold_into_layer_behind(nnm_kernel_search *d, nnm_node_id n) {
  nnm_unit_id id = d->unit_of[n];
  const nnm_node *node = &d->graph->nodes[n];
  if (d->units[id].core != n || d->units[id].role != NNM_ROLE_ELEMENTWISE || d->units[id].input >= 0) return;
  nnm_tensor_id number = is_scale(node->op) || is_shift(node->op) ? constant_operand(d, node) : -1;
  if (number < 0 || nnm_shape_elements(d->shapes->tensors[number]) != 1) return;
  nnm_unit_id layer = layer_behind(d, id);
  if (layer >= 0 && (is_scale(node->op) || pads_nothing(d, layer))) fold_behind(d, id, layer);
}

/* How much a Pad with zeros adds at both ends of the two axes of an image; false for any other. */
static bool read_padding(const nnm_kernel_search *d, const nnm_node *node, int64_t begin[2], int64_t end[2]) {
  double filler = 0;
  size_t count = 0, rank = 4, axis = node->layout == NNM_CHANNELS_LAST ? 1 : 2;
  const int64_t *pads = nnm_attribute_ints(node, "pads", &count);
  const nnm_value *value = node->input_count > 1 && node->inputs[1] >= 0 ? d->shapes->values[node->inputs[1]] : NULL;
  if (!pads && value && !value->is_float) pads = value->as.integers, count = value->count;
  if (!pads || count != 2 * rank || strcmp(nnm_attribute_text(node, "mode", "constant"), "constant") != 0) return false;
  if (node->input_count > 3 && node->inputs[3] >= 0) return false; /* pads of some axes only */
  if (node->input_count > 2 && node->inputs[2] >= 0 && !nnm_only_number(d, node->inputs[2], &filler)) return false;
  if (filler != 0 || nnm_attribute_float(node, "value", 0) != 0) return false;
  /* TensorFlow and TFLite list a pair for each axis */
  bool in_pairs = value && d->shapes->tensors[node->inputs[1]].rank == 2;
  for (size_t i = 0; i < rank; i++) {
    int64_t first = pads[in_pairs ? 2 * i : i], last = pads[in_pairs ? 2 * i + 1 : rank + i];
    if (i == axis || i == axis + 1) begin[i - axis] = first, end[i - axis] = last;
    else if (first || last) return false;
  }
  return true;
}

/* Whether padding in front of a window that has none is what TensorFlow calls SAME. Other padding a TFLite file cannot
 * have in the layer, so that it stays an operator of its own. */
static bool pads_as_same(const nnm_window *window, const int64_t begin[2], const int64_t end[2]) {
  for (int i = 0; i < 2; i++) {
    if (begin[i] < 0 || end[i] < 0) return false;
    int64_t input = window->input[i] - begin[i] - end[i], stride = window->stride[i];
    int64_t reach = window->dilation[i] * (window->kernel[i] - 1) + 1;
    if (input < 1) return false;
    int64_t outputs = (input - 1) / stride + 1, wanted = (outputs - 1) * stride + reach - input;
    if (wanted < 0) wanted = 0;
    if (begin[i] != wanted / 2 || end[i] != wanted - wanted / 2) return false;
  }
  return true;
}

void nnm_fold_padding(nnm_kernel_search *d, nnm_node_id n) {
  nnm_unit_id id = d->unit_of[n];
  int64_t begin[2], end[2];
  nnm_window window;
  if (d->units[id].role != NNM_ROLE_PAD || d->units[id].output < 0) return;
  if (d->shapes->tensors[d->units[id].output].rank != 4) return;
  nnm_unit_id layer = layer_behind(d, id);
  if (layer < 0 || !nnm_window_of(d->graph, d->shapes, d->units[layer].core, &window) || window.spatial != 2) return;
  const nnm_node *node = &d->graph->nodes[n];
  const int64_t *sizes = d->shapes->tensors[node->outputs[0]].dims + (node->layout == NNM_CHANNELS_LAST ? 1 : 2);
  if (sizes[0] != window.input[0] || sizes[1] != window.input[1]) return; /* reshaped on the way */
  if (pads_nothing(d, layer) && read_padding(d, node, begin, end) && pads_as_same(&window, begin, end))
    fold_behind(d, id, layer);
}

/* ------------------------------------------------------------------ slices */

typedef struct cut {
  int32_t axis;
  int64_t start, length;
} cut;

/* Taking one constant index of an axis cuts out a piece of length 1. */
static bool read_index(const nnm_kernel_search *d, const nnm_node *node, cut *out) {
  if (node->op != NNM_OP_GATHER || node->input_count < 2 || node->inputs[0] < 0 || node->inputs[1] < 0) return false;
  nnm_shape whole = d->shapes->tensors[node->inputs[0]];
  int64_t axis = nnm_attribute_int(node, "axis", 0);
  double index;
  if (axis < 0) axis += whole.rank;
  if (axis < 0 || axis >= whole.rank || !nnm_only_number(d, node->inputs[1], &index) || !(index > -1e9 && index < 1e9))
    return false;
  int64_t start = (int64_t)index;
  *out = (cut){(int32_t)axis, start < 0 ? start + whole.dims[axis] : start, 1};
  return out->start >= 0;
}

/* What a Slice cuts out; false unless it is a contiguous piece along one axis. */
static bool read_cut(const nnm_kernel_search *d, nnm_node_id n, cut *out) {
  const nnm_node *node = &d->graph->nodes[n];
  if (node->op == NNM_OP_GATHER) return read_index(d, node, out);
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

/* Whether all readers of a root are slices, or take an index each, along one axis of one view of it. */
static bool are_all_cuts(const nnm_kernel_search *d, nnm_tensor_id root) {
  uint32_t first = d->reader_start[root], end = d->reader_start[root + 1];
  cut piece, piece_of_first = {0};
  for (uint32_t i = first; i < end; i++) {
    const nnm_node *node = &d->graph->nodes[d->readers[i]], *node_of_first = &d->graph->nodes[d->readers[first]];
    nnm_unit_id unit = d->unit_of[d->readers[i]];
    if (unit < 0 || d->units[unit].role != NNM_ROLE_SPLIT) return false; /* part of a block */
    if (!read_cut(d, d->readers[i], &piece) || node->block != node_of_first->block) return false;
    if (i == first) piece_of_first = piece;
    if (piece.axis != piece_of_first.axis || node->inputs[0] != node_of_first->inputs[0]) return false;
  }
  return true;
}

/* Whether the slices of a root make up all of it without gap or overlap, in whatever order they are read; *beginning is
 * the one at its beginning. A roll, say, reads the end first. */
static bool is_partition(const nnm_kernel_search *d, nnm_tensor_id root, nnm_node_id *beginning) {
  enum { MOST_STEPS_EACH = 64 }; /* looked at to find the next piece, on average */
  uint32_t first = d->reader_start[root], count = d->reader_start[root + 1] - first, at = 0, found = 0, missed = 0;
  if (!are_all_cuts(d, root)) return false;
  int64_t reached = 0;
  cut piece = {0};
  for (uint64_t steps = (uint64_t)count * MOST_STEPS_EACH; found < count && missed < count && steps; steps--) {
    nnm_node_id reader = d->readers[first + at];
    at = at + 1 == count ? 0 : at + 1;
    missed++;
    if (!read_cut(d, reader, &piece) || piece.start != reached || piece.length < 1) continue;
    if (!found++) *beginning = reader;
    reached += piece.length;
    missed = 0;
  }
  nnm_tensor_id source = d->graph->nodes[d->readers[first]].inputs[0];
  return found == count && reached == d->shapes->tensors[source].dims[piece.axis];
}

void nnm_group_slices(nnm_kernel_search *d) {
  for (nnm_tensor_id t = 0; t < d->graph->tensor_count; t++) {
    uint32_t first = d->reader_start[t], end = d->reader_start[t + 1];
    nnm_node_id beginning;
    if (end - first < 2 || !is_partition(d, t, &beginning)) continue;
    nnm_unit_id id = d->unit_of[d->readers[first]];
    nnm_unit split = d->units[id];
    for (uint32_t i = first + 1; i < end; i++) id = nnm_join_units(d, id, d->unit_of[d->readers[i]]);
    d->units[id].role = NNM_ROLE_SPLIT;
    d->units[id].core = beginning;
    d->units[id].position = split.position; /* the first part may be used before the last slice stands in the file */
    d->units[id].input = t;
    d->units[id].output = d->units[id].shown_output = -1;
  }
}
