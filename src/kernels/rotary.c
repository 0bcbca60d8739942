/* Rotary position embedding spelt out: the two halves of a vector (or its even and odd elements) are turned by an angle.
 * Exporters write it in two ways, both of them a bounded number of nodes:
 *   x * cos + Concat(-second, first) * sin           with first and second cut out of x
 *   Concat(first * cos - second * sin, second * cos + first * sin)
 * Sines and cosines are computed once for all layers, so they stay outside. */
#include "kernels/detection.h"

enum { MOST_UNITS = 12, PARTS = 2 };

typedef struct block {
  const nnm_kernel_search *d;
  nnm_unit_id units[MOST_UNITS]; /* each once; the first makes the result */
  int count;
  nnm_tensor_id whole;        /* root of what is turned; -1: not known yet */
  nnm_tensor_id parts[PARTS]; /* its two parts, -1: not known yet */
} block;

static const nnm_node *node_of(const block *b, nnm_unit_id unit) { return &b->d->graph->nodes[b->d->units[unit].core]; }

static bool add_unit(block *b, nnm_unit_id unit) {
  for (int i = 0; i < b->count; i++)
    if (b->units[i] == unit) return true;
  if (b->count == MOST_UNITS) return false;
  b->units[b->count++] = unit;
  return true;
}

/* The unit whose only operator makes a tensor, looked at through views; -1: none such. */
static nnm_unit_id maker_of(const block *b, nnm_tensor_id tensor) {
  const nnm_kernel_search *d = b->d;
  if (tensor < 0 || d->shapes->constant[tensor]) return -1;
  nnm_unit_id unit = nnm_unit_making(d, d->root[tensor]);
  if (unit < 0 || d->units[unit].input >= 0) return -1;
  if (d->units[unit].core != d->graph->tensors[d->root[tensor]].producer) return -1;
  return d->units[unit].block == d->units[b->units[0]].block ? unit : -1;
}

/* The same, when it is an operator of two operands. */
static nnm_unit_id binary_making(block *b, nnm_tensor_id tensor, int32_t op, int32_t or_op) {
  nnm_unit_id unit = maker_of(b, tensor);
  if (unit < 0 || node_of(b, unit)->input_count != 2) return -1;
  int32_t found = node_of(b, unit)->op;
  return (found == op || found == or_op) && add_unit(b, unit) ? unit : -1;
}

/* Which of the two parts a tensor is; -1: none. */
static int part_of(block *b, nnm_tensor_id tensor) {
  nnm_unit_id unit = maker_of(b, tensor);
  if (unit < 0 || b->d->units[unit].role != NNM_ROLE_SPLIT) return -1;
  const nnm_node *node = node_of(b, unit);
  nnm_tensor_id root = b->d->root[tensor], whole = node->input_count ? node->inputs[0] : -1;
  if (whole < 0 || b->d->shapes->constant[whole]) return -1;
  whole = b->d->root[whole];
  if (b->whole < 0) b->whole = whole;
  if (b->whole != whole || !add_unit(b, unit)) return -1;
  for (int i = 0; i < PARTS; i++) {
    if (b->parts[i] < 0) b->parts[i] = root;
    if (b->parts[i] == root) return i;
  }
  return -1;
}

static bool is_pair(const nnm_node *node) { return node->input_count == PARTS; }

/* Concat(-second, first) */
static bool is_turned(block *b, nnm_tensor_id tensor) {
  nnm_unit_id joined = maker_of(b, tensor);
  if (joined < 0 || b->d->units[joined].role != NNM_ROLE_CONCAT || !is_pair(node_of(b, joined))) return false;
  const nnm_node *node = node_of(b, joined);
  nnm_unit_id negated = maker_of(b, node->inputs[0]);
  if (negated < 0 || node_of(b, negated)->op != NNM_OP_NEG || node_of(b, negated)->input_count != 1 ||
      !add_unit(b, joined) || !add_unit(b, negated))
    return false;
  int second = part_of(b, node_of(b, negated)->inputs[0]), first = part_of(b, node->inputs[1]);
  return first >= 0 && second >= 0 && first != second;
}

