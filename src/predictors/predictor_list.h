/* Every predictor there is, wherever it lies: what nnm_predictor_list_create hands out and finding by name looks through. */
#ifndef NNM_PREDICTORS_PREDICTOR_LIST_H
#define NNM_PREDICTORS_PREDICTOR_LIST_H

#include "base/arena.h"
#include "predictors/legacy.h"
#include "predictors/predictor.h"

typedef struct nnm_list_entry {
  nnm_predictor_info info;
  nnm_built_in_predictor bytes;    /* built in: data is not NULL */
  const char *path;                /* a predictor file */
  const nnm_legacy_folder *legacy; /* a folder of pickles, converted when opened */
  bool damaged;                    /* none of these can be used: info.card is the fault, info.name tells whose */
  bool is_named;                   /* damaged, but info.name is the predictor's */
} nnm_list_entry;

struct nnm_predictor_list {
  nnm_arena arena;
  size_t count, capacity;
  nnm_list_entry *entries; /* built-in ones first, then by name and version */
};

/* The version of a fetched predictor of which predictors.yaml says nothing: all official ones have it. */
#define NNM_FETCHED_VERSION "1.0"

/* The predictor file that a package_location means: itself, NAME-VERSION.nnmeter or NAME.nnmeter in it; NULL when there
 * is none, so that it is a folder of pickles. */
nnm_status nnm_find_predictor_file(const char *location, const char *name, const char *version, nnm_arena *arena,
                                   const char **out, nnm_error *error);

/* verify: compare the checksums of registered files. */
nnm_status nnm_predictor_list_fill(const char *home, bool verify, nnm_predictor_list **out, nnm_error *error);

#endif
