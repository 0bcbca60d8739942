/* Reads Python pickles without running anything. A pickle is a program for a small stack machine; this machine builds
 * passive values only: where Python would call a function, it notes the function and its arguments. Functions and
 * classes come from a short list of what scikit-learn's forests are made of; a pickle that names any other is refused by
 * that name. */
#ifndef NNM_PREDICTORS_PICKLE_H
#define NNM_PREDICTORS_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum nnm_pickle_kind {
  NNM_PICKLE_NONE,
  NNM_PICKLE_BOOL,
  NNM_PICKLE_INTEGER,
  NNM_PICKLE_BIG_INTEGER, /* beyond 64 bits; the value is not kept */
  NNM_PICKLE_FLOAT,       /* the value is not kept: what a forest needs of them is in its arrays */
  NNM_PICKLE_TEXT,
  NNM_PICKLE_BYTES,
  NNM_PICKLE_TUPLE,
  NNM_PICKLE_LIST,
  NNM_PICKLE_DICT,
  NNM_PICKLE_SET,
  NNM_PICKLE_GLOBAL, /* a function or class of the list */
  NNM_PICKLE_OBJECT, /* a call that Python would make: function or class, arguments, state */
  NNM_PICKLE_MARK    /* only on the stack */
} nnm_pickle_kind;

/* The functions and classes a pickle may name. */
typedef enum nnm_pickle_global {
  NNM_PICKLE_FOREST,        /* RandomForestRegressor */
  NNM_PICKLE_TREE,          /* DecisionTreeRegressor */
  NNM_PICKLE_TREE_DATA,     /* sklearn.tree._tree.Tree */
  NNM_PICKLE_NDARRAY,       /* the class numpy.ndarray */
  NNM_PICKLE_DTYPE,         /* numpy.dtype */
  NNM_PICKLE_RECONSTRUCT,   /* numpy's: an array to be filled by its state */
  NNM_PICKLE_FROM_BUFFER,   /* numpy's: an array of protocol 5 */
  NNM_PICKLE_SCALAR,        /* numpy's */
  NNM_PICKLE_ENCODE,        /* _codecs.encode: bytes in protocols 0 to 2 */
  NNM_PICKLE_BYTES_CLASS,   /* empty bytes in protocols 0 to 2 */
  NNM_PICKLE_RECONSTRUCTOR, /* copyreg's: an object in protocols 0 and 1 */
  NNM_PICKLE_OBJECT_CLASS
} nnm_pickle_global;

typedef uint32_t nnm_pickle_id; /* number of a value; NNM_PICKLE_NOTHING: none */
#define NNM_PICKLE_NOTHING UINT32_MAX

typedef struct nnm_pickle_value {
  uint8_t kind;   /* nnm_pickle_kind */
  uint8_t global; /* GLOBAL: nnm_pickle_global */
  uint32_t count; /* TUPLE, LIST, SET: items; DICT: keys and values together; BOOL: the truth */
  union {
    int64_t integer;
    struct {
      const unsigned char *data; /* TEXT, BYTES: in the file, or in the pickle's memory */
      size_t size;
    } bytes;
    struct {
      uint32_t first, last; /* TUPLE, LIST, SET, DICT: pieces of the items; NNM_PICKLE_NOTHING when empty */
    } items;
    struct {
      nnm_pickle_id function, arguments, state; /* OBJECT; state NNM_PICKLE_NOTHING when none was set */
    } object;
  } as;
} nnm_pickle_value;

typedef struct nnm_pickle nnm_pickle;

/* data must outlive the pickle. Memory is proportional to size. */
nnm_status nnm_pickle_read(const unsigned char *data, size_t size, nnm_pickle **out, nnm_error *error);
void nnm_pickle_free(nnm_pickle *pickle); /* NULL is fine */

nnm_pickle_id nnm_pickle_root(const nnm_pickle *pickle);
const nnm_pickle_value *nnm_pickle_at(const nnm_pickle *pickle, nnm_pickle_id id);

/* Item `index` of a tuple; NNM_PICKLE_NOTHING when id is no tuple or has no such item. */
nnm_pickle_id nnm_pickle_tuple_item(const nnm_pickle *pickle, nnm_pickle_id id, size_t index);

/* Goes through a list or dict. Start with a zeroed cursor; NNM_PICKLE_NOTHING at the end. */
typedef struct nnm_pickle_items {
  bool started;
  uint32_t piece, index;
} nnm_pickle_items;
nnm_pickle_id nnm_pickle_next(const nnm_pickle *pickle, nnm_pickle_id id, nnm_pickle_items *cursor);

/* The last value under a text key; NNM_PICKLE_NOTHING when id is no dict, has no such key, or holds far more keys than
 * any object of a forest has. */
nnm_pickle_id nnm_pickle_find(const nnm_pickle *pickle, nnm_pickle_id id, const char *key);

bool nnm_pickle_text_is(const nnm_pickle_value *value, const char *text);

#endif
