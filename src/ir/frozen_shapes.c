/* nn-Meter 2.0's rules for the shapes of a frozen graph, mistakes included, because kernels and latencies hang on them:
 * the stride stands where the kernel's size belongs, sums change the shape of what they read, and so on. A rule that
 * fails here is one that ends in an exception there: then the shapes are the right ones. */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "ir/frozen.h"

/* ------------------------------------------------------------------- shapes */

static bool copy_shape(frozen_graph *g, const frozen_shape *from, frozen_shape *to) {
  to->rank = from->rank;
  to->dims = nnm_arena_copy(g->arena, from->dims, (size_t)from->rank, sizeof *from->dims);
  return to->dims != NULL;
}

static frozen_shape *new_shapes(frozen_graph *g, size_t count) {
  return NNM_ARENA_ARRAY(g->arena, frozen_shape, count);
}

typedef struct shapes_out {
  frozen_shape *inputs, *outputs;
  size_t input_count, output_count;
  bool out_of_memory;
} shapes_out;

static bool set_inputs(frozen_graph *g, shapes_out *out, const frozen_shape *shapes, size_t count) {
  out->inputs = new_shapes(g, count);
  for (size_t i = 0; out->inputs && i < count; i++)
    if (!copy_shape(g, &shapes[i], &out->inputs[i])) out->inputs = NULL;
  out->input_count = count;
  out->out_of_memory |= !out->inputs;
  return !out->out_of_memory;
}

static bool set_output(frozen_graph *g, shapes_out *out, const frozen_shape *shape, size_t copies) {
  out->outputs = new_shapes(g, copies);
  for (size_t i = 0; out->outputs && i < copies; i++)
    if (!copy_shape(g, shape, &out->outputs[i])) out->outputs = NULL;
  out->output_count = copies;
  out->out_of_memory |= !out->outputs;
  return !out->out_of_memory;
}

/* The first output of what a node reads; NULL: an exception there. */
static frozen_shape *shape_of(frozen_graph *g, int32_t key) {
  return key >= 0 && g->keys[key].type && g->keys[key].output_count ? &g->keys[key].outputs[0] : NULL;
}

static frozen_shape *input_shape(frozen_graph *g, const frozen_key *key, size_t index) {
  return index < key->inbounds.count ? shape_of(g, key->inbounds.items[index]) : NULL;
}

static bool is_type(const frozen_graph *g, int32_t key, const char *type) {
  return g->keys[key].type && !strcmp(g->keys[key].type, type);
}

/* --------------------------------------------------------------- attributes */

static size_t read_list(const frozen_key *key, const char *name, int64_t *out, size_t room) {
  const json_t *list = json_object_get(key->attributes, name);
  size_t count = json_array_size(list);
  if (count > room) return 0;
  for (size_t i = 0; i < count; i++) {
    if (!json_is_number(json_array_get(list, i))) return 0;
    out[i] = (int64_t)json_number_value(json_array_get(list, i));
  }
  return count;
}

static json_t *list_json(const int64_t *values, size_t count) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) json_array_append_new(list, json_integer(values[i]));
  return list;
}

static void put_list(frozen_key *key, const char *name, const int64_t *values, size_t count) {
  json_object_set_new(key->attributes, name, list_json(values, count));
}

/* ------------------------------------------------------------------ windows */

static int64_t divide_up(int64_t a, int64_t b) { return (int64_t)ceil((double)a / (double)b); }

typedef struct old_window {
  int64_t kernel[2], stride[2], channels; /* width first, as the old tool has it: x[1], then x[2] */
} old_window;

