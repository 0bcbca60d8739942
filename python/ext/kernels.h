/* A model's kernels as rows of numbers, made without Python's lock. */
#ifndef NNM_PYTHON_KERNELS_H
#define NNM_PYTHON_KERNELS_H

#include "core.h"

typedef struct kernel_rows {
  nnm_kernels *kernels;
  nnm_kernel_row *rows; /* one per kernel */
} kernel_rows;

/* Detects the kernels under the rules and computes their rows. False after raising; lets go of Python's lock meanwhile. */
bool kernel_rows_make(const nnm_model *model, const nnm_fusion_rules *rules, kernel_rows *out);
void kernel_rows_free(kernel_rows *rows);

/* Arrays of rows as bytes: float32 [row][feature], float64 [row][term of nnm_work_names], int32 [row]. NULL after raising. */
PyObject *kernel_rows_features(const nnm_kernel_row *rows, size_t count);
PyObject *kernel_rows_work(const nnm_kernel_row *rows, size_t count);
PyObject *kernel_rows_types(const nnm_kernel_row *rows, size_t count);

/* What Model.kernels gives. */
PyObject *core_model_kernels(PyObject *model, PyObject *rules);

#endif
