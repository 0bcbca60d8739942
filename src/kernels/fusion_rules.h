/* nn-Meter's fusion_rules.json: {"BF_conv_relu": {"obey": true}, "MON": {"obey": 0}, ...}. */
#ifndef NNM_KERNELS_FUSION_RULES_H
#define NNM_KERNELS_FUSION_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"

typedef struct nnm_fusion_rule {
  const char *name;          /* "BF_conv_bn_relu" */
  const char *const *ops;    /* {"conv", "bn", "relu"}; op_count 0 for rules that are no fusion (MON, RT, RBC...) */
  size_t op_count;
  bool obey;                 /* Python truthiness of "obey" */
} nnm_fusion_rule;

typedef enum nnm_multi_consumer {
  NNM_MULTI_CONSUMER_NEVER = 0, /* MON null, missing, false, 0: an operator read by several is never fused onwards */
  NNM_MULTI_CONSUMER_FIRST,     /* MON true or 1: fused with its first consumer */
  NNM_MULTI_CONSUMER_ALL        /* any other value: fused into each */
} nnm_multi_consumer;

typedef struct nnm_fusion_rules {
  nnm_arena arena;
  nnm_fusion_rule *items; /* in file order */
  size_t count;
  nnm_multi_consumer multi_consumer;
  const char *text; /* the JSON it was read from, kept for predictor files */
} nnm_fusion_rules;

nnm_status nnm_fusion_rules_parse(const void *data, size_t size, nnm_fusion_rules **out, nnm_error *error);
void nnm_fusion_rules_free(nnm_fusion_rules *rules); /* NULL is fine */

/* Whether the pair rule BF_first_second says fuse. */
bool nnm_fusion_rules_allow(const nnm_fusion_rules *rules, const char *first, const char *second);

#endif
