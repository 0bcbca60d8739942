/* Arithmetic, comparisons, logic and reductions on small constants. Integers are computed as int64, floats as double
 * and rounded to the tensor's type. */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "shapes/folders.h"
#include "shapes/value.h"

static nnm_dtype output_dtype(const nnm_inference *inference, const nnm_node *node, uint32_t output) {
  return inference->shapes->dtypes[node->outputs[output]];
}

/* Whether an output holds floats: by its type, else as its first input does. */
static bool is_float_output(nnm_inference *inference, const nnm_node *node, uint32_t output) {
  nnm_dtype dtype = output_dtype(inference, node, output);
  if (dtype != NNM_DTYPE_UNKNOWN) return nnm_is_float_dtype(dtype);
  const nnm_value *first = nnm_input_value(inference, node, 0);
  return first && first->is_float;
}

static double half_to_even(double number) {
  double rounded = floor(number + 0.5);
  return rounded - number == 0.5 && fmod(rounded, 2) != 0 ? rounded - 1 : rounded;
}

/* false: not an operator of one number. */
static bool unary(int32_t op, double x, double *out) {
  switch (op) {
  case NNM_OP_CAST:
  case NNM_OP_CAST_LIKE: *out = x; return true;
  case NNM_OP_ABS: *out = fabs(x); return true;
  case NNM_OP_NEG: *out = -x; return true;
  case NNM_OP_FLOOR: *out = floor(x); return true;
  case NNM_OP_CEIL: *out = ceil(x); return true;
  case NNM_OP_ROUND: *out = half_to_even(x); return true;
  case NNM_OP_SQRT: *out = sqrt(x); return true;
  case NNM_OP_EXP: *out = exp(x); return true;
  case NNM_OP_LOG: *out = log(x); return true;
  case NNM_OP_RECIPROCAL: *out = 1 / x; return true;
  case NNM_OP_SIGN: *out = (x > 0) - (x < 0); return true;
  case NNM_OP_NOT: *out = x == 0; return true;
  case NNM_OP_IS_NAN: *out = isnan(x); return true;
  case NNM_OP_IS_INF: *out = isinf(x); return true;
  case NNM_OP_RELU: *out = x > 0 ? x : 0; return true;
  default: return false;
  }
}

/* Integers that a double cannot hold keep their value through what does not change them. */
static bool unary_integer(int32_t op, int64_t x, int64_t *out) {
  switch (op) {
  case NNM_OP_CAST:
  case NNM_OP_CAST_LIKE: *out = x; return true;
  case NNM_OP_NEG: *out = (int64_t)(0 - (uint64_t)x); return true;
  case NNM_OP_ABS: *out = x < 0 ? (int64_t)(0 - (uint64_t)x) : x; return true;
  default: return false;
  }
}

const nnm_value *nnm_fold_unary(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_value *input = nnm_input_value(inference, node, 0);
  nnm_dtype dtype = output_dtype(inference, node, output);
  nnm_new_value made;
  if (input->count != count || dtype == NNM_DTYPE_STRING ||
      !nnm_start_value(inference, count, is_float_output(inference, node, output), &made))
    return NULL;
  for (size_t i = 0; i < count; i++) {
    double number;
    if (made.integers && !input->is_float && dtype != NNM_DTYPE_BOOL &&
        unary_integer(node->op, input->as.integers[i], &made.integers[i]))
      continue;
    if (!unary(node->op, nnm_value_float(input, i), &number)) return NULL;
    nnm_store_value(&made, i, number, dtype);
  }
  return made.value;
}

/* ------------------------------------------------------------- broadcasting */

/* Walks the elements of an output while following the matching elements of a narrower input. */
typedef struct walker {
  int32_t rank;
  const int64_t *dims; /* of the output */
  int64_t stride[NNM_LIMIT_RANK], index[NNM_LIMIT_RANK];
  size_t offset;
} walker;

static void start_walk(walker *walk, const nnm_shape *output, const nnm_shape *input) {
  *walk = (walker){.rank = output->rank, .dims = output->dims};
  int64_t stride = 1;
  for (int32_t i = 1; i <= input->rank && i <= output->rank; i++) {
    int64_t dim = input->dims[input->rank - i];
    walk->stride[output->rank - i] = dim == 1 ? 0 : stride;
    stride *= dim;
  }
}

static void step_walk(walker *walk) {
  for (int32_t i = walk->rank; i-- > 0;) {
    walk->offset += (size_t)walk->stride[i];
    if (++walk->index[i] < walk->dims[i]) return;
    walk->offset -= (size_t)(walk->stride[i] * walk->dims[i]);
    walk->index[i] = 0;
  }
}

