/* Subgraphs: their operators become nodes, one after the other. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "readers/tflite/tflite.h"

enum { OPERATOR_STEPS = 64 }; /* what a node's memory is worth in bytes looked at */

static const char *type_of(const tflite_node *x) {
  if (!x->row) return "operator";
  return x->node.type && x->node.type[0] ? x->node.type : x->row->name;
}

nnm_status nnm_tflite_fail(const tflite_node *x, nnm_status status, const char *format, ...) {
  nnm_flat_file *file = &x->reader->file;
  if (file->status != NNM_OK) return file->status;
  char place[160], message[512];
  snprintf(place, sizeof place, "operator %zu (%.80s) of subgraph %zu", x->index, type_of(x), x->scope->subgraph);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return file->status = nnm_fail(file->error, status, place, "%s", message);
}

/* ---- attributes */

static nnm_status put(tflite_node *x, const nnm_attribute *attribute) {
  if (x->node.attribute_count == TFLITE_MOST_ATTRIBUTES)
    return nnm_tflite_fail(x, NNM_ERROR_LIMIT, "has more options than are known; convert the model again");
  x->attributes[x->node.attribute_count++] = *attribute;
  return NNM_OK;
}

nnm_status nnm_tflite_put_int(tflite_node *x, const char *name, int64_t value) {
  nnm_attribute attribute = {.name = name, .kind = NNM_ATTRIBUTE_INT};
  attribute.as.integer = value;
  return put(x, &attribute);
}

nnm_status nnm_tflite_put_float(tflite_node *x, const char *name, double value) {
  nnm_attribute attribute = {.name = name, .kind = NNM_ATTRIBUTE_FLOAT};
  attribute.as.number = value;
  return put(x, &attribute);
}

nnm_status nnm_tflite_put_ints(tflite_node *x, const char *name, const int64_t *values, size_t count) {
  nnm_attribute attribute = {.name = name, .kind = NNM_ATTRIBUTE_INTS, .count = count};
  attribute.as.integers = nnm_arena_copy(x->reader->arena, values, count, sizeof *values);
  return attribute.as.integers ? put(x, &attribute) : nnm_fail_memory(x->reader->file.error);
}

nnm_status nnm_tflite_put_text(tflite_node *x, const char *name, const char *value) {
  nnm_attribute attribute = {.name = name, .kind = NNM_ATTRIBUTE_TEXT};
  attribute.as.text = value;
  return put(x, &attribute);
}

nnm_status nnm_tflite_put_block(tflite_node *x, const char *name, nnm_block_id block) {
  nnm_attribute attribute = {.name = name, .kind = NNM_ATTRIBUTE_BLOCK};
  attribute.as.block = block;
  return put(x, &attribute);
}

/* Options that only have another name. */
static nnm_status put_options(tflite_node *x) {
  for (const tflite_option *option = x->row->options; option && option->attribute; option++) {
    switch ((tflite_option_kind)option->kind) {
    case TFLITE_BOOL:
      NNM_TRY(nnm_tflite_put_int(x, option->attribute, nnm_flat_u8(&x->options, option->field, 0) != 0));
      break;
    case TFLITE_INT32:
      NNM_TRY(nnm_tflite_put_int(x, option->attribute, nnm_flat_i32(&x->options, option->field, 0)));
      break;
    case TFLITE_INT64:
      NNM_TRY(nnm_tflite_put_int(x, option->attribute, (int64_t)nnm_flat_u64(&x->options, option->field, 0)));
      break;
    case TFLITE_FLOAT:
      NNM_TRY(nnm_tflite_put_float(x, option->attribute, nnm_flat_f32(&x->options, option->field, 0)));
      break;
    }
  }
  return x->reader->file.status;
}

/* ---- inputs and outputs */

static tflite_tensor *port(const tflite_node *x, int side, size_t i) {
  if (i >= x->ports[side].count) return NULL;
  int64_t index = nnm_flat_item_i32(&x->ports[side], i);
  return index < 0 ? NULL : &x->scope->tensors[index]; /* checked when the ports were read */
}
tflite_tensor *nnm_tflite_input(const tflite_node *x, size_t i) { return port(x, 0, i); }
tflite_tensor *nnm_tflite_output(const tflite_node *x, size_t i) { return port(x, 1, i); }

