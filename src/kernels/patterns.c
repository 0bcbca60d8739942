/* Operators that files spell out as several: hard swish as Add, Clip, Mul, Div; layer normalisation as nine nodes.
 *
 * A pattern is the expression that its last node computes, in prefix order: MUL, X, SIGMOID, X is x * Sigmoid(x).
 * Patterns are tried for each node in execution order and build on each other: what one has found (a hard sigmoid) is
 * one operator to the next (a squeeze-and-excite gate). A part that is written in several ways is a symbol with a row of
 * `parts` for each of them. A try takes a bounded number of steps, so that matching stays linear in nodes. */
#include "kernels/detection.h"

/* What may stand in a pattern. X: the block's input, the same tensor wherever it stands. C: any constant; S: a constant
 * of one element. The rest are operators, and at the end the parts. */
typedef enum symbol {
  END = 0,
  X,
  C,
  S,
  ADD,
  MUL,
  SUB,
  DIV,
  MUL_DIV, /* either */
  MAXIMUM,
  MINIMUM,
  SQUARED_DIFFERENCE, /* the last operator of two operands */
  SQUARE,
  CUBE,
  ROOT,
  INVERSE_ROOT,
  RECIPROCAL,
  NEGATIVE,
  EXP,
  LOG,
  CAST,
  EXPAND,
  CLIP,
  SIGMOID,
  HARD_SIGMOID,
  TANH,
  SOFTPLUS,
  ERF,
  MEAN,      /* over some axes, as ReduceMean or as a sum divided */
  TOTAL,     /* sum over some axes */
  LENGTH,    /* root of the sum of squares over some axes */
  SQUARES,   /* sum of squares over some axes, as one operator */
  LARGEST,   /* over some axes */
  GATE,      /* sigmoid or hard sigmoid */
  GELU_GATE, /* 1 + erf(x / sqrt 2), or its approximation with tanh */
  ACT,       /* any activation */
  DENSE,     /* 1x1 convolution or fully connected layer */
  POOL,      /* global average pooling */
  NORMED,    /* normalised by its own mean and variance, perhaps scaled already */
  FIRST_PART,
  CUBED = FIRST_PART,
  GELU_SUM,      /* x + 0.044715 x^3 */
  PEAK,          /* the largest value, which softmax subtracts */
  EXPONENTIAL,   /* of softmax */
  VARIANCE,      /* of x */
  LAYER_INVERSE, /* 1 / sqrt(variance + epsilon) */
  LAYER_SCALE,   /* the same, times gamma if that has been multiplied in */
  LAYER_SHIFT,   /* beta - mean * scale */
  RMS_INVERSE,
  RMS_SCALE,
  L2_SQUARES, /* sum of squares, kept from zero */
  L2_LENGTH,  /* its root */
  L2_DIVISOR, /* the same, kept from zero and spread over x */
  SYMBOL_COUNT
} symbol;

enum { MOST_SYMBOLS = 20, MOST_UNITS = 24, MOST_STEPS = 500 };

typedef struct pattern {
  uint8_t role; /* of what is found; NNM_ROLE_COUNT: the role that the matched NORMED has */
  uint8_t symbols[MOST_SYMBOLS];
} pattern;

