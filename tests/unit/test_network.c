/* Network predictors: the arithmetic against a network small enough to compute by hand and against the trainer's own
 * figures for every shipped predictor; damaged and hostile sections. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "predictors/container.h"
#include "predictors/network.h"

/* ---------------------------------------------------------------- a section made here */

enum { WIDTH = NNM_NETWORK_BLOCK, TYPES = 2 };

typedef struct section {
  _Alignas(16) unsigned char bytes[1 << 16];
  size_t size;
} section;

static void *put(section *s, const void *data, size_t size) {
  unsigned char *at = s->bytes + s->size;
  memcpy(at, data, size);
  s->size += (size + 15) / 16 * 16;
  assert_true(s->size <= sizeof s->bytes);
  return at;
}

typedef struct parts { /* where in the section things are, for tests that damage them */
  nnm_network_header *header;
  nnm_network_feature *features;
  nnm_network_ramp *ramps;
  nnm_network_type *types;
  float *low, *high, *type_biases, *weights;
  nnm_network_shape *shapes;
} parts;

/* Two types, "conv" and "add"; add was never measured. Feature 0 ranges over 0..10 (of all types 0..20), the others over
 * 0..1.
 * The shared network gives 0.5 * silu(normalised feature 0 + ramp + bias of the type); types have no network of their own. */
static parts make_section(section *s) {
  parts p;
  memset(s, 0, sizeof *s);
  p.header = put(s,
                 &(nnm_network_header){.version = NNM_NETWORK_VERSION,
                                       .feature_count = NNM_FEATURE_COUNT,
                                       .type_count = TYPES,
                                       .network_count = 1,
                                       .constant_ms = 0.25,
                                       .correction_limit = 8,
                                       .ramp_count = 1,
                                       .interval_low = -0.125F,
                                       .interval_high = 0.25F,
                                       .doubt = 0.5F},
                 sizeof *p.header);
  nnm_network_feature features[NNM_FEATURE_COUNT] = {0};
  for (size_t i = 0; i < NNM_FEATURE_COUNT; i++) {
    features[i] = (nnm_network_feature){.mean = 1, .scale = 0.5F, .high = i ? 1 : 20, .tolerance = 0.5F};
    strcpy(features[i].name, nnm_feature_names[i]);
  }
  p.features = put(s, features, sizeof features);
  p.ramps = put(s, &(nnm_network_ramp){.feature = 0, .low = 4, .slope = 0.5F}, sizeof *p.ramps);
  const nnm_network_type types[TYPES + 1] = {
      {.name = "conv", .cost_ms = {1e-6, 1e-5, 2e-5, 1e-4, 1e-7, 0.001}, .measured = 1},
      {.name = "add", .cost_ms = {3e-6}},
      {.cost_ms = {2e-6}}};
  p.types = put(s, types, sizeof types);
  float low[TYPES * NNM_FEATURE_COUNT] = {0}, high[TYPES * NNM_FEATURE_COUNT];
  for (size_t i = 0; i < TYPES * NNM_FEATURE_COUNT; i++) high[i] = i % NNM_FEATURE_COUNT ? 1 : 10;
  p.low = put(s, low, sizeof low);
  p.high = put(s, high, sizeof high);
  p.shapes = put(s, &(nnm_network_shape){.layer_count = 2, .widths = {WIDTH, 1}}, sizeof *p.shapes);
  float biases[(TYPES + 1) * WIDTH] = {0};
  biases[0] = 0.125F;
  biases[WIDTH] = 0.5F;
  biases[TYPES * WIDTH] = -0.25F;
  p.type_biases = put(s, biases, sizeof biases);
  enum { INPUTS = NNM_FEATURE_COUNT + 1, LAST = WIDTH + INPUTS * WIDTH };
  float weights[LAST + 4 + WIDTH] = {0};
  weights[WIDTH] = 1;                             /* input 0, output 0 */
  weights[WIDTH + NNM_FEATURE_COUNT * WIDTH] = 1; /* the ramp, output 0 */
  weights[LAST + 4] = 0.5F;
  p.weights = put(s, weights, sizeof weights);
  return p;
}

