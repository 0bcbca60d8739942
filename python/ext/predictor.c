/* Predictor: an opened predictor file, what is in it, and what it says of models and of tables of kernels. */
#include <math.h>
#include <stdlib.h>

#include "options.h"
#include "predictors/network.h"

typedef struct predictor_object {
  PyObject_HEAD nnm_predictor *predictor;
  PyObject *arguments; /* that it was opened with: bytes are used in place, and a copy is opened with the same */
} predictor_object;

static PyTypeObject *predictor_type, *prediction_type, *kernel_type;

static nnm_predictor *predictor_of(PyObject *object) { return ((predictor_object *)(void *)object)->predictor; }

/* ---------------------------------------------------------------- opening and listing */

const nnm_predictor *core_predictor_of(PyObject *object) {
  if (PyObject_TypeCheck(object, predictor_type)) return predictor_of(object);
  PyErr_SetString(PyExc_TypeError, "not a nn_meter.Predictor");
  return NULL;
}

typedef struct predictor_source {
  const char *name, *version, *home;
  const char *data; /* NULL: open by name; otherwise the name stands for the bytes in messages */
  size_t size;
} predictor_source;

static nnm_status open_source(const predictor_source *source, nnm_predictor **out, nnm_error *error) {
  if (!source->data) return nnm_predictor_open(source->name, source->version, source->home, out, error);
  return nnm_predictor_read((const unsigned char *)source->data, source->size, source->name, out, error);
}

static PyObject *open_predictor(PyTypeObject *type, const predictor_source *source, PyObject *call) {
  nnm_predictor *predictor = NULL;
  nnm_error error = {0};
  nnm_status status;
  Py_BEGIN_ALLOW_THREADS status = open_source(source, &predictor, &error);
  Py_END_ALLOW_THREADS if (status != NNM_OK) return core_raise(&error);
  allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
  predictor_object *self = (predictor_object *)(void *)allocate(type, 0);
  if (!self) {
    nnm_predictor_free(predictor);
    return NULL;
  }
  self->predictor = predictor;
  Py_INCREF(call);
  self->arguments = call;
  return (PyObject *)self;
}

static PyObject *predictor_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
  static char *names[] = {"name", "version", "home", NULL};
  PyObject *name, *home = NULL, *name_holder = NULL, *home_holder = NULL, *self = NULL;
  predictor_source source = {.name = "bytes"};
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|zO:Predictor", names, &name, &source.version, &home))
    return NULL;
  PyObject *call = Py_BuildValue("(OzO)", name, source.version, home ? home : Py_None);
  if (!call) return NULL;
  if (PyBytes_Check(name)) {
    char *data;
    Py_ssize_t size;
    if (!PyBytes_AsStringAndSize(name, &data, &size)) {
      source.data = data;
      source.size = (size_t)size;
      self = open_predictor(type, &source, call);
    }
  } else if (PyUnicode_FSConverter(name, &name_holder) && core_read_path(home, &home_holder, &source.home)) {
    source.name = PyBytes_AsString(name_holder);
    self = open_predictor(type, &source, call);
  }
  Py_DECREF(call);
  Py_XDECREF(home_holder);
  Py_XDECREF(name_holder);
  return self;
}

static void predictor_free(PyObject *object) {
  nnm_predictor_free(predictor_of(object));
  Py_XDECREF(((predictor_object *)(void *)object)->arguments);
  core_free_object(object);
}

/* For pickle, and with it multiprocessing: opened once more over there. */
static PyObject *predictor_reduce(PyObject *object, PyObject *unused) {
  (void)unused;
  return Py_BuildValue("(OO)", predictor_type, ((predictor_object *)(void *)object)->arguments);
}

static PyObject *decode(const char *text) { return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace"); }

static PyObject *describe(const nnm_predictor_info *info) {
  return Py_BuildValue("(NNNNN)", decode(info->name), decode(info->version), decode(info->kind), decode(info->origin),
                       decode(info->card));
}

PyObject *core_list_predictors(PyObject *module, PyObject *arguments, PyObject *keywords) {
  (void)module;
  static char *names[] = {"home", NULL};
  PyObject *argument = NULL, *holder = NULL, *result = NULL;
  const char *home;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O:predictors", names, &argument) ||
      !core_read_path(argument, &holder, &home))
    return NULL;
  nnm_predictor_list *list;
  nnm_error error = {0};
  if (nnm_predictor_list_create(home, &list, &error) != NNM_OK) {
    core_raise(&error);
  } else {
    size_t count = nnm_predictor_list_count(list);
    result = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; result && i < count; i++) {
      PyObject *item = describe(nnm_predictor_list_at(list, i));
      if (!item || PyList_SetItem(result, (Py_ssize_t)i, item)) Py_CLEAR(result);
    }
    nnm_predictor_list_free(list);
  }
  Py_XDECREF(holder);
  return result;
}

