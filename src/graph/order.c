#include "graph/order.h"

#include <stdlib.h>

nnm_status nnm_graph_index_consumers(nnm_graph *graph, nnm_error *error) {
  uint32_t *start = NNM_ARENA_ARRAY(&graph->arena, uint32_t, (size_t)graph->tensor_count + 2);
  if (!start) return nnm_fail_memory(error);
  size_t total = 0;
  for (nnm_node_id n = 0; n < graph->node_count; n++)
    for (uint32_t i = 0; i < graph->nodes[n].input_count; i++)
      if (graph->nodes[n].inputs[i] >= 0) start[graph->nodes[n].inputs[i] + 2]++, total++;
  if (total > UINT32_MAX)
    return nnm_fail(error, NNM_ERROR_LIMIT, NULL,
                    "the graph has more than 2^32 edges; simplify the model before exporting");
  for (nnm_tensor_id t = 0; t < graph->tensor_count; t++) start[t + 2] += start[t + 1];
  nnm_node_id *nodes = NNM_ARENA_ARRAY(&graph->arena, nnm_node_id, total);
  if (!nodes) return nnm_fail_memory(error);
  /* start[t + 1] is the write position of t, and ends up as its end */
  for (nnm_node_id n = 0; n < graph->node_count; n++)
    for (uint32_t i = 0; i < graph->nodes[n].input_count; i++)
      if (graph->nodes[n].inputs[i] >= 0) nodes[start[graph->nodes[n].inputs[i] + 1]++] = n;
  graph->consumer_start = start;
  graph->consumer_nodes = nodes;
  return NNM_OK;
}

/* The node of `block` inside which `node` sits (itself when it is in the block); -1 if the block is not around it. */
static nnm_node_id lift(const nnm_graph *graph, nnm_node_id node, nnm_block_id block) {
  while (node >= 0 && graph->nodes[node].block != block) node = graph->blocks[graph->nodes[node].block].owner;
  return node;
}

typedef struct edges {
  uint32_t *start; /* node_count + 2 */
  nnm_node_id *to;
  int32_t *waiting; /* unfinished producers of each node */
} edges;

static void free_edges(edges *e) {
  free(e->start);
  free(e->to);
  free(e->waiting);
}

/* Calls for each dependency "producer before consumer" within one block; pass 0 counts, pass 1 fills. */
static nnm_status scan_edges(const nnm_graph *graph, edges *e, int pass, bool *in_file_order, nnm_error *error) {
  for (nnm_node_id n = 0; n < graph->node_count; n++) {
    const nnm_node *node = &graph->nodes[n];
    for (uint32_t i = 0; i < node->input_count; i++) {
      if (node->inputs[i] < 0) continue;
      nnm_node_id producer = graph->tensors[node->inputs[i]].producer;
      if (producer < 0) continue;
      nnm_node_id consumer = lift(graph, n, graph->nodes[producer].block);
      char label[160];
      if (consumer < 0)
        return nnm_fail(error, NNM_ERROR_GRAPH, nnm_node_label(graph, n, label, sizeof label),
                        "reads '%.200s' of a body it is not in; export the model again",
                        graph->tensors[node->inputs[i]].name);
      if (consumer <= producer) *in_file_order = false;
      if (pass) e->to[e->start[producer + 1]++] = consumer, e->waiting[consumer]++;
      else e->start[producer + 2]++;
    }
  }
  return NNM_OK;
}

/* Reorders all nodes so that producers come first; blocks are cut out of that order afterwards. */
static nnm_status sort_all(const nnm_graph *graph, edges *e, nnm_node_id *order, nnm_error *error) {
  int32_t done = 0, filled = 0;
  for (nnm_node_id n = 0; n < graph->node_count; n++)
    if (!e->waiting[n]) order[filled++] = n;
  while (done < filled) {
    nnm_node_id n = order[done++];
    for (uint32_t i = e->start[n]; i < e->start[n + 1]; i++)
      if (--e->waiting[e->to[i]] == 0) order[filled++] = e->to[i];
  }
  if (filled == graph->node_count) return NNM_OK;
  for (nnm_node_id n = 0; n < graph->node_count; n++) {
    char label[160];
    if (e->waiting[n] > 0)
      return nnm_fail(error, NNM_ERROR_GRAPH, nnm_node_label(graph, n, label, sizeof label),
                      "is part of a cycle: it needs its own result; export the model again");
  }
  return NNM_OK;
}

static nnm_status make_order(const nnm_graph *graph, nnm_node_id *order, nnm_error *error) {
  for (nnm_node_id n = 0; n < graph->node_count; n++) order[n] = n;
  edges e = {calloc((size_t)graph->node_count + 3, sizeof *e.start), NULL, NULL};
  if (!e.start) return nnm_fail_memory(error);
  bool in_file_order = true;
  nnm_status status = scan_edges(graph, &e, 0, &in_file_order, error);
  if (status == NNM_OK && !in_file_order) {
    for (nnm_node_id n = 0; n < graph->node_count; n++) e.start[n + 2] += e.start[n + 1];
    e.to = calloc((size_t)e.start[graph->node_count + 1] + 1, sizeof *e.to);
    e.waiting = calloc((size_t)graph->node_count + 1, sizeof *e.waiting);
    if (!e.to || !e.waiting) status = nnm_fail_memory(error);
    else status = scan_edges(graph, &e, 1, &in_file_order, error);
    if (status == NNM_OK) status = sort_all(graph, &e, order, error);
  }
  free_edges(&e);
  return status;
}

nnm_status nnm_graph_sort_blocks(nnm_graph *graph, nnm_error *error) {
  nnm_node_id *order = malloc(((size_t)graph->node_count + 1) * sizeof *order);
  if (!order) return nnm_fail_memory(error);
  nnm_status status = make_order(graph, order, error);
  for (nnm_node_id n = 0; n < graph->node_count; n++) graph->blocks[graph->nodes[n].block].node_count++;
  for (nnm_block_id b = 0; status == NNM_OK && b < graph->block_count; b++) {
    graph->blocks[b].nodes = NNM_ARENA_ARRAY(&graph->arena, nnm_node_id, graph->blocks[b].node_count);
    if (!graph->blocks[b].nodes) status = nnm_fail_memory(error);
    graph->blocks[b].node_count = 0;
  }
  for (nnm_node_id i = 0; status == NNM_OK && i < graph->node_count; i++) {
    nnm_block *block = &graph->blocks[graph->nodes[order[i]].block];
    ((nnm_node_id *)(uintptr_t)block->nodes)[block->node_count++] = order[i];
  }
  free(order);
  return status;
}
