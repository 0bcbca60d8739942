/* The shortest useful program: milliseconds of one model on one device.
 *
 *   cc predict.c $(pkg-config --cflags --libs nnmeter) -o predict
 *   ./predict cortexA76cpu_tflite21 squeezenet.onnx */
#include <stdio.h>

#include "nnmeter/nnmeter.h"

static int fail(const nnm_error *error) {
  char text[2048];
  nnm_error_text(error, text, sizeof text);
  fprintf(stderr, "%s\n", text);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fputs("usage: predict PREDICTOR MODEL\n", stderr);
    return 2;
  }
  nnm_error error;
  nnm_predictor *predictor = NULL;
  nnm_model *model = NULL;
  nnm_prediction *prediction = NULL;
  int exit_code = 0;
  if (nnm_predictor_open(argv[1], NULL, NULL, &predictor, &error) != NNM_OK ||
      nnm_model_read_file(argv[2], NULL, &model, &error) != NNM_OK ||
      nnm_model_infer_shapes(model, NULL, &error) != NNM_OK ||
      nnm_predict(predictor, model, NULL, &prediction, &error) != NNM_OK) {
    exit_code = fail(&error);
  } else {
    printf("%.2f ms, %.0f %% of it from kernels that the predictor knows well\n", prediction->latency_ms,
           100 * prediction->coverage);
    for (size_t i = 0; i < prediction->note_count; i++) printf("note: %s\n", prediction->notes[i]);
  }
  nnm_prediction_free(prediction);
  nnm_model_free(model);
  nnm_predictor_free(predictor);
  return exit_code;
}
