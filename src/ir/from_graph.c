/* nn-Meter IR from a graph, as nn-Meter 2.0's ONNX converter makes it: nodes in file order, shapes of what flows (weights
 * left out), maps of rank 4 with channels last. Where that converter leaves a node without a type, or two with one name,
 * and its own detector then fails: what computes on weights only and identities are left out, and names are made unique. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ir/ir.h"
#include "ops/ops.h"

typedef struct conversion {
  const nnm_graph *graph;
  const nnm_shapes *shapes;
  nnm_ir *ir;
  nnm_error *error;
  nnm_tensor_id *source; /* per tensor: the tensor it is a plain copy of, else itself */
  const char **names;    /* per node of the main graph: unique; NULL when nobody wants them */
  int32_t *index;        /* per node: in the IR, or -1 */
  uint8_t *is_kept;      /* per node: it is in the IR, or a slice that the first slice of its tensor stands for */
  nnm_node_id *slice_of; /* per tensor: the first slice of it, or -1 */
  bool has_slices;
  uint32_t *reader_start; /* per tensor: nodes that read it, in file order, one that reads twice listed twice; NULL when
                           * that matters to nothing in the IR */
  nnm_node_id *readers;
} conversion;

static bool is_slice(const nnm_node *node) { return node->op == NNM_OP_SLICE; }

static nnm_tensor_id source_of(const conversion *c, nnm_tensor_id tensor) {
  return tensor < 0 ? -1 : c->source[tensor];
}

/* Whether the old tool knows the tensor: model inputs (weights listed among them as well) and what nodes make. */
static bool is_known(const conversion *c, nnm_tensor_id id) {
  if (id < 0 || c->shapes->tensors[id].rank < 0) return false;
  const nnm_tensor *tensor = &c->graph->tensors[id];
  if (tensor->flags & NNM_TENSOR_WEIGHT) return tensor->flags & NNM_TENSOR_LISTED;
  return (tensor->flags & NNM_TENSOR_INPUT) || !c->shapes->constant[id];
}

static nnm_node_id producer_of(const conversion *c, nnm_tensor_id tensor) {
  nnm_node_id producer = tensor < 0 ? -1 : c->graph->tensors[tensor].producer;
  return producer >= 0 && c->is_kept[producer] ? producer : -1;
}

/* ------------------------------------------------------------ what is kept */

/* An identity behind another node is what the old detector fails on; one at a model input does no harm. */
static bool is_bypassed(const conversion *c, const nnm_node *node) {
  return node->op == NNM_OP_IDENTITY && node->input_count == 1 && node->output_count == 1 && node->inputs[0] >= 0 &&
         node->outputs[0] >= 0 && c->graph->tensors[source_of(c, node->inputs[0])].producer >= 0;
}

static nnm_status choose_nodes(conversion *c) {
  const nnm_graph *graph = c->graph;
  nnm_arena *arena = &c->ir->arena;
  c->source = NNM_ARENA_ARRAY(arena, nnm_tensor_id, (size_t)graph->tensor_count);
  c->slice_of = NNM_ARENA_ARRAY(arena, nnm_node_id, (size_t)graph->tensor_count);
  c->is_kept = NNM_ARENA_ARRAY(arena, uint8_t, (size_t)graph->node_count);
  c->index = NNM_ARENA_ARRAY(arena, int32_t, (size_t)graph->node_count);
  if (!c->source || !c->slice_of || !c->is_kept || !c->index) return nnm_fail_memory(c->error);
  for (nnm_tensor_id i = 0; i < graph->tensor_count; i++) c->source[i] = i, c->slice_of[i] = -1;
  const nnm_block *main = &graph->blocks[0];
  for (uint32_t i = 0; i < main->node_count; i++) { /* in topological order, so that sources are final */
    const nnm_node *node = &graph->nodes[main->nodes[i]];
    bool has_output = false;
    for (uint32_t k = 0; k < node->output_count; k++) has_output |= node->outputs[k] >= 0;
    if (!c->shapes->executed[main->nodes[i]] || !has_output) continue;
    if (is_bypassed(c, node)) c->source[node->outputs[0]] = source_of(c, node->inputs[0]);
    else c->is_kept[main->nodes[i]] = 1;
  }
  for (nnm_node_id i = 0; i < graph->node_count; i++) {
    c->index[i] = -1;
    if (!c->is_kept[i]) continue;
    const nnm_node *node = &graph->nodes[i];
    nnm_tensor_id sliced = is_slice(node) && node->input_count ? source_of(c, node->inputs[0]) : -1;
    c->has_slices |= is_slice(node);
    if (sliced >= 0 && c->slice_of[sliced] >= 0) continue;
    if (sliced >= 0) c->slice_of[sliced] = i;
    c->index[i] = (int32_t)c->ir->node_count++;
  }
  return NNM_OK;
}

