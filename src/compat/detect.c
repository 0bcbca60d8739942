#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "compat/working.h"

/* ---------------------------------------------------------------- kernels */

typedef struct assembly {
  const compat_working *work;
  const compat_groups *groups;
  nnm_arena *arena; /* of the result */
  nnm_error *error;
  uint32_t *start; /* per root position: its members among `positions` */
  int32_t *positions;
  int32_t *kernel_of; /* per root position: kernel index, or -1 */
  nnm_compat_kernel *kernels;
  size_t count;
} assembly;

static const compat_operator *operator_at(const assembly *a, int32_t position) {
  return &a->work->operators[a->work->order[position]];
}

static nnm_status group_positions(assembly *a, nnm_arena *scratch) {
  size_t count = (size_t)a->work->order_count, groups = 0;
  for (size_t i = 0; i < count; i++) groups += a->groups->root[i] == (int32_t)i;
  a->start = NNM_ARENA_ARRAY(scratch, uint32_t, count + 2);
  a->positions = NNM_ARENA_ARRAY(scratch, int32_t, count);
  a->kernel_of = NNM_ARENA_ARRAY(scratch, int32_t, count);
  a->kernels = NNM_ARENA_ARRAY(a->arena, nnm_compat_kernel, groups);
  if (!a->start || !a->positions || !a->kernel_of || !a->kernels) return nnm_fail_memory(a->error);
  for (size_t i = 0; i < count; i++) a->start[a->groups->root[i] + 2]++;
  for (size_t i = 2; i < count + 2; i++) a->start[i] += a->start[i - 1];
  for (size_t i = 0; i < count; i++) a->positions[a->start[a->groups->root[i] + 1]++] = (int32_t)i;
  return NNM_OK;
}

/* "conv-bn-relu" and "conv-bn-relu#3"; op stays NULL for a group of constants and placeholders only. */
static nnm_status name_kernel(assembly *a, int32_t root, size_t number, nnm_compat_kernel *out) {
  size_t length = 0;
  for (uint32_t k = a->start[root]; k < a->start[root + 1]; k++) {
    const compat_operator *op = operator_at(a, a->positions[k]);
    if (!op->is_dummy) length += strlen(op->type) + 1;
  }
  if (!length) return NNM_OK;
  char *op = nnm_arena_alloc(a->arena, length, 1), *end = op;
  if (!op) return nnm_fail_memory(a->error);
  for (uint32_t k = a->start[root]; k < a->start[root + 1]; k++) {
    const compat_operator *part = operator_at(a, a->positions[k]);
    if (part->is_dummy) continue;
    if (end != op) *end++ = '-';
    size_t size = strlen(part->type);
    memcpy(end, part->type, size);
    end += size;
  }
  out->op = op;
  out->name = nnm_arena_numbered(a->arena, op, number);
  return out->name ? NNM_OK : nnm_fail_memory(a->error);
}

static nnm_status list_nodes(assembly *a, int32_t root, nnm_compat_kernel *out) {
  size_t blocks = a->start[root + 1] - a->start[root], nodes = 0;
  for (size_t i = 0; i < blocks; i++) nodes += operator_at(a, a->positions[a->start[root] + i])->member_count;
  uint32_t *start = NNM_ARENA_ARRAY(a->arena, uint32_t, blocks + 1);
  int32_t *list = NNM_ARENA_ARRAY(a->arena, int32_t, nodes);
  bool *is_list = NNM_ARENA_ARRAY(a->arena, bool, blocks);
  if (!start || !list || !is_list) return nnm_fail_memory(a->error);
  for (size_t i = 0; i < blocks; i++) {
    const compat_operator *op = operator_at(a, a->positions[a->start[root] + i]);
    memcpy(list + start[i], op->members, op->member_count * sizeof *list);
    start[i + 1] = start[i] + op->member_count;
    is_list[i] = op->is_block;
  }
  out->block_count = blocks;
  out->block_start = start;
  out->nodes = list;
  out->block_is_list = is_list;
  return NNM_OK;
}

