/* Chains of units that a device runs as one kernel, by its fusion rules. A unit joins the chain whose last result it
 * reads when
 *   - it can be computed on the fly (nnm_roles.follows), and what it reads is read by nothing else (but see MON),
 *   - the rules allow it behind the last unit of the chain and behind the chain's core, or name the whole chain.
 * Of several operands it follows the one computed last: the others are there by then. */
#include "kernels/detection.h"

/* Copies that MON "all" makes of a chain are kept short: each fused consumer gets its own. */
enum { LONGEST_COPY = 16, LONGEST_RULE = 8 };

typedef struct chain_link { /* of each unit */
  nnm_unit_id before;       /* the unit in front of it in its chain; -1: it starts one */
  nnm_unit_id core;         /* of the chain up to here */
  int32_t length;           /* units in the chain up to here */
  bool is_taken;            /* a later unit has it in its chain, and nothing else needs it */
} chain_link;

typedef struct fusion {
  nnm_kernel_search *d;
  chain_link *links;
  uint8_t answers[NNM_ROLE_COUNT][NNM_ROLE_COUNT]; /* 0: not asked yet; else nnm_fusion_answer + 1 */
} fusion;

static bool allows(fusion *f, nnm_role first, nnm_role second) {
  uint8_t *answer = &f->answers[first][second];
  if (!*answer)
    *answer = (uint8_t)(1 + nnm_fusion_rules_ask(f->d->rules, nnm_roles[first].rule_name, nnm_roles[second].rule_name));
  return *answer == 1 + NNM_FUSION_ALLOWED;
}

/* Whether a rule of three operators or more (BF_conv_bn_relu) names the chain with `next` at its end. */
static bool is_named(const fusion *f, nnm_unit_id last, nnm_role next) {
  const char *ops[LONGEST_RULE];
  size_t at = LONGEST_RULE;
  ops[--at] = nnm_roles[next].rule_name;
  for (nnm_unit_id u = last; u >= 0; u = f->links[u].before) {
    const nnm_unit *unit = &f->d->units[u];
    if (at < 2) return false;
    if (unit->has_bn) ops[--at] = "bn";
    ops[--at] = nnm_roles[unit->role].rule_name;
  }
  return LONGEST_RULE - at > 2 && nnm_fusion_rules_allow_chain(f->d->rules, ops + at, LONGEST_RULE - at);
}

static bool rules_allow(fusion *f, nnm_unit_id last, nnm_role next) {
  nnm_role last_role = f->d->units[last].role, core_role = f->d->units[f->links[last].core].role;
  return (allows(f, last_role, next) && allows(f, core_role, next)) || is_named(f, last, next);
}

/* What is in the core's place once `unit` has joined: the member that does the most. */
static nnm_unit_id heavier(const fusion *f, nnm_unit_id core, nnm_unit_id unit) {
  return nnm_roles[f->d->units[unit].role].rank > nnm_roles[f->d->units[core].role].rank ? unit : core;
}

/* The unit that makes the operand computed last, or -1 when that is no unit of the same block. */
static nnm_unit_id latest_operand(const nnm_kernel_search *d, const nnm_unit *unit) {
  nnm_tensor_id latest = unit->input;
  if (latest < 0) {
    const nnm_node *node = &d->graph->nodes[unit->core];
    int32_t position = -1;
    for (uint32_t i = 0; i < node->input_count; i++) {
      if (node->inputs[i] < 0 || d->shapes->constant[node->inputs[i]]) continue;
      nnm_tensor_id root = d->root[node->inputs[i]];
      int32_t made = nnm_position_making(d, root);
      if (latest < 0 || made > position) latest = root, position = made;
    }
  }
  nnm_unit_id front = nnm_unit_making(d, latest);
  return front >= 0 && d->units[front].output == latest && d->units[front].block == unit->block ? front : -1;
}

/* MON: fuse over a result with several readers. First: the first reader takes the chain. All: each reader that the
 * rules let takes a copy, and the chain itself goes only when nobody else needs it. */
static bool may_take_shared(const fusion *f, nnm_unit_id front, nnm_unit_id unit) {
  const nnm_kernel_search *d = f->d;
  nnm_tensor_id output = d->units[front].output;
  switch (d->rules->multi_consumer) {
  case NNM_MULTI_CONSUMER_FIRST: return d->unit_of[d->readers[d->reader_start[output]]] == unit;
  case NNM_MULTI_CONSUMER_ALL: return f->links[front].length <= LONGEST_COPY;
  default: return false;
  }
}