/* --------------------------------------------------------------- names */

static nnm_status make_name(conversion *c, nnm_node_id id, const char **out) {
  const nnm_node *node = &c->graph->nodes[id];
  nnm_text text = {0};
  nnm_status status = NNM_OK;
  for (int attempt = 0; status == NNM_OK && !*out; attempt++) {
    text.length = 0;
    nnm_text_printf(&text, "%s_%d", node->name[0] ? node->name : node->type, (int)id);
    for (int i = 0; i < attempt; i++) nnm_text_add(&text, "_");
    int32_t *owner = text.failed ? NULL : nnm_strings_value(&c->ir->strings, text.data, text.length);
    if (!owner) status = nnm_fail_memory(c->error);
    else if (*owner < 0) {
      *owner = id;
      *out = nnm_intern(&c->ir->strings, text.data, text.length);
    }
  }
  nnm_text_free(&text);
  return status;
}

/* The first node of a name keeps it; others get their number behind it. */
static nnm_status make_names(conversion *c) {
  c->names = NNM_ARENA_ARRAY(&c->ir->arena, const char *, (size_t)c->graph->node_count);
  if (!c->names) return nnm_fail_memory(c->error);
  for (nnm_node_id i = 0; i < c->graph->node_count; i++) {
    const char *name = c->graph->nodes[i].name;
    if (!c->is_kept[i] || !name[0]) continue;
    const char *interned = nnm_intern(&c->ir->strings, name, strlen(name));
    if (!interned) return nnm_fail_memory(c->error);
    if (*nnm_interned_value(interned) >= 0) continue;
    *nnm_interned_value(interned) = i;
    c->names[i] = interned;
  }
  for (nnm_node_id i = 0; i < c->graph->node_count; i++)
    if (c->is_kept[i] && !c->names[i]) NNM_TRY(make_name(c, i, &c->names[i]));
  return NNM_OK;
}

/* ------------------------------------------------------------- connections */

/* What the bodies of a node read from the main graph connects it, too. */
static nnm_node_id main_reader(const nnm_graph *graph, nnm_node_id id) {
  while (id >= 0 && graph->nodes[id].block) id = graph->blocks[graph->nodes[id].block].owner;
  return id;
}

static nnm_status index_readers(conversion *c) {
  const nnm_graph *graph = c->graph;
  size_t tensors = (size_t)graph->tensor_count, total = 0;
  c->reader_start = NNM_ARENA_ARRAY(&c->ir->arena, uint32_t, tensors + 2);
  if (!c->reader_start) return nnm_fail_memory(c->error);
  for (int pass = 0; pass < 2; pass++) {
    for (nnm_node_id i = 0; i < graph->node_count; i++) {
      const nnm_node *node = &graph->nodes[i];
      nnm_node_id reader = main_reader(graph, i);
      if (reader < 0 || !c->is_kept[reader]) continue;
      for (uint32_t k = 0; k < node->input_count; k++) {
        nnm_tensor_id tensor = source_of(c, node->inputs[k]);
        if (tensor < 0 || graph->tensors[tensor].block) continue;
        if (pass) c->readers[c->reader_start[tensor + 1]++] = reader;
        else c->reader_start[tensor + 2]++, total++;
      }
    }
    if (pass) break;
    for (size_t i = 2; i < tensors + 2; i++) c->reader_start[i] += c->reader_start[i - 1];
    c->readers = NNM_ARENA_ARRAY(&c->ir->arena, nnm_node_id, total);
    if (!c->readers) return nnm_fail_memory(c->error);
  }
  return NNM_OK;
}