bool nnm_tflite_constant(const tflite_node *x, size_t input, size_t element, int64_t *value) {
  const tflite_tensor *tensor = nnm_tflite_input(x, input);
  return tensor && tensor->constant && nnm_constant_int(tensor->constant, element, value);
}

bool nnm_tflite_constants(const tflite_node *x, size_t input, int64_t *values, size_t *count) {
  const tflite_tensor *tensor = nnm_tflite_input(x, input);
  if (!tensor || !tensor->constant || tensor->rank > 1) return false;
  int64_t elements = tensor->rank ? tensor->dims[0] : 1;
  if (elements > NNM_LIMIT_RANK) return false;
  for (int64_t i = 0; i < elements; i++)
    if (!nnm_constant_int(tensor->constant, (size_t)i, &values[i])) return false;
  *count = (size_t)elements;
  return true;
}

static nnm_status read_ports(tflite_node *x, int side) {
  bool is_written = side == 1;
  size_t count = x->ports[side].count;
  if (count > NNM_LIMIT_NODE_PORTS)
    return nnm_tflite_fail(x, NNM_ERROR_LIMIT, "has %zu inputs or outputs; the limit is %d: convert the model again",
                           count, NNM_LIMIT_NODE_PORTS);
  nnm_tensor_id *ids = is_written ? x->few_outputs : x->few_inputs;
  if (count > TFLITE_FEW_PORTS) ids = NNM_ARENA_ARRAY(x->reader->arena, nnm_tensor_id, count);
  if (!ids) return nnm_fail_memory(x->reader->file.error);
  for (size_t i = 0; i < count; i++) {
    tflite_tensor *tensor;
    NNM_TRY(nnm_tflite_tensor(x->reader, x->scope, nnm_flat_item_i32(&x->ports[side], i), is_written, &tensor));
    ids[i] = tensor ? tensor->id : -1;
  }
  if (is_written) x->outputs = ids;
  else x->inputs = ids;
  *(is_written ? &x->node.output_count : &x->node.input_count) = (uint32_t)count;
  return NNM_OK;
}

nnm_status nnm_tflite_take_inputs(tflite_node *x, const int *order, size_t count) {
  nnm_tensor_id chosen[TFLITE_FEW_PORTS] = {0}; /* x->inputs may be x->few_inputs */
  for (size_t i = 0; i < count; i++) {
    const tflite_tensor *tensor = order[i] < 0 ? NULL : nnm_tflite_input(x, (size_t)order[i]);
    chosen[i] = tensor ? tensor->id : -1;
  }
  while (count && chosen[count - 1] < 0) count--; /* left out at the end: not there */
  x->inputs = x->few_inputs;
  memcpy(x->few_inputs, chosen, sizeof chosen);
  x->node.input_count = (uint32_t)count;
  return NNM_OK;
}

nnm_status nnm_tflite_new_tensor(tflite_node *x, const char *name, const char *suffix, nnm_dtype dtype,
                                 nnm_tensor_id *out) {
  nnm_status spent = nnm_flat_spend(&x->reader->file, strlen(name));
  const char *text = nnm_arena_printf(x->reader->arena, "%s/%s", name, suffix), *interned;
  if (!text) return nnm_fail_memory(x->reader->file.error);
  NNM_TRY(spent);
  NNM_TRY(nnm_tflite_free_name(x->reader, text, strlen(text), &interned));
  NNM_TRY(nnm_graph_builder_local_tensor(x->reader->builder, interned, out, x->reader->file.error));
  return nnm_graph_builder_declare(x->reader->builder, *out, dtype, -1, NULL, NULL, x->reader->file.error);
}

/* ---- nodes */

static nnm_status intern_type(tflite_node *x, const char *type, const char **out) {
  *out = nnm_graph_builder_intern(x->reader->builder, type, strlen(type));
  return *out ? NNM_OK : nnm_fail_memory(x->reader->file.error);
}

