/* Predicts every model of a stream with several predictors, in one process, through the public header only.
 *
 * usage: predict_table PREDICTOR... < models.jsonl > predictions.csv
 *
 * Reads one benchmark graph a line and writes CSV: id, then milliseconds and the two bounds of the interval for each
 * predictor. A model that cannot be predicted ends the run with exit code 1: accuracy figures over what happened to work
 * would lie. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nnmeter/nnmeter.h"

enum { MOST_PREDICTORS = 32, MOST_ID_BYTES = 256 };

/* The text of "id", which the benchmark writes first and without escapes. */
static bool find_id(const char *line, char id[MOST_ID_BYTES]) {
  const char *at = strstr(line, "\"id\"");
  return at && sscanf(at, "\"id\" : \"%255[^\"]\"", id) == 1;
}

static nnm_status predict_model(const char *line, size_t size, const char *id, nnm_predictor *const *predictors,
                                size_t count, nnm_error *error) {
  nnm_model *model = NULL;
  nnm_status status = nnm_model_read_memory(line, size, id, "benchmark", &model, error);
  if (status == NNM_OK) status = nnm_model_infer_shapes(model, NULL, error);
  double rows[MOST_PREDICTORS][3];
  for (size_t i = 0; i < count && status == NNM_OK; i++) {
    nnm_prediction *prediction = NULL;
    status = nnm_predict(predictors[i], model, NULL, &prediction, error);
    if (status != NNM_OK) break;
    rows[i][0] = prediction->latency_ms;
    rows[i][1] = prediction->interval_ms[0];
    rows[i][2] = prediction->interval_ms[1];
    nnm_prediction_free(prediction);
  }
  nnm_model_free(model);
  if (status != NNM_OK) return status;
  fputs(id, stdout);
  for (size_t i = 0; i < count; i++) printf(",%.9g,%.9g,%.9g", rows[i][0], rows[i][1], rows[i][2]);
  putchar('\n');
  return NNM_OK;
}

static nnm_status predict_stream(nnm_predictor *const *predictors, size_t count, nnm_error *error) {
  char *line = NULL, id[MOST_ID_BYTES];
  size_t capacity = 0;
  nnm_status status = NNM_OK;
  for (ssize_t size; status == NNM_OK && (size = getline(&line, &capacity, stdin)) > 0;) {
    if (find_id(line, id)) {
      status = predict_model(line, (size_t)size, id, predictors, count, error);
    } else {
      status = error->status = NNM_ERROR_FORMAT;
      snprintf(error->message, sizeof error->message, "a line without \"id\"");
    }
  }
  free(line);
  return status;
}

int main(int argc, char **argv) {
  nnm_predictor *predictors[MOST_PREDICTORS] = {0};
  size_t count = (size_t)argc - 1;
  if (argc < 2 || count > MOST_PREDICTORS) {
    fputs("usage: predict_table PREDICTOR... < models.jsonl > predictions.csv\n", stderr);
    return 2;
  }
  nnm_error error = {0};
  nnm_status status = NNM_OK;
  for (size_t i = 0; i < count && status == NNM_OK; i++)
    status = nnm_predictor_open(argv[i + 1], NULL, NULL, &predictors[i], &error);
  if (status == NNM_OK) status = predict_stream(predictors, count, &error);
  for (size_t i = 0; i < count; i++) nnm_predictor_free(predictors[i]);
  if (status == NNM_OK) return 0;
  char text[1600];
  nnm_error_text(&error, text, sizeof text);
  fprintf(stderr, "predict_table: %s\n", text);
  return 1;
}