/* The other slices of a slice's tensor, which it stands for: they show among its outputs. */
static bool is_sibling(const conversion *c, nnm_node_id slice, nnm_node_id other) {
  return other != slice && is_slice(&c->graph->nodes[other]);
}

typedef struct name_list {
  const char **items;
  size_t count;
} name_list;

static void add_name(name_list *list, const char *name) {
  if (list->items) list->items[list->count] = name;
  list->count++;
}

static void list_sibling_outputs(const conversion *c, nnm_node_id id, name_list *list) {
  nnm_tensor_id sliced = source_of(c, c->graph->nodes[id].inputs[0]);
  for (uint32_t r = c->reader_start[sliced]; r < c->reader_start[sliced + 1]; r++) {
    const nnm_node *other = &c->graph->nodes[c->readers[r]];
    if (!is_sibling(c, id, c->readers[r])) continue;
    for (uint32_t k = 0; k < other->output_count; k++)
      if (is_known(c, other->outputs[k])) add_name(list, c->graph->tensors[other->outputs[k]].name);
  }
}

static void list_outbounds(const conversion *c, nnm_node_id id, name_list *list) {
  const nnm_node *node = &c->graph->nodes[id];
  for (uint32_t k = 0; k < node->output_count; k++) {
    nnm_tensor_id tensor = node->outputs[k];
    if (tensor < 0) continue;
    for (uint32_t r = c->reader_start[tensor]; r < c->reader_start[tensor + 1]; r++)
      add_name(list, c->names[c->readers[r]]);
    if (is_slice(node) && node->input_count && node->inputs[0] >= 0) list_sibling_outputs(c, id, list);
  }
}

static nnm_status make_outbounds(conversion *c, nnm_node_id id, nnm_ir_node *out) {
  name_list list = {NULL, 0};
  list_outbounds(c, id, &list);
  list.items = NNM_ARENA_ARRAY(&c->ir->arena, const char *, list.count);
  if (!list.items) return nnm_fail_memory(c->error);
  list.count = 0;
  list_outbounds(c, id, &list);
  out->outbound_names = list.items;
  out->outbound_count = list.count;
  return NNM_OK;
}

/* As IR nodes number what they read: a node that is left out by a number of its own. */
static int32_t number_of(const conversion *c, nnm_node_id id) { return c->index[id] >= 0 ? c->index[id] : -2 - id; }
static nnm_node_id node_of(const nnm_ir *ir, int32_t number) {
  return number >= 0 ? ir->nodes[number].graph_nodes[0] : -2 - number;
}

static nnm_status make_inbounds(conversion *c, const nnm_node *node, nnm_ir_node *out) {
  int32_t *inbounds = NNM_ARENA_ARRAY(&c->ir->arena, int32_t, node->input_count);
  if (!inbounds) return nnm_fail_memory(c->error);
  for (uint32_t k = 0; k < node->input_count; k++) {
    nnm_node_id producer = producer_of(c, source_of(c, node->inputs[k]));
    if (producer >= 0) inbounds[out->inbound_count++] = number_of(c, producer);
  }
  out->inbounds = inbounds;
  return NNM_OK;
}

