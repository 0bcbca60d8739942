/* NNI's graph IR (Retiarii): {"_model": {"inputs", "outputs", "nodes": {name: {"operation": {"type", "parameters",
 * "attributes", "cell_name"}}}, "edges": [{"head": [node, slot], "tail": [node, slot]}]}, ...}. A node of type "_cell"
 * stands for the graph that its cell_name names, and is written out. The IR has no shape for the model's inputs; where it
 * was made with shapes, those of the nodes behind them are used, else --input-shape must give them. */
#include "readers/nni/nni.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "readers/content.h"
#include "readers/reader.h"

enum { FROM_INPUTS = -1, TO_OUTPUTS = -2 }; /* ends of edges that are no nodes */

typedef struct edge {
  int32_t head, tail; /* nodes, or one of the above */
  int64_t head_slot, tail_slot;
} edge;

typedef struct cell {
  const char *name;
  size_t node_count, edge_count;
  const char **names;        /* of its nodes */
  const json_t **operations; /* likewise */
  edge *edges;               /* sorted by tail, then slot */
  nni_value *results;        /* of its nodes */
} cell;

static nnm_status fail_document(nni_reading *r, const char *where, const char *what) {
  return nnm_fail(r->error, NNM_ERROR_FORMAT, where, "%s; export the model from NNI again", what);
}

/* -------------------------------------------------------------------- edges */

/* The end of an edge: [name, slot or null]. */
static nnm_status read_end(nni_reading *r, const cell *c, nnm_strings *names, const json_t *end, bool is_head,
                           int32_t *node, int64_t *slot) {
  const char *name = json_string_value(json_array_get(end, 0));
  const json_t *number = json_array_get(end, 1);
  if (!name) return fail_document(r, c->name, "has an edge whose end is no [node, slot]");
  if (!strcmp(name, is_head ? "_inputs" : "_outputs")) {
    *node = is_head ? FROM_INPUTS : TO_OUTPUTS;
  } else {
    int32_t *index = nnm_strings_value(names, name, strlen(name));
    if (!index) return nnm_fail_memory(r->error);
    if (*index < 0) return fail_document(r, c->name, "has an edge to or from a node that it does not have");
    *node = *index;
  }
  *slot = json_is_integer(number) ? json_integer_value(number) : -1;
  if (*slot > NNM_LIMIT_NODE_PORTS) return fail_document(r, c->name, "has an edge to a slot beyond 65536");
  return NNM_OK;
}

static int by_tail(const void *left, const void *right) {
  const edge *a = left, *b = right;
  if (a->tail != b->tail) return (a->tail > b->tail) - (a->tail < b->tail);
  return (a->tail_slot > b->tail_slot) - (a->tail_slot < b->tail_slot);
}

static nnm_status read_edges(nni_reading *r, cell *c, nnm_strings *names, const json_t *list) {
  c->edge_count = json_array_size(list);
  c->edges = NNM_ARENA_ARRAY(r->arena, edge, c->edge_count);
  if (!c->edges) return nnm_fail_memory(r->error);
  for (size_t i = 0; i < c->edge_count; i++) {
    const json_t *item = json_array_get(list, i);
    edge *e = &c->edges[i];
    NNM_TRY(read_end(r, c, names, json_object_get(item, "head"), true, &e->head, &e->head_slot));
    NNM_TRY(read_end(r, c, names, json_object_get(item, "tail"), false, &e->tail, &e->tail_slot));
  }
  if (c->edge_count > 1) qsort(c->edges, c->edge_count, sizeof *c->edges, by_tail);
  return NNM_OK;
}

