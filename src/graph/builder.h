/* The only way to make a graph. Every reader goes through it, so that dangling inputs, duplicate definitions, cycles,
 * excessive sizes and impossible dims are caught once, with one wording.
 *
 * Use: create; begin/end blocks; add tensors and nodes; finish. After a failed call only nnm_graph_builder_free is
 * allowed. Pointers passed in are copied unless said otherwise. */
#ifndef NNM_GRAPH_BUILDER_H
#define NNM_GRAPH_BUILDER_H

#include "base/status.h"
#include "graph/graph.h"

typedef struct nnm_graph_builder nnm_graph_builder;

nnm_status nnm_graph_builder_create(const char *format, nnm_graph_builder **out, nnm_error *error);
void nnm_graph_builder_free(nnm_graph_builder *builder); /* NULL is fine; finish frees it too */

/* The graph's arena and strings, for readers that prepare attributes and constants in place. */
nnm_arena *nnm_graph_builder_arena(nnm_graph_builder *builder);
const char *nnm_graph_builder_intern(nnm_graph_builder *builder, const char *text, size_t length);
void nnm_graph_builder_set_opset(nnm_graph_builder *builder, int32_t opset);
nnm_status nnm_graph_builder_set_producer(nnm_graph_builder *builder, const char *name, nnm_error *error);

/* A body of an If/Loop/Scan inside the current block; nodes and tensors added until the matching end belong to it. The
 * id goes into the owner's attribute, so bodies are read before their owner is added. name is interned by the caller. */
nnm_status nnm_graph_builder_begin_block(nnm_graph_builder *builder, const char *name, nnm_block_id *out,
                                         nnm_error *error);
nnm_status nnm_graph_builder_end_block(nnm_graph_builder *builder, nnm_error *error);

/* The tensor of that name seen from the current block (its own, else the nearest block around it), or a new, so far
 * undefined one in the current block. name: interned. Whether everything read is also defined is checked by finish, so
 * nodes may come in any order. */
nnm_status nnm_graph_builder_tensor(nnm_graph_builder *builder, const char *name, nnm_tensor_id *out, nnm_error *error);
/* For what a node or a body's formal input defines: the tensor of that name in the current block, or a new one there,
 * which hides one of the same name in a block around it. */
nnm_status nnm_graph_builder_local_tensor(nnm_graph_builder *builder, const char *name, nnm_tensor_id *out,
                                          nnm_error *error);
/* The tensor of that interned name if the current block or one around it has it, else -1. */
nnm_tensor_id nnm_graph_builder_find_tensor(const nnm_graph_builder *builder, const char *name);

/* Declares what the file says of a tensor's type and shape (value_info). rank -1: unknown. dims < -1 become -1; a dim
 * over NNM_LIMIT_DIMENSION fails. symbols may be NULL. dims and symbols must live in the graph's arena or be NULL. */
nnm_status nnm_graph_builder_declare(nnm_graph_builder *builder, nnm_tensor_id tensor, nnm_dtype dtype, int32_t rank,
                                     const int64_t *dims, const char *const *symbols, nnm_error *error);

/* Makes the tensor an input / output / weight of the current block. A tensor that is an input and a weight is a weight
 * (initializer with a default). constant may be NULL for a weight known by shape only; else it lives in the arena. */
nnm_status nnm_graph_builder_input(nnm_graph_builder *builder, nnm_tensor_id tensor, nnm_error *error);
nnm_status nnm_graph_builder_output(nnm_graph_builder *builder, nnm_tensor_id tensor, nnm_error *error);
nnm_status nnm_graph_builder_weight(nnm_graph_builder *builder, nnm_tensor_id tensor, const nnm_constant *constant,
                                    nnm_error *error);

/* Another name for an input, interned by the caller. */
void nnm_graph_builder_set_alias(nnm_graph_builder *builder, nnm_tensor_id tensor, const char *alias);

/* Adds a node to the current block. `node` is a template: name, type, domain interned by the caller; inputs, outputs
 * and attributes are copied (their contents stay in the arena); block is set here. Two nodes that write one tensor are
 * an error. Block attributes must name closed blocks that no node owns yet. */
nnm_status nnm_graph_builder_node(nnm_graph_builder *builder, const nnm_node *node, nnm_node_id *out, nnm_error *error);

/* Something of the file that the reader guessed, or could not use; every result of the model carries it. Of very many
 * the first are kept and the others counted. */
nnm_status nnm_graph_builder_note(nnm_graph_builder *builder, nnm_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Checks and seals the graph; frees the builder in every case. */
nnm_status nnm_graph_builder_finish(nnm_graph_builder *builder, nnm_graph **out, nnm_error *error);

#endif
