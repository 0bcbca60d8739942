#include "ir/frozen.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "ops/ops.h"

/* --------------------------------------------------------------- dictionary */

int32_t nnm_frozen_find(frozen_graph *g, const char *name) {
  const int32_t *slot = nnm_strings_value(&g->names, name, strlen(name));
  return slot ? *slot : -1;
}

nnm_status nnm_frozen_append(frozen_graph *g, frozen_list *list, int32_t key) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? 2 * list->capacity : 4;
    int32_t *grown = NNM_ARENA_ARRAY(g->arena, int32_t, capacity);
    if (!grown) return nnm_fail_memory(g->error);
    if (list->count) memcpy(grown, list->items, list->count * sizeof *grown);
    list->items = grown;
    list->capacity = capacity;
  }
  list->items[list->count++] = key;
  return NNM_OK;
}

/* "conv:0" is "conv" there, "split:1" stays. */
static nnm_status key_name(frozen_graph *g, const nnm_tensor *tensor, const char **out) {
  size_t length = strlen(tensor->name);
  if (length > 2 && !strcmp(tensor->name + length - 2, ":0")) length -= 2;
  *out = nnm_intern(&g->names, tensor->name, length);
  return *out ? NNM_OK : nnm_fail_memory(g->error);
}

static const char *type_of(const frozen_graph *g, const nnm_tensor *tensor) {
  if (tensor->producer >= 0) return g->graph->nodes[tensor->producer].type;
  return tensor->flags & NNM_TENSOR_INPUT ? "Placeholder" : "Const";
}

static bool is_read(const nnm_graph *graph, nnm_tensor_id t) {
  return graph->consumer_start[t + 1] > graph->consumer_start[t];
}

static bool is_split(const nnm_graph *graph, nnm_node_id node) {
  return node >= 0 && !strcmp(graph->nodes[node].type, "Split");
}

/* A key for each node, constant and input of the main graph, in the order in which the file first speaks of them. */
static nnm_status add_key(frozen_graph *g, nnm_tensor_id t) {
  const nnm_tensor *tensor = &g->graph->tensors[t];
  nnm_node_id producer = tensor->producer;
  bool is_first = producer < 0 || g->graph->nodes[producer].outputs[0] == t;
  if (!is_first && (!is_split(g->graph, producer) || !is_read(g->graph, t))) return NNM_OK;
  if (tensor->flags & NNM_TENSOR_BLOCK_INPUT) return NNM_OK;
  frozen_key *key = &g->keys[g->count];
  *key = (frozen_key){.node = producer, .tensor = t, .is_left = true};
  NNM_TRY(key_name(g, tensor, &key->name));
  if (is_first) key->type = type_of(g, tensor);
  key->attributes = json_object();
  if (!key->attributes) return nnm_fail_memory(g->error);
  *nnm_interned_value(key->name) = g->key_of_tensor[t] = g->count++;
  return NNM_OK;
}

static nnm_status add_keys(frozen_graph *g) {
  size_t tensors = (size_t)g->graph->tensor_count;
  g->keys = NNM_ARENA_ARRAY(g->arena, frozen_key, tensors);
  g->key_of_tensor = NNM_ARENA_ARRAY(g->arena, int32_t, tensors);
  if (!g->keys || !g->key_of_tensor) return nnm_fail_memory(g->error);
  for (nnm_tensor_id t = 0; t < g->graph->tensor_count; t++) {
    g->key_of_tensor[t] = -1;
    if (!g->graph->tensors[t].block) NNM_TRY(add_key(g, t));
  }
  /* further outputs of other operators: the old tool stops at them, here they are their node's */
  for (nnm_node_id n = 0; n < g->graph->node_count; n++) {
    const nnm_node *node = &g->graph->nodes[n];
    for (uint32_t i = 1; i < node->output_count; i++)
      if (node->outputs[i] >= 0 && g->key_of_tensor[node->outputs[i]] < 0)
        g->key_of_tensor[node->outputs[i]] = g->key_of_tensor[node->outputs[0]];
  }
  return NNM_OK;
}

