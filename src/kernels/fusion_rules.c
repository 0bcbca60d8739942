#include "kernels/fusion_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/strings.h"

typedef struct nnm_fusion_slot {
  const char *const *ops; /* NULL: free */
  size_t op_count;
  nnm_fusion_answer answer;
} nnm_fusion_slot;

static bool is_about(const nnm_fusion_slot *slot, const char *const *ops, size_t op_count) {
  if (slot->op_count != op_count) return false;
  for (size_t i = 0; i < op_count; i++)
    if (strcmp(slot->ops[i], ops[i]) != 0) return false;
  return true;
}

/* The slot of these operators, or the free one where it belongs. */
static nnm_fusion_slot *find_slot(const nnm_fusion_rules *rules, const char *const *ops, size_t op_count) {
  uint64_t hash = op_count;
  for (size_t i = 0; i < op_count; i++) hash = hash * 31 + nnm_hash_bytes(ops[i], strlen(ops[i]));
  size_t mask = rules->slot_capacity - 1;
  for (size_t i = (size_t)(hash ^ hash >> 32) & mask;; i = (i + 1) & mask)
    if (!rules->slots[i].ops || is_about(&rules->slots[i], ops, op_count)) return &rules->slots[i];
}

nnm_fusion_answer nnm_fusion_rules_ask(const nnm_fusion_rules *rules, const char *first, const char *second) {
  return find_slot(rules, (const char *const[]){first, second}, 2)->answer;
}

bool nnm_fusion_rules_allow(const nnm_fusion_rules *rules, const char *first, const char *second) {
  return nnm_fusion_rules_ask(rules, first, second) == NNM_FUSION_ALLOWED;
}

bool nnm_fusion_rules_allow_block(const nnm_fusion_rules *rules, const char *first, const char *second) {
  return nnm_fusion_rules_ask(rules, first, second) != NNM_FUSION_DENIED;
}

bool nnm_fusion_rules_allow_chain(const nnm_fusion_rules *rules, const char *const *ops, size_t op_count) {
  return find_slot(rules, ops, op_count)->answer == NNM_FUSION_ALLOWED;
}

static nnm_status index_rules(nnm_fusion_rules *rules, nnm_error *error) {
  rules->slot_capacity = 16;
  while (rules->slot_capacity < rules->count * 2) rules->slot_capacity *= 2;
  rules->slots = NNM_ARENA_ARRAY(&rules->arena, nnm_fusion_slot, rules->slot_capacity);
  if (!rules->slots) return nnm_fail_memory(error);
  for (size_t i = 0; i < rules->count; i++) {
    const nnm_fusion_rule *rule = &rules->items[i];
    if (rule->op_count < 2) continue;
    nnm_fusion_slot *slot = find_slot(rules, rule->ops, rule->op_count);
    slot->ops = rule->ops;
    slot->op_count = rule->op_count;
    if (rule->obey) slot->answer = NNM_FUSION_ALLOWED;
    else if (slot->answer == NNM_FUSION_UNKNOWN) slot->answer = NNM_FUSION_DENIED;
  }
  return NNM_OK;
}

/* Python's idea of truth, which decided when the rules were written: "false" is a non-empty text and therefore true. */
static bool is_true(const json_t *value) {
  switch (json_typeof(value)) {
  case JSON_TRUE: return true;
  case JSON_INTEGER: return json_integer_value(value) != 0;
  case JSON_REAL: return json_real_value(value) != 0;
  case JSON_STRING: return json_string_length(value) > 0;
  case JSON_ARRAY: return json_array_size(value) > 0;
  case JSON_OBJECT: return json_object_size(value) > 0;
  default: return false;
  }
}

static nnm_multi_consumer multi_consumer_of(const json_t *value) {
  double number = json_number_value(value);
  if (json_is_null(value) || json_is_false(value) || (json_is_number(value) && number == 0))
    return NNM_MULTI_CONSUMER_NEVER;
  if (json_is_true(value) || (json_is_number(value) && number == 1)) return NNM_MULTI_CONSUMER_FIRST;
  return NNM_MULTI_CONSUMER_ALL;
}

