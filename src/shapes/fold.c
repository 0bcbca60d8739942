#include "shapes/fold.h"

#include "base/limits.h"
#include "shapes/folders.h"
#include "shapes/value.h"

#define INPUT(i) (1u << (i))
#define ALL UINT32_MAX

/* Inputs whose values a shape rule asks for. */
static uint32_t shape_inputs(const nnm_node *node) {
  static const uint32_t masks[NNM_OP_COUNT] = {
      [NNM_OP_RESHAPE] = INPUT(1),
      [NNM_OP_EXPAND] = INPUT(1),
      [NNM_OP_TILE] = INPUT(1),
      [NNM_OP_SQUEEZE] = INPUT(1),
      [NNM_OP_UNSQUEEZE] = INPUT(1),
      [NNM_OP_MS_EXPAND_DIMS] = INPUT(1),
      [NNM_OP_SPLIT] = INPUT(1),
      [NNM_OP_PAD] = INPUT(1) | INPUT(3),
      [NNM_OP_MS_PAD] = INPUT(1) | INPUT(3),
      [NNM_OP_TRANSPOSE] = INPUT(1),
      [NNM_OP_SLICE] = INPUT(1) | INPUT(2) | INPUT(3) | INPUT(4),
      [NNM_OP_SLICE_BY_SIZE] = INPUT(1) | INPUT(2),
      [NNM_OP_RANDOM_OF_SHAPE] = INPUT(0),
      [NNM_OP_SCATTER_TO_SHAPE] = INPUT(2),
      [NNM_OP_SPARSE_TO_DENSE] = INPUT(1),
      [NNM_OP_LINSPACE] = INPUT(2),
      [NNM_OP_TRUE_POSITIONS] = INPUT(0),
      [NNM_OP_UNSORTED_SEGMENT] = INPUT(2),
      [NNM_OP_SPARSE_SEGMENT] = INPUT(3),
      [NNM_OP_BIN_COUNT] = INPUT(1),
      [NNM_OP_SPACE_TO_BATCH] = INPUT(1) | INPUT(2),
      [NNM_OP_BATCH_TO_SPACE] = INPUT(1) | INPUT(2),
      [NNM_OP_SELECT_BOXES] = INPUT(2),
      [NNM_OP_SELECT_BOXES_OF_BATCH] = INPUT(2) | INPUT(3),
      [NNM_OP_REAL_FFT] = INPUT(1),
      [NNM_OP_INVERSE_REAL_FFT] = INPUT(1),
      [NNM_OP_LIST_RESERVE] = ALL,
      [NNM_OP_LIST_GET] = INPUT(2),
      [NNM_OP_LIST_STACK] = INPUT(1),
      [NNM_OP_ARRAY_NEW] = INPUT(0),
      [NNM_OP_SPARSE_FILL] = INPUT(2),
      [NNM_OP_SPARSE_MATMUL] = INPUT(2),
      [NNM_OP_STRIDED_SLICE] = INPUT(1) | INPUT(2) | INPUT(3),
      [NNM_OP_RESIZE] = INPUT(1) | INPUT(2) | INPUT(3),
      [NNM_OP_UPSAMPLE] = INPUT(1),
      [NNM_OP_RESIZE_BILINEAR] = INPUT(1),
      [NNM_OP_RESIZE_NEAREST_NEIGHBOR] = INPUT(1),
      [NNM_OP_TOP_K] = INPUT(1),
      [NNM_OP_RANGE] = ALL,
      [NNM_OP_MS_RANGE] = ALL,
      [NNM_OP_CONSTANT_OF_SHAPE] = ALL,
      [NNM_OP_ONE_HOT] = INPUT(1),
      [NNM_OP_CENTER_CROP_PAD] = INPUT(1),
      [NNM_OP_COL2IM] = INPUT(1) | INPUT(2),
      [NNM_OP_AFFINE_GRID] = INPUT(1),
      [NNM_OP_IF] = INPUT(0),
      [NNM_OP_LOOP] = INPUT(0) | INPUT(1),
      [NNM_OP_NON_ZERO] = INPUT(0),
      [NNM_OP_COMPRESS] = INPUT(1),
      [NNM_OP_NON_MAX_SUPPRESSION] = INPUT(2),
      [NNM_OP_SEQUENCE_AT] = INPUT(1),
      [NNM_OP_SEQUENCE_INSERT] = INPUT(2),
      [NNM_OP_SEQUENCE_ERASE] = INPUT(1),
      [NNM_OP_SPLIT_TO_SEQUENCE] = INPUT(1),
      [NNM_OP_MAX_UNPOOL] = INPUT(2),
      [NNM_OP_MS_CROP_AND_RESIZE] = INPUT(3),
      [NNM_OP_DFT] = INPUT(1) | INPUT(2),
      [NNM_OP_STFT] = INPUT(1) | INPUT(3),
      [NNM_OP_BLACKMAN_WINDOW] = INPUT(0),
      [NNM_OP_HAMMING_WINDOW] = INPUT(0),
      [NNM_OP_HANN_WINDOW] = INPUT(0),
      [NNM_OP_MEL_WEIGHT_MATRIX] = INPUT(0) | INPUT(1),
      [NNM_OP_CONV_TRANSPOSE] = INPUT(3),
      [NNM_OP_SEGMENT] = INPUT(1),
  };
  if (node->op <= 0 || node->op >= NNM_OP_COUNT) return 0;
  return nnm_op_shape_rule(node->op) == nnm_rule_reduce ? INPUT(1) : masks[node->op];
}

