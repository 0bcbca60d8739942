/* nn-Meter IR from JSON. Everything that later stages rely on is checked here: types of all fields, ranks, dims, that
 * names lead somewhere. Attributes stay JSON; who reads one checks it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "ir/ir.h"

typedef struct reading {
  nnm_ir *ir;
  nnm_error *error;
  const char *node; /* name of the node being read */
} reading;

static nnm_status fail(reading *r, nnm_status status, const char *field, const char *what) {
  char place[NNM_ERROR_PLACE_SIZE];
  snprintf(place, sizeof place, "$.%.140s%.80s", r->node, field);
  return nnm_fail(r->error, status, place, "%s", what);
}

static nnm_status intern(reading *r, const char *text, const char **out) {
  *out = nnm_intern(&r->ir->strings, text, strlen(text));
  return *out ? NNM_OK : nnm_fail_memory(r->error);
}

static nnm_status read_names(reading *r, const json_t *list, const char *field, const char *const **out,
                             size_t *count) {
  if (!list || json_is_null(list)) return NNM_OK;
  if (!json_is_array(list))
    return fail(r, NNM_ERROR_FORMAT, field, "is no list of node names; write [] when there are none");
  if (json_array_size(list) > NNM_LIMIT_NODE_PORTS)
    return fail(r, NNM_ERROR_LIMIT, field, "has more names than a node can read; the file is damaged");
  const char **names = NNM_ARENA_ARRAY(&r->ir->arena, const char *, json_array_size(list));
  if (!names) return nnm_fail_memory(r->error);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *name = json_string_value(json_array_get(list, i));
    if (!name) return fail(r, NNM_ERROR_FORMAT, field, "has an entry that is no node name; write the names as texts");
    NNM_TRY(intern(r, name, &names[i]));
  }
  *out = names;
  *count = json_array_size(list);
  return NNM_OK;
}

static nnm_status read_dims(reading *r, const json_t *list, const char *field, nnm_shape *out) {
  size_t rank = json_array_size(list);
  if (rank > NNM_LIMIT_RANK)
    return fail(r, NNM_ERROR_LIMIT, field, "a shape has more than 16 dimensions; reshape the tensor before converting");
  int64_t *dims = NNM_ARENA_ARRAY(&r->ir->arena, int64_t, rank);
  if (!dims) return nnm_fail_memory(r->error);
  for (size_t i = 0; i < rank; i++) {
    const json_t *item = json_array_get(list, i);
    json_int_t dim = json_is_null(item) ? -1 : json_integer_value(item);
    if (!json_is_integer(item) && !json_is_null(item))
      return fail(r, NNM_ERROR_FORMAT, field, "a dimension is not an integer; write null when it is open");
    if (dim > NNM_LIMIT_DIMENSION)
      return fail(r, NNM_ERROR_LIMIT, field, "a dimension is larger than 2^40; the file is damaged");
    dims[i] = dim < -1 ? -1 : dim;
  }
  *out = (nnm_shape){(int32_t)rank, dims};
  return NNM_OK;
}

static nnm_status read_shapes(reading *r, const json_t *list, const char *field, const nnm_shape **out, size_t *count,
                              bool *present) {
  if (!list || json_is_null(list)) return NNM_OK;
  if (!json_is_array(list))
    return fail(r, NNM_ERROR_FORMAT, field, "is no list of shapes; write [[1, 224, 224, 3]], say");
  if (json_array_size(list) > NNM_LIMIT_NODE_PORTS)
    return fail(r, NNM_ERROR_LIMIT, field, "has more shapes than a node has tensors; the file is damaged");
  nnm_shape *shapes = NNM_ARENA_ARRAY(&r->ir->arena, nnm_shape, json_array_size(list));
  if (!shapes) return nnm_fail_memory(r->error);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *item = json_array_get(list, i);
    if (json_is_null(item)) shapes[i].rank = -1;
    else if (!json_is_array(item))
      return fail(r, NNM_ERROR_FORMAT, field, "has an entry that is no shape; write a list of integers, or null");
    else NNM_TRY(read_dims(r, item, field, &shapes[i]));
  }
  *out = shapes;
  *count = json_array_size(list);
  *present = true;
  return NNM_OK;
}

static nnm_status read_attr(reading *r, const json_t *attr, nnm_ir_node *node) {
  if (!attr) return NNM_OK;
  if (!json_is_object(attr))
    return fail(r, NNM_ERROR_FORMAT, ".attr",
                "is no object; write {\"type\", \"attr\", \"input_shape\", \"output_shape\"}");
  const json_t *type = json_object_get(attr, "type"), *inner = json_object_get(attr, "attr");
  if (type && !json_is_string(type))
    return fail(r, NNM_ERROR_FORMAT, ".attr.type", "is no text; write the operator's type, \"Conv\" say");
  if (type) NNM_TRY(intern(r, json_string_value(type), &node->type));
  if (inner && !json_is_object(inner))
    return fail(r, NNM_ERROR_FORMAT, ".attr.attr", "is no object; write {} when there are no attributes");
  if (json_object_size(inner) > NNM_LIMIT_ATTRIBUTES)
    return fail(r, NNM_ERROR_LIMIT, ".attr.attr", "has more than 4096 attributes; the file is damaged");
  node->attributes = inner;
  NNM_TRY(read_shapes(r, json_object_get(attr, "input_shape"), ".attr.input_shape", &node->input_shapes,
                      &node->input_shape_count, &node->has_input_shapes));
  return read_shapes(r, json_object_get(attr, "output_shape"), ".attr.output_shape", &node->output_shapes,
                     &node->output_shape_count, &node->has_output_shapes);
}

