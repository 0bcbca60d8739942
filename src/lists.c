/* The operators of the build as plain names, for documentation, --list-operators and completion. */
#include "nnmeter/nnmeter.h"

static const char *const operator_names[] = {
#define NNM_OP(id, onnx_name, ...) onnx_name,
#include "ops/op_list.inc"
#undef NNM_OP
    NULL,
};

const char *const *nnm_operator_names(void) { return operator_names; }