nnm_status nnm_tflite_add_in_front(tflite_node *x, uint32_t input, nnm_op op, const char *type, const char *attribute,
                                   const int64_t *values, size_t count) {
  nnm_attribute attributes[2] = {{.name = attribute, .kind = NNM_ATTRIBUTE_INTS, .count = count},
                                 {.name = "allowzero", .kind = NNM_ATTRIBUTE_INT}};
  attributes[0].as.integers = nnm_arena_copy(x->reader->arena, values, count, sizeof *values);
  attributes[1].as.integer = 1;
  if (!attributes[0].as.integers) return nnm_fail_memory(x->reader->file.error);
  const tflite_tensor *source = nnm_tflite_input(x, input);
  nnm_node node = x->node;
  nnm_tensor_id made;
  NNM_TRY(intern_type(x, type, &node.type));
  NNM_TRY(nnm_tflite_new_tensor(x, x->node.name, "reshaped", source ? source->dtype : NNM_DTYPE_UNKNOWN, &made));
  node.op = (int32_t)op;
  node.inputs = &x->inputs[input];
  node.outputs = &made;
  node.attributes = attributes;
  node.input_count = node.output_count = 1;
  node.attribute_count = op == NNM_OP_RESHAPE ? 2 : 1;
  NNM_TRY(nnm_graph_builder_node(x->reader->builder, &node, NULL, x->reader->file.error));
  x->inputs[input] = made;
  return NNM_OK;
}

typedef struct activation {
  const char *type;
  nnm_op op;
  bool has_bounds;
} activation;

/* The activation fused behind an operator becomes a node of its own, so that fusion rules see it; *found NULL: none. */
static nnm_status find_activation(tflite_node *x, const activation **found) {
  static const activation activations[] = {{NULL, NNM_OP_UNKNOWN, false},       {"RELU", NNM_OP_RELU, false},
                                           {"RELU_N1_TO_1", NNM_OP_CLIP, true}, {"RELU6", NNM_OP_RELU6, false},
                                           {"TANH", NNM_OP_TANH, false},        {"SIGN_BIT", NNM_OP_SIGN, false}};
  *found = NULL;
  if (!x->row || x->row->activation < 0) return NNM_OK;
  int64_t number = nnm_flat_i8(&x->options, (uint32_t)x->row->activation, 0);
  NNM_TRY(x->reader->file.status);
  if (number < 0 || number >= (int64_t)(sizeof activations / sizeof *activations))
    return nnm_tflite_fail(x, NNM_ERROR_UNSUPPORTED,
                           "has fused activation %lld, which is not known; fetch the file or convert the model again",
                           (long long)number);
  if (number && x->node.output_count && x->outputs[0] >= 0) *found = &activations[number];
  return NNM_OK;
}

static nnm_status add_activation(tflite_node *x, const activation *behind, nnm_tensor_id from, nnm_tensor_id to) {
  nnm_attribute bounds[2] = {{.name = "min", .kind = NNM_ATTRIBUTE_FLOAT},
                             {.name = "max", .kind = NNM_ATTRIBUTE_FLOAT}};
  bounds[0].as.number = -1;
  bounds[1].as.number = 1;
  nnm_node node = {.name = x->node.name,
                   .domain = x->reader->empty,
                   .op = (int32_t)behind->op,
                   .layout = NNM_CHANNELS_LAST,
                   .weight_layout = NNM_WEIGHT_OXI,
                   .input_count = 1,
                   .output_count = 1,
                   .attribute_count = behind->has_bounds ? 2 : 0,
                   .inputs = &from,
                   .outputs = &to,
                   .attributes = bounds};
  NNM_TRY(intern_type(x, behind->type, &node.type));
  return nnm_graph_builder_node(x->reader->builder, &node, NULL, x->reader->file.error);
}

nnm_status nnm_tflite_add(tflite_node *x) {
  const activation *behind;
  NNM_TRY(find_activation(x, &behind));
  nnm_tensor_id result = x->node.output_count ? x->outputs[0] : -1;
  if (behind)
    NNM_TRY(
        nnm_tflite_new_tensor(x, x->node.name, "before_activation", nnm_tflite_output(x, 0)->dtype, &x->outputs[0]));
  x->node.inputs = x->inputs;
  x->node.outputs = x->outputs;
  x->node.attributes = x->attributes;
  x->is_added = true;
  NNM_TRY(nnm_graph_builder_node(x->reader->builder, &x->node, NULL, x->reader->file.error));
  return behind ? add_activation(x, behind, x->outputs[0], result) : NNM_OK;
}

