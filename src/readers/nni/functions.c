/* TorchScript's functions in NNI's graph IR: aten:: on tensors, sizes and numbers, prim:: on lists and constants. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "readers/nni/functions.h"

/* -------------------------------------------------------------- elementwise */

static nnm_status unary(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value x;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  return nni_emit1(r, row->operator, & x, x.rank, out);
}

/* In ONNX's words only, which nn-Meter IR tells from TensorFlow's. */
static nnm_status inverse_root(nni_reading *r, const nni_function_row *row, nni_value *out) {
  (void)row;
  NNM_TRY(nni_tensor_input(r, 0, out));
  NNM_TRY(nni_emit1(r, "Sqrt", out, out->rank, out));
  return nni_emit1(r, "Reciprocal", out, out->rank, out);
}

static nnm_status square(nni_reading *r, const nni_function_row *row, nni_value *out) {
  (void)row;
  NNM_TRY(nni_tensor_input(r, 0, out));
  return nni_emit(r, "Mul", (nnm_tensor_id[]){out->tensor, out->tensor}, 2, out->rank, out);
}

static nnm_status pass(nni_reading *r, const nni_function_row *row, nni_value *out) {
  (void)row;
  *out = nni_input(r, 0);
  return NNM_OK;
}

/* a / b, or a // b; false where that is no integer. */
static bool divide(bool floors, int64_t a, int64_t b, int64_t *out) {
  if (b == 0 || (a == INT64_MIN && b == -1) || (!floors && a % b)) return false;
  *out = a / b - (a % b && (a < 0) != (b < 0));
  return true;
}

/* Numbers with numbers, as Python has them; false where that is no integer. */
static bool calculate(const nni_function_row *row, int64_t a, int64_t b, int64_t *out) {
  switch (row->operator[0]) {
  case 'A': return nnm_add_i64(a, b, out);
  case 'S': return !__builtin_sub_overflow(a, b, out);
  case 'M': return !strcmp(row->operator, "Mul") && !__builtin_mul_overflow(a, b, out);
  case 'D': return divide(strcmp(row->name, "div") != 0, a, b, out);
  default: return false;
  }
}

static nnm_status binary(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value sides[2] = {nni_input(r, 0), nni_input(r, 1)};
  nnm_tensor_id tensors[2];
  int64_t number;
  if (!strcmp(row->name, "rsub")) sides[0] = nni_input(r, 1), sides[1] = nni_input(r, 0);
  bool as_size = (sides[0].is_size || sides[0].kind == NNI_INT) && (sides[1].is_size || sides[1].kind == NNI_INT);
  if (sides[0].kind == NNI_INT && sides[1].kind == NNI_INT) {
    *out = calculate(row, sides[0].integer, sides[1].integer, &number) ? nni_integer(number) : nni_none();
    return NNM_OK;
  }
  for (size_t i = 0; i < 2; i++) {
    if (nni_is_number(&sides[i])) NNM_TRY(nni_scalar(r, &sides[i], as_size, &tensors[i]));
    else if (sides[i].kind == NNI_TENSOR) tensors[i] = sides[i].tensor;
    else return nni_tensor_input(r, i, &sides[i]); /* says what is missing */
  }
  int32_t rank = sides[0].rank > sides[1].rank ? sides[0].rank : sides[1].rank;
  NNM_TRY(nni_emit(r, row->operator, tensors, 2, rank, out));
  out->is_size = as_size;
  return NNM_OK;
}

static nnm_status choose(nni_reading *r, const nni_function_row *row, nni_value *out) {
  bool fills = !strcmp(row->name, "masked_fill"); /* x, mask, value */
  const size_t order[3] = {fills ? 1 : 0, fills ? 2 : 1, fills ? 0 : 2};
  nnm_tensor_id tensors[3];
  int32_t rank = -1;
  for (size_t i = 0; i < 3; i++) {
    nni_value side = nni_input(r, order[i]);
    if (nni_is_number(&side)) NNM_TRY(nni_scalar(r, &side, false, &tensors[i]));
    else NNM_TRY(nni_tensor_input(r, order[i], &side));
    if (side.kind == NNI_TENSOR) tensors[i] = side.tensor;
    if (side.rank > rank) rank = side.rank;
  }
  return nni_emit(r, "Where", tensors, 3, rank, out);
}

/* ---------------------------------------------------- products and reductions */

