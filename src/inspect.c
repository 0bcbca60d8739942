#include "inspect.h"

#include <string.h>

#include "base/strings.h"
#include "report/write.h"

/* A name as it stands in text output: whole, on one line. */
static void write_name(nnm_text *text, const char *name) { nnm_write_cell(text, name, SIZE_MAX, false); }

static void write_notes(nnm_text *text, const char *const *notes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    nnm_text_add(text, "note: ");
    write_name(text, notes[i]);
    nnm_text_add(text, "\n");
  }
}

/* ------------------------------------------------------------------------------------------------ graph */

static void write_declared_dims(nnm_text *text, const nnm_tensor *tensor) {
  if (tensor->rank < 0) {
    nnm_text_add(text, "null");
    return;
  }
  nnm_text_add(text, "[");
  for (int32_t i = 0; i < tensor->rank; i++) {
    const char *symbol = tensor->symbols ? tensor->symbols[i] : NULL;
    if (i) nnm_text_add(text, ", ");
    if (tensor->dims[i] >= 0) nnm_text_printf(text, "%lld", (long long)tensor->dims[i]);
    else if (symbol) nnm_write_json_text(text, symbol);
    else nnm_text_add(text, "null");
  }
  nnm_text_add(text, "]");
}

static void write_constant(nnm_text *text, const nnm_constant *constant) {
  nnm_text_add(text, "{\"dtype\": ");
  nnm_write_json_text(text, nnm_dtype_name(constant->dtype));
  nnm_write_json_key(text, "dims");
  nnm_write_json_integers(text, constant->dims, constant->rank > 0 ? (size_t)constant->rank : 0);
  nnm_text_add(text, "}");
}

static void write_attribute_value(nnm_text *text, const nnm_attribute *attribute) {
  switch (attribute->kind) {
  case NNM_ATTRIBUTE_INT: nnm_text_printf(text, "%lld", (long long)attribute->as.integer); break;
  case NNM_ATTRIBUTE_FLOAT: nnm_write_json_number(text, attribute->as.number); break;
  case NNM_ATTRIBUTE_TEXT: nnm_write_json_text(text, attribute->as.text); break;
  case NNM_ATTRIBUTE_INTS: nnm_write_json_integers(text, attribute->as.integers, attribute->count); break;
  case NNM_ATTRIBUTE_FLOATS:
    nnm_text_add(text, "[");
    for (size_t i = 0; i < attribute->count; i++) {
      if (i) nnm_text_add(text, ", ");
      nnm_write_json_number(text, attribute->as.numbers[i]);
    }
    nnm_text_add(text, "]");
    break;
  case NNM_ATTRIBUTE_TEXTS: nnm_write_json_texts(text, attribute->as.texts, attribute->count); break;
  case NNM_ATTRIBUTE_TENSOR: write_constant(text, attribute->as.tensor); break;
  case NNM_ATTRIBUTE_BLOCK: nnm_text_printf(text, "{\"block\": %d}", (int)attribute->as.block); break;
  }
}

static void write_attributes(nnm_text *text, const nnm_node *node) {
  nnm_text_add(text, "{");
  for (uint32_t i = 0; i < node->attribute_count; i++) {
    if (i) nnm_text_add(text, ", ");
    nnm_write_json_text(text, node->attributes[i].name);
    nnm_text_add(text, ": ");
    write_attribute_value(text, &node->attributes[i]);
  }
  nnm_text_add(text, "}");
}

/* "" for an optional input that is left out, as ONNX writes it. */
static const char *tensor_name(const nnm_graph *graph, nnm_tensor_id id) {
  return id < 0 ? "" : graph->tensors[id].name;
}

static void write_tensor_names(nnm_text *text, const nnm_graph *graph, const nnm_tensor_id *ids, uint32_t count) {
  nnm_text_add(text, "[");
  for (uint32_t i = 0; i < count; i++) {
    if (i) nnm_text_add(text, ", ");
    nnm_write_json_text(text, tensor_name(graph, ids[i]));
  }
  nnm_text_add(text, "]");
}

