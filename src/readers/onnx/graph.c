/* GraphProto: walked in the order in which names become known, not in the order of the file (nodes come first there). */
#include <string.h>

#include "base/limits.h"
#include "ops/ops.h"
#include "readers/onnx/onnx.h"

/* ---- value_info: what the file says of a tensor's type */

typedef struct declared_type {
  nnm_dtype dtype;
  int32_t rank; /* -1: no shape given */
  int64_t dims[NNM_LIMIT_RANK];
  const char *symbols[NNM_LIMIT_RANK];
  bool has_symbols;
} declared_type;

static nnm_status read_dim(onnx_reader *reader, const nnm_wire_field *field, declared_type *type) {
  if (type->rank == NNM_LIMIT_RANK)
    return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, field->bytes,
                         "a tensor of more than %d dimensions; reshape it before exporting", NNM_LIMIT_RANK);
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_dim, field->bytes, field->size);
  nnm_wire_field part = {0};
  int64_t value = -1;
  const char *symbol = NULL;
  while (nnm_wire_next(&message, &part)) {
    if (part.number == DIM_VALUE) value = (int64_t)part.value;
    else NNM_TRY(nnm_onnx_name(reader, &part, &symbol));
  }
  if (symbol && !*symbol) symbol = NULL;
  type->dims[type->rank] = value;
  type->symbols[type->rank++] = symbol;
  type->has_symbols |= symbol != NULL;
  return message.status;
}

static nnm_status read_shape(onnx_reader *reader, const nnm_wire_field *field, declared_type *type) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_shape, field->bytes, field->size);
  nnm_wire_field dim = {0};
  type->rank = 0;
  while (nnm_wire_next(&message, &dim)) NNM_TRY(read_dim(reader, &dim, type));
  return message.status;
}

static nnm_status read_tensor_type(onnx_reader *reader, const nnm_wire_field *field, declared_type *type) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_tensor_type, field->bytes, field->size);
  nnm_wire_field part = {0};
  while (nnm_wire_next(&message, &part)) {
    if (part.number == TENSOR_TYPE_ELEMENT) type->dtype = nnm_onnx_element_type(reader, part.value);
    else NNM_TRY(read_shape(reader, &part, type));
  }
  return message.status;
}

/* Sequences, maps and optionals are no tensors: they stay of unknown type and shape. */
static nnm_status read_type(onnx_reader *reader, const nnm_wire_field *field, declared_type *type) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_type, field->bytes, field->size);
  nnm_wire_field part = {0};
  while (nnm_wire_next(&message, &part)) NNM_TRY(read_tensor_type(reader, &part, type));
  return message.status;
}

static nnm_status read_value(onnx_reader *reader, const nnm_wire_field *field, nnm_wire_field *name,
                             declared_type *type) {
  *name = (nnm_wire_field){0};
  *type = (declared_type){.rank = -1};
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_value, field->bytes, field->size);
  nnm_wire_field part = {0};
  while (nnm_wire_next(&message, &part)) {
    if (part.number == VALUE_NAME) *name = part;
    else NNM_TRY(read_type(reader, &part, type));
  }
  return message.status;
}

static nnm_status declare(onnx_reader *reader, nnm_tensor_id tensor, const declared_type *type) {
  if (type->rank < 0 && type->dtype == NNM_DTYPE_UNKNOWN) return NNM_OK;
  nnm_arena *arena = nnm_graph_builder_arena(reader->builder);
  const int64_t *dims = NULL;
  const char *const *symbols = NULL;
  if (type->rank >= 0) dims = nnm_arena_copy(arena, type->dims, (size_t)type->rank, sizeof *dims);
  if (type->has_symbols) symbols = nnm_arena_copy(arena, type->symbols, (size_t)type->rank, sizeof *symbols);
  if ((type->rank >= 0 && !dims) || (type->has_symbols && !symbols)) return nnm_fail_memory(reader->file.error);
  return nnm_graph_builder_declare(reader->builder, tensor, type->dtype, type->rank, dims, symbols, reader->file.error);
}

static nnm_status fail_unnamed(onnx_reader *reader, const nnm_wire_field *field, const char *what) {
  return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, field->bytes,
                       "%s without a name; the file is damaged: fetch or export it again", what);
}

static nnm_status read_input(onnx_reader *reader, const nnm_wire_field *field) {
  nnm_wire_field name;
  declared_type type;
  NNM_TRY(read_value(reader, field, &name, &type));
  if (!name.size) return fail_unnamed(reader, field, "an input");
  nnm_tensor_id tensor;
  NNM_TRY(nnm_onnx_tensor_written(reader, &name, &tensor));
  NNM_TRY(declare(reader, tensor, &type));
  NNM_TRY(nnm_graph_builder_input(reader->builder, tensor, reader->file.error));
  if (reader->body_depth) return NNM_OK;
  bool known = type.rank >= 0;
  for (int32_t i = 0; i < type.rank; i++) known &= type.dims[i] >= 0;
  return nnm_onnx_note_input(reader, &name, known);
}

