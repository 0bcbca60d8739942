/* usage: time_kernels REPEATS MODEL...
 *
 * Times the network of each built-in predictor alone: the distinct kernels of the models, from features to milliseconds.
 * Prints one JSON object a line; times are processor time of this thread. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "predict.h"
#include "predictors/network.h"

static double now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static nnm_status add_model(const nnm_predictor *predictor, const char *path, nnm_kernel_set *set, nnm_error *error) {
  nnm_model *model = NULL;
  nnm_detection detection = {0};
  nnm_status status = nnm_model_read_file(path, NULL, &model, error);
  if (status == NNM_OK) status = nnm_model_infer_shapes(model, NULL, error);
  if (status == NNM_OK) status = nnm_detect_model_kernels(model, predictor, NULL, &detection, error);
  for (size_t i = 0; status == NNM_OK && i < detection.kernels->count; i++) {
    nnm_kernel_row row;
    size_t at;
    nnm_kernel_row_of(model->graph, model->shapes, &detection.kernels->items[i], &row);
    if (!nnm_kernel_set_add(set, &row, &at)) status = nnm_fail_memory(error);
  }
  if (status == NNM_OK) nnm_detection_free(&detection);
  nnm_model_free(model);
  return status;
}

static int compare_doubles(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static nnm_status time_rows(const nnm_predictor *predictor, const nnm_kernel_set *set, size_t repeats,
                            nnm_error *error) {
  double *times = calloc(repeats, sizeof *times), sum_ms = 0;
  if (!times) return nnm_fail_memory(error);
  for (size_t i = 0; i < repeats; i++) {
    double start = now_us();
    for (size_t k = 0; k < set->count; k++) {
      nnm_kernel_estimate estimate;
      nnm_network_estimate(predictor->state, &set->rows[k], &estimate);
      sum_ms += estimate.latency_ms;
    }
    times[i] = (now_us() - start) / (double)set->count;
  }
  qsort(times, repeats, sizeof *times, compare_doubles);
  printf("{\"predictor\": \"%s\", \"bytes\": %zu, \"kernels\": %zu, \"median_us\": %.4f, \"min_us\": %.4f, \"sum_ms\": "
         "%.6g}\n",
         predictor->info.name, predictor->section_size, set->count, times[repeats / 2], times[0],
         sum_ms / (double)repeats);
  free(times);
  return NNM_OK;
}

static nnm_status bench_predictor(const nnm_built_in_predictor *file, size_t repeats, char **models, int count,
                                  nnm_error *error) {
  nnm_predictor *predictor;
  nnm_status status = nnm_predictor_read(file->data, file->size, "built in", &predictor, error);
  if (status != NNM_OK) return status;
  nnm_kernel_set set = {0};
  for (int i = 0; i < count && status == NNM_OK; i++) status = add_model(predictor, models[i], &set, error);
  if (status == NNM_OK) status = time_rows(predictor, &set, repeats, error);
  nnm_kernel_set_free(&set);
  nnm_predictor_free(predictor);
  return status;
}

int main(int argc, char **argv) {
  int repeats = argc > 1 ? atoi(argv[1]) : 0;
  if (argc < 3 || repeats < 1) {
    fputs("usage: time_kernels REPEATS MODEL...\n", stderr);
    return 2;
  }
  size_t count;
  const nnm_built_in_predictor *files = nnm_built_in_predictors(&count);
  nnm_error error = {0};
  nnm_status status = NNM_OK;
  for (size_t i = 0; i < count && status == NNM_OK; i++)
    status = bench_predictor(&files[i], (size_t)repeats, argv + 2, argc - 2, &error);
  if (status == NNM_OK) return 0;
  char text[2048];
  nnm_error_text(&error, text, sizeof text);
  fprintf(stderr, "time_kernels: %s\n", text);
  return 1;
}