static void join(fusion *f, nnm_unit_id front, nnm_unit_id unit) {
  f->links[unit].before = front;
  f->links[unit].core = heavier(f, f->links[front].core, unit);
  f->links[unit].length = f->links[front].length + 1;
}

static void try_join(fusion *f, nnm_unit_id unit) {
  nnm_kernel_search *d = f->d;
  if (!nnm_roles[d->units[unit].role].follows) return;
  nnm_unit_id front = latest_operand(d, &d->units[unit]);
  if (front < 0 || f->links[front].is_taken || f->links[front].length == NNM_LONGEST_CHAIN ||
      !rules_allow(f, front, d->units[unit].role))
    return;
  if (nnm_only_read_by(d, front, unit)) {
    join(f, front, unit);
    f->links[front].is_taken = true;
  } else if (may_take_shared(f, front, unit)) {
    join(f, front, unit);
    f->links[front].is_taken = d->rules->multi_consumer == NNM_MULTI_CONSUMER_FIRST;
  }
}

/* Under MON "all" a chain of which every reader has taken a copy is no kernel of its own. */
static void drop_copied(fusion *f, nnm_unit_id unit) {
  const nnm_kernel_search *d = f->d;
  nnm_tensor_id output = d->units[unit].output;
  if (f->links[unit].is_taken || output < 0 || d->escapes[output]) return;
  if (d->reader_start[output] == d->reader_start[output + 1]) return;
  for (uint32_t i = d->reader_start[output]; i < d->reader_start[output + 1]; i++)
    if (f->links[d->unit_of[d->readers[i]]].before != unit) return;
  f->links[unit].is_taken = true;
}

/* The units in the order of their results: the k-th entry of the result is a unit, or -1. */
static nnm_unit_id *sort_units(nnm_kernel_search *d) {
  nnm_unit_id *sorted = NNM_ARENA_ARRAY(&d->scratch, nnm_unit_id, (size_t)d->order_count);
  if (!sorted) return NULL;
  for (int32_t i = 0; i < d->order_count; i++) sorted[i] = -1;
  for (nnm_node_id n = 0; n < d->graph->node_count; n++)
    if (d->units[n].member_count > 0) sorted[d->units[n].position] = n;
  return sorted;
}

static nnm_status list_chains(fusion *f, const nnm_unit_id *sorted, nnm_chains *out, nnm_error *error) {
  nnm_kernel_search *d = f->d;
  out->items = NNM_ARENA_ARRAY(&d->scratch, nnm_chain, (size_t)d->order_count);
  if (!out->items) return nnm_fail_memory(error);
  for (int32_t i = 0; i < d->order_count; i++) {
    if (sorted[i] < 0 || f->links[sorted[i]].is_taken) continue;
    nnm_chain *chain = &out->items[out->count++];
    chain->unit_count = f->links[sorted[i]].length;
    chain->units = NNM_ARENA_ARRAY(&d->scratch, nnm_unit_id, (size_t)chain->unit_count);
    if (!chain->units) return nnm_fail_memory(error);
    nnm_unit_id unit = sorted[i];
    for (int32_t k = chain->unit_count; k-- > 0; unit = f->links[unit].before) chain->units[k] = unit;
  }
  return NNM_OK;
}

nnm_status nnm_fuse_units(nnm_kernel_search *d, nnm_chains *out, nnm_error *error) {
  fusion f = {.d = d};
  f.links = NNM_ARENA_ARRAY(&d->scratch, chain_link, (size_t)d->graph->node_count);
  nnm_unit_id *sorted = sort_units(d);
  if (!f.links || !sorted) return nnm_fail_memory(error);
  for (nnm_node_id n = 0; n < d->graph->node_count; n++) f.links[n] = (chain_link){-1, n, 1, false};
  for (int32_t i = 0; i < d->order_count; i++)
    if (sorted[i] >= 0) try_join(&f, sorted[i]);
  if (d->rules->multi_consumer == NNM_MULTI_CONSUMER_ALL)
    for (int32_t i = 0; i < d->order_count; i++)
      if (sorted[i] >= 0) drop_copied(&f, sorted[i]);
  return list_chains(&f, sorted, out, error);
}