static nnm_status product(nni_reading *r, const nni_function_row *row, nni_value *out) {
  bool adds = !strcmp(row->name, "addmm") || !strcmp(row->name, "baddbmm");
  nni_value a, b, sum;
  NNM_TRY(nni_tensor_input(r, adds, &a));
  NNM_TRY(nni_tensor_input(r, (size_t)adds + 1, &b));
  nnm_tensor_id tensors[2] = {a.tensor, b.tensor};
  NNM_TRY(nni_emit(r, "MatMul", tensors, 2, a.rank > b.rank ? a.rank : b.rank, out));
  if (!adds) return NNM_OK;
  NNM_TRY(nni_tensor_input(r, 0, &sum));
  return nni_emit(r, "Add", (nnm_tensor_id[]){out->tensor, sum.tensor}, 2, out->rank, out);
}

static nnm_status attention(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nnm_tensor_id tensors[3];
  nni_value part = nni_none();
  for (size_t i = 0; i < 3; i++) {
    NNM_TRY(nni_tensor_input(r, i, &part));
    tensors[i] = part.tensor;
  }
  if (part.rank != 4) { /* no axis for heads: one */
    nni_with_int(r, "q_num_heads", 1);
    nni_with_int(r, "kv_num_heads", 1);
  }
  return nni_emit(r, row->operator, tensors, 3, part.rank, out);
}

/* mean(x), mean(x, dims, keepdim); max(x, dim, keepdim) gives indices as well, which nothing here needs. */
static nnm_status reduce(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value x, dims = nni_input(r, 1), keep = nni_input(r, 2);
  int64_t axes[NNM_LIMIT_RANK];
  NNM_TRY(nni_tensor_input(r, 0, &x));
  bool is_list = dims.kind == NNI_LIST, has_dims = is_list || (dims.kind == NNI_INT && r->input_count > 2);
  size_t count = is_list ? dims.count : has_dims;
  bool keeps = has_dims && keep.kind == NNI_INT && keep.integer;
  if (count > NNM_LIMIT_RANK || (has_dims && !nni_read_integers(&dims, axes, count)))
    return nni_fail(r, NNM_ERROR_UNSUPPORTED, "reduces axes that are not fixed; export the model with fixed ones");
  if (count) nni_with_ints(r, "axes", axes, count);
  nni_with_int(r, "keepdims", keeps);
  int32_t rank = !count ? 0 : x.rank < 0 || keeps ? x.rank : x.rank - (int32_t)count;
  NNM_TRY(nni_emit1(r, row->operator, & x, rank, out));
  bool has_indices = dims.kind == NNI_INT && has_dims && (!strcmp(row->name, "max") || !strcmp(row->name, "min"));
  const nni_value both[2] = {*out, nni_none()};
  return has_indices ? nni_list(r, both, 2, out) : NNM_OK;
}

static nnm_status along_axis(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value x;
  int64_t axis;
  NNM_TRY(nni_tensor_input(r, 0, &x));
  NNM_TRY(nni_integer_input(r, 1, -1, &axis));
  nni_with_int(r, "axis", axis);
  if (row->operator[0] == 'A') nni_with_int(r, "keepdims", nni_input(r, 2).integer != 0); /* ArgMax */
  return nni_emit1(r, row->operator, & x, x.rank, out);
}

/* Weights are optional: a normalisation costs the same without. */
static nnm_status layer_norm(nni_reading *r, const nni_function_row *row, nni_value *out) {
  nni_value x, shape = nni_input(r, 1);
  int64_t dims[NNM_LIMIT_RANK];
  NNM_TRY(nni_tensor_input(r, 0, &x));
  size_t count = shape.kind == NNI_LIST ? shape.count : 1;
  if (!count || count > NNM_LIMIT_RANK || !nni_read_integers(&shape, dims, count))
    return nni_fail(r, NNM_ERROR_UNSUPPORTED,
                    "normalises a shape that is not fixed; export the model with fixed sizes");
  nnm_tensor_id tensors[2] = {x.tensor, -1};
  NNM_TRY(nni_weight(r, dims, count, &tensors[1]));
  nni_with_int(r, "axis", -(int64_t)count);
  return nni_emit(r, row->operator, tensors, 2, x.rank, out);
}

/* -------------------------------------------------------------------- prim:: */

