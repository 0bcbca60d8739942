/* FunctionProto: a call is replaced by the function's nodes. The function is read again for every call, straight from
 * the file, so nothing has to be kept or copied; the reading budget ends functions that multiply without end. */
#include <string.h>

#include "base/limits.h"
#include "ops/ops.h"
#include "readers/onnx/onnx.h"

enum { CALL_STEPS = 256 }; /* what setting up a call is worth in steps of reading */

/* ---- the functions of the model */

/* The key of a function in reader->function_names, left in reader->name. The separator occurs in no sane name; names
 * that do contain it can at worst be taken for each other within their own file. */
static nnm_status make_key(onnx_reader *reader, const char *domain, const char *type, const char *overload) {
  reader->name.length = 0;
  nnm_text_printf(&reader->name, "%s\x1f%s\x1f%s", domain, type, overload);
  return reader->name.failed ? nnm_fail_memory(reader->file.error) : NNM_OK;
}

typedef struct function_head {
  const char *name, *domain, *overload;
} function_head;

static nnm_status read_head(onnx_reader *reader, const nnm_wire_field *function, function_head *head) {
  head->name = head->domain = head->overload = "";
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_function_head, function->bytes, function->size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field)) {
    switch (field.number) {
    case FUNCTION_NAME: NNM_TRY(nnm_onnx_name(reader, &field, &head->name)); break;
    case FUNCTION_DOMAIN: NNM_TRY(nnm_onnx_name(reader, &field, &head->domain)); break;
    case FUNCTION_OVERLOAD: NNM_TRY(nnm_onnx_name(reader, &field, &head->overload)); break;
    /* ONNX demands that a function's operators mean the same in its opset and in the model's, so the versions it
       * imports only matter to a model that imports none itself. */
    default: NNM_TRY(nnm_onnx_read_opset(reader, &field)); break;
    }
  }
  if (!strcmp(head->domain, "ai.onnx")) head->domain = "";
  return message.status;
}

nnm_status nnm_onnx_add_function(onnx_reader *reader, const nnm_wire_field *field) {
  function_head head;
  NNM_TRY(read_head(reader, field, &head));
  NNM_TRY(make_key(reader, head.domain, head.name, head.overload));
  int32_t *slot = nnm_strings_value(&reader->function_names, reader->name.data, reader->name.length);
  if (!slot) return nnm_fail_memory(reader->file.error);
  if (*slot >= 0)
    return nnm_fail(reader->file.error, NNM_ERROR_GRAPH, head.name,
                    "function is defined twice; export the model again");
  if (reader->functions.count >= NNM_LIMIT_NODES)
    return nnm_fail(reader->file.error, NNM_ERROR_LIMIT, head.name,
                    "more than %d functions; inline them when exporting", NNM_LIMIT_NODES);
  *slot = (int32_t)reader->functions.count;
  return nnm_stack_push(&reader->functions, &(onnx_function){field->bytes, field->size, false}, reader->file.error);
}

nnm_status nnm_onnx_find_function(onnx_reader *reader, const char *domain, const char *type, const char *overload,
                                  onnx_function **out) {
  *out = NULL;
  if (!reader->functions.count) return NNM_OK;
  NNM_TRY(make_key(reader, domain, type, overload));
  const int32_t *slot = nnm_strings_value(&reader->function_names, reader->name.data, reader->name.length);
  if (!slot) return nnm_fail_memory(reader->file.error);
  if (*slot >= 0) *out = NNM_STACK_ITEM(reader->functions, onnx_function, *slot);
  return NNM_OK;
}

/* ---- inlining */

static nnm_status fail_call(onnx_reader *reader, nnm_status status, const onnx_call *call, const char *what) {
  return nnm_fail(reader->file.error, status, *call->name ? call->name : call->type, "calls function '%.200s', %s",
                  call->type, what);
}

/* Gives a formal name its meaning. A name may be both an input and an output; *taken then tells. */
static nnm_status bind(onnx_reader *reader, onnx_scope *scope, const nnm_wire_field *formal, nnm_tensor_id tensor,
                       bool *taken) {
  int32_t *slot = nnm_strings_value(&scope->names, (const char *)formal->bytes, formal->size);
  if (!slot) return nnm_fail_memory(reader->file.error);
  *taken = *slot != NAME_OF_FUNCTION;
  if (!*taken) *slot = tensor >= 0 ? tensor : NAME_ABSENT;
  return NNM_OK;
}

/* An Identity node from one tensor to another, for a function that hands an input on. */
static nnm_status pass_through(onnx_reader *reader, nnm_tensor_id from, nnm_tensor_id to) {
  nnm_node node = {.name = reader->empty,
                   .type = nnm_graph_builder_intern(reader->builder, "Identity", 8),
                   .domain = reader->empty,
                   .inputs = &from,
                   .input_count = 1,
                   .outputs = &to,
                   .output_count = 1};
  if (!node.type) return nnm_fail_memory(reader->file.error);
  node.op = (int32_t)nnm_op_of_onnx(node.domain, node.type);
  return nnm_graph_builder_node(reader->builder, &node, NULL, reader->file.error);
}

static nnm_status bind_output(onnx_reader *reader, onnx_scope *scope, const nnm_wire_field *formal,
                              nnm_tensor_id tensor) {
  if (tensor < 0) return NNM_OK; /* nobody wants it: an ordinary name of the function */
  bool taken;
  NNM_TRY(bind(reader, scope, formal, tensor, &taken));
  if (!taken) return NNM_OK;
  const int32_t *slot = nnm_strings_value(&scope->names, (const char *)formal->bytes, formal->size);
  if (!slot) return nnm_fail_memory(reader->file.error);
  return *slot < 0 ? NNM_OK : pass_through(reader, *slot, tensor);
}

