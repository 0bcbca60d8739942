/* nn-Meter IR of a TensorFlow graph as nn-Meter 2.0's converter of frozen graphs makes it. Internal to src/ir.
 *
 * That converter works on one dictionary of nodes under TensorFlow's names, weights and constants included, infers shapes
 * with rules of its own, and then leaves out what looks like a weight by its name. Its kernels, and so the predictors
 * trained on them, hang on the order of the dictionary and on what those rules get wrong; docs/differences.md says what.
 * Where it stops with an exception, the right answer is taken instead. */
#ifndef NNM_IR_FROZEN_H
#define NNM_IR_FROZEN_H

#include <jansson.h>

#include "ir/ir.h"

/* A list of numbers that rules change in place, as Python does. */
typedef struct frozen_shape {
  int32_t rank;
  int64_t *dims;
} frozen_shape;

typedef struct frozen_list { /* of keys: their numbers */
  int32_t *items;
  size_t count, capacity;
} frozen_list;

typedef struct frozen_key { /* an entry of the old tool's dictionary */
  const char *name;
  const char *type;     /* NULL for outputs of a Split, which are entries of their own at first */
  nnm_node_id node;     /* -1: a constant or an input */
  nnm_tensor_id tensor; /* its first output */
  bool is_left;         /* still in the dictionary */
  frozen_list inbounds, outbounds;
  frozen_shape *inputs, *outputs;
  size_t input_count, output_count;
  json_t *attributes;
} frozen_key;

typedef struct frozen_graph {
  const nnm_graph *graph;
  const nnm_shapes *shapes;
  nnm_arena *arena;
  nnm_error *error;
  frozen_key *keys;
  int32_t count;
  int32_t *key_of_tensor; /* -1: none */
  nnm_strings names;      /* value: the key */
} frozen_graph;

/* The key of that name, or -1. */
int32_t nnm_frozen_find(frozen_graph *g, const char *name);
nnm_status nnm_frozen_append(frozen_graph *g, frozen_list *list, int32_t key);
/* Elements of a constant as the old tool reads them, a new reference; NULL when it has none, or is large. */
json_t *nnm_frozen_constant_json(const nnm_constant *constant);

/* Gives every key shapes, and the attributes that go with them (frozen_shapes.c). */
nnm_status nnm_frozen_infer_shapes(frozen_graph *g);

#endif
