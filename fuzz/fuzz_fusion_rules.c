/* Fusion rules are a user's file: any bytes give rules or an error. */
#include "kernels/fusion_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nnm_fusion_rules *rules = NULL;
  if (nnm_fusion_rules_parse(data, size, &rules, NULL) != NNM_OK) return 0;
  for (size_t i = 0; i < rules->count; i++)
    for (size_t k = 0; k + 1 < rules->items[i].op_count; k++)
      nnm_fusion_rules_ask(rules, rules->items[i].ops[k], rules->items[i].ops[k + 1]);
  nnm_fusion_rules_free(rules);
  return 0;
}
