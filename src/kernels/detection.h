/* What the steps of kernel detection share. The steps, in order:
 *   activity  in what order nodes run, which of them are mere views, who reads what
 *   units     one unit for each node that costs something
 *   patterns  several units that are one operator (hard swish, squeeze-and-excite, attention) become one; what a
 *             converter folds into weights (batch normalisation, biases) joins the unit it is folded into
 *   fusion    chains of units that the device's rules run as one kernel
 *   describe  the kernels as later stages see them
 * All arrays live in the scratch arena, which is gone when detection is done. */
#ifndef NNM_KERNELS_DETECTION_H
#define NNM_KERNELS_DETECTION_H

#include "kernels/kernels.h"
#include "kernels/roles.h"

typedef int32_t nnm_unit_id; /* index into detection.units; -1: none */

/* Whether a node runs no code of its own, and why. */
typedef enum nnm_view {
  NNM_VIEW_NONE = 0,
  NNM_VIEW_PLAIN,    /* its output is its first input seen otherwise */
  NNM_VIEW_CANCELLED /* the same: a transposition that another one takes back */
} nnm_view;

/* One node, or several that are one operator. */
typedef struct nnm_unit {
  nnm_role role;
  nnm_node_id core;
  nnm_node_id first, last; /* linked list of members through detection.next_member */
  int32_t member_count;    /* -1: taken over by another unit */
  int32_t position;        /* where in the execution order the unit's result is there */
  nnm_block_id block;
  nnm_tensor_id input;        /* root of the one tensor that a pattern's unit reads; -1: as its nodes say */
  nnm_tensor_id output;       /* root of the tensor it makes; -1 for several results */
  nnm_tensor_id shown_output; /* the tensor to report where it is not that root; -1: the root */
  bool has_bn;                /* a batch normalisation has been folded in */
} nnm_unit;

typedef struct nnm_kernel_search {
  const nnm_graph *graph;
  const nnm_shapes *shapes;
  const nnm_fusion_rules *rules;
  nnm_arena scratch;

  nnm_node_id *order; /* nodes that run, views included, in execution order */
  int32_t order_count;
  int32_t *position;      /* each node: its place in order; -1: does not run */
  uint8_t *is_view;       /* each node: nnm_view; not 0 when it runs no code */
  nnm_tensor_id *root;    /* each tensor: the tensor it is a view of, or itself */
  uint8_t *escapes;       /* each root: also read by something that cannot be fused (output, body, control flow) */
  uint32_t *reader_start; /* each root: the nodes that read it, views looked through, each node once */
  nnm_node_id *readers;

  nnm_unit *units;          /* node_count entries; unit i starts as node i */
  nnm_unit_id *unit_of;     /* each node: its unit; -1: none */
  nnm_node_id *next_member; /* each node: the next in its unit's list; -1: the last */
} nnm_kernel_search;

/* activity.c */
nnm_status nnm_find_activity(nnm_kernel_search *d, nnm_error *error);

/* layouts.c: once is_view is set, more of it */
nnm_status nnm_cancel_transpositions(nnm_kernel_search *d, nnm_error *error);

/* units.c */
nnm_status nnm_make_units(nnm_kernel_search *d, nnm_error *error);
/* The unit that makes a root tensor, or -1. */
nnm_unit_id nnm_unit_making(const nnm_kernel_search *d, nnm_tensor_id root);
/* Where in the execution order a root is made; -1 for model inputs. */
int32_t nnm_position_making(const nnm_kernel_search *d, nnm_tensor_id root);
/* Puts all of one unit's members into the other; returns the id that lives on, with its role, core, position, input and
 * output still to be set by the caller. */
nnm_unit_id nnm_join_units(nnm_kernel_search *d, nnm_unit_id a, nnm_unit_id b);
/* Whether `reader` alone reads what `unit` makes. */
bool nnm_only_read_by(const nnm_kernel_search *d, nnm_unit_id unit, nnm_unit_id reader);

/* The number that a constant of one element holds; false when the file does not have it. */
bool nnm_only_number(const nnm_kernel_search *d, nnm_tensor_id tensor, double *out);
/* Whether nothing outside of these units reads what they make, the result of the first excepted. */
bool nnm_is_closed(const nnm_kernel_search *d, const nnm_unit_id *units, int count);

/* patterns.c, shuffle.c, attention.c, rotary.c: each to be called for each node in execution order */
void nnm_match_patterns(nnm_kernel_search *d, nnm_node_id node);
void nnm_match_channel_shuffle(nnm_kernel_search *d, nnm_node_id node);
void nnm_match_attention(nnm_kernel_search *d, nnm_node_id node);
void nnm_match_rotary(nnm_kernel_search *d, nnm_node_id node);
/* quantisation.c: likewise, after the patterns */
void nnm_fold_dequantisation(nnm_kernel_search *d, nnm_node_id node);
/* folding.c: likewise, after the patterns; once more with scalars when all patterns are found */
void nnm_fold_into_weights(nnm_kernel_search *d, nnm_node_id node, bool scalars);
/* folding.c: a padding that the layer behind it can do itself; then scales and shifts, from the last node to the first */
void nnm_fold_padding(nnm_kernel_search *d, nnm_node_id node);
void nnm_fold_into_layer_behind(nnm_kernel_search *d, nnm_node_id node);
/* folding.c: the slices that cut one tensor into parts become one split */
void nnm_group_slices(nnm_kernel_search *d);

/* Units in one kernel at most: its name stays readable, and no device goes on for longer. */
enum { NNM_LONGEST_CHAIN = 32 };

/* A kernel in the making: units chained one behind the other. */
typedef struct nnm_chain {
  nnm_unit_id *units;
  int32_t unit_count;
} nnm_chain;

typedef struct nnm_chains {
  nnm_chain *items; /* in execution order */
  size_t count;
} nnm_chains;

/* fusion.c */
nnm_status nnm_fuse_units(nnm_kernel_search *d, nnm_chains *out, nnm_error *error);

/* describe.c: nnm_describe_kernel for a kernel whose type, core and output are set already; root: each
 * tensor's, NULL when nothing is known of views. */
nnm_status nnm_measure_kernel(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_tensor_id *root,
                              nnm_arena *arena, nnm_kernel *kernel, nnm_error *error);

#endif