/* ---- operators */

/* TFLite's operators have no names: a node is called as what it makes. Converters join the names of all that they have
 * fused with ";", and the first is enough. */
static nnm_status name_node(tflite_node *x) {
  x->node.name = x->reader->empty;
  const tflite_tensor *first = nnm_tflite_output(x, 0);
  if (!first) return NNM_OK;
  nnm_flat_table table = nnm_flat_item_table(&x->scope->tables, (size_t)nnm_flat_item_i32(&x->ports[1], 0), "tensor");
  nnm_flat_vector text = nnm_flat_text(&table, TENSOR_NAME);
  NNM_TRY(x->reader->file.status);
  const unsigned char *end = text.count ? memchr(text.items, ';', text.count) : NULL;
  size_t length = end && end > text.items ? (size_t)(end - text.items) : text.count;
  x->node.name = nnm_graph_builder_intern(x->reader->builder, length ? (const char *)text.items : "", length);
  return x->node.name ? NNM_OK : nnm_fail_memory(x->reader->file.error);
}

/* What TensorFlow runs itself behind TFLite ("Flex"): known where nothing but the input tells the shape. */
static nnm_op op_of_custom(const char *custom) {
  static const char prefix[] = "Flex";
  if (strncmp(custom, prefix, sizeof prefix - 1) != 0) return NNM_OP_UNKNOWN;
  nnm_op op = nnm_op_of_tensorflow(custom + sizeof prefix - 1);
  return nnm_op_work(op) == NNM_WORK_ELEMENTWISE && op != NNM_OP_CAST ? op : NNM_OP_UNKNOWN;
}

static nnm_status find_type(tflite_node *x) {
  uint64_t number = nnm_flat_u32(&x->table, OPERATOR_CODE, 0);
  NNM_TRY(x->reader->file.status);
  if (number >= x->reader->code_count)
    return nnm_tflite_fail(x, NNM_ERROR_FORMAT,
                           "is of type %llu, but the file lists only %zu; the file is damaged: fetch it again",
                           (unsigned long long)number, x->reader->code_count);
  const tflite_code *code = &x->reader->codes[number];
  x->node.domain = x->reader->empty;
  if (code->builtin == BUILTIN_CUSTOM) {
    x->node.type = code->custom;
    x->node.op = (int32_t)op_of_custom(code->custom);
    return x->node.op == NNM_OP_UNKNOWN ? intern_type(x, "custom", &x->node.domain) : NNM_OK;
  }
  x->row = nnm_tflite_operator(code->builtin);
  if (!x->row) { /* newer than this reader: shapes are those of the file */
    char name[40];
    snprintf(name, sizeof name, "BUILTIN_%u", (unsigned)code->builtin);
    return intern_type(x, name, &x->node.type);
  }
  x->node.op = (int32_t)x->row->op;
  return intern_type(x, x->row->name, &x->node.type);
}

/* The union that holds the options must be of the operator's own kind: another table's fields would be misread. */
static nnm_status open_options(tflite_node *x) {
  enum { SECOND_UNION = 128 }; /* how the table of operators tells types of the newer union apart */
  x->options = (nnm_flat_table){.file = &x->reader->file, .what = "options"};
  if (!x->row || !x->row->options_type) return NNM_OK;
  bool is_second = x->row->options_type >= SECOND_UNION;
  uint64_t type = nnm_flat_u8(&x->table, is_second ? OPERATOR_OPTIONS_2_TYPE : OPERATOR_OPTIONS_TYPE, 0);
  uint64_t expected = is_second ? x->row->options_type - SECOND_UNION : x->row->options_type;
  NNM_TRY(x->reader->file.status);
  if (!type) return NNM_OK;
  if (type != expected)
    return nnm_tflite_fail(x, NNM_ERROR_FORMAT,
                           "has options of type %llu, which are those of another operator; the file is damaged: fetch "
                           "it again",
                           (unsigned long long)type);
  x->options = nnm_flat_child(&x->table, is_second ? OPERATOR_OPTIONS_2 : OPERATOR_OPTIONS, "options");
  return x->reader->file.status;
}

