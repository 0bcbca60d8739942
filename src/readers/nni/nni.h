/* What the files of the NNI reader share: nni.c walks the document; modules.c, functions.c and layout.c
 * turn its operations into nodes; values.c has what they need.
 *
 * NNI's graph IR is a torch program rather than a graph of tensors: edges also carry numbers and lists, and sizes are
 * computed from sizes. Each edge's value is worked out while reading; what hangs on a size becomes Shape and its like,
 * which shape inference folds. */
#ifndef NNM_READERS_NNI_NNI_H
#define NNM_READERS_NNI_NNI_H

#include <jansson.h>

#include "base/status.h"
#include "graph/builder.h"
#include "ops/ops.h"

typedef enum nni_kind {
  NNI_NONE,   /* Python's None, and what the IR does not keep (parameters of the model) */
  NNI_TENSOR, /* of the network, or (is_size) an integer computed from sizes */
  NNI_INT,    /* booleans as well */
  NNI_FLOAT,
  NNI_TEXT,
  NNI_LIST,   /* tuples as well */
  NNI_SIZES,  /* all dimensions of a tensor */
  NNI_PIECES, /* a tensor cut into equal pieces along an axis, as many as it takes */
  NNI_SLICES  /* a tensor's slices of one element along an axis, that axis gone */
} nni_kind;

typedef struct nni_value {
  nni_kind kind;
  nnm_tensor_id tensor; /* TENSOR, SIZES, PIECES, SLICES */
  int32_t rank;         /* of the tensor, where it is known; else -1 */
  bool is_size;
  int64_t integer; /* INT; PIECES: size of a piece */
  int64_t axis;    /* PIECES, SLICES */
  double number;   /* FLOAT */
  const char *text;
  size_t count; /* LIST */
  const struct nni_value *items;
} nni_value;

enum { NNI_MOST_ATTRIBUTES = 16 };

typedef struct nni_reading {
  nnm_graph_builder *builder;
  nnm_arena *arena;
  nnm_error *error;
  const json_t *document;
  size_t budget; /* nodes and edges that may still be looked at, cells written out */
  size_t sequence;
  int depth; /* cells around */
  /* the operation at hand */
  const char *name, *type; /* of its node */
  const json_t *parameters, *shapes;
  size_t input_count;
  const nni_value *inputs;
  /* attributes of the node that is emitted next */
  nnm_attribute attributes[NNI_MOST_ATTRIBUTES];
  uint32_t attribute_count;
} nni_reading;

/* ---- values.c: fault and remedy; emitting nodes */

nnm_status nni_fail(nni_reading *r, nnm_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

void nni_with_int(nni_reading *r, const char *name, int64_t value);
void nni_with_ints(nni_reading *r, const char *name, const int64_t *values, size_t count);
void nni_with_text(nni_reading *r, const char *name, const char *value);
/* A node of one of ONNX's operators with the attributes given so far; `count` outputs. An input may be -1. */
nnm_status nni_emit_several(nni_reading *r, const char *type, const nnm_tensor_id *inputs, uint32_t input_count,
                            nnm_tensor_id *outputs, uint32_t output_count);
nnm_status nni_emit(nni_reading *r, const char *type, const nnm_tensor_id *inputs, uint32_t input_count, int32_t rank,
                    nni_value *out);
nnm_status nni_emit1(nni_reading *r, const char *type, const nni_value *input, int32_t rank, nni_value *out);
/* An operator that nobody here knows; it goes by its own name and has the shape that the IR gives, if it does. */
nnm_status nni_emit_unknown(nni_reading *r, const char *domain, const char *type, nni_value *out);

nnm_status nni_weight(nni_reading *r, const int64_t *dims, size_t rank, nnm_tensor_id *out); /* no bytes */
nnm_status nni_integers(nni_reading *r, const int64_t *values, size_t count, nnm_tensor_id *out);
nnm_status nni_scalar(nni_reading *r, const nni_value *value, bool as_size, nnm_tensor_id *out);
nnm_status nni_scales(nni_reading *r, const float *values, size_t count, nnm_tensor_id *out);
/* Integers and sizes as one tensor. */
nnm_status nni_shape_tensor(nni_reading *r, const nni_value *list, nnm_tensor_id *out);

nni_value nni_none(void);
nni_value nni_integer(int64_t value);
nni_value nni_tensor(nnm_tensor_id tensor, int32_t rank);
nnm_status nni_list(nni_reading *r, const nni_value *items, size_t count, nni_value *out);
/* Item `index` of anything that has items; -1 from behind where the count is known. */
nnm_status nni_item(nni_reading *r, const nni_value *value, int64_t index, nni_value *out);
bool nni_is_number(const nni_value *value);
/* The integers of a list, or of an integer, `count` of them; false when it is something else. */
bool nni_read_integers(const nni_value *value, int64_t *out, size_t count);

/* Input `index`, or None. The other forms fail when it is not what it should be. */
nni_value nni_input(const nni_reading *r, size_t index);
nnm_status nni_tensor_input(nni_reading *r, size_t index, nni_value *out);
nnm_status nni_integer_input(nni_reading *r, size_t index, int64_t otherwise, int64_t *out);

/* ---- the operations */

/* A class of modules, rather than a function. */
bool nni_is_module(const char *type);
nnm_status nni_module(nni_reading *r, nni_value *out);   /* type: "__torch__....Conv2d" */
nnm_status nni_function(nni_reading *r, nni_value *out); /* type: "aten::relu", "prim::Constant" */

#endif
