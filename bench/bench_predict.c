/* usage: bench_predict PREDICTOR REPEATS MODEL...
 *
 * Times the way from file to milliseconds through the public interface, in one process, and prints one JSON object a
 * line. Every repetition opens the file anew. Times are processor time of this thread, the kernel's part included: what the
 * work costs, whatever else the machine is doing. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "nnmeter/nnmeter.h"

enum { READ, SHAPES, PREDICT, TOTAL, SPAN_COUNT };
static const char *const span_names[SPAN_COUNT] = {"read", "shapes", "predict", "total"};

typedef struct run {
  double spans[SPAN_COUNT]; /* ms */
  double latency_ms;
  size_t kernel_count;
} run;

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static nnm_status run_once(const nnm_predictor *predictor, const char *path, run *out, nnm_error *error) {
  nnm_model *model = NULL;
  nnm_prediction *prediction = NULL;
  double start = now_ms();
  nnm_status status = nnm_model_read_file(path, NULL, &model, error);
  double read = now_ms(), shaped = read, end = read;
  if (status == NNM_OK) {
    status = nnm_model_infer_shapes(model, NULL, error);
    shaped = end = now_ms();
  }
  if (status == NNM_OK) {
    status = nnm_predict(predictor, model, NULL, &prediction, error);
    end = now_ms();
  }
  if (status == NNM_OK) {
    *out = (run){
        {read - start, shaped - read, end - shaped, end - start}, prediction->latency_ms, prediction->kernel_count};
  }
  nnm_prediction_free(prediction);
  nnm_model_free(model);
  return status;
}

static int compare_doubles(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static void print_spans(const run *runs, double *sorted, int count) {
  for (int span = 0; span < SPAN_COUNT; span++) {
    for (int i = 0; i < count; i++) sorted[i] = runs[i].spans[span];
    qsort(sorted, (size_t)count, sizeof *sorted, compare_doubles);
    printf(", \"%s_ms\": {\"min\": %.6f, \"median\": %.6f}", span_names[span], sorted[0], sorted[count / 2]);
  }
}

static int bench_model(const nnm_predictor *predictor, const char *path, int repeats) {
  run *runs = calloc((size_t)repeats, sizeof *runs);
  double *sorted = calloc((size_t)repeats, sizeof *sorted);
  nnm_error error;
  nnm_status status = runs && sorted ? NNM_OK : NNM_ERROR_MEMORY;
  for (int i = 0; status == NNM_OK && i < repeats; i++) status = run_once(predictor, path, &runs[i], &error);
  if (status == NNM_OK) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"model\": \"%s\", \"kernels\": %zu, \"latency_ms\": %.9g, \"peak_kib\": %ld", path, runs->kernel_count,
           runs->latency_ms, usage.ru_maxrss);
    print_spans(runs, sorted, repeats);
    puts("}");
  } else if (runs && sorted) {
    char text[2048];
    nnm_error_text(&error, text, sizeof text);
    fprintf(stderr, "bench_predict: %s\n", text);
  }
  free(runs);
  free(sorted);
  return status != NNM_OK;
}

int main(int argc, char **argv) {
  int repeats = argc > 2 ? atoi(argv[2]) : 0;
  if (argc < 4 || repeats < 1) {
    fputs("usage: bench_predict PREDICTOR REPEATS MODEL...\n", stderr);
    return 2;
  }
  nnm_predictor *predictor;
  nnm_error error;
  if (nnm_predictor_open(argv[1], NULL, NULL, &predictor, &error) != NNM_OK) {
    char text[2048];
    nnm_error_text(&error, text, sizeof text);
    fprintf(stderr, "bench_predict: %s\n", text);
    return 1;
  }
  int failed = 0;
  for (int i = 3; i < argc; i++) failed |= bench_model(predictor, argv[i], repeats);
  nnm_predictor_free(predictor);
  return failed;
}
