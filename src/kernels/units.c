#include "kernels/detection.h"

static bool costs_nothing(const nnm_node *node) {
  nnm_work work = nnm_op_work((nnm_op)node->op);
  return work == NNM_WORK_NONE || work == NNM_WORK_CONTROL;
}

/* A view belongs to the unit whose result it shows. */
static void attach_view(nnm_kernel_search *d, nnm_node_id n) {
  nnm_unit_id id = nnm_unit_making(d, d->root[d->graph->nodes[n].outputs[0]]);
  if (id < 0 || d->units[id].block != d->graph->nodes[n].block) return;
  d->next_member[d->units[id].last] = n;
  d->units[id].last = n;
  d->units[id].member_count++;
  d->unit_of[n] = id;
}

/* torch spells group normalisation as an instance normalisation of the channels seen as groups. */
static nnm_role role_of_node(const nnm_kernel_search *d, nnm_node_id n) {
  nnm_role role = nnm_role_of(d->graph, d->shapes, n);
  if (role != NNM_ROLE_INSTANCENORM) return role;
  nnm_tensor_id input = d->graph->nodes[n].inputs[0];
  nnm_shape seen = d->shapes->tensors[input], whole = d->shapes->tensors[d->root[input]];
  return seen.rank > 1 && whole.rank > 1 && seen.dims[1] != whole.dims[1] ? NNM_ROLE_GROUPNORM : role;
}

nnm_status nnm_make_units(nnm_kernel_search *d, nnm_error *error) {
  const nnm_graph *graph = d->graph;
  size_t count = (size_t)graph->node_count;
  d->units = NNM_ARENA_ARRAY(&d->scratch, nnm_unit, count);
  d->unit_of = NNM_ARENA_ARRAY(&d->scratch, nnm_unit_id, count);
  d->next_member = NNM_ARENA_ARRAY(&d->scratch, nnm_node_id, count);
  if (!d->units || !d->unit_of || !d->next_member) return nnm_fail_memory(error);
  for (size_t i = 0; i < count; i++) {
    d->unit_of[i] = d->next_member[i] = -1;
    d->units[i].member_count = -1;
  }
  for (int32_t i = 0; i < d->order_count; i++) {
    nnm_node_id n = d->order[i];
    const nnm_node *node = &graph->nodes[n];
    if (d->is_view[n]) {
      attach_view(d, n);
      continue;
    }
    if (costs_nothing(node)) continue;
    d->unit_of[n] = n;
    d->units[n] = (nnm_unit){.role = role_of_node(d, n),
                             .core = n,
                             .first = n,
                             .last = n,
                             .member_count = 1,
                             .position = d->position[n],
                             .block = node->block,
                             .input = -1,
                             .output = node->output_count ? node->outputs[0] : -1,
                             .shown_output = -1};
    if (d->units[n].role == NNM_ROLE_SPLIT && node->output_count > 1) d->units[n].output = -1;
  }
  return NNM_OK;
}

nnm_unit_id nnm_unit_making(const nnm_kernel_search *d, nnm_tensor_id root) {
  nnm_node_id producer = root < 0 ? -1 : d->graph->tensors[root].producer;
  return producer < 0 ? -1 : d->unit_of[producer];
}

int32_t nnm_position_making(const nnm_kernel_search *d, nnm_tensor_id root) {
  nnm_node_id producer = d->graph->tensors[root].producer;
  if (producer < 0) return -1;
  nnm_unit_id unit = d->unit_of[producer];
  return unit < 0 ? d->position[producer] : d->units[unit].position;
}

/* The larger one keeps its number, so that no node changes hands more than log(n) times. */
nnm_unit_id nnm_join_units(nnm_kernel_search *d, nnm_unit_id a, nnm_unit_id b) {
  if (d->units[a].member_count < d->units[b].member_count) {
    nnm_unit_id swap = a;
    a = b;
    b = swap;
  }
  nnm_unit *into = &d->units[a], *from = &d->units[b];
  for (nnm_node_id n = from->first; n >= 0; n = d->next_member[n]) d->unit_of[n] = a;
  d->next_member[into->last] = from->first;
  into->last = from->last;
  into->member_count += from->member_count;
  from->member_count = -1;
  return a;
}

bool nnm_only_read_by(const nnm_kernel_search *d, nnm_unit_id unit, nnm_unit_id reader) {
  nnm_tensor_id output = d->units[unit].output;
  if (output < 0 || d->escapes[output] || d->reader_start[output] == d->reader_start[output + 1]) return false;
  for (uint32_t i = d->reader_start[output]; i < d->reader_start[output + 1]; i++)
    if (d->unit_of[d->readers[i]] != reader) return false;
  return true;
}

bool nnm_is_closed(const nnm_kernel_search *d, const nnm_unit_id *units, int count) {
  for (int i = 1; i < count; i++) { /* unit 0 makes the result */
    nnm_tensor_id output = d->units[units[i]].output;
    if (output < 0 || d->escapes[output]) return false;
    for (uint32_t r = d->reader_start[output]; r < d->reader_start[output + 1]; r++) {
      bool is_inside = false;
      for (int k = 0; k < count; k++) is_inside = is_inside || d->unit_of[d->readers[r]] == units[k];
      if (!is_inside) return false;
    }
  }
  return true;
}

static bool constant_number(const nnm_node *node, double *out) {
  const nnm_attribute *stored = node->attribute_count ? &node->attributes[0] : NULL;
  if (!stored) return false;
  if (stored->kind == NNM_ATTRIBUTE_INT) *out = (double)stored->as.integer;
  if (stored->kind == NNM_ATTRIBUTE_FLOAT) *out = stored->as.number;
  return stored->kind == NNM_ATTRIBUTE_INT || stored->kind == NNM_ATTRIBUTE_FLOAT ||
         (stored->kind == NNM_ATTRIBUTE_TENSOR && nnm_constant_float(stored->as.tensor, 0, out));
}

/* Values are computed only where a shape may hang on them; the others are looked up where the file has them. */
bool nnm_only_number(const nnm_kernel_search *d, nnm_tensor_id tensor, double *out) {
  enum { MOST_COPIES = 4 };
  if (nnm_shape_elements(d->shapes->tensors[tensor]) != 1) return false;
  for (int i = 0; i < MOST_COPIES; i++) {
    const nnm_value *value = d->shapes->values[tensor];
    const nnm_constant *constant = d->graph->tensors[tensor].constant;
    if (value) {
      if (value->count != 1) return false;
      *out = value->is_float ? value->as.numbers[0] : (double)value->as.integers[0];
      return true;
    }
    if (constant) return nnm_constant_float(constant, 0, out);
    nnm_node_id producer = d->graph->tensors[tensor].producer;
    const nnm_node *node = producer < 0 ? NULL : &d->graph->nodes[producer];
    if (node && node->op == NNM_OP_CONSTANT) {
      return constant_number(node, out);
    }
    if (!node || node->op != NNM_OP_IDENTITY || !node->input_count || node->inputs[0] < 0) return false;
    tensor = node->inputs[0];
  }
  return false;
}
