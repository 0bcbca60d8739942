/* Which nodes the results hang on, and what an edge means once calls are looked through. */
#include <string.h>

#include "base/limits.h"
#include "readers/tensorflow/tensorflow.h"

enum { CALL_STEPS = 1024 }; /* what setting up a call is worth in steps of reading */

/* --------------------------------------------------------------- instances */

static nnm_status make_prefix(tf_reader *reader, tf_instance *instance, const char *suffix) {
  const tf_node *node = &instance->caller->body->nodes[instance->call];
  reader->name.length = 0;
  nnm_text_add_bytes(&reader->name, instance->caller->prefix, instance->caller->prefix_length);
  nnm_text_add_bytes(&reader->name, node->name, node->name_length);
  nnm_text_add(&reader->name, suffix);
  if (reader->name.length > NNM_LIMIT_NAME_BYTES)
    return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, node->bytes,
                         "a name of more than %d bytes after inlining functions; shorten the names of its nodes",
                         NNM_LIMIT_NAME_BYTES);
  if (reader->name.failed) return nnm_fail_memory(reader->file.error);
  instance->prefix = nnm_arena_text(&reader->arena, reader->name.data, reader->name.length);
  instance->prefix_length = (uint32_t)reader->name.length;
  return instance->prefix ? NNM_OK : nnm_fail_memory(reader->file.error);
}

nnm_status nnm_tf_new_instance(tf_reader *reader, const tf_body *body, tf_instance *caller, uint32_t call,
                               uint32_t skipped, tf_instance **out) {
  size_t count = body->node_count;
  tf_instance *instance = NNM_ARENA_NEW(&reader->arena, tf_instance);
  if (!instance) return nnm_fail_memory(reader->file.error);
  if (caller && caller->depth >= NNM_LIMIT_FUNCTION_DEPTH)
    return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, caller->body->nodes[call].bytes,
                         "functions call each other more than %d deep; inline them when exporting",
                         NNM_LIMIT_FUNCTION_DEPTH);
  NNM_TRY(nnm_wire_spend(&reader->file, CALL_STEPS + 4 * count));
  *instance = (tf_instance){.body = body,
                            .caller = caller,
                            .call = call,
                            .skipped = skipped,
                            .depth = caller ? caller->depth + 1 : 0,
                            .prefix = ""};
  instance->live = NNM_ARENA_ARRAY(&reader->arena, uint8_t, count);
  instance->result_live = NNM_ARENA_ARRAY(&reader->arena, uint8_t, body->result_count);
  instance->output_count = NNM_ARENA_ARRAY(&reader->arena, uint32_t, count);
  instance->outputs = NNM_ARENA_ARRAY(&reader->arena, nnm_tensor_id *, count);
  instance->children = NNM_ARENA_ARRAY(&reader->arena, tf_instance *, count);
  if (!instance->live || !instance->result_live || !instance->output_count || !instance->outputs || !instance->children)
    return nnm_fail_memory(reader->file.error);
  *out = instance;
  return NNM_OK;
}

typedef struct child_row {
  uint8_t kind; /* of the node */
  const char *attribute;
  size_t index; /* in a list of functions */
  uint32_t skipped;
  const char *suffix;
} child_row;

/* Which functions a node calls; an attribute that it does not have counts as none. A Case may have more branches than two:
 * see note_further_branches. */
static const child_row child_rows[] = {
    {TF_CALL, "f", 0, 0, "/"},
    {TF_IF, "then_branch", 0, 1, "/then/"},
    {TF_IF, "branches", 0, 1, "/branch/"},
    {TF_IF, "else_branch", 0, 1, "/else/"},
    {TF_IF, "branches", 1, 1, "/branch_1/"},
    {TF_WHILE, "cond", 0, 0, "/cond/"},
    {TF_WHILE, "body", 0, 0, "/body/"},
};

static nnm_status fail_call(tf_reader *reader, const tf_instance *instance, uint32_t node, const char *what) {
  char text[320];
  return nnm_wire_fail(&reader->file, NNM_ERROR_GRAPH, instance->body->nodes[node].bytes,
                       "%s %s; export the model again", nnm_tf_node_text(instance, node, text, sizeof text), what);
}

static nnm_status add_child(tf_reader *reader, tf_instance *instance, uint32_t node, tf_function *function,
                            uint32_t skipped, const char *suffix, tf_instance ***last) {
  const tf_body *body;
  tf_instance *child;
  NNM_TRY(nnm_tf_function_body(reader, function, &body));
  if (instance->body->nodes[node].edge_count < skipped + body->argument_count)
    return fail_call(reader, instance, node, "gives its function too few inputs");
  NNM_TRY(nnm_tf_new_instance(reader, body, instance, node, skipped, &child));
  NNM_TRY(make_prefix(reader, child, suffix));
  **last = child;
  *last = &child->sibling;
  return NNM_OK;
}

