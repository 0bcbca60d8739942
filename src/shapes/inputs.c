#include "shapes/inputs.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "base/strings.h"

/* Symbols seen so far and the number each stands for. A symbol is one number in the whole model. */
typedef struct symbol_table {
  nnm_strings ids; /* text -> index */
  int64_t *values; /* -1: not known yet */
  size_t count, capacity;
} symbol_table;

typedef struct input_state {
  nnm_inference *inference;
  const nnm_shape_options *options;
  symbol_table symbols;
  const nnm_tensor_id *inputs; /* the model's */
  uint32_t input_count;
  int64_t **dims; /* by input: what is known so far, -1 elsewhere; NULL: not even the rank */
  int32_t *ranks; /* by input */
} input_state;

static const nnm_tensor *input_tensor(const input_state *state, uint32_t input) {
  return &state->inference->graph->tensors[state->inputs[input]];
}

/* "batch x 3 x ? x ?" as the file has it. */
static const char *declared_text(const nnm_tensor *tensor, char *buffer, size_t size) {
  size_t used = 0;
  buffer[0] = '\0';
  if (tensor->rank < 0) snprintf(buffer, size, "of unknown rank");
  for (int32_t i = 0; i < tensor->rank && used < size; i++) {
    const char *symbol = tensor->symbols ? tensor->symbols[i] : NULL;
    int written =
        tensor->dims[i] >= 0
            ? snprintf(buffer + used, size - used, "%s%lld", i ? " x " : "", (long long)tensor->dims[i])
            : snprintf(buffer + used, size - used, "%s%.40s", i ? " x " : "", symbol && *symbol ? symbol : "?");
    used += (size_t)written;
  }
  return buffer;
}

/* ----------------------------------------------------------------- symbols */

static int64_t *symbol_value(input_state *state, const char *symbol, nnm_error *error) {
  symbol_table *table = &state->symbols;
  int32_t *id = nnm_strings_value(&table->ids, symbol, strlen(symbol));
  if (!id) return nnm_fail_memory(error), NULL;
  if (*id >= 0) return &table->values[*id];
  if (table->count == table->capacity) {
    size_t capacity = table->capacity ? table->capacity * 2 : 16;
    int64_t *grown = NNM_ARENA_ARRAY(&state->inference->shapes->arena, int64_t, capacity);
    if (!grown) return nnm_fail_memory(error), NULL;
    if (table->count) memcpy(grown, table->values, table->count * sizeof *grown);
    table->values = grown;
    table->capacity = capacity;
  }
  *id = (int32_t)table->count++;
  table->values[*id] = -1;
  return &table->values[*id];
}

static const char *symbol_of(const nnm_tensor *tensor, int32_t i) {
  const char *symbol = tensor->symbols && i < tensor->rank ? tensor->symbols[i] : NULL;
  return symbol && *symbol && strcmp(symbol, "?") ? symbol : NULL;
}

/* Remembers what the known dims of an input say of its symbols. */
static nnm_status learn_symbols(input_state *state, uint32_t input, nnm_error *error) {
  const nnm_tensor *tensor = input_tensor(state, input);
  for (int32_t i = 0; i < tensor->rank && i < state->ranks[input]; i++) {
    const char *symbol = symbol_of(tensor, i);
    int64_t dim = state->dims[input][i];
    if (!symbol || tensor->dims[i] >= 0 || dim < 0) continue;
    int64_t *value = symbol_value(state, symbol, error);
    if (!value) return NNM_ERROR_MEMORY;
    if (*value >= 0 && *value != dim)
      return nnm_fail(error, NNM_ERROR_ARGUMENT, tensor->name,
                      "dimension '%.60s' is given as %lld here and as %lld elsewhere; it is the same in all inputs",
                      symbol, (long long)dim, (long long)*value);
    *value = dim;
  }
  return NNM_OK;
}

static nnm_status apply_symbols(input_state *state, uint32_t input, nnm_error *error) {
  const nnm_tensor *tensor = input_tensor(state, input);
  for (int32_t i = 0; i < state->ranks[input]; i++) {
    const char *symbol = symbol_of(tensor, i);
    if (!symbol || state->dims[input][i] >= 0) continue;
    int64_t *value = symbol_value(state, symbol, error);
    if (!value) return NNM_ERROR_MEMORY;
    state->dims[input][i] = *value;
  }
  return NNM_OK;
}

/* ----------------------------------------------------------- given shapes */