static nnm_status connect(frozen_graph *g) {
  for (nnm_node_id n = 0; n < g->graph->node_count; n++) {
    const nnm_node *node = &g->graph->nodes[n];
    int32_t key = node->output_count ? g->key_of_tensor[node->outputs[0]] : -1;
    if (key < 0) continue;
    uint32_t count = node->listed ? node->listed_count : node->input_count;
    for (uint32_t i = 0; i < count; i++) {
      nnm_tensor_id input = (node->listed ? node->listed : node->inputs)[i];
      int32_t producer = input < 0 ? -1 : g->key_of_tensor[input];
      if (producer < 0) continue;
      NNM_TRY(nnm_frozen_append(g, &g->keys[key].inbounds, producer));
      NNM_TRY(nnm_frozen_append(g, &g->keys[producer].outbounds, key));
    }
  }
  return NNM_OK;
}

/* --------------------------------------------------------------- attributes */

enum { MOST_ELEMENTS = 4096 }; /* of a constant that is written down; weights are left out anyway */

/* One number is kept as such in the file; of several the old tool reads the bytes, as 32-bit numbers without sign, but
 * for -1. */
static bool element_json(const nnm_constant *constant, size_t index, bool alone, json_t **out) {
  double number;
  int64_t integer;
  if (constant->dtype == NNM_DTYPE_F32 && !alone) {
    uint32_t bits;
    if (constant->size < (index + 1) * sizeof bits) return false;
    memcpy(&bits, constant->bytes + index * sizeof bits, sizeof bits);
    *out = json_integer(bits == UINT32_MAX ? -1 : (json_int_t)bits);
    return true;
  }
  bool is_float = constant->dtype == NNM_DTYPE_F32 || constant->dtype == NNM_DTYPE_F64 ||
                  constant->dtype == NNM_DTYPE_F16 || constant->dtype == NNM_DTYPE_BF16;
  if (!is_float && nnm_constant_int(constant, index, &integer)) {
    bool wraps = constant->dtype == NNM_DTYPE_I32 && !alone && integer < -1;
    *out = json_integer(wraps ? integer + (INT64_C(1) << 32) : integer);
    return true;
  }
  if (!nnm_constant_float(constant, index, &number)) return false;
  *out = json_real(number);
  return true;
}

json_t *nnm_frozen_constant_json(const nnm_constant *constant) {
  int64_t elements = constant ? nnm_shape_elements((nnm_shape){constant->rank, constant->dims}) : -1;
  if (elements < 0 || elements > MOST_ELEMENTS || !constant->bytes) return NULL;
  json_t *list = json_array(), *item;
  if (constant->splat) elements = 1; /* as many as are written down */
  for (size_t i = 0; i < (size_t)elements; i++)
    if (element_json(constant, i, elements == 1, &item)) json_array_append_new(list, item);
  return list;
}

static bool mentions_weights(const char *name) {
  return strstr(name, "weight") || strstr(name, "BatchNorm") || strstr(name, "kernel");
}

static json_t *dims_json(const int64_t *dims, int32_t rank) {
  json_t *list = json_array();
  for (int32_t i = 0; i < rank; i++) json_array_append_new(list, json_integer(dims[i]));
  return list;
}

/* What the file says itself, as far as the old tool looks at it. */
static void put_own_attributes(frozen_graph *g, frozen_key *key) {
  static const char *const lists[] = {"strides", "dilations", "ksize", "shape"}, *const texts[] = {"padding",
                                                                                                   "data_format"};
  const nnm_tensor *tensor = &g->graph->tensors[key->tensor];
  if (key->node < 0) {
    bool is_input = tensor->flags & NNM_TENSOR_INPUT;
    if (!is_input || tensor->rank >= 0)
      json_object_set_new(key->attributes, is_input ? "shape" : "tensor_shape",
                          dims_json(tensor->dims, tensor->rank < 0 ? 0 : tensor->rank));
    json_t *values = is_input || mentions_weights(key->name) ? NULL : nnm_frozen_constant_json(tensor->constant);
    if (values) json_object_set_new(key->attributes, "constant", values);
    return;
  }
  const nnm_node *node = &g->graph->nodes[key->node];
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    const nnm_attribute *found = nnm_find_attribute(node, lists[i]);
    if (found && found->kind == NNM_ATTRIBUTE_INTS && found->count <= NNM_LIMIT_RANK)
      json_object_set_new(key->attributes, lists[i], dims_json(found->as.integers, (int32_t)found->count));
  }
  for (size_t i = 0; i < 2; i++)
    if (*nnm_attribute_text(node, texts[i], ""))
      json_object_set_new(key->attributes, texts[i], json_string(nnm_attribute_text(node, texts[i], "")));
}

typedef struct named_value {
  const char *type, *suffix, *attribute;
  bool as_bytes; /* the old tool reads bytes only, so that a single number is none */
} named_value;