static nnm_status read_operator(tflite_reader *reader, tflite_scope *scope, const nnm_flat_vector *operators,
                                size_t index) {
  tflite_node x = {.reader = reader, .scope = scope, .index = index};
  NNM_TRY(nnm_flat_spend(&reader->file, OPERATOR_STEPS));
  x.table = nnm_flat_item_table(operators, index, "operator");
  x.ports[0] = nnm_flat_items(&x.table, OPERATOR_INPUTS, 4);
  x.ports[1] = nnm_flat_items(&x.table, OPERATOR_OUTPUTS, 4);
  x.node.layout = NNM_CHANNELS_LAST;
  x.node.weight_layout = NNM_WEIGHT_OXI;
  NNM_TRY(find_type(&x));
  NNM_TRY(read_ports(&x, 0));
  NNM_TRY(read_ports(&x, 1));
  NNM_TRY(name_node(&x));
  NNM_TRY(open_options(&x));
  if (x.row) NNM_TRY(put_options(&x));
  if (x.row && x.row->translate) NNM_TRY(x.row->translate(&x));
  NNM_TRY(reader->file.status);
  return x.is_added ? NNM_OK : nnm_tflite_add(&x);
}

nnm_status nnm_tflite_read_operators(tflite_reader *reader, tflite_scope *scope, const nnm_flat_table *subgraph) {
  nnm_flat_vector operators = nnm_flat_items(subgraph, SUBGRAPH_OPERATORS, 4);
  for (size_t i = 0; i < operators.count; i++) NNM_TRY(read_operator(reader, scope, &operators, i));
  return reader->file.status;
}

/* ---- the model's subgraph */

static nnm_status read_inputs(tflite_reader *reader, tflite_scope *scope, const nnm_flat_table *table) {
  nnm_flat_vector inputs = nnm_flat_items(table, SUBGRAPH_INPUTS, 4);
  for (size_t i = 0; i < inputs.count; i++) {
    tflite_tensor *tensor;
    NNM_TRY(nnm_tflite_tensor(reader, scope, nnm_flat_item_i32(&inputs, i), true, &tensor));
    if (!tensor) continue;
    if (tensor->rank < 0) { /* the runtime takes it for a scalar */
      tensor->rank = 0;
      tensor->dims = NNM_ARENA_ARRAY(reader->arena, int64_t, 1);
      if (!tensor->dims) return nnm_fail_memory(reader->file.error);
      NNM_TRY(nnm_graph_builder_declare(reader->builder, tensor->id, tensor->dtype, 0, tensor->dims, NULL,
                                        reader->file.error));
    }
    NNM_TRY(nnm_graph_builder_input(reader->builder, tensor->id, reader->file.error));
  }
  return reader->file.status;
}

static nnm_status read_outputs(tflite_reader *reader, tflite_scope *scope, const nnm_flat_table *table) {
  nnm_flat_vector outputs = nnm_flat_items(table, SUBGRAPH_OUTPUTS, 4);
  for (size_t i = 0; i < outputs.count; i++) {
    tflite_tensor *tensor;
    NNM_TRY(nnm_tflite_tensor(reader, scope, nnm_flat_item_i32(&outputs, i), false, &tensor));
    if (tensor) NNM_TRY(nnm_graph_builder_output(reader->builder, tensor->id, reader->file.error));
  }
  return reader->file.status;
}

nnm_status nnm_tflite_read_model_graph(tflite_reader *reader, size_t subgraph) {
  tflite_scope scope;
  nnm_flat_table table;
  nnm_status status = nnm_tflite_open_scope(reader, subgraph, &table, &scope);
  if (status == NNM_OK) status = read_inputs(reader, &scope, &table);
  if (status == NNM_OK) status = nnm_tflite_read_operators(reader, &scope, &table);
  if (status == NNM_OK) status = read_outputs(reader, &scope, &table);
  if (status == NNM_OK) status = nnm_tflite_keep_unread(reader, &scope);
  nnm_tflite_close_scope(reader, &scope);
  return status;
}
