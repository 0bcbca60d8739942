/* Operators that files spell out as several: hard swish as Add, Clip, Mul, Div; layer normalisation as nine nodes.
 *
 * A pattern is the expression that its last node computes, in prefix order: MUL, X, SIGMOID, X is x * Sigmoid(x).
 * Patterns are tried for each node in execution order and build on each other: what one has found (a hard sigmoid) is
 * one operator to the next (a squeeze-and-excite gate). Each try looks at no more nodes than the pattern has symbols. */
#include "kernels/detection.h"

/* What may stand in a pattern. X: the block's input, the same tensor wherever it stands. C: any constant; S: a constant
 * of one element. The rest are operators. */
typedef enum symbol {
  END = 0,
  X,
  C,
  S,
  ADD,
  MUL,
  SUB,
  DIV,
  MUL_DIV, /* two operands; MUL_DIV: either */
  SQUARE,
  CUBE,
  ROOT,
  INVERSE_ROOT,
  RECIPROCAL,
  CLIP,
  SIGMOID,
  HARD_SIGMOID,
  TANH,
  SOFTPLUS,
  ERF,
  MEAN,
  GATE,      /* sigmoid or hard sigmoid */
  GELU_GATE, /* 1 + erf(x / sqrt 2), or its approximation with tanh */
  ACT,       /* any activation */
  DENSE,     /* 1x1 convolution or fully connected layer */
  POOL,      /* global average pooling */
  NORMED,    /* layer or RMS normalisation, perhaps scaled already */
  SYMBOL_COUNT
} symbol;

enum { MOST_SYMBOLS = 20 };

typedef struct pattern {
  uint8_t role; /* of what is found; NNM_ROLE_COUNT: the role that the matched NORMED has */
  uint8_t symbols[MOST_SYMBOLS];
} pattern;

static const pattern patterns[] = {
    {NNM_ROLE_HARDSIGMOID, {MUL_DIV, CLIP, ADD, X, S, S}},
    {NNM_ROLE_HARDSIGMOID, {CLIP, ADD, MUL_DIV, X, S, S}},
    {NNM_ROLE_HSWISH, {MUL, X, HARD_SIGMOID, X}},
    {NNM_ROLE_HSWISH, {MUL_DIV, MUL, X, CLIP, ADD, X, S, S}},
    {NNM_ROLE_HSWISH, {MUL, MUL_DIV, X, S, CLIP, ADD, X, S}},
    {NNM_ROLE_SWISH, {MUL, X, SIGMOID, X}},
    {NNM_ROLE_SWISH, {MUL, X, SIGMOID, MUL, X, S}},
    {NNM_ROLE_MISH, {MUL, X, TANH, SOFTPLUS, X}},
    {NNM_ROLE_GELU_GATE, {ADD, ERF, MUL_DIV, X, S, S}},
    {NNM_ROLE_GELU_GATE, {ADD, TANH, MUL, ADD, X, MUL, CUBE, X, S, S, S}},
    {NNM_ROLE_GELU_GATE, {ADD, TANH, MUL, ADD, X, MUL, MUL, MUL, X, X, X, S, S, S}},
    {NNM_ROLE_GELU, {MUL, MUL, X, GELU_GATE, X, S}},
    {NNM_ROLE_GELU, {MUL, X, MUL, GELU_GATE, X, S}},
    {NNM_ROLE_GELU, {MUL, MUL, X, S, GELU_GATE, X}},
    {NNM_ROLE_LAYERNORM, {DIV, SUB, X, MEAN, X, ROOT, ADD, MEAN, SQUARE, SUB, X, MEAN, X, C}},
    {NNM_ROLE_LAYERNORM, {MUL, SUB, X, MEAN, X, INVERSE_ROOT, ADD, MEAN, SQUARE, SUB, X, MEAN, X, C}},
    {NNM_ROLE_LAYERNORM, {MUL, SUB, X, MEAN, X, RECIPROCAL, ROOT, ADD, MEAN, SQUARE, SUB, X, MEAN, X, C}},
    {NNM_ROLE_RMSNORM, {DIV, X, ROOT, ADD, MEAN, SQUARE, X, C}},
    {NNM_ROLE_RMSNORM, {MUL, X, INVERSE_ROOT, ADD, MEAN, SQUARE, X, C}},
    {NNM_ROLE_RMSNORM, {MUL, X, RECIPROCAL, ROOT, ADD, MEAN, SQUARE, X, C}},
    {NNM_ROLE_RMSNORM, {MUL, X, DIV, C, ROOT, ADD, MEAN, SQUARE, X, C}},
    {NNM_ROLE_COUNT, {MUL, NORMED, X, C}},
    {NNM_ROLE_COUNT, {ADD, NORMED, X, C}},
    {NNM_ROLE_SE, {MUL, X, GATE, DENSE, ACT, DENSE, POOL, X}},
    {NNM_ROLE_SE, {MUL, X, GATE, DENSE, DENSE, POOL, X}},
    /* a hard sigmoid whose "+ 3" TFLite's converter has added to the bias of the layer in front */
    {NNM_ROLE_SE, {MUL, X, MUL_DIV, CLIP, DENSE, ACT, DENSE, POOL, X, S}},
    {NNM_ROLE_SE, {MUL, X, MUL_DIV, CLIP, DENSE, DENSE, POOL, X, S}},
};

