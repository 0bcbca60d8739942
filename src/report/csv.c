/* CSV as RFC 4180 has it, but with "\n" at the end of a line and nowhere else. docs/json.md lists the columns. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "report/write.h"

/* Control characters and broken UTF-8 become '?': a name must not look like another line of output. */
static void write_field(nnm_text *text, const char *value) {
  nnm_text safe = {0};
  nnm_write_cell(&safe, value, SIZE_MAX, false);
  const char *at = safe.data ? safe.data : "";
  bool is_quoted = at[strcspn(at, "\",")] != '\0';
  if (is_quoted) nnm_text_add(text, "\"");
  while (*at) {
    size_t length = strcspn(at, "\"");
    nnm_text_add_bytes(text, at, length);
    at += length;
    if (*at) nnm_text_add(text, "\"\""), at++;
  }
  if (is_quoted) nnm_text_add(text, "\"");
  if (safe.failed) text->failed = true;
  nnm_text_free(&safe);
}

static void write_separated_field(nnm_text *text, const char *value) {
  nnm_text_add(text, ",");
  write_field(text, value);
}

/* Empty for what has no value. */
static void write_number(nnm_text *text, double number) {
  char buffer[NNM_NUMBER_SIZE];
  nnm_text_add(text, ",");
  if (isfinite(number)) nnm_text_add(text, nnm_number_text(number, buffer));
}

/* Several texts in one field, separated by spaces or "; ". */
static nnm_status write_joined(nnm_text *text, const char *const *values, size_t count, const char *separator,
                               nnm_error *error) {
  nnm_text joined = {0};
  for (size_t i = 0; i < count; i++) {
    if (i) nnm_text_add(&joined, separator);
    nnm_text_add(&joined, values[i]);
  }
  char *value = NULL;
  nnm_status status = nnm_finish_text(&joined, &value, error);
  if (status == NNM_OK) write_separated_field(text, value);
  nnm_free(value);
  return status;
}

static void write_source(nnm_text *text, const nnm_model *model, const nnm_predictor *predictor) {
  const nnm_predictor_info *info = nnm_predictor_get_info(predictor);
  write_field(text, nnm_model_name(model));
  write_separated_field(text, nnm_model_format(model));
  write_separated_field(text, info->name);
  write_separated_field(text, info->version);
}

static nnm_status write_total(nnm_text *text, const nnm_prediction *prediction, nnm_error *error) {
  write_number(text, prediction->latency_ms);
  write_number(text, prediction->interval_ms[0]);
  write_number(text, prediction->interval_ms[1]);
  write_number(text, prediction->coverage);
  nnm_status status = write_joined(text, prediction->notes, prediction->note_count, "; ", error);
  nnm_text_add(text, "\n");
  return status;
}

static nnm_status write_kernel(nnm_text *text, const nnm_kernel_result *kernel, double total_ms, nnm_error *error) {
  write_separated_field(text, kernel->name);
  write_separated_field(text, kernel->type);
  NNM_TRY(write_joined(text, kernel->members, kernel->member_count, " ", error));
  nnm_text_add(text, ",");
  nnm_write_kernel_shapes(text, kernel, " -> ");
  nnm_text_printf(text, ",%lld", (long long)kernel->multiply_adds);
  write_number(text, kernel->latency_ms);
  write_number(text, total_ms > 0 ? kernel->latency_ms / total_ms : 0);
  nnm_text_add(text, kernel->in_range ? ",true\n" : ",false\n");
  return NNM_OK;
}

static nnm_status write_rows(nnm_text *text, const nnm_prediction *prediction, const nnm_model *model,
                             const nnm_predictor *predictor, bool with_kernels, nnm_error *error) {
  if (!prediction) {
    nnm_text_add(text, with_kernels
                           ? "model,format,predictor,version,kernel,type,members,shapes,multiply_adds,latency_ms,"
                             "share,in_range\n"
                           : "model,format,predictor,version,latency_ms,interval_low_ms,interval_high_ms,"
                             "coverage,notes\n");
    return NNM_OK;
  }
  if (!with_kernels) {
    write_source(text, model, predictor);
    return write_total(text, prediction, error);
  }
  for (size_t i = 0; i < prediction->kernel_count; i++) {
    write_source(text, model, predictor);
    NNM_TRY(write_kernel(text, &prediction->kernels[i], prediction->latency_ms, error));
  }
  return NNM_OK;
}

nnm_status nnm_report_csv(const nnm_prediction *prediction, const nnm_model *model, const nnm_predictor *predictor,
                          bool with_kernels, char **out, nnm_error *error) {
  nnm_text text = {0};
  nnm_status status = write_rows(&text, prediction, model, predictor, with_kernels, error);
  if (status == NNM_OK) return nnm_finish_text(&text, out, error);
  nnm_text_free(&text);
  return status;
}
