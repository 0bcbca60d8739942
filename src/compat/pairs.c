/* Pair rules: each operator, in topological order, takes in what reads it as long as the rule of its own type (the
 * kernel's first operator) and the reader's says so. */
#include <stdlib.h>
#include <string.h>

#include "compat/working.h"

typedef struct grouping {
  compat_working *work;
  const nnm_fusion_rules *rules;
  size_t count;
  int32_t *position; /* of each operator in the order */
  uint32_t *start;   /* readers of each position, ascending, each once: outs[start[i] .. end[i]) */
  uint32_t *end;
  int32_t *outs;
  int32_t *root;
  int32_t *tail; /* per root: the position whose readers are the kernel's (where several readers stop fusion) */
  int32_t *heap; /* readers still to look at, smallest first */
  size_t heap_count, heap_capacity;
} grouping;

/* Lists the readers of groups of positions: those that read `owner[p]`'s members p, ascending, each once; owner -1 is
 * left out. All reads are gone through by ascending reader, so that nothing has to be sorted. */
static nnm_status list_readers(grouping *g, const int32_t *owner, uint32_t **start, uint32_t **end, int32_t **outs) {
  compat_working *work = g->work;
  *start = NNM_ARENA_ARRAY(&work->arena, uint32_t, g->count + 1);
  *end = NNM_ARENA_ARRAY(&work->arena, uint32_t, g->count + 1);
  if (!*start || !*end) return nnm_fail_memory(work->error);
  for (int pass = 0; pass < 2; pass++) {
    for (size_t reader = 0; reader < g->count; reader++)
      for (int32_t e = work->operators[work->order[reader]].first_in; e >= 0; e = work->edges[e].next_in) {
        int32_t of = owner[g->position[work->edges[e].from]];
        if (of < 0) continue;
        if (!pass) (*start)[of + 1]++; /* room; one that reads twice counts twice */
        else if ((*end)[of] == (*start)[of] || (*outs)[(*end)[of] - 1] != (int32_t)reader)
          (*outs)[(*end)[of]++] = (int32_t)reader;
      }
    if (pass) break;
    for (size_t i = 0; i < g->count; i++) (*start)[i + 1] += (*start)[i];
    memcpy(*end, *start, (g->count + 1) * sizeof **end);
    *outs = NNM_ARENA_ARRAY(&work->arena, int32_t, (*start)[g->count]);
    if (!*outs) return nnm_fail_memory(work->error);
  }
  return NNM_OK;
}

/* The readers of each position. */
static nnm_status index_outs(grouping *g) {
  compat_working *work = g->work;
  int32_t *self = NNM_ARENA_ARRAY(&work->arena, int32_t, g->count);
  g->position = NNM_ARENA_ARRAY(&work->arena, int32_t, (size_t)work->operator_count);
  if (!self || !g->position) return nnm_fail_memory(work->error);
  for (size_t i = 0; i < g->count; i++) g->position[work->order[i]] = self[i] = (int32_t)i;
  return list_readers(g, self, &g->start, &g->end, &g->outs);
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
  bool trees = g->rules->multi_consumer != NNM_MULTI_CONSUMER_NEVER;
  int32_t *owner = NNM_ARENA_ARRAY(&g->work->arena, int32_t, g->count), *outs;
  uint32_t *start, *end;
  if (!owner) return nnm_fail_memory(g->work->error);
  for (size_t i = 0; i < g->count; i++) owner[i] = trees || g->tail[g->root[i]] == (int32_t)i ? g->root[i] : -1;
  NNM_TRY(list_readers(g, owner, &start, &end, &outs));
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
