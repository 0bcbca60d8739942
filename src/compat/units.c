/* Multi-operator units: patterns that become one operator before pair rules are asked. A unit matches operators whose
 * edges among each other are exactly the pattern's; what else they read or feed does not matter. All matches of a unit
 * are found on one state of the graph, then made into blocks, those that share an operator with an earlier one left out.
 *
 * Instead of a general search over the whole graph, every operator of the pattern's rarest type is tried as that part,
 * and the rest is found by walking edges from there. */
#include <stdlib.h>
#include <string.h>

#include "compat/working.h"

/* Steps of all searches together, per operator and edge of the graph; real models need a few dozen. */
enum { STEPS_PER_ITEM = 2000 };

typedef struct unit_edge {
  uint8_t from, to;
} unit_edge;

typedef struct unit {
  const char *type; /* of the block */
  uint8_t node_count, edge_count;
  uint8_t root;             /* whose attributes the block takes */
  const char *const *types; /* "dummy": any operator, which stays outside the block */
  const unit_edge *edges;
} unit;

static const char *const gate_types[] = {"dummy",   "avgpool", "conv", "BiasAdd", "relu", "conv",
                                         "BiasAdd", "add",     "relu", "mul",     "mul"};
static const unit_edge gate_edges[] = {{0, 1}, {1, 2}, {2, 3}, {3, 4},  {4, 5}, {5, 6},
                                       {6, 7}, {7, 8}, {8, 9}, {9, 10}, {0, 10}};
static const char *const sigmoid_gate_types[] = {"dummy", "gap", "conv", "relu", "conv", "hardsigmoid", "mul"};
static const unit_edge sigmoid_gate_edges[] = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {0, 6}};
static const char *const mean_gate_types[] = {"gap", "gap", "conv", "relu", "conv", "add", "relu", "div", "mul", "mul"};
static const unit_edge mean_gate_edges[] = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5},
                                            {5, 6}, {6, 7}, {7, 8}, {4, 8}, {8, 9}};
static const char *const swish_mul_types[] = {"dummy", "add", "relu", "mul", "mul"};
static const char *const swish_div_types[] = {"dummy", "add", "relu", "div", "mul"};
static const unit_edge swish_edges[] = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {0, 4}};
static const char *const open_swish_mul_types[] = {"add", "relu", "mul", "mul"};
static const char *const open_swish_div_types[] = {"add", "relu", "div", "mul"};
static const unit_edge chain_edges[] = {{0, 1}, {1, 2}, {2, 3}};
static const char *const packed_shuffle_types[] = {"StridedSlice", "Pack", "reshape",     "transpose",
                                                   "reshape",      "Pack", "StridedSlice"};
static const unit_edge packed_shuffle_edges[] = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {6, 5}, {5, 4}};
static const char *const shuffle_types[] = {"reshape", "transpose", "reshape"};
static const char *const pool_types[] = {"gap", "reshape"};

#define UNIT(type, root, types, edges) \
  { type, sizeof(types) / sizeof(types)[0], sizeof(edges) / sizeof(edges)[0], root, types, edges }
static const unit units[] = {
    UNIT("se", 1, gate_types, gate_edges),
    UNIT("se", 1, sigmoid_gate_types, sigmoid_gate_edges),
    UNIT("se", 0, mean_gate_types, mean_gate_edges),
    UNIT("hswish", 1, swish_mul_types, swish_edges),
    UNIT("hswish", 1, swish_div_types, swish_edges),
    UNIT("hswish", 0, open_swish_mul_types, chain_edges),
    UNIT("hswish", 0, open_swish_div_types, chain_edges),
    UNIT("channelshuffle", 0, packed_shuffle_types, packed_shuffle_edges),
    {"channelshuffle", 3, 2, 0, shuffle_types, chain_edges},
    {"gap", 2, 1, 0, pool_types, chain_edges},
};

/* One step of a search: which part is assigned, by walking from which. */
typedef struct unit_step {
  uint8_t part, via;
  bool upstream; /* the part feeds `via` */
} unit_step;

