/* usage: forest_rows FOREST.pkl < ROWS
 * Predicts rows with a pickled forest, the way an imported predictor does: through the pickle reader and the forest
 * section. ROWS: one row a line, numbers parted by spaces. Prints a hexadecimal double for each, so that a test can
 * compare with scikit-learn bit for bit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mapped_file.h"
#include "predictors/pickle_forest.h"

static nnm_status open_forest(const char *path, unsigned char **section, nnm_forest **out, nnm_error *error) {
  nnm_mapped_file file;
  NNM_TRY(nnm_map_file(path, &file, error));
  nnm_arena arena = {0};
  nnm_forest forest;
  size_t size, count;
  nnm_status status = nnm_forest_from_pickle(file.data, file.size, "test", &arena, &forest, NULL, error);
  if (status == NNM_OK) status = nnm_forest_section_write(&forest, 1, section, &size, error);
  if (status == NNM_OK) status = nnm_forest_section_read(*section, size, out, &count, error);
  nnm_arena_free(&arena);
  nnm_unmap_file(&file);
  return nnm_fail_in_file(error, status, path);
}

static int predict_lines(const nnm_forest *forest) {
  char line[4096];
  while (fgets(line, sizeof line, stdin)) {
    float row[NNM_FOREST_MOST_FEATURES] = {0};
    uint32_t count = 0;
    for (char *word = strtok(line, " \n"); word && count < NNM_FOREST_MOST_FEATURES; word = strtok(NULL, " \n"))
      row[count++] = (float)strtod(word, NULL);
    if (count != forest->feature_count) {
      fprintf(stderr, "a row of %u numbers, and the forest has %u features\n", count, forest->feature_count);
      return 1;
    }
    double latency;
    nnm_forest_predict(forest, row, 1, count, &latency);
    printf("%a\n", latency);
  }
  return 0;
}

int main(int argc, char **argv) {
  nnm_error error = {0};
  unsigned char *section = NULL;
  nnm_forest *forest = NULL;
  if (argc != 2) return 2;
  if (open_forest(argv[1], &section, &forest, &error) != NNM_OK) {
    char text[1600];
    nnm_error_text(&error, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    free(section);
    return 1;
  }
  int failed = predict_lines(forest);
  free(forest);
  free(section);
  return failed;
}
