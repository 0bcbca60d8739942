/* The predictor kind "forest": nn-Meter 2.0's random forests behind the interface of predictor.h. */
#include "predictors/forest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compat/compat.h"
#include "predictors/predictor.h"

typedef struct forest_range { /* per feature: where rows count as within the training range */
  float low[NNM_FOREST_MOST_FEATURES], high[NNM_FOREST_MOST_FEATURES];
} forest_range;

typedef struct forest_state {
  size_t count;
  nnm_forest *forests;
  forest_range *ranges;
} forest_state;

enum { BATCH = 256 }; /* rows that go through a forest together: they and a tree fit the nearest cache */

typedef float forest_row[NNM_COMPAT_MAX_ROW];

/* The kernels that a forest answers for, forest by forest. */
typedef struct questions {
  size_t *start;    /* per forest: its first question; one more at the end */
  size_t *kernels;  /* per question */
  forest_row *rows; /* per question */
} questions;

/* ---------------------------------------------------------------- training range */

/* A forest does not keep its training data, but its thresholds tell of them: each is the mean of two training values,
 * so the smallest value lies below the lowest threshold and the largest above the highest. Features are sizes and
 * counts, never negative, hence the largest is at most twice the highest threshold: that is the upper bound here, and
 * half the lowest threshold the lower one (reached by kernel sizes 1 and 3, split at 2). */
static void find_range(const nnm_forest *forest, forest_range *range) {
  enum {
    LEAVES = NNM_FOREST_MOST_FEATURES
  }; /* the place of what leaves have instead of thresholds: no jump is needed */
  float low[LEAVES + 1], high[LEAVES + 1];
  for (uint32_t i = 0; i <= LEAVES; i++) low[i] = INFINITY, high[i] = -INFINITY;
  for (uint32_t i = 0; i < forest->node_count; i++) {
    uint32_t feature = forest->nodes[i].split & 0xff;
    uint32_t at = feature < LEAVES ? feature : LEAVES;
    float threshold = forest->nodes[i].at.threshold;
    low[at] = threshold < low[at] ? threshold : low[at];
    high[at] = threshold > high[at] ? threshold : high[at];
  }
  for (uint32_t i = 0; i < LEAVES; i++) {
    bool asked = low[i] <= high[i];
    range->low[i] = asked ? low[i] * (low[i] > 0 ? 0.5f : 2.0f) : INFINITY;
    range->high[i] = asked ? high[i] * (high[i] > 0 ? 2.0f : 0.5f) : -INFINITY;
  }
}

static bool is_constant(const nnm_forest *forest) { return forest->node_count == forest->tree_count; }

static bool in_range(const nnm_forest *forest, const forest_range *range, const float *row) {
  for (uint32_t i = 0; i < forest->feature_count; i++)
    if (range->low[i] <= range->high[i] && !(row[i] >= range->low[i] && row[i] <= range->high[i])) return false;
  return true;
}

/* ---------------------------------------------------------------- open, close */

static void forest_close(void *opened) {
  forest_state *state = opened;
  free(state->forests);
  free(state->ranges);
  free(state);
}

static nnm_status forest_open(const unsigned char *section, size_t size, void **out, nnm_error *error) {
  forest_state *state = calloc(1, sizeof *state);
  if (!state) return nnm_fail_memory(error);
  nnm_status status = nnm_forest_section_read(section, size, &state->forests, &state->count, error);
  if (status == NNM_OK && !(state->ranges = calloc(state->count, sizeof *state->ranges)))
    status = nnm_fail_memory(error);
  if (status != NNM_OK) {
    forest_close(state);
    return status;
  }
  for (size_t i = 0; i < state->count; i++) find_range(&state->forests[i], &state->ranges[i]);
  *out = state;
  return NNM_OK;
}

/* ---------------------------------------------------------------- estimate */

static const nnm_forest *find_forest(const forest_state *state, const char *name, size_t *index) {
  for (size_t i = 0; i < state->count; i++)
    if (!strcmp(state->forests[i].name, name)) {
      *index = i;
      return &state->forests[i];
    }
  return NULL;
}

/* The kernel's row as the forest wants it; false when it cannot be made into one. */
static bool fit_row(const nnm_compat_kernel *kernel, const nnm_forest *forest, float row[NNM_COMPAT_MAX_ROW]) {
  double wide[NNM_COMPAT_MAX_ROW];
  size_t count = kernel->row_count;
  memcpy(wide, kernel->row, sizeof wide);
  /* nn-Meter 2.0 predicts concat by [h, n, c1..c4], but its builder trains on [h, c1..c4]. */
  if (count == 6 && forest->feature_count == 5 && !strcmp(forest->name, "concat")) {
    memmove(&wide[1], &wide[2], 4 * sizeof wide[0]);
    count = 5;
  }
  if (count != forest->feature_count) return false;
  for (size_t i = 0; i < count; i++) {
    row[i] = (float)wide[i]; /* as scikit-learn does */
    if (!isfinite(row[i])) return false;
  }
  return true;
}

