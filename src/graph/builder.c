#include "graph/builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "graph/order.h"

/* Bytes for the names, ports and attributes of a usual model: one piece. Glibc takes a piece this large from the system
 * and, having seen it freed, keeps twice as much for later; else each of several models in a row would begin with giving
 * back what the one before used, and then page faults. */
enum { USUAL_GRAPH = 512 << 10 };

/* A name that became visible in a block, and what it meant before, to be restored when the block ends. */
typedef struct scope_change {
  const char *name;
  nnm_tensor_id before, tensor;
} scope_change;

typedef struct block_port {
  nnm_block_id block;
  nnm_tensor_id tensor;
  bool is_output;
} block_port;

struct nnm_graph_builder {
  nnm_graph *graph;
  size_t tensor_capacity, node_capacity, block_capacity;
  nnm_block_id current;
  int depth;
  scope_change *changes;
  size_t change_count, change_capacity;
  size_t scope_start[NNM_LIMIT_BLOCK_DEPTH + 1]; /* first change of each open block */
  block_port *ports;
  size_t port_count, port_capacity;
  const char **notes; /* room for NNM_LIMIT_NOTES and one that counts the others; NULL while there is none */
  size_t notes_left_out;
};

/* Makes room for one more item; *items is realloc'ed. */
static bool grow(void **items, size_t count, size_t *capacity, size_t size) {
  if (count < *capacity) return true;
  size_t wanted = *capacity ? *capacity * 2 : 64, bytes;
  if (!nnm_multiply_size(wanted, size, &bytes)) return false;
  void *grown = realloc(*items, bytes);
  if (!grown) return false;
  *items = grown;
  *capacity = wanted;
  return true;
}
#define GROW(items, count, capacity) grow((void **)&(items), (count), &(capacity), sizeof *(items))

static nnm_status add_block(nnm_graph_builder *builder, nnm_block_id parent, const char *name, nnm_block_id *out,
                            nnm_error *error) {
  nnm_graph *graph = builder->graph;
  if (graph->block_count >= NNM_LIMIT_NODES)
    return nnm_fail(error, NNM_ERROR_LIMIT, name,
                    "more than %d bodies of If, Loop and Scan; simplify the model before exporting", NNM_LIMIT_NODES);
  if (!GROW(graph->blocks, (size_t)graph->block_count, builder->block_capacity)) return nnm_fail_memory(error);
  *out = graph->block_count++;
  graph->blocks[*out] = (nnm_block){.parent = parent, .owner = -1, .name = name};
  return NNM_OK;
}

nnm_status nnm_graph_builder_create(const char *format, nnm_graph_builder **out, nnm_error *error) {
  nnm_graph_builder *builder = calloc(1, sizeof *builder);
  if (!builder) return nnm_fail_memory(error);
  nnm_graph *graph = calloc(1, sizeof *graph);
  if (!graph) {
    free(builder);
    return nnm_fail_memory(error);
  }
  builder->graph = graph;
  graph->strings.arena = &graph->arena;
  graph->format = format;
  graph->producer = "";
  if (!nnm_arena_reserve(&graph->arena, USUAL_GRAPH)) {
    nnm_graph_builder_free(builder);
    return nnm_fail_memory(error);
  }
  nnm_block_id main_block;
  nnm_status status = add_block(builder, -1, "", &main_block, error);
  if (status != NNM_OK) {
    nnm_graph_builder_free(builder);
    return status;
  }
  *out = builder;
  return NNM_OK;
}

void nnm_graph_builder_free(nnm_graph_builder *builder) {
  if (!builder) return;
  nnm_graph_free(builder->graph);
  free(builder->changes);
  free(builder->ports);
  free(builder);
}

nnm_arena *nnm_graph_builder_arena(nnm_graph_builder *builder) { return &builder->graph->arena; }

const char *nnm_graph_builder_intern(nnm_graph_builder *builder, const char *text, size_t length) {
  return nnm_intern(&builder->graph->strings, text, length);
}

void nnm_graph_builder_set_opset(nnm_graph_builder *builder, int32_t opset) { builder->graph->opset = opset; }