static nnm_status read_node(reading *r, const json_t *value, nnm_ir_node *node) {
  if (strlen(r->node) > NNM_LIMIT_NAME_BYTES)
    return fail(r, NNM_ERROR_LIMIT, "", "the name of the node is longer than 65536 bytes; shorten it");
  NNM_TRY(intern(r, r->node, &node->name));
  if (!json_is_object(value))
    return fail(r, NNM_ERROR_FORMAT, "", "is no object; a node is {\"attr\", \"inbounds\", \"outbounds\"}");
  if (json_object_get(value, "obey"))
    return fail(r, NNM_ERROR_FORMAT, "",
                "is a fusion rule, no node; give the file with --fusion-rules, and a model here");
  if (!json_object_get(value, "attr") && !json_object_get(value, "inbounds"))
    return fail(r, NNM_ERROR_FORMAT, "",
                "is no node, it has neither \"attr\" nor \"inbounds\"; give nn-Meter IR, which get_ir writes");
  NNM_TRY(read_attr(r, json_object_get(value, "attr"), node));
  NNM_TRY(read_names(r, json_object_get(value, "inbounds"), ".inbounds", &node->inbound_names, &node->inbound_count));
  return read_names(r, json_object_get(value, "outbounds"), ".outbounds", &node->outbound_names, &node->outbound_count);
}

/* A node that says nothing of its inbounds reads those that name it among their outbounds. */
static nnm_status complete_inbounds(nnm_ir *ir, nnm_error *error) {
  bool missing = false;
  size_t *room = NNM_ARENA_ARRAY(&ir->arena, size_t, ir->node_count);
  if (!room) return nnm_fail_memory(error);
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < ir->node_count; i++)
      for (size_t k = 0; k < ir->nodes[i].outbound_count; k++) {
        int32_t reader = *nnm_interned_value(ir->nodes[i].outbound_names[k]);
        nnm_ir_node *node = reader < 0 ? NULL : &ir->nodes[reader];
        if (!node || (pass ? !room[reader] : node->inbound_names != NULL)) continue;
        missing = true;
        if (pass) ((const char **)(uintptr_t)node->inbound_names)[node->inbound_count++] = ir->nodes[i].name;
        else room[reader]++;
      }
    if (!missing) return NNM_OK;
    for (size_t i = 0; i < ir->node_count && !pass; i++) {
      if (room[i]) ir->nodes[i].inbound_names = NNM_ARENA_ARRAY(&ir->arena, const char *, room[i]);
      if (room[i] && !ir->nodes[i].inbound_names) return nnm_fail_memory(error);
    }
  }
  return NNM_OK;
}

static nnm_status resolve_inbounds(nnm_ir *ir, nnm_error *error) {
  for (size_t i = 0; i < ir->node_count; i++) {
    nnm_ir_node *node = &ir->nodes[i];
    int32_t *inbounds = NNM_ARENA_ARRAY(&ir->arena, int32_t, node->inbound_count);
    if (!inbounds) return nnm_fail_memory(error);
    for (size_t k = 0; k < node->inbound_count; k++) inbounds[k] = *nnm_interned_value(node->inbound_names[k]);
    node->inbounds = inbounds;
  }
  return NNM_OK;
}

static nnm_status read_document(nnm_ir *ir, nnm_error *error) {
  if (!json_is_object(ir->document))
    return nnm_fail(error, NNM_ERROR_FORMAT, "$",
                    "nn-Meter IR is an object of nodes, this is something else; get_ir writes such files");
  size_t count = json_object_size(ir->document);
  if (count > NNM_LIMIT_NODES)
    return nnm_fail(error, NNM_ERROR_LIMIT, "$", "more than %d nodes; split the model", NNM_LIMIT_NODES);
  ir->nodes = NNM_ARENA_ARRAY(&ir->arena, nnm_ir_node, count);
  if (!ir->nodes) return nnm_fail_memory(error);
  reading r = {.ir = ir, .error = error};
  json_t *value;
  json_object_foreach(ir->document, r.node, value) {
    NNM_TRY(read_node(&r, value, &ir->nodes[ir->node_count]));
    *nnm_interned_value(ir->nodes[ir->node_count].name) = (int32_t)ir->node_count;
    ir->node_count++;
  }
  NNM_TRY(complete_inbounds(ir, error));
  return resolve_inbounds(ir, error);
}

nnm_status nnm_ir_of_document(json_t *document, nnm_ir **out, nnm_error *error) {
  nnm_ir *ir = calloc(1, sizeof *ir);
  if (!ir) {
    json_decref(document);
    return nnm_fail_memory(error);
  }
  ir->strings.arena = &ir->arena;
  ir->document = document;
  nnm_status status = read_document(ir, error);
  if (status == NNM_OK) *out = ir;
  else nnm_ir_free(ir);
  return status;
}

nnm_status nnm_ir_parse(const unsigned char *data, size_t size, nnm_ir **out, nnm_error *error) {
  json_t *document = NULL;
  NNM_TRY(nnm_json_parse_unique(data, size, &document, error));
  return nnm_ir_of_document(document, out, error);
}
