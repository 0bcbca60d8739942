/* Predictors from elsewhere: registering, removing, fetching. */
#include "options.h"

static PyObject *decode(const char *text) { return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace"); }

PyObject *core_register(PyObject *module, PyObject *arguments, PyObject *keywords) {
  (void)module;
  static char *names[] = {"path", "home", NULL};
  PyObject *path_argument, *home_argument = NULL, *path_holder = NULL, *home_holder = NULL, *result = NULL;
  const char *path, *home;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:register", names, &path_argument, &home_argument))
    return NULL;
  if (core_read_path(path_argument, &path_holder, &path) && core_read_path(home_argument, &home_holder, &home)) {
    char *name = NULL;
    nnm_error error = {0};
    nnm_status status;
    Py_BEGIN_ALLOW_THREADS status = nnm_predictor_register(path, home, &name, &error);
    Py_END_ALLOW_THREADS result = status == NNM_OK ? decode(name) : core_raise(&error);
    nnm_free(name);
  }
  Py_XDECREF(path_holder);
  Py_XDECREF(home_holder);
  return result;
}

PyObject *core_unregister(PyObject *module, PyObject *arguments, PyObject *keywords) {
  (void)module;
  static char *names[] = {"name", "version", "home", NULL};
  PyObject *home_argument = NULL, *holder = NULL, *result = NULL;
  const char *name, *version = NULL, *home;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "s|zO:unregister", names, &name, &version, &home_argument))
    return NULL;
  if (core_read_path(home_argument, &holder, &home)) {
    size_t removed = 0;
    nnm_error error = {0};
    nnm_status status;
    Py_BEGIN_ALLOW_THREADS status = nnm_predictor_unregister(name, version, home, &removed, &error);
    Py_END_ALLOW_THREADS result = status == NNM_OK ? PyLong_FromSize_t(removed) : core_raise(&error);
  }
  Py_XDECREF(holder);
  return result;
}

PyObject *core_fetch(PyObject *module, PyObject *arguments, PyObject *keywords) {
  (void)module;
  static char *names[] = {"name", "url", "sha256", "allow_http", "home", NULL};
  PyObject *home_argument = NULL, *holder = NULL, *result = NULL;
  const char *name, *home;
  int allow_http = 0;
  nnm_fetch_options options = {0};
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "s|zzpO:fetch", names, &name, &options.url, &options.sha256,
                                   &allow_http, &home_argument))
    return NULL;
  options.allow_http = allow_http != 0;
  if (core_read_path(home_argument, &holder, &home)) {
    nnm_fetched fetched = {0};
    nnm_error error = {0};
    nnm_status status;
    Py_BEGIN_ALLOW_THREADS status = nnm_predictor_fetch(name, &options, home, &fetched, &error);
    Py_END_ALLOW_THREADS result = status == NNM_OK ? decode(fetched.path) : core_raise(&error);
    nnm_free(fetched.path);
  }
  Py_XDECREF(holder);
  return result;
}
