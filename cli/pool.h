/* Work on numbered items by several threads, with the outcomes handed on in order. */
#ifndef CLI_POOL_H
#define CLI_POOL_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pool_task {
  size_t count;        /* items */
  size_t outcome_size; /* bytes of one outcome */
  void *context;
  void (*work)(void *context, size_t index, void *outcome); /* any thread; outcome is zeroed before */
  void (*emit)(void *context, size_t index, void *outcome); /* the calling thread, in order of index */
} pool_task;

/* jobs 1, or a machine without room for threads: everything on the calling thread. False when there is no memory even
 * for that; nothing was done then. */
bool pool_run(const pool_task *task, size_t jobs);

#endif