static const pattern patterns[] = {
    {NNM_ROLE_MEAN, {MUL_DIV, TOTAL, X, S}},
    {NNM_ROLE_RELU, {MINIMUM, MAXIMUM, X, S, S}},
    {NNM_ROLE_RELU, {MAXIMUM, MINIMUM, X, S, S}},
    {NNM_ROLE_HARDSIGMOID, {MUL_DIV, CLIP, ADD, X, S, S}},
    {NNM_ROLE_HARDSIGMOID, {CLIP, ADD, MUL_DIV, X, S, S}},
    {NNM_ROLE_HSWISH, {MUL, X, HARD_SIGMOID, X}},
    {NNM_ROLE_HSWISH, {MUL_DIV, MUL, X, CLIP, ADD, X, S, S}},
    {NNM_ROLE_HSWISH, {MUL, MUL_DIV, X, S, CLIP, ADD, X, S}},
    {NNM_ROLE_SWISH, {MUL, X, SIGMOID, X}},
    {NNM_ROLE_SWISH, {MUL, X, SIGMOID, MUL, X, S}},
    {NNM_ROLE_SWISH, {DIV, X, ADD, EXP, NEGATIVE, X, S}},
    {NNM_ROLE_SOFTPLUS, {LOG, ADD, EXP, X, S}},
    {NNM_ROLE_MISH, {MUL, X, TANH, SOFTPLUS, X}},
    {NNM_ROLE_GELU_GATE, {ADD, ERF, MUL_DIV, X, S, S}},
    {NNM_ROLE_GELU_GATE, {ADD, TANH, MUL, GELU_SUM, S, S}},
    {NNM_ROLE_GELU_GATE, {ADD, TANH, MUL, MUL, X, S, ADD, MUL, SQUARE, X, S, S, S}},
    {NNM_ROLE_GELU, {MUL, MUL, X, GELU_GATE, X, S}},
    {NNM_ROLE_GELU, {MUL, X, MUL, GELU_GATE, X, S}},
    {NNM_ROLE_GELU, {MUL, MUL, X, S, GELU_GATE, X}},
    {NNM_ROLE_SOFTMAX, {DIV, EXPONENTIAL, TOTAL, EXPONENTIAL}},
    {NNM_ROLE_LAYERNORM, {DIV, SUB, X, MEAN, X, ROOT, ADD, VARIANCE, C}},
    {NNM_ROLE_LAYERNORM, {MUL, SUB, X, MEAN, X, LAYER_SCALE}},
    {NNM_ROLE_LAYERNORM, {ADD, MUL, X, LAYER_SCALE, LAYER_SHIFT}},
    {NNM_ROLE_LAYERNORM, {SUB, MUL, X, LAYER_SCALE, MUL, MEAN, X, LAYER_SCALE}},
    {NNM_ROLE_RMSNORM, {DIV, X, ROOT, ADD, MEAN, SQUARE, X, C}},
    {NNM_ROLE_RMSNORM, {MUL, X, RMS_SCALE}},
    {NNM_ROLE_L2NORM, {DIV, X, L2_DIVISOR}},
    {NNM_ROLE_L2NORM, {MUL, X, INVERSE_ROOT, L2_SQUARES}},
    {NNM_ROLE_L2NORM, {MUL, X, RECIPROCAL, L2_DIVISOR}},
    {NNM_ROLE_L2NORM, {MUL, X, DIV, C, L2_DIVISOR}},
    {NNM_ROLE_COUNT, {MUL, NORMED, X, C}},
    {NNM_ROLE_COUNT, {ADD, NORMED, X, C}},
    {NNM_ROLE_COUNT, {CAST, NORMED, X}},
    {NNM_ROLE_SE, {MUL, X, GATE, DENSE, ACT, DENSE, POOL, X}},
    {NNM_ROLE_SE, {MUL, X, GATE, DENSE, DENSE, POOL, X}},
    /* a hard sigmoid whose "+ 3" TFLite's converter has added to the bias of the layer in front */
    {NNM_ROLE_SE, {MUL, X, MUL_DIV, CLIP, DENSE, ACT, DENSE, POOL, X, S}},
    {NNM_ROLE_SE, {MUL, X, MUL_DIV, CLIP, DENSE, DENSE, POOL, X, S}},
};

typedef struct part {
  uint8_t symbol; /* what may also be written as the others; rows of one symbol stand together */
  uint8_t symbols[MOST_SYMBOLS];
} part;