static void write_node_json(nnm_text *text, const nnm_graph *graph, const nnm_node *node) {
  nnm_text_add(text, "{\"name\": ");
  nnm_write_json_text(text, node->name);
  nnm_write_json_key(text, "type");
  nnm_write_json_text(text, node->type);
  nnm_write_json_key(text, "domain");
  nnm_write_json_text(text, node->domain);
  nnm_write_json_key(text, "inputs");
  write_tensor_names(text, graph, node->inputs, node->input_count);
  nnm_write_json_key(text, "outputs");
  write_tensor_names(text, graph, node->outputs, node->output_count);
  nnm_write_json_key(text, "attributes");
  write_attributes(text, node);
  nnm_text_add(text, "}");
}

static void write_block_json(nnm_text *text, const nnm_graph *graph, const nnm_block *block) {
  nnm_text_add(text, "{\"name\": ");
  nnm_write_json_text(text, block->name ? block->name : "");
  nnm_write_json_key(text, "owner");
  if (block->owner >= 0) nnm_text_printf(text, "%d", (int)block->owner);
  else nnm_text_add(text, "null");
  nnm_write_json_key(text, "inputs");
  write_tensor_names(text, graph, block->inputs, block->input_count);
  nnm_write_json_key(text, "outputs");
  write_tensor_names(text, graph, block->outputs, block->output_count);
  nnm_write_json_key(text, "nodes");
  nnm_text_add(text, "[");
  for (uint32_t i = 0; i < block->node_count; i++) {
    if (i) nnm_text_add(text, ", ");
    write_node_json(text, graph, &graph->nodes[block->nodes[i]]);
  }
  nnm_text_add(text, "]}");
}

/* What the file itself says of tensors: inputs, weights, and declared shapes in between. */
static void write_declared_json(nnm_text *text, const nnm_graph *graph) {
  static const struct {
    uint32_t flag;
    const char *name;
  } roles[] = {{NNM_TENSOR_INPUT, "input"},
               {NNM_TENSOR_WEIGHT, "weight"},
               {NNM_TENSOR_OUTPUT, "output"},
               {NNM_TENSOR_BLOCK_INPUT, "block input"}};
  nnm_text_add(text, "[");
  for (int32_t i = 0; i < graph->tensor_count; i++) {
    const nnm_tensor *tensor = &graph->tensors[i];
    const char *role = "intermediate";
    for (size_t r = sizeof roles / sizeof *roles; r-- > 0;)
      if (tensor->flags & roles[r].flag) role = roles[r].name;
    nnm_text_add(text, i ? ", {\"name\": " : "{\"name\": ");
    nnm_write_json_text(text, tensor->name);
    nnm_write_json_key(text, "role");
    nnm_write_json_text(text, role);
    nnm_write_json_key(text, "dtype");
    nnm_write_json_text(text, nnm_dtype_name(tensor->dtype));
    nnm_write_json_key(text, "dims");
    write_declared_dims(text, tensor);
    nnm_text_add(text, "}");
  }
  nnm_text_add(text, "]");
}

static void write_graph_json(nnm_text *text, const nnm_graph *graph) {
  nnm_text_add(text, "{\"format\": ");
  nnm_write_json_text(text, graph->format);
  nnm_write_json_key(text, "producer");
  nnm_write_json_text(text, graph->producer);
  nnm_write_json_key(text, "opset");
  nnm_text_printf(text, "%d", (int)graph->opset);
  nnm_write_json_key(text, "tensors");
  write_declared_json(text, graph);
  nnm_write_json_key(text, "blocks");
  nnm_text_add(text, "[");
  for (int32_t i = 0; i < graph->block_count; i++) {
    if (i) nnm_text_add(text, ", ");
    write_block_json(text, graph, &graph->blocks[i]);
  }
  nnm_text_add(text, "]");
  nnm_write_json_key(text, "notes");
  nnm_write_json_texts(text, graph->notes, graph->note_count);
  nnm_text_add(text, "}\n");
}