static nnm_kernel_row row_of(nnm_kernel_type type, float feature, double multiply_adds) {
  nnm_kernel_row row = {.work = {multiply_adds, 200, 50, 10, 3000}, .type = (int32_t)type};
  row.features[0] = feature;
  return row;
}

static nnm_kernel_estimate estimate(const nnm_network *network, nnm_kernel_row row) {
  nnm_kernel_estimate result;
  nnm_network_estimate(network, &row, &result);
  return result;
}

static double silu(double x) { return x / (1 + exp(-x)); }

static void computes_by_hand(void **state) {
  (void)state;
  section s;
  make_section(&s);
  nnm_network *network;
  assert_int_equal(nnm_network_open(s.bytes, s.size, &network, NULL), NNM_OK);
  nnm_kernel_estimate result = estimate(network, row_of(NNM_KERNEL_CONV, 5, 1000));
  const double guess = 1e-3 + 2e-3 + 1e-3 + 1e-3 + 3e-4 + 1e-3;
  double expected = guess * exp(0.5 * silu(2 + 0.5 + 0.125));
  assert_true(fabs(result.latency_ms / expected - 1) < 1e-6);
  assert_true(result.in_range && result.has_predictor && !result.reason && result.doubt == 0);
  for (float feature = 0; feature <= 10; feature += 0.25F) { /* the exponential function, over its useful range */
    double ramp = fmin(fmax((feature - 4) / 2, 0), 1);
    expected = guess * exp(0.5 * silu((feature - 1) / 2.0 + ramp + 0.125));
    assert_true(fabs(estimate(network, row_of(NNM_KERNEL_CONV, feature, 1000)).latency_ms / expected - 1) < 1e-6);
  }
  nnm_network_close(network);
}

static void marks_what_was_never_measured(void **state) {
  (void)state;
  section s;
  make_section(&s);
  nnm_network *network;
  assert_int_equal(nnm_network_open(s.bytes, s.size, &network, NULL), NNM_OK);
  /* 15 is within the range of all types; the ramp ends at 6 */
  const struct {
    nnm_kernel_type type;
    double expected; /* by the type's own record, or by the one for types without */
  } unmeasured[] = {{NNM_KERNEL_ADD, 3e-3 * exp(0.5 * silu(7 + 1 + 0.5))},
                    {NNM_KERNEL_SOFTMAX, 2e-3 * exp(0.5 * silu(7 + 1 - 0.25))}};
  for (size_t i = 0; i < 2; i++) {
    nnm_kernel_estimate result = estimate(network, row_of(unmeasured[i].type, 15, 1000));
    assert_true(fabs(result.latency_ms / unmeasured[i].expected - 1) < 1e-6);
    assert_false(result.in_range);
    assert_true(result.doubt == NNM_FULL_DOUBT);
    assert_true(result.has_predictor);
    assert_non_null(strstr(result.reason, "never measured"));
  }
  nnm_network_close(network);
}

/* Files older than a kernel type: the record of its kin is a better guess than that of types nobody knows anything of. */
static void guesses_younger_types_by_their_kin(void **state) {
  (void)state;
  static const struct {
    nnm_kernel_type type, kin;
    const char *name; /* of kin */
  } rows[] = {{NNM_KERNEL_ATTENTION, NNM_KERNEL_MATMUL, "matmul"},
              {NNM_KERNEL_ROTARY, NNM_KERNEL_ELEMENTWISE, "elementwise"}};
  for (uint32_t i = 0; i < 4; i++) {
    uint32_t at = i / 2, measured = i % 2;
    section s;
    parts p = make_section(&s);
    strcpy(p.types[1].name, rows[at].name);
    p.types[1].measured = measured;
    nnm_network *network;
    assert_int_equal(nnm_network_open(s.bytes, s.size, &network, NULL), NNM_OK);
    nnm_kernel_estimate result = estimate(network, row_of(rows[at].type, 15, 1000));
    assert_true(fabs(result.latency_ms / (3e-3 * exp(0.5 * silu(7 + 1 + 0.5))) - 1) < 1e-6);
    assert_false(result.in_range); /* measured or not: these are measurements of something else */
    assert_true(result.doubt == NNM_FULL_DOUBT);
    assert_int_equal(estimate(network, row_of(rows[at].kin, 5, 1000)).in_range, measured);
    nnm_network_close(network);
  }
}