static nnm_status read_output(onnx_reader *reader, const nnm_wire_field *field) {
  nnm_wire_field name;
  declared_type type;
  NNM_TRY(read_value(reader, field, &name, &type));
  if (!name.size) return fail_unnamed(reader, field, "an output");
  nnm_tensor_id tensor;
  NNM_TRY(nnm_onnx_tensor_read(reader, &name, &tensor));
  if (tensor < 0) return fail_unnamed(reader, field, "an output of a function that is not there");
  nnm_onnx_settle_input(reader, tensor);
  NNM_TRY(declare(reader, tensor, &type));
  return nnm_graph_builder_output(reader->builder, tensor, reader->file.error);
}

nnm_status nnm_onnx_read_value_info(onnx_reader *reader, const nnm_wire_field *field) {
  nnm_wire_field name;
  declared_type type;
  NNM_TRY(read_value(reader, field, &name, &type));
  if (!name.size) return NNM_OK;
  const char *text;
  NNM_TRY(nnm_onnx_scoped_name(reader, &name, &text));
  nnm_tensor_id tensor = nnm_graph_builder_find_tensor(reader->builder, text);
  return tensor < 0 ? NNM_OK : declare(reader, tensor, &type);
}

static nnm_status read_weight(onnx_reader *reader, const nnm_wire_field *field) {
  onnx_named_constant constant = {0};
  NNM_TRY(field->number == GRAPH_INITIALIZER ? nnm_onnx_constant(reader, field, &constant)
                                             : nnm_onnx_sparse_constant(reader, field, &constant));
  if (!constant.name.size) return fail_unnamed(reader, field, "an initializer");
  nnm_tensor_id tensor;
  NNM_TRY(nnm_onnx_tensor_written(reader, &constant.name, &tensor));
  nnm_onnx_settle_input(reader, tensor);
  return nnm_graph_builder_weight(reader->builder, tensor, constant.constant, reader->file.error);
}

/* ---- nodes */

enum { INLINED_NODE_STEPS = 64 }; /* what a node's memory is worth in steps of reading */

typedef struct raw_node {
  nnm_wire_field whole;
  nnm_node node; /* name, type, domain */
  const char *overload;
  size_t first_input, first_output, first_raw_attribute, first_attribute; /* on the reader's stacks */
} raw_node;

static nnm_status push_port(onnx_reader *reader, const nnm_wire_field *field) {
  bool is_input = field->number == NODE_INPUT;
  nnm_tensor_id tensor;
  NNM_TRY(is_input ? nnm_onnx_tensor_read(reader, field, &tensor) : nnm_onnx_tensor_written(reader, field, &tensor));
  return nnm_stack_push(is_input ? &reader->inputs : &reader->outputs, &tensor, reader->file.error);
}

static nnm_status read_domain(onnx_reader *reader, const nnm_wire_field *field, const char **domain) {
  NNM_TRY(nnm_onnx_name(reader, field, domain));
  if (!strcmp(*domain, "ai.onnx")) *domain = reader->empty;
  return NNM_OK;
}

/* Attributes are read when the rest is known. */
static nnm_status keep_attribute(onnx_reader *reader, const raw_node *raw, const nnm_wire_field *field) {
  if (reader->raw_attributes.count - raw->first_raw_attribute >= NNM_LIMIT_ATTRIBUTES)
    return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, field->bytes,
                         "node %zu has more than %d attributes; the file is damaged: fetch or export it again",
                         reader->node_count, NNM_LIMIT_ATTRIBUTES);
  return nnm_stack_push(&reader->raw_attributes, field, reader->file.error);
}

/* Everything but the attributes. */
static nnm_status read_node_head(onnx_reader *reader, raw_node *raw) {
  nnm_wire_message message = nnm_wire_open(&reader->file, &nnm_onnx_node, raw->whole.bytes, raw->whole.size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field)) {
    switch (field.number) {
    case NODE_INPUT:
    case NODE_OUTPUT: NNM_TRY(push_port(reader, &field)); break;
    case NODE_NAME: NNM_TRY(nnm_onnx_scoped_name(reader, &field, &raw->node.name)); break;
    case NODE_OP_TYPE: NNM_TRY(nnm_onnx_name(reader, &field, &raw->node.type)); break;
    case NODE_DOMAIN: NNM_TRY(read_domain(reader, &field, &raw->node.domain)); break;
    case NODE_ATTRIBUTE: NNM_TRY(keep_attribute(reader, raw, &field)); break;
    case NODE_OVERLOAD: NNM_TRY(nnm_onnx_name(reader, &field, &raw->overload)); break;
    default: break;
    }
  }
  NNM_TRY(message.status);
  if (!*raw->node.type)
    return nnm_wire_fail(&reader->file, NNM_ERROR_FORMAT, raw->whole.bytes,
                         "node %zu has no operator type; the file is damaged: fetch or export it again",
                         reader->node_count);
  return NNM_OK;
}

