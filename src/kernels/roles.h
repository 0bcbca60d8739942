/* What each operator is to kernel detection. */
#ifndef NNM_KERNELS_ROLES_H
#define NNM_KERNELS_ROLES_H

#include "kernels/kernels.h"

typedef enum nnm_role {
#define NNM_ROLE(id, name, rule_name, kernel, rank, follows) NNM_ROLE_##id,
#include "kernels/role_list.inc"
#undef NNM_ROLE
  NNM_ROLE_COUNT
} nnm_role;

typedef struct nnm_role_entry {
  const char *name, *rule_name; /* see role_list.inc */
  nnm_kernel_type kernel;
  int rank;
  bool follows;
} nnm_role_entry;

extern const nnm_role_entry nnm_roles[NNM_ROLE_COUNT];

/* The role of one node on its own. */
nnm_role nnm_role_of(const nnm_graph *graph, const nnm_shapes *shapes, nnm_node_id node);

/* The role whose part of a kernel's name this is ("conv", "relu"), or NNM_ROLE_COUNT. */
nnm_role nnm_role_named(const char *name, size_t length);

/* "layernormalization" for LayerNormalization, "skiplayernormalization" for com.microsoft.SkipLayerNormalization; a
 * custom operator's own type. NULL when memory runs out. */
const char *nnm_operator_label(const nnm_graph *graph, nnm_node_id node, nnm_arena *arena);

#endif
