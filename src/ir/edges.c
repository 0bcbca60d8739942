/* What an IR file says of its edges and nodes that the graph made of it does not hold: never lost in silence. */
#include <stdio.h>

#include "ir/translate.h"

static nnm_status note_lost_inbounds(ir_translation *t) {
  if (!t->lost.count) return NNM_OK;
  char more[48] = "";
  if (t->lost.count > 1) snprintf(more, sizeof more, " (and %zu more)", t->lost.count - 1);
  return nnm_graph_builder_note(t->builder, t->error,
                                "node '%.120s' has '%.120s' among its inbounds, which is no node of the file%s; taken "
                                "to come from outside of the model",
                                t->lost.reader->name, t->lost.name, more);
}

static nnm_status note_nodes_without_type(ir_translation *t) {
  for (size_t i = 0; i < t->ir->node_count; i++)
    if (!t->ir->nodes[i].type)
      NNM_TRY(nnm_graph_builder_note(t->builder, t->error, "node '%.200s' has no type in the IR: left out",
                                     t->ir->nodes[i].name));
  return NNM_OK;
}

/* Who reads each node, by the inbounds: readers of node i are list[start[i]] to list[start[i + 1]]. */
typedef struct reader_lists {
  size_t *start;
  int32_t *list;
} reader_lists;

static nnm_status list_readers(ir_translation *t, reader_lists *out) {
  const nnm_ir *ir = t->ir;
  size_t total = 0;
  out->start = NNM_ARENA_ARRAY(t->arena, size_t, ir->node_count + 2);
  if (!out->start) return nnm_fail_memory(t->error);
  for (size_t i = 0; i < ir->node_count; i++)
    for (size_t k = 0; k < ir->nodes[i].inbound_count; k++)
      if (ir->nodes[i].inbounds[k] >= 0) out->start[ir->nodes[i].inbounds[k] + 2]++, total++;
  for (size_t i = 2; i < ir->node_count + 2; i++) out->start[i] += out->start[i - 1];
  out->list = NNM_ARENA_ARRAY(t->arena, int32_t, total);
  if (!out->list) return nnm_fail_memory(t->error);
  for (size_t i = 0; i < ir->node_count; i++)
    for (size_t k = 0; k < ir->nodes[i].inbound_count; k++)
      if (ir->nodes[i].inbounds[k] >= 0) out->list[out->start[ir->nodes[i].inbounds[k] + 1]++] = (int32_t)i;
  return NNM_OK;
}

/* Inbounds decide. A reader that only the outbounds know is one that the file may have meant; what a joined slice names
 * there, or what stands for a dropped one, is known. */
static nnm_status note_unanswered_outbounds(ir_translation *t) {
  const nnm_ir *ir = t->ir;
  reader_lists readers;
  size_t count = 0;
  const char *from = NULL, *to = NULL;
  NNM_TRY(list_readers(t, &readers));
  int32_t *seen_by = NNM_ARENA_ARRAY(t->arena, int32_t, ir->node_count);
  if (!seen_by) return nnm_fail_memory(t->error);
  for (size_t i = 0; i < ir->node_count; i++) {
    for (size_t k = readers.start[i]; k < readers.start[i + 1]; k++) seen_by[readers.list[k]] = (int32_t)i + 1;
    for (size_t k = 0; k < ir->nodes[i].outbound_count; k++) {
      int32_t reader = *nnm_interned_value(ir->nodes[i].outbound_names[k]);
      bool known = reader < -1 || (reader == -1 && nnm_ir_is_joined(t, i));
      if (known || (reader >= 0 && seen_by[reader] == (int32_t)i + 1) || count++) continue;
      from = ir->nodes[i].name;
      to = ir->nodes[i].outbound_names[k];
    }
  }
  if (!count) return NNM_OK;
  char more[48] = "";
  if (count > 1) snprintf(more, sizeof more, " (and %zu more)", count - 1);
  return nnm_graph_builder_note(
      t->builder, t->error,
      "node '%.120s' has '%.120s' among its outbounds, which does not read it%s; only inbounds "
      "count",
      from, to, more);
}

nnm_status nnm_ir_note_losses(ir_translation *t) {
  NNM_TRY(note_lost_inbounds(t));
  NNM_TRY(note_unanswered_outbounds(t));
  return note_nodes_without_type(t);
}
