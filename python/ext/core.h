/* nn_meter._core: a thin layer of Python objects over the library. Python's limited API (3.9) alone, so that one build
 * serves every later Python. Whatever takes time runs without Python's lock, on data that no other thread can change. */
#ifndef NNM_PYTHON_CORE_H
#define NNM_PYTHON_CORE_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x03090000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kernels/fusion_rules.h"
#include "model.h"
#include "predictors/kernel_set.h"
#include "predictors/predictor.h"

/* Raises nn_meter.Error with the attributes status, file, place, message; returns NULL. */
PyObject *core_raise(const nnm_error *error);

/* nn_meter.Error. Borrowed. */
PyObject *core_error_type(void);

/* New types, one per file; NULL after raising. */
PyObject *core_make_error_type(void);
PyObject *core_make_model_type(void);
PyObject *core_make_rules_type(void);
PyObject *core_make_table_type(void);
PyObject *core_make_predictor_type(void);
PyObject *core_make_prediction_type(void);
PyObject *core_make_kernel_type(void);

/* What the objects hold; NULL after raising TypeError when it is no such object. Borrowed. */
const nnm_model *core_model_of(PyObject *object);
const nnm_predictor *core_predictor_of(PyObject *object);
const nnm_fusion_rules *core_rules_of(PyObject *object);

/* The same for whoever needs shapes: NULL after raising why they are not known. */
const nnm_model *core_model_with_shapes(PyObject *object);

/* core_raise, but where the library asked for shapes, why they are not known. */
PyObject *core_raise_of_model(PyObject *object, const nnm_error *error);

/* The list of predictors; home may be None. */
PyObject *core_list_predictors(PyObject *module, PyObject *arguments, PyObject *keywords);

/* register, unregister, fetch and download of _core.pyi. */
PyObject *core_register(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *core_unregister(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *core_fetch(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *core_download(PyObject *module, PyObject *arguments, PyObject *keywords);

/* search_sums of _core.pyi. */
PyObject *core_search_sums(PyObject *module, PyObject *arguments);

/* Tuple of texts. */
PyObject *core_texts(const char *const *texts, size_t count);

/* Frees a heap type's object, after what it holds. */
void core_free_object(PyObject *object);

#endif
