/* Model: a model that was read, and its shapes; it never changes afterwards. */
#include "kernels.h"
#include "options.h"

typedef struct model_object {
  PyObject_HEAD nnm_model *model;
  PyObject *bytes;        /* what the model borrows from; NULL when it was read from a file */
  nnm_error *shape_fault; /* why its shapes are not known; NULL when they are */
} model_object;

static PyTypeObject *model_type;

static model_object *model_of(PyObject *object) {
  if (PyObject_TypeCheck(object, model_type)) return (model_object *)(void *)object;
  PyErr_SetString(PyExc_TypeError, "not a nn_meter.Model");
  return NULL;
}

const nnm_model *core_model_of(PyObject *object) {
  model_object *self = model_of(object);
  return self ? self->model : NULL;
}

const nnm_model *core_model_with_shapes(PyObject *object) {
  model_object *self = model_of(object);
  if (self && self->shape_fault) return core_raise(self->shape_fault), NULL;
  return self ? self->model : NULL;
}

PyObject *core_raise_of_model(PyObject *object, const nnm_error *error) {
  const nnm_error *fault = model_of(object)->shape_fault;
  return core_raise(fault && error->status == NNM_ERROR_ARGUMENT ? fault : error);
}

/* ---------------------------------------------------------------- input shapes */

typedef struct shape_list {
  nnm_input_shape *items;
  size_t count;
} shape_list;

static void free_shapes(shape_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    PyMem_Free((void *)(uintptr_t)list->items[i].name);
    PyMem_Free((void *)(uintptr_t)list->items[i].dims);
  }
  PyMem_Free(list->items);
}

static char *copy_text(PyObject *text) {
  PyObject *encoded = PyUnicode_AsUTF8String(text);
  char *bytes = NULL, *copy = NULL;
  if (encoded && !PyBytes_AsStringAndSize(encoded, &bytes, NULL)) {
    copy = PyMem_Malloc(strlen(bytes) + 1);
    if (copy) strcpy(copy, bytes);
    else PyErr_NoMemory();
  }
  Py_XDECREF(encoded);
  return copy;
}

static bool read_shape(PyObject *name, PyObject *dims, nnm_input_shape *out) {
  out->name = copy_text(name);
  Py_ssize_t rank = out->name ? PySequence_Size(dims) : -1;
  if (rank < 0) return false;
  int64_t *sizes = PyMem_Malloc(((size_t)rank + 1) * sizeof *sizes);
  if (!sizes) return PyErr_NoMemory(), false;
  out->dims = sizes;
  out->rank = (size_t)rank;
  for (Py_ssize_t i = 0; i < rank; i++) {
    PyObject *item = PySequence_GetItem(dims, i);
    sizes[i] = item ? PyLong_AsLongLong(item) : -1;
    Py_XDECREF(item);
    if (PyErr_Occurred()) return false;
  }
  return true;
}

/* {name: dims}; False after raising. */
static bool read_shapes(PyObject *dictionary, shape_list *out) {
  if (!dictionary || dictionary == Py_None) return true;
  if (!PyDict_Check(dictionary)) return PyErr_SetString(PyExc_TypeError, "input_shapes is no dictionary"), false;
  out->items = PyMem_Calloc((size_t)PyDict_Size(dictionary) + 1, sizeof *out->items);
  if (!out->items) return PyErr_NoMemory(), false;
  PyObject *name, *dims;
  for (Py_ssize_t at = 0; PyDict_Next(dictionary, &at, &name, &dims);)
    if (!read_shape(name, dims, &out->items[out->count++])) return false;
  return true;
}

/* ---------------------------------------------------------------- reading */

typedef struct model_source {
  const char *path; /* or, in messages, the name of the bytes */
  const char *data; /* NULL: read the file */
  size_t size;
  const char *format;
  nnm_shape_options options;
} model_source;

/* A document of nn-Meter's IR says its shapes itself: what nn-Meter 2.0 made of it is also known where they are wrong. */
static nnm_status read_model(const model_source *source, nnm_model **out, bool *has_shapes, nnm_error *error) {
  nnm_model *model;
  bool is_network = !source->data && source->format && !strcmp(source->format, "torchvision");
  NNM_TRY(source->data ? nnm_model_read_memory(source->data, source->size, source->path, source->format, &model, error)
          : is_network ? nnm_model_read_torchvision(source->path, &model, error)
                       : nnm_model_read_file(source->path, source->format, &model, error));
  nnm_status status = nnm_model_infer_shapes(model, &source->options, error);
  *has_shapes = status == NNM_OK;
  if (status != NNM_OK && (status == NNM_ERROR_MEMORY || !model->ir)) {
    nnm_model_free(model);
    return status;
  }
  *out = model;
  return NNM_OK;
}

