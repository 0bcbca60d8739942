/* Attention: the standard operator, and the fused forms that runtimes' optimisers write. */
#include "ops/attention.h"

#include <string.h>

#include "base/checked.h"
#include "base/limits.h"

/* Positions already in a cache of (batch, heads, positions, size), or of (2, batch, heads, positions, size). */
static int64_t past_of(const nnm_inference *inference, const nnm_node *node, uint32_t input) {
  const nnm_shape *past = nnm_shape_of_input(inference, node, input);
  return past && past->rank >= 4 ? past->dims[past->rank - 2] : 0;
}

static nnm_status fail_heads(const nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return nnm_fail_node(inference, node, error, "has heads or dimensions that do not fit its inputs");
}

/* Queries, keys, values as (batch, heads, positions, size), or as (batch, positions, heads * size) with the number of
 * heads in attributes. */
static nnm_status separate_inputs(const nnm_inference *inference, const nnm_node *node, const char *query_heads,
                                  const char *key_heads, uint32_t past_input, nnm_attention *out, bool *known,
                                  nnm_error *error) {
  const nnm_shape *query = nnm_shape_of_input(inference, node, 0), *key = nnm_shape_of_input(inference, node, 1),
                  *value = nnm_shape_of_input(inference, node, 2);
  if (!query) return NNM_OK;
  out->heads = nnm_attribute_int(node, query_heads, 0);
  out->key_heads = nnm_attribute_int(node, key_heads, out->heads);
  if (out->heads > NNM_LIMIT_DIMENSION || out->key_heads > NNM_LIMIT_DIMENSION)
    return fail_heads(inference, node, error);
  out->past = past_of(inference, node, past_input);
  out->batch = query->rank ? query->dims[0] : 1;
  bool packed = !nnm_has_input(node, 1); /* queries, keys and values in one tensor */
  if (!packed && (!key || !value)) return NNM_OK;
  if (packed && query->rank == 5) { /* batch, positions, heads, 3, size */
    out->heads = out->key_heads = query->dims[2];
    out->queries = query->dims[1];
    out->keys = out->queries + out->past;
    out->head_size = out->value_size = query->dims[4];
    *known = true;
    return NNM_OK;
  }
  bool split = query->rank == 4; /* one dimension for the heads */
  if ((!split && query->rank != 3) || (!split && (out->heads < 1 || out->key_heads < 1)))
    return fail_heads(inference, node, error);
  if (split) out->heads = query->dims[1];
  int64_t shares = packed ? out->heads + 2 * out->key_heads : out->heads;
  out->queries = query->dims[split ? 2 : 1];
  out->head_size = split ? query->dims[3] : query->dims[2] / shares;
  out->value_size = out->head_size;
  out->keys = out->queries;
  if (key && value) {
    bool key_split = key->rank == 4, value_split = value->rank == 4;
    if ((!key_split && key->rank != 3) || (!value_split && value->rank != 3)) return fail_heads(inference, node, error);
    if (key_split) out->key_heads = key->dims[1];
    if (out->key_heads < 1) return fail_heads(inference, node, error);
    out->keys = key->dims[key_split ? 2 : 1];
    out->value_size = value_split ? value->dims[3] : value->dims[2] / out->key_heads;
  }
  out->keys += out->past;
  *known = true;
  return NNM_OK;
}

/* One input (batch, positions, features), or (positions, features) without padding, and the weights that make queries,
 * keys and values of it. */
