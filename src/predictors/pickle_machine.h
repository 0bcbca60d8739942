/* The stack machine inside pickle.c, shared with the operations. */
#ifndef NNM_PREDICTORS_PICKLE_MACHINE_H
#define NNM_PREDICTORS_PICKLE_MACHINE_H

#include "base/arena.h"
#include "base/cursor.h"
#include "predictors/pickle.h"

/* Items of tuples, lists and dicts; a list that grows by several steps is a chain of pieces. */
typedef struct nnm_pickle_piece {
  uint32_t start, count, next; /* next: NNM_PICKLE_NOTHING at the end */
} nnm_pickle_piece;

/* A growing array of 32-bit numbers. */
typedef struct nnm_pickle_numbers {
  uint32_t *at;
  size_t count, capacity;
} nnm_pickle_numbers;

struct nnm_pickle {
  nnm_cursor cursor;
  nnm_arena arena; /* texts that had to be decoded */
  nnm_pickle_value *values;
  size_t value_count, value_capacity;
  nnm_pickle_piece *pieces;
  size_t piece_count, piece_capacity;
  nnm_pickle_numbers items, stack, marks, memo; /* marks: heights of the stack */
  size_t memo_used;
  nnm_pickle_id root;
  size_t at; /* byte of the current operation, for messages */
  bool stopped;
  nnm_error *error;
};

/* What a byte of the pickle makes the machine do. run NULL: that byte is no operation. */
typedef struct nnm_pickle_operation {
  nnm_status (*run)(nnm_pickle *pickle, uint32_t argument);
  uint32_t argument; /* a kind, a width in bytes, a count, or nothing */
} nnm_pickle_operation;

extern const nnm_pickle_operation nnm_pickle_operations[256];

/* Failures at the current operation. */
nnm_status nnm_pickle_fail_at(nnm_pickle *pickle, nnm_status status, const char *fault, const char *remedy);
nnm_status nnm_pickle_fail_damaged(nnm_pickle *pickle, const char *fault);
nnm_status nnm_pickle_fail_limit(nnm_pickle *pickle, const char *fault);

nnm_status nnm_pickle_numbers_add(nnm_pickle *pickle, nnm_pickle_numbers *list, uint32_t number);

/* The stack. Values below the last mark are out of reach. */
size_t nnm_pickle_reachable(const nnm_pickle *pickle);
nnm_status nnm_pickle_push(nnm_pickle *pickle, nnm_pickle_id id);
nnm_status nnm_pickle_push_value(nnm_pickle *pickle, nnm_pickle_value value);
nnm_status nnm_pickle_pop(nnm_pickle *pickle, nnm_pickle_id *out);
nnm_status nnm_pickle_pop_kind(nnm_pickle *pickle, nnm_pickle_kind kind, nnm_pickle_id *out);
/* The same, but the value stays. */
nnm_status nnm_pickle_top_of_kind(nnm_pickle *pickle, nnm_pickle_kind kind, nnm_pickle_id *out);
/* Takes everything above the last mark off: *first is its place in the stack, still readable until the next push. */
nnm_status nnm_pickle_pop_to_mark(nnm_pickle *pickle, size_t *first, size_t *count);

/* Operations on tuples, lists, sets and dicts. */
nnm_status nnm_pickle_make_empty(nnm_pickle *pickle, uint32_t kind);
nnm_status nnm_pickle_make_to_mark(nnm_pickle *pickle, uint32_t kind);
nnm_status nnm_pickle_make_tuple(nnm_pickle *pickle, uint32_t count);
nnm_status nnm_pickle_add_to_mark(nnm_pickle *pickle, uint32_t kind);
nnm_status nnm_pickle_add_one(nnm_pickle *pickle, uint32_t kind);

#endif
