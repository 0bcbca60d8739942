/* Sizes of attention, for its shape rules and its multiply-adds. */
#ifndef NNM_OPS_ATTENTION_H
#define NNM_OPS_ATTENTION_H

#include "ops/rule.h"

typedef struct nnm_attention {
  int64_t batch, heads, key_heads; /* key_heads: of keys and values, fewer when queries share them */
  int64_t queries, keys, past;     /* positions; keys includes past */
  int64_t head_size, value_size;   /* of one head */
  int64_t projection;              /* multiply-adds for making queries, keys and values inside; -1: overflow */
} nnm_attention;

/* *known stays false when an input shape is missing. Reads no values. */
nnm_status nnm_attention_of(const nnm_inference *inference, const nnm_node *node, nnm_attention *out, bool *known,
                            nnm_error *error);

#endif