static nnm_status read_first(assembly *a, int32_t root, nnm_compat_kernel *out) {
  const compat_operator *first = operator_at(a, root);
  NNM_TRY(nnm_compat_read_attributes(a->work->ir, first->ir_node, a->arena, out, a->error));
  /* the constant of a hard swish's first addition is none of its inputs */
  if (!strncmp(out->op, "hswish", 6) && (out->op[6] == '-' || !out->op[6]) && out->input_tensor_count > 1)
    out->input_tensor_count = 1;
  return NNM_OK;
}

static nnm_status make_kernels(assembly *a) {
  size_t number = 0; /* groups that are no kernel count too */
  for (int32_t i = 0; i < a->work->order_count; i++) {
    a->kernel_of[i] = -1;
    if (a->groups->root[i] != i) continue;
    nnm_compat_kernel *kernel = &a->kernels[a->count];
    NNM_TRY(name_kernel(a, i, number++, kernel));
    if (!kernel->op) continue;
    a->kernel_of[i] = (int32_t)a->count++;
    NNM_TRY(list_nodes(a, i, kernel));
    NNM_TRY(read_first(a, i, kernel));
  }
  return NNM_OK;
}

/* Links kernels as the old tool does: by readers of the operators, so that a kernel may be listed twice. */
static nnm_status link_kernels(assembly *a) {
  const compat_groups *groups = a->groups;
  for (int32_t i = 0; i < a->work->order_count; i++) {
    if (a->kernel_of[i] < 0) continue;
    nnm_compat_kernel *kernel = &a->kernels[a->kernel_of[i]];
    int32_t *outbounds = NNM_ARENA_ARRAY(a->arena, int32_t, groups->out_end[i] - groups->out_start[i]);
    if (!outbounds) return nnm_fail_memory(a->error);
    for (uint32_t k = groups->out_start[i]; k < groups->out_end[i]; k++) {
      int32_t reader = a->kernel_of[groups->root[groups->outs[k]]];
      if (reader < 0) continue;
      outbounds[kernel->outbound_count++] = reader;
      a->kernels[reader].inbound_count++;
    }
    kernel->outbounds = outbounds;
  }
  for (size_t i = 0; i < a->count; i++) {
    a->kernels[i].inbounds = NNM_ARENA_ARRAY(a->arena, int32_t, a->kernels[i].inbound_count);
    if (!a->kernels[i].inbounds) return nnm_fail_memory(a->error);
    a->kernels[i].inbound_count = 0;
  }
  for (size_t i = 0; i < a->count; i++)
    for (size_t k = 0; k < a->kernels[i].outbound_count; k++) {
      nnm_compat_kernel *reader = &a->kernels[a->kernels[i].outbounds[k]];
      ((int32_t *)(uintptr_t)reader->inbounds)[reader->inbound_count++] = (int32_t)i;
    }
  return NNM_OK;
}

/* ---------------------------------------------------------------- members */

static int ascending(const void *a, const void *b) {
  nnm_node_id x = *(const nnm_node_id *)a, y = *(const nnm_node_id *)b;
  return (x > y) - (x < y);
}

/* The graph's nodes of one operator, in file order, behind those of the operators before it. */
static nnm_status list_members(const nnm_ir *ir, nnm_arena *arena, const nnm_compat_kernel *compat, nnm_kernel *kernel,
                               nnm_error *error) {
  size_t room = 0, count = compat->block_start[compat->block_count];
  for (size_t i = 0; i < count; i++) room += ir->nodes[compat->nodes[i]].graph_node_count;
  nnm_node_id *members = NNM_ARENA_ARRAY(arena, nnm_node_id, room);
  if (!members) return nnm_fail_memory(error);
  for (size_t b = 0; b < compat->block_count; b++) {
    size_t first = kernel->member_count;
    for (uint32_t i = compat->block_start[b]; i < compat->block_start[b + 1]; i++) {
      const nnm_ir_node *node = &ir->nodes[compat->nodes[i]];
      for (size_t k = 0; k < node->graph_node_count; k++) members[kernel->member_count++] = node->graph_nodes[k];
    }
    if (kernel->member_count - first > 1)
      qsort(members + first, kernel->member_count - first, sizeof *members, ascending);
  }
  kernel->members = members;
  return NNM_OK;
}

