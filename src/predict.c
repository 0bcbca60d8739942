/* The end of the line: a model's kernels, a predictor's estimates, and one result that says what it does not know. */
#include "predict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "compat/compat.h"

/* What the caller gets is its first member. */
typedef struct prediction_owner {
  nnm_prediction prediction;
  nnm_arena arena;
} prediction_owner;

/* Kernels of one name that share the reason why they are not covered. */
typedef struct uncovered_group {
  const char *type, *reason;
  bool has_predictor;
  size_t count;
  double latency_ms;
} uncovered_group;

typedef struct prediction_builder {
  const nnm_predictor *predictor;
  const nnm_detection *detection;
  nnm_kernel_estimate *estimates; /* one per kernel */
  nnm_model_estimate whole;
  nnm_arena scratch; /* what the result does not need */
  nnm_strings names; /* ids for sums and groups; texts in scratch */
  prediction_owner *owner;
} prediction_builder;

void nnm_prediction_free(nnm_prediction *prediction) {
  if (!prediction) return;
  prediction_owner *owner = (prediction_owner *)prediction;
  nnm_arena_free(&owner->arena);
  free(owner);
}

static const char *kernel_label(const nnm_kernel *kernel) { return kernel->compat ? kernel->compat->op : kernel->name; }

/* What the predictor prices together: the old tool adds up each forest's kernels first. */
static const char *sum_label(const nnm_kernel *kernel) {
  if (!kernel->compat) return nnm_kernel_type_name(kernel->type);
  return kernel->compat->predictor ? kernel->compat->predictor : "";
}

static nnm_status check_estimates(const prediction_builder *builder, nnm_error *error) {
  const nnm_kernels *kernels = builder->detection->kernels;
  for (size_t i = 0; i <= kernels->count; i++) {
    double latency_ms = i < kernels->count ? builder->estimates[i].latency_ms : builder->whole.constant_ms;
    if (isfinite(latency_ms) && latency_ms >= 0) continue;
    return nnm_fail(error, NNM_ERROR_FORMAT, i < kernels->count ? kernel_label(&kernels->items[i]) : NULL,
                    "predictor '%s' gives no latency that is finite and positive; its file is damaged, install it anew",
                    builder->predictor->info.name);
  }
  return NNM_OK;
}

/* The total in a defined order, so that it is the same to the last digit everywhere: the kernels of a type left to
 * right, then the types in the order of their first kernel. */
static nnm_status add_up(prediction_builder *builder, double *total_ms, nnm_error *error) {
  const nnm_kernels *kernels = builder->detection->kernels;
  double *sums = NNM_ARENA_ARRAY(&builder->scratch, double, kernels->count);
  if (!sums) return nnm_fail_memory(error);
  int32_t sum_count = 0;
  for (size_t i = 0; i < kernels->count; i++) {
    const char *label = sum_label(&kernels->items[i]);
    int32_t *id = nnm_strings_value(&builder->names, label, strlen(label));
    if (!id) return nnm_fail_memory(error);
    if (*id < 0) *id = sum_count++;
    sums[*id] += builder->estimates[i].latency_ms;
  }
  *total_ms = 0;
  for (int32_t i = 0; i < sum_count; i++) *total_ms += sums[i];
  *total_ms += builder->whole.constant_ms;
  if (!isfinite(*total_ms))
    return nnm_fail(error, NNM_ERROR_LIMIT, NULL,
                    "the sum over %zu kernels is too large for a number; check the sizes of the model", kernels->count);
  return NNM_OK;
}

static double coverage_of(const prediction_builder *builder, double total_ms) {
  const nnm_kernels *kernels = builder->detection->kernels;
  double covered_ms = builder->whole.constant_ms;
  bool all = true;
  for (size_t i = 0; i < kernels->count; i++) {
    bool covered = builder->estimates[i].in_range && builder->estimates[i].has_predictor;
    if (covered) covered_ms += builder->estimates[i].latency_ms;
    all = all && covered;
  }
  if (all) return 1; /* and not 0.9999 because the sums were taken in another order */
  return total_ms > 0 ? fmin(covered_ms / total_ms, 1) : 0;
}

/* The bounds within which nine of ten measurements are expected; NaN when the predictor has none to give. They lie around
 * the latency even where a predictor has always been too fast or too slow. */
static void put_interval(const prediction_builder *builder, nnm_prediction *prediction) {
  const nnm_interval *interval = &builder->whole.interval;
  double total_ms = prediction->latency_ms, doubt = 0;
  prediction->interval_ms[0] = prediction->interval_ms[1] = NAN;
  if (!interval->known) return;
  for (size_t i = 0; total_ms > 0 && i < builder->detection->kernels->count; i++)
    doubt += builder->estimates[i].latency_ms / total_ms * builder->estimates[i].doubt;
  doubt *= interval->doubt;
  double low_ms = total_ms * exp(interval->low - doubt), high_ms = total_ms * exp(interval->high + doubt);
  if (total_ms > 0 && !isfinite(high_ms)) return; /* beyond the numbers */
  prediction->interval_ms[0] = fmin(low_ms, total_ms);
  prediction->interval_ms[1] = fmax(high_ms, total_ms);
}