nnm_status nnm_graph_builder_set_producer(nnm_graph_builder *builder, const char *name, nnm_error *error) {
  const char *producer = nnm_graph_builder_intern(builder, name, strlen(name));
  if (!producer) return nnm_fail_memory(error);
  builder->graph->producer = producer;
  return NNM_OK;
}

nnm_status nnm_graph_builder_begin_block(nnm_graph_builder *builder, const char *name, nnm_block_id *out,
                                         nnm_error *error) {
  if (builder->depth >= NNM_LIMIT_BLOCK_DEPTH)
    return nnm_fail(error, NNM_ERROR_LIMIT, name,
                    "If, Loop and Scan bodies are nested more than %d deep; simplify the model before exporting",
                    NNM_LIMIT_BLOCK_DEPTH);
  NNM_TRY(add_block(builder, builder->current, name, out, error));
  builder->scope_start[++builder->depth] = builder->change_count;
  builder->current = *out;
  return NNM_OK;
}

/* What id an interned name stands for in the current scope; -1: nothing. */
static int32_t *visible(const char *name) { return nnm_interned_value(name); }

static bool record_change(nnm_graph_builder *builder, const char *name, nnm_tensor_id before, nnm_tensor_id tensor) {
  if (!GROW(builder->changes, builder->change_count, builder->change_capacity)) return false;
  builder->changes[builder->change_count++] = (scope_change){name, before, tensor};
  return true;
}

static bool is_defined(const nnm_tensor *tensor) {
  return tensor->producer >= 0 || (tensor->flags & (NNM_TENSOR_INPUT | NNM_TENSOR_WEIGHT | NNM_TENSOR_BLOCK_INPUT));
}

nnm_status nnm_graph_builder_end_block(nnm_graph_builder *builder, nnm_error *error) {
  if (!builder->depth) return nnm_fail(error, NNM_ERROR_GRAPH, NULL, "a body ends that never began");
  nnm_graph *graph = builder->graph;
  size_t first = builder->scope_start[builder->depth], count = builder->change_count;
  for (size_t i = count; i-- > first;) *visible(builder->changes[i].name) = builder->changes[i].before;
  builder->depth--;
  builder->current = graph->blocks[builder->current].parent;
  /* What the body read but did not define is for the block around it to define. */
  size_t kept = first;
  for (size_t i = first; i < count; i++) {
    scope_change change = builder->changes[i];
    if (is_defined(&graph->tensors[change.tensor])) continue;
    graph->tensors[change.tensor].block = builder->current;
    *visible(change.name) = change.tensor;
    if (builder->depth) builder->changes[kept++] = change;
  }
  builder->change_count = kept;
  return NNM_OK;
}

static nnm_status add_tensor(nnm_graph_builder *builder, const char *name, nnm_tensor_id before, nnm_tensor_id *out,
                             nnm_error *error) {
  nnm_graph *graph = builder->graph;
  if (graph->tensor_count >= NNM_LIMIT_TENSORS)
    return nnm_fail(error, NNM_ERROR_LIMIT, name, "more than %d tensors; simplify the model before exporting",
                    NNM_LIMIT_TENSORS);
  if (!GROW(graph->tensors, (size_t)graph->tensor_count, builder->tensor_capacity)) return nnm_fail_memory(error);
  nnm_tensor_id tensor = graph->tensor_count;
  if (builder->depth && !record_change(builder, name, before, tensor)) return nnm_fail_memory(error);
  *visible(name) = tensor;
  graph->tensors[graph->tensor_count++] =
      (nnm_tensor){.name = name, .rank = -1, .producer = -1, .block = builder->current};
  *out = tensor;
  return NNM_OK;
}

nnm_status nnm_graph_builder_tensor(nnm_graph_builder *builder, const char *name, nnm_tensor_id *out,
                                    nnm_error *error) {
  nnm_tensor_id tensor = *visible(name);
  if (tensor < 0) return add_tensor(builder, name, -1, out, error);
  *out = tensor;
  return NNM_OK;
}

nnm_status nnm_graph_builder_local_tensor(nnm_graph_builder *builder, const char *name, nnm_tensor_id *out,
                                          nnm_error *error) {
  nnm_tensor_id tensor = *visible(name);
  if (tensor < 0 || builder->graph->tensors[tensor].block != builder->current)
    return add_tensor(builder, name, tensor, out, error);
  *out = tensor;
  return NNM_OK;
}

