#include "compat/working.h"

#include <stdlib.h>
#include <string.h>

/* How often dangling names are taken away with the old tool's own slip, and how many of one node at most; beyond, all
 * at once. */
enum { REFRESH_TURNS = 64, REFRESH_NAMES = 64 };

/* ------------------------------------------------------------- operators */

int32_t nnm_compat_type_id(compat_working *work, const char *type, const char **interned) {
  *interned = nnm_intern(&work->strings, type, strlen(type));
  if (!*interned) return -1;
  int32_t *id = nnm_interned_value(*interned);
  if (*id < 0) *id = work->type_count++;
  return *id;
}

/* What becomes of all nodes of one type. */
typedef struct aliased_type {
  const char *type;
  int32_t type_id;
  bool is_dummy, may_be_depthwise;
} aliased_type;

typedef struct aliasing {
  nnm_strings types; /* of nodes -> index into items */
  aliased_type *items;
  int32_t count;
} aliasing;

static const aliased_type *alias_type(compat_working *work, aliasing *a, const char *type) {
  int32_t *index = nnm_strings_value(&a->types, type, strlen(type));
  if (!index) return NULL;
  if (*index >= 0) return &a->items[*index];
  const char *alias = nnm_compat_alias_of_type(type);
  aliased_type item = {.is_dummy = nnm_compat_is_dummy(alias), .may_be_depthwise = !strcmp(alias, "conv")};
  item.type_id = nnm_compat_type_id(work, alias, &item.type);
  if (item.type_id < 0) return NULL;
  *index = a->count++;
  a->items[*index] = item;
  return &a->items[*index];
}

static bool set_type(compat_working *work, aliasing *a, const nnm_ir_node *node, compat_operator *op) {
  const aliased_type *aliased = alias_type(work, a, node->type);
  if (!aliased) return false;
  op->alive = true;
  op->type = aliased->type;
  op->type_id = aliased->type_id;
  op->is_dummy = aliased->is_dummy;
  if (aliased->may_be_depthwise && nnm_compat_is_depthwise(node))
    op->type_id = nnm_compat_type_id(work, "dwconv", &op->type);
  return op->type_id >= 0;
}

static nnm_status add_operators(compat_working *work) {
  size_t count = (size_t)work->node_count;
  aliasing a = {.types.arena = &work->arena, .items = NNM_ARENA_ARRAY(&work->arena, aliased_type, count)};
  work->operators = NNM_ARENA_ARRAY(&work->arena, compat_operator, count * 2);
  int32_t *self = NNM_ARENA_ARRAY(&work->arena, int32_t, count);
  if (!work->operators || !self || !a.items) return nnm_fail_memory(work->error);
  bool made = true;
  for (int32_t i = 0; made && i < work->node_count; i++) {
    const nnm_ir_node *node = &work->ir->nodes[i];
    self[i] = i;
    compat_operator *op = &work->operators[i];
    *op = (compat_operator){.type_id = -1,
                            .ir_node = i,
                            .member_count = 1,
                            .members = &self[i],
                            .first_in = -1,
                            .last_in = -1,
                            .first_out = -1,
                            .last_out = -1};
    if (node->type) made = set_type(work, &a, node, op);
  }
  nnm_strings_free(&a.types);
  work->operator_count = work->node_count;
  return made ? NNM_OK : nnm_fail_memory(work->error);
}

/* --------------------------------------------------------- inbound lists */

/* The nodes an operator reads, while the graph is put in order: ids; or for names of no node, UNKNOWN - a number of the
 * name. */
typedef struct inbound_list {
  int32_t *items;
  uint32_t count;
} inbound_list;

enum { UNKNOWN = -2 };

static bool is_unknown(const compat_working *work, int32_t id) { return id < 0 || !work->operators[id].alive; }

/* Names in no node's stead get numbers, so that equal ones can be told. */
static nnm_status number_unknown(nnm_strings *names, int32_t *count, const char *name, int32_t *out) {
  int32_t *number = nnm_strings_value(names, name, strlen(name));
  if (!number) return NNM_ERROR_MEMORY;
  if (*number < 0) *number = (*count)++;
  *out = UNKNOWN - *number;
  return NNM_OK;
}

