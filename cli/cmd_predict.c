/* nn-meter predict */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "messages.h"
#include "output.h"
#include "session.h"

#include "pool.h"

typedef enum result_format { FORMAT_LINES, FORMAT_TABLE, FORMAT_JSON, FORMAT_JSON_LINES, FORMAT_CSV } result_format;

typedef struct predict_run {
  const cli_settings *settings;
  result_format format;
  model_inputs inputs;
  predictor_set predictors;
  shape_arguments shapes;
  nnm_predict_options options;
  size_t columns;
  /* of the emitting thread */
  cli_output output;
  cli_progress progress;
  FILE *faults; /* --json: the error objects, for the end of the document */
  size_t result_count, fault_count;
  bool failed;
} predict_run;

/* What became of one model, as text that is ready to be written. */
typedef struct predict_outcome {
  FILE *results, *messages, *faults;
  char *results_text, *messages_text, *faults_text;
  size_t results_size, messages_size, faults_size;
  size_t result_count, fault_count;
  bool is_broken; /* no memory for the texts */
} predict_outcome;

/* ------------------------------------------------------------------------------------------------ one model */

static void report_fault(const predict_run *run, const model_input *input, const nnm_error *fault,
                         predict_outcome *outcome) {
  nnm_error shown = *fault;
  if (!shown.file[0]) snprintf(shown.file, sizeof shown.file, "%s", input->path);
  print_error(outcome->messages, NULL, &shown);
  char *text;
  if (run->format == FORMAT_JSON) {
    if (nnm_report_json_error(base_name(input->path), &shown, &text, NULL) != NNM_OK) {
      outcome->is_broken = true;
      return;
    }
    fprintf(outcome->faults, "%s%s", outcome->fault_count ? ",\n    " : "", text);
    nnm_free(text);
  }
  outcome->fault_count++;
}

/* A predictor's error about one model names the model; which predictor it was must be said too. */
static void name_predictor(const predict_run *run, const nnm_predictor *predictor, nnm_error *fault) {
  if (run->predictors.count < 2) return;
  char text[sizeof fault->message];
  snprintf(text, sizeof text, "%s", fault->message);
  snprintf(fault->message, sizeof fault->message, "%.600s (predictor %.100s)", text,
           nnm_predictor_get_info(predictor)->name);
}

enum { SHOWN_NOTES = 3 }; /* without --verbose */

static void say_notes(const predict_run *run, const model_input *input, const nnm_predictor *predictor,
                      const nnm_prediction *prediction, predict_outcome *outcome) {
  /* the table says it itself; JSON and CSV carry the notes as data */
  if (run->settings->quiet || run->format != FORMAT_LINES) return;
  char subject[1024];
  snprintf(subject, sizeof subject, "%.800s (%.200s)", input->path, nnm_predictor_get_info(predictor)->name);
  if (prediction->coverage < 1)
    print_message(outcome->messages, "note", subject,
                  "%.1f %% of the latency is from kernels within the training range",
                  (double)(long)(prediction->coverage * 1000) / 10);
  /* the heaviest come first; a screen of notes hides the results */
  size_t shown =
      run->settings->verbose || prediction->note_count <= SHOWN_NOTES + 1 ? prediction->note_count : SHOWN_NOTES;
  for (size_t i = 0; i < shown; i++) print_message(outcome->messages, "note", subject, "%s", prediction->notes[i]);
  if (shown < prediction->note_count)
    print_message(outcome->messages, "note", subject, "%zu more notes; -v, --breakdown and --json show all",
                  prediction->note_count - shown);
}

static void say_kernels(const model_input *input, const nnm_predictor *predictor, const nnm_prediction *prediction,
                        predict_outcome *outcome) {
  const char *name = nnm_predictor_get_info(predictor)->name;
  const double *bounds = prediction->interval_ms;
  print_message(outcome->messages, "info", input->path, "%zu kernels on %s, coverage %.4f", prediction->kernel_count,
                name, prediction->coverage);
  if (isfinite(bounds[0]) && isfinite(bounds[1]))
    print_message(outcome->messages, "info", input->path, "%.6g ms on %s, 90 %% between %.6g and %.6g ms",
                  prediction->latency_ms, name, bounds[0], bounds[1]);
  for (size_t i = 0; i < prediction->kernel_count; i++) {
    const nnm_kernel_result *kernel = &prediction->kernels[i];
    print_message(outcome->messages, "info", input->path, "%s: %.6g ms%s, %zu nodes from %s", kernel->name,
                  kernel->latency_ms, kernel->in_range ? "" : " (not covered)", kernel->member_count,
                  kernel->member_count ? kernel->members[0] : "nothing");
  }
}

