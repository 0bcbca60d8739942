#include "features/geometry.h"

static int64_t at_least_one(int64_t value) { return value < 1 ? 1 : value; }

static int64_t multiply(int64_t a, int64_t b) {
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

/* An image's sizes, outermost first, as height and width. */
static void rows_and_columns(const int64_t *sizes, int spatial, int64_t *height, int64_t *width) {
  *height = sizes[0];
  *width = spatial > 1 ? sizes[spatial - 1] : 1;
  if (spatial == 3) *height = multiply(sizes[0], sizes[1]);
}

static void from_window(const nnm_window *window, nnm_geometry *out) {
  int64_t dilation_height, dilation_width;
  out->has_window = true;
  out->batch = window->batch;
  out->input_channels = window->input_channels;
  out->output_channels = window->output_channels;
  out->group = window->group;
  out->transposed = window->transposed;
  out->global = window->global;
  rows_and_columns(window->input, window->spatial, &out->input_height, &out->input_width);
  rows_and_columns(window->output, window->spatial, &out->output_height, &out->output_width);
  rows_and_columns(window->kernel, window->spatial, &out->kernel_height, &out->kernel_width);
  rows_and_columns(window->stride, window->spatial, &out->stride_height, &out->stride_width);
  rows_and_columns(window->dilation, window->spatial, &dilation_height, &dilation_width);
  out->dilation = dilation_height > dilation_width ? dilation_height : dilation_width;
  for (int i = 0; i < window->spatial; i++) out->padded |= window->pad_begin[i] > 0 || window->pad_end[i] > 0;
}

/* A layer that does the padding of a Pad in front of it reads the image without its border. */
static void without_border(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel,
                           nnm_geometry *out) {
  for (size_t i = 0; i < kernel->member_count && kernel->members[i] != kernel->core; i++) {
    const nnm_node *node = &graph->nodes[kernel->members[i]];
    if (node->op != NNM_OP_PAD || !node->input_count || node->inputs[0] < 0 ||
        shapes->tensors[node->inputs[0]].rank != 4)
      continue;
    const int64_t *sizes = shapes->tensors[node->inputs[0]].dims + (node->layout == NNM_CHANNELS_LAST ? 1 : 2);
    out->padded |= sizes[0] < out->input_height || sizes[1] < out->input_width;
    out->input_height = sizes[0];
    out->input_width = sizes[1];
  }
}

typedef struct image {
  int64_t batch, height, width, channels;
} image;

/* A tensor as an image: of four dimensions and more as the node's layout says; of three a sequence of vectors; a matrix
 * is a batch of vectors. */
static image image_of(nnm_shape shape, nnm_layout layout) {
  const int64_t *d = shape.dims;
  switch (shape.rank) {
  case -1:
  case 0: return (image){1, 1, 1, 1};
  case 1: return (image){1, 1, 1, d[0]};
  case 2: return (image){d[0], 1, 1, d[1]};
  case 3: return (image){d[0], d[1], 1, d[2]};
  default: break;
  }
  image result = {d[0], 1, 1, 1};
  int32_t first = layout == NNM_CHANNELS_LAST ? 1 : 2, last = shape.rank - (layout == NNM_CHANNELS_LAST ? 2 : 1);
  result.channels = layout == NNM_CHANNELS_LAST ? d[shape.rank - 1] : d[1];
  result.width = d[last];
  for (int32_t i = first; i < last; i++) result.height = multiply(result.height, d[i]);
  return result;
}

static nnm_shape shape_of(const nnm_shapes *shapes, nnm_tensor_id tensor) {
  const nnm_shape unknown = {.rank = -1};
  return tensor < 0 ? unknown : shapes->tensors[tensor];
}

static void from_tensors(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel,
                         nnm_geometry *out) {
  /* of several inputs the largest: the map of map times gate */
  nnm_tensor_id read = kernel->input_count ? nnm_kernel_data(shapes, kernel) : kernel->output;
  image input = image_of(shape_of(shapes, read), nnm_kernel_layout(graph, kernel, read));
  image output = image_of(shape_of(shapes, kernel->output), nnm_kernel_layout(graph, kernel, kernel->output));
  /* what is shuffled is read as a tensor of one more axis, what is normalised perhaps as groups */
  if (kernel->type == NNM_KERNEL_CHANNELSHUFFLE || kernel->type == NNM_KERNEL_NORM) input = output;
  out->batch = input.batch;
  out->input_height = input.height;
  out->input_width = input.width;
  out->input_channels = input.channels;
  out->output_height = output.height;
  out->output_width = output.width;
  out->output_channels = output.channels;
}

/* Rows x inner dimension times inner dimension x columns; the batch is that of the rows for a layer with weights. */
static void from_product(const nnm_shapes *shapes, const nnm_kernel *kernel, nnm_tensor_id result, nnm_geometry *out) {
  nnm_shape shape = shape_of(shapes, result);
  int64_t elements = at_least_one(nnm_shape_elements(shape));
  int64_t columns = shape.rank > 0 ? at_least_one(shape.dims[shape.rank - 1]) : 1, rows = elements / columns;
  out->batch = 1;
  if (kernel->type == NNM_KERNEL_MATMUL && shape.rank > 2) {
    int64_t height = at_least_one(shape.dims[shape.rank - 2]);
    out->batch = rows / height;
    rows = height;
  }
  out->input_height = out->output_height = rows;
  out->input_width = out->output_width = 1;
  out->input_channels = kernel->multiply_adds / elements;
  out->output_channels = columns;
}

/* Attention: a stack of matrices for each head of each image, as many rows as queries; what it multiplies for one element
 * of the result stands for the number of keys, whatever is done inside. A recurrent layer: a row for each step. */
static bool from_rows(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel, nnm_geometry *out) {
  if ((kernel->type != NNM_KERNEL_ATTENTION && kernel->type != NNM_KERNEL_RECURRENT) || kernel->core < 0) return false;
  nnm_rows rows;
  const nnm_node *core = &graph->nodes[kernel->core];
  if (!nnm_rows_of(graph, shapes, kernel->core, &rows)) { /* spelt out: the softmax has a row for each query */
    nnm_shape scores = shape_of(shapes, core->output_count ? core->outputs[0] : -1);
    if (kernel->type != NNM_KERNEL_ATTENTION || scores.rank < 2) return false;
    rows.rows = at_least_one(scores.dims[scores.rank - 2]);
    rows.stacks = nnm_shape_elements(scores) / rows.rows / at_least_one(scores.dims[scores.rank - 1]);
    rows.columns = kernel->output_elements / at_least_one(multiply(rows.stacks, rows.rows));
  }
  out->batch = rows.stacks;
  out->input_height = out->output_height = rows.rows;
  out->input_width = out->output_width = 1;
  out->output_channels = rows.columns;
  int64_t outputs = multiply(multiply(rows.stacks, rows.rows), rows.columns);
  out->input_channels = kernel->multiply_adds / at_least_one(outputs);
  return true;
}

/* A global pooling hands on one value for each channel, with the axes of the image or without them. */
static void after_pooling(nnm_geometry *out) {
  out->output_height = out->output_width = 1;
  out->output_channels = out->input_channels;
  /* whatever the window is called, it is the map */
  out->kernel_height = out->input_height;
  out->kernel_width = out->input_width;
  out->stride_height = out->stride_width = 1;
  out->group = out->input_channels;
  out->padded = false;
  out->global = true;
}

/* The narrowest layer of a squeeze-and-excite block. */
static int64_t squeeze_channels(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel) {
  int64_t least = INT64_MAX;
  for (size_t i = 0; i < kernel->member_count; i++) {
    const nnm_node *node = &graph->nodes[kernel->members[i]];
    nnm_work work = nnm_op_work((nnm_op)node->op);
    if (work != NNM_WORK_CONVOLUTION && work != NNM_WORK_MATRIX) continue;
    nnm_window window;
    int64_t channels = 0;
    nnm_shape shape = shape_of(shapes, node->output_count ? node->outputs[0] : -1);
    if (nnm_window_of(graph, shapes, kernel->members[i], &window)) channels = window.output_channels;
    else if (shape.rank > 0) channels = shape.dims[shape.rank - 1];
    if (channels > 0 && channels < least) least = channels;
  }
  return least == INT64_MAX ? 0 : least;
}

void nnm_kernel_geometry(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel,
                         nnm_geometry *out) {
  *out = (nnm_geometry){
      .kernel_height = 1, .kernel_width = 1, .stride_height = 1, .stride_width = 1, .dilation = 1, .group = 1};
  nnm_window window;
  bool is_product = kernel->type == NNM_KERNEL_FC || kernel->type == NNM_KERNEL_MATMUL;
  if (kernel->type != NNM_KERNEL_SE && kernel->core >= 0 && nnm_window_of(graph, shapes, kernel->core, &window)) {
    from_window(&window, out);
    without_border(graph, shapes, kernel, out);
  } else if (from_rows(graph, shapes, kernel, out)) {
    /* done */
  } else if (is_product && kernel->core >= 0 && graph->nodes[kernel->core].output_count)
    from_product(shapes, kernel, graph->nodes[kernel->core].outputs[0], out);
  else from_tensors(graph, shapes, kernel, out);
  if (kernel->type == NNM_KERNEL_GLOBAL_AVGPOOL) after_pooling(out);
  if (kernel->type == NNM_KERNEL_SE) out->squeeze_channels = squeeze_channels(graph, shapes, kernel);
  int64_t *sizes[] = {&out->batch,        &out->input_height,   &out->input_width,     &out->output_height,
                      &out->output_width, &out->input_channels, &out->output_channels, &out->kernel_height,
                      &out->kernel_width, &out->stride_height,  &out->stride_width,    &out->dilation,
                      &out->group};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) *sizes[i] = at_least_one(*sizes[i]);
}
