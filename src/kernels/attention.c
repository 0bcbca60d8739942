/* Attention spelt out: queries times keys, scaled and masked, softmax, times values. What a file writes between the two
 * products differs from exporter to exporter, so it is followed rather than matched: from the second product back
 * through the softmax to the first one. Each try looks at a bounded number of nodes. */
#include "kernels/detection.h"

enum { MOST_UNITS = 24, MOST_STEPS = 6 };

typedef struct block {
  const nnm_kernel_search *d;
  nnm_unit_id units[MOST_UNITS]; /* each once; the first makes the result */
  int count;
  nnm_unit_id scores, softmax; /* the first product; -1: not found yet */
} block;

static bool has_unit(const block *b, nnm_unit_id unit) {
  for (int i = 0; i < b->count; i++)
    if (b->units[i] == unit) return true;
  return false;
}

static bool add_unit(block *b, nnm_unit_id unit) {
  if (has_unit(b, unit)) return true;
  if (b->count == MOST_UNITS) return false;
  b->units[b->count++] = unit;
  return true;
}

static const nnm_node *node_of(const block *b, nnm_unit_id unit) { return &b->d->graph->nodes[b->d->units[unit].core]; }

/* The unit that makes a tensor, looked at through views; -1 for constants, inputs and results among several. */
static nnm_unit_id maker_of(const block *b, nnm_tensor_id tensor) {
  const nnm_kernel_search *d = b->d;
  if (tensor < 0 || d->shapes->constant[tensor]) return -1;
  nnm_unit_id unit = nnm_unit_making(d, d->root[tensor]);
  if (unit < 0 || d->units[unit].output != d->root[tensor]) return -1;
  return d->units[unit].block == d->units[b->units[0]].block ? unit : -1;
}

static bool is_one_number(const block *b, nnm_tensor_id tensor) {
  return tensor >= 0 && nnm_shape_elements(b->d->shapes->tensors[tensor]) == 1;
}

/* Exchanges the last two axes and no others. */
static bool swaps_last_axes(const block *b, nnm_unit_id unit) {
  size_t count;
  const nnm_node *node = node_of(b, unit);
  const int64_t *order = node->op == NNM_OP_TRANSPOSE ? nnm_attribute_ints(node, "perm", &count) : NULL;
  if (!order || count < 2) return false;
  for (size_t i = 0; i + 2 < count; i++)
    if (order[i] != (int64_t)i) return false;
  return order[count - 1] == (int64_t)count - 2;
}

/* A product of two activations, each of them a matrix or a stack of them. */
static bool is_product(const block *b, nnm_unit_id unit) {
  const nnm_node *node = node_of(b, unit);
  return b->d->units[unit].role == NNM_ROLE_MATMUL && b->d->units[unit].input < 0 && node->input_count == 2 &&
         nnm_op_work((nnm_op)node->op) == NNM_WORK_MATRIX;
}

/* ------------------------------------------- from the softmax to the scores */

/* Operators between the first product and the softmax that scale, mask or clip scores, and which operands may carry them. */
static uint32_t score_operands(int32_t op) {
  switch (op) {
  case NNM_OP_ADD:
  case NNM_OP_MUL:
  case NNM_OP_MAX:
  case NNM_OP_MIN: return 1U << 0 | 1U << 1;
  case NNM_OP_WHERE: return 1U << 1 | 1U << 2;
  case NNM_OP_SUB:
  case NNM_OP_DIV:
  case NNM_OP_CAST:
  case NNM_OP_CLIP:
  case NNM_OP_TANH: return 1U << 0;
  default: return 0;
  }
}

/* Follows a tensor back to the first product; what lies between joins the block. */
static bool follow_scores(block *b, nnm_tensor_id tensor, int steps) {
  nnm_unit_id unit = maker_of(b, tensor);
  if (unit < 0) return false;
  if (is_product(b, unit)) {
    b->scores = unit;
    return add_unit(b, unit);
  }
  const nnm_node *node = node_of(b, unit);
  uint32_t operands = score_operands(node->op);
  if (!steps || !operands || b->d->units[unit].input >= 0) return false;
  const int before = b->count;
  for (uint32_t i = 0; i < node->input_count && i < 3; i++) {
    if (!(operands >> i & 1) || !add_unit(b, unit)) continue;
    if (follow_scores(b, node->inputs[i], steps - 1)) return true;
    b->count = before;
  }
  return false;
}