typedef struct folder {
  nnm_folder fold;
  uint32_t inputs; /* whose values it computes with */
  uint32_t least;  /* so many inputs must be there; further ones may be left out */
} folder;

static const folder folders[NNM_OP_COUNT] = {
    [NNM_OP_CONSTANT] = {nnm_fold_constant, 0, 0},
    [NNM_OP_SHAPE] = {nnm_fold_shape, 0, 1},
    [NNM_OP_SIZE] = {nnm_fold_size, 0, 1},
    [NNM_OP_RANK] = {nnm_fold_rank, 0, 1},
    [NNM_OP_BROADCAST_ARGS] = {nnm_fold_broadcast_args, ALL, 2},
    [NNM_OP_CONSTANT_OF_SHAPE] = {nnm_fold_constant_of_shape, INPUT(1), 1},
    [NNM_OP_RANGE] = {nnm_fold_range, ALL, 2},
    [NNM_OP_IDENTITY] = {nnm_fold_copy, INPUT(0), 1},
    [NNM_OP_RESHAPE] = {nnm_fold_copy, INPUT(0), 1},
    [NNM_OP_FLATTEN] = {nnm_fold_copy, INPUT(0), 1},
    [NNM_OP_SQUEEZE] = {nnm_fold_copy, INPUT(0), 1},
    [NNM_OP_UNSQUEEZE] = {nnm_fold_copy, INPUT(0), 1},
    [NNM_OP_MS_EXPAND_DIMS] = {nnm_fold_copy, INPUT(0), 1},
    [NNM_OP_CAST] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_CAST_LIKE] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_ABS] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_NEG] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_FLOOR] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_CEIL] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_ROUND] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_SQRT] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_EXP] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_LOG] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_RECIPROCAL] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_SIGN] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_NOT] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_IS_NAN] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_IS_INF] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_RELU] = {nnm_fold_unary, INPUT(0), 1},
    [NNM_OP_ADD] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_SUB] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_MUL] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_DIV] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_FLOOR_DIV] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_MOD] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_POW] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_MAX] = {nnm_fold_binary, ALL, 1},
    [NNM_OP_MIN] = {nnm_fold_binary, ALL, 1},
    [NNM_OP_SUM] = {nnm_fold_binary, ALL, 1},
    [NNM_OP_EQUAL] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_NOT_EQUAL] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_LESS] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_LESS_OR_EQUAL] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_GREATER] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_GREATER_OR_EQUAL] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_AND] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_OR] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_XOR] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_BITWISE_AND] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_BITWISE_OR] = {nnm_fold_binary, ALL, 2},
    [NNM_OP_WHERE] = {nnm_fold_where, ALL, 3},
    [NNM_OP_CLIP] = {nnm_fold_clip, ALL, 1},
    [NNM_OP_REDUCE_SUM] = {nnm_fold_reduce, ALL, 1},
    [NNM_OP_REDUCE_PROD] = {nnm_fold_reduce, ALL, 1},
    [NNM_OP_REDUCE_MAX] = {nnm_fold_reduce, ALL, 1},
    [NNM_OP_REDUCE_MIN] = {nnm_fold_reduce, ALL, 1},
    [NNM_OP_REDUCE_MEAN] = {nnm_fold_reduce, ALL, 1},
    [NNM_OP_CUM_SUM] = {nnm_fold_cumulative_sum, ALL, 2},
    [NNM_OP_CONCAT] = {nnm_fold_concat, ALL, 1},
    [NNM_OP_PACK] = {nnm_fold_concat, ALL, 1},
    [NNM_OP_SPLIT] = {nnm_fold_split, INPUT(0), 1},
    [NNM_OP_SLICE] = {nnm_fold_slice, INPUT(0), 1},
    [NNM_OP_SLICE_BY_SIZE] = {nnm_fold_slice_by_size, INPUT(0), 1},
    [NNM_OP_STRIDED_SLICE] = {nnm_fold_strided_slice, INPUT(0), 1},
    [NNM_OP_UNPACK] = {nnm_fold_unpack, INPUT(0), 1},
    [NNM_OP_SPARSE_RESHAPE] = {nnm_fold_sparse_reshape, INPUT(1) | INPUT(2), 3},
    [NNM_OP_SHAPES] = {nnm_fold_shapes, 0, 1},
    [NNM_OP_ZEROS_LIKE] = {nnm_fold_alike, 0, 1},
    [NNM_OP_ONES_LIKE] = {nnm_fold_alike, 0, 1},
    [NNM_OP_TRANSPOSE] = {nnm_fold_transpose, INPUT(0), 1},
    [NNM_OP_EXPAND] = {nnm_fold_expand, INPUT(0), 1},
    [NNM_OP_TILE] = {nnm_fold_tile, INPUT(0), 1},
    [NNM_OP_GATHER] = {nnm_fold_gather, ALL, 2},
    [NNM_OP_GATHER_ND] = {nnm_fold_gather_nd, ALL, 2},
    [NNM_OP_GATHER_ELEMENTS] = {nnm_fold_gather_elements, ALL, 2},
    [NNM_OP_SCATTER_ND] = {nnm_fold_scatter_nd, ALL, 3},
    [NNM_OP_NON_ZERO] = {nnm_fold_non_zero, INPUT(0), 1},
    [NNM_OP_SEQUENCE_LENGTH] = {nnm_fold_sequence_length, 0, 1},
};

