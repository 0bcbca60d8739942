/* Channel shuffle: the channels seen as groups, the two axes exchanged, and seen as channels again. */
#include "kernels/detection.h"

/* A view of `root` with one more axis: the transposition exchanges the two that the channels were split into. */
static bool is_channel_shuffle(const nnm_kernel_search *d, const nnm_node *node) {
  size_t count;
  const int64_t *order = nnm_attribute_ints(node, "perm", &count);
  nnm_tensor_id root = d->root[node->inputs[0]];
  nnm_shape whole = d->shapes->tensors[root], split = d->shapes->tensors[node->inputs[0]];
  if (!order || whole.rank < 3 || split.rank != whole.rank + 1 || count != (size_t)split.rank) return false;
  int32_t axis = node->layout == NNM_CHANNELS_LAST ? whole.rank - 1 : 1;
  for (int32_t i = 0; i < split.rank; i++) {
    int64_t expected = i == axis ? axis + 1 : i == axis + 1 ? axis : i;
    if (order[i] != expected) return false;
    if (i < axis && split.dims[i] != whole.dims[i]) return false;
    if (i > axis + 1 && split.dims[i] != whole.dims[i - 1]) return false;
  }
  return true;
}

/* The view behind the shuffle that has the shape of the map in front of it, or -1. */
static nnm_tensor_id joined_again(const nnm_kernel_search *d, nnm_tensor_id shuffled, nnm_shape whole) {
  for (uint32_t i = d->graph->consumer_start[shuffled]; i < d->graph->consumer_start[shuffled + 1]; i++) {
    const nnm_node *reader = &d->graph->nodes[d->graph->consumer_nodes[i]];
    if (!d->is_view[d->graph->consumer_nodes[i]]) return -1;
    nnm_shape shape = d->shapes->tensors[reader->outputs[0]];
    bool same = shape.rank == whole.rank;
    for (int32_t k = 0; same && k < shape.rank; k++) same = shape.dims[k] == whole.dims[k];
    if (same) return reader->outputs[0];
  }
  return -1;
}

void nnm_match_channel_shuffle(nnm_kernel_search *d, nnm_node_id n) {
  const nnm_node *node = &d->graph->nodes[n];
  if (node->op != NNM_OP_TRANSPOSE || !is_channel_shuffle(d, node)) return;
  nnm_unit *unit = &d->units[d->unit_of[n]];
  nnm_tensor_id root = d->root[node->inputs[0]];
  nnm_tensor_id joined = joined_again(d, node->outputs[0], d->shapes->tensors[root]);
  if (joined < 0) return;
  unit->role = NNM_ROLE_CHANNELSHUFFLE;
  unit->input = root;
  unit->shown_output = joined;
}