/* Attributes that are constants of a name of their own. */
static const named_value named_values[] = {
    {"Split", "/split_dim", "split_dim", false}, {"Mean", "/reduction_indices", "reduction_indices", true},
    {"Reshape", "/shape", "shape", true},        {"Concat", "/axis", "axis", false},
    {"ConcatV2", "/axis", "axis", false},
};

static const nnm_constant *constant_named(frozen_graph *g, const char *name, const char *suffix) {
  size_t length = strlen(name), all = length + strlen(suffix);
  char *text = nnm_arena_alloc(g->arena, all + 1, 1);
  if (!text) return NULL;
  memcpy(text, name, length);
  strcpy(text + length, suffix);
  int32_t found = nnm_frozen_find(g, text);
  return found < 0 ? NULL : g->graph->tensors[g->keys[found].tensor].constant;
}

static void put_named_values(frozen_graph *g, frozen_key *key) {
  if (key->node < 0 || mentions_weights(key->name)) return;
  for (size_t i = 0; i < sizeof named_values / sizeof named_values[0]; i++) {
    const named_value *row = &named_values[i];
    if (strcmp(key->type, row->type) != 0) continue;
    const nnm_constant *constant = constant_named(g, key->name, row->suffix);
    json_t *values = nnm_frozen_constant_json(constant);
    if (!values) continue;
    if (row->as_bytes && json_array_size(values) == 1) json_array_clear(values);
    json_object_set_new(key->attributes, row->attribute, values);
  }
}

/* Constants called NAME/0 to NAME/9, each a list. */
static void put_packed_values(frozen_graph *g, frozen_key *key) {
  size_t length = strlen(key->name);
  if (key->node < 0 || strcmp(key->type, "Pack") != 0 || mentions_weights(key->name)) return;
  json_t *lists = json_array();
  for (size_t i = 0; i < key->inbounds.count; i++) {
    const frozen_key *from = &g->keys[key->inbounds.items[i]];
    bool named = !strncmp(from->name, key->name, length) && from->name[length] == '/' &&
                 from->name[length + 1] >= '0' && from->name[length + 1] <= '9';
    json_t *values = named ? nnm_frozen_constant_json(g->graph->tensors[from->tensor].constant) : NULL;
    if (values) json_array_append_new(lists, values);
  }
  if (json_array_size(lists)) json_object_set_new(key->attributes, "constant", lists);
  else json_decref(lists);
}

/* ---------------------------------------------------------------- refreshing */

/* Drops names of keys that are gone, while walking the list: what follows a dropped name is skipped, as in Python. */
static nnm_status drop_inbounds(frozen_graph *g, int32_t key) {
  frozen_list *list = &g->keys[key].inbounds;
  for (size_t i = 0; i < list->count; i++) {
    int32_t producer = list->items[i];
    if (g->keys[producer].is_left) {
      NNM_TRY(nnm_frozen_append(g, &g->keys[producer].outbounds, key));
      continue;
    }
    size_t kept = 0;
    for (size_t k = 0; k < list->count; k++)
      if (list->items[k] != producer) list->items[kept++] = list->items[k];
    list->count = kept;
  }
  return NNM_OK;
}

/* Until nothing is left that is neither read nor reads, and once more. */
static nnm_status refresh(frozen_graph *g) {
  for (size_t last = SIZE_MAX;;) {
    size_t spare = 0;
    for (int32_t i = 0; i < g->count; i++) g->keys[i].outbounds.count = 0;
    for (int32_t i = 0; i < g->count; i++)
      if (g->keys[i].is_left) NNM_TRY(drop_inbounds(g, i));
    for (int32_t i = 0; i < g->count; i++) {
      frozen_key *key = &g->keys[i];
      if (!key->is_left || key->inbounds.count || key->outbounds.count) continue;
      spare++;
      key->is_left = false;
    }
    if (!last && !spare) return NNM_OK;
    last = spare;
  }
}

/* The further outputs of a Split become readers of the Split itself, of which only the first is told. */
static nnm_status join_splits(frozen_graph *g) {
  for (int32_t i = 0; i < g->count; i++) {
    frozen_key *part = &g->keys[i];
    if (part->type) continue;
    int32_t split = g->key_of_tensor[g->graph->nodes[part->node].outputs[0]];
    part->is_left = false;
    if (split >= 0 && part->outbounds.count)
      NNM_TRY(nnm_frozen_append(g, &g->keys[part->outbounds.items[0]].inbounds, split));
  }
  return refresh(g);
}