/* Calls dimension 1 the width and 2 the height, which is as well for square images. */
static bool padded_shape(const frozen_shape *image, const old_window *w, const char *padding, int64_t *out,
                         int64_t *pads) {
  if (image->rank != 4 || !padding || w->stride[0] < 1 || w->stride[1] < 1) return false;
  int64_t width = image->dims[1], height = image->dims[2], across = 0, down = 0;
  memset(pads, 0, 4 * sizeof *pads);
  if (!strcmp(padding, "SAME")) {
    down = divide_up(height, w->stride[1]);
    across = divide_up(width, w->stride[0]);
    int64_t tall = (down - 1) * w->stride[1] + w->kernel[1] - height;
    int64_t wide = (across - 1) * w->stride[0] + w->kernel[0] - width;
    if (tall > 0) pads[0] = tall / 2, pads[1] = tall - tall / 2;
    if (wide > 0) pads[2] = wide / 2, pads[3] = wide - wide / 2;
  } else if (!strcmp(padding, "VALID")) {
    down = divide_up(height - w->kernel[1] + 1, w->stride[1]);
    across = divide_up(height - w->kernel[1] + 1, w->stride[0]);
  } else {
    return false;
  }
  memcpy(out, (int64_t[]){image->dims[0], down, across, w->channels}, 4 * sizeof *out);
  return true;
}

static const char *padding_of(const frozen_key *key) {
  return json_string_value(json_object_get(key->attributes, "padding"));
}

static bool channels_last(const frozen_graph *g, const frozen_key *key) {
  return key->node >= 0 && g->graph->nodes[key->node].layout == NNM_CHANNELS_LAST;
}

static bool finish_window(frozen_graph *g, frozen_key *key, const frozen_shape *image, const old_window *w,
                          shapes_out *out) {
  int64_t dims[4], pads[4];
  if (!padded_shape(image, w, padding_of(key), dims, pads)) return false;
  put_list(key, "pads", pads, 4);
  return set_inputs(g, out, image, 1) && set_output(g, out, &(frozen_shape){4, dims}, 1);
}

static bool pool_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  frozen_shape *image = input_shape(g, key, 0);
  int64_t size[2], stride[2];
  if (key->inbounds.count != 1 || !image || image->rank != 4 || !channels_last(g, key)) return false;
  if (read_list(key, "ksize", size, 2) != 2 || read_list(key, "strides", stride, 2) != 2) return false;
  old_window w = {{size[0], size[1]}, {stride[0], stride[1]}, image->dims[3]};
  return finish_window(g, key, image, &w, out);
}

/* The name with every `from` replaced by `to`. */
static const char *replaced(frozen_graph *g, const char *name, const char *from, const char *to) {
  size_t found = 0;
  for (const char *at = name; (at = strstr(at, from)); at += strlen(from)) found++;
  char *text = nnm_arena_alloc(g->arena, strlen(name) + found * strlen(to) + 1, 1), *end = text;
  if (!text) return NULL;
  for (const char *next; (next = strstr(name, from)); name = next + strlen(from)) {
    memcpy(end, name, (size_t)(next - name));
    end += next - name;
    memcpy(end, to, strlen(to));
    end += strlen(to);
  }
  strcpy(end, name);
  return text;
}

/* The shape of a layer's weights, which are looked for by name only; the rank, 0 when there is not exactly one. */
static size_t find_weights(frozen_graph *g, const frozen_key *key, int64_t *dims) {
  static const struct {
    const char *type, *from, *to;
  } names[] = {{"Conv2D", "/Conv2D", "/weight"},
               {"Conv2D", "/Conv2D", "/kernel"},
               {"DepthwiseConv2dNative", "/depthwise", "/weight"},
               {"MatMul", "/MatMul", "/weight"}};
  int32_t weights = -1;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(key->type, names[i].type) != 0) continue;
    const char *name = replaced(g, key->name, names[i].from, names[i].to);
    int32_t found = name ? nnm_frozen_find(g, name) : -1;
    if (found < 0 || !g->keys[found].is_left || is_type(g, found, "Identity")) continue;
    if (weights >= 0) return 0;
    weights = found;
  }
  return weights < 0 ? 0 : read_list(&g->keys[weights], "tensor_shape", dims, NNM_LIMIT_RANK);
}