typedef struct matching {
  compat_working *work;
  uint64_t steps; /* left */
  uint8_t *slot;  /* per operator: 1 + the part it is assigned to; 0: none */
  uint8_t *taken; /* per operator: part of a match of this unit */
  /* operators by type: list[start[t] .. start[t] + count[t]), ascending; of blocks only those made before */
  struct type_list {
    int32_t *items;
    size_t count, capacity, alive;
  } * types;
  size_t type_capacity;
  int32_t indexed; /* operators in the lists */
  int32_t *found;  /* matches, node_count operators each */
  size_t found_count, found_capacity;
  /* of the unit at hand */
  const unit *unit;
  int32_t type_ids[NNM_PATTERN_LIMIT]; /* -1: any */
  uint64_t into[NNM_PATTERN_LIMIT], out_of[NNM_PATTERN_LIMIT];
  unit_step plan[NNM_PATTERN_LIMIT];
  int32_t assigned[NNM_PATTERN_LIMIT];
  int32_t edge[NNM_PATTERN_LIMIT]; /* per step: the edge being tried */
} matching;

/* -------------------------------------------------------- lists by type */

static nnm_status list_operator(matching *m, int32_t id) {
  const compat_operator *op = &m->work->operators[id];
  if ((size_t)op->type_id >= m->type_capacity) {
    size_t capacity = (size_t)op->type_id * 2 + 64;
    struct type_list *grown = realloc(m->types, capacity * sizeof *grown);
    if (!grown) return nnm_fail_memory(m->work->error);
    memset(grown + m->type_capacity, 0, (capacity - m->type_capacity) * sizeof *grown);
    m->types = grown;
    m->type_capacity = capacity;
  }
  struct type_list *list = &m->types[op->type_id];
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? list->capacity * 2 : 16;
    int32_t *grown = realloc(list->items, capacity * sizeof *grown);
    if (!grown) return nnm_fail_memory(m->work->error);
    list->items = grown;
    list->capacity = capacity;
  }
  list->items[list->count++] = id;
  list->alive++;
  return NNM_OK;
}

static nnm_status list_new_operators(matching *m) {
  for (; m->indexed < m->work->operator_count; m->indexed++)
    if (m->work->operators[m->indexed].alive) NNM_TRY(list_operator(m, m->indexed));
  return NNM_OK;
}

static struct type_list *list_of(matching *m, int32_t type_id) {
  return type_id >= 0 && (size_t)type_id < m->type_capacity ? &m->types[type_id] : NULL;
}

static void drop_dead(const compat_working *work, struct type_list *list) {
  size_t kept = 0;
  for (size_t i = 0; i < list->count; i++)
    if (work->operators[list->items[i]].alive) list->items[kept++] = list->items[i];
  list->count = list->alive = kept;
}

/* ----------------------------------------------------------------- plans */

/* Looks up the pattern's types; false when the graph lacks one, or too few operators are of it. */
static bool resolve_types(matching *m) {
  bool any_kept = false;
  for (uint8_t p = 0; p < m->unit->node_count; p++) {
    const char *type = m->unit->types[p];
    m->type_ids[p] = -1;
    if (!strcmp(type, "dummy")) continue;
    const int32_t *id = nnm_strings_value(&m->work->strings, type, strlen(type));
    const struct type_list *list = id ? list_of(m, *id) : NULL;
    if (!list || !list->alive) return false;
    m->type_ids[p] = *id;
    any_kept = true;
  }
  return any_kept;
}

static uint8_t rarest_part(matching *m) {
  uint8_t best = 0;
  size_t fewest = SIZE_MAX;
  for (uint8_t p = 0; p < m->unit->node_count; p++) {
    if (m->type_ids[p] < 0) continue;
    size_t alive = list_of(m, m->type_ids[p])->alive;
    if (alive < fewest) fewest = alive, best = p;
  }
  return best;
}

/* Walks to producers first: an operator reads few others, but many may read it. */
static void make_plan(matching *m, uint8_t anchor) {
  const unit *u = m->unit;
  memset(m->into, 0, sizeof m->into);
  memset(m->out_of, 0, sizeof m->out_of);
  for (uint8_t e = 0; e < u->edge_count; e++) {
    m->into[u->edges[e].to] |= UINT64_C(1) << u->edges[e].from;
    m->out_of[u->edges[e].from] |= UINT64_C(1) << u->edges[e].to;
  }
  uint64_t reached = UINT64_C(1) << anchor;
  m->plan[0] = (unit_step){anchor, anchor, false};
  for (uint8_t s = 1; s < u->node_count; s++) {
    const unit_edge *chosen = NULL;
    bool upstream = false;
    for (uint8_t e = 0; e < u->edge_count && !upstream; e++) {
      bool has_from = reached >> u->edges[e].from & 1, has_to = reached >> u->edges[e].to & 1;
      if (has_from == has_to) continue;
      chosen = &u->edges[e];
      upstream = has_to;
    }
    m->plan[s] = upstream ? (unit_step){chosen->from, chosen->to, true} : (unit_step){chosen->to, chosen->from, false};
    reached |= UINT64_C(1) << m->plan[s].part;
  }
}