/* Bodies read from the main graph without naming it among the inputs of their owner. */
static nnm_status add_captured(conversion *c) {
  for (nnm_tensor_id t = 0; t < c->graph->tensor_count; t++) {
    nnm_node_id producer = producer_of(c, t);
    if (producer < 0) continue;
    for (uint32_t r = c->reader_start[t]; r < c->reader_start[t + 1]; r++) {
      nnm_ir_node *reader = c->index[c->readers[r]] < 0 ? NULL : &c->ir->nodes[c->index[c->readers[r]]];
      if (!reader || nnm_op_work((nnm_op)c->graph->nodes[c->readers[r]].op) != NNM_WORK_CONTROL) continue;
      bool listed = false;
      for (size_t k = 0; k < reader->inbound_count && !listed; k++)
        listed = reader->inbounds[k] == number_of(c, producer);
      if (listed || reader->inbound_count >= 64) continue; /* connected is all it has to be */
      int32_t *inbounds = NNM_ARENA_ARRAY(&c->ir->arena, int32_t, reader->inbound_count + 1);
      if (!inbounds) return nnm_fail_memory(c->error);
      memcpy(inbounds, reader->inbounds, reader->inbound_count * sizeof *inbounds);
      inbounds[reader->inbound_count++] = number_of(c, producer);
      reader->inbounds = inbounds;
    }
  }
  return NNM_OK;
}

static nnm_status name_inbounds(conversion *c) {
  for (size_t i = 0; i < c->ir->node_count; i++) {
    nnm_ir_node *node = &c->ir->nodes[i];
    const char **names = NNM_ARENA_ARRAY(&c->ir->arena, const char *, node->inbound_count);
    if (!names) return nnm_fail_memory(c->error);
    for (size_t k = 0; k < node->inbound_count; k++) names[k] = c->names[node_of(c->ir, node->inbounds[k])];
    node->inbound_names = names;
  }
  return NNM_OK;
}

/* ---------------------------------------------------------------- shapes */

/* The old converter took every map of an ONNX file for channels first. */
static bool has_channels_first(const conversion *c, const nnm_node *node) {
  return node->layout == NNM_CHANNELS_FIRST || !strcmp(c->graph->format, "onnx");
}

static nnm_status convert_shape(conversion *c, nnm_tensor_id id, bool channels_first, nnm_shape *out) {
  *out = c->shapes->tensors[id];
  if (out->rank != 4 || !channels_first) return NNM_OK;
  int64_t *dims = nnm_arena_copy(&c->ir->arena, out->dims, 4, sizeof *dims);
  if (!dims) return nnm_fail_memory(c->error);
  dims[1] = out->dims[2];
  dims[2] = out->dims[3];
  dims[3] = out->dims[1];
  out->dims = dims;
  return NNM_OK;
}

static nnm_status make_input_shapes(conversion *c, const nnm_node *node, nnm_ir_node *out) {
  nnm_shape *shapes = NNM_ARENA_ARRAY(&c->ir->arena, nnm_shape, node->input_count);
  if (!shapes) return nnm_fail_memory(c->error);
  for (uint32_t k = 0; k < node->input_count; k++) {
    nnm_tensor_id tensor = source_of(c, node->inputs[k]);
    if (!is_known(c, tensor)) continue;
    NNM_TRY(convert_shape(c, tensor, has_channels_first(c, node), &shapes[out->input_shape_count++]));
  }
  out->input_shapes = shapes;
  out->has_input_shapes = true;
  return NNM_OK;
}

static nnm_status add_output_shapes(conversion *c, const nnm_node *node, nnm_shape *shapes, size_t *count) {
  for (uint32_t k = 0; k < node->output_count; k++)
    if (is_known(c, node->outputs[k]))
      NNM_TRY(convert_shape(c, node->outputs[k], has_channels_first(c, node), &shapes[(*count)++]));
  return NNM_OK;
}