static nnm_status copy_inbounds(compat_working *work, inbound_list *lists) {
  nnm_strings names = {.arena = &work->arena};
  int32_t unknown = 0;
  nnm_status status = NNM_OK;
  for (int32_t i = 0; i < work->node_count && status == NNM_OK; i++) {
    const nnm_ir_node *node = &work->ir->nodes[i];
    lists[i].items = NNM_ARENA_ARRAY(&work->arena, int32_t, node->inbound_count);
    if (!lists[i].items) status = NNM_ERROR_MEMORY;
    for (size_t k = 0; k < node->inbound_count && status == NNM_OK; k++) {
      int32_t id = node->inbounds[k];
      /* a node without a type is left out with its edges: the old tool cannot read it at all */
      if (id >= 0 && !work->operators[id].alive) continue;
      if (id == -1) status = number_unknown(&names, &unknown, node->inbound_names[k], &id);
      lists[i].items[lists[i].count++] = id;
    }
  }
  nnm_strings_free(&names);
  return status == NNM_OK ? NNM_OK : nnm_fail_memory(work->error);
}

/* A Const, Identity or Placeholder that reads what an operator makes, directly or through others like it, is what the old
 * tool stumbles over; it is left out, and its readers read that operator. stand_in: per node, that operator, or -1. */
typedef struct bypass {
  int32_t *stand_in;
  int32_t *queue;        /* nodes whose stand-in is known */
  int32_t *first, *next; /* dummies that read a dummy: first[node] and next[link] are links, -1 at the end */
  int32_t *reader;       /* per link */
  int32_t link_count, queue_count;
} bypass;

static bool is_dummy(const compat_working *work, int32_t id) {
  return !is_unknown(work, id) && work->operators[id].is_dummy;
}

static nnm_status create_bypass(compat_working *work, const inbound_list *lists, bypass *b) {
  size_t count = (size_t)work->node_count, links = 0;
  for (int32_t i = 0; i < work->node_count; i++) links += is_dummy(work, i) ? lists[i].count : 0;
  *b = (bypass){.stand_in = NNM_ARENA_ARRAY(&work->arena, int32_t, count),
                .queue = NNM_ARENA_ARRAY(&work->arena, int32_t, count),
                .first = NNM_ARENA_ARRAY(&work->arena, int32_t, count),
                .next = NNM_ARENA_ARRAY(&work->arena, int32_t, links),
                .reader = NNM_ARENA_ARRAY(&work->arena, int32_t, links)};
  if (!b->stand_in || !b->queue || !b->first || !b->next || !b->reader) return nnm_fail_memory(work->error);
  memset(b->stand_in, -1, count * sizeof *b->stand_in);
  memset(b->first, -1, count * sizeof *b->first);
  return NNM_OK;
}

static void set_stand_in(bypass *b, int32_t dummy, int32_t operator) {
  if (b->stand_in[dummy] >= 0) return;
  b->stand_in[dummy] = operator;
  b->queue[b->queue_count++] = dummy;
}

static void look_at_dummy(const compat_working *work, const inbound_list *lists, int32_t id, bypass *b) {
  for (uint32_t k = 0; k < lists[id].count; k++) {
    int32_t producer = lists[id].items[k];
    if (is_unknown(work, producer)) continue;
    if (!is_dummy(work, producer)) {
      set_stand_in(b, id, producer);
      continue;
    }
    b->reader[b->link_count] = id;
    b->next[b->link_count] = b->first[producer];
    b->first[producer] = b->link_count++;
  }
}

static nnm_status bypass_dummies(compat_working *work, inbound_list *lists) {
  bypass b;
  NNM_TRY(create_bypass(work, lists, &b));
  for (int32_t i = 0; i < work->node_count; i++)
    if (is_dummy(work, i)) look_at_dummy(work, lists, i, &b);
  for (int32_t i = 0; i < b.queue_count; i++)
    for (int32_t link = b.first[b.queue[i]]; link >= 0; link = b.next[link])
      set_stand_in(&b, b.reader[link], b.stand_in[b.queue[i]]);
  if (!b.queue_count) return NNM_OK;
  for (int32_t i = 0; i < work->node_count; i++)
    for (uint32_t k = 0; k < lists[i].count; k++)
      if (lists[i].items[k] >= 0 && b.stand_in[lists[i].items[k]] >= 0)
        lists[i].items[k] = b.stand_in[lists[i].items[k]];
  for (int32_t i = 0; i < b.queue_count; i++) work->operators[b.queue[i]].alive = false;
  return NNM_OK;
}

/* ------------------------------------------------- dangling and isolated */