static bool is_binary(symbol s) { return s >= ADD && s <= MUL_DIV; }

/* ------------------------------------------------- which units fit a symbol */

/* Whether a Pow raises to that exponent; one whose value the file does not have may be anything. */
static bool has_exponent(const nnm_kernel_search *d, const nnm_node *node, double expected) {
  if (node->op != NNM_OP_POW || node->input_count != 2 || node->inputs[1] < 0 || !d->shapes->constant[node->inputs[1]])
    return false;
  const nnm_value *value = d->shapes->values[node->inputs[1]];
  if (value)
    return value->count == 1 && (value->is_float ? value->as.numbers[0] : (double)value->as.integers[0]) == expected;
  const nnm_constant *constant = d->graph->tensors[node->inputs[1]].constant;
  double number;
  return !constant || !nnm_constant_float(constant, 0, &number) || number == expected;
}

static bool is_square(const nnm_kernel_search *d, const nnm_node *node) {
  if (node->op == NNM_OP_SQUARE || has_exponent(d, node, 2)) return true;
  return node->op == NNM_OP_MUL && node->input_count == 2 && node->inputs[0] >= 0 && node->inputs[1] >= 0 &&
         d->root[node->inputs[0]] == d->root[node->inputs[1]];
}

/* Layers of a squeeze-and-excite block: what they work on is one pixel. */
static bool is_dense(const nnm_kernel_search *d, const nnm_unit *unit) {
  if (unit->role == NNM_ROLE_FC) return true;
  nnm_window window;
  if (unit->role != NNM_ROLE_CONV || !nnm_window_of(d->graph, d->shapes, unit->core, &window)) return false;
  for (int i = 0; i < window.spatial; i++)
    if (window.output[i] != 1 || window.input[i] != 1) return false;
  return true;
}

static bool is_activation(const nnm_unit *unit) {
  return unit->role == NNM_ROLE_RELU || nnm_roles[unit->role].kernel == NNM_KERNEL_HSWISH ||
         unit->role == NNM_ROLE_HARDSIGMOID;
}

static bool fits_operator(const nnm_kernel_search *d, const nnm_node *node, symbol s) {
  switch (s) {
  case ADD: return node->op == NNM_OP_ADD;
  case MUL: return node->op == NNM_OP_MUL;
  case SUB: return node->op == NNM_OP_SUB;
  case DIV: return node->op == NNM_OP_DIV;
  case MUL_DIV: return node->op == NNM_OP_MUL || node->op == NNM_OP_DIV;
  case SQUARE: return is_square(d, node);
  case CUBE: return has_exponent(d, node, 3);
  case ROOT: return node->op == NNM_OP_SQRT || has_exponent(d, node, 0.5);
  case INVERSE_ROOT: return node->op == NNM_OP_RSQRT || has_exponent(d, node, -0.5);
  case RECIPROCAL: return node->op == NNM_OP_RECIPROCAL;
  case CLIP: return node->op == NNM_OP_CLIP || node->op == NNM_OP_RELU6;
  case SIGMOID: return node->op == NNM_OP_SIGMOID;
  case TANH: return node->op == NNM_OP_TANH;
  case SOFTPLUS: return node->op == NNM_OP_SOFTPLUS;
  case ERF: return node->op == NNM_OP_ERF;
  case MEAN: return node->op == NNM_OP_REDUCE_MEAN;
  default: return false;
  }
}

