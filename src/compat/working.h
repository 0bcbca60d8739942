/* The graph that nn-Meter 2.0's kernel detection works on: operators (IR nodes under their aliased types, and blocks
 * that several of them were fused into) and the edges between them. Internal to src/compat.
 *
 * Ids 0..node_count-1 are the IR's nodes, larger ones are blocks in the order in which they were made; ascending ids are
 * the order of the old tool's dictionary, on which its topological order hangs. */
#ifndef NNM_COMPAT_WORKING_H
#define NNM_COMPAT_WORKING_H

#include "compat/compat.h"

/* A pattern of operators is matched with bit masks. */
enum { NNM_PATTERN_LIMIT = 64 };

typedef struct compat_operator {
  const char *type; /* interned in working.strings; NULL: not part of the graph */
  int32_t type_id;
  int32_t ir_node;                /* whose attributes and shapes count: of a block, those of its first operator */
  bool alive, is_block, is_dummy; /* dummy: Const, Identity, Placeholder: no kernel */
  uint32_t member_count;
  const int32_t *members;                         /* IR nodes */
  int32_t first_in, last_in, first_out, last_out; /* edges; -1: none */
} compat_operator;

typedef struct compat_edge {
  int32_t from, to;
  int32_t next_in, previous_in;   /* among the edges into `to`, in the order of the old tool's inbounds */
  int32_t next_out, previous_out; /* among the edges out of `from` */
} compat_edge;

typedef struct compat_working {
  const nnm_ir *ir;
  nnm_arena arena;     /* scratch of one detection */
  nnm_strings strings; /* types -> ids */
  nnm_error *error;
  compat_operator *operators; /* room for 2 * node_count */
  int32_t operator_count, node_count;
  compat_edge *edges;
  size_t edge_count, edge_capacity;
  int32_t type_count;
  const uint8_t *no_blocks; /* per IR node: 1 when a block with it would close a cycle; NULL: none */
  int32_t *order;           /* alive operators in the old tool's topological order */
  int32_t order_count;
  int32_t *joined; /* scratch of nnm_compat_make_block */
} compat_working;

/* Operators and edges of the IR: types aliased, nodes that say nothing left out, constants and identities in the middle
 * bypassed, isolated nodes removed as the old tool does. Fails on a cycle. */
nnm_status nnm_compat_working_create(compat_working *work, const nnm_ir *ir, nnm_error *error);
void nnm_compat_working_free(compat_working *work);

/* The id of an interned type, adding it; -1 when memory runs out. */
int32_t nnm_compat_type_id(compat_working *work, const char *type, const char **interned);

/* Replaces the operators by a block that has the attributes of operators[root]. Ids must be distinct and alive. */
nnm_status nnm_compat_make_block(compat_working *work, const int32_t *operators, size_t count, size_t root,
                                 const char *type);

/* Fills order; *complete is false when blocks closed a cycle. */
nnm_status nnm_compat_sort(compat_working *work, bool *complete);
/* Marks the IR nodes of blocks that are part of a cycle, in marks[node_count]. Needs a failed sort. */
nnm_status nnm_compat_mark_cycles(compat_working *work, uint8_t *marks);

/* Fuses the rules of three and more operators, then squeeze-and-excite, hard swish, channel shuffle and global pooling
 * (units.c). */
nnm_status nnm_compat_make_blocks(compat_working *work, const nnm_fusion_rules *rules);

/* Groups by pair rules (pairs.c). Positions are indices into work->order. */
typedef struct compat_groups {
  const int32_t *root; /* per position: the first position of its kernel */
  /* per root position (empty for others): the positions the old tool lists as its consumers, outs[out_start..out_end) */
  const uint32_t *out_start, *out_end;
  const int32_t *outs;
} compat_groups;
nnm_status nnm_compat_group(compat_working *work, const nnm_fusion_rules *rules, compat_groups *out);

/* What the old tool calls a type: "Conv" -> "conv"; an unknown type stays (convert.c). */
const char *nnm_compat_alias(const nnm_ir_node *node); /* "dwconv" where the node is depthwise */
const char *nnm_compat_alias_of_type(const char *type);
bool nnm_compat_is_depthwise(const nnm_ir_node *node);
bool nnm_compat_is_dummy(const char *type);

/* Attributes and shapes of a kernel's first node under the old tool's names (convert.c). arena keeps the arrays. */
nnm_status nnm_compat_read_attributes(const nnm_ir *ir, int32_t node, nnm_arena *arena, nnm_compat_kernel *out,
                                      nnm_error *error);

/* Feature rows and predictor names of all kernels, in order (rows.c). aliases: per IR node, as nnm_compat_alias. */
nnm_status nnm_compat_make_rows(const nnm_ir *ir, const nnm_graph *graph, const nnm_shapes *shapes,
                                nnm_compat_kernel *kernels, size_t count, nnm_arena *arena, nnm_error *error);

#endif
