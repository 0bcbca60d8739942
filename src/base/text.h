/* Growing text, for reports. After a failed allocation every call is a no-op and nnm_text_take gives NULL. */
#ifndef NNM_BASE_TEXT_H
#define NNM_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct nnm_text {
  char *data;
  size_t length, capacity; /* bytes, without the NUL */
  bool failed;
} nnm_text;

void nnm_text_add(nnm_text *text, const char *piece);
void nnm_text_add_bytes(nnm_text *text, const char *bytes, size_t length);
void nnm_text_printf(nnm_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *nnm_text_take(nnm_text *text); /* the malloc'ed text, ownership to the caller; NULL if anything failed */
void nnm_text_free(nnm_text *text);

/* Length of the UTF-8 sequence at `at`, 0 when it is none; size > 0 bytes are readable. */
size_t nnm_utf8_length(const char *at, size_t size);

#endif