/* One of several branches runs, and a block has room for two: the others are told, not read. */
static nnm_status note_further_branches(tf_reader *reader, const tf_instance *instance, uint32_t index) {
  nnm_wire_field name;
  char text[320];
  NNM_TRY(nnm_tf_function_of(reader, &instance->body->nodes[index], "branches", 2, &name));
  if (!name.size) return NNM_OK;
  return nnm_graph_builder_note(reader->builder, reader->file.error,
                                "%s has more than two branches, of which one runs: only the first two are looked at",
                                nnm_tf_node_text(instance, index, text, sizeof text));
}

static nnm_status make_children(tf_reader *reader, tf_instance *instance, uint32_t index) {
  const tf_node *node = &instance->body->nodes[index];
  tf_instance **last = &instance->children[index];
  if (!node->row) /* its type is the function */
    return add_child(reader, instance, index, nnm_tf_find_function(reader, node->type, strlen(node->type)), 0, "/",
                     &last);
  for (size_t i = 0; i < sizeof child_rows / sizeof child_rows[0]; i++) {
    const child_row *row = &child_rows[i];
    nnm_wire_field name;
    if (row->kind != node->kind) continue;
    NNM_TRY(nnm_tf_function_of(reader, node, row->attribute, row->index, &name));
    if (!name.size) continue;
    tf_function *function = nnm_tf_find_function(reader, (const char *)name.bytes, name.size);
    if (!function) return fail_call(reader, instance, index, "calls a function that the file does not hold");
    NNM_TRY(add_child(reader, instance, index, function, row->skipped, row->suffix, &last));
  }
  if (node->kind == TF_IF) NNM_TRY(note_further_branches(reader, instance, index));
  bool complete = instance->children[index] && (node->kind == TF_CALL || instance->children[index]->sibling);
  return complete ? NNM_OK : fail_call(reader, instance, index, "does not say which function it calls");
}

nnm_status nnm_tf_children(tf_reader *reader, tf_instance *instance, uint32_t node, tf_instance **out) {
  if (!instance->children[node]) NNM_TRY(make_children(reader, instance, node));
  *out = instance->children[node];
  return NNM_OK;
}

/* ------------------------------------------------------------------- edges */

const tf_edge *nnm_tf_edge_of(const tf_reader *reader, const tf_instance *instance, uint32_t node, uint32_t index) {
  return NNM_STACK_ITEM(reader->edges, tf_edge, instance->body->nodes[node].first_edge + index);
}

static nnm_status fail_dangling(tf_reader *reader, const tf_instance *instance, const tf_edge *edge) {
  return nnm_fail(reader->file.error, NNM_ERROR_GRAPH, instance->prefix_length ? instance->prefix : NULL,
                  "a node reads '%.200s', which nothing defines; export the model again",
                  edge->node ? (const char *)(edge->node + 1) : "");
}

/* Where output `wanted` stands in "values,indices"; -1: nowhere. */
static int32_t find_output(const char *names, const char *wanted, size_t length) {
  for (int32_t i = 0; *names; i++) {
    size_t name = strcspn(names, ",");
    if (name == length && !memcmp(names, wanted, length)) return i;
    names += name + (names[name] == ',');
  }
  return -1;
}

/* A named output of a function's node as the number of the output. */
static uint32_t number_of_output(tf_reader *reader, const tf_node *node, const tf_edge *edge) {
  if (!edge->output_length) return edge->port;
  if (node->kind == TF_CALL && !node->row) {
    const tf_function *function = nnm_tf_find_function(reader, node->type, strlen(node->type));
    for (uint32_t i = 0; function && i < function->output_count; i++)
      if (strlen(function->outputs[i]) == edge->output_length &&
          !memcmp(function->outputs[i], edge->output, edge->output_length))
        return i;
  }
  int32_t first =
      node->row && node->row->outputs ? find_output(node->row->outputs, edge->output, edge->output_length) : 0;
  return (first < 0 ? 0 : (uint32_t)first) + edge->port;
}

static nnm_status node_of_edge(tf_reader *reader, tf_instance *instance, const tf_edge *edge, tf_port *out) {
  if (!edge->node || *edge->node < 0) return fail_dangling(reader, instance, edge);
  uint32_t node = (uint32_t)*edge->node;
  uint32_t port = number_of_output(reader, &instance->body->nodes[node], edge);
  *out = (tf_port){instance, node, port < NNM_LIMIT_NODE_PORTS ? port : 0};
  return NNM_OK;
}

