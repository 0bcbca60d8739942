#include "options.h"

bool core_choose(const core_choice *choices, const char *what, const char *name, int *out) {
  const core_choice *choice = choices;
  while (choice->name && strcmp(choice->name, name)) choice++;
  if (!choice->name) return PyErr_Format(PyExc_ValueError, "unknown %s '%s'", what, name), false;
  *out = choice->value;
  return true;
}

bool core_read_compat(const char *name, nnm_compat *out) {
  static const core_choice modes[] = {{"own", NNM_COMPAT_OWN}, {"nn-meter-2.0", NNM_COMPAT_NN_METER_2_0}, {NULL, 0}};
  int mode = NNM_COMPAT_DEFAULT;
  if (name && !core_choose(modes, "compat mode", name, &mode)) return false;
  *out = (nnm_compat)mode;
  return true;
}

bool core_read_path(PyObject *argument, PyObject **holder, const char **out) {
  char *text = NULL;
  if (argument && argument != Py_None &&
      (!PyUnicode_FSConverter(argument, holder) || PyBytes_AsStringAndSize(*holder, &text, NULL)))
    return false;
  *out = text;
  return true;
}
