#include <string.h>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "compat/compat.h"
#include "predict.h"
#include "readers/content.h"

static nnm_status parse_rules(const void *data, size_t size, nnm_fusion_rules **out, nnm_error *error) {
  return nnm_is_json(data, size) ? nnm_fusion_rules_parse(data, size, out, error)
                                 : nnm_fail_rules_content(error, data, size);
}

/* The rules that the caller gives, as content or as a file; NULL for none. */
static nnm_status read_rules(const nnm_predict_options *options, nnm_fusion_rules **out, nnm_error *error) {
  if (!options) return NNM_OK;
  if (options->fusion_rules)
    return nnm_fail_in_file(error, parse_rules(options->fusion_rules, options->fusion_rules_size, out, error),
                            "fusion rules");
  if (!options->fusion_rules_path) return NNM_OK;
  nnm_mapped_file file;
  NNM_TRY(nnm_map_file(options->fusion_rules_path, &file, error));
  nnm_status status = parse_rules(file.data, file.size, out, error);
  nnm_unmap_file(&file);
  return nnm_fail_in_file(error, status, options->fusion_rules_path);
}

static bool wants_compat(const nnm_predictor *predictor, const nnm_predict_options *options) {
  nnm_compat compat = options ? options->compat : NNM_COMPAT_DEFAULT;
  if (compat == NNM_COMPAT_DEFAULT && predictor) compat = predictor->kind->compat;
  return compat == NNM_COMPAT_NN_METER_2_0;
}

static nnm_status detect(nnm_detection *detection, const nnm_fusion_rules *rules, nnm_error *error) {
  const nnm_model *model = detection->model;
  bool is_document = model->ir != NULL;
  /* a document says its shapes itself; for what nn-Meter 2.0 made of it they need not agree with ours */
  if (!model->shapes && !(detection->compat && is_document))
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "shapes are not inferred yet; call nnm_model_infer_shapes first");
  if (!detection->compat) return nnm_detect_kernels(model->graph, model->shapes, rules, &detection->kernels, error);
  if (!is_document) NNM_TRY(nnm_ir_from_graph(model->graph, model->shapes, NNM_IR_UNNAMED, &detection->own_ir, error));
  detection->ir = is_document ? model->ir : detection->own_ir;
  return nnm_detect_compat_kernels(detection->ir, model->shapes ? model->graph : NULL, model->shapes, rules,
                                   &detection->kernels, error);
}

nnm_status nnm_detect_model_kernels(const nnm_model *model, const nnm_predictor *predictor,
                                    const nnm_predict_options *options, nnm_detection *out, nnm_error *error) {
  *out = (nnm_detection){.model = model, .compat = wants_compat(predictor, options)};
  NNM_TRY(read_rules(options, &out->own_rules, error));
  if (!out->own_rules && !predictor)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL,
                    "kernels need fusion rules; name a predictor or a fusion rules file");
  nnm_status status = detect(out, out->own_rules ? out->own_rules : predictor->rules, error);
  if (status != NNM_OK) nnm_detection_free(out);
  return nnm_fail_in_file(error, status, model->path);
}

void nnm_detection_free(nnm_detection *detection) {
  nnm_kernels_free(detection->kernels);
  nnm_ir_free(detection->own_ir);
  nnm_fusion_rules_free(detection->own_rules);
  *detection = (nnm_detection){0};
}

/* ------------------------------------------------------------------------- what a caller sees of a kernel */

/* Room for the attributes of one kernel: three per spatial dimension and a few more. */
enum { MOST_ATTRIBUTES = 24 };

typedef struct attribute_list {
  nnm_kernel_attribute items[MOST_ATTRIBUTES];
  size_t count;
} attribute_list;

static void add_attribute(attribute_list *list, const char *name, int64_t value) {
  if (list->count < MOST_ATTRIBUTES) list->items[list->count++] = (nnm_kernel_attribute){name, value};
}

typedef struct spatial_names {
  const char *all;     /* when every dimension has the same value */
  const char *each[3]; /* depth, height, width */
} spatial_names;

static const spatial_names kernel_names = {"kernel_size", {"kernel_depth", "kernel_height", "kernel_width"}};
static const spatial_names stride_names = {"stride", {"stride_depth", "stride_height", "stride_width"}};
static const spatial_names dilation_names = {"dilation", {"dilation_depth", "dilation_height", "dilation_width"}};