static nnm_status check_given(const input_state *state, uint32_t input, const nnm_input_shape *given,
                              nnm_error *error) {
  const nnm_tensor *tensor = input_tensor(state, input);
  char declared[256], shape[NNM_SHAPE_TEXT];
  if (given->rank > NNM_LIMIT_RANK)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, tensor->name, "the given shape has %zu dimensions; the limit is %d",
                    given->rank, NNM_LIMIT_RANK);
  bool fits = tensor->rank < 0 || (size_t)tensor->rank == given->rank;
  for (size_t i = 0; i < given->rank; i++) {
    if (given->dims[i] < 1 || given->dims[i] > NNM_LIMIT_DIMENSION)
      return nnm_fail(error, NNM_ERROR_ARGUMENT, tensor->name, "the given shape has dimension %lld; give 1 to %lld",
                      (long long)given->dims[i], (long long)NNM_LIMIT_DIMENSION);
    if (fits && tensor->rank >= 0 && tensor->dims[i] >= 0) fits = tensor->dims[i] == given->dims[i];
  }
  if (fits) return NNM_OK;
  nnm_shape as_shape = {(int32_t)given->rank, given->dims};
  return nnm_fail(error, NNM_ERROR_ARGUMENT, tensor->name,
                  "the given shape %s does not fit the model's input, which is %s; export the model again with other "
                  "(or dynamic) dimensions, or give a shape that fits",
                  nnm_shape_text(&as_shape, shape, sizeof shape), declared_text(tensor, declared, sizeof declared));
}

static bool needs_shape(const input_state *state, uint32_t input) {
  if (state->ranks[input] < 0) return true;
  for (int32_t i = 0; i < state->ranks[input]; i++)
    if (state->dims[input][i] < 0) return true;
  return false;
}

static nnm_status fail_unknown_input(const input_state *state, const char *name, nnm_error *error) {
  char list[300] = "";
  size_t used = 0;
  for (uint32_t i = 0; i < state->input_count && used < sizeof list; i++)
    used += (size_t)snprintf(list + used, sizeof list - used, "%s%.60s", i ? ", " : "", input_tensor(state, i)->name);
  return nnm_fail(error, NNM_ERROR_ARGUMENT, name, "the model has no input of this name; its inputs are: %s", list);
}

/* TensorFlow's "x:0" may be called "x", and what its signature calls it. */
static bool is_named(const nnm_tensor *tensor, const char *name) {
  size_t length = strlen(name);
  if (!strcmp(name, tensor->name) || (tensor->alias && !strcmp(name, tensor->alias))) return true;
  return !strncmp(name, tensor->name, length) && !strcmp(tensor->name + length, ":0");
}

/* The input an option speaks of; without a name the only one that needs a shape. */
static nnm_status find_input(const input_state *state, const nnm_input_shape *given, uint32_t *out, nnm_error *error) {
  bool named = given->name && *given->name;
  uint32_t found = 0, needy = 0;
  for (uint32_t i = 0; i < state->input_count; i++) {
    if (named ? !is_named(input_tensor(state, i), given->name) : !needs_shape(state, i)) continue;
    if (!needy++) found = i;
  }
  if (!needy && !named && state->input_count == 1) needy = 1; /* its shape is fixed: check_given compares */
  if (!needy && named) return fail_unknown_input(state, given->name, error);
  if (needy != 1)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL,
                    "the shape given without a name could be for any of %u inputs; give --input-shape NAME:SHAPE",
                    (unsigned)(needy ? needy : state->input_count));
  *out = found;
  return NNM_OK;
}

static nnm_status take_given_shapes(input_state *state, nnm_error *error) {
  for (size_t i = 0; state->options && i < state->options->input_shape_count; i++) {
    const nnm_input_shape *given = &state->options->input_shapes[i];
    uint32_t input;
    NNM_TRY(find_input(state, given, &input, error));
    NNM_TRY(check_given(state, input, given, error));
    state->dims[input] = nnm_arena_copy(&state->inference->shapes->arena, given->dims, given->rank, sizeof(int64_t));
    if (!state->dims[input]) return nnm_fail_memory(error);
    state->ranks[input] = (int32_t)given->rank;
  }
  for (uint32_t i = 0; i < state->input_count; i++) NNM_TRY(learn_symbols(state, i, error));
  for (uint32_t i = 0; i < state->input_count; i++) NNM_TRY(apply_symbols(state, i, error));
  return NNM_OK;
}

/* --------------------------------------------------------------- the batch */