nnm_tensor_id nnm_graph_builder_find_tensor(const nnm_graph_builder *builder, const char *name) {
  (void)builder;
  return *visible(name);
}

nnm_status nnm_graph_builder_declare(nnm_graph_builder *builder, nnm_tensor_id id, nnm_dtype dtype, int32_t rank,
                                     const int64_t *dims, const char *const *symbols, nnm_error *error) {
  nnm_tensor *tensor = &builder->graph->tensors[id];
  if (rank > NNM_LIMIT_RANK)
    return nnm_fail(error, NNM_ERROR_LIMIT, tensor->name,
                    "tensor has %d dimensions; the limit is %d: reshape it before exporting", (int)rank,
                    NNM_LIMIT_RANK);
  bool rewrite = false;
  for (int32_t i = 0; i < rank; i++) {
    if (dims[i] > NNM_LIMIT_DIMENSION)
      return nnm_fail(error, NNM_ERROR_LIMIT, tensor->name,
                      "dimension %d is %lld; the limit is %lld: the file is damaged, or the export went wrong", (int)i,
                      (long long)dims[i], (long long)NNM_LIMIT_DIMENSION);
    if (dims[i] < -1) rewrite = true;
  }
  if (rewrite) {
    int64_t *clean = nnm_arena_copy(&builder->graph->arena, dims, (size_t)rank, sizeof *dims);
    if (!clean) return nnm_fail_memory(error);
    for (int32_t i = 0; i < rank; i++)
      if (clean[i] < -1) clean[i] = -1;
    dims = clean;
  }
  if (tensor->constant && dims != tensor->constant->dims) return NNM_OK; /* its own elements know better */
  if (dtype != NNM_DTYPE_UNKNOWN) tensor->dtype = dtype;
  if (rank >= 0) {
    tensor->rank = rank;
    tensor->dims = dims;
    tensor->symbols = symbols;
  }
  return NNM_OK;
}

static nnm_status add_port(nnm_graph_builder *builder, nnm_tensor_id tensor, bool is_output, nnm_error *error) {
  if (!GROW(builder->ports, builder->port_count, builder->port_capacity)) return nnm_fail_memory(error);
  builder->ports[builder->port_count++] = (block_port){builder->current, tensor, is_output};
  return NNM_OK;
}

static nnm_status fail_twice(nnm_error *error, const char *name, const char *what) {
  return nnm_fail(error, NNM_ERROR_GRAPH, name, "tensor is defined twice (%s); export the model again", what);
}

nnm_status nnm_graph_builder_input(nnm_graph_builder *builder, nnm_tensor_id id, nnm_error *error) {
  nnm_tensor *tensor = &builder->graph->tensors[id];
  uint32_t flag = builder->current ? NNM_TENSOR_BLOCK_INPUT : NNM_TENSOR_INPUT;
  if (tensor->producer >= 0 || (tensor->flags & flag)) return fail_twice(error, tensor->name, "as an input");
  if (tensor->flags & NNM_TENSOR_WEIGHT) { /* an initializer listed as an input as well */
    tensor->flags |= NNM_TENSOR_LISTED;
    return NNM_OK;
  }
  tensor->flags |= flag;
  return add_port(builder, id, false, error);
}

void nnm_graph_builder_set_alias(nnm_graph_builder *builder, nnm_tensor_id id, const char *alias) {
  builder->graph->tensors[id].alias = alias;
}

nnm_status nnm_graph_builder_output(nnm_graph_builder *builder, nnm_tensor_id id, nnm_error *error) {
  if (!builder->current) builder->graph->tensors[id].flags |= NNM_TENSOR_OUTPUT;
  return add_port(builder, id, true, error);
}

nnm_status nnm_graph_builder_weight(nnm_graph_builder *builder, nnm_tensor_id id, const nnm_constant *constant,
                                    nnm_error *error) {
  nnm_tensor *tensor = &builder->graph->tensors[id];
  if (tensor->producer >= 0 || (tensor->flags & NNM_TENSOR_WEIGHT))
    return fail_twice(error, tensor->name, "as a weight");
  if (tensor->flags & NNM_TENSOR_INPUT) tensor->flags |= NNM_TENSOR_LISTED;
  tensor->flags = (tensor->flags & ~(uint32_t)(NNM_TENSOR_INPUT | NNM_TENSOR_BLOCK_INPUT)) | NNM_TENSOR_WEIGHT;
  if (!constant) return NNM_OK;
  tensor->constant = constant;
  return nnm_graph_builder_declare(builder, id, constant->dtype, constant->rank, constant->dims, NULL, error);
}

