/* What predict and inspect share: opened predictors, and models brought to where a predictor can take them. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "inputs.h"

typedef struct predictor_set {
  nnm_predictor **items;
  size_t count;
} predictor_set;

/* Opens what --predictor names ("all": every one there is, in its newest version). False after telling why. */
bool open_predictors(const cli_settings *settings, predictor_set *out);
void close_predictors(predictor_set *set);

nnm_predict_options predict_options_of(const cli_settings *settings);

/* A model, and its shapes unless they could not be inferred: an nn-Meter IR document carries shapes of its own, which
 * are enough for kernels as nn-Meter 2.0 makes them. */
typedef struct loaded_model {
  nnm_model *model;
  bool has_shapes;
  nnm_error shape_fault; /* when it has none */
} loaded_model;

/* As the file, or the network of torchvision, says; no shapes. */
nnm_status read_input(const model_input *input, nnm_model **out, nnm_error *error);
nnm_status load_model(const model_input *input, const nnm_shape_options *shapes, loaded_model *out, nnm_error *error);
/* After a call on a loaded model that may need shapes: their fault, when it is what made the call fail. */
nnm_status explain_shapes(const loaded_model *loaded, nnm_status status, nnm_error *error);

/* The name to use for a model that could not be read. */
const char *base_name(const char *path);

#endif
