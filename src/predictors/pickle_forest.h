/* scikit-learn's random forests out of pickles: versions 0.23 to 1.7, any pickle protocol, either byte order. */
#ifndef NNM_PREDICTORS_PICKLE_FOREST_H
#define NNM_PREDICTORS_PICKLE_FOREST_H

#include "base/arena.h"
#include "predictors/forest.h"

/* name: the kernel type, shorter than NNM_FOREST_NAME_SIZE. The forest's arrays are in the arena and sound. *library (may
 * be NULL) is the version of scikit-learn that wrote the pickle, "" when it does not say. */
nnm_status nnm_forest_from_pickle(const unsigned char *data, size_t size, const char *name, nnm_arena *arena,
                                  nnm_forest *out, const char **library, nnm_error *error);

#endif
