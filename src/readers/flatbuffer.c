#include "readers/flatbuffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

enum { OFFSET_BYTES = 4, VTABLE_HEAD = 4, TABLE_STEPS = 8 };

nnm_status nnm_flat_fail(nnm_flat_file *file, nnm_status status, size_t at, const char *format, ...) {
  if (file->status != NNM_OK) return file->status;
  char place[40], message[512];
  snprintf(place, sizeof place, "byte %zu", at);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return file->status = nnm_fail(file->error, status, place, "%s", message);
}

nnm_status nnm_flat_spend(nnm_flat_file *file, uint64_t bytes) {
  if (file->status != NNM_OK) return file->status;
  if (bytes <= file->budget) {
    file->budget -= bytes;
    return NNM_OK;
  }
  file->budget = 0;
  return file->status = nnm_fail(file->error, NNM_ERROR_LIMIT, NULL,
                                 "reading it never ends: its parts lead to the same bytes too often; fetch the file "
                                 "or convert the model again");
}

static nnm_status fail_damaged(nnm_flat_file *file, size_t at, const char *what, const char *fault) {
  return nnm_flat_fail(file, NNM_ERROR_FORMAT, at, "%s %s; the file is damaged or cut short: fetch it again", what,
                       fault);
}

/* size bytes at that place, or NULL. */
static const unsigned char *bytes_at(nnm_flat_file *file, size_t at, size_t size, const char *what) {
  if (file->status != NNM_OK) return NULL;
  if (at <= file->size && size <= file->size - at) return file->data + at;
  fail_damaged(file, at < file->size ? at : file->size, what, "reaches past the end of the file");
  return NULL;
}

static uint32_t read_u32(nnm_flat_file *file, size_t at, const char *what) {
  uint32_t value = 0;
  const unsigned char *bytes = bytes_at(file, at, sizeof value, what);
  if (bytes) memcpy(&value, bytes, sizeof value);
  return value;
}

