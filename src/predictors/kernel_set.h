/* Kernels told apart by what a predictor sees of them: the same layer repeated is evaluated (or stored) once. */
#ifndef NNM_PREDICTORS_KERNEL_SET_H
#define NNM_PREDICTORS_KERNEL_SET_H

#include "features/features.h"

typedef enum nnm_work_term {
#define NNM_WORK_TERM(id, name, description) NNM_WORK_##id,
#include "predictors/work_list.inc"
#undef NNM_WORK_TERM
  NNM_WORK_COUNT
} nnm_work_term;

extern const char *const nnm_work_names[NNM_WORK_COUNT];

/* What our predictors see of a kernel, for one turn of it. No padding: rows are compared as bytes. */
typedef struct nnm_kernel_row {
  double work[NNM_WORK_COUNT];
  int32_t type; /* nnm_kernel_type */
  float features[NNM_FEATURE_COUNT];
} nnm_kernel_row;

void nnm_kernel_row_of(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel, nnm_kernel_row *row);

typedef struct nnm_kernel_set {
  nnm_kernel_row *rows;
  size_t count, capacity;
  uint32_t *slots;   /* row index + 1; 0: free */
  size_t slot_count; /* a power of two */
} nnm_kernel_set;

/* The row's index; added when new. false when memory runs out. */
bool nnm_kernel_set_add(nnm_kernel_set *set, const nnm_kernel_row *row, size_t *index);
void nnm_kernel_set_free(nnm_kernel_set *set);

#endif