static nnm_status read_cell(nni_reading *r, const json_t *graph, cell *c, nnm_strings *names) {
  json_t *nodes = json_object_get(graph, "nodes");
  const char *name;
  json_t *node;
  enum { COST_OF_A_CELL = 8 }; /* beside its nodes and edges */
  size_t count = json_object_size(nodes), edge_count = json_array_size(json_object_get(graph, "edges"));
  if (!json_is_object(nodes) || !json_is_array(json_object_get(graph, "edges")))
    return fail_document(r, c->name, "is no graph with \"nodes\" and \"edges\"");
  if (count + edge_count + COST_OF_A_CELL > r->budget)
    return nnm_fail(r->error, NNM_ERROR_LIMIT, c->name,
                    "with all its cells written out the model has more than %d nodes and edges; the file is damaged",
                    NNM_LIMIT_NNI_NODES);
  r->budget -= count + edge_count + COST_OF_A_CELL;
  c->names = NNM_ARENA_ARRAY(r->arena, const char *, count);
  c->operations = NNM_ARENA_ARRAY(r->arena, const json_t *, count);
  c->results = NNM_ARENA_ARRAY(r->arena, nni_value, count);
  if (!c->names || !c->operations || !c->results) return nnm_fail_memory(r->error);
  json_object_foreach(nodes, name, node) {
    int32_t *index = nnm_strings_value(names, name, strlen(name));
    c->names[c->node_count] = nnm_graph_builder_intern(r->builder, name, strlen(name));
    if (!index || !c->names[c->node_count]) return nnm_fail_memory(r->error);
    if (strlen(name) > NNM_LIMIT_NAME_BYTES) return fail_document(r, c->name, "has a node with too long a name");
    c->operations[c->node_count] = json_object_get(node, "operation");
    if (!json_string_value(json_object_get(c->operations[c->node_count], "type")))
      return fail_document(r, name, "has no operation with a type");
    *index = (int32_t)c->node_count++;
  }
  return read_edges(r, c, names, json_object_get(graph, "edges"));
}

/* -------------------------------------------------------------------- order */

static const edge *first_edge_to(const cell *c, int32_t tail) {
  size_t low = 0, high = c->edge_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (c->edges[middle].tail < tail) low = middle + 1;
    else high = middle;
  }
  return c->edges + low;
}

static int by_head(const void *left, const void *right) {
  const edge *a = left, *b = right;
  return (a->head > b->head) - (a->head < b->head);
}

/* Nodes such that each stands behind those it reads. */
static nnm_status order_nodes(nni_reading *r, const cell *c, int32_t *order) {
  edge *by_heads = nnm_arena_copy(r->arena, c->edges, c->edge_count, sizeof *c->edges);
  size_t *waits = NNM_ARENA_ARRAY(r->arena, size_t, c->node_count);
  size_t *start = NNM_ARENA_ARRAY(r->arena, size_t, c->node_count + 1);
  if (!by_heads || !waits || !start) return nnm_fail_memory(r->error);
  if (c->edge_count > 1) qsort(by_heads, c->edge_count, sizeof *by_heads, by_head);
  size_t inner = 0, ordered = 0;
  for (size_t i = 0; i < c->edge_count; i++)
    if (by_heads[i].head >= 0 && by_heads[i].tail >= 0) by_heads[inner++] = by_heads[i];
  for (size_t i = 0; i < inner; i++) {
    waits[by_heads[i].tail]++;
    start[by_heads[i].head + 1]++;
  }
  for (size_t i = 0; i < c->node_count; i++) start[i + 1] += start[i];
  for (size_t i = 0; i < c->node_count; i++)
    if (!waits[i]) order[ordered++] = (int32_t)i;
  for (size_t next = 0; next < ordered; next++) {
    int32_t node = order[next];
    for (size_t i = start[node]; i < start[node + 1]; i++)
      if (!--waits[by_heads[i].tail]) order[ordered++] = by_heads[i].tail;
  }
  return ordered == c->node_count ? NNM_OK : fail_document(r, c->name, "has a cycle");
}

/* --------------------------------------------------------------- evaluation */

typedef struct arguments {
  size_t count;
  const nni_value *items;
} arguments;