static nnm_status set_batch(input_state *state, int64_t batch, nnm_error *error) {
  for (uint32_t i = 0; i < state->input_count; i++) {
    if (state->ranks[i] < 1 || state->dims[i][0] >= 0) continue;
    state->dims[i][0] = batch;
    NNM_TRY(learn_symbols(state, i, error));
  }
  for (uint32_t i = 0; i < state->input_count; i++) NNM_TRY(apply_symbols(state, i, error));
  return NNM_OK;
}

static nnm_status take_batch_size(input_state *state, nnm_error *error) {
  int64_t batch = state->options ? state->options->batch_size : 0;
  if (!batch) return NNM_OK;
  if (batch < 0 || batch > NNM_LIMIT_DIMENSION)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "the batch size is %lld; give 1 or more", (long long)batch);
  bool taken = false;
  for (uint32_t i = 0; i < state->input_count; i++) {
    const nnm_tensor *tensor = input_tensor(state, i);
    if (state->ranks[i] > 0 && tensor->rank > 0 && tensor->dims[0] < 0 && state->dims[i][0] >= 0 &&
        state->dims[i][0] != batch)
      return nnm_fail(
          error, NNM_ERROR_ARGUMENT, tensor->name,
          "the first dimension is given as %lld by --input-shape and as %lld by --batch-size; leave one out",
          (long long)state->dims[i][0], (long long)batch);
    if (tensor->rank < 1 || (tensor->dims[0] >= 0 && tensor->dims[0] != batch)) continue;
    taken = true;
  }
  if (!taken && state->input_count)
    return nnm_fail(
        error, NNM_ERROR_ARGUMENT, input_tensor(state, 0)->name,
        "the model's batch is fixed, so --batch-size %lld cannot be used; leave it out, or export the model "
        "with a dynamic batch",
        (long long)batch);
  return set_batch(state, batch, error);
}

static bool contains(const char *text, const char *part) {
  size_t length = strlen(part);
  for (; *text; text++) {
    size_t i = 0;
    while (i < length && (text[i] | 32) == part[i]) i++;
    if (i == length) return true;
  }
  return false;
}

/* Whether a symbolic first dimension may be anything but a batch: a length by its name, or the only dimension of a
 * nameless list. */
static bool is_batch_like(const nnm_tensor *tensor) {
  static const char *const lengths[] = {"seq",   "len",    "time", "frame",  "token", "step", "height",
                                        "width", "points", "num_", "sample", "node",  "edge"};
  const char *symbol = symbol_of(tensor, 0);
  if (!symbol) return tensor->rank > 1 || tensor->dtype == NNM_DTYPE_STRING; /* a row of texts is a batch of them */
  if (contains(symbol, "batch")) return true;
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    if (contains(symbol, lengths[i])) return false;
  return tensor->rank > 1;
}

/* With nothing else unknown than first dimensions that look like a batch, one image at a time is what is meant. */
static nnm_status default_batch(input_state *state, nnm_error *error) {
  uint32_t open = 0;
  const nnm_tensor *first = NULL;
  for (uint32_t i = 0; i < state->input_count; i++) {
    const nnm_tensor *tensor = input_tensor(state, i);
    if (state->ranks[i] < 0) return NNM_OK;
    for (int32_t j = 1; j < state->ranks[i]; j++)
      if (state->dims[i][j] < 0) return NNM_OK;
    if (state->ranks[i] < 1 || state->dims[i][0] >= 0) continue;
    if (!is_batch_like(tensor)) return NNM_OK;
    if (!open++) first = tensor;
  }
  if (!open) return NNM_OK;
  NNM_TRY(set_batch(state, 1, error));
  const char *symbol = symbol_of(first, 0);
  return nnm_note(state->inference, error, "batch size taken as 1 (%s%.60s%s of input '%.120s'); give --batch-size",
                  symbol ? "dimension '" : "the first dimension", symbol ? symbol : "", symbol ? "'" : "", first->name);
}

/* ------------------------------------------------------------ the outcome */

/* Names the input, what the file says of it, and the option that would help. */
static nnm_status fail_missing(const input_state *state, uint32_t input, nnm_error *error) {
  const nnm_tensor *tensor = input_tensor(state, input);
  char declared[256], example[200] = "1x3x224x224";
  bool only_batch = state->ranks[input] > 0;
  size_t used = 0;
  for (int32_t i = 0; i < state->ranks[input] && used < sizeof example; i++) {
    int64_t dim = state->dims[input][i];
    if (dim < 0 && i) only_batch = false;
    if (dim < 0) dim = i == 0 ? 1 : state->ranks[input] >= 4 ? 224 : 128;
    used += (size_t)snprintf(example + used, sizeof example - used, "%s%lld", i ? "x" : "", (long long)dim);
  }
  return nnm_fail(
      error, NNM_ERROR_SHAPE, tensor->name, "this input is %s; give its size, for example --input-shape %.200s:%s%s",
      declared_text(tensor, declared, sizeof declared), tensor->name, example, only_batch ? " or --batch-size 1" : "");
}