/* What a layer reads but for its weights, which come through an Identity. */
static frozen_shape *data_of_layer(frozen_graph *g, const frozen_key *key) {
  int32_t data = -1;
  for (size_t i = 0; i < key->inbounds.count; i++) {
    if (is_type(g, key->inbounds.items[i], "Identity")) continue;
    if (data >= 0) return NULL;
    data = key->inbounds.items[i];
  }
  return shape_of(g, data);
}

static bool conv_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  int64_t weights[NNM_LIMIT_RANK], stride[2], dilation[2];
  bool depthwise = !strcmp(key->type, "DepthwiseConv2dNative");
  if (find_weights(g, key, weights) != 4 || !channels_last(g, key)) return false;
  frozen_shape *image = data_of_layer(g, key);
  if (!image || read_list(key, "strides", stride, 2) != 2 || read_list(key, "dilations", dilation, 2) != 2)
    return false;
  old_window w = {.stride = {stride[0], stride[1]}, .channels = weights[depthwise ? 2 : 3]};
  /* the old tool's extent of the kernel is made of the stride */
  for (int i = 0; i < 2; i++) w.kernel[i] = dilation[i] * (stride[i] - 1) + 1;
  if (!finish_window(g, key, image, &w, out)) return false;
  put_list(key, "kernel_shape", weights, 2);
  put_list(key, "weight_shape", weights, 4);
  return true;
}

static bool matmul_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  int64_t weights[NNM_LIMIT_RANK];
  if (find_weights(g, key, weights) != 2) return false;
  frozen_shape *data = data_of_layer(g, key), made;
  if (!data || data->rank < 2 || weights[0] != data->dims[1] || !copy_shape(g, data, &made)) return false;
  made.dims[1] = weights[1];
  return set_inputs(g, out, data, 1) && set_output(g, out, &made, 1);
}

/* ------------------------------------------------------------------- others */

static bool constant_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  int64_t dims[NNM_LIMIT_RANK];
  size_t rank = read_list(key, "tensor_shape", dims, NNM_LIMIT_RANK);
  return set_inputs(g, out, NULL, 0) && set_output(g, out, &(frozen_shape){(int32_t)rank, dims}, 1);
}

static bool placeholder_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  int64_t dims[NNM_LIMIT_RANK];
  if (!json_object_get(key->attributes, "shape")) return false;
  size_t rank = read_list(key, "shape", dims, NNM_LIMIT_RANK);
  return set_inputs(g, out, NULL, 0) && set_output(g, out, &(frozen_shape){(int32_t)rank, dims}, 1);
}

static bool identity_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  frozen_shape *from = input_shape(g, key, 0);
  return from && set_inputs(g, out, NULL, 0) && set_output(g, out, from, 1);
}

static bool same_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  frozen_shape *from = input_shape(g, key, 0);
  return from && set_inputs(g, out, from, 1) && set_output(g, out, from, 1);
}

/* The widest operand is changed where another is wider: in the place where its producer keeps it. */
static bool broadcast_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  frozen_shape *widest = NULL;
  size_t count = key->inbounds.count;
  frozen_shape *all = new_shapes(g, count);
  if (count < 2 || !all) return false;
  for (size_t i = 0; i < count; i++) {
    frozen_shape *shape = input_shape(g, key, i);
    if (!shape) return false;
    if (!widest || shape->rank > widest->rank) widest = shape;
    else if (shape->rank == widest->rank)
      for (int32_t d = 0; d < shape->rank; d++)
        if (widest->dims[d] < shape->dims[d]) widest->dims[d] = shape->dims[d];
    all[i] = *shape; /* shares the numbers, so it changes with them */
  }
  return set_inputs(g, out, all, count) && set_output(g, out, widest, 1);
}

