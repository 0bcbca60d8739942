/* A bounds-checked position in untrusted bytes. Reads past the end give zero and set `failed`, which sticks: check it
 * once at the end of a section. Little-endian. */
#ifndef NNM_BASE_CURSOR_H
#define NNM_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct nnm_cursor {
  const unsigned char *start, *at, *end;
  bool failed;
} nnm_cursor;

static inline nnm_cursor nnm_cursor_over(const void *data, size_t size) {
  const unsigned char *start = data;
  return (nnm_cursor){start, start, start + size, false};
}
static inline size_t nnm_cursor_left(const nnm_cursor *cursor) { return (size_t)(cursor->end - cursor->at); }
static inline size_t nnm_cursor_offset(const nnm_cursor *cursor) { return (size_t)(cursor->at - cursor->start); }

/* size bytes in place, or NULL (and failed). */
static inline const unsigned char *nnm_cursor_take(nnm_cursor *cursor, size_t size) {
  if (cursor->failed || size > nnm_cursor_left(cursor)) {
    cursor->failed = true;
    return NULL;
  }
  const unsigned char *bytes = cursor->at;
  cursor->at += size;
  return bytes;
}

#define NNM_CURSOR_READER(name, type)                                   \
  static inline type name(nnm_cursor *cursor) {                         \
    type value = 0;                                                     \
    const unsigned char *bytes = nnm_cursor_take(cursor, sizeof value); \
    if (bytes) memcpy(&value, bytes, sizeof value);                     \
    return value;                                                       \
  }
NNM_CURSOR_READER(nnm_cursor_u8, uint8_t)
NNM_CURSOR_READER(nnm_cursor_u16, uint16_t)
NNM_CURSOR_READER(nnm_cursor_u32, uint32_t)
NNM_CURSOR_READER(nnm_cursor_u64, uint64_t)
NNM_CURSOR_READER(nnm_cursor_i32, int32_t)
NNM_CURSOR_READER(nnm_cursor_i64, int64_t)
NNM_CURSOR_READER(nnm_cursor_f32, float)
NNM_CURSOR_READER(nnm_cursor_f64, double)
#undef NNM_CURSOR_READER

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "file formats are read in place and little-endian");

#endif
