/* What nodes there are, what each reads, and which functions: everything is read once, by name; attributes stay in the
 * file until a node is needed. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "readers/tensorflow/tensorflow.h"

/* ------------------------------------------------------------------- edges */

/* The digits at the end of a reference, behind its last colon; false when there are none. */
static bool split_number(const char *text, size_t *length, uint32_t *number) {
  size_t colon = *length;
  uint64_t value = 0;
  while (colon > 0 && text[colon - 1] >= '0' && text[colon - 1] <= '9') colon--;
  if (colon == 0 || colon == *length || text[colon - 1] != ':' || *length - colon > 9) return false;
  for (size_t i = colon; i < *length; i++) value = value * 10 + (uint64_t)(text[i] - '0');
  *number = (uint32_t)value;
  *length = colon - 1;
  return true;
}

nnm_status nnm_tf_read_edge(tf_reader *reader, nnm_strings *names, const char *text, size_t length, tf_edge *out) {
  *out = (tf_edge){0};
  if (length && text[0] == '^') return NNM_OK; /* an order of execution, no data */
  if (split_number(text, &length, &out->port)) {
    if (out->port >= NNM_LIMIT_NODE_PORTS)
      return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, (const unsigned char *)text,
                           "output %u of a node; the limit is %d: export the model again", (unsigned)out->port,
                           NNM_LIMIT_NODE_PORTS);
    size_t colon = length;
    while (colon > 0 && text[colon - 1] != ':') colon--;
    if (colon > 1) { /* "node:output:1" */
      out->output = text + colon;
      out->output_length = (uint32_t)(length - colon);
      length = colon - 1;
    }
  }
  out->node = nnm_strings_value(names, text, length);
  return out->node ? NNM_OK : nnm_fail_memory(reader->file.error);
}

static nnm_status add_edge(tf_reader *reader, tf_body *body, tf_node *node, const nnm_wire_field *field) {
  tf_edge edge;
  NNM_TRY(nnm_wire_check_name(&reader->file, field));
  NNM_TRY(nnm_tf_read_edge(reader, &body->names, (const char *)field->bytes, field->size, &edge));
  if (!edge.node) return NNM_OK;
  if (node->edge_count == NNM_LIMIT_NODE_PORTS)
    return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, field->bytes,
                         "a node with more than %d inputs; simplify the model before exporting", NNM_LIMIT_NODE_PORTS);
  node->edge_count++;
  return nnm_stack_push(&reader->edges, &edge, reader->file.error);
}

/* ------------------------------------------------------------------- nodes */

static nnm_status name_node(tf_reader *reader, tf_body *body, uint32_t index, const nnm_wire_field *field) {
  tf_node *node = &body->nodes[index];
  NNM_TRY(nnm_wire_check_name(&reader->file, field));
  node->name = (const char *)field->bytes;
  node->name_length = (uint32_t)field->size;
  int32_t *slot = field->size ? nnm_strings_value(&body->names, node->name, field->size) : NULL;
  if (!field->size)
    return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, field->bytes,
                         "a node without a name; the file is damaged: fetch or export it again");
  if (!slot) return nnm_fail_memory(reader->file.error);
  if (*slot >= 0)
    return nnm_wire_fail(&reader->file, NNM_ERROR_GRAPH, field->bytes,
                         "a second node named '%.*s'; export the model again",
                         (int)(field->size > 200 ? 200 : field->size), node->name);
  *slot = (int32_t)index;
  return NNM_OK;
}

static void classify(tf_reader *reader, tf_node *node) {
  node->row = nnm_tf_find_op(node->type);
  node->kind = node->row ? node->row->kind : TF_PLAIN;
  if (!node->row && nnm_tf_find_function(reader, node->type, strlen(node->type))) node->kind = TF_CALL;
}

static nnm_status read_node(tf_reader *reader, tf_body *body, uint32_t index, const nnm_wire_field *whole) {
  tf_node *node = &body->nodes[index];
  *node = (tf_node){.bytes = whole->bytes,
                    .size = whole->size,
                    .type = reader->empty,
                    .first_edge = (uint32_t)reader->edges.count,
                    .fed = -1};
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_node, whole->bytes, whole->size);
  nnm_wire_field field = {0}, name = {.bytes = whole->bytes};
  while (nnm_wire_next(&message, &field)) {
    switch (field.number) {
    case NODE_DEF_NAME: name = field; break;
    case NODE_DEF_OP:
      NNM_TRY(nnm_wire_check_name(&reader->file, &field));
      node->type = nnm_graph_builder_intern(reader->builder, (const char *)field.bytes, field.size);
      if (!node->type) return nnm_fail_memory(reader->file.error);
      break;
    default: NNM_TRY(add_edge(reader, body, node, &field)); break;
    }
  }
  NNM_TRY(message.status);
  NNM_TRY(name_node(reader, body, index, &name));
  if (!*node->type)
    return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, whole->bytes,
                         "node '%.*s' has no operator; the file is damaged: fetch or export it again",
                         (int)(node->name_length > 200 ? 200 : node->name_length), node->name);
  classify(reader, node);
  return NNM_OK;
}