/* The source's bytes or path; *holder keeps it alive. */
static bool read_source(PyObject *object, const char *name, model_source *source, PyObject **holder) {
  char *text;
  Py_ssize_t size;
  if (PyBytes_Check(object)) {
    Py_INCREF(object);
    *holder = object;
    if (PyBytes_AsStringAndSize(object, &text, &size)) return false;
    source->data = text;
    source->size = (size_t)size;
    source->path = name ? name : "model";
    return true;
  }
  if (!PyUnicode_FSConverter(object, holder) || PyBytes_AsStringAndSize(*holder, &text, NULL)) return false;
  source->path = text;
  return true;
}

static PyObject *make_model(PyTypeObject *type, const model_source *source, PyObject *holder) {
  nnm_model *model = NULL;
  nnm_error error = {0};
  nnm_status status;
  bool has_shapes;
  Py_BEGIN_ALLOW_THREADS status = read_model(source, &model, &has_shapes, &error);
  Py_END_ALLOW_THREADS if (status != NNM_OK) return core_raise(&error);
  allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
  model_object *self = (model_object *)(void *)allocate(type, 0);
  if (!self) {
    nnm_model_free(model);
    return NULL;
  }
  self->model = model;
  if (!has_shapes) {
    self->shape_fault = PyMem_Malloc(sizeof error);
    if (!self->shape_fault) {
      Py_DECREF(self);
      return PyErr_NoMemory();
    }
    *self->shape_fault = error;
  }
  if (source->data) {
    Py_INCREF(holder);
    self->bytes = holder;
  }
  return (PyObject *)self;
}

static PyObject *model_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
  static char *names[] = {"source", "name", "format", "batch_size", "input_shapes", NULL};
  PyObject *object, *dictionary = NULL, *holder = NULL, *self = NULL;
  const char *name = NULL, *format = NULL;
  long long batch_size = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|zzLO:Model", names, &object, &name, &format, &batch_size,
                                   &dictionary))
    return NULL;
  model_source source = {.format = format};
  shape_list shapes = {0};
  if (read_source(object, name, &source, &holder) && read_shapes(dictionary, &shapes)) {
    source.options = (nnm_shape_options){batch_size, shapes.items, shapes.count};
    self = make_model(type, &source, holder);
  }
  free_shapes(&shapes);
  Py_XDECREF(holder);
  return self;
}

static void model_free(PyObject *object) {
  model_object *self = (model_object *)(void *)object;
  nnm_model_free(self->model);
  PyMem_Free(self->shape_fault);
  Py_XDECREF(self->bytes);
  core_free_object(object);
}

/* ---------------------------------------------------------------- attributes */

static PyObject *model_name(PyObject *object, void *closure) {
  (void)closure;
  const char *name = nnm_model_name(core_model_of(object));
  return PyUnicode_DecodeUTF8(name, (Py_ssize_t)strlen(name), "replace");
}

static PyObject *model_format(PyObject *object, void *closure) {
  (void)closure;
  return PyUnicode_FromString(nnm_model_format(core_model_of(object)));
}

/* ---------------------------------------------------------------- what is in it */

/* A text of the library as a Python string; frees it. */
static PyObject *take_text(char *text) {
  PyObject *result = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
  nnm_free(text);
  return result;
}

static PyObject *model_to_ir(PyObject *object, PyObject *none) {
  (void)none;
  const nnm_model *model = core_model_with_shapes(object);
  if (!model) return NULL;
  char *text = NULL;
  nnm_error error = {0};
  nnm_status status;
  Py_BEGIN_ALLOW_THREADS status = nnm_model_to_ir(model, &text, &error);
  Py_END_ALLOW_THREADS return status == NNM_OK ? take_text(text) : core_raise(&error);
}

static const core_choice stages[] = {{"graph", NNM_STAGE_GRAPH},
                                     {"shapes", NNM_STAGE_SHAPES},
                                     {"kernels", NNM_STAGE_KERNELS},
                                     {"features", NNM_STAGE_FEATURES},
                                     {NULL, 0}};

