/* The shape of every tensor, and the value of the small constants that shapes hang on. */
#ifndef NNM_SHAPES_SHAPES_H
#define NNM_SHAPES_SHAPES_H

#include "base/status.h"
#include "graph/graph.h"

typedef struct nnm_shape {
  int32_t rank;        /* -1: unknown: behind a custom operator, or in a branch known not to run */
  const int64_t *dims; /* rank entries, all >= 0 once inference has succeeded */
} nnm_shape;

/* A folded constant: the elements of a tensor whose value is known without running the network. */
typedef struct nnm_value {
  size_t count;
  bool is_float;
  union {
    const int64_t *integers;
    const double *numbers;
  } as;
} nnm_value;

struct nnm_window; /* src/ops/ops.h */

typedef struct nnm_shapes {
  nnm_arena arena;
  nnm_shape *tensors;       /* graph->tensor_count entries */
  nnm_dtype *dtypes;        /* graph->tensor_count entries */
  const nnm_value **values; /* graph->tensor_count entries; NULL where not constant or too large to fold */
  uint8_t *constant;        /* graph->tensor_count entries: 1 for weights and whatever is computed from nothing else, so
                             * that a runtime computes it once and not for each run */
  int64_t *turns;           /* graph->block_count entries: how often a body runs in one run of the model, the loops
                             * around it included; 1 outside of loops */
  uint8_t *executed; /* graph->node_count entries: 1 for nodes that run; 0 for those whose outputs are constant, and
                             * for those in a branch of an If that does not run (when that depends on the data, the
                             * dearer branch is taken to run, with a note) */
  const struct nnm_window **windows; /* graph->node_count entries: what the shape rule made out of a convolution or
                                      * pooling; NULL where it did not. Ask nnm_window_of */
  size_t note_count;
  const char *const *notes; /* guesses made: "Loop 'x': trip count unknown, one turn counted" */
} nnm_shapes;

/* options may be NULL. Every tensor that a node produces gets a shape, or the call fails naming the first node whose
 * output stays unknown and what to give (--input-shape, --batch-size); tensors behind custom operators without declared
 * shapes are the exception: rank -1, with a note. */
nnm_status nnm_infer_graph_shapes(const nnm_graph *graph, const nnm_shape_options *options, nnm_shapes **out,
                                  nnm_error *error);
void nnm_shapes_free(nnm_shapes *shapes); /* NULL is fine */

int64_t nnm_shape_elements(nnm_shape shape); /* 1 for a scalar, -1 when unknown */

#endif