static nnm_status projected_input(const nnm_inference *inference, const nnm_node *node, nnm_attention *out, bool *known,
                                  nnm_error *error) {
  const nnm_shape *input = nnm_shape_of_input(inference, node, 0), *weight = nnm_shape_of_input(inference, node, 1);
  if (!input || !weight) return NNM_OK;
  out->heads = out->key_heads = nnm_attribute_int(node, "num_heads", 0);
  if (out->heads < 1 || weight->rank != 2 || input->rank < 2 || input->rank > 3)
    return fail_heads(inference, node, error);
  size_t count;
  const int64_t *sizes = nnm_attribute_ints(node, "qkv_hidden_sizes", &count);
  out->batch = input->rank == 3 ? input->dims[0] : 1;
  out->queries = input->dims[input->rank - 2];
  out->past = past_of(inference, node, node->op == NNM_OP_MS_QATTENTION ? 8 : 4);
  out->keys = out->queries + out->past;
  out->head_size = (count == 3 ? sizes[0] : weight->dims[1] / 3) / out->heads;
  out->value_size = (count == 3 ? sizes[2] : weight->dims[1] / 3) / out->heads;
  int64_t factors[4] = {out->batch, out->queries, input->dims[input->rank - 1], weight->dims[1]};
  if (!nnm_multiply_dims(factors, 4, &out->projection)) out->projection = -1;
  *known = true;
  return NNM_OK;
}

/* Without padding: all positions of all texts in a row, (positions, heads * size), or (positions, heads, 3, size) with
 * keys and values in it. Which text a position belongs to depends on data: one text is counted. */
static nnm_status unpadded_inputs(const nnm_inference *inference, const nnm_node *node, nnm_attention *out, bool *known,
                                  nnm_error *error) {
  const nnm_shape *query = nnm_shape_of_input(inference, node, 0), *value = nnm_shape_of_input(inference, node, 2);
  if (!query || (nnm_has_input(node, 2) && !value)) return NNM_OK;
  out->heads = out->key_heads = nnm_attribute_int(node, "num_heads", 0);
  if (out->heads < 1 || (query->rank != 2 && query->rank != 4) || (value && value->rank != 2))
    return fail_heads(inference, node, error);
  out->batch = 1;
  out->queries = out->keys = query->dims[0];
  out->head_size = query->rank == 4 ? query->dims[3] : query->dims[1] / out->heads;
  out->value_size = value ? value->dims[1] / out->heads : out->head_size;
  *known = true;
  return NNM_OK;
}

nnm_status nnm_attention_of(const nnm_inference *inference, const nnm_node *node, nnm_attention *out, bool *known,
                            nnm_error *error) {
  nnm_shape_rule rule = nnm_op_shape_rule(node->op);
  if (rule == nnm_rule_attention || rule == nnm_rule_linear_attention)
    return separate_inputs(inference, node, "q_num_heads", "kv_num_heads", rule == nnm_rule_attention ? 4 : UINT32_MAX,
                           out, known, error);
  if (rule == nnm_rule_multi_head_attention)
    return separate_inputs(inference, node, "num_heads", "num_heads",
                           node->op == NNM_OP_MS_MULTI_HEAD_ATTENTION ? 6 : 5, out, known, error);
  if (rule == nnm_rule_group_query_attention)
    return separate_inputs(inference, node, "num_heads", "kv_num_heads", 3, out, known, error);
  if (rule == nnm_rule_packed_attention) return unpadded_inputs(inference, node, out, known, error);
  return rule == nnm_rule_fused_attention ? projected_input(inference, node, out, known, error) : NNM_OK;
}

/* The result: one dimension for the heads where the queries have one and the operator keeps it, else heads * size. */
static nnm_status set_result(nnm_inference *inference, const nnm_node *node, const nnm_attention *sizes,
                             bool keep_heads, nnm_error *error) {
  const nnm_shape *query = nnm_shape_of_input(inference, node, 0);
  int64_t width;
  if (!nnm_multiply_i64(sizes->heads, sizes->value_size, &width)) return fail_heads(inference, node, error);
  if (keep_heads && query->rank == 4)
    return nnm_set_shape(inference, node, 0, 4,
                         (int64_t[]){sizes->batch, sizes->heads, sizes->queries, sizes->value_size}, error);
  if (query->rank == 2) return nnm_set_shape(inference, node, 0, 2, (int64_t[]){sizes->queries, width}, error);
  return nnm_set_shape(inference, node, 0, 3, (int64_t[]){sizes->batch, sizes->queries, width}, error);
}