static nnm_status make_output_shapes(conversion *c, nnm_node_id id, nnm_ir_node *out) {
  const nnm_node *node = &c->graph->nodes[id];
  size_t room = node->output_count, members = 1;
  bool joined = is_slice(node) && node->input_count && node->inputs[0] >= 0;
  nnm_tensor_id sliced = joined ? source_of(c, node->inputs[0]) : 0;
  uint32_t first = joined ? c->reader_start[sliced] : 0, last = joined ? c->reader_start[sliced + 1] : 0;
  for (uint32_t r = first; r < last; r++)
    if (is_sibling(c, id, c->readers[r])) room += c->graph->nodes[c->readers[r]].output_count, members++;
  nnm_shape *shapes = NNM_ARENA_ARRAY(&c->ir->arena, nnm_shape, room);
  nnm_node_id *graph_nodes = NNM_ARENA_ARRAY(&c->ir->arena, nnm_node_id, members);
  if (!shapes || !graph_nodes) return nnm_fail_memory(c->error);
  NNM_TRY(add_output_shapes(c, node, shapes, &out->output_shape_count));
  graph_nodes[out->graph_node_count++] = id;
  for (uint32_t r = first; r < last; r++) {
    if (!is_sibling(c, id, c->readers[r])) continue;
    NNM_TRY(add_output_shapes(c, &c->graph->nodes[c->readers[r]], shapes, &out->output_shape_count));
    graph_nodes[out->graph_node_count++] = c->readers[r];
  }
  out->output_shapes = shapes;
  out->has_output_shapes = true;
  out->graph_nodes = graph_nodes;
  return NNM_OK;
}

/* ------------------------------------------------------------------ nodes */

/* TFLite's operators go by the names that the old tool knows: a channels-last network is TensorFlow's to it. */
static const char *type_of(const conversion *c, const nnm_node *node) {
  if (strcmp(c->graph->format, "tflite") != 0 || node->op == NNM_OP_UNKNOWN) return node->type;
  if (node->op == NNM_OP_CONV) return nnm_attribute_int(node, "depthwise", 0) ? "DepthwiseConv2dNative" : "Conv2D";
  const char *name = nnm_op_name((nnm_op)node->op);
  return strncmp(name, "tf.", 3) ? name : name + 3; /* our mark of names that ONNX uses otherwise */
}

static nnm_status make_node(conversion *c, nnm_node_id id, nnm_ir_node *out) {
  const nnm_node *node = &c->graph->nodes[id];
  out->type = type_of(c, node);
  out->source = node;
  NNM_TRY(make_input_shapes(c, node, out));
  NNM_TRY(make_output_shapes(c, id, out));
  NNM_TRY(make_inbounds(c, node, out));
  if (!c->names) return NNM_OK;
  out->name = c->names[id];
  return make_outbounds(c, id, out);
}

static nnm_status convert(conversion *c, nnm_ir_names names) {
  NNM_TRY(choose_nodes(c));
  if (names == NNM_IR_NAMED) NNM_TRY(make_names(c));
  if (c->names || c->has_slices || c->graph->block_count > 1) NNM_TRY(index_readers(c));
  c->ir->nodes = NNM_ARENA_ARRAY(&c->ir->arena, nnm_ir_node, c->ir->node_count);
  if (!c->ir->nodes) return nnm_fail_memory(c->error);
  for (nnm_node_id i = 0; i < c->graph->node_count; i++)
    if (c->index[i] >= 0) NNM_TRY(make_node(c, i, &c->ir->nodes[c->index[i]]));
  if (c->graph->block_count > 1) NNM_TRY(add_captured(c));
  return c->names ? name_inbounds(c) : NNM_OK;
}

nnm_status nnm_ir_from_graph(const nnm_graph *graph, const nnm_shapes *shapes, nnm_ir_names names, nnm_ir **out,
                             nnm_error *error) {
  if (!strcmp(graph->format, "tensorflow")) return nnm_ir_from_frozen(graph, shapes, out, error);
  nnm_ir *ir = calloc(1, sizeof *ir);
  if (!ir) return nnm_fail_memory(error);
  ir->strings.arena = &ir->arena;
  conversion c = {.graph = graph, .shapes = shapes, .ir = ir, .error = error};
  nnm_status status = convert(&c, names);
  if (status == NNM_OK) *out = ir;
  else nnm_ir_free(ir);
  return status;
}