static nnm_status count_fields(tf_reader *reader, const nnm_wire_schema *schema, const nnm_wire_field *message_field,
                               uint32_t number, uint32_t *count) {
  nnm_wire_message message = nnm_wire_open(&reader->file, schema, message_field->bytes, message_field->size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field)) {
    if (field.number != number) continue;
    if (*count >= NNM_LIMIT_NODES)
      return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, field.bytes,
                           "more than %d nodes; simplify the model before exporting", NNM_LIMIT_NODES);
    ++*count;
  }
  return message.status;
}

static nnm_status read_nodes(tf_reader *reader, const nnm_wire_schema *schema, const nnm_wire_field *whole,
                             uint32_t number, tf_body *body) {
  nnm_wire_message message = nnm_wire_open(&reader->file, schema, whole->bytes, whole->size);
  nnm_wire_field field = {0};
  uint32_t index = body->argument_count;
  while (nnm_wire_next(&message, &field))
    if (field.number == number) NNM_TRY(read_node(reader, body, index++, &field));
  return message.status;
}

static nnm_status new_body(tf_reader *reader, uint32_t count, tf_body **out) {
  tf_body *body = NNM_ARENA_NEW(&reader->arena, tf_body);
  if (!body) return nnm_fail_memory(reader->file.error);
  body->names.arena = &reader->arena;
  body->nodes = NNM_ARENA_ARRAY(&reader->arena, tf_node, count);
  body->node_count = count;
  *out = body;
  return body->nodes ? NNM_OK : nnm_fail_memory(reader->file.error);
}

nnm_status nnm_tf_index_graph(tf_reader *reader, const nnm_wire_field *graph, tf_body **out) {
  uint32_t count = 0;
  NNM_TRY(count_fields(reader, &nnm_tf_graph_nodes, graph, GRAPH_DEF_NODE, &count));
  NNM_TRY(new_body(reader, count, out));
  return read_nodes(reader, &nnm_tf_graph_nodes, graph, GRAPH_DEF_NODE, *out);
}

/* --------------------------------------------------------------- functions */

typedef nnm_status (*visit_argument)(tf_reader *reader, void *state, const nnm_wire_field *name, bool is_output);

/* Calls visit for each argument and result that the function's signature lists. */
static nnm_status visit_signature(tf_reader *reader, const nnm_wire_field *function, visit_argument visit, void *state,
                                  nnm_wire_field *name) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_function_head, function->bytes, function->size);
  nnm_wire_field head = {0}, part = {0}, inner = {0};
  *name = (nnm_wire_field){.bytes = function->bytes};
  while (nnm_wire_next(&message, &head)) {
    nnm_wire_message signature = nnm_wire_open(&reader->file, &nnm_tf_op_def, head.bytes, head.size);
    while (nnm_wire_next(&signature, &part)) {
      if (part.number == OP_DEF_NAME) {
        *name = part;
        continue;
      }
      nnm_wire_message argument = nnm_wire_open(&reader->file, &nnm_tf_arg_def, part.bytes, part.size);
      nnm_wire_field argument_name = {.bytes = part.bytes};
      while (nnm_wire_next(&argument, &inner)) argument_name = inner;
      NNM_TRY(argument.status);
      NNM_TRY(visit(reader, state, &argument_name, part.number == OP_DEF_OUTPUT));
    }
    NNM_TRY(signature.status);
  }
  return message.status;
}

static nnm_status count_arguments(tf_reader *reader, void *state, const nnm_wire_field *name, bool is_output) {
  (void)reader;
  (void)name;
  ((uint32_t *)state)[is_output]++;
  return NNM_OK;
}

/* Names of results: other functions and graphs refer to them. */
static nnm_status keep_output(tf_reader *reader, void *state, const nnm_wire_field *name, bool is_output) {
  tf_function *function = state;
  if (!is_output) return NNM_OK;
  NNM_TRY(nnm_wire_check_name(&reader->file, name));
  const char *text = nnm_graph_builder_intern(reader->builder, name->size ? (const char *)name->bytes : "", name->size);
  if (!text) return nnm_fail_memory(reader->file.error);
  function->outputs[function->output_count++] = text;
  return NNM_OK;
}