/* What is reduced is cut out of its producer's own list. */
static bool reduce_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  frozen_shape *from = input_shape(g, key, 0);
  int64_t axes[NNM_LIMIT_RANK];
  if (!from || from->rank < 3 || !json_object_get(key->attributes, "reduction_indices")) return false;
  size_t count = read_list(key, "reduction_indices", axes, NNM_LIMIT_RANK);
  for (size_t i = 1; i < count; i++) /* few: in order */
    for (size_t k = i; k > 0 && axes[k] < axes[k - 1]; k--) {
      int64_t swap = axes[k];
      axes[k] = axes[k - 1];
      axes[k - 1] = swap;
    }
  for (size_t i = 0; i < count; i++) { /* an axis out of range ends the old tool, when all is done but this */
    int64_t rank = from->rank - (int64_t)i, at = axes[i] - (int64_t)i;
    if (at < -rank || at >= rank) return false;
  }
  from->dims[1] = from->dims[2] = 0;
  for (size_t i = 0; i < count; i++) {
    int64_t at = axes[i] - (int64_t)i;
    if (at < 0) at += from->rank;
    memmove(from->dims + at, from->dims + at + 1, (size_t)(from->rank - at - 1) * sizeof *from->dims);
    from->rank--;
  }
  return set_inputs(g, out, from, 1) && set_output(g, out, from, 1);
}

/* Constants listed in the values of a Pack: [[28], [28]]; behind a 1. */
static size_t packed_values(const frozen_key *pack, int64_t *out) {
  const json_t *lists = json_object_get(pack->attributes, "constant");
  size_t count = 0;
  out[count++] = 1;
  for (size_t i = 0; i < json_array_size(lists); i++) {
    const json_t *list = json_array_get(lists, i);
    for (size_t k = 0; k < json_array_size(list) && count < NNM_LIMIT_RANK; k++)
      out[count++] = (int64_t)json_number_value(json_array_get(list, k));
  }
  return count;
}

static bool reshape_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  int64_t wanted[NNM_LIMIT_RANK];
  size_t rank = 0;
  frozen_shape *from = NULL;
  if (json_object_get(key->attributes, "shape")) {
    from = input_shape(g, key, 0);
    rank = read_list(key, "shape", wanted, NNM_LIMIT_RANK);
  } else {
    for (size_t i = 0; i < key->inbounds.count; i++) {
      int32_t producer = key->inbounds.items[i];
      if (is_type(g, producer, "Const")) return false;
      if (is_type(g, producer, "Pack")) rank = packed_values(&g->keys[producer], wanted);
      else from = shape_of(g, producer);
    }
  }
  if (!from || !rank || !from->rank) return false;
  return set_inputs(g, out, from, 1) && set_output(g, out, &(frozen_shape){(int32_t)rank, wanted}, 1);
}

static bool concat_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  int64_t axis;
  size_t count = 0;
  frozen_shape *all = new_shapes(g, key->inbounds.count), made;
  if (!all || read_list(key, "axis", &axis, 1) != 1) return false;
  for (size_t i = 0; i < key->inbounds.count; i++) {
    frozen_shape *shape = input_shape(g, key, i);
    if (!shape) return false;
    if (shape->rank) all[count++] = *shape;
  }
  if (!count || !copy_shape(g, &all[0], &made)) return false;
  for (size_t i = 0; i < count; i++) {
    int64_t at = axis < 0 ? axis + all[i].rank : axis;
    if (at < 0 || at >= all[i].rank || (axis < 0 && all[i].rank != made.rank) || at >= made.rank) return false;
    if (i) made.dims[at] += all[i].dims[at];
  }
  return set_inputs(g, out, all, count) && set_output(g, out, &made, 1);
}