/* ---------------------------------------------------------------- what is in the file */

typedef enum predictor_text { TEXT_NAME, TEXT_VERSION, TEXT_KIND, TEXT_ORIGIN, TEXT_CARD } predictor_text;

static PyObject *predictor_info(PyObject *object, void *closure) {
  const nnm_predictor_info *info = nnm_predictor_get_info(predictor_of(object));
  const char *const texts[] = {[TEXT_NAME] = info->name,
                               [TEXT_VERSION] = info->version,
                               [TEXT_KIND] = info->kind,
                               [TEXT_ORIGIN] = info->origin,
                               [TEXT_CARD] = info->card};
  return decode(texts[(uintptr_t)closure]);
}

static PyObject *predictor_rules(PyObject *object, void *closure) {
  (void)closure;
  const char *text = predictor_of(object)->rules->text;
  return PyBytes_FromStringAndSize(text, (Py_ssize_t)strlen(text));
}

static PyObject *predictor_data(PyObject *object, void *closure) {
  (void)closure;
  const nnm_predictor *predictor = predictor_of(object);
  return PyBytes_FromStringAndSize((const char *)predictor->section, (Py_ssize_t)predictor->section_size);
}

/* ---------------------------------------------------------------- predicting */

static PyObject *bounds(const nnm_prediction *prediction) {
  if (!isfinite(prediction->interval_ms[0]) || !isfinite(prediction->interval_ms[1])) Py_RETURN_NONE;
  return Py_BuildValue("(dd)", prediction->interval_ms[0], prediction->interval_ms[1]);
}

/* A new object of the struct sequence type; takes the values over. */
static PyObject *make_sequence(PyTypeObject *type, PyObject *const *values, size_t count) {
  PyObject *result = PyStructSequence_New(type);
  bool complete = result != NULL;
  for (size_t i = 0; i < count; i++) {
    complete = complete && values[i];
    if (complete) PyStructSequence_SetItem(result, (Py_ssize_t)i, values[i]);
    else Py_XDECREF(values[i]);
  }
  if (complete) return result;
  Py_XDECREF(result);
  return NULL;
}

static PyObject *shape_tuple(const nnm_kernel_shape *shape) {
  if (!shape->dims) Py_RETURN_NONE; /* unknown */
  PyObject *tuple = PyTuple_New((Py_ssize_t)shape->rank);
  for (size_t i = 0; tuple && i < shape->rank; i++) {
    PyObject *size = PyLong_FromLongLong(shape->dims[i]);
    if (!size || PyTuple_SetItem(tuple, (Py_ssize_t)i, size)) Py_CLEAR(tuple);
  }
  return tuple;
}

static PyObject *shape_tuples(const nnm_kernel_shape *shapes, size_t count) {
  PyObject *tuple = PyTuple_New((Py_ssize_t)count);
  for (size_t i = 0; tuple && i < count; i++) {
    PyObject *shape = shape_tuple(&shapes[i]);
    if (!shape || PyTuple_SetItem(tuple, (Py_ssize_t)i, shape)) Py_CLEAR(tuple);
  }
  return tuple;
}

static PyObject *attribute_dictionary(const nnm_kernel_result *kernel) {
  PyObject *dictionary = PyDict_New();
  for (size_t i = 0; dictionary && i < kernel->attribute_count; i++) {
    PyObject *value = PyLong_FromLongLong(kernel->attributes[i].value);
    if (!value || PyDict_SetItemString(dictionary, kernel->attributes[i].name, value)) Py_CLEAR(dictionary);
    Py_XDECREF(value);
  }
  return dictionary;
}

static PyObject *make_kernel(const nnm_kernel_result *kernel) {
  PyObject *const values[] = {decode(kernel->name),
                              decode(kernel->type),
                              PyFloat_FromDouble(kernel->latency_ms),
                              PyBool_FromLong(kernel->in_range && kernel->has_predictor),
                              core_texts(kernel->members, kernel->member_count),
                              PyLong_FromLongLong(kernel->multiply_adds),
                              shape_tuples(kernel->inputs, kernel->input_count),
                              shape_tuple(&kernel->output),
                              attribute_dictionary(kernel)};
  return make_sequence(kernel_type, values, sizeof values / sizeof values[0]);
}

static PyObject *kernel_list(const nnm_prediction *prediction) {
  PyObject *list = PyList_New((Py_ssize_t)prediction->kernel_count);
  for (size_t i = 0; list && i < prediction->kernel_count; i++) {
    PyObject *item = make_kernel(&prediction->kernels[i]);
    if (!item || PyList_SetItem(list, (Py_ssize_t)i, item)) Py_CLEAR(list);
  }
  return list;
}