/* Which forest a kernel asks, with its row; else -1 and the reason in *estimate. */
static ptrdiff_t route(const forest_state *state, const nnm_kernel *kernel, float row[NNM_COMPAT_MAX_ROW],
                       nnm_kernel_estimate *estimate) {
  *estimate = (nnm_kernel_estimate){0};
  if (!kernel->compat) {
    estimate->reason = "the predictor's forests speak of nn-Meter 2.0's kernels only";
    return -1;
  }
  if (!kernel->compat->row_count || !kernel->compat->predictor) {
    estimate->reason = "nn-Meter 2.0 knows no such kernel";
    return -1;
  }
  size_t index;
  const nnm_forest *forest = find_forest(state, kernel->compat->predictor, &index);
  if (!forest) {
    estimate->reason = "the predictor has no forest for this kernel type";
    return -1;
  }
  if (!fit_row(kernel->compat, forest, row)) {
    estimate->reason = "the predictor's forest was trained on other features than nn-Meter 2.0 gives";
    return -1;
  }
  estimate->has_predictor = true;
  estimate->in_range = !is_constant(forest) && in_range(forest, &state->ranges[index], row);
  if (is_constant(forest)) estimate->reason = "its forest knows a single latency, whatever the size";
  else if (!estimate->in_range) estimate->reason = "smaller or larger than what its forest was trained on";
  return (ptrdiff_t)index;
}

static nnm_status collect_questions(const forest_state *state, const nnm_kernels *kernels, nnm_arena *arena,
                                    nnm_kernel_estimate *estimates, questions *out, nnm_error *error) {
  ptrdiff_t *asked = NNM_ARENA_ARRAY(arena, ptrdiff_t, kernels->count); /* per kernel: the forest */
  forest_row *rows = NNM_ARENA_ARRAY(arena, forest_row, kernels->count);
  out->start = NNM_ARENA_ARRAY(arena, size_t, state->count + 2);
  out->kernels = NNM_ARENA_ARRAY(arena, size_t, kernels->count);
  out->rows = NNM_ARENA_ARRAY(arena, forest_row, kernels->count);
  if (!asked || !rows || !out->start || !out->kernels || !out->rows) return nnm_fail_memory(error);
  for (size_t i = 0; i < kernels->count; i++) {
    asked[i] = route(state, &kernels->items[i], rows[i], &estimates[i]);
    if (asked[i] >= 0) out->start[asked[i] + 2]++;
  }
  for (size_t i = 0; i < state->count; i++) out->start[i + 2] += out->start[i + 1];
  for (size_t i = 0; i < kernels->count; i++) {
    if (asked[i] < 0) continue;
    size_t at = out->start[asked[i] + 1]++; /* ends up as the end of the forest's questions */
    out->kernels[at] = i;
    memcpy(out->rows[at], rows[i], sizeof rows[i]);
  }
  return NNM_OK;
}

/* Forest by forest, so that a forest's trees are walked while they are in the cache. */
static void answer(const forest_state *state, const questions *asked, nnm_kernel_estimate *estimates) {
  for (size_t forest = 0; forest < state->count; forest++)
    for (size_t at = asked->start[forest], end = asked->start[forest + 1]; at < end; at += BATCH) {
      size_t count = end - at < BATCH ? end - at : BATCH;
      double latencies[BATCH];
      nnm_forest_predict(&state->forests[forest], asked->rows[at], count, NNM_COMPAT_MAX_ROW, latencies);
      for (size_t i = 0; i < count; i++) estimates[asked->kernels[at + i]].latency_ms = latencies[i];
    }
}

static nnm_status forest_estimate(const void *opened, const nnm_graph *graph, const nnm_shapes *shapes,
                                  const nnm_kernels *kernels, nnm_kernel_estimate *estimates, nnm_model_estimate *whole,
                                  nnm_error *error) {
  (void)graph, (void)shapes;
  const forest_state *state = opened;
  nnm_arena scratch = {0};
  questions asked;
  nnm_status status = collect_questions(state, kernels, &scratch, estimates, &asked, error);
  if (status == NNM_OK) answer(state, &asked, estimates);
  nnm_arena_free(&scratch);
  *whole = (nnm_model_estimate){0};
  return status;
}

const nnm_predictor_kind nnm_predictor_forest = {"forest", NNM_COMPAT_NN_METER_2_0, forest_open, forest_close,
                                                 forest_estimate};