static bool is_copy(const tf_node *node) {
  return node->fed < 0 && node->edge_count == 1 &&
         (!strcmp(node->type, "Identity") || !strcmp(node->type, "StopGradient"));
}

/* What the arguments of a loop's functions are, changes from turn to turn. */
static bool is_of_loop(const tf_instance *instance) {
  return instance->caller && instance->caller->body->nodes[instance->call].kind == TF_WHILE;
}

/* One step towards what a port means; *done when it means itself. */
static nnm_status step(tf_reader *reader, bool through_copies, tf_port *at, bool *done) {
  tf_instance *instance = at->instance;
  const tf_node *node = &instance->body->nodes[at->node];
  if (node->kind == TF_CALL && node->fed < 0) {
    tf_instance *child;
    NNM_TRY(nnm_tf_children(reader, instance, at->node, &child));
    if (at->port >= child->body->result_count || !child->body->results[at->port].node)
      return fail_call(reader, instance, at->node, "has fewer results than are read of it");
    return node_of_edge(reader, child, &child->body->results[at->port], at);
  }
  if (node->kind == TF_ARGUMENT && instance->caller && !is_of_loop(instance))
    return node_of_edge(reader, instance->caller,
                        nnm_tf_edge_of(reader, instance->caller, instance->call, instance->skipped + at->node), at);
  if (through_copies && is_copy(node))
    return node_of_edge(reader, instance, nnm_tf_edge_of(reader, instance, at->node, 0), at);
  *done = true;
  return NNM_OK;
}

nnm_status nnm_tf_follow(tf_reader *reader, tf_instance *instance, const tf_edge *edge, bool through_copies,
                         tf_port *out) {
  enum { LONGEST_WAY = 1 << 20 };
  bool done = false;
  NNM_TRY(node_of_edge(reader, instance, edge, out));
  for (int steps = 0; !done; steps++) {
    if (steps == LONGEST_WAY)
      return nnm_fail(reader->file.error, NNM_ERROR_GRAPH, NULL,
                      "functions hand each other their own results in a circle; export the model again");
    NNM_TRY(nnm_wire_spend(&reader->file, 1));
    NNM_TRY(step(reader, through_copies, out, &done));
  }
  return NNM_OK;
}

/* ---------------------------------------------------------------- liveness */

static nnm_status push(tf_reader *reader, const tf_port *port) {
  return nnm_stack_push(&reader->pending, port, reader->file.error);
}

static nnm_status push_edge(tf_reader *reader, tf_instance *instance, const tf_edge *edge) {
  tf_port port;
  NNM_TRY(node_of_edge(reader, instance, edge, &port));
  return push(reader, &port);
}

static nnm_status push_results(tf_reader *reader, tf_instance *child) {
  for (uint32_t i = 0; i < child->body->result_count; i++) {
    if (!child->body->results[i].node)
      return fail_call(reader, child->caller, child->call, "has a function without one of its results");
    if (child->result_live[i]) continue;
    child->result_live[i] = 1;
    NNM_TRY(push_edge(reader, child, &child->body->results[i]));
  }
  return NNM_OK;
}

/* A call: only the result that is asked for. */
static nnm_status look_into_call(tf_reader *reader, tf_instance *instance, uint32_t node, uint32_t result) {
  tf_instance *child;
  NNM_TRY(nnm_tf_children(reader, instance, node, &child));
  if (result >= child->body->result_count || !child->body->results[result].node)
    return fail_call(reader, instance, node, "has fewer results than are read of it");
  if (child->result_live[result]) return NNM_OK;
  child->result_live[result] = 1;
  return push_edge(reader, child, &child->body->results[result]);
}

static nnm_status look_into_bodies(tf_reader *reader, tf_instance *instance, uint32_t node) {
  tf_instance *child;
  NNM_TRY(nnm_tf_children(reader, instance, node, &child));
  for (; child; child = child->sibling) NNM_TRY(push_results(reader, child));
  return NNM_OK;
}

static bool is_leaf(const tf_node *node) {
  return node->fed >= 0 || node->kind == TF_CONSTANT || node->kind == TF_VARIABLE || node->kind == TF_PLACEHOLDER;
}

