/* Pair rules: each operator, in topological order, takes in what reads it as long as the rule of its own type (the
 * kernel's first operator) and the reader's says so. */
#include <stdlib.h>
#include <string.h>

#include "compat/working.h"

typedef struct grouping {
  compat_working *work;
  const nnm_fusion_rules *rules;
  size_t count;
  uint32_t *start; /* readers of each position, ascending, each once: outs[start[i] .. end[i]) */
  uint32_t *end;
  int32_t *outs;
  int32_t *root;
  int32_t *tail; /* per root: the position whose readers are the kernel's (where several readers stop fusion) */
  int32_t *heap; /* readers still to look at, smallest first */
  size_t heap_count, heap_capacity;
} grouping;

static int ascending(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

/* Sorts and drops repetitions; returns how many are left. */
static uint32_t unique(int32_t *list, size_t count) {
  if (count > 1) qsort(list, count, sizeof *list, ascending);
  uint32_t kept = 0;
  for (size_t i = 0; i < count; i++)
    if (!i || list[i] != list[kept - 1]) list[kept++] = list[i];
  return kept;
}

static nnm_status index_outs(grouping *g) {
  compat_working *work = g->work;
  size_t edges = 0;
  int32_t *position = NNM_ARENA_ARRAY(&work->arena, int32_t, (size_t)work->operator_count);
  g->start = NNM_ARENA_ARRAY(&work->arena, uint32_t, g->count + 1);
  g->end = NNM_ARENA_ARRAY(&work->arena, uint32_t, g->count + 1);
  if (!position || !g->start || !g->end) return nnm_fail_memory(work->error);
  for (size_t i = 0; i < g->count; i++) position[work->order[i]] = (int32_t)i;
  for (size_t i = 0; i < g->count; i++)
    for (int32_t e = work->operators[work->order[i]].first_out; e >= 0; e = work->edges[e].next_out) edges++;
  g->outs = NNM_ARENA_ARRAY(&work->arena, int32_t, edges);
  if (!g->outs) return nnm_fail_memory(work->error);
  uint32_t at = 0;
  for (size_t i = 0; i < g->count; i++) {
    g->start[i] = at;
    for (int32_t e = work->operators[work->order[i]].first_out; e >= 0; e = work->edges[e].next_out)
      g->outs[at++] = position[work->edges[e].to];
    g->end[i] = g->start[i] + unique(g->outs + g->start[i], at - g->start[i]);
  }
  return NNM_OK;
}

static const char *type_at(const grouping *g, int32_t position) {
  return g->work->operators[g->work->order[position]].type;
}

static bool may_join(const grouping *g, int32_t root, int32_t reader) {
  return g->root[reader] == reader && nnm_fusion_rules_allow(g->rules, type_at(g, root), type_at(g, reader));
}

/* An operator read by several is never fused onwards: kernels are chains. */
static void group_chain(grouping *g, int32_t root) {
  for (int32_t tail = root; g->end[tail] - g->start[tail] == 1;) {
    int32_t reader = g->outs[g->start[tail]];
    if (!may_join(g, root, reader)) return;
    g->root[reader] = root;
    g->tail[root] = tail = reader;
  }
}

static nnm_status push(grouping *g, int32_t position) {
  if (g->heap_count == g->heap_capacity) {
    size_t capacity = g->heap_capacity ? g->heap_capacity * 2 : 256;
    int32_t *grown = realloc(g->heap, capacity * sizeof *grown);
    if (!grown) return nnm_fail_memory(g->work->error);
    g->heap = grown;
    g->heap_capacity = capacity;
  }
  size_t at = g->heap_count++;
  for (; at && g->heap[(at - 1) / 2] > position; at = (at - 1) / 2) g->heap[at] = g->heap[(at - 1) / 2];
  g->heap[at] = position;
  return NNM_OK;
}

static int32_t pop(grouping *g) {
  int32_t smallest = g->heap[0], last = g->heap[--g->heap_count];
  size_t at = 0;
  for (size_t child = 1; child < g->heap_count; child = at * 2 + 1) {
    if (child + 1 < g->heap_count && g->heap[child + 1] < g->heap[child]) child++;
    if (g->heap[child] >= last) break;
    g->heap[at] = g->heap[child];
    at = child;
  }
  g->heap[at] = last;
  return smallest;
}

static nnm_status push_readers(grouping *g, int32_t position) {
  for (uint32_t k = g->start[position]; k < g->end[position]; k++) NNM_TRY(push(g, g->outs[k]));
  return NNM_OK;
}

/* A kernel takes in the first of its readers that may join, then looks again at all that read it so far. Since a reader
 * once refused by the root's type is always refused, looking at each once, in order, comes to the same. */
static nnm_status group_tree(grouping *g, int32_t root) {
  g->heap_count = 0;
  NNM_TRY(push_readers(g, root));
  while (g->heap_count) {
    int32_t reader = pop(g);
    if (reader == root || !may_join(g, root, reader)) continue;
    g->root[reader] = root;
    NNM_TRY(push_readers(g, reader));
  }
  return NNM_OK;
}

/* What the old tool lists as a kernel's consumers: the readers of a chain's end; of all members where kernels are trees,
 * members themselves included. */
static nnm_status list_outs(grouping *g, compat_groups *out) {
  compat_working *work = g->work;
  uint32_t *start = NNM_ARENA_ARRAY(&work->arena, uint32_t, g->count + 2);
  size_t total = 0;
  bool trees = g->rules->multi_consumer != NNM_MULTI_CONSUMER_NEVER;
  for (size_t i = 0; i < g->count; i++) total += g->end[i] - g->start[i];
  int32_t *outs = NNM_ARENA_ARRAY(&work->arena, int32_t, total);
  if (!start || !outs) return nnm_fail_memory(work->error);
  for (size_t i = 0; i < g->count; i++) {
    if (!trees && g->tail[g->root[i]] != (int32_t)i) continue;
    start[g->root[i] + 2] += g->end[i] - g->start[i];
  }
  for (size_t i = 2; i < g->count + 2; i++) start[i] += start[i - 1];
  for (size_t i = 0; i < g->count; i++) {
    if (!trees && g->tail[g->root[i]] != (int32_t)i) continue;
    for (uint32_t k = g->start[i]; k < g->end[i]; k++) outs[start[g->root[i] + 1]++] = g->outs[k];
  }
  uint32_t *end = NNM_ARENA_ARRAY(&work->arena, uint32_t, g->count);
  if (!end) return nnm_fail_memory(work->error);
  for (size_t i = 0; i < g->count; i++) end[i] = start[i] + unique(outs + start[i], start[i + 1] - start[i]);
  *out = (compat_groups){g->root, start, end, outs};
  return NNM_OK;
}

nnm_status nnm_compat_group(compat_working *work, const nnm_fusion_rules *rules, compat_groups *out) {
  grouping g = {.work = work, .rules = rules, .count = (size_t)work->order_count};
  NNM_TRY(index_outs(&g));
  g.root = NNM_ARENA_ARRAY(&work->arena, int32_t, g.count);
  g.tail = NNM_ARENA_ARRAY(&work->arena, int32_t, g.count);
  if (!g.root || !g.tail) return nnm_fail_memory(work->error);
  for (size_t i = 0; i < g.count; i++) g.root[i] = g.tail[i] = (int32_t)i;
  nnm_status status = NNM_OK;
  for (int32_t i = 0; i < (int32_t)g.count && status == NNM_OK; i++) {
    if (g.root[i] != i) continue;
    if (rules->multi_consumer == NNM_MULTI_CONSUMER_NEVER) group_chain(&g, i);
    else status = group_tree(&g, i);
  }
  if (status == NNM_OK) status = list_outs(&g, out);
  free(g.heap);
  return status;
}