static nnm_status value_of_head(nni_reading *r, const cell *c, const edge *e, const arguments *given, nni_value *out) {
  if (e->head == FROM_INPUTS) {
    size_t slot = e->head_slot > 0 ? (size_t)e->head_slot : 0;
    *out = slot < given->count ? given->items[slot] : nni_none();
    return NNM_OK;
  }
  const nni_value *result = &c->results[e->head];
  bool has_items = result->kind == NNI_LIST || result->kind >= NNI_SIZES;
  *out = *result;
  return e->head_slot >= 0 && has_items ? nni_item(r, result, e->head_slot, out) : NNM_OK;
}

/* What arrives at a node, or at the cell's outputs, by slot; an edge without one takes the next. */
static nnm_status gather(nni_reading *r, const cell *c, int32_t tail, const arguments *given, arguments *out) {
  const edge *first = first_edge_to(c, tail), *end = c->edges + c->edge_count;
  size_t edges = 0, slots = 0;
  for (const edge *e = first; e < end && e->tail == tail; e++, edges++)
    if (e->tail_slot >= 0 && (size_t)e->tail_slot >= slots) slots = (size_t)e->tail_slot + 1;
  if (slots > 4 * edges + 16) return fail_document(r, c->name, "has a node with many slots and few edges");
  nni_value *items = NNM_ARENA_ARRAY(r->arena, nni_value, edges + slots);
  if (!items) return nnm_fail_memory(r->error);
  for (size_t i = 0; i < edges + slots; i++) items[i] = nni_none();
  size_t free_slot = 0;
  for (const edge *e = first; e < first + edges; e++) {
    size_t slot = e->tail_slot >= 0 ? (size_t)e->tail_slot : free_slot++;
    NNM_TRY(value_of_head(r, c, e, given, &items[slot]));
  }
  out->items = items;
  out->count = slots > free_slot ? slots : free_slot;
  return NNM_OK;
}

/* Where the IR was made with shapes, a node right behind an input tells the input's. */
static nnm_status declare_inputs(nni_reading *r) {
  const json_t *list = json_object_get(r->shapes, "input_shape");
  if (!json_is_array(list)) list = json_object_get(r->parameters, "input_shape");
  for (size_t i = 0; i < r->input_count; i++) {
    const json_t *shape = json_array_get(list, i);
    size_t rank = json_array_size(shape);
    if (r->inputs[i].kind != NNI_TENSOR || r->inputs[i].is_size || !json_is_array(shape) || !rank ||
        rank > NNM_LIMIT_RANK)
      continue;
    nni_value *input = (nni_value *)(uintptr_t)&r->inputs[i];
    input->rank = (int32_t)rank;
    if (r->inputs[i].integer != 1) continue; /* marks an input of the model */
    int64_t *dims = NNM_ARENA_ARRAY(r->arena, int64_t, rank);
    if (!dims) return nnm_fail_memory(r->error);
    for (size_t k = 0; k < rank; k++) {
      const json_int_t dim = json_integer_value(json_array_get(shape, k));
      dims[k] = dim > 0 ? dim : -1;
    }
    NNM_TRY(
        nnm_graph_builder_declare(r->builder, r->inputs[i].tensor, NNM_DTYPE_F32, (int32_t)rank, dims, NULL, r->error));
  }
  return NNM_OK;
}

static nnm_status run_cell(nni_reading *r, const char *name, const arguments *given, nni_value *out);

static bool ends_with(const char *text, const char *end) {
  size_t length = strlen(text), end_length = strlen(end);
  return length >= end_length && !strcmp(text + length - end_length, end);
}

/* The choices of a search space that no strategy has made yet. */
static nnm_status check_choice(nni_reading *r) {
  const char *mutation = json_string_value(json_object_get(r->parameters, "mutation"));
  if ((!mutation || strcmp(mutation, "layerchoice") != 0) && !ends_with(r->type, "InputChoice") &&
      !ends_with(r->type, "ValueChoice") && !ends_with(r->type, "Placeholder"))
    return NNM_OK;
  return nni_fail(r, NNM_ERROR_UNSUPPORTED,
                  "is a choice that has not been made; export a model that NNI has sampled from the search space");
}