static PyObject *make_prediction(const nnm_prediction *prediction) {
  PyObject *const values[] = {PyFloat_FromDouble(prediction->latency_ms),
                              PyFloat_FromDouble(prediction->constant_ms),
                              bounds(prediction),
                              PyFloat_FromDouble(prediction->coverage),
                              core_texts(prediction->notes, prediction->note_count),
                              kernel_list(prediction)};
  return make_sequence(prediction_type, values, sizeof values / sizeof values[0]);
}

static PyObject *predictor_predict(PyObject *object, PyObject *arguments, PyObject *keywords) {
  static char *names[] = {"model", "compat", NULL};
  PyObject *model_argument;
  const char *compat = NULL;
  nnm_predict_options options = {0};
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|z:predict", names, &model_argument, &compat) ||
      !core_read_compat(compat, &options.compat))
    return NULL;
  const nnm_model *model = core_model_of(model_argument);
  if (!model) return NULL;
  nnm_prediction *prediction = NULL;
  nnm_error error = {0};
  nnm_status status;
  Py_BEGIN_ALLOW_THREADS status = nnm_predict(predictor_of(object), model, &options, &prediction, &error);
  Py_END_ALLOW_THREADS if (status != NNM_OK) return core_raise_of_model(model_argument, &error);
  PyObject *result = make_prediction(prediction);
  nnm_prediction_free(prediction);
  return result;
}

/* Kernels as three arrays: borrowed from the caller's bytes, perhaps unaligned. */
typedef struct row_arrays {
  const char *types, *work, *features;
  size_t count;
} row_arrays;

static bool parse_rows(PyObject *arguments, row_arrays *out) {
  Py_ssize_t types_size, work_size, features_size;
  if (!PyArg_ParseTuple(arguments, "y#y#y#:estimate", &out->types, &types_size, &out->work, &work_size, &out->features,
                        &features_size))
    return false;
  size_t count = out->count = (size_t)types_size / sizeof(int32_t);
  bool fits = (size_t)types_size == count * sizeof(int32_t) &&
              (size_t)work_size == count * NNM_WORK_COUNT * sizeof(double) &&
              (size_t)features_size == count * NNM_FEATURE_COUNT * sizeof(float);
  for (size_t i = 0; fits && i < count; i++) {
    int32_t type;
    memcpy(&type, out->types + i * sizeof type, sizeof type);
    fits = type >= 0 && type < NNM_KERNEL_TYPE_COUNT;
  }
  if (!fits)
    PyErr_SetString(PyExc_ValueError,
                    "types, work and features must be int32 [row] of KERNEL_TYPES, float64 [row, WORK] and float32 "
                    "[row, FEATURES]");
  return fits;
}

static nnm_kernel_row row_at(const row_arrays *rows, size_t i) {
  nnm_kernel_row row;
  memcpy(&row.type, rows->types + i * sizeof row.type, sizeof row.type);
  memcpy(row.work, rows->work + i * sizeof row.work, sizeof row.work);
  memcpy(row.features, rows->features + i * sizeof row.features, sizeof row.features);
  return row;
}

/* float64 [row] each, perhaps unaligned. */
static void estimate_rows(const nnm_network *network, const row_arrays *rows, char *latencies, char *doubts) {
  for (size_t i = 0; i < rows->count; i++) {
    nnm_kernel_row row = row_at(rows, i);
    nnm_kernel_estimate estimate;
    nnm_network_estimate(network, &row, &estimate);
    memcpy(latencies + i * sizeof(double), &estimate.latency_ms, sizeof(double));
    memcpy(doubts + i * sizeof(double), &estimate.doubt, sizeof(double));
  }
}

static PyObject *predictor_estimate(PyObject *object, PyObject *arguments) {
  const nnm_predictor *predictor = predictor_of(object);
  row_arrays rows;
  if (!parse_rows(arguments, &rows)) return NULL;
  if (predictor->kind != &nnm_predictor_network) {
    nnm_error error = {0};
    nnm_fail(
        &error, NNM_ERROR_UNSUPPORTED, NULL,
        "predictor '%s' is of kind %s, which knows kernels only as nn-Meter 2.0 made them; give one of kind network",
        predictor->info.name, predictor->info.kind);
    return core_raise(&error);
  }
  PyObject *latencies = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(rows.count * sizeof(double)));
  PyObject *doubts = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(rows.count * sizeof(double)));
  if (!latencies || !doubts) {
    Py_XDECREF(latencies);
    Py_XDECREF(doubts);
    return NULL;
  }
  char *latency = PyBytes_AsString(latencies), *doubt = PyBytes_AsString(doubts);
  const nnm_network *network = predictor->state;
  Py_BEGIN_ALLOW_THREADS estimate_rows(network, &rows, latency, doubt);
  Py_END_ALLOW_THREADS return Py_BuildValue("(NNd)", latencies, doubts, network->constant_ms);
}