static int64_t divide_down(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/* Has the sign of b. */
static int64_t remainder_down(int64_t a, int64_t b) {
  int64_t rest = a % b;
  return rest && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* false: undefined (division by zero, overflow), or not an operator of two integers. */
static bool binary_integer(int32_t op, bool is_fmod, int64_t a, int64_t b, int64_t *out) {
  switch (op) {
  case NNM_OP_SUM:
  case NNM_OP_ADD: return !__builtin_add_overflow(a, b, out);
  case NNM_OP_SUB: return !__builtin_sub_overflow(a, b, out);
  case NNM_OP_MUL: return !__builtin_mul_overflow(a, b, out);
  case NNM_OP_MAX: *out = a > b ? a : b; return true;
  case NNM_OP_MIN: *out = a < b ? a : b; return true;
  case NNM_OP_EQUAL: *out = a == b; return true;
  case NNM_OP_NOT_EQUAL: *out = a != b; return true;
  case NNM_OP_LESS: *out = a < b; return true;
  case NNM_OP_LESS_OR_EQUAL: *out = a <= b; return true;
  case NNM_OP_GREATER: *out = a > b; return true;
  case NNM_OP_GREATER_OR_EQUAL: *out = a >= b; return true;
  case NNM_OP_AND: *out = a && b; return true;
  case NNM_OP_OR: *out = a || b; return true;
  case NNM_OP_XOR: *out = !a != !b; return true;
  case NNM_OP_BITWISE_AND: *out = a & b; return true;
  case NNM_OP_BITWISE_OR: *out = a | b; return true;
  default: break;
  }
  if (op == NNM_OP_POW) {
    double power = pow((double)a, (double)b);
    if (!(fabs(power) < 9e15)) return false;
    *out = (int64_t)power;
    return true;
  }
  if (!b || (b == -1 && a == INT64_MIN)) return false;
  if (op == NNM_OP_DIV) *out = a / b;
  else if (op == NNM_OP_FLOOR_DIV) *out = divide_down(a, b);
  else if (op == NNM_OP_MOD) *out = is_fmod ? a % b : remainder_down(a, b);
  else return false;
  return true;
}

static bool binary_float(int32_t op, double a, double b, double *out) {
  switch (op) {
  case NNM_OP_SUM:
  case NNM_OP_ADD: *out = a + b; return true;
  case NNM_OP_SUB: *out = a - b; return true;
  case NNM_OP_MUL: *out = a * b; return true;
  case NNM_OP_DIV: *out = a / b; return true;
  case NNM_OP_FLOOR_DIV: *out = floor(a / b); return true;
  case NNM_OP_MOD: *out = fmod(a, b); return true;
  case NNM_OP_POW: *out = pow(a, b); return true;
  case NNM_OP_MAX: *out = a > b ? a : b; return true;
  case NNM_OP_MIN: *out = a < b ? a : b; return true;
  case NNM_OP_EQUAL: *out = a == b; return true;
  case NNM_OP_NOT_EQUAL: *out = a != b; return true;
  case NNM_OP_LESS: *out = a < b; return true;
  case NNM_OP_LESS_OR_EQUAL: *out = a <= b; return true;
  case NNM_OP_GREATER: *out = a > b; return true;
  case NNM_OP_GREATER_OR_EQUAL: *out = a >= b; return true;
  default: return false;
  }
}

static const nnm_shape *shape_of_input(const nnm_inference *inference, const nnm_node *node, uint32_t input) {
  return &inference->shapes->tensors[node->inputs[input]];
}

/* One more operand: result = result op input. made holds the values so far. */
static bool combine(nnm_inference *inference, const nnm_node *node, uint32_t input, const nnm_shape *shape, bool floats,
                    nnm_dtype dtype, nnm_new_value *made, double *scratch, size_t count) {
  const nnm_value *value = nnm_input_value(inference, node, input);
  bool is_fmod = nnm_attribute_int(node, "fmod", 0) != 0;
  walker walk;
  start_walk(&walk, shape, shape_of_input(inference, node, input));
  for (size_t i = 0; i < count; i++, step_walk(&walk)) {
    if (!floats) {
      int64_t result;
      if (!binary_integer(node->op, is_fmod, made->integers[i], nnm_value_int(value, walk.offset), &result))
        return false;
      made->integers[i] = result;
      continue;
    }
    double left = made->numbers ? made->numbers[i] : scratch[i], result;
    if (!binary_float(node->op, left, nnm_value_float(value, walk.offset), &result)) return false;
    nnm_store_value(made, i, result, dtype);
  }
  return true;
}

/* Two operands, or any number of them (Max, Min, Sum). */
const nnm_value *nnm_fold_binary(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *shape = &inference->shapes->tensors[node->outputs[output]];
  nnm_dtype dtype = output_dtype(inference, node, output);
  bool floats = false;
  for (uint32_t i = 0; i < node->input_count; i++) {
    const nnm_value *value = nnm_input_value(inference, node, i);
    if (!value || (count && !value->count)) return NULL;
    floats = floats || value->is_float;
  }
  nnm_new_value made, first;
  bool float_result = floats && dtype != NNM_DTYPE_BOOL;
  if (node->input_count < 1 || !nnm_start_value(inference, count, float_result, &made)) return NULL;
  if (floats && !float_result && !nnm_start_value(inference, count, true, &first)) return NULL;
  double *scratch = floats && !float_result ? first.numbers : NULL; /* the left side of a comparison of floats */
  walker walk;
  start_walk(&walk, shape, shape_of_input(inference, node, 0));
  const nnm_value *value = nnm_input_value(inference, node, 0);
  for (size_t i = 0; i < count; i++, step_walk(&walk)) {
    if (scratch) scratch[i] = nnm_value_float(value, walk.offset);
    else if (made.numbers) made.numbers[i] = nnm_value_float(value, walk.offset);
    else made.integers[i] = nnm_value_int(value, walk.offset);
  }
  for (uint32_t i = 1; i < node->input_count; i++)
    if (!combine(inference, node, i, shape, floats, dtype, &made, scratch, count)) return NULL;
  return made.value;
}

const nnm_value *nnm_fold_where(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_shape *shape = &inference->shapes->tensors[node->outputs[output]];
  nnm_new_value made;
  const nnm_value *values[3];
  walker walks[3];
  for (uint32_t i = 0; i < 3; i++) {
    values[i] = nnm_input_value(inference, node, i);
    if (!values[i] || (count && !values[i]->count)) return NULL;
    start_walk(&walks[i], shape, shape_of_input(inference, node, i));
  }
  if (!nnm_start_value(inference, count, values[1]->is_float, &made)) return NULL;
  for (size_t i = 0; i < count; i++) {
    int taken = nnm_value_float(values[0], walks[0].offset) != 0 ? 1 : 2;
    if (made.numbers) made.numbers[i] = nnm_value_float(values[taken], walks[taken].offset);
    else made.integers[i] = nnm_value_int(values[taken], walks[taken].offset);
    for (int j = 0; j < 3; j++) step_walk(&walks[j]);
  }
  return made.value;
}

const nnm_value *nnm_fold_clip(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_value *input = nnm_input_value(inference, node, 0), *low = nnm_input_value(inference, node, 1),
                  *high = nnm_input_value(inference, node, 2);
  nnm_new_value made;
  if (input->count != count || (low && !low->count) || (high && !high->count) ||
      !nnm_start_value(inference, count, input->is_float, &made))
    return NULL;
  double least = low ? nnm_value_float(low, 0) : nnm_attribute_float(node, "min", -INFINITY);
  double most = high ? nnm_value_float(high, 0) : nnm_attribute_float(node, "max", INFINITY);
  for (size_t i = 0; i < count; i++) {
    double number = nnm_value_float(input, i);
    nnm_store_value(&made, i, fmin(fmax(number, least), most), output_dtype(inference, node, output));
  }
  return made.value;
}

/* --------------------------------------------------------------- reductions */

static double reduce_pair(int32_t op, double a, double b) {
  switch (op) {
  case NNM_OP_REDUCE_PROD: return a * b;
  case NNM_OP_REDUCE_MAX: return a > b ? a : b;
  case NNM_OP_REDUCE_MIN: return a < b ? a : b;
  default: return a + b;
  }
}

/* Only over all elements: what shapes are computed with is a list or a number. */
const nnm_value *nnm_fold_reduce(nnm_inference *inference, const nnm_node *node, uint32_t output, size_t count) {
  const nnm_value *input = nnm_input_value(inference, node, 0);
  nnm_new_value made;
  if (count != 1 || !input->count || !nnm_start_value(inference, 1, input->is_float, &made)) return NULL;
  double result = nnm_value_float(input, 0);
  for (size_t i = 1; i < input->count; i++) result = reduce_pair(node->op, result, nnm_value_float(input, i));
  if (node->op == NNM_OP_REDUCE_MEAN) result /= (double)input->count;
  if (made.integers && fabs(result) > 9e15) return NULL; /* a double no longer tells integers apart */
  nnm_store_value(&made, 0, result, output_dtype(inference, node, output));
  return made.value;
}

const nnm_value *nnm_fold_cumulative_sum(nnm_inference *inference, const nnm_node *node, uint32_t output,
                                         size_t count) {
  const nnm_value *input = nnm_input_value(inference, node, 0);
  nnm_new_value made;
  if (shape_of_input(inference, node, 0)->rank != 1 || input->count != count ||
      nnm_attribute_int(node, "exclusive", 0) || nnm_attribute_int(node, "reverse", 0) ||
      !nnm_start_value(inference, count, input->is_float, &made))
    return NULL;
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    sum += nnm_value_float(input, i);
    if (made.integers && fabs(sum) > 9e15) return NULL;
    nnm_store_value(&made, i, sum, output_dtype(inference, node, output));
  }
  return made.value;
}