static nnm_status own_blocks(nnm_graph_builder *builder, nnm_node_id id, nnm_error *error) {
  nnm_graph *graph = builder->graph;
  const nnm_node *node = &graph->nodes[id];
  for (uint32_t i = 0; i < node->attribute_count; i++) {
    const nnm_attribute *attribute = &node->attributes[i];
    if (attribute->kind != NNM_ATTRIBUTE_BLOCK) continue;
    nnm_block_id body = attribute->as.block;
    if (body <= 0 || body >= graph->block_count || graph->blocks[body].owner >= 0 ||
        graph->blocks[body].parent != builder->current)
      return nnm_fail(error, NNM_ERROR_GRAPH, node->name,
                      "body '%s' does not belong to this node; export the model again", attribute->name);
    graph->blocks[body].owner = id;
  }
  return NNM_OK;
}

nnm_status nnm_graph_builder_node(nnm_graph_builder *builder, const nnm_node *template, nnm_node_id *out,
                                  nnm_error *error) {
  nnm_graph *graph = builder->graph;
  if (graph->node_count >= NNM_LIMIT_NODES)
    return nnm_fail(error, NNM_ERROR_LIMIT, template->name, "more than %d nodes; simplify the model before exporting",
                    NNM_LIMIT_NODES);
  if (template->input_count > NNM_LIMIT_NODE_PORTS || template->output_count > NNM_LIMIT_NODE_PORTS)
    return nnm_fail(error, NNM_ERROR_LIMIT, template->name,
                    "more than %d inputs or outputs; simplify the model before exporting", NNM_LIMIT_NODE_PORTS);
  if (!GROW(graph->nodes, (size_t)graph->node_count, builder->node_capacity)) return nnm_fail_memory(error);
  nnm_node node = *template;
  node.block = builder->current;
  node.inputs = nnm_arena_copy(&graph->arena, template->inputs, template->input_count, sizeof *node.inputs);
  node.outputs = nnm_arena_copy(&graph->arena, template->outputs, template->output_count, sizeof *node.outputs);
  node.attributes =
      nnm_arena_copy(&graph->arena, template->attributes, template->attribute_count, sizeof *node.attributes);
  if (template->listed)
    node.listed = nnm_arena_copy(&graph->arena, template->listed, template->listed_count, sizeof *node.listed);
  if (!node.inputs || !node.outputs || !node.attributes || (template->listed && !node.listed))
    return nnm_fail_memory(error);
  nnm_node_id id = graph->node_count;
  for (uint32_t i = 0; i < node.output_count; i++) {
    if (node.outputs[i] < 0) continue;
    nnm_tensor *tensor = &graph->tensors[node.outputs[i]];
    if (is_defined(tensor)) return fail_twice(error, tensor->name, "as the output of two nodes, or of an input");
    tensor->producer = id;
  }
  graph->nodes[graph->node_count++] = node;
  if (out) *out = id;
  return own_blocks(builder, id, error);
}

static nnm_status check_definitions(const nnm_graph_builder *builder, nnm_error *error) {
  const nnm_graph *graph = builder->graph;
  char label[160];
  for (nnm_node_id n = 0; n < graph->node_count; n++)
    for (uint32_t i = 0; i < graph->nodes[n].input_count; i++) {
      nnm_tensor_id input = graph->nodes[n].inputs[i];
      if (input >= 0 && !is_defined(&graph->tensors[input]))
        return nnm_fail(error, NNM_ERROR_GRAPH, nnm_node_label(graph, n, label, sizeof label),
                        "reads '%.200s', which nothing defines; export the model again", graph->tensors[input].name);
    }
  for (size_t i = 0; i < builder->port_count; i++) {
    const nnm_tensor *tensor = &graph->tensors[builder->ports[i].tensor];
    if (!is_defined(tensor))
      return nnm_fail(error, NNM_ERROR_GRAPH, tensor->name,
                      "is an output, but nothing defines it; export the model again");
  }
  for (nnm_block_id b = 1; b < graph->block_count; b++)
    if (graph->blocks[b].owner < 0)
      return nnm_fail(error, NNM_ERROR_GRAPH, graph->blocks[b].name, "body belongs to no node; export the model again");
  return NNM_OK;
}

