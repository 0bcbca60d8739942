/* Memory, stack and containers of the pickle machine. */
#include "predictors/pickle_machine.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"

/* ---------------------------------------------------------------- failures */

nnm_status nnm_pickle_fail_at(nnm_pickle *pickle, nnm_status status, const char *fault, const char *remedy) {
  char place[32];
  snprintf(place, sizeof place, "byte %zu", pickle->at);
  return nnm_fail(pickle->error, status, place, "%s; %s", fault, remedy);
}

nnm_status nnm_pickle_fail_damaged(nnm_pickle *pickle, const char *fault) {
  return nnm_pickle_fail_at(pickle, NNM_ERROR_FORMAT, fault, "the pickle is damaged or none at all; copy it again");
}

nnm_status nnm_pickle_fail_limit(nnm_pickle *pickle, const char *fault) {
  return nnm_pickle_fail_at(pickle, NNM_ERROR_LIMIT, fault, "no forest needs that much; refused");
}

/* ---------------------------------------------------------------- memory */

static void *grow(void *array, size_t *capacity, size_t needed, size_t size) {
  if (needed <= *capacity) return array;
  size_t bigger = *capacity ? *capacity * 2 : 64;
  if (bigger < needed) bigger = needed;
  void *grown = realloc(array, bigger * size);
  if (grown) *capacity = bigger;
  return grown;
}

nnm_status nnm_pickle_numbers_add(nnm_pickle *pickle, nnm_pickle_numbers *list, uint32_t number) {
  uint32_t *at = grow(list->at, &list->capacity, list->count + 1, sizeof *at);
  if (!at) return nnm_fail_memory(pickle->error);
  list->at = at;
  list->at[list->count++] = number;
  return NNM_OK;
}

static nnm_status add_value(nnm_pickle *pickle, const nnm_pickle_value *value, nnm_pickle_id *out) {
  nnm_pickle_value *values = grow(pickle->values, &pickle->value_capacity, pickle->value_count + 1, sizeof *values);
  if (!values) return nnm_fail_memory(pickle->error);
  pickle->values = values;
  *out = (nnm_pickle_id)pickle->value_count;
  values[pickle->value_count++] = *value;
  return NNM_OK;
}

/* ---------------------------------------------------------------- stack */

nnm_status nnm_pickle_push(nnm_pickle *pickle, nnm_pickle_id id) {
  if (pickle->stack.count >= NNM_LIMIT_PICKLE_STACK) return nnm_pickle_fail_limit(pickle, "the stack grows too high");
  return nnm_pickle_numbers_add(pickle, &pickle->stack, id);
}

nnm_status nnm_pickle_push_value(nnm_pickle *pickle, nnm_pickle_value value) {
  nnm_pickle_id id;
  NNM_TRY(add_value(pickle, &value, &id));
  return nnm_pickle_push(pickle, id);
}

size_t nnm_pickle_reachable(const nnm_pickle *pickle) {
  size_t fence = pickle->marks.count ? pickle->marks.at[pickle->marks.count - 1] : 0;
  return pickle->stack.count - fence;
}

nnm_status nnm_pickle_pop(nnm_pickle *pickle, nnm_pickle_id *out) {
  if (!nnm_pickle_reachable(pickle)) return nnm_pickle_fail_damaged(pickle, "takes a value from an empty stack");
  *out = pickle->stack.at[--pickle->stack.count];
  return NNM_OK;
}

nnm_status nnm_pickle_pop_kind(nnm_pickle *pickle, nnm_pickle_kind kind, nnm_pickle_id *out) {
  NNM_TRY(nnm_pickle_pop(pickle, out));
  return pickle->values[*out].kind == kind ? NNM_OK
                                           : nnm_pickle_fail_damaged(pickle, "a value of another kind was expected");
}

nnm_status nnm_pickle_top_of_kind(nnm_pickle *pickle, nnm_pickle_kind kind, nnm_pickle_id *out) {
  NNM_TRY(nnm_pickle_pop_kind(pickle, kind, out));
  pickle->stack.count++;
  return NNM_OK;
}