static nnm_status bind_ports(onnx_reader *reader, onnx_scope *scope, const onnx_call *call) {
  size_t input = call->first_input, output = call->first_output;
  size_t input_end = reader->inputs.count, output_end = reader->outputs.count;
  nnm_wire_message message =
      nnm_wire_open(&reader->file, &nnm_onnx_function_ports, scope->function->bytes, scope->function->size);
  nnm_wire_field field = {0};
  /* outputs lie behind inputs in the file; where they do not, one that is also an input is caught as defined twice */
  while (nnm_wire_next(&message, &field)) {
    bool is_input = field.number == FUNCTION_INPUT, taken;
    size_t *next = is_input ? &input : &output, end = is_input ? input_end : output_end;
    nnm_stack *stack = is_input ? &reader->inputs : &reader->outputs;
    nnm_tensor_id tensor = *next < end ? *NNM_STACK_ITEM(*stack, nnm_tensor_id, *next) : -1;
    ++*next;
    if (!field.size) continue;
    if (!is_input) {
      NNM_TRY(bind_output(reader, scope, &field, tensor));
      continue;
    }
    NNM_TRY(bind(reader, scope, &field, tensor, &taken));
    if (taken) return fail_call(reader, NNM_ERROR_GRAPH, call, "two of whose inputs have one name; export it again");
  }
  NNM_TRY(message.status);
  if (input < input_end || output < output_end)
    return fail_call(reader, NNM_ERROR_GRAPH, call, "which has fewer inputs or outputs; export the model again");
  return NNM_OK;
}

static nnm_status read_body(onnx_reader *reader, const onnx_function *function) {
  nnm_wire_message nodes = nnm_wire_open(&reader->file, &nnm_onnx_function_nodes, function->bytes, function->size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&nodes, &field)) NNM_TRY(nnm_onnx_read_node(reader, &field));
  NNM_TRY(nodes.status);
  nnm_wire_message ends = nnm_wire_open(&reader->file, &nnm_onnx_function_ends, function->bytes, function->size);
  while (nnm_wire_next(&ends, &field)) NNM_TRY(nnm_onnx_read_value_info(reader, &field));
  return ends.status;
}

/* The number makes it unique: the name or type of the call alone need not be, and may begin other names, too. */
static nnm_status make_prefix(onnx_reader *reader, onnx_scope *scope, const onnx_call *call) {
  const char *base = call->name;
  if (!*base) base = call->type;
  const char *around = *call->name || !scope->caller ? "" : scope->caller->prefix; /* call->name has it already */
  scope->prefix = nnm_arena_printf(&scope->arena, "%s%s#%zu/", around, base, ++reader->call_count);
  return scope->prefix ? NNM_OK : nnm_fail_memory(reader->file.error);
}

nnm_status nnm_onnx_inline(onnx_reader *reader, onnx_function *function, const onnx_call *call) {
  int depth = reader->scope ? reader->scope->function_depth + 1 : 1;
  if (function->in_progress)
    return fail_call(reader, NNM_ERROR_GRAPH, call, "which calls itself; a model cannot recurse: export it again");
  if (depth > NNM_LIMIT_FUNCTION_DEPTH)
    return fail_call(reader, NNM_ERROR_LIMIT, call, "too deep inside other functions; inline them when exporting");
  NNM_TRY(nnm_wire_spend(&reader->file, CALL_STEPS));
  onnx_scope scope = {.caller = reader->scope,
                      .function_depth = depth,
                      .body_depth = reader->body_depth,
                      .call = *call->node,
                      .function = function};
  scope.names.arena = &scope.arena;
  nnm_status status = make_prefix(reader, &scope, call);
  if (status == NNM_OK) status = bind_ports(reader, &scope, call);
  if (status == NNM_OK) {
    function->in_progress = true;
    reader->scope = &scope;
    status = read_body(reader, function);
    reader->scope = scope.caller;
    function->in_progress = false;
  }
  nnm_strings_free(&scope.names);
  nnm_arena_free(&scope.arena);
  return status;
}

/* ---- attributes of a call */

static nnm_status find_attribute(onnx_reader *reader, const nnm_wire_schema *schema, const unsigned char *bytes,
                                 size_t size, const char *name, nnm_wire_field *out, bool *found) {
  size_t length = strlen(name);
  nnm_wire_message message = nnm_wire_open(&reader->file, schema, bytes, size);
  nnm_wire_field attribute = {0};
  while (!*found && nnm_wire_next(&message, &attribute)) {
    nnm_wire_message parts = nnm_wire_open(&reader->file, &nnm_onnx_attribute_name, attribute.bytes, attribute.size);
    nnm_wire_field part = {0};
    while (nnm_wire_next(&parts, &part))
      if (part.size == length && !memcmp(part.bytes, name, length)) {
        *found = true;
        *out = attribute;
      }
    NNM_TRY(parts.status);
  }
  return message.status;
}

nnm_status nnm_onnx_actual_attribute(onnx_reader *reader, const char *name, nnm_wire_field *out, onnx_scope **scope,
                                     bool *found) {
  onnx_scope *here = reader->scope;
  *found = false;
  *scope = here->caller;
  NNM_TRY(find_attribute(reader, &nnm_onnx_node_attributes, here->call.bytes, here->call.size, name, out, found));
  if (*found) return NNM_OK;
  *scope = here;
  return find_attribute(reader, &nnm_onnx_function_defaults, here->function->bytes, here->function->size, name, out,
                        found);
}