/* ---------------------------------------------------------------- the types */

PyObject *core_make_prediction_type(void) {
  static PyStructSequence_Field fields[] = {
      {"latency_ms", "milliseconds"},
      {"constant_ms", "the part of it that belongs to no kernel"},
      {"interval_ms",
       "(lower, upper): nine of ten measurements are expected between them; None: the predictor has no interval"},
      {"coverage", "0..1: share of the latency that comes from kernels within the training range"},
      {"notes", "tuple of texts: everything guessed, extrapolated or left out"},
      {"kernels", "list of Kernel, in execution order"},
      {NULL, NULL},
  };
  static PyStructSequence_Desc description = {"nn_meter.Prediction", "What a predictor says of a model.", fields, 6};
  prediction_type = PyStructSequence_NewType(&description);
  return (PyObject *)prediction_type;
}

PyObject *core_make_kernel_type(void) {
  static PyStructSequence_Field fields[] = {
      {"name", "type and number within the model: \"conv-bn-relu#3\""},
      {"type", "\"conv\""},
      {"latency_ms", "milliseconds"},
      {"in_range", "whether the predictor was trained on kernels like it"},
      {"nodes", "tuple of the names of its nodes in the model file"},
      {"multiply_adds", "how many"},
      {"inputs", "tuple of shapes, channels last for images; None: unknown"},
      {"output", "shape"},
      {"attributes", "{\"kernel_size\": 3, ...}"},
      {NULL, NULL},
  };
  static PyStructSequence_Desc description = {"nn_meter.Kernel", "One kernel of a prediction.", fields, 9};
  kernel_type = PyStructSequence_NewType(&description);
  return (PyObject *)kernel_type;
}

PyObject *core_make_predictor_type(void) {
  static PyMethodDef methods[] = {
      {"predict", (PyCFunction)(void (*)(void))predictor_predict, METH_VARARGS | METH_KEYWORDS,
       "predict(model, compat=None) -> Prediction. compat: how kernels are made, \"own\" or \"nn-meter-2.0\"; None: "
       "as\n"
       "the predictor was trained. Raises Error."},
      {"estimate", predictor_estimate, METH_VARARGS,
       "estimate(types, work, features) -> (float64 [row] milliseconds of one turn, float64 [row] doubt: 0 within the\n"
       "measured range, up to 2 outside, as bytes; constant_ms). The arrays are those of Table.rows(), as bytes. "
       "Raises\n"
       "Error for predictors that are not of kind network, ValueError."},
      {"__reduce__", predictor_reduce, METH_NOARGS, "For pickle: it is opened once more, by the same name or bytes."},
      {NULL, NULL, 0, NULL},
  };
  static PyGetSetDef attributes[] = {
      {"name", predictor_info, NULL, "\"cortexA76cpu_tflite21\"", (void *)TEXT_NAME},
      {"version", predictor_info, NULL, "\"1.0\"", (void *)TEXT_VERSION},
      {"kind", predictor_info, NULL, "\"network\" (ours) or \"forest\" (imported)", (void *)TEXT_KIND},
      {"origin", predictor_info, NULL, "\"built in\", or the file.", (void *)TEXT_ORIGIN},
      {"card", predictor_info, NULL, "One paragraph: device, data, accuracy, unit.", (void *)TEXT_CARD},
      {"rules", predictor_rules, NULL, "Text of its fusion_rules.json, as bytes.", NULL},
      {"data", predictor_data, NULL, "The kind's section of the file, as bytes; docs/predictor-format.md.", NULL},
      {NULL, NULL, NULL, NULL, NULL},
  };
  static PyType_Slot slots[] = {
      {Py_tp_doc, "Predictor(name, version=None, home=None)\n--\n\n"
                  "Opens a predictor: a built-in or registered one by name (version None: the newest), a file by its\n"
                  "path, or a file's content as bytes. home: where predictors are registered; None: the user's "
                  "folder. Raises Error."},
      {Py_tp_new, (void *)(uintptr_t)predictor_new},
      {Py_tp_dealloc, (void *)(uintptr_t)predictor_free},
      {Py_tp_methods, methods},
      {Py_tp_getset, attributes},
      {0, NULL},
  };
  static PyType_Spec spec = {"nn_meter._core.Predictor", sizeof(predictor_object), 0, Py_TPFLAGS_DEFAULT, slots};
  PyObject *type = PyType_FromSpec(&spec);
  predictor_type = (PyTypeObject *)(void *)type;
  return type;
}
