#include "predictors/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "predictors/pickle_machine.h"

static nnm_status run(nnm_pickle *pickle) {
  for (size_t steps = 0; !pickle->stopped; steps++) {
    pickle->at = nnm_cursor_offset(&pickle->cursor);
    if (steps == NNM_LIMIT_PICKLE_OPERATIONS) return nnm_pickle_fail_limit(pickle, "the pickle has too many steps");
    uint8_t code = nnm_cursor_u8(&pickle->cursor);
    if (pickle->cursor.failed) return nnm_pickle_fail_damaged(pickle, "the pickle ends too early");
    const nnm_pickle_operation *step = &nnm_pickle_operations[code];
    if (!step->run) return nnm_pickle_fail_damaged(pickle, "is no operation of a pickle");
    NNM_TRY(step->run(pickle, step->argument));
  }
  return NNM_OK;
}

nnm_status nnm_pickle_read(const unsigned char *data, size_t size, nnm_pickle **out, nnm_error *error) {
  if (size > NNM_LIMIT_PICKLE_BYTES)
    return nnm_fail(error, NNM_ERROR_LIMIT, NULL,
                    "%zu bytes, and pickles of at most %llu are read; train smaller forests", size,
                    (unsigned long long)NNM_LIMIT_PICKLE_BYTES);
  nnm_pickle *pickle = calloc(1, sizeof *pickle);
  if (!pickle) return nnm_fail_memory(error);
  pickle->cursor = nnm_cursor_over(data, size);
  pickle->error = error;
  nnm_status status = run(pickle);
  if (status != NNM_OK) {
    nnm_pickle_free(pickle);
    return status;
  }
  pickle->error = NULL; /* the caller's; it may not outlive this call */
  *out = pickle;
  return NNM_OK;
}

void nnm_pickle_free(nnm_pickle *pickle) {
  if (!pickle) return;
  nnm_arena_free(&pickle->arena);
  free(pickle->values);
  free(pickle->pieces);
  free(pickle->items.at);
  free(pickle->stack.at);
  free(pickle->marks.at);
  free(pickle->memo.at);
  free(pickle);
}

/* ---------------------------------------------------------------- looking at values */

nnm_pickle_id nnm_pickle_root(const nnm_pickle *pickle) { return pickle->root; }

const nnm_pickle_value *nnm_pickle_at(const nnm_pickle *pickle, nnm_pickle_id id) { return &pickle->values[id]; }

nnm_pickle_id nnm_pickle_tuple_item(const nnm_pickle *pickle, nnm_pickle_id id, size_t index) {
  if (id == NNM_PICKLE_NOTHING) return NNM_PICKLE_NOTHING;
  const nnm_pickle_value *value = &pickle->values[id];
  if (value->kind != NNM_PICKLE_TUPLE || index >= value->count) return NNM_PICKLE_NOTHING;
  return pickle->items.at[pickle->pieces[value->as.items.first].start + index]; /* a tuple is one piece */
}

nnm_pickle_id nnm_pickle_next(const nnm_pickle *pickle, nnm_pickle_id id, nnm_pickle_items *cursor) {
  if (!cursor->started) {
    const nnm_pickle_value *value = &pickle->values[id];
    bool holds_items = value->kind == NNM_PICKLE_LIST || value->kind == NNM_PICKLE_DICT;
    *cursor = (nnm_pickle_items){true, holds_items ? value->as.items.first : NNM_PICKLE_NOTHING, 0};
  }
  if (cursor->piece == NNM_PICKLE_NOTHING) return NNM_PICKLE_NOTHING;
  const nnm_pickle_piece *current = &pickle->pieces[cursor->piece];
  nnm_pickle_id item = pickle->items.at[current->start + cursor->index++];
  if (cursor->index == current->count) *cursor = (nnm_pickle_items){true, current->next, 0};
  return item;
}

bool nnm_pickle_text_is(const nnm_pickle_value *value, const char *text) {
  return value->kind == NNM_PICKLE_TEXT && value->as.bytes.size == strlen(text) &&
         !memcmp(value->as.bytes.data, text, value->as.bytes.size);
}

nnm_pickle_id nnm_pickle_find(const nnm_pickle *pickle, nnm_pickle_id id, const char *key) {
  enum { MOST_KEYS = 256 }; /* a shared dict of a million keys must not be searched once for each tree */
  nnm_pickle_id found = NNM_PICKLE_NOTHING;
  if (id == NNM_PICKLE_NOTHING || pickle->values[id].kind != NNM_PICKLE_DICT) return found;
  if (pickle->values[id].count > 2 * MOST_KEYS) return found;
  nnm_pickle_items cursor = {0};
  for (nnm_pickle_id name; (name = nnm_pickle_next(pickle, id, &cursor)) != NNM_PICKLE_NOTHING;) {
    nnm_pickle_id value = nnm_pickle_next(pickle, id, &cursor);
    if (nnm_pickle_text_is(&pickle->values[name], key)) found = value;
  }
  return found;
}