static uint32_t remove_equal(inbound_list *list, int32_t id) {
  uint32_t kept = 0;
  for (uint32_t k = 0; k < list->count; k++)
    if (list->items[k] != id) list->items[kept++] = list->items[k];
  return kept;
}

static void remove_unknown(const compat_working *work, inbound_list *list) {
  uint32_t kept = 0;
  for (uint32_t k = 0; k < list->count; k++)
    if (!is_unknown(work, list->items[k])) list->items[kept++] = list->items[k];
  list->count = kept;
}

/* Counts an operator's readers the way the old tool does: it takes names of no node out of the list while walking it, and
 * so skips the entry behind each; what is skipped everywhere and reads nothing is taken for isolated. */
static void count_readers(const compat_working *work, inbound_list *list, bool at_once, uint32_t *readers) {
  uint32_t unknown = 0;
  for (uint32_t k = 0; k < list->count; k++) unknown += is_unknown(work, list->items[k]);
  if (at_once || unknown > REFRESH_NAMES) remove_unknown(work, list);
  for (uint32_t k = 0; k < list->count; k++) {
    int32_t id = list->items[k];
    if (is_unknown(work, id)) list->count = remove_equal(list, id);
    else readers[id]++;
  }
}

static nnm_status remove_isolated(compat_working *work, inbound_list *lists) {
  uint32_t *readers = NNM_ARENA_ARRAY(&work->arena, uint32_t, (size_t)work->node_count);
  if (!readers) return nnm_fail_memory(work->error);
  int32_t last_removed = -1, removed = -1;
  for (int turn = 0; last_removed || removed; turn++) {
    memset(readers, 0, (size_t)work->node_count * sizeof *readers);
    for (int32_t i = 0; i < work->node_count; i++)
      if (work->operators[i].alive) count_readers(work, &lists[i], turn >= REFRESH_TURNS, readers);
    last_removed = removed;
    removed = 0;
    for (int32_t i = 0; i < work->node_count; i++) {
      if (!work->operators[i].alive || readers[i] || lists[i].count) continue;
      work->operators[i].alive = false;
      removed++;
    }
  }
  for (int32_t i = 0; i < work->node_count; i++) remove_unknown(work, &lists[i]);
  return NNM_OK;
}

/* ------------------------------------------------------------------ edges */

static nnm_status add_edge(compat_working *work, int32_t from, int32_t to) {
  if (work->edge_count == work->edge_capacity) {
    size_t capacity = work->edge_capacity ? work->edge_capacity * 2 : 1024;
    compat_edge *grown = capacity > INT32_MAX ? NULL : realloc(work->edges, capacity * sizeof *grown);
    if (!grown) return nnm_fail_memory(work->error);
    work->edges = grown;
    work->edge_capacity = capacity;
  }
  int32_t id = (int32_t)work->edge_count++;
  compat_operator *producer = &work->operators[from], *reader = &work->operators[to];
  work->edges[id] = (compat_edge){from, to, -1, reader->last_in, -1, producer->last_out};
  if (reader->last_in >= 0) work->edges[reader->last_in].next_in = id;
  else reader->first_in = id;
  if (producer->last_out >= 0) work->edges[producer->last_out].next_out = id;
  else producer->first_out = id;
  reader->last_in = producer->last_out = id;
  return NNM_OK;
}

static void remove_edge(compat_working *work, int32_t id) {
  const compat_edge *edge = &work->edges[id];
  compat_operator *producer = &work->operators[edge->from], *reader = &work->operators[edge->to];
  if (edge->previous_in >= 0) work->edges[edge->previous_in].next_in = edge->next_in;
  else reader->first_in = edge->next_in;
  if (edge->next_in >= 0) work->edges[edge->next_in].previous_in = edge->previous_in;
  else reader->last_in = edge->previous_in;
  if (edge->previous_out >= 0) work->edges[edge->previous_out].next_out = edge->next_out;
  else producer->first_out = edge->next_out;
  if (edge->next_out >= 0) work->edges[edge->next_out].previous_out = edge->previous_out;
  else producer->last_out = edge->previous_out;
}

static nnm_status add_edges(compat_working *work, const inbound_list *lists) {
  for (int32_t i = 0; i < work->node_count; i++)
    for (uint32_t k = 0; work->operators[i].alive && k < lists[i].count; k++)
      NNM_TRY(add_edge(work, lists[i].items[k], i));
  return NNM_OK;
}

