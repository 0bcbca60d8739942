/* docs/json.md describes every field written here. */
#include <math.h>

#include "base/status.h"
#include "report/write.h"

static void write_shape(nnm_text *text, const nnm_kernel_shape *shape) {
  if (shape->dims) nnm_write_json_integers(text, shape->dims, shape->rank);
  else nnm_text_add(text, "null");
}

void nnm_write_json_attributes(nnm_text *text, const nnm_kernel_result *kernel) {
  nnm_text_add(text, "{\"input_shapes\": [");
  for (size_t i = 0; i < kernel->input_count; i++) {
    if (i) nnm_text_add(text, ", ");
    write_shape(text, &kernel->inputs[i]);
  }
  nnm_text_add(text, "]");
  nnm_write_json_key(text, "output_shape");
  write_shape(text, &kernel->output);
  for (size_t i = 0; i < kernel->attribute_count; i++) {
    nnm_write_json_key(text, kernel->attributes[i].name);
    nnm_text_printf(text, "%lld", (long long)kernel->attributes[i].value);
  }
  nnm_write_json_key(text, "multiply_adds");
  nnm_text_printf(text, "%lld}", (long long)kernel->multiply_adds);
}

static void write_kernel(nnm_text *text, const nnm_kernel_result *kernel) {
  nnm_text_add(text, "{\"name\": ");
  nnm_write_json_text(text, kernel->name);
  nnm_write_json_key(text, "type");
  nnm_write_json_text(text, kernel->type);
  nnm_write_json_key(text, "members");
  nnm_write_json_texts(text, kernel->members, kernel->member_count);
  nnm_write_json_key(text, "attributes");
  nnm_write_json_attributes(text, kernel);
  nnm_write_json_key(text, "latency_ms");
  nnm_write_json_number(text, kernel->latency_ms);
  nnm_write_json_key(text, "in_range");
  nnm_text_add(text, kernel->in_range ? "true}" : "false}");
}

static void write_interval(nnm_text *text, const double interval_ms[2]) {
  if (!isfinite(interval_ms[0]) || !isfinite(interval_ms[1])) {
    nnm_text_add(text, "null");
    return;
  }
  nnm_text_add(text, "[");
  nnm_write_json_number(text, interval_ms[0]);
  nnm_text_add(text, ", ");
  nnm_write_json_number(text, interval_ms[1]);
  nnm_text_add(text, "]");
}

nnm_status nnm_report_json(const nnm_prediction *prediction, const nnm_model *model, const nnm_predictor *predictor,
                           bool with_kernels, char **out, nnm_error *error) {
  const nnm_predictor_info *info = nnm_predictor_get_info(predictor);
  nnm_text text = {0};
  nnm_text_add(&text, "{\"model\": ");
  nnm_write_json_text(&text, nnm_model_name(model));
  nnm_write_json_key(&text, "format");
  nnm_write_json_text(&text, nnm_model_format(model));
  nnm_write_json_key(&text, "predictor");
  nnm_write_json_text(&text, info->name);
  nnm_write_json_key(&text, "version");
  nnm_write_json_text(&text, info->version);
  nnm_write_json_key(&text, "latency_ms");
  nnm_write_json_number(&text, prediction->latency_ms);
  nnm_write_json_key(&text, "interval_ms");
  write_interval(&text, prediction->interval_ms);
  nnm_write_json_key(&text, "coverage");
  nnm_write_json_number(&text, prediction->coverage);
  if (with_kernels) {
    nnm_write_json_key(&text, "kernels");
    nnm_text_add(&text, "[");
    for (size_t i = 0; i < prediction->kernel_count; i++) {
      if (i) nnm_text_add(&text, ", ");
      write_kernel(&text, &prediction->kernels[i]);
    }
    nnm_text_add(&text, "]");
  }
  nnm_write_json_key(&text, "notes");
  nnm_write_json_texts(&text, prediction->notes, prediction->note_count);
  nnm_text_add(&text, "}");
  return nnm_finish_text(&text, out, error);
}

nnm_status nnm_report_json_error(const char *model, const nnm_error *fault, char **out, nnm_error *error) {
  char message[NNM_ERROR_FILE_SIZE + NNM_ERROR_PLACE_SIZE + NNM_ERROR_MESSAGE_SIZE];
  nnm_error_text(fault, message, sizeof message);
  nnm_text text = {0};
  nnm_text_add(&text, "{\"model\": ");
  nnm_write_json_text(&text, model);
  nnm_write_json_key(&text, "message");
  nnm_write_json_text(&text, message);
  nnm_text_add(&text, "}");
  return nnm_finish_text(&text, out, error);
}
