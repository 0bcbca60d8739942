#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/compat.h"
#include "predictors/forest.h"
#include "predictors/predictor.h"

static nnm_error error;

#define INNER(feature, skip, limit)                             \
  {                                                             \
    (feature) | (uint32_t)(skip) << 8, { .threshold = (limit) } \
  }
#define LEAF(index)                      \
  {                                      \
    NNM_FOREST_LEAF, { .leaf = (index) } \
  }

/* Two trees over [height, channels, ...]: 10 or 20 or 30, and 1 or 2. */
static const nnm_forest_node nodes[] = {INNER(0, 2, 16), LEAF(0),        INNER(1, 2, 64), LEAF(1),
                                        LEAF(2),         INNER(1, 2, 8), LEAF(3),         LEAF(4)};
static const double leaves[] = {10, 20, 30, 1, 2};
static const uint32_t tree_start[] = {0, 5, 8};
static const nnm_forest_node lone_nodes[] = {LEAF(0)};
static const uint32_t lone_start[] = {0, 1};

static const nnm_forest forests[] = {
    {"bn", 2, 2, 8, 5, leaves, nodes, tree_start},
    {"concat", 5, 2, 8, 5, leaves, nodes, tree_start},
    {"fc", 4, 1, 1, 1, leaves, lone_nodes, lone_start},
};

static nnm_forest changeable(nnm_forest_node copy[8]) {
  memcpy(copy, nodes, sizeof nodes);
  nnm_forest forest = forests[0];
  forest.nodes = copy;
  return forest;
}

static double predict(const nnm_forest *forest, float height, float channels) {
  double latency;
  const float row[5] = {height, channels};
  nnm_forest_predict(forest, row, 1, 5, &latency);
  return latency;
}

static void test_walks(void **state) {
  (void)state;
  assert_true(predict(&forests[0], 16, 8) == 5.5); /* what equals the threshold goes left */
  assert_true(predict(&forests[0], 17, 8) == 10.5);
  assert_true(predict(&forests[0], 17, 65) == 16);
}

static void test_section_there_and_back(void **state) {
  (void)state;
  unsigned char *section;
  size_t size, count;
  nnm_forest *read;
  assert_int_equal(nnm_forest_section_write(forests, 3, &section, &size, &error), NNM_OK);
  assert_int_equal(nnm_forest_section_read(section, size, &read, &count, &error), NNM_OK);
  assert_int_equal(count, 3);
  assert_string_equal(read[1].name, "concat");
  assert_true(predict(&read[0], 17, 65) == 16 && predict(&read[2], 1, 1) == 10);
  free(read);
  for (size_t shorter = 0; shorter < size; shorter++) {
    unsigned char *copy = malloc(shorter ? shorter : 1);
    assert_non_null(copy);
    memcpy(copy, section, shorter);
    assert_int_not_equal(nnm_forest_section_read(copy, shorter, &read, &count, &error), NNM_OK);
    free(copy);
  }
  free(section);
}

static void expect_fault(const nnm_forest *forest, const char *part) {
  assert_int_equal(nnm_forest_check(forest, &error), NNM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, part));
}

static void test_unsound_forests(void **state) {
  (void)state;
  nnm_forest_node copy[8];
  nnm_forest forest = changeable(copy);
  assert_int_equal(nnm_forest_check(&forest, &error), NNM_OK);
  copy[0] = (nnm_forest_node)INNER(0, 5, 1); /* into the next tree */
  expect_fault(&forest, "outside of its tree");
  copy[0] = (nnm_forest_node)INNER(0, 1, 1); /* both children the same */
  expect_fault(&forest, "outside of its tree");
  copy[0] = (nnm_forest_node)INNER(0, 0, 1); /* itself */
  expect_fault(&forest, "outside of its tree");
  forest = changeable(copy);
  copy[7] = (nnm_forest_node)INNER(0, 2, 1); /* the last node has no room for children */
  expect_fault(&forest, "outside of its tree");
  forest = changeable(copy);
  copy[2] = (nnm_forest_node)INNER(2, 2, 1);
  expect_fault(&forest, "feature");
  forest = changeable(copy);
  copy[7].at.leaf = 5;
  expect_fault(&forest, "leaf");
  forest = changeable(copy);
  copy[0].at.threshold = __builtin_nanf("");
  expect_fault(&forest, "threshold");
  static const uint32_t backward[] = {0, 9, 8}, empty[] = {0, 0, 8}, gap[] = {1, 5, 8};
  forest = forests[0];
  forest.tree_start = backward;
  expect_fault(&forest, "outside of its forest");
  forest.tree_start = empty;
  expect_fault(&forest, "outside of its forest");
  forest.tree_start = gap;
  expect_fault(&forest, "add up");
}

