/* Pickles of scikit-learn forests: whatever is accepted must also survive the way into a predictor file and back. */
#include <stdlib.h>

#include "predictors/pickle_forest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_forest(const nnm_forest *forest) {
  unsigned char *section;
  size_t size, count;
  nnm_forest *again;
  if (nnm_forest_section_write(forest, 1, &section, &size, NULL) != NNM_OK) return;
  if (nnm_forest_section_read(section, size, &again, &count, NULL) != NNM_OK) abort(); /* we wrote what we refuse */
  static const float rows[2][NNM_FOREST_MOST_FEATURES] = {{0}, {100, 100, 100, 3, 1, 1000, 1}};
  double before[2], after[2];
  nnm_forest_predict(forest, rows[0], 2, NNM_FOREST_MOST_FEATURES, before);
  nnm_forest_predict(again, rows[0], 2, NNM_FOREST_MOST_FEATURES, after);
  if (before[0] != after[0] || before[1] != after[1]) abort();
  free(again);
  free(section);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nnm_arena arena = {0};
  nnm_forest forest;
  const char *library;
  nnm_error error;
  if (nnm_forest_from_pickle(data, size, "fuzz", &arena, &forest, &library, &error) == NNM_OK) use_forest(&forest);
  nnm_arena_free(&arena);
  return 0;
}