/* Beyond the range the corrections stay at its edge, so that latency grows with the work and no faster. */
static void extrapolates_with_the_work(void **state) {
  (void)state;
  section s;
  make_section(&s);
  nnm_network *network;
  assert_int_equal(nnm_network_open(s.bytes, s.size, &network, NULL), NNM_OK);
  nnm_kernel_estimate edge = estimate(network, row_of(NNM_KERNEL_CONV, 10, 1e9));
  nnm_kernel_estimate near = estimate(network, row_of(NNM_KERNEL_CONV, 10.4F, 1e9));
  nnm_kernel_estimate far = estimate(network, row_of(NNM_KERNEL_CONV, 14.6F, 1e11));
  assert_true(edge.in_range && near.in_range && !far.in_range);
  assert_true(near.latency_ms == edge.latency_ms);
  assert_true(fabs(far.latency_ms / edge.latency_ms / 100 - 1) < 1e-4);
  assert_non_null(strstr(far.reason, "multiply-adds"));
  assert_non_null(strstr(far.reason, "above the largest measured"));
  nnm_kernel_estimate small = estimate(network, row_of(NNM_KERNEL_CONV, -1, 10));
  assert_non_null(strstr(small.reason, "below the smallest measured"));
  nnm_network_close(network);
}

/* Doubt grows by the largest logarithm outside, from a quarter on, up to that of a type never measured. */
static void doubts_what_is_far_outside(void **state) {
  (void)state;
  section s;
  make_section(&s);
  nnm_network *network;
  assert_int_equal(nnm_network_open(s.bytes, s.size, &network, NULL), NNM_OK);
  const struct {
    float feature;
    double expected;
  } cases[] = {{0, 0}, {10.5F, 0}, {10.75F, 1}, {11, 1.25}, {-1, 1.25}, {11.75F, 2}, {15, 2}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_true(estimate(network, row_of(NNM_KERNEL_CONV, cases[i].feature, 10)).doubt == cases[i].expected);
  nnm_kernel_row row = row_of(NNM_KERNEL_CONV, 11, 10);
  row.features[NNM_FEATURE_BATCH] = 2.25F; /* 1.25 beyond */
  assert_true(estimate(network, row).doubt == 1.5);
  row.features[NNM_FEATURE_BATCH] = 0;
  row.features[NNM_FEATURE_BYTES] = 100; /* not asked for: it follows from the others */
  assert_true(estimate(network, row).doubt == 1.25);
  nnm_network_close(network);
}

static void reads_the_interval(void **state) {
  (void)state;
  section s;
  parts p = make_section(&s);
  nnm_network *network;
  assert_int_equal(nnm_network_open(s.bytes, s.size, &network, NULL), NNM_OK);
  assert_true(network->interval.known && network->interval.doubt == 0.5);
  assert_true(network->interval.low == -0.125 && network->interval.high == 0.25);
  nnm_network_close(network);
  p.header->interval_low = p.header->interval_high = p.header->doubt = 0;
  assert_int_equal(nnm_network_open(s.bytes, s.size, &network, NULL), NNM_OK);
  assert_false(network->interval.known);
  nnm_network_close(network);
}

/* ---------------------------------------------------------------- damage */

static void refuses(const section *s, nnm_status status, const char *part_of_message) {
  nnm_network *network = NULL;
  nnm_error error = {0};
  assert_int_equal(nnm_network_open(s->bytes, s->size, &network, &error), status);
  assert_null(network);
  if (!strstr(error.message, part_of_message)) fail_msg("'%s' lacks '%s'", error.message, part_of_message);
}

static void refuses_other_features(void **state) {
  (void)state;
  section s;
  parts p = make_section(&s);
  strcpy(p.features[0].name, "log_moon_phase");
  refuses(&s, NNM_ERROR_UNSUPPORTED, "log_moon_phase");
  p = make_section(&s);
  strcpy(p.features[0].name, p.features[1].name);
  refuses(&s, NNM_ERROR_FORMAT, "twice");
  p = make_section(&s);
  p.header->version = 1;
  refuses(&s, NNM_ERROR_UNSUPPORTED, "network layout 1, this program reads layout 2");
}

static void refuses_impossible_numbers(void **state) {
  (void)state;
  section s;
#define REFUSES(damage, fault)            \
  do {                                    \
    parts p = make_section(&s);           \
    damage;                               \
    refuses(&s, NNM_ERROR_FORMAT, fault); \
  } while (0)
  REFUSES(p.header->feature_count = 0, "counts");
  REFUSES(p.header->feature_count = UINT32_MAX, "counts");
  REFUSES(p.header->ramp_count = UINT32_MAX, "counts");
  REFUSES(p.header->type_count = 0, "counts");
  REFUSES(p.header->network_count = 0, "counts");
  REFUSES(p.header->network_count = TYPES + 3, "counts");
  REFUSES(p.header->constant_ms = -1, "constant");
  REFUSES(p.header->constant_ms = NAN, "constant");
  REFUSES(p.header->correction_limit = NAN, "limit");
  REFUSES(p.header->interval_low = NAN, "interval");
  REFUSES(p.header->interval_high = INFINITY, "interval");
  REFUSES(p.header->interval_low = p.header->interval_high, "interval");
  REFUSES(p.header->interval_low = 0.5F, "interval");
  REFUSES(p.header->interval_low = -5.5F, "interval");
  REFUSES(p.header->interval_high = 5.5F, "interval");
  REFUSES(p.header->interval_low = p.header->interval_high = 0, "interval");
  REFUSES(p.header->doubt = -0.5F, "doubt");
  REFUSES(p.header->doubt = NAN, "doubt");
  REFUSES(p.header->doubt = INFINITY, "doubt");
  REFUSES(memset(p.features[0].name, 'x', sizeof p.features[0].name), "without an end");
  REFUSES(p.features[0].scale = 0, "range");
  REFUSES(p.features[0].low = NAN, "range");
  REFUSES(p.features[0].tolerance = -1, "range");
  REFUSES(p.ramps[0].feature = NNM_FEATURE_COUNT, "ramp");
  REFUSES(p.ramps[0].slope = INFINITY, "ramp");
  REFUSES(memset(p.types[0].name, 'x', sizeof p.types[0].name), "without an end");
  REFUSES(p.types[0].cost_ms[1] = -1e-9, "cost");
  REFUSES(p.types[2].cost_ms[0] = INFINITY, "cost");
  REFUSES(p.types[0].network = 1, "kernel type");
  REFUSES(p.types[0].measured = 2, "kernel type");
  REFUSES(p.low[0] = 11, "range");
  REFUSES(p.high[1] = NAN, "range");
  REFUSES(p.shapes[0].layer_count = 1, "layers");
  REFUSES(p.shapes[0].layer_count = UINT32_MAX, "layers");
  REFUSES(p.shapes[0].widths[0] = 0, "width");
  REFUSES(p.shapes[0].widths[0] = WIDTH + 1, "width");
  REFUSES(p.shapes[0].widths[0] = 1024, "ends early");
  REFUSES(p.shapes[0].widths[1] = 2, "width");
  REFUSES(p.type_biases[3] = NAN, "weight");
  REFUSES(p.weights[40] = INFINITY, "weight");
#undef REFUSES
}

static void refuses_every_truncation(void **state) {
  (void)state;
  section s;
  make_section(&s);
  for (size_t size = 0, whole = s.size; size < whole; size++) {
    s.size = size;
    nnm_network *network = NULL;
    assert_int_not_equal(nnm_network_open(s.bytes, size, &network, NULL), NNM_OK);
  }
  make_section(&s);
  s.size += 16;
  refuses(&s, NNM_ERROR_FORMAT, "left over");
}

/* Whatever a single wrong byte does, it opens and predicts a finite number or is refused. */
static void survives_every_wrong_byte(void **state) {
  (void)state;
  section s;
  make_section(&s);
  for (size_t i = 0; i < s.size; i++) {
    for (int flip = 1; flip <= 128; flip *= 2) {
      s.bytes[i] ^= (unsigned char)flip;
      nnm_network *network = NULL;
      if (nnm_network_open(s.bytes, s.size, &network, NULL) == NNM_OK) {
        nnm_kernel_estimate result = estimate(network, row_of(NNM_KERNEL_CONV, 7, 1e6));
        assert_true(result.latency_ms >= 0 && !isnan(result.latency_ms));
        assert_true(result.doubt >= 0 && result.doubt <= NNM_FULL_DOUBT);
        nnm_network_close(network);
      }
      s.bytes[i] ^= (unsigned char)flip;
    }
  }
}

/* ---------------------------------------------------------------- the trainer's figures */

static nnm_kernel_row golden_row(const json_t *kernel) {
  nnm_kernel_row row = {0};
  const json_t *work = json_array_get(kernel, 1), *features = json_array_get(kernel, 2);
  assert_int_equal(json_array_size(work), NNM_WORK_COUNT);
  for (size_t i = 0; i < NNM_WORK_COUNT; i++) row.work[i] = json_number_value(json_array_get(work, i));
  for (size_t i = 0; i < NNM_FEATURE_COUNT; i++)
    row.features[i] = (float)json_number_value(json_array_get(features, i));
  const char *type = json_string_value(json_array_get(kernel, 0));
  while (strcmp(nnm_kernel_type_name((nnm_kernel_type)row.type), type) != 0) row.type++;
  return row;
}

static void check_golden(nnm_network *network, const json_t *golden) {
  const json_t *names = json_object_get(golden, "features"), *kernels = json_object_get(golden, "kernels");
  assert_int_equal(json_array_size(names), NNM_FEATURE_COUNT);
  for (size_t i = 0; i < NNM_FEATURE_COUNT; i++)
    assert_string_equal(json_string_value(json_array_get(names, i)), nnm_feature_names[i]);
  assert_true(json_array_size(kernels) >= 100);
  network->type_at[NNM_KERNEL_RECURRENT] = network->type_count; /* as if the file did not name it */
  for (size_t i = 0; i < json_array_size(kernels); i++) {
    const json_t *kernel = json_array_get(kernels, i);
    nnm_kernel_row row = golden_row(kernel);
    nnm_kernel_estimate known = estimate(network, row);
    double expected = json_number_value(json_array_get(kernel, 3));
    if (!(fabs(known.latency_ms / expected - 1) < 1e-5))
      fail_msg("kernel %zu: %.9g ms, the trainer says %.9g ms", i, known.latency_ms, expected);
    assert_true(known.in_range);
    row.type = NNM_KERNEL_RECURRENT;
    nnm_kernel_estimate unknown = estimate(network, row);
    assert_true(fabs(unknown.latency_ms / json_number_value(json_array_get(kernel, 4)) - 1) < 1e-5);
    assert_false(unknown.in_range);
  }
}

static void agrees_with_the_trainer(void **state) {
  (void)state;
  size_t count;
  const nnm_built_in_predictor *built_in = nnm_built_in_predictors(&count);
  for (size_t i = 0; i < count; i++) {
    nnm_arena arena = {0};
    nnm_container container;
    assert_int_equal(nnm_container_open(built_in[i].data, built_in[i].size, &arena, &container, NULL), NNM_OK);
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.json", NNM_TEST_DATA "/network", container.name);
    json_t *golden = json_load_file(path, 0, NULL);
    assert_non_null(golden);
    nnm_network *network;
    nnm_error error = {0};
    if (nnm_network_open(container.data.data, container.data.size, &network, &error) != NNM_OK)
      fail_msg("%s: %s", container.name, error.message);
    check_golden(network, golden);
    nnm_network_close(network);
    json_decref(golden);
    nnm_arena_free(&arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(computes_by_hand),
      cmocka_unit_test(marks_what_was_never_measured),
      cmocka_unit_test(guesses_younger_types_by_their_kin),
      cmocka_unit_test(extrapolates_with_the_work),
      cmocka_unit_test(refuses_other_features),
      cmocka_unit_test(refuses_impossible_numbers),
      cmocka_unit_test(refuses_every_truncation),
      cmocka_unit_test(survives_every_wrong_byte),
      cmocka_unit_test(agrees_with_the_trainer),
      cmocka_unit_test(doubts_what_is_far_outside),
      cmocka_unit_test(reads_the_interval),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