static void add_spatial(attribute_list *list, const spatial_names *names, const int64_t *values, size_t count) {
  bool same = true;
  for (size_t i = 1; i < count; i++) same = same && values[i] == values[0];
  if (!count || count > 3) return;
  if (same) {
    add_attribute(list, names->all, values[0]);
    return;
  }
  for (size_t i = 0; i < count; i++) add_attribute(list, names->each[3 - count + i], values[i]);
}

static void describe_window(attribute_list *list, const nnm_window *window) {
  size_t spatial = (size_t)window->spatial;
  add_spatial(list, &kernel_names, window->kernel, spatial);
  add_spatial(list, &stride_names, window->stride, spatial);
  for (size_t i = 0; i < spatial; i++)
    if (window->dilation[i] != 1) {
      add_spatial(list, &dilation_names, window->dilation, spatial);
      break;
    }
  add_attribute(list, "input_channels", window->input_channels);
  add_attribute(list, "output_channels", window->output_channels);
  if (window->group != 1) add_attribute(list, "group", window->group);
}

static void describe_compat(attribute_list *list, const nnm_compat_kernel *kernel) {
  if (kernel->has_ks) add_spatial(list, &kernel_names, kernel->ks, kernel->ks_count);
  if (kernel->has_strides) add_spatial(list, &stride_names, kernel->strides, kernel->strides_count);
  if (kernel->has_cin) add_attribute(list, "input_channels", kernel->cin);
  if (kernel->has_cout) add_attribute(list, "output_channels", kernel->cout);
  if (kernel->split_dim_count == 1) add_attribute(list, "split_dim", kernel->split_dim[0]);
}

static nnm_status copy_shape(nnm_arena *arena, nnm_shape shape, bool channels_first, nnm_kernel_shape *out,
                             nnm_error *error) {
  if (shape.rank < 0) return NNM_OK; /* stays {0, NULL}: unknown */
  int64_t *dims = nnm_arena_copy(arena, shape.dims, (size_t)shape.rank, sizeof *dims);
  if (!dims) return nnm_fail_memory(error);
  if (channels_first && shape.rank == 4) { /* as nn-Meter writes maps: N, H, W, C */
    dims[1] = shape.dims[2];
    dims[2] = shape.dims[3];
    dims[3] = shape.dims[1];
  }
  *out = (nnm_kernel_shape){(size_t)shape.rank, dims};
  return NNM_OK;
}

/* The input and output shapes, from nn-Meter 2.0's view where there is one. */
static nnm_status describe_shapes(const nnm_detection *detection, const nnm_kernel *kernel, nnm_arena *arena,
                                  nnm_kernel_result *out, nnm_error *error) {
  const nnm_compat_kernel *compat = kernel->compat;
  const nnm_graph *graph = detection->model->graph;
  const nnm_shapes *shapes = detection->model->shapes;
  bool from_compat = compat && compat->has_input_tensors;
  size_t count = from_compat ? compat->input_tensor_count : shapes ? kernel->input_count : 0;
  nnm_kernel_shape *inputs = NNM_ARENA_ARRAY(arena, nnm_kernel_shape, count);
  if (!inputs) return nnm_fail_memory(error);
  for (size_t i = 0; i < count; i++) {
    nnm_shape shape = from_compat ? compat->input_tensors[i] : shapes->tensors[kernel->inputs[i]];
    bool first = !from_compat && nnm_kernel_layout(graph, kernel, kernel->inputs[i]) == NNM_CHANNELS_FIRST;
    NNM_TRY(copy_shape(arena, shape, first, &inputs[i], error));
  }
  out->inputs = inputs;
  out->input_count = count;
  if (compat && compat->output_tensor_count)
    return copy_shape(arena, compat->output_tensors[0], false, &out->output, error);
  if (shapes && kernel->member_count && kernel->output >= 0)
    return copy_shape(arena, shapes->tensors[kernel->output],
                      nnm_kernel_layout(graph, kernel, kernel->output) == NNM_CHANNELS_FIRST, &out->output, error);
  return NNM_OK;
}

/* Never NULL but for memory: unnamed nodes go by their type and number. */
static const char *node_label(const nnm_graph *graph, nnm_node_id id, nnm_arena *arena) {
  const nnm_node *node = &graph->nodes[id];
  return node->name[0] ? nnm_arena_text(arena, node->name, strlen(node->name))
                       : nnm_arena_printf(arena, "%s:%d", node->type, (int)id);
}

