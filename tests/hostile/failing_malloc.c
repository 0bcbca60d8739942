#include "failing_malloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);

static size_t allocations, failing = SIZE_MAX;

static bool fails(void) { return allocations++ == failing; }

void failing_malloc_arm(size_t number) {
  allocations = 0;
  failing = number;
}

size_t failing_malloc_count(void) { return allocations; }

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *memory, size_t size) { return fails() ? NULL : __real_realloc(memory, size); }
char *__wrap_strdup(const char *text) { return __wrap_strndup(text, strlen(text)); }

char *__wrap_strndup(const char *text, size_t length) {
  length = strnlen(text, length);
  char *copy = __wrap_malloc(length + 1);
  if (!copy) return NULL;
  memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}