/* One product of the sum has x itself, the other what is turned by a right angle. */
static bool match_sum(block *b) {
  const block before = *b;
  const nnm_node *sum = node_of(b, b->units[0]);
  if (sum->op != NNM_OP_ADD || !is_pair(sum)) return false;
  for (int choice = 0; choice < 4; choice++) {
    *b = before;
    int straight = choice & 1, operand = choice >> 1;
    nnm_unit_id products[PARTS];
    for (int i = 0; i < PARTS; i++) products[i] = binary_making(b, sum->inputs[i], NNM_OP_MUL, NNM_OP_MUL);
    if (products[0] < 0 || products[1] < 0 || products[0] == products[1]) return false;
    if (!is_turned(b, node_of(b, products[!straight])->inputs[operand])) continue;
    const nnm_node *product = node_of(b, products[straight]);
    for (int i = 0; i < PARTS; i++)
      if (product->inputs[i] >= 0 && b->d->root[product->inputs[i]] == b->whole) return true;
  }
  return false;
}

/* first * a + second * b, or their difference */
static bool is_mixed(block *b, nnm_tensor_id tensor) {
  nnm_unit_id sum = binary_making(b, tensor, NNM_OP_ADD, NNM_OP_SUB);
  if (sum < 0) return false;
  int parts[PARTS];
  for (int i = 0; i < PARTS; i++) {
    nnm_unit_id product = binary_making(b, node_of(b, sum)->inputs[i], NNM_OP_MUL, NNM_OP_MUL);
    if (product < 0) return false;
    parts[i] = part_of(b, node_of(b, product)->inputs[0]);
    if (parts[i] < 0) parts[i] = part_of(b, node_of(b, product)->inputs[1]);
  }
  return parts[0] >= 0 && parts[1] >= 0 && parts[0] != parts[1];
}

static bool match_join(block *b) {
  const nnm_node *node = node_of(b, b->units[0]);
  if (b->d->units[b->units[0]].role != NNM_ROLE_CONCAT || !is_pair(node)) return false;
  return is_mixed(b, node->inputs[0]) && is_mixed(b, node->inputs[1]);
}

static bool is_read_inside(const block *b, nnm_tensor_id root) {
  const nnm_kernel_search *d = b->d;
  if (root < 0) return true;
  if (d->escapes[root]) return false;
  for (uint32_t r = d->reader_start[root]; r < d->reader_start[root + 1]; r++) {
    bool inside = false;
    for (int i = 0; i < b->count; i++) inside = inside || d->unit_of[d->readers[r]] == b->units[i];
    if (!inside) return false;
  }
  return true;
}

/* Whether only the result is read from outside; of a Split every part counts. */
static bool is_closed(const block *b) {
  for (int i = 1; i < b->count; i++) {
    const nnm_node *node = node_of(b, b->units[i]);
    for (uint32_t k = 0; k < node->output_count; k++)
      if (node->outputs[k] >= 0 && !is_read_inside(b, b->d->root[node->outputs[k]])) return false;
  }
  return true;
}

static void take(nnm_kernel_search *d, const block *b) {
  const nnm_unit result = d->units[b->units[0]];
  nnm_unit_id id = b->units[0];
  for (int i = 1; i < b->count; i++) id = nnm_join_units(d, id, b->units[i]);
  nnm_unit *unit = &d->units[id];
  unit->role = NNM_ROLE_ROTARY;
  unit->core = result.core;
  unit->position = result.position;
  unit->block = result.block;
  unit->input = b->whole;
  unit->output = result.output;
  unit->shown_output = result.shown_output;
  unit->has_bn = false;
}

void nnm_match_rotary(nnm_kernel_search *d, nnm_node_id n) {
  block b = {.d = d, .units = {d->unit_of[n]}, .count = 1, .whole = -1, .parts = {-1, -1}};
  if (d->units[b.units[0]].input >= 0 || d->units[b.units[0]].output < 0) return;
  if ((match_sum(&b) || match_join(&b)) && is_closed(&b)) take(d, &b);
}