static nnm_status add_function(tf_reader *reader, const nnm_wire_field *field) {
  tf_function function = {.field = *field};
  nnm_wire_field name;
  uint32_t counts[2] = {0, 0};
  NNM_TRY(visit_signature(reader, field, count_arguments, counts, &name));
  NNM_TRY(nnm_wire_check_name(&reader->file, &name));
  function.outputs = NNM_ARENA_ARRAY(&reader->arena, const char *, counts[1]);
  if (!function.outputs) return nnm_fail_memory(reader->file.error);
  NNM_TRY(visit_signature(reader, field, keep_output, &function, &name));
  int32_t *slot = nnm_strings_value(&reader->function_names, name.size ? (const char *)name.bytes : "", name.size);
  if (!slot) return nnm_fail_memory(reader->file.error);
  if (*slot >= 0 || !name.size) /* which one is meant would be a guess */
    return nnm_wire_fail(&reader->file, NNM_ERROR_GRAPH, field->bytes,
                         "a second function named '%.*s', or one without "
                         "a name; export the model again",
                         (int)(name.size > 200 ? 200 : name.size), name.bytes);
  *slot = (int32_t)reader->functions.count;
  return nnm_stack_push(&reader->functions, &function, reader->file.error);
}

nnm_status nnm_tf_index_functions(tf_reader *reader, const nnm_wire_field *library) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_tf_library, library->bytes, library->size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field)) NNM_TRY(add_function(reader, &field));
  return message.status;
}

tf_function *nnm_tf_find_function(tf_reader *reader, const char *name, size_t length) {
  if (!reader->functions.count) return NULL;
  const int32_t *slot = nnm_strings_value(&reader->function_names, name, length);
  return slot && *slot >= 0 ? NNM_STACK_ITEM(reader->functions, tf_function, *slot) : NULL;
}

typedef struct new_arguments {
  tf_body *body;
  uint32_t count;
} new_arguments;

static nnm_status add_argument(tf_reader *reader, void *state, const nnm_wire_field *name, bool is_output) {
  new_arguments *arguments = state;
  if (is_output) return NNM_OK;
  uint32_t index = arguments->count++;
  arguments->body->nodes[index] = (tf_node){.type = reader->empty, .kind = TF_ARGUMENT, .fed = -1};
  return name_node(reader, arguments->body, index, name);
}

/* A function's `ret`: the name of each result -> what it is. */
static nnm_status read_results(tf_reader *reader, const tf_function *function, tf_body *body) {
  nnm_strings order = {.arena = &reader->arena};
  nnm_status status = NNM_OK;
  for (uint32_t i = 0; status == NNM_OK && i < function->output_count; i++) {
    int32_t *slot = nnm_strings_value(&order, function->outputs[i], strlen(function->outputs[i]));
    if (slot) *slot = (int32_t)i;
    else status = nnm_fail_memory(reader->file.error);
  }
  nnm_wire_message message =
      nnm_wire_open(&reader->file, &nnm_tf_function_results, function->field.bytes, function->field.size);
  nnm_wire_field entry = {0}, key, value;
  while (status == NNM_OK && nnm_wire_next(&message, &entry)) {
    status = nnm_tf_read_entry(reader, &entry, &key, &value);
    int32_t *slot = status == NNM_OK && key.size ? nnm_strings_value(&order, (const char *)key.bytes, key.size) : NULL;
    if (slot && *slot >= 0 && value.size)
      status = nnm_tf_read_edge(reader, &body->names, (const char *)value.bytes, value.size, &body->results[*slot]);
  }
  nnm_strings_free(&order);
  return status == NNM_OK ? message.status : status;
}

nnm_status nnm_tf_function_body(tf_reader *reader, tf_function *function, const tf_body **out) {
  *out = function->body;
  if (function->body) return NNM_OK;
  uint32_t counts[2] = {0, 0}, nodes = 0;
  nnm_wire_field name;
  tf_body *body;
  NNM_TRY(visit_signature(reader, &function->field, count_arguments, counts, &name));
  NNM_TRY(count_fields(reader, &nnm_tf_function_nodes, &function->field, FUNCTION_NODE, &nodes));
  NNM_TRY(new_body(reader, counts[0] + nodes, &body));
  function->body = body; /* so that its names are freed, whatever happens */
  body->argument_count = counts[0];
  new_arguments arguments = {body, 0};
  NNM_TRY(visit_signature(reader, &function->field, add_argument, &arguments, &name));
  NNM_TRY(read_nodes(reader, &nnm_tf_function_nodes, &function->field, FUNCTION_NODE, body));
  body->results = NNM_ARENA_ARRAY(&reader->arena, tf_edge, function->output_count);
  if (!body->results) return nnm_fail_memory(reader->file.error);
  body->result_count = function->output_count;
  NNM_TRY(read_results(reader, function, body));
  *out = body;
  return NNM_OK;
}

const char *nnm_tf_node_text(const tf_instance *instance, uint32_t index, char *buffer, size_t size) {
  const tf_node *node = &instance->body->nodes[index];
  snprintf(buffer, size, "%s '%.*s%.*s'", node->type,
           (int)(instance->prefix_length > 60 ? 60 : instance->prefix_length), instance->prefix,
           (int)(node->name_length > 100 ? 100 : node->name_length), node->name);
  return buffer;
}
