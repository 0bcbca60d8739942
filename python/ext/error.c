/* nn_meter.Error: the library's error as an exception. */
#include "core.h"

static PyObject *error_type;

PyObject *core_error_type(void) { return error_type; }

PyObject *core_make_error_type(void) {
  error_type = PyErr_NewExceptionWithDoc(
      "nn_meter.Error",
      "What the library refuses, as one line: \"file: place: message\", the message ending in the remedy.\n\n"
      "status: what kind of fault: \"memory\", \"io\", \"format\", \"limit\", \"graph\", \"shape\", \"unsupported\",\n"
      "\"not found\", \"argument\".\n"
      "file, place, message: the parts of the line; file and place are \"\" when there is none.",
      NULL, NULL);
  return error_type;
}

static const char *status_name(nnm_status status) {
  static const char *const names[] = {
      [NNM_OK] = "ok",
      [NNM_ERROR_MEMORY] = "memory",
      [NNM_ERROR_IO] = "io",
      [NNM_ERROR_FORMAT] = "format",
      [NNM_ERROR_LIMIT] = "limit",
      [NNM_ERROR_GRAPH] = "graph",
      [NNM_ERROR_SHAPE] = "shape",
      [NNM_ERROR_UNSUPPORTED] = "unsupported",
      [NNM_ERROR_NOT_FOUND] = "not found",
      [NNM_ERROR_ARGUMENT] = "argument",
  };
  return names[status];
}

/* Names in messages may be cut in the middle of a character. */
static PyObject *decode(const char *text) { return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace"); }

static int set_text(PyObject *object, const char *attribute, const char *text) {
  PyObject *value = decode(text);
  int failed = !value || PyObject_SetAttrString(object, attribute, value);
  Py_XDECREF(value);
  return failed;
}

PyObject *core_raise(const nnm_error *error) {
  char line[NNM_ERROR_FILE_SIZE + NNM_ERROR_PLACE_SIZE + NNM_ERROR_MESSAGE_SIZE];
  nnm_error_text(error, line, sizeof line);
  PyObject *text = decode(line);
  PyObject *exception = text ? PyObject_CallFunctionObjArgs(error_type, text, NULL) : NULL;
  Py_XDECREF(text);
  if (exception && !set_text(exception, "status", status_name(error->status)) &&
      !set_text(exception, "file", error->file) && !set_text(exception, "place", error->place) &&
      !set_text(exception, "message", error->message))
    PyErr_SetObject(error_type, exception);
  Py_XDECREF(exception);
  return NULL;
}