nnm_status nnm_compat_working_create(compat_working *work, const nnm_ir *ir, nnm_error *error) {
  *work = (compat_working){.ir = ir, .error = error, .node_count = (int32_t)ir->node_count};
  work->strings.arena = &work->arena;
  NNM_TRY(add_operators(work));
  inbound_list *lists = NNM_ARENA_ARRAY(&work->arena, inbound_list, ir->node_count);
  if (!lists) return nnm_fail_memory(error);
  NNM_TRY(copy_inbounds(work, lists));
  NNM_TRY(bypass_dummies(work, lists));
  NNM_TRY(remove_isolated(work, lists));
  return add_edges(work, lists);
}

void nnm_compat_working_free(compat_working *work) {
  free(work->edges);
  nnm_strings_free(&work->strings);
  nnm_arena_free(&work->arena);
}

/* ----------------------------------------------------------------- blocks */

/* Hands the edges of a member to the block. joined_in and joined_out tell per neighbour whether the block is joined to
 * it already (the block's id), or whether it is a member itself (-1 - id). */
static nnm_status move_edges(compat_working *work, int32_t member, int32_t block, int32_t *joined_in,
                             int32_t *joined_out) {
  for (int32_t e = work->operators[member].first_in; e >= 0;) {
    int32_t next = work->edges[e].next_in, from = work->edges[e].from;
    remove_edge(work, e);
    if (joined_in[from] != block && joined_in[from] != -1 - block) {
      joined_in[from] = block;
      NNM_TRY(add_edge(work, from, block));
    }
    e = next;
  }
  for (int32_t e = work->operators[member].first_out; e >= 0;) {
    int32_t next = work->edges[e].next_out, to = work->edges[e].to;
    remove_edge(work, e);
    if (joined_out[to] != block && joined_out[to] != -1 - block) {
      joined_out[to] = block;
      NNM_TRY(add_edge(work, block, to));
    }
    e = next;
  }
  return NNM_OK;
}

static nnm_status collect_members(compat_working *work, const int32_t *operators, size_t count, compat_operator *out) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++) total += work->operators[operators[i]].member_count;
  int32_t *members = NNM_ARENA_ARRAY(&work->arena, int32_t, total);
  if (!members) return nnm_fail_memory(work->error);
  out->members = members;
  for (size_t i = 0; i < count; i++) {
    const compat_operator *op = &work->operators[operators[i]];
    memcpy(members + out->member_count, op->members, op->member_count * sizeof *members);
    out->member_count += op->member_count;
  }
  return NNM_OK;
}

nnm_status nnm_compat_make_block(compat_working *work, const int32_t *operators, size_t count, size_t root,
                                 const char *type) {
  if (!work->joined) {
    size_t size = (size_t)work->node_count * 2;
    work->joined = NNM_ARENA_ARRAY(&work->arena, int32_t, size * 2);
    if (!work->joined) return nnm_fail_memory(work->error);
    /* 0 marks nothing: block ids are at least node_count, which is not 0 here */
  }
  int32_t *joined_in = work->joined, *joined_out = work->joined + (size_t)work->node_count * 2;
  int32_t id = work->operator_count++;
  compat_operator *block = &work->operators[id];
  *block = (compat_operator){.ir_node = work->operators[operators[root]].ir_node,
                             .alive = true,
                             .is_block = true,
                             .first_in = -1,
                             .last_in = -1,
                             .first_out = -1,
                             .last_out = -1};
  block->type_id = nnm_compat_type_id(work, type, &block->type);
  if (block->type_id < 0) return nnm_fail_memory(work->error);
  NNM_TRY(collect_members(work, operators, count, block));
  for (size_t i = 0; i < count; i++) joined_in[operators[i]] = joined_out[operators[i]] = -1 - id;
  for (size_t i = 0; i < count; i++) {
    NNM_TRY(move_edges(work, operators[i], id, joined_in, joined_out));
    work->operators[operators[i]].alive = false;
  }
  return NNM_OK;
}

/* ------------------------------------------------------------------ order */

/* Operators in the order in which the old tool's graph library first hears of them: each with what it reads. */
static nnm_status mention(compat_working *work, int32_t *mentioned, int32_t *count) {
  uint8_t *seen = NNM_ARENA_ARRAY(&work->arena, uint8_t, (size_t)work->operator_count);
  if (!seen) return nnm_fail_memory(work->error);
  for (int32_t i = 0; i < work->operator_count; i++) {
    if (!work->operators[i].alive) continue;
    if (!seen[i]) seen[i] = 1, mentioned[(*count)++] = i;
    for (int32_t e = work->operators[i].first_in; e >= 0; e = work->edges[e].next_in)
      if (!seen[work->edges[e].from]) seen[work->edges[e].from] = 1, mentioned[(*count)++] = work->edges[e].from;
  }
  return NNM_OK;
}