static bool split_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  int64_t axis;
  frozen_shape *from = NULL, made;
  for (size_t i = 0; i < key->inbounds.count; i++)
    if (!is_type(g, key->inbounds.items[i], "Const") && !is_type(g, key->inbounds.items[i], "Pack"))
      from = shape_of(g, key->inbounds.items[i]);
  size_t parts = key->outbounds.count;
  if (!from || !parts || read_list(key, "split_dim", &axis, 1) != 1 || !copy_shape(g, from, &made)) return false;
  if (axis < 0) axis += made.rank;
  if (axis < 0 || axis >= made.rank) return false;
  made.dims[axis] /= (int64_t)parts;
  return set_inputs(g, out, from, 1) && set_output(g, out, &made, parts);
}

static bool transpose_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  int64_t order[NNM_LIMIT_RANK], dims[NNM_LIMIT_RANK];
  size_t count = 0;
  frozen_shape *from = NULL;
  for (size_t i = 0; i < key->inbounds.count; i++) {
    int32_t producer = key->inbounds.items[i];
    if (is_type(g, producer, "Const")) count = read_list(&g->keys[producer], "constant", order, NNM_LIMIT_RANK);
    else if (is_type(g, producer, "Pack")) count = packed_values(&g->keys[producer], order);
    else from = shape_of(g, producer);
  }
  if (!from || !count) return false;
  for (size_t i = 0; i < count; i++) {
    int64_t at = order[i] < 0 ? order[i] + from->rank : order[i];
    if (at < 0 || at >= from->rank) return false;
    dims[i] = from->dims[at];
  }
  return set_inputs(g, out, from, 1) && set_output(g, out, &(frozen_shape){(int32_t)count, dims}, 1);
}

/* ------------------------------------------------------------ order of nodes */

/* The old tool's order of visiting: depth first from each head. */
typedef struct visiting {
  int32_t *order, *stack, *pending, *reader_of; /* reader_of: per key, the last key whose inbounds it is in */
  uint8_t *seen;
  size_t order_count, stack_count, pending_count, pending_room;
} visiting;

static bool push_pending(frozen_graph *g, visiting *v, int32_t key) {
  if (v->pending_count == v->pending_room) {
    size_t room = v->pending_room ? 2 * v->pending_room : 64;
    int32_t *grown = NNM_ARENA_ARRAY(g->arena, int32_t, room);
    if (!grown) return false;
    if (v->pending_count) memcpy(grown, v->pending, v->pending_count * sizeof *grown);
    v->pending = grown;
    v->pending_room = room;
  }
  v->pending[v->pending_count++] = key;
  return true;
}

static bool visit(frozen_graph *g, visiting *v, int32_t head) {
  if (!push_pending(g, v, head)) return false;
  while (v->pending_count) {
    int32_t at = v->pending[--v->pending_count];
    if (v->seen[at]) continue;
    v->seen[at] = 1;
    const frozen_key *key = &g->keys[at];
    for (size_t i = 0; i < key->outbounds.count; i++)
      if (!push_pending(g, v, key->outbounds.items[i])) return false;
    for (size_t i = 0; i < key->inbounds.count; i++) v->reader_of[key->inbounds.items[i]] = at;
    while (v->stack_count && v->reader_of[v->stack[v->stack_count - 1]] != at)
      v->order[v->order_count++] = v->stack[--v->stack_count];
    v->stack[v->stack_count++] = at;
  }
  return true;
}

static bool start_visiting(frozen_graph *g, visiting *v) {
  *v = (visiting){.order_count = 0};
  v->order = NNM_ARENA_ARRAY(g->arena, int32_t, (size_t)g->count);
  v->stack = NNM_ARENA_ARRAY(g->arena, int32_t, (size_t)g->count);
  v->reader_of = NNM_ARENA_ARRAY(g->arena, int32_t, (size_t)g->count);
  v->seen = NNM_ARENA_ARRAY(g->arena, uint8_t, (size_t)g->count);
  if (!v->order || !v->stack || !v->reader_of || !v->seen) return false;
  for (int32_t i = 0; i < g->count; i++) v->reader_of[i] = -1;
  return true;
}

