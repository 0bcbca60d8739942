/* Prints what shape inference knows of each tensor, one JSON object a line: what tools/torchvision/simplify.py folds.
 * usage: list_values MODEL.onnx [INPUT:1x3x224x224 ...] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

enum { MOST_INPUTS = 4, MOST_DIMS = 8 };

static bool parse_shape(char *text, nnm_input_shape *shape, int64_t *dims) {
  char *colon = strrchr(text, ':');
  if (!colon) return false;
  *colon = '\0';
  shape->name = text;
  shape->dims = dims;
  for (char *at = colon + 1; *at && shape->rank < MOST_DIMS; at += *at == 'x')
    dims[shape->rank++] = strtoll(at, &at, 10);
  return shape->rank > 0;
}

static void print_tensor(const nnm_graph *graph, const nnm_shapes *shapes, nnm_tensor_id id) {
  const nnm_shape *shape = &shapes->tensors[id];
  const nnm_value *value = shapes->values[id];
  printf("{\"name\": \"%s\", \"constant\": %s, \"type\": \"%s\", \"dims\": ", graph->tensors[id].name,
         shapes->constant[id] ? "true" : "false", nnm_dtype_name(shapes->dtypes[id]));
  if (shape->rank < 0) printf("null");
  for (int32_t i = 0; i < shape->rank; i++) printf("%s%" PRId64, i ? ", " : "[", shape->dims[i]);
  printf("%s, \"values\": ", shape->rank == 0 ? "[]" : shape->rank > 0 ? "]" : "");
  if (!value) printf("null");
  for (size_t i = 0; value && i < value->count; i++) {
    fputs(i ? ", " : "[", stdout);
    if (value->is_float) printf("%.17g", value->as.numbers[i]);
    else printf("%" PRId64, value->as.integers[i]);
  }
  printf("%s}\n", !value ? "" : value->count ? "]" : "[]");
}

int main(int argc, char **argv) {
  nnm_input_shape given[MOST_INPUTS] = {0};
  int64_t dims[MOST_INPUTS][MOST_DIMS];
  nnm_shape_options options = {.input_shapes = given};
  nnm_error error;
  nnm_model *model = NULL;
  for (int i = 2; i < argc && i < 2 + MOST_INPUTS; i++)
    if (parse_shape(argv[i], &given[i - 2], dims[i - 2])) options.input_shape_count++;
  if (argc < 2) return 2;
  if (nnm_model_read_file(argv[1], "onnx", &model, &error) != NNM_OK ||
      nnm_model_infer_shapes(model, &options, &error) != NNM_OK) {
    fprintf(stderr, "%s: %s: %s\n", argv[1], error.place, error.message);
    nnm_model_free(model);
    return 1;
  }
  for (nnm_tensor_id id = 0; id < model->graph->tensor_count; id++) print_tensor(model->graph, model->shapes, id);
  nnm_model_free(model);
  return 0;
}