static void write_node_line(nnm_text *text, const nnm_graph *graph, nnm_node_id id) {
  const nnm_node *node = &graph->nodes[id];
  nnm_text_printf(text, "%6d  ", (int)id);
  if (node->domain[0]) write_name(text, node->domain), nnm_text_add(text, ".");
  write_name(text, node->type);
  if (node->name[0]) nnm_text_add(text, "  "), write_name(text, node->name);
  nnm_text_add(text, "  (");
  for (uint32_t i = 0; i < node->input_count; i++) {
    if (i) nnm_text_add(text, ", ");
    write_name(text, tensor_name(graph, node->inputs[i]));
  }
  nnm_text_add(text, ") -> ");
  for (uint32_t i = 0; i < node->output_count; i++) {
    if (i) nnm_text_add(text, ", ");
    write_name(text, tensor_name(graph, node->outputs[i]));
  }
  if (node->attribute_count) nnm_text_add(text, "  "), write_attributes(text, node);
  nnm_text_add(text, "\n");
}

static void write_graph_text(nnm_text *text, const nnm_graph *graph) {
  int32_t weights = 0;
  for (int32_t i = 0; i < graph->tensor_count; i++) weights += (graph->tensors[i].flags & NNM_TENSOR_WEIGHT) != 0;
  nnm_text_printf(text, "format %s, opset %d, producer ", graph->format, (int)graph->opset);
  write_name(text, graph->producer[0] ? graph->producer : "unknown");
  nnm_text_printf(text, "\n%d nodes, %d weights, %d bodies\n", (int)graph->node_count, (int)weights,
                  (int)graph->block_count - 1);
  for (int32_t i = 0; i < graph->tensor_count; i++) {
    const nnm_tensor *tensor = &graph->tensors[i];
    if (!(tensor->flags & (NNM_TENSOR_INPUT | NNM_TENSOR_OUTPUT))) continue;
    nnm_text_add(text, tensor->flags & NNM_TENSOR_INPUT ? "input  " : "output ");
    write_name(text, tensor->name);
    nnm_text_printf(text, "  %s ", nnm_dtype_name(tensor->dtype));
    write_declared_dims(text, tensor);
    nnm_text_add(text, "\n");
  }
  for (int32_t b = 0; b < graph->block_count; b++) {
    const nnm_block *block = &graph->blocks[b];
    if (b) {
      nnm_text_printf(text, "block %d: ", (int)b);
      write_name(text, block->name ? block->name : "");
      nnm_text_printf(text, " of node %d\n", (int)block->owner);
    }
    for (uint32_t i = 0; i < block->node_count; i++) write_node_line(text, graph, block->nodes[i]);
  }
  write_notes(text, graph->notes, graph->note_count);
}

/* ------------------------------------------------------------------------------------------------ shapes */

/* Tensors of two bodies may share a name; a JSON object may not have a key twice. */
static nnm_status write_unique_key(nnm_text *text, nnm_strings *names, const nnm_tensor *tensor, nnm_error *error) {
  int32_t *taken = nnm_strings_value(names, tensor->name, strlen(tensor->name));
  if (!taken) return nnm_fail_memory(error);
  if (*taken < 0) {
    *taken = 1;
    nnm_write_json_text(text, tensor->name);
    return NNM_OK;
  }
  const char *longer = nnm_arena_printf(names->arena, "%s (block %d)", tensor->name, (int)tensor->block);
  if (!longer) return nnm_fail_memory(error);
  nnm_write_json_text(text, longer);
  return NNM_OK;
}

