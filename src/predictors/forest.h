/* Random forests of nn-Meter's predictors: one forest for each kernel type, in the layout of docs/predictor-format.md,
 * where all numbers are used in place. */
#ifndef NNM_PREDICTORS_FOREST_H
#define NNM_PREDICTORS_FOREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
  NNM_FOREST_NAME_SIZE = 32,     /* bytes, the NUL included */
  NNM_FOREST_LEAF = 255,         /* in place of a feature number */
  NNM_FOREST_MOST_FEATURES = 64, /* nn-Meter's kernels have at most 8 */
  NNM_FOREST_MOST_TREE_NODES = 1 << 24
};

/* A tree's nodes lie in preorder: the left child follows its parent, the right one is `skip` nodes further, so every
 * walk goes forward and ends. */
typedef struct nnm_forest_node {
  uint32_t split; /* low 8 bits: feature number or NNM_FOREST_LEAF; high 24 bits: skip */
  union {
    float threshold; /* a row goes left when row[feature] <= threshold */
    uint32_t leaf;   /* index into leaves */
  } at;
} nnm_forest_node;

typedef struct nnm_forest {
  char name[NNM_FOREST_NAME_SIZE]; /* kernel type: "conv-bn-relu" */
  uint32_t feature_count, tree_count, node_count, leaf_count;
  const double *leaves;
  const nnm_forest_node *nodes;
  const uint32_t *tree_start; /* tree_count + 1 entries */
} nnm_forest;

/* Whether every index is sound, so that nnm_forest_predict needs no checks. */
nnm_status nnm_forest_check(const nnm_forest *forest, nnm_error *error);

/* Mean of the trees for each row of feature_count finite numbers, `stride` floats apart: exactly scikit-learn's result,
 * which adds the trees in order in double precision. */
void nnm_forest_predict(const nnm_forest *forest, const float *rows, size_t row_count, size_t stride, double *out);

/* The `data` section of a predictor file of kind "forest"; malloc'ed. */
nnm_status nnm_forest_section_write(const nnm_forest *forests, size_t count, unsigned char **out, size_t *size,
                                    nnm_error *error);

/* The forests of a section, checked, in place; malloc'ed. */
nnm_status nnm_forest_section_read(const unsigned char *section, size_t size, nnm_forest **out, size_t *count,
                                   nnm_error *error);

#endif