static const part parts[] = {
    {CUBED, {CUBE, X}},
    {CUBED, {MUL, SQUARE, X, X}},
    {GELU_SUM, {ADD, X, MUL, CUBED, S}},
    {GELU_SUM, {ADD, X, MUL, X, MUL, X, MUL, X, S}},
    {PEAK, {LARGEST, X}},
    {PEAK, {MAXIMUM, LARGEST, X, C}},
    {EXPONENTIAL, {EXP, SUB, X, PEAK}},
    {EXPONENTIAL, {EXP, X}},
    {VARIANCE, {MEAN, SQUARE, SUB, X, MEAN, X}},
    {VARIANCE, {MEAN, SQUARED_DIFFERENCE, X, MEAN, X}},
    {VARIANCE, {SUB, MEAN, SQUARE, X, SQUARE, MEAN, X}},
    {VARIANCE, {MAXIMUM, SUB, MEAN, SQUARE, X, SQUARE, MEAN, X, C}},
    {LAYER_INVERSE, {INVERSE_ROOT, ADD, VARIANCE, C}},
    {LAYER_INVERSE, {RECIPROCAL, ROOT, ADD, VARIANCE, C}},
    {LAYER_INVERSE, {DIV, C, ROOT, ADD, VARIANCE, C}},
    {LAYER_SCALE, {LAYER_INVERSE}},
    {LAYER_SCALE, {MUL, LAYER_INVERSE, C}},
    {LAYER_SHIFT, {SUB, C, MUL, MEAN, X, LAYER_SCALE}},
    {LAYER_SHIFT, {ADD, MUL, NEGATIVE, MEAN, X, LAYER_SCALE, C}},
    {LAYER_SHIFT, {MUL, NEGATIVE, MEAN, X, LAYER_SCALE}},
    {RMS_INVERSE, {INVERSE_ROOT, ADD, MEAN, SQUARE, X, C}},
    {RMS_INVERSE, {RECIPROCAL, ROOT, ADD, MEAN, SQUARE, X, C}},
    {RMS_INVERSE, {DIV, C, ROOT, ADD, MEAN, SQUARE, X, C}},
    {RMS_SCALE, {RMS_INVERSE}},
    {RMS_SCALE, {MUL, RMS_INVERSE, C}},
    {L2_SQUARES, {SQUARES, X}},
    {L2_SQUARES, {TOTAL, SQUARE, X}},
    {L2_SQUARES, {MAXIMUM, TOTAL, SQUARE, X, C}},
    {L2_SQUARES, {MAXIMUM, SQUARES, X, C}},
    {L2_SQUARES, {CLIP, TOTAL, SQUARE, X}},
    {L2_SQUARES, {ADD, TOTAL, SQUARE, X, C}},
    {L2_SQUARES, {ADD, SQUARES, X, C}},
    {L2_LENGTH, {LENGTH, X}},
    {L2_LENGTH, {ROOT, L2_SQUARES}},
    {L2_DIVISOR, {EXPAND, CLIP, L2_LENGTH}},
    {L2_DIVISOR, {EXPAND, MAXIMUM, L2_LENGTH, C}},
    {L2_DIVISOR, {EXPAND, L2_LENGTH}},
    {L2_DIVISOR, {CLIP, L2_LENGTH}},
    {L2_DIVISOR, {MAXIMUM, L2_LENGTH, C}},
    {L2_DIVISOR, {ADD, L2_LENGTH, C}},
    {L2_DIVISOR, {L2_LENGTH}},
};

static bool is_binary(symbol s) { return s >= ADD && s <= SQUARED_DIFFERENCE; }

/* An operand may stand on either side. */
static bool commutes(int32_t op) {
  return op == NNM_OP_ADD || op == NNM_OP_MUL || op == NNM_OP_MAX || op == NNM_OP_MIN ||
         op == NNM_OP_SQUARED_DIFFERENCE;
}

/* ------------------------------------------------- which units fit a symbol */