static uint16_t read_u16(const unsigned char *bytes) {
  uint16_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

/* Where the offset that lies at `at` leads; 0 on a fault. */
static size_t follow(nnm_flat_file *file, size_t at, const char *what) {
  size_t to, offset = read_u32(file, at, what);
  if (file->status != NNM_OK) return 0;
  if (offset >= OFFSET_BYTES && nnm_add_size(at, offset, &to) && to < file->size) return to;
  fail_damaged(file, at, what, "lies outside of the file");
  return 0;
}

/* ------------------------------------------------------------------ tables */

static nnm_flat_table absent(nnm_flat_file *file, const char *what) {
  return (nnm_flat_table){.file = file, .what = what};
}

static nnm_flat_table open_table(nnm_flat_file *file, size_t at, const char *what) {
  int32_t back = (int32_t)read_u32(file, at, what);
  if (file->status != NNM_OK || nnm_flat_spend(file, TABLE_STEPS) != NNM_OK) return absent(file, what);
  int64_t vtable = (int64_t)at - back;
  if (vtable < 0 || (uint64_t)vtable > file->size - VTABLE_HEAD) {
    fail_damaged(file, at, what, "has its fields outside of the file");
    return absent(file, what);
  }
  const unsigned char *head = file->data + vtable;
  uint16_t vtable_size = read_u16(head), size = read_u16(head + 2);
  bool fits = vtable_size >= VTABLE_HEAD && vtable_size % 2 == 0 && size >= OFFSET_BYTES &&
              vtable_size <= file->size - (uint64_t)vtable && size <= file->size - at;
  if (!fits) {
    fail_damaged(file, (size_t)vtable, what, "has fields that reach past the end of the file");
    return absent(file, what);
  }
  return (nnm_flat_table){.file = file,
                          .what = what,
                          .at = at,
                          .vtable = (size_t)vtable,
                          .size = size,
                          .field_count = (vtable_size - VTABLE_HEAD) / 2u};
}

nnm_flat_table nnm_flat_root(nnm_flat_file *file, const char *what) {
  size_t at = follow(file, 0, what);
  return at ? open_table(file, at, what) : absent(file, what);
}

/* Where a field of so many bytes lies; 0 when it has its default. */
static size_t field_at(const nnm_flat_table *table, uint32_t field, size_t size) {
  if (!table->at || field >= table->field_count || table->file->status != NNM_OK) return 0;
  uint16_t offset = read_u16(table->file->data + table->vtable + VTABLE_HEAD + 2 * (size_t)field);
  if (!offset) return 0;
  if (offset >= OFFSET_BYTES && offset + size <= table->size) return table->at + offset;
  fail_damaged(table->file, table->vtable + VTABLE_HEAD + 2 * (size_t)field, table->what, "has a field outside of it");
  return 0;
}

bool nnm_flat_has(const nnm_flat_table *table, uint32_t field) { return field_at(table, field, 1) != 0; }

#define FLAT_READER(name, result, type)                                                    \
  result name(const nnm_flat_table *table, uint32_t field, result otherwise) {             \
    type value;                                                                            \
    size_t at = field_at(table, field, sizeof value);                                      \
    if (!at) return table->file->status == NNM_OK ? otherwise : 0;                         \
    memcpy(&value, table->file->data + at, sizeof value); /* the table has been checked */ \
    return (result)value;                                                                  \
  }
FLAT_READER(nnm_flat_i8, int64_t, int8_t)
FLAT_READER(nnm_flat_u8, uint64_t, uint8_t)
FLAT_READER(nnm_flat_i32, int64_t, int32_t)
FLAT_READER(nnm_flat_u32, uint64_t, uint32_t)
FLAT_READER(nnm_flat_u64, uint64_t, uint64_t)
FLAT_READER(nnm_flat_f32, double, float)
#undef FLAT_READER

nnm_flat_table nnm_flat_child(const nnm_flat_table *table, uint32_t field, const char *what) {
  size_t at = field_at(table, field, OFFSET_BYTES);
  size_t to = at ? follow(table->file, at, what) : 0;
  return to ? open_table(table->file, to, what) : absent(table->file, what);
}

/* ----------------------------------------------------------------- vectors */

static nnm_flat_vector read_vector(const nnm_flat_table *table, uint32_t field, size_t item_size) {
  nnm_flat_file *file = table->file;
  nnm_flat_vector vector = {.file = file, .what = table->what};
  size_t at = field_at(table, field, OFFSET_BYTES), to = at ? follow(file, at, table->what) : 0, size;
  if (!to) return vector;
  size_t count = read_u32(file, to, table->what);
  if (file->status != NNM_OK) return vector;
  if (!nnm_multiply_size(count, item_size, &size) || size > file->size - to - OFFSET_BYTES) {
    nnm_flat_fail(
        file, NNM_ERROR_FORMAT, to,
        "%s has a list of %zu items, more than the file has room for; the file is damaged or cut short: fetch "
        "it again",
        table->what, count);
    return vector;
  }
  vector.items = file->data + to + OFFSET_BYTES;
  vector.count = count;
  return vector;
}

nnm_flat_vector nnm_flat_items(const nnm_flat_table *table, uint32_t field, size_t item_size) {
  nnm_flat_vector vector = read_vector(table, field, item_size);
  /* single bytes are weights and the like, which are not walked */
  if (item_size > 1 && nnm_flat_spend(table->file, vector.count * item_size) != NNM_OK) vector.count = 0;
  return vector;
}

nnm_flat_vector nnm_flat_text(const nnm_flat_table *table, uint32_t field) {
  nnm_flat_vector text = read_vector(table, field, 1);
  if (nnm_flat_spend(table->file, text.count) != NNM_OK) text.count = 0;
  return text;
}

int64_t nnm_flat_item_i32(const nnm_flat_vector *vector, size_t index) {
  int32_t value;
  memcpy(&value, vector->items + index * sizeof value, sizeof value);
  return value;
}

int64_t nnm_flat_item_i64(const nnm_flat_vector *vector, size_t index) {
  int64_t value;
  memcpy(&value, vector->items + index * sizeof value, sizeof value);
  return value;
}

nnm_flat_table nnm_flat_item_table(const nnm_flat_vector *vector, size_t index, const char *what) {
  size_t at = (size_t)(vector->items - vector->file->data) + index * OFFSET_BYTES;
  size_t to = follow(vector->file, at, what);
  return to ? open_table(vector->file, to, what) : absent(vector->file, what);
}