/* Whatever bit is wrong: what passes the check can be walked (the sanitizers watch). */
static void test_every_bit(void **state) {
  (void)state;
  size_t refused = 0;
  for (size_t bit = 0; bit < sizeof nodes * 8; bit++) {
    nnm_forest_node copy[8];
    nnm_forest forest = changeable(copy);
    ((unsigned char *)copy)[bit / 8] ^= (unsigned char)(1 << bit % 8);
    if (nnm_forest_check(&forest, &error) != NNM_OK) refused++;
    else
      for (float height = 0; height < 40; height += 8)
        for (float channels = 0; channels < 80; channels += 8) (void)predict(&forest, height, channels);
  }
  /* of a leaf all but the bits that name another leaf; of an inner node the bits of the feature and the skip */
  assert_in_range(refused, 5 * 59 + 3 * 29, 5 * 64 + 3 * 32);
}

static void test_doubled_names(void **state) {
  (void)state;
  const nnm_forest twins[] = {forests[0], forests[0]};
  unsigned char *section;
  size_t size, count;
  nnm_forest *read;
  assert_int_equal(nnm_forest_section_write(twins, 2, &section, &size, &error), NNM_OK);
  assert_int_equal(nnm_forest_section_read(section, size, &read, &count, &error), NNM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "twice"));
  free(section);
}

/* ---------------------------------------------------------------- the predictor kind */

static void *open_forests(unsigned char **section) {
  size_t size;
  void *state = NULL;
  assert_int_equal(nnm_forest_section_write(forests, 3, section, &size, &error), NNM_OK);
  assert_int_equal(nnm_predictor_forest.open(*section, size, &state, &error), NNM_OK);
  return state;
}

static void test_estimates(void **unused) {
  (void)unused;
  unsigned char *section;
  void *state = open_forests(&section);
  const nnm_compat_kernel compat[] = {
      {.predictor = "bn", .row_count = 2, .row = {17, 65}},
      {.predictor = "concat", .row_count = 6, .row = {17, 2, 65, 30, 0, 0}}, /* [h, n, c1..c4] */
      {.predictor = "concat", .row_count = 5, .row = {17, 65, 30, 0, 0}},
      {.predictor = "bn", .row_count = 2, .row = {17, 6000}},
      {.predictor = "bn", .row_count = 2, .row = {17, 1e39}}, /* no 32-bit number */
      {.predictor = "bn", .row_count = 3, .row = {17, 65, 1}},
      {.predictor = "hswish", .row_count = 2, .row = {17, 65}},
      {.predictor = NULL, .row_count = 0},
      {.predictor = "fc", .row_count = 4, .row = {1, 2, 3, 4}},
  };
  enum { COUNT = sizeof compat / sizeof compat[0] };
  nnm_kernel items[COUNT + 1] = {{0}}; /* the last one comes from our own mode */
  for (size_t i = 0; i < COUNT; i++) items[i].compat = &compat[i];
  const nnm_kernels kernels = {.count = COUNT + 1, .items = items};
  nnm_kernel_estimate estimates[COUNT + 1];
  nnm_model_estimate whole = {.constant_ms = 1, .interval.known = true};
  assert_int_equal(nnm_predictor_forest.estimate(state, NULL, NULL, &kernels, estimates, &whole, &error), NNM_OK);
  static const struct {
    double latency;
    bool has_predictor, in_range;
  } expected[COUNT + 1] = {{16, true, true},  {16, true, true},  {16, true, true},  {16, true, false},
                           {0, false, false}, {0, false, false}, {0, false, false}, {0, false, false},
                           {10, true, false}, {0, false, false}};
  for (size_t i = 0; i <= COUNT; i++) {
    assert_true(estimates[i].latency_ms == expected[i].latency);
    assert_int_equal(estimates[i].has_predictor, expected[i].has_predictor);
    assert_int_equal(estimates[i].in_range, expected[i].in_range);
    assert_int_equal(estimates[i].reason == NULL, estimates[i].in_range);
  }
  assert_true(whole.constant_ms == 0 && !whole.interval.known);
  nnm_predictor_forest.close(state);
  free(section);
}

/* More kernels than one batch holds, of two types in turn. */
static void test_many_kernels(void **unused) {
  (void)unused;
  enum { COUNT = 1001 };
  unsigned char *section;
  void *state = open_forests(&section);
  static nnm_compat_kernel compat[COUNT];
  static nnm_kernel items[COUNT];
  static nnm_kernel_estimate estimates[COUNT];
  for (size_t i = 0; i < COUNT; i++) {
    compat[i] =
        (nnm_compat_kernel){.predictor = i % 2 ? "fc" : "bn", .row_count = i % 2 ? 4 : 2, .row = {17, (double)i}};
    items[i].compat = &compat[i];
  }
  const nnm_kernels kernels = {.count = COUNT, .items = items};
  nnm_model_estimate whole;
  assert_int_equal(nnm_predictor_forest.estimate(state, NULL, NULL, &kernels, estimates, &whole, &error), NNM_OK);
  for (size_t i = 0; i < COUNT; i++)
    assert_true(estimates[i].latency_ms == (i % 2 ? 10 : predict(&forests[0], 17, (float)i)));
  nnm_predictor_forest.close(state);
  free(section);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_walks),           cmocka_unit_test(test_section_there_and_back),
      cmocka_unit_test(test_unsound_forests), cmocka_unit_test(test_every_bit),
      cmocka_unit_test(test_doubled_names),   cmocka_unit_test(test_estimates),
      cmocka_unit_test(test_many_kernels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
