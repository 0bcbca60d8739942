/* Table: the distinct kernels of many models, and which of them each model runs how often. Rules: parsed fusion rules. */
#include <stdlib.h>

#include "kernels.h"

/* ---------------------------------------------------------------- fusion rules */

typedef struct rules_object {
  PyObject_HEAD nnm_fusion_rules *rules;
} rules_object;

static PyTypeObject *rules_type;

const nnm_fusion_rules *core_rules_of(PyObject *object) {
  if (PyObject_TypeCheck(object, rules_type)) return ((rules_object *)(void *)object)->rules;
  PyErr_SetString(PyExc_TypeError, "not a nn_meter.Rules");
  return NULL;
}

static PyObject *rules_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
  static char *names[] = {"text", "name", NULL};
  const char *text, *name = NULL;
  Py_ssize_t size;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "y#|z:Rules", names, &text, &size, &name)) return NULL;
  nnm_fusion_rules *rules;
  nnm_error error = {0};
  nnm_status status = nnm_fusion_rules_parse(text, (size_t)size, &rules, &error);
  if (status != NNM_OK) {
    if (name) nnm_fail_in_file(&error, status, name);
    return core_raise(&error);
  }
  allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
  rules_object *self = (rules_object *)(void *)allocate(type, 0);
  if (self) self->rules = rules;
  else nnm_fusion_rules_free(rules);
  return (PyObject *)self;
}

static void rules_free(PyObject *object) {
  nnm_fusion_rules_free(((rules_object *)(void *)object)->rules);
  core_free_object(object);
}

PyObject *core_make_rules_type(void) {
  static PyType_Slot slots[] = {
      {Py_tp_doc, "Rules(text, name=None)\n--\n\n"
                  "The fusion rules of a device: text is the content of a fusion_rules.json as bytes, name stands for\n"
                  "it in messages. Raises Error."},
      {Py_tp_new, (void *)(uintptr_t)rules_new},
      {Py_tp_dealloc, (void *)(uintptr_t)rules_free},
      {0, NULL},
  };
  static PyType_Spec spec = {"nn_meter._core.Rules", sizeof(rules_object), 0, Py_TPFLAGS_DEFAULT, slots};
  PyObject *type = PyType_FromSpec(&spec);
  rules_type = (PyTypeObject *)(void *)type;
  return type;
}

/* ---------------------------------------------------------------- the table */

typedef struct table_entries { /* a kernel of a model each, in the order in which models were added */
  uint32_t *models, *rows;
  double *turns;
  size_t count, capacity;
} table_entries;

typedef struct table_object {
  PyObject_HEAD PyObject *rules;
  nnm_kernel_set rows;
  table_entries entries;
  size_t model_count;
} table_object;

static PyTypeObject *table_type;

static PyObject *table_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
  static char *names[] = {"rules", NULL};
  PyObject *rules;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O:Table", names, &rules) || !core_rules_of(rules)) return NULL;
  allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
  table_object *self = (table_object *)(void *)allocate(type, 0);
  if (!self) return NULL;
  Py_INCREF(rules);
  self->rules = rules;
  return (PyObject *)self;
}

static void table_free(PyObject *object) {
  table_object *self = (table_object *)(void *)object;
  Py_XDECREF(self->rules);
  nnm_kernel_set_free(&self->rows);
  free(self->entries.models);
  free(self->entries.rows);
  free(self->entries.turns);
  core_free_object(object);
}

static bool grow(void **array, size_t capacity, size_t size) {
  void *grown = realloc(*array, capacity * size);
  if (grown) *array = grown;
  return grown != NULL;
}

static bool reserve(table_entries *entries, size_t more) {
  size_t wanted = entries->count + more;
  if (wanted <= entries->capacity) return true;
  size_t capacity = wanted * 2;
  if (!grow((void **)&entries->models, capacity, sizeof *entries->models) ||
      !grow((void **)&entries->rows, capacity, sizeof *entries->rows) ||
      !grow((void **)&entries->turns, capacity, sizeof *entries->turns))
    return false;
  entries->capacity = capacity;
  return true;
}

/* Kernels first .. last - 1 of a model, as one more model of the table: all of them or, when memory runs out, none. */
static bool add_rows(table_object *self, const kernel_rows *rows, size_t first, size_t last) {
  table_entries *entries = &self->entries;
  size_t before = entries->count;
  if (!reserve(entries, last - first)) return false;
  for (size_t i = first; i < last; i++) {
    size_t row;
    if (!nnm_kernel_set_add(&self->rows, &rows->rows[i], &row) || row > UINT32_MAX) {
      entries->count = before;
      return false;
    }
    entries->models[entries->count] = (uint32_t)self->model_count;
    entries->rows[entries->count] = (uint32_t)row;
    entries->turns[entries->count++] = (double)rows->kernels->items[i].repeat;
  }
  self->model_count++;
  return true;
}

