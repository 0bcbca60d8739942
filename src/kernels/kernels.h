/* Kernels: the groups of nodes that a device runs as one, found with a device's fusion rules. */
#ifndef NNM_KERNELS_KERNELS_H
#define NNM_KERNELS_KERNELS_H

#include "base/status.h"
#include "graph/graph.h"
#include "kernels/fusion_rules.h"
#include "ops/ops.h"

/* The kernel types that predictors know. Many names share one: "conv-bn-relu", "conv-relu", "conv" are all CONV. */
typedef enum nnm_kernel_type {
#define NNM_KERNEL(id, name, description) NNM_KERNEL_##id,
#include "kernels/kernel_list.inc"
#undef NNM_KERNEL
  NNM_KERNEL_TYPE_COUNT
} nnm_kernel_type;

const char *nnm_kernel_type_name(nnm_kernel_type type);

typedef struct nnm_compat_kernel nnm_compat_kernel; /* src/compat/compat.h */

typedef struct nnm_kernel {
  const char *name; /* nn-Meter's: the operators fused, "conv-bn-relu"; arena */
  nnm_kernel_type type;
  size_t member_count;
  const nnm_node_id *members; /* in execution order; members[0] is the first operator */
  nnm_node_id core;           /* the member that does the work (the convolution of conv-bn-relu) */
  size_t input_count;
  const nnm_tensor_id *inputs; /* data inputs from outside the kernel; weights excluded */
  nnm_tensor_id output;        /* the first output of the last member that is no mere view; -1: none */
  int64_t multiply_adds;       /* of all members, one turn */
  int64_t input_elements, output_elements, weight_elements; /* one turn; biases are no weights here */
  int64_t repeat;                                           /* turns of the Loop bodies around it; 1 outside of loops */
  const nnm_compat_kernel *compat;                          /* nn-Meter 2.0's view of it; NULL in our own mode */
} nnm_kernel;

typedef struct nnm_kernels {
  nnm_arena arena;
  size_t count;
  nnm_kernel *items; /* in execution order */
  size_t note_count;
  const char *const *notes;
} nnm_kernels;

/* Our own mode. Every executed node that costs anything is in exactly one kernel; nothing is dropped. */
nnm_status nnm_detect_kernels(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_fusion_rules *rules,
                              nnm_kernels **out, nnm_error *error);
void nnm_kernels_free(nnm_kernels *kernels); /* NULL is fine */

/* The largest constant operand of the kernel's core: a layer's weights, an embedding's table; -1: none. */
nnm_tensor_id nnm_kernel_weights(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel);

/* Where the channels of a tensor are that the kernel reads or makes: as the first member says that does. */
nnm_layout nnm_kernel_layout(const nnm_graph *graph, const nnm_kernel *kernel, nnm_tensor_id tensor);

/* The largest input of the kernel, the first of equals: what is worked on, rather than a scale or a mask; -1: none. */
nnm_tensor_id nnm_kernel_data(const nnm_shapes *shapes, const nnm_kernel *kernel);

/* Fills type, core, inputs, output and the counts from name and members, for kernels that nnm_detect_kernels did not
 * make; any set of nodes will do. output: the last member's. */
nnm_status nnm_describe_kernel(const nnm_graph *graph, const nnm_shapes *shapes, nnm_arena *arena, nnm_kernel *kernel,
                               nnm_error *error);

#endif
