#include "kernels.h"

#include <stdlib.h>

#include "predict.h"

static nnm_status make_rows(const nnm_model *model, const nnm_fusion_rules *rules, kernel_rows *out, nnm_error *error) {
  NNM_TRY(nnm_fail_in_file(error, nnm_detect_kernels(model->graph, model->shapes, rules, &out->kernels, error),
                           model->path));
  size_t count = out->kernels->count;
  out->rows = malloc((count ? count : 1) * sizeof *out->rows);
  if (!out->rows) return nnm_fail_memory(error);
  for (size_t i = 0; i < count; i++)
    nnm_kernel_row_of(model->graph, model->shapes, &out->kernels->items[i], &out->rows[i]);
  return NNM_OK;
}

bool kernel_rows_make(const nnm_model *model, const nnm_fusion_rules *rules, kernel_rows *out) {
  *out = (kernel_rows){0};
  nnm_error error = {0};
  nnm_status status;
  Py_BEGIN_ALLOW_THREADS status = make_rows(model, rules, out, &error);
  Py_END_ALLOW_THREADS if (status == NNM_OK) return true;
  kernel_rows_free(out);
  core_raise(&error);
  return false;
}

void kernel_rows_free(kernel_rows *rows) {
  nnm_kernels_free(rows->kernels);
  free(rows->rows);
  *rows = (kernel_rows){0};
}

/* ---------------------------------------------------------------- arrays */

/* count items of size bytes each, taken from the same place of every row. */
static PyObject *column(const nnm_kernel_row *rows, size_t count, size_t offset, size_t size) {
  PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * size));
  char *to = bytes ? PyBytes_AsString(bytes) : NULL;
  for (size_t i = 0; to && i < count; i++) memcpy(to + i * size, (const char *)&rows[i] + offset, size);
  return bytes;
}

PyObject *kernel_rows_features(const nnm_kernel_row *rows, size_t count) {
  return column(rows, count, offsetof(nnm_kernel_row, features), sizeof rows->features);
}

PyObject *kernel_rows_work(const nnm_kernel_row *rows, size_t count) {
  return column(rows, count, offsetof(nnm_kernel_row, work), sizeof rows->work);
}

PyObject *kernel_rows_types(const nnm_kernel_row *rows, size_t count) {
  return column(rows, count, offsetof(nnm_kernel_row, type), sizeof rows->type);
}

static PyObject *turns_of(const nnm_kernels *kernels) {
  PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(kernels->count * sizeof(double)));
  char *to = bytes ? PyBytes_AsString(bytes) : NULL;
  for (size_t i = 0; to && i < kernels->count; i++)
    memcpy(to + i * sizeof(double), &(double){(double)kernels->items[i].repeat}, sizeof(double));
  return bytes;
}

/* ---------------------------------------------------------------- names */

/* Sets item `index` of both lists; false after raising. */
static bool name_kernel(const nnm_detection *detection, size_t index, PyObject *names, PyObject *members) {
  nnm_arena arena = {0};
  nnm_kernel_result result;
  nnm_error error = {0};
  bool named = false;
  if (nnm_describe_detected(detection, index, &arena, &result, &error) != NNM_OK) {
    core_raise(&error);
  } else {
    PyObject *name = core_texts(&result.name, 1), *nodes = core_texts(result.members, result.member_count);
    PyObject *text = name ? PyTuple_GetItem(name, 0) : NULL;
    Py_XINCREF(text);
    Py_XDECREF(name);
    if (text && nodes) {
      named = !PyList_SetItem(names, (Py_ssize_t)index, text); /* takes it over */
      named = !PyList_SetItem(members, (Py_ssize_t)index, nodes) && named;
    } else {
      Py_XDECREF(text);
      Py_XDECREF(nodes);
    }
  }
  nnm_arena_free(&arena);
  return named;
}

PyObject *core_model_kernels(PyObject *object, PyObject *rules_object) {
  const nnm_model *model = core_model_with_shapes(object);
  const nnm_fusion_rules *rules = model ? core_rules_of(rules_object) : NULL;
  kernel_rows rows;
  if (!rules || !kernel_rows_make(model, rules, &rows)) return NULL;
  size_t count = rows.kernels->count;
  nnm_detection detection = {.model = model, .kernels = rows.kernels};
  PyObject *names = PyList_New((Py_ssize_t)count), *members = PyList_New((Py_ssize_t)count), *result = NULL;
  bool named = names && members;
  for (size_t i = 0; named && i < count; i++) named = name_kernel(&detection, i, names, members);
  if (named)
    result = Py_BuildValue("{s:O, s:O, s:N, s:N, s:N, s:N}", "names", names, "members", members, "types",
                           kernel_rows_types(rows.rows, count), "turns", turns_of(rows.kernels), "work",
                           kernel_rows_work(rows.rows, count), "features", kernel_rows_features(rows.rows, count));
  Py_XDECREF(names);
  Py_XDECREF(members);
  kernel_rows_free(&rows);
  return result;
}
