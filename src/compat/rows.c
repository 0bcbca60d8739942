/* From a kernel to the numbers that nn-Meter 2.0's forests were asked with, its slips included: a name is searched for
 * parts of names, and what a kernel does not set is left over from the kernel before. Where the old tool stops with an
 * error, the row is made of the operator that the kernel's name speaks of. */
#include <string.h>

#include "base/checked.h"
#include "compat/working.h"

enum { HEIGHT, INPUTS, OUTPUTS, KERNEL, STRIDE, VARIABLE_COUNT };

typedef struct row_maker {
  const nnm_ir *ir;
  const nnm_graph *graph;
  const nnm_shapes *shapes;
  nnm_arena *arena;
  nnm_error *error;
  bool is_set[VARIABLE_COUNT];
  int64_t value[VARIABLE_COUNT];
} row_maker;

typedef enum outcome { MADE, NO_ROW, STOPPED } outcome; /* STOPPED: the old tool raises an exception here */

static bool has(const nnm_compat_kernel *kernel, const char *part) { return strstr(kernel->op, part) != NULL; }
static bool is(const nnm_compat_kernel *kernel, const char *op) { return !strcmp(kernel->op, op); }

static void set(row_maker *m, int variable, int64_t value) {
  m->is_set[variable] = true;
  m->value[variable] = value;
}

static void add(nnm_compat_kernel *kernel, double value) {
  if (kernel->row_count < NNM_COMPAT_MAX_ROW) kernel->row[kernel->row_count++] = value;
}

static outcome add_variables(const row_maker *m, nnm_compat_kernel *kernel, int first, int last) {
  for (int i = first; i <= last; i++)
    if (!m->is_set[i]) return STOPPED;
  for (int i = first; i <= last; i++) add(kernel, (double)m->value[i]);
  return MADE;
}

static outcome set_size(row_maker *m, nnm_compat_kernel *kernel, int64_t height, int64_t channels) {
  set(m, HEIGHT, height);
  set(m, INPUTS, channels);
  return add_variables(m, kernel, HEIGHT, INPUTS);
}

static nnm_shape input_at(const nnm_compat_kernel *kernel, size_t index) {
  return index < kernel->input_tensor_count ? kernel->input_tensors[index] : (nnm_shape){.rank = -1};
}

/* ------------------------------------------------ what the old tool does */

static bool set_window(row_maker *m, const nnm_compat_kernel *kernel) {
  if (!kernel->has_cout || !kernel->has_cin || kernel->ks_count < 2 || !kernel->has_input_hw) return false;
  if (kernel->has_strides && kernel->strides_count < 2) return false;
  set(m, OUTPUTS, kernel->cout);
  set(m, INPUTS, kernel->cin);
  set(m, KERNEL, kernel->ks[1]);
  set(m, STRIDE, kernel->has_strides ? kernel->strides[1] : 1);
  set(m, HEIGHT, kernel->inputh);
  return true;
}

/* Weights and operations as the forests were taught: never the width, and size / stride without rounding. */
static outcome add_convolution(const row_maker *m, nnm_compat_kernel *kernel) {
  double window = (double)m->value[KERNEL] * (double)m->value[KERNEL], height = (double)m->value[HEIGHT];
  double stride = (double)m->value[STRIDE];
  if (!m->value[STRIDE]) return STOPPED;
  if (!has(kernel, "dwconv")) window *= (double)m->value[INPUTS];
  double weights = (double)m->value[OUTPUTS] * (window + 1);
  add_variables(m, kernel, HEIGHT, STRIDE);
  add(kernel, 2 * height / stride * height / stride * weights / 2e6);
  add(kernel, weights / 1e6);
  return MADE;
}

static outcome add_dense(nnm_compat_kernel *kernel, int64_t inputs, int64_t outputs) {
  double operations = (2 * (double)inputs + 1) * (double)outputs;
  add(kernel, (double)inputs);
  add(kernel, (double)outputs);
  add(kernel, operations / 2e6);
  add(kernel, operations / 1e6);
  return MADE;
}

static outcome make_convolution(row_maker *m, nnm_compat_kernel *kernel) { return add_convolution(m, kernel); }

static outcome make_dense(row_maker *m, nnm_compat_kernel *kernel) {
  if (!kernel->has_cout || !kernel->has_cin) return STOPPED;
  set(m, OUTPUTS, kernel->cout);
  set(m, INPUTS, kernel->cin);
  return add_dense(kernel, kernel->cin, kernel->cout);
}

static outcome make_pool(row_maker *m, nnm_compat_kernel *kernel) { return add_variables(m, kernel, HEIGHT, STRIDE); }