/* A constant of the program: a number, a text, a list of such. */
static nnm_status value_of_json(nni_reading *r, const json_t *json, int depth, nni_value *out) {
  *out = nni_none();
  if (json_is_boolean(json)) *out = nni_integer(json_is_true(json));
  if (json_is_integer(json)) *out = nni_integer(json_integer_value(json));
  if (json_is_real(json)) out->kind = NNI_FLOAT, out->number = json_real_value(json);
  if (json_is_string(json)) out->kind = NNI_TEXT, out->text = json_string_value(json);
  if (!json_is_array(json) || depth > 2) return NNM_OK;
  size_t count = json_array_size(json);
  nni_value *items = NNM_ARENA_ARRAY(r->arena, nni_value, count);
  if (!items) return nnm_fail_memory(r->error);
  for (size_t i = 0; i < count; i++) NNM_TRY(value_of_json(r, json_array_get(json, i), depth + 1, &items[i]));
  return nni_list(r, items, count, out);
}

static nnm_status constant(nni_reading *r, const nni_function_row *row, nni_value *out) {
  (void)row;
  return value_of_json(r, json_object_get(r->parameters, "value"), 0, out);
}

static nnm_status construct(nni_reading *r, const nni_function_row *row, nni_value *out) {
  (void)row;
  return nni_list(r, r->inputs, r->input_count, out);
}

/* -------------------------------------------------------------------- table */

