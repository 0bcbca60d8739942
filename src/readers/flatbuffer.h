/* Reads FlatBuffers in place: tables, vectors, texts and numbers, every offset checked where it is followed, nothing
 * copied, no generated code.
 *
 * A fault sticks, as in nnm_cursor: the first one sets the file's status and error, with the byte where it lies, and
 * every read after it gives zero, an absent table or an empty vector. So a section is read straight on and
 * `file.status` checked at its end. Field numbers are those of the schema, counted from 0.
 *
 * Offsets in a FlatBuffer only lead forwards but for those to virtual tables, so nothing is ever cyclic; but many may
 * lead to the same place, and a small file then describes a huge tree. Everything that is looked at is paid for from a
 * budget; only what is shared that way can use it up. */
#ifndef NNM_READERS_FLATBUFFER_H
#define NNM_READERS_FLATBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* What all tables of one file share. */
typedef struct nnm_flat_file {
  const unsigned char *data; /* offsets count from here */
  size_t size;               /* bytes */
  nnm_error *error;
  nnm_status status; /* the first fault, or NNM_OK */
  uint64_t budget;   /* bytes that may still be looked at */
} nnm_flat_file;

typedef struct nnm_flat_table {
  nnm_flat_file *file;
  const char *what;     /* "tensor": for messages */
  size_t at;            /* byte of the table; 0: absent, all its fields have their defaults */
  size_t vtable;        /* byte of the offsets of its fields */
  uint32_t size;        /* bytes of the table itself */
  uint32_t field_count; /* fields that its virtual table lists */
} nnm_flat_table;

typedef struct nnm_flat_vector {
  nnm_flat_file *file;
  const char *what;           /* of the table whose field it is */
  const unsigned char *items; /* perhaps unaligned; NULL: absent */
  size_t count;
} nnm_flat_vector;

nnm_flat_table nnm_flat_root(nnm_flat_file *file, const char *what);

bool nnm_flat_has(const nnm_flat_table *table, uint32_t field);
int64_t nnm_flat_i8(const nnm_flat_table *table, uint32_t field, int64_t otherwise);
uint64_t nnm_flat_u8(const nnm_flat_table *table, uint32_t field, uint64_t otherwise); /* bool, union types */
int64_t nnm_flat_i32(const nnm_flat_table *table, uint32_t field, int64_t otherwise);
uint64_t nnm_flat_u32(const nnm_flat_table *table, uint32_t field, uint64_t otherwise);
uint64_t nnm_flat_u64(const nnm_flat_table *table, uint32_t field, uint64_t otherwise);
double nnm_flat_f32(const nnm_flat_table *table, uint32_t field, double otherwise);

/* A table that a field leads to, a union's value included; absent when the field is. */
nnm_flat_table nnm_flat_child(const nnm_flat_table *table, uint32_t field, const char *what);

/* A vector of items of so many bytes each; tables and texts take 4. */
nnm_flat_vector nnm_flat_items(const nnm_flat_table *table, uint32_t field, size_t item_size);
nnm_flat_vector nnm_flat_text(const nnm_flat_table *table, uint32_t field); /* bytes, without the NUL */

/* Items of a vector; index < count. */
int64_t nnm_flat_item_i32(const nnm_flat_vector *vector, size_t index);
int64_t nnm_flat_item_i64(const nnm_flat_vector *vector, size_t index);
nnm_flat_table nnm_flat_item_table(const nnm_flat_vector *vector, size_t index, const char *what);

/* Sets the first fault, with place "byte N"; returns file->status. */
nnm_status nnm_flat_fail(nnm_flat_file *file, nnm_status status, size_t at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Pays for bytes that are looked at, or for memory that reading them takes; returns file->status. */
nnm_status nnm_flat_spend(nnm_flat_file *file, uint64_t bytes);

#endif