/* The stack, then what has left it, last first. */
static int32_t key_in_order(const visiting *v, size_t i) {
  return i < v->stack_count ? v->stack[i] : v->order[v->order_count - 1 - (i - v->stack_count)];
}

/* Behind a Pack or StridedSlice the first Reshape that has shapes already lends its own. */
static bool patched_rule(frozen_graph *g, frozen_key *key, shapes_out *out) {
  enum { LOOKED_AT = 5 };
  int64_t zeros[4] = {0};
  frozen_shape none = {4, zeros};
  int32_t near[LOOKED_AT];
  size_t count = 0;
  /* the old tool walks all that is behind; the first five of its order are the chain of first readers */
  for (int32_t at = (int32_t)(key - g->keys); at >= 0 && count < LOOKED_AT;) {
    near[count++] = at;
    const frozen_list *readers = &g->keys[at].outbounds;
    at = readers->count ? readers->items[0] : -1;
  }
  for (size_t i = 0; i < count; i++) {
    frozen_key *reshape = &g->keys[near[i]];
    if (!is_type(g, near[i], "Reshape") || !reshape->inputs) continue;
    return set_inputs(g, out, reshape->inputs, reshape->input_count) && reshape->input_count == 1 &&
           set_output(g, out, reshape->inputs, 1);
  }
  return set_inputs(g, out, &none, 1) && set_output(g, out, &none, 1);
}

/* ------------------------------------------------------------------ the table */

typedef bool (*old_rule)(frozen_graph *g, frozen_key *key, shapes_out *out);

static const struct {
  const char *type;
  old_rule rule;
} rules[] = {
    {"Const", constant_rule},
    {"Placeholder", placeholder_rule},
    {"Identity", identity_rule},
    {"Conv2D", conv_rule},
    {"DepthwiseConv2dNative", conv_rule},
    {"MatMul", matmul_rule},
    {"AvgPool", pool_rule},
    {"MaxPool", pool_rule},
    {"MaxPoolV2", pool_rule},
    {"Mean", reduce_rule},
    {"Reshape", reshape_rule},
    {"Concat", concat_rule},
    {"ConcatV2", concat_rule},
    {"Split", split_rule},
    {"Transpose", transpose_rule},
    {"Pack", patched_rule},
    {"StridedSlice", patched_rule},
    {"Add", broadcast_rule},
    {"AddN", broadcast_rule},
    {"AddV2", broadcast_rule},
    {"Sub", broadcast_rule},
    {"MulNoNan", broadcast_rule},
    {"Mul", broadcast_rule},
    {"Div", broadcast_rule},
    {"DivNoNan", broadcast_rule},
    {"Equal", broadcast_rule},
    {"Abs", same_rule},
    {"Acos", same_rule},
    {"Asin", same_rule},
    {"Asinh", same_rule},
    {"Atan", same_rule},
    {"Atanh", same_rule},
    {"Cos", same_rule},
    {"Cosh", same_rule},
    {"Exp", same_rule},
    {"Floor", same_rule},
    {"Sin", same_rule},
    {"Sinh", same_rule},
    {"Sqrt", same_rule},
    {"Square", same_rule},
    {"FusedBatchNorm", same_rule},
    {"FusedBatchNormV2", same_rule},
    {"FusedBatchNormV3", same_rule},
    {"BiasAdd", same_rule},
    {"Relu", same_rule},
    {"Relu6", same_rule},
    {"Selu", same_rule},
};

static old_rule rule_of(const frozen_key *key) {
  for (size_t i = 0; key->type && i < sizeof rules / sizeof rules[0]; i++)
    if (!strcmp(key->type, rules[i].type)) return rules[i].rule;
  return NULL;
}

/* ----------------------------------------------------------- the right shapes */