static nnm_status finish_inputs(input_state *state, nnm_error *error) {
  nnm_inference *inference = state->inference;
  for (uint32_t i = 0; i < state->input_count; i++) {
    if (needs_shape(state, i)) return fail_missing(state, i, error);
    int64_t elements = 1;
    for (int32_t j = 0; j < state->ranks[i]; j++)
      if (!nnm_multiply_i64(elements, state->dims[i][j] ? state->dims[i][j] : 1, &elements) ||
          elements > NNM_LIMIT_ELEMENTS)
        return nnm_fail(error, NNM_ERROR_LIMIT, input_tensor(state, i)->name,
                        "this input has more than 2^50 elements; give a smaller shape");
    inference->shapes->tensors[state->inputs[i]] = (nnm_shape){state->ranks[i], state->dims[i]};
    inference->shapes->dtypes[state->inputs[i]] = input_tensor(state, i)->dtype;
  }
  return NNM_OK;
}

/* Copies the declared shapes, to be filled in. */
static nnm_status start_inputs(input_state *state, nnm_error *error) {
  nnm_arena *arena = &state->inference->shapes->arena;
  state->dims = NNM_ARENA_ARRAY(arena, int64_t *, state->input_count);
  state->ranks = NNM_ARENA_ARRAY(arena, int32_t, state->input_count);
  if (!state->dims || !state->ranks) return nnm_fail_memory(error);
  for (uint32_t i = 0; i < state->input_count; i++) {
    const nnm_tensor *tensor = input_tensor(state, i);
    state->ranks[i] = tensor->rank;
    if (tensor->rank < 0) continue;
    state->dims[i] = nnm_arena_copy(arena, tensor->dims, (size_t)tensor->rank, sizeof *tensor->dims);
    if (!state->dims[i]) return nnm_fail_memory(error);
  }
  return NNM_OK;
}

nnm_status nnm_set_input_shapes(nnm_inference *inference, const nnm_shape_options *options, nnm_error *error) {
  const nnm_block *main_block = &inference->graph->blocks[0];
  input_state state = {
      .inference = inference, .options = options, .inputs = main_block->inputs, .input_count = main_block->input_count};
  state.symbols.ids.arena = &inference->shapes->arena;
  nnm_status status = start_inputs(&state, error);
  if (status == NNM_OK) status = take_given_shapes(&state, error);
  if (status == NNM_OK) status = take_batch_size(&state, error);
  if (status == NNM_OK) status = default_batch(&state, error);
  if (status == NNM_OK) status = finish_inputs(&state, error);
  nnm_strings_free(&state.symbols.ids);
  return status;
}

nnm_status nnm_set_weight_shapes(nnm_inference *inference, nnm_error *error) {
  const nnm_graph *graph = inference->graph;
  for (nnm_tensor_id t = 0; t < graph->tensor_count; t++) {
    const nnm_tensor *tensor = &graph->tensors[t];
    inference->shapes->tensors[t].rank = -1;
    if (!(tensor->flags & NNM_TENSOR_WEIGHT)) continue;
    inference->shapes->constant[t] = 1;
    inference->shapes->dtypes[t] = tensor->dtype;
    int64_t elements = 1;
    for (int32_t i = 0; i < tensor->rank; i++) {
      if (tensor->dims[i] < 0)
        return nnm_fail(error, NNM_ERROR_SHAPE, tensor->name,
                        "this weight has no fixed shape; export the model again with its weights");
      if (!nnm_multiply_i64(elements, tensor->dims[i] ? tensor->dims[i] : 1, &elements) ||
          elements > NNM_LIMIT_ELEMENTS)
        return nnm_fail(error, NNM_ERROR_LIMIT, tensor->name,
                        "this weight has more than 2^50 elements; the file is damaged: fetch or export it again");
    }
    if (tensor->rank >= 0)
      inference->shapes->tensors[t] = (nnm_shape){tensor->rank, tensor->rank ? tensor->dims : nnm_no_dims};
  }
  return NNM_OK;
}
