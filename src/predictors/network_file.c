/* Opening the data section of a network predictor: every count, size, name and number is checked once, here. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cursor.h"
#include "predictors/network.h"

static nnm_status damaged(nnm_error *error, const char *fault) {
  return nnm_fail(error, NNM_ERROR_FORMAT, "section data", "%s; the predictor file is damaged, get it again", fault);
}

/* count records of size bytes in place; sections keep each array at a multiple of 16. */
static const void *take(nnm_cursor *cursor, size_t count, size_t size) {
  size_t bytes;
  if (!nnm_multiply_size(count, size, &bytes)) {
    cursor->failed = true;
    return NULL;
  }
  const void *array = nnm_cursor_take(cursor, bytes);
  size_t odd = nnm_cursor_offset(cursor) % 16;
  if (odd) nnm_cursor_take(cursor, 16 - odd);
  return cursor->failed ? NULL : array;
}

static bool all_finite(const float *values, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!isfinite(values[i])) return false;
  return true;
}

static bool terminated(const char *name, size_t size) { return memchr(name, 0, size) != NULL; }

static bool has_interval(const nnm_network_header *header) {
  return header->interval_low != 0 || header->interval_high != 0 || header->doubt != 0; /* NaN is not 0 */
}

static nnm_status check_interval(const nnm_network_header *header, nnm_error *error) {
  const float furthest = 5; /* a factor of 148 */
  if (!has_interval(header)) return NNM_OK;
  if (!(header->interval_low < header->interval_high && header->interval_low >= -furthest &&
        header->interval_high <= furthest))
    return damaged(error, "impossible interval");
  return isfinite(header->doubt) && header->doubt >= 0 ? NNM_OK : damaged(error, "impossible doubt");
}

static nnm_status check_header(const nnm_network_header *header, nnm_error *error) {
  if (header->version != NNM_NETWORK_VERSION)
    return nnm_fail(error, NNM_ERROR_UNSUPPORTED, "section data",
                    "network layout %u, this program reads layout %d; update the program or train the predictor again",
                    header->version, NNM_NETWORK_VERSION);
  if (!header->feature_count || header->feature_count > NNM_NETWORK_MAX_FEATURES ||
      header->ramp_count > NNM_NETWORK_MAX_RAMPS || !header->type_count || header->type_count > NNM_NETWORK_MAX_TYPES ||
      !header->network_count || header->network_count > header->type_count + 2)
    return damaged(error, "impossible counts");
  if (!isfinite(header->constant_ms) || header->constant_ms < 0) return damaged(error, "impossible constant latency");
  if (!(header->correction_limit > 0 && header->correction_limit <= 50)) return damaged(error, "impossible limit");
  return check_interval(header, error);
}

static nnm_status match_features(nnm_network *network, nnm_error *error) {
  bool given[NNM_FEATURE_COUNT] = {false};
  for (size_t i = 0; i < network->feature_count; i++) {
    const nnm_network_feature *feature = &network->features[i];
    if (!terminated(feature->name, sizeof feature->name)) return damaged(error, "feature name without an end");
    size_t at = 0;
    while (at < NNM_FEATURE_COUNT && strcmp(nnm_feature_names[at], feature->name) != 0) at++;
    if (at == NNM_FEATURE_COUNT)
      return nnm_fail(error, NNM_ERROR_UNSUPPORTED, "section data",
                      "the predictor wants feature '%s', which this program does not make; train the predictor again",
                      feature->name);
    if (given[at])
      return nnm_fail(error, NNM_ERROR_FORMAT, "section data",
                      "feature '%s' twice; the predictor file is damaged, get it again", feature->name);
    given[at] = true;
    network->feature_at[i] = at;
    if (!all_finite(&feature->mean, 5) || feature->scale <= 0 || feature->low > feature->high || feature->tolerance < 0)
      return damaged(error, "impossible feature range");
  }
  for (size_t at = 0; at < NNM_FEATURE_COUNT; at++)
    if (!given[at])
      return nnm_fail(error, NNM_ERROR_UNSUPPORTED, "section data",
                      "the predictor was trained without feature '%s' of this program; train it again",
                      nnm_feature_names[at]);
  return NNM_OK;
}

static nnm_status check_ramps(const nnm_network *network, nnm_error *error) {
  for (size_t i = 0; i < network->ramp_count; i++) {
    const nnm_network_ramp *ramp = &network->ramps[i];
    if (ramp->feature >= network->feature_count || !all_finite(&ramp->low, 2) || ramp->slope <= 0)
      return damaged(error, "impossible ramp");
  }
  return NNM_OK;
}

static nnm_status check_type(const nnm_network *network, const nnm_network_type *type, nnm_error *error) {
  if (!terminated(type->name, sizeof type->name)) return damaged(error, "kernel type name without an end");
  for (size_t i = 0; i < NNM_NETWORK_COSTS; i++)
    if (!isfinite(type->cost_ms[i]) || type->cost_ms[i] < 0) return damaged(error, "impossible cost");
  if (type->measured > 1 || type->network >= network->network_count) return damaged(error, "impossible kernel type");
  return NNM_OK;
}

/* Types that files made before them do not name, and whose record then serves as a guess: better than that of the types
 * nobody knows anything of. */