static nnm_status visit(tf_reader *reader, const tf_port *port) {
  tf_instance *instance = port->instance;
  const tf_node *node = &instance->body->nodes[port->node];
  if (node->kind == TF_CALL && node->fed < 0) NNM_TRY(look_into_call(reader, instance, port->node, port->port));
  if (port->port >= instance->output_count[port->node]) instance->output_count[port->node] = port->port + 1;
  if (instance->live[port->node]) return NNM_OK;
  instance->live[port->node] = 1;
  if (node->kind == TF_ARGUMENT) {
    if (!instance->caller || is_of_loop(instance)) return NNM_OK; /* what a loop starts from is live anyhow */
    return push_edge(reader, instance->caller,
                     nnm_tf_edge_of(reader, instance->caller, instance->call, instance->skipped + port->node));
  }
  if (is_leaf(node) || node->kind == TF_CALL) return NNM_OK;
  if (node->kind == TF_IF || node->kind == TF_WHILE) NNM_TRY(look_into_bodies(reader, instance, port->node));
  uint32_t count = node->kind == TF_IF && node->edge_count ? 1 : node->edge_count; /* a branch asks for what it needs */
  for (uint32_t i = 0; i < count; i++)
    NNM_TRY(push_edge(reader, instance, nnm_tf_edge_of(reader, instance, port->node, i)));
  return NNM_OK;
}

nnm_status nnm_tf_mark_live(tf_reader *reader, tf_instance *instance, uint32_t node, uint32_t port) {
  tf_port next = {instance, node, port};
  NNM_TRY(push(reader, &next));
  while (reader->pending.count) {
    next = *NNM_STACK_ITEM(reader->pending, tf_port, --reader->pending.count);
    NNM_TRY(nnm_wire_spend(&reader->file, 1));
    NNM_TRY(visit(reader, &next));
  }
  return NNM_OK;
}

/* ----------------------------------------------------------------- tensors */

/* A name that no tensor has yet. */
static nnm_status free_name(tf_reader *reader, const tf_instance *instance, uint32_t index, uint32_t port,
                            const char **out) {
  const tf_node *node = &instance->body->nodes[index];
  reader->name.length = 0;
  nnm_text_add_bytes(&reader->name, instance->prefix, instance->prefix_length);
  nnm_text_add_bytes(&reader->name, node->name, node->name_length);
  for (int attempt = 0;; attempt++) {
    size_t length = reader->name.length;
    nnm_text_printf(&reader->name, ":%u", (unsigned)port);
    if (reader->name.length > 2 * NNM_LIMIT_NAME_BYTES)
      return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, node->bytes,
                           "a name of more than %d bytes after inlining functions; shorten the names of its nodes",
                           2 * NNM_LIMIT_NAME_BYTES);
    NNM_TRY(nnm_wire_spend(&reader->file, reader->name.length / 8));
    if (reader->name.failed) return nnm_fail_memory(reader->file.error);
    *out = nnm_graph_builder_intern(reader->builder, reader->name.data, reader->name.length);
    if (!*out) return nnm_fail_memory(reader->file.error);
    if (nnm_graph_builder_find_tensor(reader->builder, *out) < 0) return NNM_OK;
    reader->name.length = length;
    nnm_text_add(&reader->name, "'");
  }
}

nnm_status nnm_tf_make_room(tf_reader *reader, tf_instance *instance, uint32_t node, uint32_t port) {
  uint32_t count = instance->output_count[node];
  if (instance->outputs[node] && port < count) return NNM_OK;
  uint32_t wanted = port < count ? count : port + 1;
  nnm_tensor_id *ids = NNM_ARENA_ARRAY(&reader->arena, nnm_tensor_id, wanted);
  if (!ids) return nnm_fail_memory(reader->file.error);
  for (uint32_t i = 0; i < wanted; i++) ids[i] = instance->outputs[node] && i < count ? instance->outputs[node][i] : -1;
  instance->outputs[node] = ids;
  instance->output_count[node] = wanted;
  return NNM_OK;
}

nnm_status nnm_tf_tensor_of(tf_reader *reader, tf_instance *instance, uint32_t node, uint32_t port,
                            nnm_tensor_id *out) {
  if (instance->formals && instance->body->nodes[node].kind == TF_ARGUMENT) {
    *out = instance->formals[node];
    return NNM_OK;
  }
  NNM_TRY(nnm_tf_make_room(reader, instance, node, port));
  nnm_tensor_id *id = &instance->outputs[node][port];
  if (*id < 0) {
    const char *name;
    NNM_TRY(free_name(reader, instance, node, port, &name));
    NNM_TRY(nnm_graph_builder_tensor(reader->builder, name, id, reader->file.error));
  }
  *out = *id;
  return NNM_OK;
}

nnm_status nnm_tf_tensor_at(tf_reader *reader, tf_instance *instance, const tf_edge *edge, nnm_tensor_id *out) {
  tf_port port;
  NNM_TRY(nnm_tf_follow(reader, instance, edge, false, &port));
  return nnm_tf_tensor_of(reader, port.instance, port.node, port.port, out);
}
