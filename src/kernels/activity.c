#include "base/limits.h"
#include "kernels/detection.h"

/* ------------------------------------------------------------------- order */

/* Appends the nodes of a block; those of its bodies come just before the node that owns them. */
static nnm_status order_nodes(nnm_kernel_search *d, nnm_error *error) {
  const nnm_graph *graph = d->graph;
  d->order = NNM_ARENA_ARRAY(&d->scratch, nnm_node_id, (size_t)graph->node_count);
  d->position = NNM_ARENA_ARRAY(&d->scratch, int32_t, (size_t)graph->node_count);
  if (!d->order || !d->position) return nnm_fail_memory(error);
  struct {
    nnm_block_id block;
    uint32_t next, attribute; /* the node, and the attribute of it to look at next */
  } stack[NNM_LIMIT_BLOCK_DEPTH + 2] = {{0, 0, 0}};
  for (nnm_node_id n = 0; n < graph->node_count; n++) d->position[n] = -1;
  int depth = 1;
  while (depth) {
    const nnm_block *block = &graph->blocks[stack[depth - 1].block];
    if (stack[depth - 1].next == block->node_count) {
      depth--;
      continue;
    }
    nnm_node_id n = block->nodes[stack[depth - 1].next];
    const nnm_node *node = &graph->nodes[n];
    uint32_t a = stack[depth - 1].attribute;
    while (a < node->attribute_count && node->attributes[a].kind != NNM_ATTRIBUTE_BLOCK) a++;
    if (a < node->attribute_count) {
      stack[depth - 1].attribute = a + 1;
      stack[depth].block = node->attributes[a].as.block;
      stack[depth].next = stack[depth].attribute = 0;
      depth++;
      continue;
    }
    if (d->shapes->executed[n]) {
      d->position[n] = d->order_count;
      d->order[d->order_count++] = n;
    }
    stack[depth - 1].next++;
    stack[depth - 1].attribute = 0;
  }
  return NNM_OK;
}

/* ------------------------------------------------------------------- views */

static bool same_dims(nnm_shape a, nnm_shape b) {
  if (a.rank < 0 || a.rank != b.rank) return false;
  for (int32_t i = 0; i < a.rank; i++)
    if (a.dims[i] != b.dims[i]) return false;
  return true;
}

/* A transposition that moves only axes of one element changes nothing in memory. */
static bool keeps_order(const nnm_node *node, nnm_shape shape) {
  size_t count;
  const int64_t *order = nnm_attribute_ints(node, "perm", &count);
  int64_t last = -1;
  if (!order || shape.rank < 0 || count != (size_t)shape.rank) return false;
  for (size_t i = 0; i < count; i++) {
    if (order[i] < 0 || order[i] >= shape.rank) return false;
    if (shape.dims[order[i]] == 1) continue;
    if (order[i] < last) return false;
    last = order[i];
  }
  return true;
}

/* QuantizeLinear with nothing but DequantizeLinear behind it marks a tensor as quantised; it is not run as such. */
static bool only_marks_quantisation(const nnm_kernel_search *d, const nnm_node *node) {
  const nnm_graph *graph = d->graph;
  if (node->op == NNM_OP_DEQUANTIZE_LINEAR) {
    nnm_node_id producer = graph->tensors[node->inputs[0]].producer;
    return producer >= 0 && d->is_view[producer] && graph->nodes[producer].op == NNM_OP_QUANTIZE_LINEAR;
  }
  nnm_tensor_id out = node->outputs[0];
  if (graph->tensors[out].flags & NNM_TENSOR_OUTPUT) return false;
  for (uint32_t i = graph->consumer_start[out]; i < graph->consumer_start[out + 1]; i++)
    if (graph->nodes[graph->consumer_nodes[i]].op != NNM_OP_DEQUANTIZE_LINEAR) return false;
  return graph->consumer_start[out] < graph->consumer_start[out + 1];
}

/* Adding 0 or multiplying by 1, which a rescaling layer does where its offset is not used. */
static bool changes_nothing(const nnm_kernel_search *d, const nnm_node *node, double neutral) {
  double number;
  if (node->input_count != 2 || node->inputs[1] < 0 || !d->shapes->constant[node->inputs[1]]) return false;
  return same_dims(d->shapes->tensors[node->inputs[0]], d->shapes->tensors[node->outputs[0]]) &&
         nnm_only_number(d, node->inputs[1], &number) && number == neutral;
}