static bool right_shape(const frozen_graph *g, nnm_tensor_id tensor, frozen_shape *out) {
  nnm_shape shape = tensor < 0 ? (nnm_shape){-1, NULL} : g->shapes->tensors[tensor];
  *out = (frozen_shape){shape.rank, (int64_t *)(uintptr_t)shape.dims};
  return shape.rank >= 0;
}

/* What the graph's own shapes say. all: weights among the inputs too, as where the old tool asks TensorFlow. */
static bool right_shapes(frozen_graph *g, frozen_key *key, bool all, shapes_out *out) {
  const nnm_node *node = key->node < 0 ? NULL : &g->graph->nodes[key->node];
  frozen_shape own, *shapes = new_shapes(g, node ? node->input_count + node->output_count : 1);
  size_t count = 0;
  *out = (shapes_out){.inputs = NULL};
  if (!shapes) return false;
  if (!node) {
    bool known = right_shape(g, key->tensor, &own);
    return set_inputs(g, out, NULL, 0) && (known ? set_output(g, out, &own, 1) : (out->outputs = shapes) != NULL);
  }
  for (uint32_t i = 0; i < node->input_count; i++)
    if (node->inputs[i] >= 0 && (all || !g->shapes->constant[node->inputs[i]]) && right_shape(g, node->inputs[i], &own))
      shapes[count++] = own;
  if (!set_inputs(g, out, shapes, count)) return false;
  count = 0;
  for (uint32_t i = 0; i < node->output_count; i++)
    if (right_shape(g, node->outputs[i], &own)) shapes[count++] = own;
  out->outputs = new_shapes(g, count);
  out->output_count = count;
  for (size_t i = 0; out->outputs && i < count; i++)
    if (!copy_shape(g, &shapes[i], &out->outputs[i])) return false;
  return out->outputs != NULL;
}

/* The window of a layer whose weights the old tool does not find. */
static void put_right_window(frozen_graph *g, frozen_key *key) {
  const nnm_node *node = key->node < 0 ? NULL : &g->graph->nodes[key->node];
  if (!node || node->input_count < 2 || node->inputs[1] < 0 || json_object_get(key->attributes, "ksize")) return;
  bool is_layer = !strcmp(key->type, "Conv2D") || !strcmp(key->type, "DepthwiseConv2dNative");
  nnm_shape weights = g->shapes->tensors[node->inputs[1]];
  if (!is_layer || weights.rank != 4) return;
  put_list(key, "kernel_shape", weights.dims, 2);
  put_list(key, "weight_shape", weights.dims, 4);
}

static nnm_status infer(frozen_graph *g, int32_t at) {
  frozen_key *key = &g->keys[at];
  shapes_out out = {.inputs = NULL};
  old_rule rule = rule_of(key);
  if (!key->type) return NNM_OK;
  if (!rule || !rule(g, key, &out)) {
    if (!right_shapes(g, key, !rule, &out)) return nnm_fail_memory(g->error);
    if (rule == conv_rule) put_right_window(g, key);
  }
  if (out.out_of_memory) return nnm_fail_memory(g->error);
  key->inputs = out.inputs;
  key->input_count = out.input_count;
  key->outputs = out.outputs;
  key->output_count = out.output_count;
  return NNM_OK;
}

nnm_status nnm_frozen_infer_shapes(frozen_graph *g) {
  visiting v;
  if (!start_visiting(g, &v)) return nnm_fail_memory(g->error);
  for (int32_t i = 0; i < g->count; i++)
    if (g->keys[i].is_left && !g->keys[i].inbounds.count && !visit(g, &v, i)) return nnm_fail_memory(g->error);
  size_t count = v.stack_count + v.order_count;
  for (size_t i = 0; i < count; i++) NNM_TRY(infer(g, key_in_order(&v, i)));
  for (size_t i = 0; i < count; i++) {
    int32_t at = key_in_order(&v, i);
    if (is_type(g, at, "Pack") || is_type(g, at, "StridedSlice")) NNM_TRY(infer(g, at));
  }
  return NNM_OK;
}
