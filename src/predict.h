/* Finding the kernels of a model the way a predictor wants them; shared by nnm_predict and nnm_inspect. */
#ifndef NNM_PREDICT_H
#define NNM_PREDICT_H

#include "kernels/kernels.h"
#include "model.h"
#include "predictors/predictor.h"

typedef struct nnm_detection {
  const nnm_model *model;
  bool compat;      /* nn-Meter 2.0's kernels: each has .compat */
  const nnm_ir *ir; /* the document that compat kernels are of; NULL in our own mode */
  nnm_kernels *kernels;
  nnm_ir *own_ir;              /* made for this detection; NULL when the model is a document itself */
  nnm_fusion_rules *own_rules; /* of options->fusion_rules_path; NULL when the predictor's were used */
} nnm_detection;

/* predictor may be NULL when the options give fusion rules; options may be NULL when there is a predictor. *out is
 * zeroed first and needs nnm_detection_free only after success. */
nnm_status nnm_detect_model_kernels(const nnm_model *model, const nnm_predictor *predictor,
                                    const nnm_predict_options *options, nnm_detection *out, nnm_error *error);
void nnm_detection_free(nnm_detection *detection);

/* What a caller sees of kernel `index`, all but its latency. Everything is copied into arena. */
nnm_status nnm_describe_detected(const nnm_detection *detection, size_t index, nnm_arena *arena, nnm_kernel_result *out,
                                 nnm_error *error);

#endif
