/* For tests/python/test_parity.py: kernels and feature rows of many models in one process.
 *
 * parity_dump NAME=RULES.json ... < requests > results
 * request, one JSON object a line: {"id", "style", "ir": {...} or "model": PATH, "rules": [NAME, ...], "inline_rules":
 *   a rules file's content, "with_ir": bool}
 * result, one a line: {"id", "style", "ir": {...}, "rules": {NAME: {"kernels", "features", "no_feature", "predictors"} or
 *   {"error": text}}}, or {"id", "style", "error"}. The inline rules are called "". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat/compat.h"
#include "model.h"

typedef struct named_rules {
  const char *name;
  nnm_fusion_rules *rules;
} named_rules;

static named_rules files[64];
static int file_count;

static void check(bool good, const char *what) {
  if (good) return;
  fprintf(stderr, "parity_dump: %s\n", what);
  exit(2);
}

static json_t *error_json(const nnm_error *error) {
  char text[2048];
  nnm_error_text(error, text, sizeof text);
  return json_pack("{s:s}", "error", text);
}

static void load_rules(const char *argument) {
  const char *equals = strchr(argument, '=');
  nnm_mapped_file file;
  nnm_error error = {0};
  check(equals && file_count < 64, "arguments are NAME=RULES.json");
  check(nnm_map_file(equals + 1, &file, &error) == NNM_OK, equals + 1);
  char *name = strdup(argument);
  name[equals - argument] = '\0';
  files[file_count].name = name;
  check(nnm_fusion_rules_parse(file.data, file.size, &files[file_count].rules, &error) == NNM_OK, error.message);
  file_count++;
  nnm_unmap_file(&file);
}

static json_t *kernels_json(const nnm_ir *ir, const nnm_graph *graph, const nnm_shapes *shapes,
                            const nnm_fusion_rules *rules) {
  nnm_kernels *kernels = NULL;
  nnm_error error = {0};
  if (nnm_detect_compat_kernels(ir, graph, shapes, rules, &kernels, &error) != NNM_OK) return error_json(&error);
  json_t *list = NULL, *features = json_array(), *without = json_array(), *predictors = json_object();
  check(nnm_compat_kernels_json(kernels, &list, &error) == NNM_OK, error.message);
  for (size_t i = 0; i < kernels->count; i++) {
    const nnm_compat_kernel *kernel = kernels->items[i].compat;
    if (!kernel->row_count) {
      json_array_append_new(without, json_string(kernel->name));
      continue;
    }
    json_t *row = NULL;
    check(nnm_compat_row_json(kernel, &row, &error) == NNM_OK, error.message);
    json_array_append_new(features, json_pack("[s,o]", kernel->name, row));
    json_object_set_new(predictors, kernel->op, json_string(kernel->predictor));
  }
  nnm_kernels_free(kernels);
  return json_pack("{s:o,s:o,s:o,s:o}", "kernels", list, "features", features, "no_feature", without, "predictors",
                   predictors);
}

static void answer_rules(const json_t *request, json_t *result, const nnm_ir *ir, const nnm_graph *graph,
                         const nnm_shapes *shapes) {
  json_t *asked = json_object_get(request, "rules"), *answers = json_object();
  for (int i = 0; i < file_count && json_is_array(asked); i++)
    for (size_t k = 0; k < json_array_size(asked); k++)
      if (!strcmp(json_string_value(json_array_get(asked, k)), files[i].name))
        json_object_set_new(answers, files[i].name, kernels_json(ir, graph, shapes, files[i].rules));
  json_t *inline_rules = json_object_get(request, "inline_rules");
  if (inline_rules) {
    char *text = json_dumps(inline_rules, JSON_ENCODE_ANY);
    nnm_fusion_rules *rules = NULL;
    nnm_error error = {0};
    if (nnm_fusion_rules_parse(text, strlen(text), &rules, &error) != NNM_OK)
      json_object_set_new(answers, "", error_json(&error));
    else json_object_set_new(answers, "", kernels_json(ir, graph, shapes, rules));
    nnm_fusion_rules_free(rules);
    free(text);
  }
  json_object_set_new(result, "rules", answers);
}

static void add_ir(const json_t *request, json_t *result, const nnm_ir *ir) {
  if (!json_is_true(json_object_get(request, "with_ir"))) return;
  char *text = NULL;
  nnm_error error = {0};
  check(nnm_ir_print(ir, &text, &error) == NNM_OK, error.message);
  json_object_set_new(result, "ir_text", json_string(text));
  json_t *names = json_array();
  for (size_t i = 0; i < ir->node_count; i++) json_array_append_new(names, json_string(ir->nodes[i].name));
  json_object_set_new(result, "ir_order", names);
  free(text);
}

static nnm_status answer_document(const json_t *request, json_t *result, nnm_error *error) {
  char *text = json_dumps(json_object_get(request, "ir"), JSON_COMPACT | JSON_ENCODE_ANY);
  nnm_ir *ir = NULL;
  nnm_status status = nnm_ir_parse((const unsigned char *)text, strlen(text), &ir, error);
  free(text);
  if (status != NNM_OK) return status;
  answer_rules(request, result, ir, NULL, NULL);
  add_ir(request, result, ir);
  nnm_ir_free(ir);
  return NNM_OK;
}

static nnm_status answer_model(const json_t *request, json_t *result, nnm_error *error) {
  nnm_model *model = NULL;
  nnm_ir *ir = NULL;
  nnm_status status = nnm_model_read_file(json_string_value(json_object_get(request, "model")), NULL, &model, error);
  if (status != NNM_OK) return status;
  status = nnm_model_infer_shapes(model, NULL, error);
  if (status == NNM_OK && !model->ir) status = nnm_ir_from_graph(model->graph, model->shapes, NNM_IR_NAMED, &ir, error);
  if (status == NNM_OK) {
    answer_rules(request, result, ir ? ir : model->ir, model->graph, model->shapes);
    add_ir(request, result, ir ? ir : model->ir);
  }
  nnm_ir_free(ir);
  nnm_model_free(model);
  return status;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) load_rules(argv[i]);
  json_t *request;
  while ((request = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, NULL))) {
    json_t *result =
        json_pack("{s:O*,s:O*}", "id", json_object_get(request, "id"), "style", json_object_get(request, "style"));
    nnm_error error = {0};
    nnm_status status = json_object_get(request, "ir") ? answer_document(request, result, &error)
                                                       : answer_model(request, result, &error);
    if (status != NNM_OK) {
      json_t *fault = error_json(&error);
      json_object_update(result, fault);
      json_decref(fault);
    }
    json_dumpf(result, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(result);
    json_decref(request);
  }
  for (int i = 0; i < file_count; i++) {
    nnm_fusion_rules_free(files[i].rules);
    free((char *)(uintptr_t)files[i].name);
  }
  return 0;
}
