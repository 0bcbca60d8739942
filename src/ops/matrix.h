/* The sizes of a matrix product, for the shape rules and for counting multiply-adds. */
#ifndef NNM_OPS_MATRIX_H
#define NNM_OPS_MATRIX_H

#include "base/limits.h"
#include "ops/rule.h"

typedef struct nnm_product {
  int32_t batch_rank;
  int64_t batch[NNM_LIMIT_RANK]; /* broadcast dims in front of the matrices */
  int64_t rows, inner, columns;
  bool vector_a, vector_b; /* a 1-D operand: its dimension is not in the result */
} nnm_product;

/* *known stays false when an input shape is missing. Reads no values. */
nnm_status nnm_matrix_product(const nnm_inference *inference, const nnm_node *node, nnm_product *out, bool *known,
                              nnm_error *error);

/* One letter of an Einsum equation is one dimension. */
typedef struct nnm_einsum {
  int64_t sizes[64];   /* by letter; see einsum.c */
  uint64_t seen, kept; /* letters of the inputs, and of the output */
  int32_t rank;
  int64_t dims[NNM_LIMIT_RANK];
} nnm_einsum;
nnm_status nnm_solve_einsum(const nnm_inference *inference, const nnm_node *node, nnm_einsum *out, bool *known,
                            nnm_error *error);

#endif
