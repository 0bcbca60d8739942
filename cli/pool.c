#include "pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_JOBS = 256, OUTCOMES_PER_JOB = 8 }; /* how far workers may run ahead of what is emitted */

typedef struct worker_pool {
  const pool_task *task;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  size_t next, emitted; /* the first item nobody has taken; the first not emitted */
  size_t ring_size;
  unsigned char *outcomes; /* ring_size of them; item i is in i % ring_size */
  bool *done;              /* the same */
} worker_pool;

static void *outcome_of(const worker_pool *pool, size_t index) {
  return pool->outcomes + index % pool->ring_size * pool->task->outcome_size;
}

static void *work(void *argument) {
  worker_pool *pool = argument;
  const pool_task *task = pool->task;
  pthread_mutex_lock(&pool->lock);
  for (;;) {
    while (pool->next < task->count && pool->next >= pool->emitted + pool->ring_size)
      pthread_cond_wait(&pool->changed, &pool->lock);
    if (pool->next >= task->count) break;
    size_t index = pool->next++;
    pthread_mutex_unlock(&pool->lock);
    void *outcome = outcome_of(pool, index);
    memset(outcome, 0, task->outcome_size);
    task->work(task->context, index, outcome);
    pthread_mutex_lock(&pool->lock);
    pool->done[index % pool->ring_size] = true;
    pthread_cond_broadcast(&pool->changed);
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

static void emit_in_order(worker_pool *pool) {
  const pool_task *task = pool->task;
  pthread_mutex_lock(&pool->lock);
  while (pool->emitted < task->count) {
    size_t index = pool->emitted, slot = index % pool->ring_size;
    while (!pool->done[slot]) pthread_cond_wait(&pool->changed, &pool->lock);
    pool->done[slot] = false;
    pthread_mutex_unlock(&pool->lock);
    task->emit(task->context, index, outcome_of(pool, index));
    pthread_mutex_lock(&pool->lock);
    pool->emitted++;
    pthread_cond_broadcast(&pool->changed);
  }
  pthread_mutex_unlock(&pool->lock);
}

static void run_alone(const pool_task *task, void *outcome) {
  for (size_t i = 0; i < task->count; i++) {
    memset(outcome, 0, task->outcome_size);
    task->work(task->context, i, outcome);
    task->emit(task->context, i, outcome);
  }
}

/* The first threads that could be had; 0: none. */
static size_t start_threads(worker_pool *pool, pthread_t *threads, size_t jobs) {
  size_t started = 0;
  while (started < jobs && !pthread_create(&threads[started], NULL, work, pool)) started++;
  return started;
}

bool pool_run(const pool_task *task, size_t jobs) {
  if (jobs > task->count) jobs = task->count;
  if (jobs > MOST_JOBS) jobs = MOST_JOBS;
  worker_pool pool = {.task = task, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
  pool.ring_size = jobs > 1 ? jobs * OUTCOMES_PER_JOB : 1;
  pool.outcomes = calloc(pool.ring_size, task->outcome_size);
  pool.done = calloc(pool.ring_size, sizeof *pool.done);
  pthread_t threads[MOST_JOBS];
  size_t started = jobs > 1 && pool.outcomes && pool.done ? start_threads(&pool, threads, jobs) : 0;
  if (started) emit_in_order(&pool);
  else if (pool.outcomes) run_alone(task, pool.outcomes);
  for (size_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
  bool has_run = pool.outcomes != NULL;
  free(pool.outcomes);
  free(pool.done);
  return has_run;
}