static const struct {
  nnm_kernel_type type, kin;
} kinship[] = {{NNM_KERNEL_ATTENTION, NNM_KERNEL_MATMUL}, {NNM_KERNEL_ROTARY, NNM_KERNEL_ELEMENTWISE}};

static void guess_by_kin(nnm_network *network) {
  for (size_t i = 0; i < sizeof kinship / sizeof kinship[0]; i++) {
    if (network->type_at[kinship[i].type] < network->type_count) continue;
    network->type_at[kinship[i].type] = network->type_at[kinship[i].kin];
    network->is_guess[kinship[i].type] = true;
  }
}

static nnm_status match_types(nnm_network *network, nnm_error *error) {
  for (size_t at = 0; at < NNM_KERNEL_TYPE_COUNT; at++) network->type_at[at] = network->type_count;
  for (size_t i = 0; i <= network->type_count; i++) {
    const nnm_network_type *type = &network->types[i];
    NNM_TRY(check_type(network, type, error));
    if (i == network->type_count) break;                  /* the record for types that have none */
    for (size_t at = 0; at < NNM_KERNEL_TYPE_COUNT; at++) /* names this program does not know are never asked for */
      if (!strcmp(nnm_kernel_type_name((nnm_kernel_type)at), type->name)) network->type_at[at] = i;
  }
  guess_by_kin(network);
  size_t count = network->type_count * network->feature_count;
  if (!all_finite(network->low, count) || !all_finite(network->high, count)) return damaged(error, "impossible range");
  for (size_t i = 0; i < count; i++)
    if (network->low[i] > network->high[i]) return damaged(error, "impossible range");
  return NNM_OK;
}

static nnm_status take_network(nnm_network *network, size_t index, nnm_cursor *cursor, nnm_error *error) {
  const nnm_network_shape *shape = &network->shapes[index];
  size_t width = network->feature_count + network->ramp_count, floats = 0;
  if (shape->layer_count < 2 || shape->layer_count > NNM_NETWORK_MAX_LAYERS)
    return damaged(error, "impossible number of layers");
  for (size_t i = 0; i < shape->layer_count; i++) {
    size_t next = shape->widths[i];
    bool last = i + 1 == shape->layer_count;
    if (last ? next != 1 : !next || next > NNM_NETWORK_MAX_WIDTH || next % NNM_NETWORK_BLOCK)
      return damaged(error, "impossible layer width");
    floats += nnm_network_layer_floats(width, next); /* at most 7 * (1024 + 1) * 1024 */
    width = next;
  }
  network->weights[index] = take(cursor, floats, sizeof(float));
  if (!network->weights[index]) return damaged(error, "ends early");
  return all_finite(network->weights[index], floats) ? NNM_OK : damaged(error, "a weight that is no number");
}

static nnm_status take_sections(nnm_network *network, nnm_cursor *cursor, nnm_error *error) {
  const nnm_network_header *header = take(cursor, 1, sizeof *header);
  if (!header) return damaged(error, "ends early");
  NNM_TRY(check_header(header, error));
  size_t types = header->type_count, features = header->feature_count;
  network->feature_count = features;
  network->ramp_count = header->ramp_count;
  network->type_count = types;
  network->network_count = header->network_count;
  network->constant_ms = header->constant_ms;
  network->correction_limit = header->correction_limit;
  network->interval = (nnm_interval){.known = has_interval(header),
                                     .low = (double)header->interval_low,
                                     .high = (double)header->interval_high,
                                     .doubt = (double)header->doubt};
  network->features = take(cursor, features, sizeof *network->features);
  network->ramps = take(cursor, network->ramp_count, sizeof *network->ramps);
  network->types = take(cursor, types + 1, sizeof *network->types);
  network->low = take(cursor, types * features, sizeof(float));
  network->high = take(cursor, types * features, sizeof(float));
  network->shapes = take(cursor, network->network_count, sizeof *network->shapes);
  if (!network->shapes) return damaged(error, "ends early");
  NNM_TRY(match_features(network, error));
  NNM_TRY(check_ramps(network, error));
  NNM_TRY(match_types(network, error));

  size_t first_width = network->shapes[0].widths[0];
  network->type_biases = take(cursor, (types + 1) * first_width, sizeof(float)); /* at most 257 * 2^32 * 4 bytes */
  network->weights = calloc(network->network_count, sizeof *network->weights);
  if (!network->weights) return nnm_fail_memory(error);
  for (size_t i = 0; i < network->network_count; i++) NNM_TRY(take_network(network, i, cursor, error));
  if (nnm_cursor_left(cursor)) return damaged(error, "bytes left over");
  if (!all_finite(network->type_biases, (types + 1) * first_width)) return damaged(error, "a weight that is no number");
  return NNM_OK;
}

nnm_status nnm_network_open(const unsigned char *section, size_t size, nnm_network **out, nnm_error *error) {
  if ((uintptr_t)section % 16)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, "section data",
                    "the bytes must lie at a multiple of 16; copy them there");
  nnm_network *network = calloc(1, sizeof *network);
  if (!network) return nnm_fail_memory(error);
  nnm_cursor cursor = nnm_cursor_over(section, size);
  nnm_status status = take_sections(network, &cursor, error);
  if (status != NNM_OK) {
    nnm_network_close(network);
    return status;
  }
  *out = network;
  return NNM_OK;
}

void nnm_network_close(nnm_network *network) {
  if (!network) return;
  free(network->weights);
  free(network);
}
