/* Folders of nn-Meter 2.0's pickles used where they lie: converted when first opened, the result kept under HOME/cache
 * until one of their files changes. */
#ifndef NNM_PREDICTORS_LEGACY_H
#define NNM_PREDICTORS_LEGACY_H

#include "base/arena.h"
#include "base/status.h"

typedef struct nnm_legacy_folder {
  const char *path, *name, *version;
  const char *const *kernels; /* pickles that must be there, without .pkl */
  size_t kernel_count;
} nnm_legacy_folder;

/* Whether the files are there: fusion_rules.json, the kernels asked for, at least one pickle. Cheap. */
nnm_status nnm_legacy_check(const nnm_legacy_folder *folder, nnm_error *error);

/* Whether the folder holds a pickle at all. */
bool nnm_legacy_has_pickles(const char *path);

/* A cache that cannot be written is no failure: the predictor is then converted each time. */
nnm_status nnm_legacy_open(const nnm_legacy_folder *folder, const char *home, nnm_predictor **out, nnm_error *error);

/* Removes what is cached of a predictor. */
nnm_status nnm_legacy_forget(const char *name, const char *version, const char *home, nnm_error *error);

#endif