/* Whether a Pow raises to that exponent; one whose value the file does not have may be anything. */
static bool has_exponent(const nnm_kernel_search *d, const nnm_node *node, double expected) {
  if (node->op != NNM_OP_POW || node->input_count != 2 || node->inputs[1] < 0 || !d->shapes->constant[node->inputs[1]])
    return false;
  double number;
  return !nnm_only_number(d, node->inputs[1], &number) || number == expected;
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

static bool is_clip(int32_t op) {
  return op == NNM_OP_CLIP || op == NNM_OP_RELU6 || op == NNM_OP_MIN || op == NNM_OP_MAX;
}

static bool is_activation(const nnm_unit *unit) {
  return unit->role == NNM_ROLE_RELU || nnm_roles[unit->role].kernel == NNM_KERNEL_HSWISH ||
         unit->role == NNM_ROLE_HARDSIGMOID;
}

/* Symbols that are one operator. */
static const int32_t ops_of_symbols[FIRST_PART] = {
    [ADD] = NNM_OP_ADD,
    [MUL] = NNM_OP_MUL,
    [SUB] = NNM_OP_SUB,
    [DIV] = NNM_OP_DIV,
    [MAXIMUM] = NNM_OP_MAX,
    [MINIMUM] = NNM_OP_MIN,
    [SQUARED_DIFFERENCE] = NNM_OP_SQUARED_DIFFERENCE,
    [RECIPROCAL] = NNM_OP_RECIPROCAL,
    [NEGATIVE] = NNM_OP_NEG,
    [EXP] = NNM_OP_EXP,
    [LOG] = NNM_OP_LOG,
    [CAST] = NNM_OP_CAST,
    [EXPAND] = NNM_OP_EXPAND,
    [SIGMOID] = NNM_OP_SIGMOID,
    [TANH] = NNM_OP_TANH,
    [ERF] = NNM_OP_ERF,
    [TOTAL] = NNM_OP_REDUCE_SUM,
    [LARGEST] = NNM_OP_REDUCE_MAX,
    [LENGTH] = NNM_OP_REDUCE_L2,
    [SQUARES] = NNM_OP_REDUCE_SUM_SQUARE,
};

static bool fits_operator(const nnm_kernel_search *d, const nnm_node *node, symbol s) {
  switch (s) {
  case MUL_DIV: return node->op == NNM_OP_MUL || node->op == NNM_OP_DIV;
  case SQUARE: return is_square(d, node);
  case CUBE: return has_exponent(d, node, 3);
  case ROOT: return node->op == NNM_OP_SQRT || has_exponent(d, node, 0.5);
  case INVERSE_ROOT: return node->op == NNM_OP_RSQRT || has_exponent(d, node, -0.5);
  default: return s < FIRST_PART && ops_of_symbols[s] && node->op == ops_of_symbols[s];
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
  case NORMED: return nnm_roles[unit->role].kernel == NNM_KERNEL_NORM;
  case MEAN: return unit->role == NNM_ROLE_MEAN || (unit->input < 0 && node->op == NNM_OP_REDUCE_MEAN);
  case SOFTPLUS: return unit->role == NNM_ROLE_SOFTPLUS;
  case CLIP: return unit->role == NNM_ROLE_RELU && is_clip(node->op);
  default: return unit->input < 0 && fits_operator(d, node, s);
  }
}

/* ---------------------------------------------------------------- matching */

typedef struct match {
  const nnm_kernel_search *d;
  const uint8_t *at;             /* the symbol to match next */
  int *steps;                    /* that are left to this try */
  nnm_tensor_id x;               /* what X stands for; -1: nothing yet */
  nnm_unit_id units[MOST_UNITS]; /* matched, each once */
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
  if (is_new && m->count == MOST_UNITS) return false;
  if (is_new) m->units[m->count++] = id;
  if (s == NORMED) m->normed = unit->role;
  if (!is_binary(s)) return match_tensor(m, operand_of(m->d, unit));
  if (node->input_count != 2 || node->inputs[0] < 0 || node->inputs[1] < 0) return false;
  match before = *m;
  if (match_operands(m, node, false)) return true;
  if (!commutes(node->op)) return false;
  *m = before;
  return match_operands(m, node, true);
}

/* The first way of writing a part that fits. */
static bool match_part(match *m, symbol s, nnm_tensor_id tensor) {
  const match before = *m;
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    if (parts[i].symbol != s) continue;
    m->at = parts[i].symbols;
    if (match_tensor(m, tensor)) {
      m->at = before.at;
      return true;
    }
    *m = before;
  }
  return false;
}

static bool match_tensor(match *m, nnm_tensor_id tensor) {
  symbol s = (symbol)*m->at++;
  if (tensor < 0 || --*m->steps < 0) return false;
  if (s >= FIRST_PART) return match_part(m, s, tensor);
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

/* ------------------------------------------------------------------ driver */

/* What some pattern ends with, so that most nodes are done with at once. */
static const bool ends_pattern[NNM_OP_COUNT] = {
    [NNM_OP_MUL] = true, [NNM_OP_ADD] = true,  [NNM_OP_DIV] = true,   [NNM_OP_SUB] = true, [NNM_OP_MAX] = true,
    [NNM_OP_MIN] = true, [NNM_OP_CLIP] = true, [NNM_OP_RELU6] = true, [NNM_OP_LOG] = true, [NNM_OP_CAST] = true,
};

void nnm_match_patterns(nnm_kernel_search *d, nnm_node_id n) {
  const nnm_unit_id id = d->unit_of[n];
  int32_t op = d->graph->nodes[n].op;
  if (op <= NNM_OP_UNKNOWN || op >= NNM_OP_COUNT || !ends_pattern[op]) return;
  int steps = MOST_STEPS;
  for (size_t i = 0; i < sizeof patterns / sizeof patterns[0] && steps > 0; i++) {
    if (!fits(d, &d->units[id], (symbol)patterns[i].symbols[0])) continue;
    if (patterns[i].role == NNM_ROLE_SE && !nnm_fusion_rules_allow_block(d->rules, "gap", "conv")) continue;
    match m = {.d = d, .at = patterns[i].symbols + 1, .steps = &steps, .x = -1, .normed = NNM_ROLE_COUNT};
    if (!match_unit(&m, id, (symbol)patterns[i].symbols[0]) || m.count < 2 || !nnm_is_closed(d, m.units, m.count))
      continue;
    take(d, &m, patterns[i].role == NNM_ROLE_COUNT ? m.normed : (nnm_role)patterns[i].role);
    return;
  }
}