static nnm_status run_node(nni_reading *r, const cell *c, int32_t index, const json_t *operation,
                           const arguments *given) {
  arguments inputs;
  NNM_TRY(gather(r, c, index, given, &inputs));
  r->name = c->names[index];
  r->type = json_string_value(json_object_get(operation, "type"));
  r->parameters = json_object_get(operation, "parameters");
  r->shapes = json_object_get(operation, "attributes");
  r->inputs = inputs.items;
  r->input_count = inputs.count;
  r->attribute_count = 0;
  NNM_TRY(declare_inputs(r));
  NNM_TRY(check_choice(r));
  if (!strcmp(r->type, "_cell")) {
    const char *name = json_string_value(json_object_get(operation, "cell_name"));
    return run_cell(r, name ? name : r->name, &inputs, &c->results[index]);
  }
  if (nni_is_module(r->type)) return nni_module(r, &c->results[index]);
  return nni_function(r, &c->results[index]);
}

/* A module that the program runs again is a node of type "shared", which names the first. */
static nnm_status operation_of(nni_reading *r, const cell *c, nnm_strings *names, int32_t index, const json_t **out) {
  *out = c->operations[index];
  if (strcmp(json_string_value(json_object_get(*out, "type")), "shared") != 0) return NNM_OK;
  const char *name = json_string_value(json_object_get(json_object_get(*out, "parameters"), "reference"));
  int32_t *of = name ? nnm_strings_value(names, name, strlen(name)) : NULL;
  if (name && !of) return nnm_fail_memory(r->error);
  if (of && *of >= 0) *out = c->operations[*of];
  if (!of || *of < 0 || !strcmp(json_string_value(json_object_get(*out, "type")), "shared"))
    return fail_document(r, c->names[index], "shares a module that its graph does not have");
  return NNM_OK;
}

static nnm_status run_nodes(nni_reading *r, cell *c, nnm_strings *names, const arguments *given, nni_value *out) {
  int32_t *order = NNM_ARENA_ARRAY(r->arena, int32_t, c->node_count);
  if (!order) return nnm_fail_memory(r->error);
  NNM_TRY(order_nodes(r, c, order));
  for (size_t i = 0; i < c->node_count; i++) {
    const json_t *operation;
    NNM_TRY(operation_of(r, c, names, order[i], &operation));
    NNM_TRY(run_node(r, c, order[i], operation, given));
  }
  arguments results;
  NNM_TRY(gather(r, c, TO_OUTPUTS, given, &results));
  if (results.count != 1) return nni_list(r, results.items, results.count, out);
  *out = results.items[0];
  return NNM_OK;
}

static nnm_status run_cell(nni_reading *r, const char *name, const arguments *given, nni_value *out) {
  const json_t *graph = json_object_get(r->document, name);
  if (!json_is_object(graph)) return fail_document(r, r->name, "names a cell whose graph the file does not have");
  if (r->depth == NNM_LIMIT_FUNCTION_DEPTH)
    return nnm_fail(r->error, NNM_ERROR_LIMIT, name, "cells lie in each other deeper than %d: the file is damaged",
                    NNM_LIMIT_FUNCTION_DEPTH);
  r->depth++;
  nnm_arena scratch = {0};
  nnm_strings names = {.arena = &scratch};
  cell c = {.name = name};
  nnm_status status = read_cell(r, graph, &c, &names);
  if (status == NNM_OK) status = run_nodes(r, &c, &names, given, out);
  nnm_strings_free(&names);
  nnm_arena_free(&scratch);
  r->depth--;
  return status;
}

/* -------------------------------------------------------------------- model */