static nnm_status strip(frozen_graph *g) {
  static const char *const marks[] = {
      "/weight", "/ReadVariableOp",    "/kernel", "/gamma",     "/beta", "/moving_mean", "/moving_variance",
      "/bias",   "/reduction_indices", "/shape",  "/split_dim", "/axis"};
  for (int32_t i = 0; i < g->count; i++) {
    frozen_key *key = &g->keys[i];
    if (!key->is_left || !key->type || (strcmp(key->type, "Const") != 0 && strcmp(key->type, "Identity") != 0))
      continue;
    for (size_t k = 0; k < sizeof marks / sizeof marks[0]; k++)
      if (strstr(key->name, marks[k])) key->is_left = false;
  }
  return refresh(g);
}

/* ------------------------------------------------------------------ document */

static json_t *names_json(const frozen_graph *g, const frozen_list *list) {
  json_t *names = json_array();
  for (size_t i = 0; i < list->count; i++) json_array_append_new(names, json_string(g->keys[list->items[i]].name));
  return names;
}

static json_t *shapes_json(const frozen_shape *shapes, size_t count) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) json_array_append_new(list, dims_json(shapes[i].dims, shapes[i].rank));
  return list;
}

static json_t *key_json(const frozen_graph *g, const frozen_key *key) {
  return json_pack("{s:o,s:{s:s,s:s,s:o,s:O,s:o},s:o}", "inbounds", names_json(g, &key->inbounds), "attr", "name",
                   key->name, "type", key->type, "output_shape", shapes_json(key->outputs, key->output_count), "attr",
                   key->attributes, "input_shape", shapes_json(key->inputs, key->input_count), "outbounds",
                   names_json(g, &key->outbounds));
}

static nnm_status make_document(const frozen_graph *g, json_t **out) {
  json_t *document = json_object();
  for (int32_t i = 0; document && i < g->count; i++) {
    if (!g->keys[i].is_left || !g->keys[i].type) continue;
    if (!json_object_set_new(document, g->keys[i].name, key_json(g, &g->keys[i]))) continue;
    json_decref(document);
    document = NULL;
  }
  *out = document;
  return document ? NNM_OK : nnm_fail_memory(g->error);
}

/* Which node of the graph each node of the IR is. */
static nnm_status link_nodes(const frozen_graph *g, nnm_ir *ir) {
  nnm_node_id *ids = NNM_ARENA_ARRAY(&ir->arena, nnm_node_id, ir->node_count);
  if (!ids) return nnm_fail_memory(g->error);
  size_t at = 0;
  for (int32_t i = 0; i < g->count && at < ir->node_count; i++) {
    if (!g->keys[i].is_left || !g->keys[i].type) continue;
    nnm_ir_node *node = &ir->nodes[at];
    ids[at] = g->keys[i].node;
    node->graph_nodes = &ids[at++];
    node->graph_node_count = g->keys[i].node >= 0;
  }
  return NNM_OK;
}

static nnm_status convert(frozen_graph *g, nnm_ir **out) {
  json_t *document;
  NNM_TRY(add_keys(g));
  NNM_TRY(connect(g));
  for (int32_t i = 0; i < g->count; i++) {
    if (!g->keys[i].type) continue;
    put_own_attributes(g, &g->keys[i]);
    put_named_values(g, &g->keys[i]);
    put_packed_values(g, &g->keys[i]);
  }
  NNM_TRY(join_splits(g));
  NNM_TRY(nnm_frozen_infer_shapes(g));
  NNM_TRY(strip(g));
  NNM_TRY(make_document(g, &document));
  NNM_TRY(nnm_ir_of_document(document, out, g->error));
  return link_nodes(g, *out);
}

nnm_status nnm_ir_from_frozen(const nnm_graph *graph, const nnm_shapes *shapes, nnm_ir **out, nnm_error *error) {
  nnm_arena arena = {0};
  frozen_graph g = {.graph = graph, .shapes = shapes, .arena = &arena, .error = error, .names.arena = &arena};
  nnm_ir *ir = NULL;
  nnm_status status = convert(&g, &ir);
  for (int32_t i = 0; i < g.count; i++) json_decref(g.keys[i].attributes);
  nnm_strings_free(&g.names);
  nnm_arena_free(&arena);
  if (status == NNM_OK) *out = ir;
  else nnm_ir_free(ir);
  return status;
}
