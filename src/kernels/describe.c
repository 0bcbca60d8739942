#include <string.h>

#include "kernels/detection.h"
#include "kernels/tensor_set.h"

static int64_t add_saturating(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }
static int64_t multiply_saturating(int64_t a, int64_t b) {
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

/* Elements of a tensor; 0 when its shape is not known. */
static int64_t elements_of(const nnm_shapes *shapes, nnm_tensor_id tensor) {
  if (tensor < 0) return 0;
  int64_t elements = nnm_shape_elements(shapes->tensors[tensor]);
  return elements < 0 ? 0 : elements;
}

/* ----------------------------------------------------------------- weights */

static int64_t convolution_weights(const nnm_window *window) {
  int64_t weights = window->output_channels;
  if (window->group > 0) weights = multiply_saturating(weights, window->input_channels / window->group);
  for (int i = 0; i < window->spatial; i++) weights = multiply_saturating(weights, window->kernel[i]);
  return weights;
}

/* The largest constant operand: the matrix, however it is laid out. */
static nnm_tensor_id largest_constant(const nnm_shapes *shapes, const nnm_node *node) {
  nnm_tensor_id largest = -1;
  for (uint32_t i = 0; i < node->input_count; i++) {
    nnm_tensor_id tensor = node->inputs[i];
    if (tensor < 0 || !shapes->constant[tensor]) continue;
    if (largest < 0 || elements_of(shapes, tensor) > elements_of(shapes, largest)) largest = tensor;
  }
  return largest;
}

nnm_tensor_id nnm_kernel_weights(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel) {
  return kernel->core < 0 ? -1 : largest_constant(shapes, &graph->nodes[kernel->core]);
}

nnm_layout nnm_kernel_layout(const nnm_graph *graph, const nnm_kernel *kernel, nnm_tensor_id tensor) {
  enum { MOST_PORTS = 256 }; /* looked at; a kernel of more is a huge Concat, which has one layout */
  int left = MOST_PORTS;
  for (size_t i = 0; i < kernel->member_count; i++) {
    const nnm_node *node = &graph->nodes[kernel->members[i]];
    for (uint32_t k = 0; k < node->input_count && left-- > 0; k++)
      if (node->inputs[k] == tensor) return (nnm_layout)node->layout;
    for (uint32_t k = 0; k < node->output_count && left-- > 0; k++)
      if (node->outputs[k] == tensor) return (nnm_layout)node->layout;
    if (left <= 0) break;
  }
  return kernel->member_count ? (nnm_layout)graph->nodes[kernel->members[0]].layout : NNM_CHANNELS_FIRST;
}

nnm_tensor_id nnm_kernel_data(const nnm_shapes *shapes, const nnm_kernel *kernel) {
  nnm_tensor_id largest = kernel->input_count ? kernel->inputs[0] : -1;
  for (size_t i = 1; i < kernel->input_count; i++)
    if (elements_of(shapes, kernel->inputs[i]) > elements_of(shapes, largest)) largest = kernel->inputs[i];
  return largest;
}

/* Weights packed into blocks of a few bits: attributes tell how many there are. */
static int64_t packed_weights(const nnm_node *node) {
  int64_t rows = nnm_attribute_int(node, "K", 0), columns = nnm_attribute_int(node, "N", 0);
  return rows > 0 && columns > 0 ? multiply_saturating(rows, columns) : 0;
}

/* Of a table of constants only the rows that are asked for are read. */
static int64_t rows_of_table(const nnm_shapes *shapes, const nnm_node *node) {
  bool is_table =
      node->input_count > 1 && node->output_count && node->inputs[0] >= 0 && shapes->constant[node->inputs[0]];
  return is_table ? elements_of(shapes, node->outputs[0]) : 0;
}

/* Biases are left out: whether a file has them depends on how it was exported, and they cost next to nothing. */
static int64_t weights_of(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id id) {
  const nnm_node *node = &graph->nodes[id];
  nnm_work work = nnm_op_work((nnm_op)node->op);
  nnm_window window;
  if (work == NNM_WORK_CONVOLUTION && nnm_window_of(graph, shapes, id, &window)) return convolution_weights(&window);
  nnm_rows rows;
  if (work == NNM_WORK_RECURRENT && nnm_rows_of(graph, shapes, id, &rows)) return rows.weights;
  if (node->op == NNM_OP_GATHER) return rows_of_table(shapes, node);
  if (work != NNM_WORK_MATRIX && work != NNM_WORK_RECURRENT) return 0;
  if (node->op == NNM_OP_MS_MATMUL_NBITS || node->op == NNM_OP_MS_MATMUL_BNB4) return packed_weights(node);
  int64_t channels = nnm_attribute_int(node, "output_channels", 0);
  if (channels <= 0 || !node->input_count || node->inputs[0] < 0)
    return elements_of(shapes, largest_constant(shapes, node));
  nnm_shape shape = shapes->tensors[node->inputs[0]];
  return shape.rank > 0 ? multiply_saturating(channels, shape.dims[shape.rank - 1]) : 0;
}

/* --------------------------------------------------------------- measuring */

/* Lists what the members read from outside, each tensor once, in the order in which it is read. Views of one tensor are
 * that tensor; root NULL: nothing is known of views. */
static nnm_status list_inputs(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_tensor_id *root,
                              nnm_arena *arena, nnm_kernel *kernel, nnm_error *error) {
  size_t ports = 0, inputs = 0;
  for (size_t i = 0; i < kernel->member_count; i++) {
    ports += graph->nodes[kernel->members[i]].output_count + graph->nodes[kernel->members[i]].input_count;
    inputs += graph->nodes[kernel->members[i]].input_count;
  }
  nnm_tensor_set known; /* made inside, or listed already */
  nnm_tensor_id *list = NNM_ARENA_ARRAY(arena, nnm_tensor_id, inputs);
  if (!list || !nnm_tensor_set_create(&known, ports)) return nnm_fail_memory(error);
  for (size_t i = 0; i < kernel->member_count; i++) {
    const nnm_node *node = &graph->nodes[kernel->members[i]];
    for (uint32_t k = 0; k < node->output_count; k++)
      if (node->outputs[k] >= 0) nnm_tensor_set_add(&known, root ? root[node->outputs[k]] : node->outputs[k]);
  }
  for (size_t i = 0; i < kernel->member_count; i++) {
    const nnm_node *node = &graph->nodes[kernel->members[i]];
    for (uint32_t k = 0; k < node->input_count; k++) {
      nnm_tensor_id tensor = node->inputs[k];
      if (tensor < 0 || shapes->constant[tensor]) continue;
      if (nnm_tensor_set_add(&known, root ? root[tensor] : tensor)) list[kernel->input_count++] = tensor;
    }
  }
  nnm_tensor_set_free(&known);
  kernel->inputs = list;
  return NNM_OK;
}

static bool is_view(const nnm_node *node) {
  nnm_work work = nnm_op_work((nnm_op)node->op);
  return work == NNM_WORK_VIEW || work == NNM_WORK_NONE;
}

/* A split hands out all its parts; anything else has one result. */
static int64_t output_elements(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel) {
  if (kernel->type != NNM_KERNEL_SPLIT) return elements_of(shapes, kernel->output);
  int64_t sum = 0;
  for (size_t i = 0; i < kernel->member_count; i++) {
    const nnm_node *node = &graph->nodes[kernel->members[i]];
    for (uint32_t k = 0; !is_view(node) && k < node->output_count; k++)
      sum = add_saturating(sum, elements_of(shapes, node->outputs[k]));
  }
  return sum;
}

nnm_status nnm_measure_kernel(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_tensor_id *root,
                              nnm_arena *arena, nnm_kernel *kernel, nnm_error *error) {
  NNM_TRY(list_inputs(graph, shapes, root, arena, kernel, error));
  for (size_t i = 0; i < kernel->input_count; i++)
    kernel->input_elements = add_saturating(kernel->input_elements, elements_of(shapes, kernel->inputs[i]));
  kernel->output_elements = output_elements(graph, shapes, kernel);
  for (size_t i = 0; i < kernel->member_count; i++) {
    nnm_node_id member = kernel->members[i];
    kernel->multiply_adds = add_saturating(kernel->multiply_adds, nnm_node_multiply_adds(graph, shapes, member));
    kernel->weight_elements = add_saturating(kernel->weight_elements, weights_of(graph, shapes, member));
  }
  if (kernel->repeat < 1) kernel->repeat = 1;
  return NNM_OK;
}

/* ----------------------------------------------- kernels known by name only */

/* Nothing ranks above a convolution. */
static bool is_highest(nnm_role role) {
  return role != NNM_ROLE_COUNT && nnm_roles[role].rank == nnm_roles[NNM_ROLE_CONV].rank;
}

/* The highest-ranking role among the parts of a name such as "conv-bn-relu"; NNM_ROLE_COUNT when none is known. */
static nnm_role role_of_name(const char *name) {
  static const char global[] = "global-avgpool"; /* the one part with a "-" of its own */
  nnm_role best = NNM_ROLE_COUNT;
  while (name && *name && !is_highest(best)) {
    size_t length = strcspn(name, "-");
    if (!strncmp(name, global, sizeof global - 1)) length = sizeof global - 1;
    nnm_role role = nnm_role_named(name, length);
    if (role != NNM_ROLE_COUNT && (best == NNM_ROLE_COUNT || nnm_roles[role].rank > nnm_roles[best].rank)) best = role;
    name += length;
    if (*name) name++;
  }
  return best;
}

static void choose_core(const nnm_graph *graph, const nnm_shapes *shapes, nnm_kernel *kernel) {
  nnm_role named = role_of_name(kernel->name), best = NNM_ROLE_COUNT;
  int64_t most = -1;
  for (size_t i = 0; i < kernel->member_count; i++) {
    nnm_role role = nnm_role_of(graph, shapes, kernel->members[i]);
    int64_t work = nnm_node_multiply_adds(graph, shapes, kernel->members[i]);
    int rank = nnm_roles[role].rank + (role == named ? 100 : 0);
    int best_rank = best == NNM_ROLE_COUNT ? -1 : nnm_roles[best].rank + (best == named ? 100 : 0);
    if (rank < best_rank || (rank == best_rank && work <= most)) continue;
    best = role;
    most = work;
    kernel->core = kernel->members[i];
  }
  if (named != NNM_ROLE_COUNT) best = named;
  kernel->type = best == NNM_ROLE_COUNT ? NNM_KERNEL_OTHER : nnm_roles[best].kernel;
}

nnm_status nnm_describe_kernel(const nnm_graph *graph, const nnm_shapes *shapes, nnm_arena *arena, nnm_kernel *kernel,
                               nnm_error *error) {
  kernel->core = kernel->output = -1;
  kernel->input_count = 0;
  kernel->input_elements = kernel->output_elements = kernel->weight_elements = kernel->multiply_adds = 0;
  choose_core(graph, shapes, kernel);
  if (kernel->member_count) {
    const nnm_node *last = &graph->nodes[kernel->members[kernel->member_count - 1]];
    if (last->output_count) kernel->output = last->outputs[0];
  }
  return nnm_measure_kernel(graph, shapes, NULL, arena, kernel, error);
}