/* bytes: what a fusion_rules.json holds, kept by the caller of inspect(); else its path. False after raising. */
static bool read_rules(PyObject *rules, PyObject **holder, nnm_predict_options *options) {
  if (!PyBytes_Check(rules)) return core_read_path(rules, holder, &options->fusion_rules_path);
  char *text;
  Py_ssize_t size;
  if (PyBytes_AsStringAndSize(rules, &text, &size)) return false;
  options->fusion_rules = text;
  options->fusion_rules_size = (size_t)size;
  return true;
}

static PyObject *model_inspect(PyObject *object, PyObject *arguments, PyObject *keywords) {
  static char *names[] = {"stage", "predictor", "fusion_rules", "compat", NULL};
  const char *stage_text, *compat_text = NULL;
  PyObject *predictor_argument = Py_None, *rules = Py_None, *holder = NULL, *result = NULL;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "s|OOz:inspect", names, &stage_text, &predictor_argument,
                                   &rules, &compat_text))
    return NULL;
  const nnm_predictor *predictor = predictor_argument == Py_None ? NULL : core_predictor_of(predictor_argument);
  nnm_predict_options options = {0};
  int stage;
  char *text = NULL;
  nnm_error error = {0};
  nnm_status status;
  if (!predictor && predictor_argument != Py_None) return NULL;
  if (!core_choose(stages, "stage", stage_text, &stage) || !core_read_compat(compat_text, &options.compat) ||
      !read_rules(rules, &holder, &options))
    return NULL;
  const nnm_model *model = core_model_of(object);
  Py_BEGIN_ALLOW_THREADS status = nnm_inspect(model, (nnm_stage)stage, predictor, &options, true, &text, &error);
  Py_END_ALLOW_THREADS result = status == NNM_OK ? take_text(text) : core_raise_of_model(object, &error);
  Py_XDECREF(holder);
  return result;
}

static PyGetSetDef attributes[] = {
    {"name", model_name, NULL, "Base name of the file.", NULL},
    {"format", model_format, NULL, "One of FORMATS.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef methods[] = {
    {"kernels", core_model_kernels, METH_O,
     "kernels(rules) -> {\"names\", \"members\", \"types\", \"turns\", \"work\", \"features\"}: the kernels in "
     "execution\n"
     "order. names: list of texts; members: list of tuples of node names; the others bytes: int32 [kernel],\n"
     "float64 [kernel], float64 [kernel, term of WORK], float32 [kernel, feature]. Raises Error."},
    {"to_ir", model_to_ir, METH_NOARGS,
     "to_ir() -> text: nn-Meter's IR as JSON, as nn-Meter 2.0's get_ir writes it. Raises Error."},
    {"inspect", (PyCFunction)(void (*)(void))model_inspect, METH_VARARGS | METH_KEYWORDS,
     "inspect(stage, predictor=None, fusion_rules=None, compat=None) -> text: one stage as JSON, as nn-meter inspect\n"
     "--json prints it. stage: \"graph\", \"shapes\", \"kernels\", \"features\"; for the latter two a Predictor or "
     "the\n"
     "path of a fusion_rules.json, or what it holds as bytes. compat: \"own\", \"nn-meter-2.0\", None: the "
     "predictor's. Raises Error."},
    {NULL, NULL, 0, NULL},
};

PyObject *core_make_model_type(void) {
  static PyType_Slot slots[] = {
      {Py_tp_doc,
       "Model(source, name=None, format=None, batch_size=0, input_shapes=None)\n--\n\n"
       "Reads a model and infers its shapes; weights are skipped in place.\n\n"
       "source: a path, or the bytes of a file, which `name` then stands for in messages.\n"
       "format: one of FORMATS; None tells it from the content. \"torchvision\": source is one of TORCHVISION.\n"
       "batch_size: first dimension of inputs that leave it open; 0 when not given.\n"
       "input_shapes: {input name: dimensions}; the name \"\" means the only input.\n"
       "Raises Error."},
      {Py_tp_new, (void *)(uintptr_t)model_new},
      {Py_tp_dealloc, (void *)(uintptr_t)model_free},
      {Py_tp_methods, methods},
      {Py_tp_getset, attributes},
      {0, NULL},
  };
  static PyType_Spec spec = {"nn_meter._core.Model", sizeof(model_object), 0, Py_TPFLAGS_DEFAULT, slots};
  PyObject *type = PyType_FromSpec(&spec);
  model_type = (PyTypeObject *)(void *)type;
  return type;
}
