#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "kernels/detection.h"

/* ------------------------------------------------------------------ naming */

static char *append(char *at, const char *part) {
  size_t length = strlen(part);
  memcpy(at, part, length);
  return at + length;
}

/* "conv-bn-relu": the units' parts in order, the operator's own name where its role has none. */
static nnm_status name_kernel(nnm_kernel_search *d, const nnm_chain *chain, nnm_arena *arena, nnm_kernel *kernel,
                              nnm_error *error) {
  const char *parts[NNM_LONGEST_CHAIN];
  size_t length = 1;
  for (int32_t i = 0; i < chain->unit_count; i++) {
    const nnm_unit *unit = &d->units[chain->units[i]];
    parts[i] = nnm_roles[unit->role].name;
    if (!parts[i]) parts[i] = nnm_operator_label(d->graph, unit->core, &d->scratch);
    if (!parts[i]) return nnm_fail_memory(error);
    length += strlen(parts[i]) + sizeof "--bn";
  }
  char *name = nnm_arena_alloc(arena, length, 1), *at = name;
  if (!name) return nnm_fail_memory(error);
  for (int32_t i = 0; i < chain->unit_count; i++) {
    if (i) at = append(at, "-");
    at = append(at, parts[i]);
    if (d->units[chain->units[i]].has_bn) at = append(at, "-bn");
  }
  kernel->name = name;
  return NNM_OK;
}

/* ----------------------------------------------------------------- members */