static outcome make_global_pool(row_maker *m, nnm_compat_kernel *kernel) {
  return kernel->has_cin ? set_size(m, kernel, 1, kernel->cin) : STOPPED;
}

static outcome make_size(row_maker *m, nnm_compat_kernel *kernel) { return add_variables(m, kernel, HEIGHT, INPUTS); }

static outcome make_excite(row_maker *m, nnm_compat_kernel *kernel) {
  if (!kernel->input_tensor_count) return STOPPED;
  nnm_shape last = input_at(kernel, kernel->input_tensor_count - 1);
  return last.rank < 2 ? STOPPED : set_size(m, kernel, last.dims[last.rank - 2], last.dims[last.rank - 1]);
}

/* Height, number of inputs, channels of the first four; with more than four the number is 6. */
static outcome make_concat(row_maker *m, nnm_compat_kernel *kernel) {
  size_t count = kernel->input_tensor_count;
  nnm_shape first = input_at(kernel, 0);
  for (size_t i = 0; i < count; i++)
    if (input_at(kernel, i).rank < 1) return STOPPED;
  if (first.rank < 2) return STOPPED;
  set(m, HEIGHT, first.dims[1]);
  add(kernel, (double)first.dims[1]);
  add(kernel, count > 4 ? 6 : (double)count);
  for (size_t i = 0; i < 4; i++) {
    nnm_shape input = input_at(kernel, i);
    add(kernel, input.rank > 0 ? (double)input.dims[input.rank - 1] : 0);
  }
  return MADE;
}

static outcome make_swish(row_maker *m, nnm_compat_kernel *kernel) {
  nnm_shape first = input_at(kernel, 0);
  if (!kernel->has_cin || first.rank < 2) return STOPPED;
  int64_t height = kernel->has_input_hw ? kernel->inputh : first.dims[first.rank == 2 ? 0 : 1];
  return set_size(m, kernel, height, kernel->cin);
}

static outcome make_activation(row_maker *m, nnm_compat_kernel *kernel) {
  nnm_shape first = input_at(kernel, 0);
  if (first.rank == 4) return set_size(m, kernel, first.dims[1], first.dims[3]);
  return first.rank < 2 ? STOPPED : set_size(m, kernel, first.dims[0], first.dims[1]);
}

static outcome make_sum(row_maker *m, nnm_compat_kernel *kernel) {
  nnm_shape first = input_at(kernel, 0), second = input_at(kernel, 1);
  if (first.rank < 4 || second.rank < 4) return STOPPED;
  set(m, HEIGHT, first.dims[1]);
  add(kernel, (double)first.dims[1]);
  add(kernel, (double)first.dims[3]);
  add(kernel, (double)second.dims[3]);
  return MADE;
}

/* --------------------------------------------------- the right numbers */

/* Height and channels of whatever is no image as well. */
static bool plain_size(nnm_shape shape, int64_t *height, int64_t *channels) {
  if (shape.rank < 1) return false;
  *height = shape.rank == 4 || shape.rank == 3 ? shape.dims[1] : shape.rank == 5 ? shape.dims[3] : 1;
  *channels = shape.rank == 5 ? shape.dims[1] : shape.dims[shape.rank - 1];
  return true;
}

/* The first member of the kernel whose alias has the part, with its attributes; false when there is none. */
static nnm_status find_member(row_maker *m, const nnm_compat_kernel *kernel, const char *part, int32_t *node,
                              nnm_compat_kernel *out) {
  *node = -1;
  for (uint32_t i = 0; i < kernel->block_start[kernel->block_count]; i++) {
    if (!strstr(nnm_compat_alias(&m->ir->nodes[kernel->nodes[i]]), part)) continue;
    *node = kernel->nodes[i];
    *out = (nnm_compat_kernel){.op = kernel->op};
    return nnm_compat_read_attributes(m->ir, *node, m->arena, out, m->error);
  }
  return NNM_OK;
}

/* Kernel sizes and strides per spatial dimension of the member, from its attributes or, where the file leaves them to
 * the weights, from the graph. */
static bool member_window(const row_maker *m, int32_t node, const nnm_compat_kernel *member, int spatial,
                          int64_t kernel[3], int64_t stride[3]) {
  nnm_window window = {.spatial = 0};
  const nnm_ir_node *ir_node = &m->ir->nodes[node];
  if (member->ks_count < (size_t)spatial && m->graph && m->shapes && ir_node->graph_node_count)
    if (!nnm_window_of(m->graph, m->shapes, ir_node->graph_nodes[0], &window)) return false;
  for (int i = 0; i < spatial; i++) {
    if (member->ks_count >= (size_t)spatial) kernel[i] = member->ks[i];
    else if (i < window.spatial) kernel[i] = window.kernel[i];
    else return false;
    stride[i] = member->strides_count >= (size_t)spatial ? member->strides[i] : 1;
    if (stride[i] < 1) return false;
  }
  return true;
}