static nnm_status write_shapes_json(nnm_text *text, const nnm_graph *graph, const nnm_shapes *shapes,
                                    nnm_error *error) {
  nnm_arena arena = {0};
  nnm_strings names = {.arena = &arena};
  nnm_status status = NNM_OK;
  nnm_text_add(text, "{\"tensors\": {");
  for (int32_t i = 0; i < graph->tensor_count && status == NNM_OK; i++) {
    nnm_shape shape = shapes->tensors[i];
    if (i) nnm_text_add(text, ", ");
    status = write_unique_key(text, &names, &graph->tensors[i], error);
    nnm_text_add(text, ": ");
    if (shape.rank < 0) nnm_text_add(text, "null");
    else nnm_write_json_integers(text, shape.dims, (size_t)shape.rank);
  }
  nnm_text_add(text, "}");
  nnm_write_json_key(text, "notes");
  nnm_write_json_texts(text, shapes->notes, shapes->note_count);
  nnm_text_add(text, "}\n");
  nnm_strings_free(&names);
  nnm_arena_free(&arena);
  return status;
}

static void write_shapes_text(nnm_text *text, const nnm_graph *graph, const nnm_shapes *shapes) {
  enum { SHAPE_COLUMNS = 24, TYPE_COLUMNS = 10 };
  for (int32_t i = 0; i < graph->tensor_count; i++) {
    nnm_shape shape = shapes->tensors[i];
    size_t start = text->length;
    if (shape.rank == 0) nnm_text_add(text, "scalar");
    if (shape.rank < 0) nnm_text_add(text, "unknown");
    for (int32_t d = 0; d < shape.rank; d++) nnm_text_printf(text, "%s%lld", d ? "x" : "", (long long)shape.dims[d]);
    size_t width = text->length - start;
    nnm_text_printf(text, "%*s  %-*s  ", (int)(width < SHAPE_COLUMNS ? SHAPE_COLUMNS - width : 0), "", TYPE_COLUMNS,
                    nnm_dtype_name(shapes->dtypes[i]));
    write_name(text, graph->tensors[i].name);
    nnm_text_add(text, graph->tensors[i].flags & NNM_TENSOR_WEIGHT ? "  (weight)\n" : "\n");
  }
  write_notes(text, shapes->notes, shapes->note_count);
}

/* ------------------------------------------------------------------------------------------------ all of them */

static nnm_status print_detected(const nnm_model *model, nnm_stage stage, const nnm_predictor *predictor,
                                 const nnm_predict_options *options, bool as_json, nnm_text *text, nnm_error *error) {
  nnm_detection detection;
  NNM_TRY(nnm_detect_model_kernels(model, predictor, options, &detection, error));
  nnm_status status = stage == NNM_STAGE_KERNELS ? nnm_print_kernels(&detection, as_json, text, error)
                                                 : nnm_print_features(&detection, as_json, text, error);
  nnm_detection_free(&detection);
  return status;
}

static nnm_status print_shapes(const nnm_model *model, bool as_json, nnm_text *text, nnm_error *error) {
  if (!model->shapes)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "shapes are not inferred yet; call nnm_model_infer_shapes first");
  if (as_json) return write_shapes_json(text, model->graph, model->shapes, error);
  write_shapes_text(text, model->graph, model->shapes);
  return NNM_OK;
}

nnm_status nnm_inspect(const nnm_model *model, nnm_stage stage, const nnm_predictor *predictor,
                       const nnm_predict_options *options, bool as_json, char **out, nnm_error *error) {
  nnm_text text = {0};
  nnm_status status = NNM_OK;
  if (stage == NNM_STAGE_SHAPES) status = print_shapes(model, as_json, &text, error);
  else if (stage != NNM_STAGE_GRAPH) status = print_detected(model, stage, predictor, options, as_json, &text, error);
  else if (as_json) write_graph_json(&text, model->graph);
  else write_graph_text(&text, model->graph);
  if (status == NNM_OK) status = nnm_finish_text(&text, out, error);
  else nnm_text_free(&text);
  return nnm_fail_in_file(error, status, model->path);
}
