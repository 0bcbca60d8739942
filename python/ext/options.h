/* Arguments that several methods take. */
#ifndef NNM_PYTHON_OPTIONS_H
#define NNM_PYTHON_OPTIONS_H

#include "core.h"

typedef struct core_choice {
  const char *name; /* NULL ends the list */
  int value;
} core_choice;

/* The value of that name; False after raising ValueError, which calls the argument `what`. */
bool core_choose(const core_choice *choices, const char *what, const char *name, int *out);

/* "own", "nn-meter-2.0", or NULL for the default. False after raising. */
bool core_read_compat(const char *name, nnm_compat *out);

/* A path, which *holder keeps alive (NULL when there is none); *out NULL for None or no argument. False after raising. */
bool core_read_path(PyObject *argument, PyObject **holder, const char **out);

#endif