/* Readers of each operator by ascending id, an operator that reads twice listed twice: outs[start[i]..start[i+1]). */
static nnm_status index_readers(compat_working *work, uint32_t **start_out, int32_t **outs_out) {
  size_t count = (size_t)work->operator_count, edges = 0;
  uint32_t *start = NNM_ARENA_ARRAY(&work->arena, uint32_t, count + 2);
  if (!start) return nnm_fail_memory(work->error);
  for (size_t i = 0; i < count; i++)
    for (int32_t e = work->operators[i].first_in; work->operators[i].alive && e >= 0; e = work->edges[e].next_in)
      start[work->edges[e].from + 2]++, edges++;
  for (size_t i = 2; i < count + 2; i++) start[i] += start[i - 1];
  int32_t *outs = NNM_ARENA_ARRAY(&work->arena, int32_t, edges);
  if (!outs) return nnm_fail_memory(work->error);
  for (size_t i = 0; i < count; i++)
    for (int32_t e = work->operators[i].first_in; work->operators[i].alive && e >= 0; e = work->edges[e].next_in)
      outs[start[work->edges[e].from + 1]++] = (int32_t)i;
  *start_out = start;
  *outs_out = outs;
  return NNM_OK;
}

nnm_status nnm_compat_sort(compat_working *work, bool *complete) {
  size_t count = (size_t)work->operator_count;
  int32_t *mentioned = NNM_ARENA_ARRAY(&work->arena, int32_t, count);
  uint32_t *waits = NNM_ARENA_ARRAY(&work->arena, uint32_t, count), *start;
  int32_t *order = NNM_ARENA_ARRAY(&work->arena, int32_t, count), *outs, alive = 0, done = 0;
  if (!mentioned || !waits || !order) return nnm_fail_memory(work->error);
  NNM_TRY(mention(work, mentioned, &alive));
  NNM_TRY(index_readers(work, &start, &outs));
  for (uint32_t k = 0; k < start[count]; k++) waits[outs[k]]++;
  for (int32_t i = 0; i < alive; i++)
    if (!waits[mentioned[i]]) order[done++] = mentioned[i];
  for (int32_t i = 0; i < done; i++)
    for (uint32_t k = start[order[i]]; k < start[order[i] + 1]; k++)
      if (--waits[outs[k]] == 0) order[done++] = outs[k];
  work->order = order;
  work->order_count = done;
  *complete = done == alive;
  return NNM_OK;
}

/* What is left when operators without readers among the unsorted are peeled off as well lies on cycles or between two. */
nnm_status nnm_compat_mark_cycles(compat_working *work, uint8_t *marks) {
  size_t count = (size_t)work->operator_count;
  uint8_t *left = NNM_ARENA_ARRAY(&work->arena, uint8_t, count);
  uint32_t *readers = NNM_ARENA_ARRAY(&work->arena, uint32_t, count);
  int32_t *stack = NNM_ARENA_ARRAY(&work->arena, int32_t, count);
  if (!left || !readers || !stack) return nnm_fail_memory(work->error);
  for (size_t i = 0; i < count; i++) left[i] = work->operators[i].alive;
  for (int32_t i = 0; i < work->order_count; i++) left[work->order[i]] = 0;
  for (size_t i = 0; i < count; i++)
    for (int32_t e = work->operators[i].first_in; left[i] && e >= 0; e = work->edges[e].next_in)
      if (left[work->edges[e].from]) readers[work->edges[e].from]++;
  size_t depth = 0;
  for (size_t i = 0; i < count; i++)
    if (left[i] && !readers[i]) stack[depth++] = (int32_t)i;
  while (depth) {
    int32_t at = stack[--depth];
    left[at] = 0;
    for (int32_t e = work->operators[at].first_in; e >= 0; e = work->edges[e].next_in) {
      int32_t from = work->edges[e].from;
      if (left[from] && --readers[from] == 0) stack[depth++] = from;
    }
  }
  for (size_t i = 0; i < count; i++)
    for (uint32_t k = 0; left[i] && work->operators[i].is_block && k < work->operators[i].member_count; k++)
      marks[work->operators[i].members[k]] = 1;
  return NNM_OK;
}
