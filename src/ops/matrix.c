/* Matrix products: MatMul of any rank, Gemm, their fused and quantised forms. */
#include "ops/matrix.h"

#include <string.h>

#include "base/checked.h"

/* Where the second operand is: the quantised forms put scales in between. */
static uint32_t second_input(const nnm_node *node) {
  if (node->op == NNM_OP_QLINEAR_MATMUL || node->op == NNM_OP_MS_QGEMM) return 3;
  return node->op == NNM_OP_MS_QORDERED_MATMUL ? 2 : 1;
}

static bool flag(const nnm_node *node, const char *const *names) {
  for (; *names; names++)
    if (nnm_attribute_int(node, *names, 0)) return true;
  return false;
}
static const char *const transpose_a[] = {"transA", "transpose_a", "adj_x", NULL};
static const char *const transpose_b[] = {"transB", "transpose_b", "adj_y", NULL};

/* An operand as a stack of matrices. */
typedef struct operand {
  nnm_shape batch;
  int64_t rows, columns;
} operand;

/* FusedMatMul's transBatch moves the first dimension to the place before the last. */
static operand view_operand(const nnm_shape *shape, bool transposed, bool batch_behind, int64_t *storage) {
  memcpy(storage, shape->dims, (size_t)shape->rank * sizeof *storage);
  int32_t rank = shape->rank;
  if (batch_behind && rank > 2) {
    int64_t first = storage[0];
    memmove(storage, storage + 1, (size_t)(rank - 2) * sizeof *storage);
    storage[rank - 2] = first;
  }
  int64_t rows = storage[rank - 2], columns = storage[rank - 1];
  return (operand){{rank - 2, storage}, transposed ? columns : rows, transposed ? rows : columns};
}

static nnm_status fail_inner(const nnm_inference *inference, const nnm_node *node, const nnm_shape *a,
                             const nnm_shape *b, nnm_error *error) {
  char first[NNM_SHAPE_TEXT], second[NNM_SHAPE_TEXT];
  return nnm_fail_node(inference, node, error, "multiplies matrices that do not fit: %s and %s",
                       nnm_shape_text(a, first, sizeof first), nnm_shape_text(b, second, sizeof second));
}

/* A node without a plain weight tensor: an attribute tells its columns. */
static void described_product(const nnm_node *node, const char *attribute, const nnm_shape *a, nnm_product *out,
                              bool *known) {
  out->columns = nnm_attribute_int(node, attribute, -1);
  if (out->columns < 0 || a->rank < 1) return;
  out->batch_rank = a->rank >= 2 ? a->rank - 2 : 0;
  memcpy(out->batch, a->dims, (size_t)out->batch_rank * sizeof *out->batch);
  out->vector_a = a->rank == 1;
  out->rows = a->rank >= 2 ? a->dims[a->rank - 2] : 1;
  out->inner = a->dims[a->rank - 1];
  *known = true;
}

nnm_status nnm_matrix_product(const nnm_inference *inference, const nnm_node *node, nnm_product *out, bool *known,
                              nnm_error *error) {
  const nnm_shape *a = nnm_shape_of_input(inference, node, 0);
  if (!a) return NNM_OK;
  if (nnm_op_shape_rule(node->op) == nnm_rule_matmul_nbits) {
    described_product(node, "N", a, out, known); /* packed into blocks: the tensor's own shape tells nothing */
    return NNM_OK;
  }
  const nnm_shape *b = nnm_shape_of_input(inference, node, second_input(node));
  if (!nnm_has_input(node, second_input(node))) described_product(node, "output_channels", a, out, known);
  if (!b) return NNM_OK;
  if (a->rank < 1 || b->rank < 1) return nnm_fail_node(inference, node, error, "multiplies a scalar");
  int64_t a_pair[2] = {1, a->dims[0]}, b_pair[2] = {b->dims[0], 1}, a_dims[NNM_LIMIT_RANK], b_dims[NNM_LIMIT_RANK];
  nnm_shape a_wide = {2, a_pair}, b_wide = {2, b_pair};
  out->vector_a = a->rank == 1;
  out->vector_b = b->rank == 1;
  operand left = view_operand(out->vector_a ? &a_wide : a, !out->vector_a && flag(node, transpose_a),
                              nnm_attribute_int(node, "transBatchA", 0) != 0, a_dims);
  operand right = view_operand(out->vector_b ? &b_wide : b, !out->vector_b && flag(node, transpose_b),
                               nnm_attribute_int(node, "transBatchB", 0) != 0, b_dims);
  if (left.columns != right.rows || !nnm_broadcast_dims(&left.batch, &right.batch, out->batch, &out->batch_rank))
    return fail_inner(inference, node, a, b, error);
  out->rows = left.rows;
  out->inner = left.columns;
  out->columns = right.columns;
  *known = true;
  return NNM_OK;
}

static nnm_status set_product(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_product product = {0};
  bool known = false;
  NNM_TRY(nnm_matrix_product(inference, node, &product, &known, error));
  if (!known) return NNM_OK;
  int64_t dims[NNM_LIMIT_RANK + 2];
  int32_t rank = product.batch_rank;
  memcpy(dims, product.batch, (size_t)rank * sizeof *dims);
  if (!product.vector_a) dims[rank++] = product.rows;
  if (!product.vector_b) dims[rank++] = product.columns;
  return nnm_set_shape(inference, node, 0, rank, dims, error);
}

nnm_status nnm_rule_matmul(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  if (node->op == NNM_OP_MATMUL_INTEGER || node->op == NNM_OP_MS_MATMUL_INTEGER16)
    nnm_set_dtype(inference, node, 0, NNM_DTYPE_I32);
  else if (node->op == NNM_OP_MS_MATMUL_INTEGER_TO_FLOAT) nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
  return set_product(inference, node, error);
}
nnm_status nnm_rule_fused_matmul(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return set_product(inference, node, error);
}
nnm_status nnm_rule_gemm(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return set_product(inference, node, error);
}
nnm_status nnm_rule_matmul_nbits(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return set_product(inference, node, error);
}
nnm_status nnm_rule_qordered_matmul(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return set_product(inference, node, error);
}

nnm_status nnm_rule_qlinear_matmul(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, nnm_input_dtype(inference, node, 7)); /* that of the output's zero point */
  return set_product(inference, node, error);
}

nnm_status nnm_rule_qgemm(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_set_dtype(inference, node, 0, nnm_has_input(node, 8) ? nnm_input_dtype(inference, node, 8) : NNM_DTYPE_F32);
  return set_product(inference, node, error);
}

nnm_status nnm_rule_pairwise_distance(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *a = nnm_shape_of_input(inference, node, 0), *b = nnm_shape_of_input(inference, node, 1);
  if (!a || !b) return NNM_OK;
  if (a->rank != 2 || b->rank != 2) return nnm_fail_node(inference, node, error, "needs two matrices");
  return nnm_set_shape(inference, node, 0, 2, (int64_t[]){a->dims[0], b->dims[0]}, error);
}