/* ---------------------------------------------------------------- search */

static bool spend(matching *m) {
  if (m->steps) m->steps--;
  return m->steps > 0;
}

/* Whether the edges between the operator and those assigned so far are exactly the pattern's, none of them twice. */
static bool edges_fit(matching *m, int32_t id, uint8_t part, uint64_t reached) {
  const compat_working *work = m->work;
  uint64_t seen = 0;
  for (int32_t e = work->operators[id].first_in; e >= 0; e = work->edges[e].next_in) {
    uint8_t slot = m->slot[work->edges[e].from];
    if (!spend(m)) return false;
    if (!slot) continue;
    uint64_t bit = UINT64_C(1) << (slot - 1);
    if (!(m->into[part] & bit) || (seen & bit)) return false;
    seen |= bit;
  }
  if (seen != (m->into[part] & reached)) return false;
  seen = 0;
  for (int32_t e = work->operators[id].first_out; e >= 0; e = work->edges[e].next_out) {
    uint8_t slot = m->slot[work->edges[e].to];
    if (!spend(m)) return false;
    if (!slot) continue;
    uint64_t bit = UINT64_C(1) << (slot - 1);
    if (!(m->out_of[part] & bit) || (seen & bit)) return false;
    seen |= bit;
  }
  return seen == (m->out_of[part] & reached);
}

static bool is_barred(const matching *m, const compat_operator *op) {
  const uint8_t *no_blocks = m->work->no_blocks;
  for (uint32_t k = 0; no_blocks && k < op->member_count; k++)
    if (no_blocks[op->members[k]]) return true;
  return false;
}

static bool fits(matching *m, int32_t id, uint8_t part, uint64_t reached) {
  const compat_operator *op = &m->work->operators[id];
  if (m->slot[id]) return false;
  if (m->type_ids[part] >= 0 && (op->type_id != m->type_ids[part] || m->taken[id] || is_barred(m, op))) return false;
  return edges_fit(m, id, part, reached);
}

static int32_t first_edge(const matching *m, size_t step) {
  const compat_operator *via = &m->work->operators[m->assigned[m->plan[step].via]];
  return m->plan[step].upstream ? via->first_in : via->first_out;
}

/* The next operator that fits the step, from m->edge[step] on; false when there is none. */
static bool advance(matching *m, size_t step, uint64_t reached) {
  const unit_step *at = &m->plan[step];
  for (int32_t e = m->edge[step]; e >= 0;) {
    const compat_edge *edge = &m->work->edges[e];
    int32_t id = at->upstream ? edge->from : edge->to;
    e = at->upstream ? edge->next_in : edge->next_out;
    if (!spend(m)) return false;
    if (!fits(m, id, at->part, reached)) continue;
    m->edge[step] = e;
    m->assigned[at->part] = id;
    m->slot[id] = (uint8_t)(at->part + 1);
    return true;
  }
  return false;
}

/* Finds the rest of the unit around the anchor, already assigned. */
static bool complete(matching *m) {
  size_t step = 1, count = m->unit->node_count;
  uint64_t reached = UINT64_C(1) << m->plan[0].part;
  if (count > 1) m->edge[1] = first_edge(m, 1);
  while (step > 0 && step < count) {
    if (advance(m, step, reached)) {
      reached |= UINT64_C(1) << m->plan[step].part;
      if (++step < count) m->edge[step] = first_edge(m, step);
      continue;
    }
    if (--step == 0) break;
    uint8_t part = m->plan[step].part;
    reached &= ~(UINT64_C(1) << part);
    m->slot[m->assigned[part]] = 0;
  }
  return step == count;
}

static nnm_status keep_match(matching *m) {
  size_t count = m->unit->node_count;
  if ((m->found_count + 1) * count > m->found_capacity) {
    size_t capacity = m->found_capacity * 2 + 64 * count;
    int32_t *grown = realloc(m->found, capacity * sizeof *grown);
    if (!grown) return nnm_fail_memory(m->work->error);
    m->found = grown;
    m->found_capacity = capacity;
  }
  memcpy(m->found + m->found_count++ * count, m->assigned, count * sizeof *m->found);
  for (size_t p = 0; p < count; p++)
    if (m->type_ids[p] >= 0) m->taken[m->assigned[p]] = 1;
  return NNM_OK;
}

