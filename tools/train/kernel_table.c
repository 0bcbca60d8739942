/* Turns models into what the trainer learns from: the distinct kernels of all models with their features, and which of
 * them each model runs how often, through the very code that predicts.
 *
 * usage: kernel_table FUSION_RULES < models.jsonl > kernels.table
 *
 * Output, little-endian: one line of JSON that says what follows
 *   {"features": [names], "types": [names], "models": [ids], "families": [names], "row_count": R, "entry_count": E}
 * then the rows as R x {double multiply-adds, elements moved, weight elements; int32 type; float features...}, each
 * padded to a multiple of 8 bytes, then E x {uint32 model, uint32 row, double turns}, ordered by model. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "predictors/kernel_set.h"

typedef struct table_entry {
  uint32_t model, row;
  double turns;
} table_entry;

typedef struct table {
  nnm_kernel_set rows;
  table_entry *entries;
  size_t entry_count, entry_capacity;
  json_t *ids, *families;
} table;

static bool add_entry(table *t, size_t row, double turns) {
  if (t->entry_count == t->entry_capacity) {
    size_t capacity = t->entry_capacity ? t->entry_capacity * 2 : 4096;
    table_entry *entries = realloc(t->entries, capacity * sizeof *entries);
    if (!entries) return false;
    t->entries = entries;
    t->entry_capacity = capacity;
  }
  t->entries[t->entry_count++] = (table_entry){(uint32_t)json_array_size(t->ids), (uint32_t)row, turns};
  return true;
}

static nnm_status add_kernels(table *t, const nnm_model *model, const nnm_fusion_rules *rules, nnm_error *error) {
  nnm_kernels *kernels;
  NNM_TRY(nnm_detect_kernels(model->graph, model->shapes, rules, &kernels, error));
  nnm_status status = NNM_OK;
  for (size_t i = 0; i < kernels->count && status == NNM_OK; i++) {
    nnm_kernel_row row;
    nnm_kernel_row_of(model->graph, model->shapes, &kernels->items[i], &row);
    size_t at;
    if (!nnm_kernel_set_add(&t->rows, &row, &at) || !add_entry(t, at, (double)kernels->items[i].repeat))
      status = nnm_fail_memory(error);
  }
  nnm_kernels_free(kernels);
  return status;
}

static nnm_status add_model(table *t, const char *line, size_t size, const nnm_fusion_rules *rules, nnm_error *error) {
  json_t *document = json_loadb(line, size, 0, NULL);
  const char *id = json_string_value(json_object_get(document, "id"));
  nnm_model *model = NULL;
  nnm_status status = id ? nnm_model_read_memory(line, size, id, "benchmark", &model, error)
                         : nnm_fail(error, NNM_ERROR_FORMAT, NULL, "a line without \"id\"");
  if (status == NNM_OK) status = nnm_model_infer_shapes(model, NULL, error);
  if (status == NNM_OK) status = add_kernels(t, model, rules, error);
  json_t *family = json_object_get(document, "family");
  if (status == NNM_OK && (json_array_append_new(t->ids, json_string(id)) || json_array_append(t->families, family)))
    status = nnm_fail(error, NNM_ERROR_FORMAT, id, "no \"family\"");
  nnm_model_free(model);
  json_decref(document);
  return status;
}

static json_t *names(const char *const *items, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) json_array_append_new(array, json_string(items[i]));
  return array;
}

static bool write_table(const table *t) {
  const char *types[NNM_KERNEL_TYPE_COUNT];
  for (size_t i = 0; i < NNM_KERNEL_TYPE_COUNT; i++) types[i] = nnm_kernel_type_name((nnm_kernel_type)i);
  json_t *head = json_pack("{s:o, s:o, s:O, s:O, s:I, s:I}", "features", names(nnm_feature_names, NNM_FEATURE_COUNT),
                           "types", names(types, NNM_KERNEL_TYPE_COUNT), "models", t->ids, "families", t->families,
                           "row_count", (json_int_t)t->rows.count, "entry_count", (json_int_t)t->entry_count);
  bool good = head && json_dumpf(head, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
  json_decref(head);
  good = good && fwrite(t->rows.rows, sizeof *t->rows.rows, t->rows.count, stdout) == t->rows.count;
  good = good && fwrite(t->entries, sizeof *t->entries, t->entry_count, stdout) == t->entry_count;
  return good && fflush(stdout) == 0;
}

static nnm_status read_rules(const char *path, nnm_fusion_rules **rules, nnm_error *error) {
  nnm_mapped_file file;
  NNM_TRY(nnm_map_file(path, &file, error));
  nnm_status status = nnm_fusion_rules_parse(file.data, file.size, rules, error);
  nnm_unmap_file(&file);
  return nnm_fail_in_file(error, status, path);
}

int main(int argc, char **argv) {
  if (argc != 2) return fputs("usage: kernel_table FUSION_RULES < models.jsonl > kernels.table\n", stderr), 2;
  nnm_error error = {0};
  nnm_fusion_rules *rules = NULL;
  table t = {.ids = json_array(), .families = json_array()};
  nnm_status status = read_rules(argv[1], &rules, &error);
  char *line = NULL;
  size_t capacity = 0;
  for (ssize_t size; status == NNM_OK && (size = getline(&line, &capacity, stdin)) > 0;)
    status = add_model(&t, line, (size_t)size, rules, &error);
  if (status == NNM_OK && !write_table(&t)) status = nnm_fail(&error, NNM_ERROR_IO, NULL, "%s", strerror(errno));
  if (status != NNM_OK) {
    char text[1600];
    nnm_error_text(&error, text, sizeof text);
    fprintf(stderr, "kernel_table: %s\n", text);
  }
  free(line);
  free(t.entries);
  json_decref(t.ids);
  json_decref(t.families);
  nnm_kernel_set_free(&t.rows);
  nnm_fusion_rules_free(rules);
  return status == NNM_OK ? 0 : 1;
}