static const nni_function_row rows[] = {
    {"Constant", constant, NULL},
    {"GetAttr", constant, NULL},
    {"ListConstruct", construct, NULL},
    {"TupleConstruct", construct, NULL},
    {"ListUnpack", pass, NULL},
    {"TupleUnpack", pass, NULL},
    {"NumToTensor", pass, NULL},
    {"unchecked_cast", pass, NULL},
    {"data", pass, NULL},
    {"noop_identity", pass, NULL},
    {"Int", pass, NULL},
    {"Float", pass, NULL},
    {"IntImplicit", pass, NULL},
    {"ScalarImplicit", pass, NULL},
    {"contiguous", pass, NULL},
    {"clone", pass, NULL},
    {"detach", pass, NULL},
    {"to", pass, NULL},
    {"type_as", pass, NULL},
    {"dropout", pass, NULL},
    {"feature_dropout", pass, NULL},
    {"alpha_dropout", pass, NULL},
    {"relu", unary, "Relu"},
    {"relu6", unary, "Clip"},
    {"hardtanh", unary, "Clip"},
    {"clamp", unary, "Clip"},
    {"clamp_min", unary, "Clip"},
    {"clamp_max", unary, "Clip"},
    {"leaky_relu", unary, "LeakyRelu"},
    {"elu", unary, "Elu"},
    {"celu", unary, "Celu"},
    {"selu", unary, "Selu"},
    {"gelu", unary, "Gelu"},
    {"silu", unary, "Swish"},
    {"mish", unary, "Mish"},
    {"sigmoid", unary, "Sigmoid"},
    {"hardsigmoid", unary, "HardSigmoid"},
    {"hardswish", unary, "HardSwish"},
    {"tanh", unary, "Tanh"},
    {"softplus", unary, "Softplus"},
    {"exp", unary, "Exp"},
    {"log", unary, "Log"},
    {"sqrt", unary, "Sqrt"},
    {"rsqrt", inverse_root, NULL},
    {"square", square, NULL},
    {"abs", unary, "Abs"},
    {"neg", unary, "Neg"},
    {"erf", unary, "Erf"},
    {"floor", unary, "Floor"},
    {"ceil", unary, "Ceil"},
    {"round", unary, "Round"},
    {"sin", unary, "Sin"},
    {"cos", unary, "Cos"},
    {"sign", unary, "Sign"},
    {"reciprocal", unary, "Reciprocal"},
    {"bitwise_not", unary, "Not"},
    {"logical_not", unary, "Not"},
    {"add", binary, "Add"},
    {"sub", binary, "Sub"},
    {"rsub", binary, "Sub"},
    {"mul", binary, "Mul"},
    {"div", binary, "Div"},
    {"floordiv", binary, "Div"},
    {"floor_divide", binary, "Div"},
    {"pow", binary, "Pow"},
    {"maximum", binary, "Max"},
    {"minimum", binary, "Min"},
    {"eq", binary, "Equal"},
    {"gt", binary, "Greater"},
    {"ge", binary, "GreaterOrEqual"},
    {"lt", binary, "Less"},
    {"le", binary, "LessOrEqual"},
    {"where", choose, NULL},
    {"masked_fill", choose, NULL},
    {"matmul", product, NULL},
    {"mm", product, NULL},
    {"bmm", product, NULL},
    {"addmm", product, NULL},
    {"baddbmm", product, NULL},
    {"scaled_dot_product_attention", attention, "Attention"},
    {"mean", reduce, "ReduceMean"},
    {"sum", reduce, "ReduceSum"},
    {"max", reduce, "ReduceMax"},
    {"min", reduce, "ReduceMin"},
    {"amax", reduce, "ReduceMax"},
    {"amin", reduce, "ReduceMin"},
    {"prod", reduce, "ReduceProd"},
    {"softmax", along_axis, "Softmax"},
    {"log_softmax", along_axis, "LogSoftmax"},
    {"argmax", along_axis, "ArgMax"},
    {"layer_norm", layer_norm, "LayerNormalization"},
    {"view", nni_reshape, "Reshape"},
    {"reshape", nni_reshape, "Reshape"},
    {"expand", nni_reshape, "Expand"},
    {"repeat", nni_reshape, "Tile"},
    {"expand_as", nni_expand_as, "Expand"},
    {"view_as", nni_expand_as, "Reshape"},
    {"flatten", nni_flatten, NULL},
    {"squeeze", nni_squeeze, "Squeeze"},
    {"unsqueeze", nni_squeeze, "Unsqueeze"},
    {"permute", nni_permute, NULL},
    {"transpose", nni_permute, NULL},
    {"t", nni_permute, NULL},
    {"size", nni_size_of, NULL},
    {"len", nni_length_of, NULL},
    {"dim", nni_length_of, NULL},
    {"cat", nni_concatenate, NULL},
    {"stack", nni_concatenate, NULL},
    {"split", nni_split, NULL},
    {"split_with_sizes", nni_split, NULL},
    {"chunk", nni_split, NULL},
    {"unbind", nni_split, NULL},
    {"select", nni_select_index, NULL},
    {"index_select", nni_select_index, NULL},
    {"slice", nni_slice, NULL},
    {"MergedSlice", nni_slice, NULL},
    {"__getitem__", nni_item_of, NULL},
    {"max_pool1d", nni_pool, "MaxPool"},
    {"max_pool2d", nni_pool, "MaxPool"},
    {"max_pool3d", nni_pool, "MaxPool"},
    {"avg_pool1d", nni_pool, "AveragePool"},
    {"avg_pool2d", nni_pool, "AveragePool"},
    {"avg_pool3d", nni_pool, "AveragePool"},
    {"adaptive_avg_pool1d", nni_adaptive_pool, NULL},
    {"adaptive_avg_pool2d", nni_adaptive_pool, NULL},
    {"adaptive_avg_pool3d", nni_adaptive_pool, NULL},
    {"adaptive_max_pool1d", nni_adaptive_pool, NULL},
    {"adaptive_max_pool2d", nni_adaptive_pool, NULL},
    {"adaptive_max_pool3d", nni_adaptive_pool, NULL},
    {"constant_pad_nd", nni_pad, "Pad"},
    {"pad", nni_pad, "Pad"},
    {"upsample_nearest2d", nni_resize, "Resize"},
    {"upsample_bilinear2d", nni_resize, "Resize"},
    {"upsample_bicubic2d", nni_resize, "Resize"},
    {"__interpolate", nni_resize, "Resize"},
    {"interpolate", nni_resize, "Resize"},
    {"pixel_shuffle", nni_pixel_shuffle, "DepthToSpace"},
    {"pixel_unshuffle", nni_pixel_shuffle, "SpaceToDepth"},
};

/* relu_ works in place; names that are all underscores at their end are Python's own. */
static bool is_called(const char *row, const char *name) {
  size_t length = strlen(row);
  return !strncmp(row, name, length) && (!name[length] || (name[length] == '_' && !name[length + 1]));
}

nnm_status nni_function(nni_reading *r, nni_value *out) {
  static const char *const prefixes[] = {"aten::", "prim::", "Function."};
  const char *name = r->type;
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
    if (!strncmp(name, prefixes[i], strlen(prefixes[i]))) name += strlen(prefixes[i]);
  const char *own = name;
  if (name[0] == '_' && name[1] != '_') name++; /* torch.nn.functional's own helpers: _max_pool2d */
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (is_called(rows[i].name, name)) return rows[i].read(r, &rows[i], out);
  return nni_emit_unknown(r, "aten", own, out);
}