static PyObject *table_add(PyObject *object, PyObject *arguments, PyObject *keywords) {
  static char *names[] = {"model", "kernel", NULL};
  table_object *self = (table_object *)(void *)object;
  PyObject *model_argument;
  Py_ssize_t kernel = -1;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|n:add", names, &model_argument, &kernel)) return NULL;
  const nnm_model *model = core_model_with_shapes(model_argument);
  kernel_rows rows;
  if (!model || !kernel_rows_make(model, core_rules_of(self->rules), &rows)) return NULL;
  size_t count = rows.kernels->count;
  bool whole = kernel < 0, added = false;
  if (whole) added = add_rows(self, &rows, 0, count);
  else if ((size_t)kernel < count) added = add_rows(self, &rows, (size_t)kernel, (size_t)kernel + 1);
  else PyErr_Format(PyExc_IndexError, "the model has %zd kernels", (Py_ssize_t)count);
  kernel_rows_free(&rows);
  if (!added) return PyErr_Occurred() ? NULL : PyErr_NoMemory();
  return PyLong_FromSize_t(self->model_count - 1);
}

static PyObject *bytes_of(const void *array, size_t count, size_t size) {
  return PyBytes_FromStringAndSize(count ? array : "", (Py_ssize_t)(count * size));
}

static PyObject *table_rows(PyObject *object, PyObject *unused) {
  (void)unused;
  const nnm_kernel_set *set = &((table_object *)(void *)object)->rows;
  return Py_BuildValue("{s:N, s:N, s:N}", "types", kernel_rows_types(set->rows, set->count), "work",
                       kernel_rows_work(set->rows, set->count), "features",
                       kernel_rows_features(set->rows, set->count));
}

static PyObject *table_entries_of(PyObject *object, PyObject *unused) {
  (void)unused;
  const table_entries *entries = &((table_object *)(void *)object)->entries;
  return Py_BuildValue("{s:N, s:N, s:N}", "models", bytes_of(entries->models, entries->count, sizeof *entries->models),
                       "rows", bytes_of(entries->rows, entries->count, sizeof *entries->rows), "turns",
                       bytes_of(entries->turns, entries->count, sizeof *entries->turns));
}

static PyObject *table_model_count(PyObject *object, void *closure) {
  (void)closure;
  return PyLong_FromSize_t(((table_object *)(void *)object)->model_count);
}

PyObject *core_make_table_type(void) {
  static PyMethodDef methods[] = {
      {"add", (PyCFunction)(void (*)(void))table_add, METH_VARARGS | METH_KEYWORDS,
       "add(model, kernel=-1) -> number of the table's new model.\n\n"
       "kernel: number of the one kernel that is wanted; -1: all. Raises Error, IndexError."},
      {"rows", table_rows, METH_NOARGS,
       "rows() -> {\"types\": int32 [row], \"work\": float64 [row, term], \"features\": float32 [row, feature]} as "
       "bytes:\n"
       "the distinct kernels; WORK names the terms of work, which is that of one turn."},
      {"entries", table_entries_of, METH_NOARGS,
       "entries() -> {\"models\": uint32, \"rows\": uint32, \"turns\": float64} as bytes: which kernels the models "
       "run,\n"
       "in the order in which the models were added."},
      {NULL, NULL, 0, NULL},
  };
  static PyGetSetDef attributes[] = {
      {"model_count", table_model_count, NULL, "How many models were added.", NULL},
      {NULL, NULL, NULL, NULL, NULL},
  };
  static PyType_Slot slots[] = {
      {Py_tp_doc, "Table(rules)\n--\n\n"
                  "Collects the kernels of many models under the fusion rules; equal kernels are kept once."},
      {Py_tp_new, (void *)(uintptr_t)table_new},
      {Py_tp_dealloc, (void *)(uintptr_t)table_free},
      {Py_tp_methods, methods},
      {Py_tp_getset, attributes},
      {0, NULL},
  };
  static PyType_Spec spec = {"nn_meter._core.Table", sizeof(table_object), 0, Py_TPFLAGS_DEFAULT, slots};
  PyObject *type = PyType_FromSpec(&spec);
  table_type = (PyTypeObject *)(void *)type;
  return type;
}
