#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "messages.h"

static bool open_one(const char *name, const char *version, predictor_set *set) {
  nnm_error error;
  nnm_predictor *predictor;
  if (nnm_predictor_open(name, version, NULL, &predictor, &error) != NNM_OK) {
    print_error(stderr, name, &error);
    return false;
  }
  nnm_predictor **grown = realloc(set->items, (set->count + 1) * sizeof *grown);
  if (!grown) {
    nnm_predictor_free(predictor);
    print_message(stderr, "error", name, "out of memory; close other programs");
    return false;
  }
  set->items = grown;
  set->items[set->count++] = predictor;
  return true;
}

/* Names come sorted, so the versions of one stand together: each name is opened once. */
static bool open_all(const char *version, predictor_set *set) {
  nnm_error error;
  nnm_predictor_list *list;
  if (nnm_predictor_list_create(NULL, &list, &error) != NNM_OK) {
    print_error(stderr, NULL, &error);
    return false;
  }
  bool opened = true;
  const char *before = "";
  for (size_t i = 0; opened && i < nnm_predictor_list_count(list); i++) {
    const nnm_predictor_info *info = nnm_predictor_list_at(list, i);
    bool is_damaged = !strcmp(info->kind, "damaged");
    if (is_damaged) print_message(stderr, "warning", info->origin, "left out: %s", info->card);
    if (is_damaged || !strcasecmp(info->name, before)) continue;
    opened = open_one(info->name, version, set);
    before = info->name;
  }
  if (opened && !set->count) {
    print_message(stderr, "error", NULL,
                  "this build has no predictors and none is registered; see nn-meter help "
                  "import-predictor");
    opened = false;
  }
  nnm_predictor_list_free(list);
  return opened;
}

bool open_predictors(const cli_settings *settings, predictor_set *out) {
  *out = (predictor_set){0};
  for (size_t i = 0; i < settings->predictors.count; i++) {
    const char *name = settings->predictors.items[i];
    bool opened = strcasecmp(name, "all") ? open_one(name, settings->predictor_version, out)
                                          : open_all(settings->predictor_version, out);
    if (!opened) {
      close_predictors(out);
      return false;
    }
  }
  return true;
}

void close_predictors(predictor_set *set) {
  for (size_t i = 0; i < set->count; i++) nnm_predictor_free(set->items[i]);
  free(set->items);
  *set = (predictor_set){0};
}

nnm_predict_options predict_options_of(const cli_settings *settings) {
  static const nnm_compat modes[] = {[COMPAT_DEFAULT] = NNM_COMPAT_DEFAULT,
                                     [COMPAT_NN_METER_2_0] = NNM_COMPAT_NN_METER_2_0,
                                     [COMPAT_OWN] = NNM_COMPAT_OWN};
  return (nnm_predict_options){.compat = modes[settings->compat], .fusion_rules_path = settings->fusion_rules};
}

nnm_status read_input(const model_input *input, nnm_model **out, nnm_error *error) {
  if (input->format && !strcmp(input->format, TORCHVISION)) return nnm_model_read_torchvision(input->path, out, error);
  return nnm_model_read_file(input->path, input->format, out, error);
}

nnm_status load_model(const model_input *input, const nnm_shape_options *shapes, loaded_model *out, nnm_error *error) {
  nnm_model *model;
  nnm_status status = read_input(input, &model, error);
  if (status != NNM_OK) return status;
  status = nnm_model_infer_shapes(model, shapes, error);
  out->model = model;
  out->has_shapes = status == NNM_OK;
  if (status == NNM_OK) return NNM_OK;
  out->shape_fault = *error;
  if (status != NNM_ERROR_MEMORY && !strcmp(nnm_model_format(model), "nnmeter-ir")) return NNM_OK;
  nnm_model_free(model);
  return status;
}

nnm_status explain_shapes(const loaded_model *loaded, nnm_status status, nnm_error *error) {
  if (status != NNM_ERROR_ARGUMENT || loaded->has_shapes) return status;
  *error = loaded->shape_fault;
  return error->status;
}

const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}
