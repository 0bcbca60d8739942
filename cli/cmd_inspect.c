/* nn-meter inspect */
#include <string.h>

#include "commands.h"
#include "messages.h"
#include "output.h"
#include "session.h"

typedef struct inspect_run {
  const cli_settings *settings;
  nnm_stage stage;
  const nnm_predictor *predictor; /* NULL when none was named */
  nnm_predict_options options;
  shape_arguments shapes;
  cli_output output;
} inspect_run;

static nnm_status inspect_model(const inspect_run *inspection, const model_input *input, char **out, nnm_error *error) {
  if (input->fault) {
    *error = (nnm_error){.status = NNM_ERROR_IO};
    snprintf(error->message, sizeof error->message, "%s", input->fault);
    return error->status;
  }
  loaded_model loaded = {.has_shapes = true};
  /* the graph is what was read: it can be looked at when shapes cannot be had */
  nnm_status status = inspection->stage == NNM_STAGE_GRAPH
                          ? read_input(input, &loaded.model, error)
                          : load_model(input, &inspection->shapes.options, &loaded, error);
  if (status != NNM_OK) return status;
  status = nnm_inspect(loaded.model, inspection->stage, inspection->predictor, &inspection->options,
                       inspection->settings->json, out, error);
  nnm_model_free(loaded.model);
  return explain_shapes(&loaded, status, error);
}

static int inspect_all(inspect_run *inspection, const model_inputs *inputs) {
  const cli_settings *settings = inspection->settings;
  bool failed = false;
  size_t shown = 0;
  for (size_t i = 0; i < inputs->count; i++) {
    nnm_error error;
    char *text;
    if (inspect_model(inspection, &inputs->items[i], &text, &error) != NNM_OK) {
      print_error(stderr, inputs->items[i].path, &error);
      failed = true;
      continue;
    }
    if (!settings->json && inputs->count > 1)
      fprintf(inspection->output.file, "%s%s:\n", shown ? "\n" : "", inputs->items[i].path);
    fputs(text, inspection->output.file);
    nnm_free(text);
    shown++;
  }
  if (!shown && inspection->output.path) output_discard(&inspection->output);
  else if (!output_commit(&inspection->output)) failed = true;
  return failed ? EXIT_FAILED : EXIT_ALL_WELL;
}

static int run_opened(inspect_run *inspection) {
  const cli_settings *settings = inspection->settings;
  predictor_set predictors;
  model_inputs inputs = {0};
  if (!open_predictors(settings, &predictors)) return EXIT_FAILED;
  inspection->predictor = predictors.count ? predictors.items[0] : NULL;
  int status = EXIT_FAILED;
  if (!collect_inputs(settings, &inputs)) print_message(stderr, "error", NULL, "out of memory; close other programs");
  else if (spares_inputs(settings->output, &inputs) && output_open(&inspection->output, settings->output))
    status = inspect_all(inspection, &inputs);
  free_inputs(&inputs);
  close_predictors(&predictors);
  return status;
}

int run_inspect(const cli_command *command, const cli_settings *settings) {
  static const nnm_stage stages[] = {[STAGE_GRAPH] = NNM_STAGE_GRAPH,
                                     [STAGE_SHAPES] = NNM_STAGE_SHAPES,
                                     [STAGE_KERNELS] = NNM_STAGE_KERNELS,
                                     [STAGE_FEATURES] = NNM_STAGE_FEATURES};
  inspect_run inspection = {
      .settings = settings, .stage = stages[settings->stage], .options = predict_options_of(settings)};
  if (!count_models(settings, NULL, NULL))
    return usage_error(command, "no model given; please run \"nn-meter inspect --help\" to see guidance");
  if (settings->predictors.count > 1 || (settings->predictors.count && !strcmp(settings->predictors.items[0], "all")))
    return usage_error(command, "argument --predictor: one predictor at a time");
  bool needs_rules = settings->stage == STAGE_KERNELS || settings->stage == STAGE_FEATURES;
  if (needs_rules && !settings->predictors.count && !settings->fusion_rules)
    return usage_error(command, "kernels depend on the device: give --predictor NAME or --fusion-rules FILE");
  int status = parse_shapes(command, settings, &inspection.shapes);
  if (!status) status = run_opened(&inspection);
  free_shapes(&inspection.shapes);
  return status;
}