/* Hands the recorded inputs and outputs to their blocks, in order. */
static nnm_status fill_ports(nnm_graph_builder *builder, nnm_error *error) {
  nnm_graph *graph = builder->graph;
  for (size_t i = 0; i < builder->port_count; i++) {
    const block_port *port = &builder->ports[i];
    /* an input that an initializer overrides has become a weight */
    if (!port->is_output && (graph->tensors[port->tensor].flags & NNM_TENSOR_WEIGHT)) continue;
    nnm_block *block = &graph->blocks[port->block];
    port->is_output ? block->output_count++ : block->input_count++;
  }
  for (nnm_block_id b = 0; b < graph->block_count; b++) {
    nnm_block *block = &graph->blocks[b];
    block->inputs = NNM_ARENA_ARRAY(&graph->arena, nnm_tensor_id, block->input_count);
    block->outputs = NNM_ARENA_ARRAY(&graph->arena, nnm_tensor_id, block->output_count);
    if (!block->inputs || !block->outputs) return nnm_fail_memory(error);
    block->input_count = block->output_count = 0;
  }
  for (size_t i = 0; i < builder->port_count; i++) {
    const block_port *port = &builder->ports[i];
    if (!port->is_output && (graph->tensors[port->tensor].flags & NNM_TENSOR_WEIGHT)) continue;
    nnm_block *block = &graph->blocks[port->block];
    if (port->is_output) ((nnm_tensor_id *)(uintptr_t)block->outputs)[block->output_count++] = port->tensor;
    else ((nnm_tensor_id *)(uintptr_t)block->inputs)[block->input_count++] = port->tensor;
  }
  return NNM_OK;
}

/* ---------------------------------------------------------------- notes */

static nnm_status add_note(nnm_graph_builder *builder, const char *note, nnm_error *error) {
  nnm_graph *graph = builder->graph;
  if (!builder->notes) builder->notes = NNM_ARENA_ARRAY(&graph->arena, const char *, NNM_LIMIT_NOTES + 1);
  char *copy = builder->notes ? nnm_arena_text(&graph->arena, note, strlen(note)) : NULL;
  if (!copy) return nnm_fail_memory(error);
  nnm_make_printable(copy);
  builder->notes[graph->note_count++] = copy;
  graph->notes = builder->notes;
  return NNM_OK;
}

nnm_status nnm_graph_builder_note(nnm_graph_builder *builder, nnm_error *error, const char *format, ...) {
  if (builder->graph->note_count == NNM_LIMIT_NOTES) {
    builder->notes_left_out++;
    return NNM_OK;
  }
  char note[NNM_ERROR_MESSAGE_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(note, sizeof note, format, arguments);
  va_end(arguments);
  return add_note(builder, note, error);
}

static nnm_status finish_notes(nnm_graph_builder *builder, nnm_error *error) {
  if (!builder->notes_left_out) return NNM_OK;
  char note[80];
  snprintf(note, sizeof note, "%zu more notes on the file are not shown", builder->notes_left_out);
  return add_note(builder, note, error);
}

nnm_status nnm_graph_builder_finish(nnm_graph_builder *builder, nnm_graph **out, nnm_error *error) {
  nnm_status status = builder->depth ? nnm_fail(error, NNM_ERROR_GRAPH, NULL, "a body never ends") : NNM_OK;
  if (status == NNM_OK) status = check_definitions(builder, error);
  if (status == NNM_OK) status = fill_ports(builder, error);
  if (status == NNM_OK) status = nnm_graph_index_consumers(builder->graph, error);
  if (status == NNM_OK) status = nnm_graph_sort_blocks(builder->graph, error);
  if (status == NNM_OK) status = finish_notes(builder, error);
  if (status == NNM_OK) {
    nnm_strings_free(&builder->graph->strings); /* names stay in the arena; nothing is looked up any more */
    *out = builder->graph;
    builder->graph = NULL;
  }
  nnm_graph_builder_free(builder);
  return status;
}