static nnm_status set_cache(nnm_inference *inference, const nnm_node *node, const nnm_attention *sizes, uint32_t output,
                            int64_t size, nnm_error *error) {
  nnm_set_dtype(inference, node, output, nnm_input_dtype(inference, node, 0));
  return nnm_set_shape(inference, node, output, 4, (int64_t[]){sizes->batch, sizes->key_heads, sizes->keys, size},
                       error);
}

static nnm_status separate_rule(nnm_inference *inference, const nnm_node *node, bool keep_heads, nnm_error *error) {
  nnm_attention sizes = {0};
  bool known = false;
  NNM_TRY(nnm_attention_of(inference, node, &sizes, &known, error));
  if (!known) return NNM_OK;
  NNM_TRY(set_result(inference, node, &sizes, keep_heads, error));
  NNM_TRY(set_cache(inference, node, &sizes, 1, sizes.head_size, error));
  NNM_TRY(set_cache(inference, node, &sizes, 2, sizes.value_size, error));
  return nnm_set_shape(inference, node, 3, 4, (int64_t[]){sizes.batch, sizes.heads, sizes.queries, sizes.keys}, error);
}

nnm_status nnm_rule_attention(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return separate_rule(inference, node, true, error);
}
nnm_status nnm_rule_multi_head_attention(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return separate_rule(inference, node, false, error);
}
nnm_status nnm_rule_group_query_attention(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return separate_rule(inference, node, false, error);
}

nnm_status nnm_rule_packed_attention(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_attention sizes = {0};
  bool known = false;
  NNM_TRY(nnm_attention_of(inference, node, &sizes, &known, error));
  int64_t dims[2] = {sizes.queries};
  if (!known) return NNM_OK;
  if (!nnm_multiply_i64(sizes.heads, sizes.value_size, &dims[1])) return fail_heads(inference, node, error);
  return nnm_set_shape(inference, node, 0, 2, dims, error);
}

/* The state of linear attention is one matrix a head, whatever the number of positions. */
nnm_status nnm_rule_linear_attention(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  nnm_attention sizes = {0};
  bool known = false;
  NNM_TRY(nnm_attention_of(inference, node, &sizes, &known, error));
  if (!known) return NNM_OK;
  NNM_TRY(set_result(inference, node, &sizes, true, error));
  return nnm_set_shape(inference, node, 1, 4,
                       (int64_t[]){sizes.batch, sizes.key_heads, sizes.head_size, sizes.value_size}, error);
}

nnm_status nnm_rule_fused_attention(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  if (node->op == NNM_OP_MS_LONGFORMER_ATTENTION) return nnm_rule_same(inference, node, error);
  nnm_attention sizes = {0};
  bool known = false;
  NNM_TRY(nnm_attention_of(inference, node, &sizes, &known, error));
  if (!known) return NNM_OK;
  NNM_TRY(set_result(inference, node, &sizes, false, error));
  return nnm_set_shape(inference, node, 1, 5, (int64_t[]){2, sizes.batch, sizes.heads, sizes.keys, sizes.head_size},
                       error);
}

/* Gemma's form turns queries and keys at once, each with its rotated half beside it. */
nnm_status nnm_rule_rotary(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  if (node->op != NNM_OP_MS_GEMMA_ROTARY_EMBEDDING) return nnm_rule_same(inference, node, error);
  for (uint32_t i = 0; i < 2; i++) {
    const nnm_shape *shape = nnm_shape_of_input(inference, node, 1 + 2 * i);
    nnm_set_dtype(inference, node, i, nnm_input_dtype(inference, node, 1));
    if (shape) nnm_share_shape(inference, node, i, shape);
  }
  return NNM_OK;
}