static int compare_positions(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

/* The nodes of all units, views included, in execution order. */
static nnm_status list_members(nnm_kernel_search *d, const nnm_chain *chain, nnm_arena *arena, nnm_kernel *kernel,
                               nnm_error *error) {
  size_t count = 0;
  for (int32_t i = 0; i < chain->unit_count; i++) count += (size_t)d->units[chain->units[i]].member_count;
  nnm_node_id *members = NNM_ARENA_ARRAY(arena, nnm_node_id, count); /* first their places in the order */
  if (!members) return nnm_fail_memory(error);
  count = 0;
  for (int32_t i = 0; i < chain->unit_count; i++)
    for (nnm_node_id n = d->units[chain->units[i]].first; n >= 0; n = d->next_member[n])
      members[count++] = d->position[n];
  if (count > 1) qsort(members, count, sizeof *members, compare_positions);
  for (size_t i = 0; i < count; i++) members[i] = d->order[members[i]];
  kernel->members = members;
  kernel->member_count = count;
  return NNM_OK;
}

/* ----------------------------------------------------------------- kernels */

static const nnm_unit *core_of(const nnm_kernel_search *d, const nnm_chain *chain) {
  const nnm_unit *core = &d->units[chain->units[0]];
  for (int32_t i = 1; i < chain->unit_count; i++) {
    const nnm_unit *unit = &d->units[chain->units[i]];
    if (nnm_roles[unit->role].rank > nnm_roles[core->role].rank) core = unit;
  }
  return core;
}

static nnm_status make_kernel(nnm_kernel_search *d, const nnm_chain *chain, nnm_arena *arena, nnm_kernel *kernel,
                              nnm_error *error) {
  const nnm_unit *core = core_of(d, chain), *last = &d->units[chain->units[chain->unit_count - 1]];
  *kernel =
      (nnm_kernel){.type = nnm_roles[core->role].kernel, .core = core->core, .repeat = d->shapes->turns[core->block]};
  kernel->output = last->shown_output >= 0 ? last->shown_output : last->output;
  const nnm_node *node = &d->graph->nodes[last->core];
  if (kernel->output < 0 && node->output_count) kernel->output = node->outputs[0];
  NNM_TRY(name_kernel(d, chain, arena, kernel, error));
  NNM_TRY(list_members(d, chain, arena, kernel, error));
  return nnm_measure_kernel(d->graph, d->shapes, d->root, arena, kernel, error);
}

static nnm_status make_kernels(nnm_kernel_search *d, const nnm_chains *chains, nnm_kernels *kernels, nnm_error *error) {
  kernels->items = NNM_ARENA_ARRAY(&kernels->arena, nnm_kernel, chains->count);
  if (!kernels->items) return nnm_fail_memory(error);
  for (; kernels->count < chains->count; kernels->count++)
    NNM_TRY(make_kernel(d, &chains->items[kernels->count], &kernels->arena, &kernels->items[kernels->count], error));
  return NNM_OK;
}

/* ------------------------------------------------------------------- notes */

typedef struct custom_type {
  const char *domain, *type; /* interned, so that addresses compare */
  int64_t count;
} custom_type;

static size_t count_custom_types(const nnm_kernel_search *d, custom_type *types, size_t most, int64_t *unlisted) {
  size_t count = 0;
  *unlisted = 0;
  for (int32_t i = 0; i < d->order_count; i++) {
    const nnm_node *node = &d->graph->nodes[d->order[i]];
    if (node->op != NNM_OP_UNKNOWN || d->unit_of[d->order[i]] < 0) continue;
    size_t k = 0;
    while (k < count && (types[k].type != node->type || types[k].domain != node->domain)) k++;
    if (k == most) {
      ++*unlisted;
      continue;
    }
    if (k == count) types[count++] = (custom_type){node->domain, node->type, 0};
    types[k].count++;
  }
  return count;
}

/* Custom operators are timed as `other`, which nobody measured: say which, and how many. */
static nnm_status note_custom_operators(const nnm_kernel_search *d, nnm_kernels *kernels, nnm_error *error) {
  enum { MOST_TYPES = 50 };
  custom_type types[MOST_TYPES];
  int64_t unlisted;
  size_t count = count_custom_types(d, types, MOST_TYPES, &unlisted);
  const char **notes = NNM_ARENA_ARRAY(&kernels->arena, const char *, count + 1);
  if (!notes) return nnm_fail_memory(error);
  kernels->notes = notes;
  for (size_t k = 0; k < count + (unlisted > 0); k++) {
    notes[k] =
        k == count
            ? nnm_arena_printf(&kernels->arena, "%lld nodes of further operators are not known: timed as 'other'",
                               (long long)unlisted)
            : nnm_arena_printf(&kernels->arena, "operator %.80s%s%.80s is not known (%lld node%s): timed as 'other'",
                               types[k].domain, types[k].domain[0] ? "." : "", types[k].type, (long long)types[k].count,
                               types[k].count == 1 ? "" : "s");
    if (!notes[k]) return nnm_fail_memory(error);
    kernels->note_count++;
  }
  return NNM_OK;
}

/* ------------------------------------------------------------------ driver */

static nnm_status detect(nnm_kernel_search *d, nnm_kernels *kernels, nnm_error *error) {
  NNM_TRY(nnm_find_activity(d, error));
  NNM_TRY(nnm_make_units(d, error));
  for (int32_t i = 0; i < d->order_count; i++) {
    nnm_node_id n = d->order[i];
    if (d->unit_of[n] != n || d->is_view[n]) continue;
    nnm_match_channel_shuffle(d, n);
    nnm_match_attention(d, n);
    nnm_match_rotary(d, n);
    nnm_match_patterns(d, n);
    nnm_fold_dequantisation(d, n);
    nnm_fold_into_weights(d, n, false);
  }
  for (int32_t i = 0; i < d->order_count; i++)
    if (d->unit_of[d->order[i]] == d->order[i]) nnm_fold_into_weights(d, d->order[i], true);
  for (int32_t i = d->graph->is_converted ? 0 : d->order_count; i-- > 0;) {
    if (d->unit_of[d->order[i]] != d->order[i]) continue;
    nnm_fold_padding(d, d->order[i]);
    if (d->unit_of[d->order[i]] == d->order[i]) nnm_fold_into_layer_behind(d, d->order[i]);
  }
  nnm_group_slices(d);
  nnm_chains chains = {0};
  NNM_TRY(nnm_fuse_units(d, &chains, error));
  NNM_TRY(make_kernels(d, &chains, kernels, error));
  return note_custom_operators(d, kernels, error);
}

nnm_status nnm_detect_kernels(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_fusion_rules *rules,
                              nnm_kernels **out, nnm_error *error) {
  nnm_kernels *kernels = calloc(1, sizeof *kernels);
  if (!kernels) return nnm_fail_memory(error);
  nnm_kernel_search d = {.graph = graph, .shapes = shapes, .rules = rules};
  nnm_status status = detect(&d, kernels, error);
  nnm_arena_free(&d.scratch);
  if (status == NNM_OK) *out = kernels;
  else nnm_kernels_free(kernels);
  return status;
}

void nnm_kernels_free(nnm_kernels *kernels) {
  if (!kernels) return;
  nnm_arena_free(&kernels->arena);
  free(kernels);
}