static nnm_status read_attributes(onnx_reader *reader, const raw_node *raw) {
  size_t end = reader->raw_attributes.count;
  for (size_t i = raw->first_raw_attribute; i < end; i++) {
    nnm_wire_field field =
        *NNM_STACK_ITEM(reader->raw_attributes, nnm_wire_field, i); /* bodies push more: the stack moves */
    size_t index = reader->attributes.count; /* several from here when it is a list of tensors; none for types */
    NNM_TRY(nnm_onnx_read_attribute(reader, &field, NULL));
    if (reader->attributes.count == index) continue;
    NNM_TRY(nnm_onnx_check_twice(reader, &field, &raw->node, raw->first_attribute, index));
    NNM_TRY(nnm_onnx_check_kind(reader, &field, &raw->node, NNM_STACK_ITEM(reader->attributes, nnm_attribute, index)));
  }
  return NNM_OK;
}

static nnm_status add_node(onnx_reader *reader, raw_node *raw) {
  NNM_TRY(read_attributes(reader, raw));
  nnm_node *node = &raw->node;
  node->input_count = (uint32_t)(reader->inputs.count - raw->first_input);
  node->output_count = (uint32_t)(reader->outputs.count - raw->first_output);
  node->attribute_count = (uint32_t)(reader->attributes.count - raw->first_attribute);
  node->inputs = node->input_count ? NNM_STACK_ITEM(reader->inputs, nnm_tensor_id, raw->first_input) : NULL;
  node->outputs = node->output_count ? NNM_STACK_ITEM(reader->outputs, nnm_tensor_id, raw->first_output) : NULL;
  node->attributes =
      node->attribute_count ? NNM_STACK_ITEM(reader->attributes, nnm_attribute, raw->first_attribute) : NULL;
  nnm_onnx_note_use(reader, node);
  return nnm_graph_builder_node(reader->builder, node, NULL, reader->file.error);
}

nnm_status nnm_onnx_read_node(onnx_reader *reader, const nnm_wire_field *field) {
  const char *empty = reader->empty;
  raw_node raw = {.whole = *field,
                  .node = {.name = empty, .type = empty, .domain = empty},
                  .overload = empty,
                  .first_input = reader->inputs.count,
                  .first_output = reader->outputs.count,
                  .first_raw_attribute = reader->raw_attributes.count,
                  .first_attribute = reader->attributes.count};
  if (reader->scope) NNM_TRY(nnm_wire_spend(&reader->file, INLINED_NODE_STEPS));
  NNM_TRY(read_node_head(reader, &raw));
  /* An operator that is known by itself stays, even if the file spells it out as a function. */
  raw.node.op = (int32_t)nnm_op_of_onnx(raw.node.domain, raw.node.type);
  onnx_function *function = NULL;
  if (raw.node.op == NNM_OP_UNKNOWN)
    NNM_TRY(nnm_onnx_find_function(reader, raw.node.domain, raw.node.type, raw.overload, &function));
  onnx_call call = {field, raw.node.name, raw.node.type, raw.first_input, raw.first_output};
  NNM_TRY(function ? nnm_onnx_inline(reader, function, &call) : add_node(reader, &raw));
  reader->node_count++;
  reader->inputs.count = raw.first_input;
  reader->outputs.count = raw.first_output;
  reader->raw_attributes.count = raw.first_raw_attribute;
  reader->attributes.count = raw.first_attribute;
  return NNM_OK;
}

/* ---- graphs */

typedef nnm_status read_part(onnx_reader *reader, const nnm_wire_field *field);

static nnm_status read_parts(onnx_reader *reader, const nnm_wire_schema *schema, const nnm_wire_field *graph,
                             read_part *read) {
  nnm_wire_message message = nnm_wire_open(&reader->file, schema, graph->bytes, graph->size);
  nnm_wire_field field = {0};
  while (nnm_wire_next(&message, &field)) NNM_TRY(read(reader, &field));
  return message.status;
}

static nnm_status read_end(onnx_reader *reader, const nnm_wire_field *field) {
  return field->number == GRAPH_OUTPUT ? read_output(reader, field) : nnm_onnx_read_value_info(reader, field);
}

nnm_status nnm_onnx_read_graph(onnx_reader *reader, const nnm_wire_field *field) {
  /* A body's own inputs and weights hide what is outside, so they come before its nodes; what value_info speaks of is
   * known after them. */
  NNM_TRY(read_parts(reader, &nnm_onnx_graph_inputs, field, read_input));
  NNM_TRY(read_parts(reader, &nnm_onnx_graph_weights, field, read_weight));
  NNM_TRY(read_parts(reader, &nnm_onnx_graph_nodes, field, nnm_onnx_read_node));
  return read_parts(reader, &nnm_onnx_graph_ends, field, read_end);
}