static outcome right_window(row_maker *m, nnm_compat_kernel *kernel, int32_t node, const nnm_compat_kernel *member,
                            bool is_convolution) {
  nnm_shape input = input_at(member, 0);
  const nnm_ir_node *ir_node = &m->ir->nodes[node];
  if (input.rank < 3 || input.rank > 5 || !ir_node->output_shape_count) return NO_ROW;
  nnm_shape output = ir_node->output_shapes[0];
  if (output.rank != input.rank) return NO_ROW;
  int spatial = input.rank - 2, first = input.rank == 4 ? 1 : 2, channels = input.rank == 4 ? 3 : 1;
  int64_t size[3], stride[3];
  if (!member_window(m, node, member, spatial, size, stride)) return NO_ROW;
  int across = spatial == 1 ? 0 : 1;
  int64_t inputs = input.dims[channels], outputs = output.dims[channels];
  add(kernel, (double)input.dims[spatial == 3 ? 3 : first]);
  add(kernel, (double)inputs);
  add(kernel, (double)outputs);
  add(kernel, (double)size[across]);
  add(kernel, (double)stride[across]);
  if (!is_convolution) return MADE;
  int64_t group = 0;
  (void)nnm_ir_integer(ir_node, "group", &group);
  double weights = has(kernel, "dwconv") ? 1 : (double)inputs, operations = 2;
  if (spatial != 2 && group > 1 && group <= inputs) weights = (double)(inputs / group);
  if (spatial == 2) { /* as for every image: square */
    weights *= (double)size[1] * (double)size[1];
    operations = 2 * (double)input.dims[1] / (double)stride[1] * (double)input.dims[1] / (double)stride[1];
  } else {
    for (int i = 0; i < spatial; i++) {
      weights *= (double)size[i];
      operations *= (double)input.dims[first + i] / (double)stride[i];
    }
  }
  weights = (double)outputs * (weights + 1);
  add(kernel, operations * weights / 2e6);
  add(kernel, weights / 1e6);
  return MADE;
}

static nnm_status right_window_of(row_maker *m, nnm_compat_kernel *kernel, const char *part, bool is_convolution) {
  int32_t node;
  nnm_compat_kernel member;
  NNM_TRY(find_member(m, kernel, part, &node, &member));
  if (node >= 0) right_window(m, kernel, node, &member, is_convolution);
  return NNM_OK;
}

static nnm_status right_convolution(row_maker *m, nnm_compat_kernel *kernel) {
  return right_window_of(m, kernel, "conv", true);
}

static nnm_status right_pool(row_maker *m, nnm_compat_kernel *kernel) {
  return right_window_of(m, kernel, "pool", false);
}

static nnm_status right_dense(row_maker *m, nnm_compat_kernel *kernel) {
  int32_t node;
  nnm_compat_kernel member;
  NNM_TRY(find_member(m, kernel, "fc", &node, &member));
  if (node >= 0 && member.has_cin && member.has_cout) add_dense(kernel, member.cin, member.cout);
  return NNM_OK;
}

static nnm_status right_size(row_maker *m, nnm_compat_kernel *kernel) {
  int64_t height, channels;
  (void)m;
  if (!plain_size(input_at(kernel, 0), &height, &channels)) return NNM_OK;
  add(kernel, (double)height);
  add(kernel, (double)channels);
  return NNM_OK;
}

static nnm_status right_concat(row_maker *m, nnm_compat_kernel *kernel) {
  int64_t height = 1, channels;
  (void)m;
  if (!plain_size(input_at(kernel, 0), &height, &channels)) return NNM_OK;
  add(kernel, (double)height);
  add(kernel, kernel->input_tensor_count > 4 ? 6 : (double)kernel->input_tensor_count);
  for (size_t i = 0; i < 4; i++) {
    int64_t unused;
    channels = 0;
    plain_size(input_at(kernel, i), &unused, &channels);
    add(kernel, (double)channels);
  }
  return NNM_OK;
}

