/* numpy's arrays and numbers as pickles hold them: a shape, a data type (simple or a table of named columns) and bytes. */
#ifndef NNM_PREDICTORS_PICKLE_ARRAY_H
#define NNM_PREDICTORS_PICKLE_ARRAY_H

#include "base/arena.h"
#include "predictors/pickle.h"

/* A number at an offset within an array's item. */
typedef struct nnm_pickle_field {
  size_t offset, size; /* bytes; size 1, 2, 4 or 8 */
  bool is_float, is_signed, big_endian;
} nnm_pickle_field;

typedef struct nnm_pickle_array {
  size_t count, item_size;   /* items; bytes of one */
  nnm_pickle_id type, bytes; /* the dtype object, and where the bytes come from */
  nnm_pickle_field number;   /* of simple types; size 0 for tables */
  const unsigned char *data; /* count * item_size bytes after nnm_pickle_array_load */
} nnm_pickle_array;

/* A Python integer, or one of numpy's. */
bool nnm_pickle_integer(const nnm_pickle *pickle, nnm_pickle_id id, int64_t *out);

/* Shape and type; false when id is no array that can be read. Its items lie in C order, which is the same as any other
 * for the arrays of a tree: only one of their dimensions is larger than 1. */
bool nnm_pickle_array_describe(const nnm_pickle *pickle, nnm_pickle_id id, nnm_pickle_array *out);

/* A column of a table; false when there is none of that name, or no number in it. */
bool nnm_pickle_array_field(const nnm_pickle *pickle, const nnm_pickle_array *array, const char *name,
                            nnm_pickle_field *out);

/* Makes the bytes reachable: in place, or decoded into the arena for protocols 0 to 2. */
nnm_status nnm_pickle_array_load(const nnm_pickle *pickle, nnm_pickle_array *array, nnm_arena *arena, nnm_error *error);

/* After loading; index < count. */
int64_t nnm_pickle_field_integer(const nnm_pickle_array *array, const nnm_pickle_field *field, size_t index);
double nnm_pickle_field_number(const nnm_pickle_array *array, const nnm_pickle_field *field, size_t index);
double nnm_pickle_array_number(const nnm_pickle_array *array, size_t index);

#endif
