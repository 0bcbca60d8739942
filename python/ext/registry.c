/* Predictors from elsewhere: registering, removing, fetching; and downloads of other files. */
#include <unistd.h>

#include "fetch/partial.h"
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

/* Called now and then while the lock is released: Ctrl-C is heard, and Python told how far it is. */
typedef struct watcher {
  PyObject *progress; /* callable(done, total), or NULL */
} watcher;

static bool watch(void *context, uint64_t done_bytes, uint64_t total_bytes) {
  const watcher *it = context;
  PyGILState_STATE state = PyGILState_Ensure();
  bool go_on = !PyErr_CheckSignals();
  if (go_on && it->progress) {
    PyObject *answer =
        PyObject_CallFunction(it->progress, "KK", (unsigned long long)done_bytes, (unsigned long long)total_bytes);
    go_on = answer != NULL;
    Py_XDECREF(answer);
  }
  PyGILState_Release(state); /* what was raised stays with this thread */
  return go_on;
}

/* What is raised after a failure: what Python raised meanwhile (KeyboardInterrupt), else the library's error. */
static PyObject *raise_after_watching(const nnm_error *error) { return PyErr_Occurred() ? NULL : core_raise(error); }

PyObject *core_fetch(PyObject *module, PyObject *arguments, PyObject *keywords) {
  (void)module;
  static char *names[] = {"name", "url", "sha256", "allow_http", "home", NULL};
  PyObject *home_argument = NULL, *holder = NULL, *result = NULL;
  const char *name, *home;
  int allow_http = 0;
  watcher listener = {0};
  nnm_fetch_options options = {.progress = watch, .context = &listener};
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "s|zzpO:fetch", names, &name, &options.url, &options.sha256,
                                   &allow_http, &home_argument))
    return NULL;
  options.allow_http = allow_http != 0;
  if (core_read_path(home_argument, &holder, &home)) {
    nnm_fetched fetched = {0};
    nnm_error error = {0};
    nnm_status status;
    Py_BEGIN_ALLOW_THREADS status = nnm_predictor_fetch(name, &options, home, &fetched, &error);
    Py_END_ALLOW_THREADS result = status == NNM_OK ? decode(fetched.path) : raise_after_watching(&error);
    nnm_free(fetched.path);
  }
  Py_XDECREF(holder);
  return result;
}

PyObject *core_download(PyObject *module, PyObject *arguments, PyObject *keywords) {
  (void)module;
  static char *names[] = {"url", "descriptor", "size_limit_bytes", "timeout_s", "allow_http", "progress", "home", NULL};
  PyObject *progress = NULL, *home_argument = NULL, *holder = NULL, *result = NULL;
  const char *home;
  int allow_http = 0, own;
  unsigned long long limit;
  unsigned timeout_s;
  watcher listener = {0};
  nnm_download wanted = {.progress = watch, .context = &listener};
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "siKI|pOO:download", names, &wanted.url, &own, &limit,
                                   &timeout_s, &allow_http, &progress, &home_argument))
    return NULL;
  wanted.descriptor = own, wanted.size_limit_bytes = limit, wanted.timeout_s = timeout_s;
  wanted.allow_http = allow_http != 0;
  listener.progress = progress == Py_None ? NULL : progress;
  if (core_read_path(home_argument, &holder, &home)) {
    int file = own;
    uint64_t size = 0;
    nnm_error error = {0};
    nnm_status status;
    Py_BEGIN_ALLOW_THREADS status = nnm_download_resumable(&wanted, NULL, home, &file, &size, &error);
    Py_END_ALLOW_THREADS result = status == NNM_OK ? PyLong_FromLong(file) : raise_after_watching(&error);
    if (status == NNM_OK && !result && file != own) close(file);
  }
  Py_XDECREF(holder);
  return result;
}