static const char *document_label(const nnm_detection *detection, int32_t index, nnm_arena *arena) {
  const nnm_ir_node *node = &detection->ir->nodes[index];
  if (node->graph_node_count) return node_label(detection->model->graph, node->graph_nodes[0], arena);
  return nnm_arena_text(arena, node->name, strlen(node->name));
}

static nnm_status describe_members(const nnm_detection *detection, const nnm_kernel *kernel, nnm_arena *arena,
                                   nnm_kernel_result *out, nnm_error *error) {
  const nnm_compat_kernel *compat = kernel->compat;
  size_t count = compat ? compat->block_start[compat->block_count] : kernel->member_count;
  const char **members = NNM_ARENA_ARRAY(arena, const char *, count);
  if (!members) return nnm_fail_memory(error);
  for (size_t i = 0; i < count; i++) {
    members[i] = compat ? document_label(detection, compat->nodes[i], arena)
                        : node_label(detection->model->graph, kernel->members[i], arena);
    if (!members[i]) return nnm_fail_memory(error);
  }
  out->members = members;
  out->member_count = count;
  return NNM_OK;
}

/* Bits of an element where it is a quantised number. */
static int quantised_bits(nnm_dtype dtype) {
  bool is_quantised = dtype == NNM_DTYPE_I4 || dtype == NNM_DTYPE_U4 || dtype == NNM_DTYPE_I8 ||
                      dtype == NNM_DTYPE_U8 || dtype == NNM_DTYPE_I16 || dtype == NNM_DTYPE_U16;
  return is_quantised ? nnm_dtype_bits(dtype) : 0;
}

static void describe_quantisation(attribute_list *list, const nnm_detection *detection, const nnm_kernel *kernel) {
  const nnm_graph *graph = detection->model->graph;
  const nnm_shapes *shapes = detection->model->shapes;
  if (!shapes || kernel->core < 0) return;
  nnm_tensor_id weights = kernel->weight_elements ? nnm_kernel_weights(graph, shapes, kernel) : -1;
  nnm_tensor_id data = nnm_kernel_data(shapes, kernel);
  int input = data >= 0 ? quantised_bits(nnm_stored_dtype(graph, shapes, data)) : 0;
  int weight = weights >= 0 ? quantised_bits(nnm_stored_dtype(graph, shapes, weights)) : 0;
  if (graph->nodes[kernel->core].op == NNM_OP_MS_MATMUL_NBITS)
    weight = (int)nnm_attribute_int(&graph->nodes[kernel->core], "bits", 4);
  if (input) add_attribute(list, "input_bits", input);
  if (weight) add_attribute(list, "weight_bits", weight);
}

static nnm_status describe_attributes(const nnm_detection *detection, const nnm_kernel *kernel, nnm_arena *arena,
                                      nnm_kernel_result *out, nnm_error *error) {
  attribute_list list = {.count = 0};
  nnm_window window;
  if (kernel->compat) describe_compat(&list, kernel->compat);
  else if (nnm_window_of(detection->model->graph, detection->model->shapes, kernel->core, &window))
    describe_window(&list, &window);
  if (!kernel->compat) describe_quantisation(&list, detection, kernel);
  if (kernel->repeat > 1) add_attribute(&list, "repeat", kernel->repeat);
  nnm_kernel_attribute *attributes = nnm_arena_copy(arena, list.items, list.count, sizeof *list.items);
  if (!attributes) return nnm_fail_memory(error);
  out->attributes = attributes;
  out->attribute_count = list.count;
  return NNM_OK;
}

nnm_status nnm_describe_detected(const nnm_detection *detection, size_t index, nnm_arena *arena, nnm_kernel_result *out,
                                 nnm_error *error) {
  const nnm_kernel *kernel = &detection->kernels->items[index];
  const nnm_compat_kernel *compat = kernel->compat;
  nnm_kernel_result result = {.multiply_adds = kernel->multiply_adds};
  result.type = compat ? compat->op : kernel->name;
  result.type = nnm_arena_text(arena, result.type, strlen(result.type));
  result.name = compat ? nnm_arena_text(arena, compat->name, strlen(compat->name))
                       : nnm_arena_numbered(arena, kernel->name, index);
  if (!result.name || !result.type) return nnm_fail_memory(error);
  NNM_TRY(describe_members(detection, kernel, arena, &result, error));
  NNM_TRY(describe_shapes(detection, kernel, arena, &result, error));
  NNM_TRY(describe_attributes(detection, kernel, arena, &result, error));
  *out = result;
  return NNM_OK;
}
