#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "compat/compat.h"
#include "features/features.h"
#include "inspect.h"
#include "report/write.h"

static void pad(nnm_text *text, size_t from, size_t to) {
  for (; from < to; from++) nnm_text_add(text, " ");
}

static void write_kernel_json(nnm_text *text, const nnm_kernel *kernel, const nnm_kernel_result *described) {
  nnm_text_add(text, "{\"name\": ");
  nnm_write_json_text(text, described->name);
  nnm_write_json_key(text, "type");
  nnm_write_json_text(text, described->type);
  nnm_write_json_key(text, "predicted_as");
  nnm_write_json_text(text, nnm_kernel_type_name(kernel->type));
  nnm_write_json_key(text, "members");
  nnm_write_json_texts(text, described->members, described->member_count);
  nnm_write_json_key(text, "attributes");
  nnm_write_json_attributes(text, described);
  nnm_text_add(text, "}");
}

static void write_kernel_line(nnm_text *text, size_t index, const nnm_kernel_result *described) {
  enum { TYPE_COLUMNS = 24, SHAPE_COLUMNS = 40 };
  nnm_text_printf(text, "%6zu  ", index);
  pad(text, nnm_write_cell(text, described->type, SIZE_MAX, false), TYPE_COLUMNS);
  nnm_text_add(text, "  ");
  size_t start = text->length;
  nnm_write_kernel_shapes(text, described, " -> ");
  pad(text, text->length - start, SHAPE_COLUMNS);
  for (size_t i = 0; i < described->member_count; i++) {
    nnm_text_add(text, i ? ", " : "  ");
    nnm_write_cell(text, described->members[i], SIZE_MAX, false);
  }
  nnm_text_add(text, "\n");
}

static nnm_status write_kernels(const nnm_detection *detection, bool as_json, nnm_text *text, nnm_error *error) {
  nnm_arena arena = {0};
  nnm_status status = NNM_OK;
  for (size_t i = 0; i < detection->kernels->count && status == NNM_OK; i++) {
    nnm_kernel_result described;
    status = nnm_describe_detected(detection, i, &arena, &described, error);
    if (status != NNM_OK) break;
    if (as_json && i) nnm_text_add(text, ", ");
    if (as_json) write_kernel_json(text, &detection->kernels->items[i], &described);
    else write_kernel_line(text, i, &described);
  }
  nnm_arena_free(&arena);
  return status;
}

/* As nn-Meter 2.0 has them in its dictionaries. */
static nnm_status write_compat_json(const nnm_kernels *kernels, nnm_text *text, nnm_error *error) {
  json_t *list;
  NNM_TRY(nnm_compat_kernels_json(kernels, &list, error));
  char *printed = json_dumps(list, JSON_ENSURE_ASCII);
  json_decref(list);
  if (!printed) return nnm_fail_memory(error);
  nnm_text_add(text, printed);
  free(printed);
  return NNM_OK;
}

nnm_status nnm_print_kernels(const nnm_detection *detection, bool as_json, nnm_text *text, nnm_error *error) {
  const nnm_kernels *kernels = detection->kernels;
  if (as_json && detection->compat) {
    nnm_text_add(text, "{\"kernels\": ");
    NNM_TRY(write_compat_json(kernels, text, error));
    nnm_text_add(text, "}\n");
    return NNM_OK;
  }
  if (as_json) nnm_text_add(text, "{\"kernels\": [");
  NNM_TRY(write_kernels(detection, as_json, text, error));
  if (as_json) {
    nnm_text_add(text, "]");
    nnm_write_json_key(text, "notes");
    nnm_write_json_texts(text, kernels->notes, kernels->note_count);
    nnm_text_add(text, "}\n");
  }
  for (size_t i = 0; i < kernels->note_count && !as_json; i++) {
    nnm_text_add(text, "note: ");
    nnm_write_cell(text, kernels->notes[i], SIZE_MAX, false);
    nnm_text_add(text, "\n");
  }
  return NNM_OK;
}

