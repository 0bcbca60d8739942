/* Compat detection against graphs and rules that no model has: the input is a program of bytes that makes an IR with
 * many shared types, and rules over them. Checks what must hold of every answer. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "compat/compat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const types[] = {"Conv",        "BatchNormalization",
                                    "Relu",        "Add",
                                    "Mul",         "GlobalAveragePool",
                                    "HardSigmoid", "Reshape",
                                    "Transpose",   "Const",
                                    "Identity",    "Clip",
                                    "Div",         "Split",
                                    "Concat",      "Gemm"};
static const char *const aliases[] = {"conv", "bn", "relu", "add", "mul", "gap", "reshape", "transpose"};

static char *make_ir(const uint8_t *data, size_t size) {
  nnm_text text = {0};
  nnm_text_add(&text, "{");
  for (size_t i = 0; i + 2 < size; i += 3) {
    size_t node = i / 3;
    nnm_text_printf(&text, "%s\"n%zu\":{\"attr\":{\"type\":\"%s\",\"attr\":{\"kernel_shape\":[3,3]},", node ? "," : "",
                    node, types[data[i] % 16]);
    nnm_text_printf(&text, "\"input_shape\":[[1,8,8,4]],\"output_shape\":[[1,8,8,4]]},\"inbounds\":[");
    if (node) nnm_text_printf(&text, "\"n%zu\"", node - 1 - data[i + 1] % (node < 4 ? node : 4));
    if (node && data[i + 2] & 1) nnm_text_printf(&text, ",\"n%zu\"", node - 1 - data[i + 2] / 2 % node);
    if (data[i + 2] & 64) nnm_text_printf(&text, "%s\"gone%d\"", node ? "," : "", data[i + 2] & 3);
    nnm_text_add(&text, "]}");
  }
  nnm_text_add(&text, "}");
  return nnm_text_take(&text);
}

static char *make_rules(const uint8_t *data, size_t size) {
  nnm_text text = {0};
  nnm_text_printf(&text, "{\"MON\":{\"obey\":%d}", size ? data[0] % 3 : 0);
  for (size_t i = 1; i + 3 < size && i < 40; i += 4) {
    nnm_text_printf(&text, ",\"BF%zu", i);
    for (size_t k = 0; k < 2u + data[i] % 3; k++) nnm_text_printf(&text, "_%s", aliases[data[i + k] / 4 % 8]);
    nnm_text_add(&text, "\":{\"obey\":true}");
  }
  nnm_text_add(&text, "}");
  return nnm_text_take(&text);
}

/* Every node is in at most one kernel; links go both ways. */
static void check(const nnm_ir *ir, const nnm_kernels *kernels) {
  uint8_t *seen = calloc(ir->node_count + 1, 1);
  size_t outbounds = 0, inbounds = 0;
  for (size_t i = 0; seen && i < kernels->count; i++) {
    const nnm_compat_kernel *kernel = kernels->items[i].compat;
    outbounds += kernel->outbound_count;
    inbounds += kernel->inbound_count;
    for (uint32_t k = 0; k < kernel->block_start[kernel->block_count]; k++) {
      assert(!seen[kernel->nodes[k]]);
      seen[kernel->nodes[k]] = 1;
    }
  }
  assert(outbounds == inbounds);
  free(seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 3000) return 0;
  size_t rule_bytes = size / 4;
  char *ir_text = make_ir(data + rule_bytes, size - rule_bytes), *rules_text = make_rules(data, rule_bytes);
  nnm_ir *ir = NULL;
  nnm_fusion_rules *rules = NULL;
  nnm_kernels *kernels = NULL;
  if (ir_text && rules_text && nnm_ir_parse((const uint8_t *)ir_text, strlen(ir_text), &ir, NULL) == NNM_OK &&
      nnm_fusion_rules_parse(rules_text, strlen(rules_text), &rules, NULL) == NNM_OK) {
    nnm_status status = nnm_detect_compat_kernels(ir, NULL, NULL, rules, &kernels, NULL);
    assert(status == NNM_OK);
    check(ir, kernels);
  }
  nnm_kernels_free(kernels);
  nnm_fusion_rules_free(rules);
  nnm_ir_free(ir);
  free(ir_text);
  free(rules_text);
  return 0;
}