static const folder *folder_of(const nnm_node *node) {
  const folder *found = node->op > 0 && node->op < NNM_OP_COUNT ? &folders[node->op] : NULL;
  return found && found->fold ? found : NULL;
}

static void mark_inputs(nnm_inference *inference, const nnm_node *node, uint32_t mask) {
  for (uint32_t i = 0; mask && i < node->input_count; i++)
    if (node->inputs[i] >= 0 && (mask == ALL || (i < 32 && mask >> i & 1))) inference->needed[node->inputs[i]] = 1;
}

static bool is_needed(const nnm_inference *inference, const nnm_node *node) {
  for (uint32_t i = 0; i < node->output_count; i++)
    if (node->outputs[i] >= 0 && inference->needed[node->outputs[i]]) return true;
  return false;
}

static void mark_block(nnm_inference *inference, nnm_block_id id);

/* The last outputs of a body become the outputs of its owner: a Loop's body has its condition in front. */
static void mark_bodies(nnm_inference *inference, const nnm_node *node) {
  for (uint32_t i = 0; i < node->attribute_count; i++) {
    if (node->attributes[i].kind != NNM_ATTRIBUTE_BLOCK) continue;
    nnm_block_id id = node->attributes[i].as.block;
    const nnm_block *body = &inference->graph->blocks[id];
    uint32_t first = node->op == NNM_OP_LOOP;
    for (uint32_t j = 0; j < node->output_count && j + first < body->output_count; j++)
      if (node->outputs[j] >= 0 && inference->needed[node->outputs[j]]) inference->needed[body->outputs[j + first]] = 1;
    if (first && body->output_count) inference->needed[body->outputs[0]] = 1;
    mark_block(inference, id);
  }
}

/* Backwards, so that whoever asks for a value comes before whoever makes it. Bodies nest no deeper than
 * NNM_LIMIT_BLOCK_DEPTH. */
static void mark_block(nnm_inference *inference, nnm_block_id id) {
  const nnm_block *block = &inference->graph->blocks[id];
  for (uint32_t i = block->node_count; i-- > 0;) {
    const nnm_node *node = &inference->graph->nodes[block->nodes[i]];
    if (nnm_op_work((nnm_op)node->op) == NNM_WORK_CONTROL) mark_bodies(inference, node);
    mark_inputs(inference, node, shape_inputs(node));
    const folder *found = folder_of(node);
    if (found && found->inputs && is_needed(inference, node)) mark_inputs(inference, node, found->inputs);
  }
}

void nnm_mark_needed_values(nnm_inference *inference) { mark_block(inference, 0); }

/* Whether every value it computes with is there. Looking at them costs as well as making new ones does. */
static bool take_inputs(nnm_inference *inference, const nnm_node *node, const folder *found) {
  if (node->input_count < found->least) return false;
  int64_t elements = 0;
  for (uint32_t i = 0; i < node->input_count; i++) {
    if (i < found->least && node->inputs[i] < 0) return false;
    if (node->inputs[i] < 0 || !(found->inputs == ALL || (i < 32 && found->inputs >> i & 1))) continue;
    const nnm_value *value = nnm_input_value(inference, node, i);
    if (!value) return false;
    elements += (int64_t)value->count;
  }
  if (elements > inference->budget) return false;
  inference->budget -= elements / 8; /* nothing is kept of them */
  return true;
}

nnm_status nnm_fold_node(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const folder *found = folder_of(node);
  if (!found || !is_needed(inference, node) || !take_inputs(inference, node, found))
    return inference->out_of_memory ? nnm_fail_memory(error) : NNM_OK;
  for (uint32_t i = 0; i < node->output_count; i++) {
    nnm_tensor_id output = node->outputs[i];
    if (output < 0) continue;
    int64_t elements = nnm_shape_elements(inference->shapes->tensors[output]);
    if (elements < 0 || elements > NNM_LIMIT_FOLDED_ELEMENTS) continue;
    inference->shapes->values[output] = found->fold(inference, node, i, (size_t)elements);
  }
  return inference->out_of_memory ? nnm_fail_memory(error) : NNM_OK;
}