/* The group of an uncovered kernel in groups, which has room for every kernel. */
static uncovered_group *group_of(prediction_builder *builder, uncovered_group *groups, size_t *count, size_t kernel) {
  const nnm_kernel_estimate *estimate = &builder->estimates[kernel];
  const char *type = kernel_label(&builder->detection->kernels->items[kernel]);
  const char *reason = estimate->reason          ? estimate->reason
                       : estimate->has_predictor ? "unlike anything the predictor was trained on"
                                                 : "no predictor for this kernel";
  const char *key = nnm_arena_printf(&builder->scratch, "%s\n%d%s", type, estimate->has_predictor, reason);
  int32_t *id = key ? nnm_strings_value(&builder->names, key, strlen(key)) : NULL;
  if (!id) return NULL;
  if (*id < 0) {
    *id = (int32_t)*count;
    groups[(*count)++] = (uncovered_group){.type = type, .reason = reason, .has_predictor = estimate->has_predictor};
  }
  return &groups[*id];
}

static nnm_status group_uncovered(prediction_builder *builder, uncovered_group **out, size_t *count, nnm_error *error) {
  const nnm_kernels *kernels = builder->detection->kernels;
  uncovered_group *groups = NNM_ARENA_ARRAY(&builder->scratch, uncovered_group, kernels->count);
  if (!groups) return nnm_fail_memory(error);
  *count = 0;
  for (size_t i = 0; i < kernels->count; i++) {
    if (builder->estimates[i].in_range && builder->estimates[i].has_predictor) continue;
    uncovered_group *group = group_of(builder, groups, count, i);
    if (!group) return nnm_fail_memory(error);
    group->count++;
    group->latency_ms += builder->estimates[i].latency_ms;
  }
  *out = groups;
  return NNM_OK;
}

static int by_latency(const void *left, const void *right) {
  const uncovered_group *a = left, *b = right;
  if (a->latency_ms != b->latency_ms) return a->latency_ms < b->latency_ms ? 1 : -1;
  if (a->count != b->count) return a->count < b->count ? 1 : -1;
  int order = strcmp(a->type, b->type);
  return order ? order : strcmp(a->reason, b->reason);
}

static char *group_note(nnm_arena *arena, const uncovered_group *group, double total_ms) {
  const char *plural = group->count == 1 ? "" : "s";
  if (!group->has_predictor)
    return nnm_arena_printf(arena, "%zu %s kernel%s counted as 0: %s", group->count, group->type, plural,
                            group->reason);
  return nnm_arena_printf(arena, "%zu %s kernel%s (%.1f %% of the latency) outside the training range: %s",
                          group->count, group->type, plural, total_ms > 0 ? 100 * group->latency_ms / total_ms : 0.0,
                          group->reason);
}

typedef struct note_list {
  const char **items;
  size_t count, left_out;
} note_list;

/* NULL is "out of memory"; notes past the limit are counted only. Names in them are the file's. */
static nnm_status add_note(note_list *notes, char *note, nnm_error *error) {
  if (!note) return nnm_fail_memory(error);
  nnm_make_printable(note);
  if (notes->count < NNM_LIMIT_NOTES) notes->items[notes->count++] = note;
  else notes->left_out++;
  return NNM_OK;
}

static nnm_status copy_notes(note_list *notes, nnm_arena *arena, const char *const *from, size_t count,
                             nnm_error *error) {
  for (size_t i = 0; i < count; i++) NNM_TRY(add_note(notes, nnm_arena_text(arena, from[i], strlen(from[i])), error));
  return NNM_OK;
}