static nnm_status describe(const nnm_ir *ir, const nnm_graph *graph, const nnm_shapes *shapes,
                           const nnm_compat_kernel *compat, nnm_arena *arena, nnm_kernel *kernel, nnm_error *error) {
  *kernel = (nnm_kernel){.name = compat->op, .core = -1, .output = -1, .repeat = 1, .compat = compat};
  NNM_TRY(list_members(ir, arena, compat, kernel, error));
  if (!graph || !shapes || !kernel->member_count) return NNM_OK;
  return nnm_describe_kernel(graph, shapes, arena, kernel, error);
}

/* -------------------------------------------------------------- detection */

/* Blocks that close a cycle are what the old tool stops at. They are given up, first those concerned, then all. */
static nnm_status make_working(compat_working *work, const nnm_ir *ir, const nnm_fusion_rules *rules, nnm_arena *arena,
                               nnm_error *error) {
  uint8_t *marks = NULL;
  for (int attempt = 0; attempt < 3; attempt++) {
    bool complete;
    NNM_TRY(nnm_compat_working_create(work, ir, error));
    work->no_blocks = marks;
    NNM_TRY(nnm_compat_sort(work, &complete));
    if (!complete) return nnm_fail(error, NNM_ERROR_GRAPH, NULL, "the nodes form a cycle; convert the model again");
    NNM_TRY(nnm_compat_make_blocks(work, rules));
    NNM_TRY(nnm_compat_sort(work, &complete));
    if (complete) break;
    if (!marks) marks = NNM_ARENA_ARRAY(arena, uint8_t, ir->node_count);
    if (!marks) return nnm_fail_memory(error);
    if (attempt == 0) NNM_TRY(nnm_compat_mark_cycles(work, marks));
    else memset(marks, 1, ir->node_count);
    nnm_compat_working_free(work);
  }
  return NNM_OK;
}

static nnm_status detect(compat_working *work, const nnm_ir *ir, const nnm_graph *graph, const nnm_shapes *shapes,
                         const nnm_fusion_rules *rules, nnm_kernels *kernels, nnm_error *error) {
  compat_groups groups;
  NNM_TRY(make_working(work, ir, rules, &kernels->arena, error));
  NNM_TRY(nnm_compat_group(work, rules, &groups));
  assembly a = {.work = work, .groups = &groups, .arena = &kernels->arena, .error = error};
  NNM_TRY(group_positions(&a, &work->arena));
  NNM_TRY(make_kernels(&a));
  NNM_TRY(link_kernels(&a));
  NNM_TRY(nnm_compat_make_rows(ir, graph, shapes, a.kernels, a.count, &kernels->arena, error));
  kernels->items = NNM_ARENA_ARRAY(&kernels->arena, nnm_kernel, a.count);
  if (!kernels->items) return nnm_fail_memory(error);
  for (size_t i = 0; i < a.count; i++)
    NNM_TRY(describe(ir, graph, shapes, &a.kernels[i], &kernels->arena, &kernels->items[i], error));
  kernels->count = a.count;
  return NNM_OK;
}

nnm_status nnm_detect_compat_kernels(const nnm_ir *ir, const nnm_graph *graph, const nnm_shapes *shapes,
                                     const nnm_fusion_rules *rules, nnm_kernels **out, nnm_error *error) {
  nnm_kernels *kernels = calloc(1, sizeof *kernels);
  if (!kernels) return nnm_fail_memory(error);
  compat_working work = {.node_count = 0};
  nnm_status status = detect(&work, ir, graph, shapes, rules, kernels, error);
  nnm_compat_working_free(&work);
  if (status == NNM_OK) *out = kernels;
  else nnm_kernels_free(kernels);
  return status;
}
