/* Transpositions that cancel out. A file that was converted from channels last to channels first, or back, has islands in
 * the other layout: a transposition in, an activation or a gate that works on every element alike, a transposition out.
 * Converters do such work in the layout around it, so the transpositions of an island are mere views when all ways in
 * and out of it are: transpositions, tensors that are the same in either layout, and means over the image. */
#include <stdlib.h>

#include "kernels/detection.h"

typedef struct island {
  nnm_kernel_search *d;
  bool to_last;         /* its ways in put the channels last */
  uint8_t *seen;        /* each tensor: has been in an island of this direction */
  uint8_t *bound;       /* each tensor: a result of the model or of a body */
  nnm_tensor_id *stack; /* tensors to look at: each is put there once */
  size_t waiting;
  nnm_node_id *ways; /* the transpositions in and out */
  size_t way_count;
  bool is_closed;
} island;

static int32_t rank_of(const nnm_kernel_search *d, nnm_tensor_id tensor) { return d->shapes->tensors[tensor].rank; }

/* Whether a transposition that is what it says moves the channels to the end, or from there to axis 1. */
static bool moves_channels(const nnm_kernel_search *d, const nnm_node *node, bool to_last) {
  size_t rank;
  return nnm_moves_channels(node, to_last) && nnm_attribute_ints(node, "perm", &rank) && node->input_count &&
         node->inputs[0] >= 0 && node->output_count && node->outputs[0] >= 0 &&
         rank_of(d, node->inputs[0]) == (int32_t)rank;
}

/* Channels of one pixel: the same numbers in the same order in either layout. */
static bool is_same_in_both(nnm_shape shape) {
  int32_t longer = 0;
  for (int32_t i = 1; i < shape.rank; i++) longer += shape.dims[i] != 1;
  return longer < 2;
}

/* Whether a node works on each element, wherever its channels are. */
static bool is_indifferent(const nnm_kernel_search *d, const nnm_node *node) {
  bool is_plain = nnm_op_work((nnm_op)node->op) == NNM_WORK_ELEMENTWISE || node->op == NNM_OP_IDENTITY ||
                  node->op == NNM_OP_DROPOUT || node->op == NNM_OP_CONCAT || node->op == NNM_OP_PAD;
  if (!is_plain || node->op == NNM_OP_ROTARY_EMBEDDING || node->output_count != 1 || node->outputs[0] < 0) return false;
  int32_t rank = rank_of(d, node->outputs[0]);
  for (uint32_t i = 0; i < node->input_count; i++)
    if (node->inputs[i] >= 0 && !d->shapes->constant[node->inputs[i]] && rank_of(d, node->inputs[i]) != rank)
      return false;
  return true;
}

static bool is_mean_of_image(const island *at, nnm_node_id n) {
  const nnm_node *node = &at->d->graph->nodes[n];
  return node->op == NNM_OP_REDUCE_MEAN && node->layout == (at->to_last ? NNM_CHANNELS_LAST : NNM_CHANNELS_FIRST) &&
         nnm_role_of(at->d->graph, at->d->shapes, n) == NNM_ROLE_GAP;
}

static void look_at(island *at, nnm_tensor_id tensor) {
  if (tensor < 0 || at->d->shapes->constant[tensor] || at->seen[tensor]) return;
  at->seen[tensor] = 1;
  if (!is_same_in_both(at->d->shapes->tensors[tensor])) at->stack[at->waiting++] = tensor;
}

static void look_around(island *at, const nnm_node *node) {
  for (uint32_t i = 0; i < node->input_count; i++) look_at(at, node->inputs[i]);
  look_at(at, node->outputs[0]);
}

/* Goes on to a node at the edge of what is known of the island, which makes a tensor of it or reads one. */
static void step(island *at, nnm_node_id n, nnm_block_id block, bool makes) {
  const nnm_node *node = &at->d->graph->nodes[n];
  if (node->block != block) at->is_closed = false;
  else if (moves_channels(at->d, node, makes == at->to_last)) {
    if (at->d->is_view[n] == NNM_VIEW_CANCELLED) at->is_closed = false; /* by an island of the other direction */
    else at->ways[at->way_count++] = n;
  } else if (is_indifferent(at->d, node)) look_around(at, node);
  else if (makes || !is_mean_of_image(at, n)) at->is_closed = false;
}

/* Everything that hangs together with what a transposition makes. */
static void explore(island *at, nnm_node_id entry) {
  const nnm_kernel_search *d = at->d;
  const nnm_graph *graph = d->graph;
  nnm_block_id block = graph->nodes[entry].block;
  at->way_count = 0;
  at->is_closed = true;
  look_at(at, graph->nodes[entry].outputs[0]);
  while (at->waiting) {
    nnm_tensor_id tensor = at->stack[--at->waiting];
    nnm_node_id producer = graph->tensors[tensor].producer;
    if (producer < 0 || at->bound[tensor]) at->is_closed = false;
    if (producer >= 0) step(at, producer, block, true);
    nnm_node_id last = -1; /* a node that reads the tensor twice is listed twice */
    for (uint32_t i = graph->consumer_start[tensor]; i < graph->consumer_start[tensor + 1]; i++) {
      nnm_node_id reader = graph->consumer_nodes[i];
      if (d->position[reader] >= 0 && reader != last && graph->nodes[reader].op != NNM_OP_SHAPE)
        step(at, reader, block, false);
      last = reader;
    }
  }
}

static void cancel(island *at) {
  nnm_kernel_search *d = at->d;
  for (int32_t i = 0; i < d->order_count; i++) {
    nnm_node_id n = d->order[i];
    const nnm_node *node = &d->graph->nodes[n];
    if (d->is_view[n] || !moves_channels(d, node, at->to_last) || at->seen[node->outputs[0]]) continue;
    explore(at, n);
    for (size_t k = 0; at->is_closed && k < at->way_count; k++) d->is_view[at->ways[k]] = NNM_VIEW_CANCELLED;
  }
}

static bool has_transposition(const nnm_kernel_search *d) {
  for (int32_t i = 0; i < d->order_count; i++)
    if (d->graph->nodes[d->order[i]].op == NNM_OP_TRANSPOSE && !d->is_view[d->order[i]]) return true;
  return false;
}

nnm_status nnm_cancel_transpositions(nnm_kernel_search *d, nnm_error *error) {
  if (!has_transposition(d)) return NNM_OK; /* as most networks */
  const nnm_graph *graph = d->graph;
  size_t tensors = (size_t)graph->tensor_count;
  island at = {.d = d};
  at.bound = NNM_ARENA_ARRAY(&d->scratch, uint8_t, tensors);
  at.stack = NNM_ARENA_ARRAY(&d->scratch, nnm_tensor_id, tensors);
  at.ways = NNM_ARENA_ARRAY(&d->scratch, nnm_node_id, (size_t)graph->node_count);
  if (!at.bound || !at.stack || !at.ways) return nnm_fail_memory(error);
  for (nnm_block_id b = 0; b < graph->block_count; b++)
    for (uint32_t i = 0; i < graph->blocks[b].output_count; i++) at.bound[graph->blocks[b].outputs[i]] = 1;
  for (int to_last = 1; to_last >= 0; to_last--) {
    at.to_last = to_last;
    at.seen = NNM_ARENA_ARRAY(&d->scratch, uint8_t, tensors);
    if (!at.seen) return nnm_fail_memory(error);
    cancel(&at);
  }
  return NNM_OK;
}