static bool fits(const nnm_kernel_search *d, const nnm_unit *unit, symbol s) {
  const nnm_node *node = &d->graph->nodes[unit->core];
  switch (s) {
  case HARD_SIGMOID: return unit->role == NNM_ROLE_HARDSIGMOID;
  case GATE: return unit->role == NNM_ROLE_HARDSIGMOID || node->op == NNM_OP_SIGMOID;
  case GELU_GATE: return unit->role == NNM_ROLE_GELU_GATE;
  case ACT: return is_activation(unit) || node->op == NNM_OP_SIGMOID || node->op == NNM_OP_TANH;
  case DENSE: return is_dense(d, unit);
  case POOL: return unit->role == NNM_ROLE_GAP;
  case NORMED: return unit->role == NNM_ROLE_LAYERNORM || unit->role == NNM_ROLE_RMSNORM || unit->role == NNM_ROLE_NORM;
  default: return unit->input < 0 && fits_operator(d, node, s);
  }
}

/* ---------------------------------------------------------------- matching */

typedef struct match {
  const nnm_kernel_search *d;
  const uint8_t *at;               /* the symbol to match next */
  nnm_tensor_id x;                 /* what X stands for; -1: nothing yet */
  nnm_unit_id units[MOST_SYMBOLS]; /* matched, each once */
  int count;
  nnm_role normed; /* role of the unit that matched NORMED */
} match;

static bool match_tensor(match *m, nnm_tensor_id tensor);

/* The tensor that a unit of one operand reads, or -1. */
static nnm_tensor_id operand_of(const nnm_kernel_search *d, const nnm_unit *unit) {
  if (unit->input >= 0) return unit->input;
  const nnm_node *node = &d->graph->nodes[unit->core];
  nnm_tensor_id operand = -1;
  for (uint32_t i = 0; i < node->input_count; i++) {
    if (node->inputs[i] < 0 || d->shapes->constant[node->inputs[i]]) continue;
    if (operand >= 0 && operand != d->root[node->inputs[i]]) return -1;
    operand = d->root[node->inputs[i]];
  }
  return operand;
}

static bool match_operands(match *m, const nnm_node *node, bool swapped) {
  return match_tensor(m, node->inputs[swapped]) && match_tensor(m, node->inputs[!swapped]);
}

static bool match_unit(match *m, nnm_unit_id id, symbol s) {
  const nnm_unit *unit = &m->d->units[id];
  const nnm_node *node = &m->d->graph->nodes[unit->core];
  if (!fits(m->d, unit, s)) return false;
  bool is_new = true;
  for (int i = 0; i < m->count; i++) is_new = is_new && m->units[i] != id;
  if (is_new) m->units[m->count++] = id;
  if (s == NORMED) m->normed = unit->role;
  if (!is_binary(s)) return match_tensor(m, operand_of(m->d, unit));
  if (node->input_count != 2 || node->inputs[0] < 0 || node->inputs[1] < 0) return false;
  match before = *m;
  if (match_operands(m, node, false)) return true;
  if (node->op != NNM_OP_ADD && node->op != NNM_OP_MUL) return false;
  *m = before;
  return match_operands(m, node, true);
}

static bool match_tensor(match *m, nnm_tensor_id tensor) {
  symbol s = (symbol)*m->at++;
  if (tensor < 0) return false;
  if (s == C) return m->d->shapes->constant[tensor];
  if (s == S) return m->d->shapes->constant[tensor] && nnm_shape_elements(m->d->shapes->tensors[tensor]) == 1;
  if (m->d->shapes->constant[tensor]) return false;
  tensor = m->d->root[tensor];
  if (s == X) {
    if (m->x < 0) m->x = tensor;
    return m->x == tensor;
  }
  nnm_unit_id unit = nnm_unit_making(m->d, tensor);
  return unit >= 0 && m->d->units[unit].output == tensor && match_unit(m, unit, s);
}

/* Whether nothing outside the match reads what its inner units make. */
static bool is_closed(const match *m) {
  const nnm_kernel_search *d = m->d;
  for (int i = 1; i < m->count; i++) { /* unit 0 makes the result */
    nnm_tensor_id output = d->units[m->units[i]].output;
    if (d->escapes[output]) return false;
    for (uint32_t r = d->reader_start[output]; r < d->reader_start[output + 1]; r++) {
      bool is_inside = false;
      for (int k = 0; k < m->count; k++) is_inside = is_inside || d->unit_of[d->readers[r]] == m->units[k];
      if (!is_inside) return false;
    }
  }
  return true;
}