/* The numbers the predictor sees of a kernel: nn-Meter 2.0's row, or our own features. */
static size_t feature_row(const nnm_detection *detection, const nnm_kernel *kernel, double *row) {
  const nnm_compat_kernel *compat = kernel->compat;
  if (compat) {
    memcpy(row, compat->row, compat->row_count * sizeof *row);
    return compat->row_count;
  }
  float features[NNM_FEATURE_COUNT];
  nnm_kernel_features(detection->model->graph, detection->model->shapes, kernel, features);
  for (size_t i = 0; i < NNM_FEATURE_COUNT; i++) row[i] = (double)features[i];
  return NNM_FEATURE_COUNT;
}

static void write_row(nnm_text *text, const char *name, const double *row, size_t count, bool as_json) {
  char number[NNM_NUMBER_SIZE];
  if (as_json) {
    nnm_text_add(text, "[");
    nnm_write_json_text(text, name);
    nnm_text_add(text, ", [");
  } else {
    pad(text, nnm_write_cell(text, name, SIZE_MAX, false), 28);
  }
  for (size_t i = 0; i < count; i++) {
    nnm_text_add(text, as_json ? (i ? ", " : "") : "  ");
    nnm_text_add(text, nnm_number_text(row[i], number));
  }
  nnm_text_add(text, as_json ? "]]" : "\n");
}

static const char *label_of(const nnm_kernel *kernel, size_t index, nnm_arena *arena) {
  return kernel->compat ? kernel->compat->name : nnm_arena_numbered(arena, kernel->name, index);
}

static void write_feature_names(const nnm_detection *detection, bool as_json, nnm_text *text) {
  if (as_json) nnm_text_add(text, "{");
  if (detection->compat) return; /* nn-Meter 2.0's rows differ from type to type and have no names */
  nnm_text_add(text, as_json ? "\"names\": " : "features: ");
  nnm_write_json_texts(text, nnm_feature_names, NNM_FEATURE_COUNT);
  nnm_text_add(text, as_json ? ", " : "\n");
}

static nnm_status write_features(const nnm_detection *detection, bool as_json, nnm_arena *arena, nnm_text *text,
                                 nnm_error *error) {
  const nnm_kernels *kernels = detection->kernels;
  enum { MOST = (int)NNM_FEATURE_COUNT > (int)NNM_COMPAT_MAX_ROW ? (int)NNM_FEATURE_COUNT : (int)NNM_COMPAT_MAX_ROW };
  double row[MOST];
  nnm_text without = {0}; /* the kernels that nn-Meter 2.0 makes no features of */
  size_t with_count = 0, without_count = 0;
  write_feature_names(detection, as_json, text);
  if (as_json) nnm_text_add(text, "\"features\": [");
  for (size_t i = 0; i < kernels->count; i++) {
    const char *name = label_of(&kernels->items[i], i, arena);
    size_t count = feature_row(detection, &kernels->items[i], row);
    if (!name) text->failed = true;
    if (!name) break;
    if (count) {
      if (as_json && with_count++) nnm_text_add(text, ", ");
      write_row(text, name, row, count, as_json);
    } else if (as_json) {
      if (without_count++) nnm_text_add(&without, ", ");
      nnm_write_json_text(&without, name);
    } else {
      pad(text, nnm_write_cell(text, name, SIZE_MAX, false), 28);
      nnm_text_add(text, "  no features\n");
    }
  }
  if (as_json) nnm_text_printf(text, "], \"no_feature\": [%s]}\n", without.data ? without.data : "");
  bool failed = text->failed || without.failed;
  nnm_text_free(&without);
  return failed ? nnm_fail_memory(error) : NNM_OK;
}

nnm_status nnm_print_features(const nnm_detection *detection, bool as_json, nnm_text *text, nnm_error *error) {
  nnm_arena arena = {0};
  nnm_status status = write_features(detection, as_json, &arena, text, error);
  nnm_arena_free(&arena);
  return status;
}