nnm_status nnm_pickle_pop_to_mark(nnm_pickle *pickle, size_t *first, size_t *count) {
  if (!pickle->marks.count) return nnm_pickle_fail_damaged(pickle, "asks for a mark that was never set");
  *first = pickle->marks.at[--pickle->marks.count];
  *count = pickle->stack.count - *first;
  pickle->stack.count = *first;
  return NNM_OK;
}

static nnm_status pop_values(nnm_pickle *pickle, size_t count, size_t *first) {
  if (nnm_pickle_reachable(pickle) < count) return nnm_pickle_fail_damaged(pickle, "takes a value from an empty stack");
  *first = pickle->stack.count -= count;
  return NNM_OK;
}

/* ---------------------------------------------------------------- containers */

/* Appends count values of the stack, from place first on, to a tuple, list, set or dict. */
static nnm_status add_items(nnm_pickle *pickle, nnm_pickle_id container, size_t first, size_t count) {
  if (!count) return NNM_OK;
  nnm_pickle_piece *pieces = grow(pickle->pieces, &pickle->piece_capacity, pickle->piece_count + 1, sizeof *pieces);
  if (!pieces) return nnm_fail_memory(pickle->error);
  pickle->pieces = pieces;
  uint32_t added = (uint32_t)pickle->piece_count++;
  pieces[added] = (nnm_pickle_piece){(uint32_t)pickle->items.count, (uint32_t)count, NNM_PICKLE_NOTHING};
  for (size_t i = 0; i < count; i++)
    NNM_TRY(nnm_pickle_numbers_add(pickle, &pickle->items, pickle->stack.at[first + i]));
  nnm_pickle_value *value = &pickle->values[container];
  if (value->as.items.first == NNM_PICKLE_NOTHING) value->as.items.first = added;
  else pieces[value->as.items.last].next = added;
  value->as.items.last = added;
  value->count += (uint32_t)count;
  return NNM_OK;
}

static nnm_status push_container(nnm_pickle *pickle, nnm_pickle_kind kind, size_t first, size_t count) {
  nnm_pickle_value value = {.kind = kind, .as.items = {NNM_PICKLE_NOTHING, NNM_PICKLE_NOTHING}};
  nnm_pickle_id id;
  NNM_TRY(add_value(pickle, &value, &id));
  NNM_TRY(add_items(pickle, id, first, count));
  return nnm_pickle_push(pickle, id);
}

nnm_status nnm_pickle_make_empty(nnm_pickle *pickle, uint32_t kind) {
  return push_container(pickle, (nnm_pickle_kind)kind, 0, 0);
}

nnm_status nnm_pickle_make_to_mark(nnm_pickle *pickle, uint32_t kind) {
  size_t first, count;
  NNM_TRY(nnm_pickle_pop_to_mark(pickle, &first, &count));
  if (kind == NNM_PICKLE_DICT && count % 2) return nnm_pickle_fail_damaged(pickle, "a key without a value");
  return push_container(pickle, (nnm_pickle_kind)kind, first, count);
}

nnm_status nnm_pickle_make_tuple(nnm_pickle *pickle, uint32_t count) {
  size_t first;
  NNM_TRY(pop_values(pickle, count, &first));
  return push_container(pickle, NNM_PICKLE_TUPLE, first, count);
}

static nnm_status add_to_top(nnm_pickle *pickle, nnm_pickle_kind kind, size_t first, size_t count) {
  nnm_pickle_id container;
  NNM_TRY(nnm_pickle_top_of_kind(pickle, kind, &container));
  if (kind == NNM_PICKLE_DICT && count % 2) return nnm_pickle_fail_damaged(pickle, "a key without a value");
  return add_items(pickle, container, first, count);
}

nnm_status nnm_pickle_add_to_mark(nnm_pickle *pickle, uint32_t kind) {
  size_t first, count;
  NNM_TRY(nnm_pickle_pop_to_mark(pickle, &first, &count));
  return add_to_top(pickle, (nnm_pickle_kind)kind, first, count);
}

nnm_status nnm_pickle_add_one(nnm_pickle *pickle, uint32_t kind) {
  size_t first, count = kind == NNM_PICKLE_DICT ? 2 : 1;
  NNM_TRY(pop_values(pickle, count, &first));
  return add_to_top(pickle, (nnm_pickle_kind)kind, first, count);
}
