/* nn-Meter's fusion_rules.json: {"BF_conv_relu": {"obey": true}, "MON": {"obey": 0}, ...}. */
#ifndef NNM_KERNELS_FUSION_RULES_H
#define NNM_KERNELS_FUSION_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"

typedef struct nnm_fusion_rule {
  const char *name;       /* "BF_conv_bn_relu" */
  const char *const *ops; /* {"conv", "bn", "relu"}; op_count 0 for rules that are no fusion (MON, RT, RBC...) */
  size_t op_count;
  bool obey; /* Python truthiness of "obey" */
} nnm_fusion_rule;

typedef enum nnm_multi_consumer {
  NNM_MULTI_CONSUMER_NEVER = 0, /* MON null, missing, false, 0: an operator read by several is never fused onwards */
  NNM_MULTI_CONSUMER_FIRST,     /* MON true or 1: fused with its first consumer */
  NNM_MULTI_CONSUMER_ALL        /* any other value: fused into each */
} nnm_multi_consumer;

/* What the file says of a pair of operators. */
typedef enum nnm_fusion_answer { NNM_FUSION_UNKNOWN = 0, NNM_FUSION_DENIED, NNM_FUSION_ALLOWED } nnm_fusion_answer;

typedef struct nnm_fusion_rules {
  nnm_arena arena;
  nnm_fusion_rule *items; /* in file order */
  size_t count;
  nnm_multi_consumer multi_consumer;
  const char *text;              /* the JSON it was read from, kept for predictor files */
  struct nnm_fusion_slot *slots; /* hash table of the rules about two operators and more */
  size_t slot_capacity;
} nnm_fusion_rules;

/* Rules that are no fusion (RT, FN, RBC, CBC) are kept in items and have no effect, as in nn-Meter. */
nnm_status nnm_fusion_rules_parse(const void *data, size_t size, nnm_fusion_rules **out, nnm_error *error);
void nnm_fusion_rules_free(nnm_fusion_rules *rules); /* NULL is fine */

/* What BF_first_second says; several rules about one pair (BF_a_b, BFX_a_b) allow it when one of them does. O(1). */
nnm_fusion_answer nnm_fusion_rules_ask(const nnm_fusion_rules *rules, const char *first, const char *second);
/* Whether the answer is NNM_FUSION_ALLOWED. */
bool nnm_fusion_rules_allow(const nnm_fusion_rules *rules, const char *first, const char *second);
/* Whether what is several operators in a file and begins with these two may be looked for as one (attention: matmul,
 * softmax; squeeze-and-excite: gap, conv): unless the rules say no, since files of before know no such rule. */
bool nnm_fusion_rules_allow_block(const nnm_fusion_rules *rules, const char *first, const char *second);
/* Whether a rule such as BF_conv_bn_relu allows the whole chain of operators. */
bool nnm_fusion_rules_allow_chain(const nnm_fusion_rules *rules, const char *const *ops, size_t op_count);

#endif