/* The text of one result in the format asked for. */
static nnm_status write_result(const predict_run *run, const nnm_model *model, const nnm_predictor *predictor,
                               const nnm_prediction *prediction, predict_outcome *outcome, nnm_error *error) {
  bool breakdown = run->settings->breakdown;
  char *text = NULL;
  nnm_status status;
  switch (run->format) {
  case FORMAT_JSON:
  case FORMAT_JSON_LINES: status = nnm_report_json(prediction, model, predictor, breakdown, &text, error); break;
  case FORMAT_CSV: status = nnm_report_csv(prediction, model, predictor, breakdown, &text, error); break;
  default: status = nnm_report_line(prediction, model, &text, error); break;
  }
  if (status != NNM_OK) return status;
  const nnm_predictor_info *info = nnm_predictor_get_info(predictor);
  bool is_text = run->format == FORMAT_LINES || run->format == FORMAT_TABLE;
  if (run->format == FORMAT_JSON && outcome->result_count) fputs(",\n    ", outcome->results);
  /* whose the following line is, in the words of --list-predictors */
  if (is_text && run->predictors.count > 1)
    fprintf(outcome->results, "(nn-Meter) [Predictor] %s: version=%s\n", info->name, info->version);
  fputs(text, outcome->results);
  if (run->format == FORMAT_JSON_LINES) fputc('\n', outcome->results);
  nnm_free(text);
  if (run->format == FORMAT_TABLE) {
    status = nnm_report_table(prediction, run->columns, &text, error);
    if (status != NNM_OK) return status;
    fprintf(outcome->results, "%s\n", text);
    nnm_free(text);
  }
  outcome->result_count++;
  return NNM_OK;
}

/* --strict: whatever is noted or not covered is an error, and the first of it is what the error says. */
static nnm_status check_strict(const nnm_prediction *prediction, nnm_error *error) {
  if (!prediction->note_count && prediction->coverage >= 1) return NNM_OK;
  *error = (nnm_error){.status = NNM_ERROR_UNSUPPORTED};
  if (!prediction->note_count)
    snprintf(error->message, sizeof error->message, "not predicted because of --strict: coverage is %.4f",
             prediction->coverage);
  else
    snprintf(error->message, sizeof error->message, "not predicted because of --strict: %.500s%s", prediction->notes[0],
             prediction->note_count > 1 ? " (and more)" : "");
  return error->status;
}

static void predict_with(const predict_run *run, const model_input *input, const loaded_model *loaded,
                         const nnm_predictor *predictor, predict_outcome *outcome) {
  nnm_error fault;
  nnm_prediction *prediction = NULL;
  nnm_status status = nnm_predict(predictor, loaded->model, &run->options, &prediction, &fault);
  status = explain_shapes(loaded, status, &fault);
  if (status == NNM_OK && run->settings->strict) status = check_strict(prediction, &fault);
  if (status == NNM_OK) status = write_result(run, loaded->model, predictor, prediction, outcome, &fault);
  if (status == NNM_OK) {
    if (run->settings->verbose) say_kernels(input, predictor, prediction, outcome);
    say_notes(run, input, predictor, prediction, outcome);
  } else {
    name_predictor(run, predictor, &fault);
    report_fault(run, input, &fault, outcome);
  }
  nnm_prediction_free(prediction);
}

static void predict_model(const predict_run *run, const model_input *input, predict_outcome *outcome) {
  nnm_error fault = {.status = NNM_ERROR_IO};
  if (input->fault) {
    snprintf(fault.message, sizeof fault.message, "%s", input->fault);
    report_fault(run, input, &fault, outcome);
    return;
  }
  loaded_model loaded;
  if (load_model(input, &run->shapes.options, &loaded, &fault) != NNM_OK) {
    report_fault(run, input, &fault, outcome);
    return;
  }
  for (size_t i = 0; i < run->predictors.count; i++)
    predict_with(run, input, &loaded, run->predictors.items[i], outcome);
  nnm_model_free(loaded.model);
}

/* ------------------------------------------------------------------------------------------------ all of them */

static bool close_text(FILE *file) {
  if (!file) return false;
  bool failed = ferror(file);
  return !fclose(file) && !failed;
}

static void work(void *context, size_t index, void *slot) {
  const predict_run *run = context;
  predict_outcome *outcome = slot;
  outcome->results = open_memstream(&outcome->results_text, &outcome->results_size);
  outcome->messages = open_memstream(&outcome->messages_text, &outcome->messages_size);
  outcome->faults = open_memstream(&outcome->faults_text, &outcome->faults_size);
  outcome->is_broken = !outcome->results || !outcome->messages || !outcome->faults;
  if (!outcome->is_broken) predict_model(run, &run->inputs.items[index], outcome);
  bool is_whole = close_text(outcome->results);
  is_whole = close_text(outcome->messages) && is_whole;
  is_whole = close_text(outcome->faults) && is_whole;
  outcome->is_broken = outcome->is_broken || !is_whole;
}