static nnm_status gather_notes(prediction_builder *builder, nnm_error *error) {
  nnm_arena *arena = &builder->owner->arena;
  nnm_prediction *prediction = &builder->owner->prediction;
  note_list notes = {.items = NNM_ARENA_ARRAY(arena, const char *, NNM_LIMIT_NOTES + 1)};
  if (!notes.items) return nnm_fail_memory(error);
  const nnm_predictor_kind *kind = builder->predictor->kind;
  if (builder->detection->compat && kind->compat == NNM_COMPAT_OWN)
    NNM_TRY(
        add_note(&notes,
                 nnm_arena_printf(arena, "kernels are those of nn-Meter 2.0, but predictor '%s' was trained on others",
                                  builder->predictor->info.name),
                 error));
  if (!prediction->kernel_count)
    NNM_TRY(add_note(
        &notes, nnm_arena_printf(arena, "nothing in the model runs: what is left is the fixed cost of a run"), error));
  uncovered_group *groups;
  size_t group_count;
  NNM_TRY(group_uncovered(builder, &groups, &group_count, error));
  if (group_count > 1) qsort(groups, group_count, sizeof *groups, by_latency);
  for (size_t i = 0; i < group_count; i++)
    NNM_TRY(add_note(&notes, group_note(arena, &groups[i], prediction->latency_ms), error));
  const nnm_graph *graph = builder->detection->model->graph;
  const nnm_shapes *shapes = builder->detection->model->shapes;
  NNM_TRY(copy_notes(&notes, arena, graph->notes, graph->note_count, error));
  if (shapes) NNM_TRY(copy_notes(&notes, arena, shapes->notes, shapes->note_count, error));
  NNM_TRY(
      copy_notes(&notes, arena, builder->detection->kernels->notes, builder->detection->kernels->note_count, error));
  if (notes.left_out) {
    const char *more = nnm_arena_printf(arena, "%zu more notes", notes.left_out);
    if (!more) return nnm_fail_memory(error);
    notes.items[notes.count++] = more;
  }
  prediction->notes = notes.items;
  prediction->note_count = notes.count;
  return NNM_OK;
}

static nnm_status describe_kernels(prediction_builder *builder, nnm_error *error) {
  nnm_arena *arena = &builder->owner->arena;
  size_t count = builder->detection->kernels->count;
  nnm_kernel_result *results = NNM_ARENA_ARRAY(arena, nnm_kernel_result, count);
  if (!results) return nnm_fail_memory(error);
  for (size_t i = 0; i < count; i++) {
    NNM_TRY(nnm_describe_detected(builder->detection, i, arena, &results[i], error));
    results[i].latency_ms = builder->estimates[i].latency_ms;
    results[i].has_predictor = builder->estimates[i].has_predictor;
    results[i].in_range = builder->estimates[i].in_range && builder->estimates[i].has_predictor;
  }
  builder->owner->prediction.kernels = results;
  builder->owner->prediction.kernel_count = count;
  return NNM_OK;
}

static nnm_status build_prediction(prediction_builder *builder, nnm_error *error) {
  const nnm_detection *detection = builder->detection;
  const nnm_model *model = detection->model;
  builder->estimates = NNM_ARENA_ARRAY(&builder->scratch, nnm_kernel_estimate, detection->kernels->count);
  builder->owner = calloc(1, sizeof *builder->owner);
  if (!builder->estimates || !builder->owner) return nnm_fail_memory(error);
  nnm_prediction *prediction = &builder->owner->prediction;
  NNM_TRY(builder->predictor->kind->estimate(builder->predictor->state, model->graph, model->shapes, detection->kernels,
                                             builder->estimates, &builder->whole, error));
  NNM_TRY(check_estimates(builder, error));
  NNM_TRY(add_up(builder, &prediction->latency_ms, error));
  prediction->constant_ms = builder->whole.constant_ms;
  prediction->coverage = coverage_of(builder, prediction->latency_ms);
  put_interval(builder, prediction);
  NNM_TRY(describe_kernels(builder, error));
  return gather_notes(builder, error);
}

/* Forests know nothing but nn-Meter 2.0's features; a network needs the graph behind its features. */
static nnm_status check_modes(const nnm_predictor *predictor, const nnm_detection *detection, nnm_error *error) {
  if (!detection->compat && predictor->kind->compat == NNM_COMPAT_NN_METER_2_0)
    return nnm_fail(
        error, NNM_ERROR_ARGUMENT, NULL,
        "predictor '%s' was trained with nn-Meter 2.0 and needs its kernels; leave the compat mode at its default",
        predictor->info.name);
  if (!detection->model->shapes && predictor->kind->compat == NNM_COMPAT_OWN)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "shapes are not inferred yet; call nnm_model_infer_shapes first");
  return NNM_OK;
}

nnm_status nnm_predict(const nnm_predictor *predictor, const nnm_model *model, const nnm_predict_options *options,
                       nnm_prediction **out, nnm_error *error) {
  nnm_detection detection;
  NNM_TRY(nnm_detect_model_kernels(model, predictor, options, &detection, error));
  prediction_builder builder = {.predictor = predictor, .detection = &detection};
  builder.names.arena = &builder.scratch;
  nnm_status status = check_modes(predictor, &detection, error);
  if (status == NNM_OK) status = build_prediction(&builder, error);
  nnm_strings_free(&builder.names);
  nnm_arena_free(&builder.scratch);
  nnm_detection_free(&detection);
  if (status == NNM_OK) *out = &builder.owner->prediction;
  else if (builder.owner) nnm_prediction_free(&builder.owner->prediction);
  return nnm_fail_in_file(error, status, model->path);
}