static nnm_status find_matches(matching *m, uint8_t anchor) {
  struct type_list *list = list_of(m, m->type_ids[anchor]);
  drop_dead(m->work, list);
  m->found_count = 0;
  for (size_t i = 0; i < list->count; i++) {
    int32_t id = list->items[i];
    if (!fits(m, id, anchor, 0)) continue;
    m->assigned[anchor] = id;
    m->slot[id] = (uint8_t)(anchor + 1);
    bool matched = complete(m);
    for (uint8_t p = 0; matched && p < m->unit->node_count; p++) m->slot[m->assigned[p]] = 0;
    m->slot[id] = 0;
    if (matched) NNM_TRY(keep_match(m));
    if (!m->steps)
      return nnm_fail(m->work->error, NNM_ERROR_LIMIT, m->unit->type,
                      "this fusion rule fits in too many ways; remove it, or fuse by pairs");
  }
  return NNM_OK;
}

static nnm_status make_blocks(matching *m) {
  size_t count = m->unit->node_count;
  for (size_t i = 0; i < m->found_count; i++) {
    const int32_t *match = m->found + i * count;
    int32_t members[NNM_PATTERN_LIMIT];
    size_t kept = 0, root = 0;
    for (size_t p = 0; p < count; p++) {
      if (m->type_ids[p] < 0) continue;
      if (p == m->unit->root) root = kept;
      m->types[m->work->operators[match[p]].type_id].alive--;
      members[kept++] = match[p];
    }
    NNM_TRY(nnm_compat_make_block(m->work, members, kept, root, m->unit->type));
  }
  return NNM_OK;
}

static nnm_status apply_unit(matching *m, const unit *u) {
  m->unit = u;
  if (!resolve_types(m)) return NNM_OK;
  uint8_t anchor = rarest_part(m);
  make_plan(m, anchor);
  NNM_TRY(find_matches(m, anchor));
  NNM_TRY(make_blocks(m));
  for (size_t i = 0; i < m->found_count * u->node_count; i++) m->taken[m->found[i]] = 0;
  return list_new_operators(m);
}

/* ----------------------------------------------------------------- rules */

/* "BF_conv_bn_relu": a chain, named after its operators. */
static nnm_status apply_rule(matching *m, const nnm_fusion_rule *rule) {
  if (rule->op_count > NNM_PATTERN_LIMIT)
    return nnm_fail(m->work->error, NNM_ERROR_LIMIT, rule->name, "a fusion rule of %zu operators; the limit is %d",
                    rule->op_count, NNM_PATTERN_LIMIT);
  unit_edge edges[NNM_PATTERN_LIMIT];
  size_t length = 0;
  for (size_t i = 0; i < rule->op_count; i++) {
    edges[i] = (unit_edge){(uint8_t)i, (uint8_t)(i + 1)};
    length += strlen(rule->ops[i]) + 1;
  }
  char *type = nnm_arena_alloc(&m->work->arena, length, 1);
  if (!type) return nnm_fail_memory(m->work->error);
  char *end = type;
  for (size_t i = 0; i < rule->op_count; i++) {
    if (i) *end++ = '-';
    size_t size = strlen(rule->ops[i]);
    memcpy(end, rule->ops[i], size);
    end += size;
  }
  unit chain = {type, (uint8_t)rule->op_count, (uint8_t)(rule->op_count - 1), 0, rule->ops, edges};
  while (chain.root + 1 < chain.node_count && !strcmp(rule->ops[chain.root], "dummy")) chain.root++;
  return apply_unit(m, &chain);
}

static nnm_status apply_all(matching *m, const nnm_fusion_rules *rules) {
  NNM_TRY(list_new_operators(m));
  for (size_t i = 0; i < rules->count; i++)
    if (rules->items[i].obey && rules->items[i].op_count > 2) NNM_TRY(apply_rule(m, &rules->items[i]));
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) NNM_TRY(apply_unit(m, &units[i]));
  return NNM_OK;
}

nnm_status nnm_compat_make_blocks(compat_working *work, const nnm_fusion_rules *rules) {
  size_t room = (size_t)work->node_count * 2;
  matching m = {.work = work,
                .steps = ((uint64_t)work->node_count + work->edge_count + 64) * STEPS_PER_ITEM,
                .slot = NNM_ARENA_ARRAY(&work->arena, uint8_t, room),
                .taken = NNM_ARENA_ARRAY(&work->arena, uint8_t, room)};
  nnm_status status = m.slot && m.taken ? apply_all(&m, rules) : nnm_fail_memory(work->error);
  for (size_t i = 0; i < m.type_capacity; i++) free(m.types[i].items);
  free(m.types);
  free(m.found);
  return status;
}