/* Whether the node runs no code of its own: its output is its first input, seen otherwise. */
static bool is_view_node(const nnm_kernel_search *d, const nnm_node *node) {
  if (!node->input_count || !node->output_count || node->inputs[0] < 0 || node->outputs[0] < 0) return false;
  if (d->shapes->constant[node->inputs[0]]) return false;
  nnm_shape in = d->shapes->tensors[node->inputs[0]], out = d->shapes->tensors[node->outputs[0]];
  switch (node->op) {
  case NNM_OP_ADD:
  case NNM_OP_SUB: return !d->graph->is_converted && changes_nothing(d, node, 0);
  case NNM_OP_MUL:
  case NNM_OP_DIV: return !d->graph->is_converted && changes_nothing(d, node, 1);
  case NNM_OP_IDENTITY:
  case NNM_OP_DROPOUT: return true;
  case NNM_OP_CAST:
  case NNM_OP_CAST_LIKE: return d->shapes->dtypes[node->inputs[0]] == d->shapes->dtypes[node->outputs[0]];
  case NNM_OP_QUANTIZE_LINEAR:
  case NNM_OP_DEQUANTIZE_LINEAR: return only_marks_quantisation(d, node);
  case NNM_OP_TRANSPOSE: return keeps_order(node, in);
  case NNM_OP_CONCAT: return node->input_count == 1;
  case NNM_OP_EXPAND:
  case NNM_OP_TILE:
  case NNM_OP_SLICE:
  case NNM_OP_SLICE_BY_SIZE:
  case NNM_OP_STRIDED_SLICE:
  case NNM_OP_PAD: return same_dims(in, out);
  case NNM_OP_SPLIT: return node->output_count == 1;
  default: return nnm_op_work((nnm_op)node->op) == NNM_WORK_VIEW;
  }
}

static nnm_status find_roots(nnm_kernel_search *d, nnm_error *error) {
  const nnm_graph *graph = d->graph;
  d->is_view = NNM_ARENA_ARRAY(&d->scratch, uint8_t, (size_t)graph->node_count);
  d->root = NNM_ARENA_ARRAY(&d->scratch, nnm_tensor_id, (size_t)graph->tensor_count);
  if (!d->is_view || !d->root) return nnm_fail_memory(error);
  for (nnm_tensor_id t = 0; t < graph->tensor_count; t++) d->root[t] = t;
  for (int32_t i = 0; i < d->order_count; i++) {
    nnm_node_id n = d->order[i];
    d->is_view[n] = is_view_node(d, &graph->nodes[n]);
  }
  if (!graph->is_converted) NNM_TRY(nnm_cancel_transpositions(d, error));
  for (int32_t i = 0; i < d->order_count; i++) {
    const nnm_node *node = &graph->nodes[d->order[i]];
    if (d->is_view[d->order[i]]) d->root[node->outputs[0]] = d->root[node->inputs[0]];
  }
  return NNM_OK;
}

/* ----------------------------------------------------------------- readers */

static bool reads_only_shape(const nnm_node *node) { return node->op == NNM_OP_SHAPE || node->op == NNM_OP_SIZE; }

/* Counts (pass 0) or lists (pass 1) for each root the nodes that read it. */
static void scan_readers(nnm_kernel_search *d, int pass, nnm_node_id *last) {
  for (nnm_tensor_id t = 0; t < d->graph->tensor_count; t++) last[t] = -1;
  for (int32_t i = 0; i < d->order_count; i++) {
    nnm_node_id n = d->order[i];
    const nnm_node *node = &d->graph->nodes[n];
    if (reads_only_shape(node)) continue;
    bool no_unit = d->is_view[n] || nnm_op_work((nnm_op)node->op) == NNM_WORK_CONTROL ||
                   nnm_op_work((nnm_op)node->op) == NNM_WORK_NONE;
    for (uint32_t k = 0; k < node->input_count; k++) {
      if (node->inputs[k] < 0 || d->shapes->constant[node->inputs[k]]) continue;
      nnm_tensor_id root = d->root[node->inputs[k]];
      if (d->is_view[n] && k == 0) continue;
      nnm_node_id producer = d->graph->tensors[root].producer;
      if (no_unit || (producer >= 0 && d->graph->nodes[producer].block != node->block)) d->escapes[root] = 1;
      if (no_unit || last[root] == n) continue;
      last[root] = n;
      if (pass) d->readers[d->reader_start[root + 1]++] = n;
      else d->reader_start[root + 2]++;
    }
  }
}

static nnm_status find_readers(nnm_kernel_search *d, nnm_error *error) {
  const nnm_graph *graph = d->graph;
  size_t tensors = (size_t)graph->tensor_count;
  d->escapes = NNM_ARENA_ARRAY(&d->scratch, uint8_t, tensors);
  d->reader_start = NNM_ARENA_ARRAY(&d->scratch, uint32_t, tensors + 2);
  nnm_node_id *last = NNM_ARENA_ARRAY(&d->scratch, nnm_node_id, tensors);
  if (!d->escapes || !d->reader_start || !last) return nnm_fail_memory(error);
  for (nnm_block_id b = 0; b < graph->block_count; b++)
    for (uint32_t i = 0; i < graph->blocks[b].output_count; i++) d->escapes[d->root[graph->blocks[b].outputs[i]]] = 1;
  scan_readers(d, 0, last);
  for (nnm_tensor_id t = 0; t < graph->tensor_count; t++) d->reader_start[t + 2] += d->reader_start[t + 1];
  d->readers = NNM_ARENA_ARRAY(&d->scratch, nnm_node_id, (size_t)d->reader_start[graph->tensor_count + 1]);
  if (!d->readers) return nnm_fail_memory(error);
  scan_readers(d, 1, last); /* start[t + 1] is the write position of t, and ends up as its end */
  return NNM_OK;
}

nnm_status nnm_find_activity(nnm_kernel_search *d, nnm_error *error) {
  NNM_TRY(order_nodes(d, error));
  NNM_TRY(find_roots(d, error));
  return find_readers(d, error);
}