static void take(nnm_kernel_search *d, const match *m, nnm_role role) {
  nnm_unit result = d->units[m->units[0]];
  nnm_unit_id id = m->units[0];
  for (int i = 1; i < m->count; i++) id = nnm_join_units(d, id, m->units[i]);
  nnm_unit *unit = &d->units[id];
  unit->role = role;
  unit->core = result.core;
  unit->position = result.position;
  unit->block = result.block;
  unit->input = m->x;
  unit->output = result.output;
  unit->shown_output = result.shown_output;
  unit->has_bn = false;
}

/* --------------------------------------------------------- channel shuffle */

/* A view of `root` with one more axis: the transposition exchanges the two that the channels were split into. */
static bool is_channel_shuffle(const nnm_kernel_search *d, const nnm_node *node) {
  size_t count;
  const int64_t *order = nnm_attribute_ints(node, "perm", &count);
  nnm_tensor_id root = d->root[node->inputs[0]];
  nnm_shape whole = d->shapes->tensors[root], split = d->shapes->tensors[node->inputs[0]];
  if (!order || whole.rank < 3 || split.rank != whole.rank + 1 || count != (size_t)split.rank) return false;
  int32_t axis = node->layout == NNM_CHANNELS_LAST ? whole.rank - 1 : 1;
  for (int32_t i = 0; i < split.rank; i++) {
    int64_t expected = i == axis ? axis + 1 : i == axis + 1 ? axis : i;
    if (order[i] != expected) return false;
    if (i < axis && split.dims[i] != whole.dims[i]) return false;
    if (i > axis + 1 && split.dims[i] != whole.dims[i - 1]) return false;
  }
  return true;
}

/* The view behind the shuffle that has the shape of the map in front of it, or -1. */
static nnm_tensor_id joined_again(const nnm_kernel_search *d, nnm_tensor_id shuffled, nnm_shape whole) {
  for (uint32_t i = d->graph->consumer_start[shuffled]; i < d->graph->consumer_start[shuffled + 1]; i++) {
    const nnm_node *reader = &d->graph->nodes[d->graph->consumer_nodes[i]];
    if (!d->is_view[d->graph->consumer_nodes[i]]) return -1;
    nnm_shape shape = d->shapes->tensors[reader->outputs[0]];
    bool same = shape.rank == whole.rank;
    for (int32_t k = 0; same && k < shape.rank; k++) same = shape.dims[k] == whole.dims[k];
    if (same) return reader->outputs[0];
  }
  return -1;
}

static void match_channel_shuffle(nnm_kernel_search *d, nnm_unit *unit) {
  const nnm_node *node = &d->graph->nodes[unit->core];
  if (!is_channel_shuffle(d, node)) return;
  nnm_tensor_id root = d->root[node->inputs[0]];
  nnm_tensor_id joined = joined_again(d, node->outputs[0], d->shapes->tensors[root]);
  if (joined < 0) return;
  unit->role = NNM_ROLE_CHANNELSHUFFLE;
  unit->input = root;
  unit->shown_output = joined;
}

void nnm_match_patterns(nnm_kernel_search *d, nnm_node_id n) {
  const nnm_unit_id id = d->unit_of[n];
  const nnm_node *node = &d->graph->nodes[n];
  if (node->op == NNM_OP_TRANSPOSE) match_channel_shuffle(d, &d->units[id]);
  if (node->op != NNM_OP_MUL && node->op != NNM_OP_ADD && node->op != NNM_OP_DIV && node->op != NNM_OP_CLIP &&
      node->op != NNM_OP_RELU6)
    return;
  for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
    if (!fits(d, &d->units[id], (symbol)patterns[i].symbols[0])) continue;
    match m = {.d = d, .at = patterns[i].symbols + 1, .x = -1, .normed = NNM_ROLE_COUNT};
    if (!match_unit(&m, id, (symbol)patterns[i].symbols[0]) || m.count < 2 || !is_closed(&m)) continue;
    take(d, &m, patterns[i].role == NNM_ROLE_COUNT ? m.normed : (nnm_role)patterns[i].role);
    return;
  }
}