/* A constant operand counts as wide as the other. */
static nnm_status right_sum(row_maker *m, nnm_compat_kernel *kernel) {
  int64_t height, first, second, unused;
  (void)m;
  if (!plain_size(input_at(kernel, 0), &height, &first)) return NNM_OK;
  if (!plain_size(input_at(kernel, 1), &unused, &second)) second = first;
  add(kernel, (double)height);
  add(kernel, (double)first);
  add(kernel, (double)second);
  return NNM_OK;
}

/* ----------------------------------------------------------- which is which */

static bool names_convolution(const nnm_compat_kernel *k) { return has(k, "conv"); }
static bool names_dense(const nnm_compat_kernel *k) { return has(k, "fc"); }
static bool names_pool(const nnm_compat_kernel *k) { return has(k, "pool") && !has(k, "global"); }
static bool names_global_pool(const nnm_compat_kernel *k) {
  return has(k, "global-pool") || has(k, "global-avgpool") || has(k, "gap");
}
static bool names_split(const nnm_compat_kernel *k) { return has(k, "channelshuffle") || has(k, "split"); }
static bool names_excite(const nnm_compat_kernel *k) { return has(k, "se") || has(k, "SE"); }
static bool names_concat(const nnm_compat_kernel *k) { return has(k, "concat"); }
static bool names_swish(const nnm_compat_kernel *k) { return is(k, "hswish"); }
static bool names_activation(const nnm_compat_kernel *k) { return is(k, "bn") || is(k, "relu") || is(k, "bn-relu"); }
static bool names_sum(const nnm_compat_kernel *k) { return is(k, "add") || is(k, "add-relu"); }

/* The first family whose name fits makes the row; `right` where `make` would stop. */
static const struct row_family {
  bool (*names)(const nnm_compat_kernel *kernel);
  outcome (*make)(row_maker *m, nnm_compat_kernel *kernel);
  nnm_status (*right)(row_maker *m, nnm_compat_kernel *kernel);
} families[] = {
    {names_convolution, make_convolution, right_convolution},
    {names_dense, make_dense, right_dense},
    {names_pool, make_pool, right_pool},
    {names_global_pool, make_global_pool, right_size},
    {names_split, make_size, right_size},
    {names_excite, make_excite, right_size},
    {names_concat, make_concat, right_concat},
    {names_swish, make_swish, right_size},
    {names_activation, make_activation, right_size},
    {names_sum, make_sum, right_sum},
};

/* What the old tool reads before it looks at the family. */
static bool set_before(row_maker *m, const nnm_compat_kernel *kernel) {
  if ((has(kernel, "conv") || has(kernel, "maxpool") || has(kernel, "avgpool")) && !set_window(m, kernel)) return false;
  if (!is(kernel, "channelshuffle") && !is(kernel, "split")) return true;
  nnm_shape first = input_at(kernel, 0);
  if (first.rank != 4) return false;
  set(m, HEIGHT, first.dims[1]);
  set(m, INPUTS, first.dims[3]);
  return true;
}

static nnm_status make_row(row_maker *m, nnm_compat_kernel *kernel) {
  for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
    if (!families[i].names(kernel)) continue;
    if (set_before(m, kernel) && families[i].make(m, kernel) == MADE) return NNM_OK;
    kernel->row_count = 0;
    return families[i].right(m, kernel);
  }
  return NNM_OK;
}

const char *nnm_compat_predictor_of(const char *op) {
  static const struct {
    const char *op, *predictor;
  } names[] = {{"fc-relu", "fc"},
               {"gap", "global-avgpool"},
               {"bn-relu", "bnrelu"},
               {"add-relu", "addrelu"},
               {"se-relu", "se"},
               {"SE", "se"},
               {"SE-relu", "se"},
               {"max-pool", "maxpool"},
               {"avg-pool", "avgpool"},
               {"global-pool", "global-avgpool"},
               {"channel_shuffle", "channelshuffle"}};
  if (strstr(op, "dwconv")) return "dwconv-bn-relu";
  if (strstr(op, "conv")) return "conv-bn-relu";
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (!strcmp(op, names[i].op)) return names[i].predictor;
  return op;
}

nnm_status nnm_compat_make_rows(const nnm_ir *ir, const nnm_graph *graph, const nnm_shapes *shapes,
                                nnm_compat_kernel *kernels, size_t count, nnm_arena *arena, nnm_error *error) {
  row_maker m = {.ir = ir, .graph = graph, .shapes = shapes, .arena = arena, .error = error};
  for (size_t i = 0; i < count; i++) {
    NNM_TRY(make_row(&m, &kernels[i]));
    if (kernels[i].row_count) kernels[i].predictor = nnm_compat_predictor_of(kernels[i].op);
  }
  return NNM_OK;
}