static void emit(void *context, size_t index, void *slot) {
  predict_run *run = context;
  predict_outcome *outcome = slot;
  progress_hide(&run->progress);
  if (outcome->is_broken) {
    print_message(stderr, "error", run->inputs.items[index].path, "out of memory; close other programs");
    run->failed = true;
  } else {
    FILE *results = run->output.file;
    fwrite(outcome->messages_text, 1, outcome->messages_size, stderr);
    if (run->format == FORMAT_JSON && outcome->result_count) fputs(run->result_count ? ",\n    " : "\n    ", results);
    fwrite(outcome->results_text, 1, outcome->results_size, results);
    if (run->format == FORMAT_JSON_LINES || run->progress.is_wanted) fflush(results);
    if (run->faults && outcome->fault_count)
      fprintf(run->faults, "%s%s", run->fault_count ? ",\n    " : "\n    ", outcome->faults_text);
    run->result_count += outcome->result_count;
    run->fault_count += outcome->fault_count;
    run->failed = run->failed || outcome->fault_count;
  }
  free(outcome->results_text);
  free(outcome->messages_text);
  free(outcome->faults_text);
  progress_draw(&run->progress, index + 1);
}

static void begin_document(predict_run *run) {
  char *header;
  if (run->format == FORMAT_JSON) fputs("{\"schema\": \"nn-meter/predict/1\",\n  \"results\": [", run->output.file);
  if (run->format != FORMAT_CSV) return;
  if (nnm_report_csv(NULL, NULL, NULL, run->settings->breakdown, &header, NULL) != NNM_OK) return;
  fputs(header, run->output.file);
  nnm_free(header);
}

static void end_document(predict_run *run, const char *faults) {
  if (run->format != FORMAT_JSON) return;
  fprintf(run->output.file, "%s],\n  \"errors\": [%s%s]}\n", run->result_count ? "\n  " : "", faults,
          run->fault_count ? "\n  " : "");
}

static size_t job_count(long jobs) {
  if (jobs > 0) return (size_t)jobs;
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  return processors > 0 ? (size_t)processors : 1;
}

static int predict_all(predict_run *run) {
  const cli_settings *settings = run->settings;
  char *faults = NULL;
  size_t faults_size;
  if (run->format == FORMAT_JSON) run->faults = open_memstream(&faults, &faults_size);
  if (run->format == FORMAT_JSON && !run->faults) run->failed = true;
  begin_document(run);
  run->progress = progress_start(run->inputs.count, run->inputs.has_folder && !settings->quiet);
  pool_task task = {run->inputs.count, sizeof(predict_outcome), run, work, emit};
  if (!pool_run(&task, job_count(settings->jobs))) {
    print_message(stderr, "error", NULL, "out of memory; close other programs");
    run->failed = true;
  }
  progress_hide(&run->progress);
  if (run->faults && !close_text(run->faults)) run->failed = true;
  end_document(run, faults ? faults : "");
  free(faults);
  /* an empty file would look like an answer; JSON carries the errors */
  if (!run->result_count && run->format != FORMAT_JSON && run->output.path) output_discard(&run->output);
  else if (!output_commit(&run->output)) run->failed = true;
  return run->failed ? EXIT_FAILED : EXIT_ALL_WELL;
}

static result_format format_of(const cli_settings *settings) {
  return settings->json        ? FORMAT_JSON
         : settings->jsonl     ? FORMAT_JSON_LINES
         : settings->csv       ? FORMAT_CSV
         : settings->breakdown ? FORMAT_TABLE
                               : FORMAT_LINES;
}

static void say_start(const predict_run *run) {
  for (size_t i = 0; i < run->predictors.count; i++) {
    const nnm_predictor_info *info = nnm_predictor_get_info(run->predictors.items[i]);
    print_message(stderr, "info", info->name, "version %s, %s, %s", info->version, info->kind, info->origin);
  }
  if (run->inputs.has_folder)
    print_message(stderr, "info", NULL, "found %zu model%s", run->inputs.count, run->inputs.count == 1 ? "" : "s");
}

static int run_opened(predict_run *run) {
  const cli_settings *settings = run->settings;
  if (!open_predictors(settings, &run->predictors)) return EXIT_FAILED;
  int status = EXIT_FAILED;
  if (!collect_inputs(settings, &run->inputs)) {
    print_message(stderr, "error", NULL, "out of memory; close other programs");
  } else if (spares_inputs(settings->output, &run->inputs) && output_open(&run->output, settings->output)) {
    if (settings->verbose) say_start(run);
    status = predict_all(run);
  }
  free_inputs(&run->inputs);
  close_predictors(&run->predictors);
  return status;
}

int run_predict(const cli_command *command, const cli_settings *settings) {
  if (!has_models(settings))
    return usage_error(command, "no model given; please run \"nn-meter predict --help\" to see guidance");
  if (!settings->predictors.count)
    return usage_error(command,
                       "You must specify a predictor. Use \"nn-meter --list-predictors\" to see all supporting "
                       "predictors.");
  predict_run run = {.settings = settings,
                     .format = format_of(settings),
                     .columns = terminal_columns(),
                     .options = predict_options_of(settings)};
  int status = parse_shapes(command, settings, &run.shapes);
  if (!status) status = run_opened(&run);
  free_shapes(&run.shapes);
  return status;
}