/* ------------------------------------------- from the result to the softmax */

/* The data operand of a Where that keeps scores out; torch puts zeros in place of the NaN of rows all masked. */
static nnm_tensor_id unmasked_operand(block *b, nnm_unit_id unit) {
  const nnm_node *node = node_of(b, unit);
  if (node->op != NNM_OP_WHERE || node->input_count != 3 || node->inputs[1] < 0 || node->inputs[2] < 0) return -1;
  bool first = b->d->shapes->constant[node->inputs[1]], second = b->d->shapes->constant[node->inputs[2]];
  if (first == second) return -1;
  nnm_tensor_id kept = node->inputs[first ? 2 : 1];
  nnm_unit_id test = maker_of(b, node->inputs[0]);
  if (test >= 0 && node_of(b, test)->op == NNM_OP_IS_NAN &&
      b->d->root[node_of(b, test)->inputs[0]] == b->d->root[kept] && !add_unit(b, test))
    return -1;
  return kept;
}

static bool follow_probabilities(block *b, nnm_tensor_id tensor) {
  for (int steps = MOST_STEPS; steps > 0; steps--) {
    nnm_unit_id unit = maker_of(b, tensor);
    if (unit < 0 || !add_unit(b, unit)) return false;
    const nnm_node *node = node_of(b, unit);
    if (b->d->units[unit].role == NNM_ROLE_SOFTMAX) {
      b->softmax = unit;
      nnm_tensor_id input = b->d->units[unit].input;
      return follow_scores(b, input >= 0 ? input : node->inputs[0], MOST_STEPS);
    }
    if (node->op == NNM_OP_CAST || swaps_last_axes(b, unit)) tensor = node->inputs[0];
    else tensor = unmasked_operand(b, unit);
  }
  return false;
}

/* --------------------------------------------------- in front of the scores */

/* Takes the scales of queries and keys, and the transposition of the keys, where nothing else reads them. */
static void take_operand(block *b, nnm_tensor_id tensor) {
  nnm_unit_id reader = b->scores;
  for (int steps = 3; steps > 0; steps--) {
    nnm_unit_id unit = maker_of(b, tensor);
    if (unit < 0 || b->d->units[unit].input >= 0 || !nnm_only_read_by(b->d, unit, reader)) return;
    const nnm_node *node = node_of(b, unit);
    if (swaps_last_axes(b, unit)) tensor = node->inputs[0];
    else if ((node->op == NNM_OP_MUL || node->op == NNM_OP_DIV) && node->input_count == 2) {
      if (is_one_number(b, node->inputs[1])) tensor = node->inputs[0];
      else if (node->op == NNM_OP_MUL && is_one_number(b, node->inputs[0])) tensor = node->inputs[1];
      else return;
    } else return;
    if (!add_unit(b, unit)) return;
    reader = unit;
  }
}

static void take(nnm_kernel_search *d, const block *b) {
  const nnm_unit result = d->units[b->units[0]];
  const nnm_node_id core = d->units[b->softmax].core;
  nnm_unit_id id = b->units[0];
  for (int i = 1; i < b->count; i++) id = nnm_join_units(d, id, b->units[i]);
  nnm_unit *unit = &d->units[id];
  *unit = (nnm_unit){.role = NNM_ROLE_ATTENTION,
                     .core = core, /* its shape has the number of queries and keys */
                     .first = unit->first,
                     .last = unit->last,
                     .member_count = unit->member_count,
                     .position = result.position,
                     .block = result.block,
                     .input = -1,
                     .output = result.output,
                     .shown_output = result.shown_output};
}

void nnm_match_attention(nnm_kernel_search *d, nnm_node_id n) {
  block b = {.d = d, .units = {d->unit_of[n]}, .count = 1};
  if (!is_product(&b, d->unit_of[n]) || !nnm_fusion_rules_allow_block(d->rules, "matmul", "softmax")) return;
  const nnm_node *node = &d->graph->nodes[n];
  for (int i = 0; i < 2; i++) {
    b.count = 1;
    b.scores = b.softmax = -1;
    if (!follow_probabilities(&b, node->inputs[i]) || b.scores == b.units[0]) continue;
    if (!nnm_is_closed(d, b.units, b.count)) continue;
    const nnm_node *scores = node_of(&b, b.scores);
    for (int k = 0; k < 2; k++) take_operand(&b, scores->inputs[k]);
    take(d, &b);
    return;
  }
}