static nnm_status add_inputs(nni_reading *r, const json_t *root, arguments *out) {
  const json_t *list = json_object_get(root, "inputs");
  size_t count = json_array_size(list);
  nni_value *values = NNM_ARENA_ARRAY(r->arena, nni_value, count);
  if (!values) return nnm_fail_memory(r->error);
  for (size_t i = 0; i < count; i++) {
    const char *name = json_string_value(json_array_get(list, i));
    if (!name || !*name) return fail_document(r, "_model", "has an input without a name");
    const char *interned = nnm_graph_builder_intern(r->builder, name, strlen(name));
    if (!interned) return nnm_fail_memory(r->error);
    if (nnm_graph_builder_find_tensor(r->builder, interned) >= 0)
      return fail_document(r, "_model", "has two inputs of one name");
    values[i] = nni_tensor(-1, -1);
    values[i].integer = 1; /* see declare_inputs */
    NNM_TRY(nnm_graph_builder_tensor(r->builder, interned, &values[i].tensor, r->error));
    NNM_TRY(nnm_graph_builder_declare(r->builder, values[i].tensor, NNM_DTYPE_F32, -1, NULL, NULL, r->error));
    NNM_TRY(nnm_graph_builder_input(r->builder, values[i].tensor, r->error));
  }
  *out = (arguments){count, values};
  return NNM_OK;
}

static nnm_status add_outputs(nni_reading *r, const nni_value *value) {
  if (value->kind == NNI_LIST) {
    for (size_t i = 0; i < value->count; i++)
      if (value->items[i].kind == NNI_TENSOR) NNM_TRY(add_outputs(r, &value->items[i]));
    return NNM_OK;
  }
  if (value->kind != NNI_TENSOR) return NNM_OK;
  nni_value copy; /* one tensor may be given out twice, or be an input */
  r->name = "output";
  NNM_TRY(nni_emit1(r, "Identity", value, value->rank, &copy));
  return nnm_graph_builder_output(r->builder, copy.tensor, r->error);
}

static nnm_status read_model(nni_reading *r) {
  const json_t *root = json_object_get(r->document, "_model");
  arguments inputs;
  nni_value result = nni_none();
  r->name = "_model";
  r->type = "";
  if (!json_is_object(root)) return fail_document(r, "_model", "is missing: the graph that the others are cells of");
  NNM_TRY(add_inputs(r, root, &inputs));
  NNM_TRY(run_cell(r, "_model", &inputs, &result));
  nnm_graph_builder_set_opset(r->builder, 17); /* the nodes are ONNX's of that version */
  return add_outputs(r, &result);
}

static nnm_status read_nni_ir(const unsigned char *data, size_t size, nnm_graph **graph, nnm_ir **ir,
                              nnm_error *error) {
  (void)ir;
  json_t *document = NULL;
  if (!nnm_is_json(data, size)) return nnm_fail_content(error, nnm_reader_nni_ir.name, data, size);
  NNM_TRY(nnm_json_parse_unique(data, size, &document, error));
  if (!json_object_get(document, "_model")) {
    json_decref(document);
    return nnm_fail_content(error, nnm_reader_nni_ir.name, data, size);
  }
  nni_reading r = {.error = error, .document = document, .budget = NNM_LIMIT_NNI_NODES};
  nnm_status status = nnm_graph_builder_create("nni-ir", &r.builder, error);
  if (status == NNM_OK) {
    r.arena = nnm_graph_builder_arena(r.builder);
    status = read_model(&r);
    if (status == NNM_OK) status = nnm_graph_builder_finish(r.builder, graph, error);
    else nnm_graph_builder_free(r.builder);
  }
  json_decref(document);
  return status;
}

/* An object of graphs; nodes of nn-Meter's own IR have no operation. */
static int probe_nni_ir(const unsigned char *data, size_t size) {
  bool is_one = nnm_is_json_object(data, size) && nnm_begins_with_mention(data, size, "\"nodes\"") &&
                nnm_begins_with_mention(data, size, "\"operation\"");
  return is_one ? 2 : 0;
}

const nnm_reader nnm_reader_nni_ir = {"nni-ir", probe_nni_ir, read_nni_ir};
