/* The builder's last steps: who reads what, and in which order nodes can run. */
#ifndef NNM_GRAPH_ORDER_H
#define NNM_GRAPH_ORDER_H

#include "base/status.h"
#include "graph/graph.h"

nnm_status nnm_graph_index_consumers(nnm_graph *graph, nnm_error *error);
/* Fills block.nodes in topological order (file order where that is one already); a cycle is an error. */
nnm_status nnm_graph_sort_blocks(nnm_graph *graph, nnm_error *error);

#endif
