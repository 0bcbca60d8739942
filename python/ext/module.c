/* The module itself: its types and the lists that say what rows of numbers mean. */
#include <stdlib.h>

#include "compat/compat.h"
#include "core.h"

PyObject *core_texts(const char *const *texts, size_t count) {
  PyObject *tuple = PyTuple_New((Py_ssize_t)count);
  for (size_t i = 0; tuple && i < count; i++) {
    PyObject *text = PyUnicode_DecodeUTF8(texts[i], (Py_ssize_t)strlen(texts[i]), "replace");
    if (!text || PyTuple_SetItem(tuple, (Py_ssize_t)i, text)) { /* takes the text over */
      Py_DECREF(tuple);
      return NULL;
    }
  }
  return tuple;
}

void core_free_object(PyObject *object) {
  PyTypeObject *type = Py_TYPE(object);
  freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
  release(object);
  Py_DECREF(type);
}

static PyObject *kernel_type_names(void) {
  const char *names[NNM_KERNEL_TYPE_COUNT];
  for (size_t i = 0; i < NNM_KERNEL_TYPE_COUNT; i++) names[i] = nnm_kernel_type_name((nnm_kernel_type)i);
  return core_texts(names, NNM_KERNEL_TYPE_COUNT);
}

static PyObject *texts_up_to_null(const char *const *names) {
  size_t count = 0;
  while (names[count]) count++;
  return core_texts(names, count);
}

/* Takes value over. */
static bool add(PyObject *module, const char *name, PyObject *value) {
  if (!value) return false;
  if (!PyModule_AddObject(module, name, value)) return true;
  Py_DECREF(value);
  return false;
}

static PyObject *compat_predictor(PyObject *module, PyObject *argument) {
  (void)module;
  PyObject *bytes = PyUnicode_AsUTF8String(argument), *result = NULL;
  char *op;
  if (bytes && !PyBytes_AsStringAndSize(bytes, &op, NULL)) result = PyUnicode_FromString(nnm_compat_predictor_of(op));
  Py_XDECREF(bytes);
  return result;
}

static PyObject *compat_rows(PyObject *module, PyObject *argument) {
  (void)module;
  char *text;
  Py_ssize_t size;
  json_t *rows = NULL;
  nnm_error error = {0};
  if (PyBytes_AsStringAndSize(argument, &text, &size)) return NULL;
  if (nnm_compat_rows_of_json(text, (size_t)size, &rows, &error) != NNM_OK) return core_raise(&error);
  char *written = json_dumps(rows, JSON_COMPACT);
  json_decref(rows);
  PyObject *result = written ? PyUnicode_FromString(written) : PyErr_NoMemory();
  free(written);
  return result;
}

static PyObject *detect_format(PyObject *self, PyObject *path) {
  (void)self;
  PyObject *encoded = NULL;
  if (!PyUnicode_FSConverter(path, &encoded)) return NULL;
  const char *format = NULL;
  nnm_error error;
  char *text = PyBytes_AsString(encoded);
  nnm_status status = NNM_OK;
  if (text) {
    Py_BEGIN_ALLOW_THREADS status = nnm_model_detect_format(text, &format, &error);
    Py_END_ALLOW_THREADS
  }
  Py_DECREF(encoded);
  if (!text) return NULL;
  return status == NNM_OK ? PyUnicode_FromString(format) : core_raise(&error);
}

static PyMethodDef functions[] = {
    {"compat_predictor", compat_predictor, METH_O,
     "compat_predictor(kernel) -> name of nn-Meter 2.0's predictor that a kernel of that name asks."},
    {"compat_rows", compat_rows, METH_O,
     "compat_rows(kernels) -> text. kernels: a JSON list of nn-Meter 2.0's kernel dictionaries, as bytes. The text: "
     "for\n"
     "each its {\"predictor\": name, \"row\": features}, or null. Raises Error."},
    {"detect_format", detect_format, METH_O,
     "detect_format(path) -> str: the format of a model file, one of FORMATS, told from its content. Raises Error."},
    {"register", (PyCFunction)(void (*)(void))core_register, METH_VARARGS | METH_KEYWORDS,
     "register(path, home=None) -> name of the predictor that a YAML file describes, or of a predictor file."},
    {"unregister", (PyCFunction)(void (*)(void))core_unregister, METH_VARARGS | METH_KEYWORDS,
     "unregister(name, version=None, home=None) -> how many were removed."},
    {"fetch", (PyCFunction)(void (*)(void))core_fetch, METH_VARARGS | METH_KEYWORDS,
     "fetch(name, url=None, sha256=None, allow_http=False, home=None) -> path of the predictor that was downloaded."},
    {"download", (PyCFunction)(void (*)(void))core_download, METH_VARARGS | METH_KEYWORDS,
     "download(url, descriptor, size_limit_bytes, timeout_s, allow_http=False, progress=None, home=None) -> descriptor "
     "of "
     "the file that holds it."},
    {"search_sums", core_search_sums, METH_VARARGS,
     "search_sums(candidates, sizes, costs, next, constant) -> float64 [candidate] as bytes: for nn_meter.search."},
    {"predictors", (PyCFunction)(void (*)(void))core_list_predictors, METH_VARARGS | METH_KEYWORDS,
     "predictors(home=None) -> list of (name, version, kind, origin, card): built in, then registered."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "nn_meter._core",
                                        .m_doc = "The C library as Python objects.", .m_size = -1,
                                        .m_methods = functions};

PyMODINIT_FUNC PyInit__core(void); /* what Python looks for */

PyMODINIT_FUNC PyInit__core(void) {
  PyObject *module = PyModule_Create(&definition);
  if (!module) return NULL;
  bool complete =
      add(module, "Error", core_make_error_type()) && add(module, "Model", core_make_model_type()) &&
      add(module, "Rules", core_make_rules_type()) && add(module, "Table", core_make_table_type()) &&
      add(module, "Prediction", core_make_prediction_type()) && add(module, "Kernel", core_make_kernel_type()) &&
      add(module, "Predictor", core_make_predictor_type()) &&
      add(module, "FEATURES", core_texts(nnm_feature_names, NNM_FEATURE_COUNT)) &&
      add(module, "WORK", core_texts(nnm_work_names, NNM_WORK_COUNT)) &&
      add(module, "KERNEL_TYPES", kernel_type_names()) && add(module, "FORMATS", texts_up_to_null(nnm_formats())) &&
      add(module, "TORCHVISION", texts_up_to_null(nnm_torchvision_names())) &&
      add(module, "VERSION", PyUnicode_FromString(nnm_version()));
  if (complete) return module;
  Py_DECREF(module);
  return NULL;
}