/* Splits "BF_conv_bn_relu" at "_" and drops the first part. */
static nnm_status split_name(nnm_arena *arena, nnm_fusion_rule *rule, nnm_error *error) {
  if (strncmp(rule->name, "BF", 2) != 0) return NNM_OK;
  const char *separator = strchr(rule->name, '_');
  if (!separator) return NNM_OK;
  size_t count = 0;
  for (const char *at = separator; at; at = strchr(at + 1, '_')) count++;
  const char **ops = NNM_ARENA_ARRAY(arena, const char *, count);
  if (!ops) return nnm_fail_memory(error);
  for (size_t i = 0; i < count; i++) {
    const char *start = separator + 1;
    separator = strchr(start, '_');
    ops[i] = nnm_arena_text(arena, start, separator ? (size_t)(separator - start) : strlen(start));
    if (!ops[i]) return nnm_fail_memory(error);
  }
  rule->ops = ops;
  rule->op_count = count;
  return NNM_OK;
}

static nnm_status read_rule(nnm_fusion_rules *rules, const char *name, const json_t *value, nnm_error *error) {
  char place[NNM_ERROR_PLACE_SIZE];
  snprintf(place, sizeof place, "$.%.200s", name);
  if (strlen(name) > NNM_LIMIT_NAME_BYTES)
    return nnm_fail(error, NNM_ERROR_LIMIT, place, "rule name is longer than %d bytes; the file is damaged",
                    NNM_LIMIT_NAME_BYTES);
  if (!json_is_object(value))
    return nnm_fail(error, NNM_ERROR_FORMAT, place, "fusion rule is no object; write {\"obey\": true} or false");
  const json_t *obey = json_object_get(value, "obey");
  if (!obey && (json_object_get(value, "attr") || json_object_get(value, "inbounds")))
    return nnm_fail(error, NNM_ERROR_FORMAT, place,
                    "is a node of nn-Meter IR, no fusion rule; give the file as a model, and fusion rules here");
  if (!obey)
    return nnm_fail(error, NNM_ERROR_FORMAT, place, "fusion rule has no \"obey\"; add \"obey\": true or false");
  nnm_fusion_rule *rule = &rules->items[rules->count++];
  rule->name = nnm_arena_text(&rules->arena, name, strlen(name));
  if (!rule->name) return nnm_fail_memory(error);
  rule->obey = is_true(obey);
  if (!strcmp(name, "MON")) rules->multi_consumer = multi_consumer_of(obey);
  return split_name(&rules->arena, rule, error);
}

static nnm_status read_rules(nnm_fusion_rules *rules, json_t *document, nnm_error *error) {
  if (!json_is_object(document))
    return nnm_fail(error, NNM_ERROR_FORMAT, "$",
                    "fusion rules are no object; expected {\"BF_conv_relu\": {\"obey\": true}, ...}");
  rules->items = NNM_ARENA_ARRAY(&rules->arena, nnm_fusion_rule, json_object_size(document));
  if (!rules->items) return nnm_fail_memory(error);
  const char *name;
  json_t *value;
  json_object_foreach(document, name, value) NNM_TRY(read_rule(rules, name, value, error));
  return index_rules(rules, error);
}

nnm_status nnm_fusion_rules_parse(const void *data, size_t size, nnm_fusion_rules **out, nnm_error *error) {
  json_t *document = NULL;
  NNM_TRY(nnm_json_parse(data, size, &document, error));
  nnm_fusion_rules *rules = calloc(1, sizeof *rules);
  nnm_status status = NNM_OK;
  if (!rules) status = nnm_fail_memory(error);
  if (status == NNM_OK && !(rules->text = nnm_arena_text(&rules->arena, data, size))) status = nnm_fail_memory(error);
  if (status == NNM_OK) status = read_rules(rules, document, error);
  json_decref(document);
  if (status == NNM_OK) *out = rules;
  else nnm_fusion_rules_free(rules);
  return status;
}

void nnm_fusion_rules_free(nnm_fusion_rules *rules) {
  if (!rules) return;
  nnm_arena_free(&rules->arena);
  free(rules);
}
