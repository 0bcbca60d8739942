/* A list of predictors, and every change that can be made to it: the input is the list, and the entry to add as well. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "predictors/predictors_yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void change(const nnm_predictors_yaml *list, nnm_arena *arena) {
  bool *chosen = NNM_ARENA_ARRAY(arena, bool, list->count);
  char *text;
  if (!chosen) return;
  for (size_t turn = 0; turn < 3; turn++) { /* each second one, the others, all */
    for (size_t i = 0; i < list->count; i++) chosen[i] = turn == 2 || i % 2 == turn;
    if (nnm_predictors_yaml_remove(list, chosen, &text, NULL) == NNM_OK) free(text);
  }
  for (size_t i = 0; i < list->count && i < 4; i++) {
    const nnm_yaml_predictor *entry = &list->entries[i];
    if (!entry->location || entry->fault) continue;
    if (nnm_predictors_yaml_add(list, list->data, entry->node, "/some \"where\"\n", &text, NULL) == NNM_OK) free(text);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nnm_arena arena = {0};
  nnm_predictors_yaml list;
  char *copy = size <= NNM_LIMIT_YAML_BYTES ? nnm_arena_text(&arena, (const char *)data, size) : NULL;
  nnm_error error;
  if (copy && nnm_predictors_yaml_parse("list", copy, size, &arena, &list, &error) == NNM_OK) change(&list, &arena);
  nnm_arena_free(&arena);
  return 0;
}
