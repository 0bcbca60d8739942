/* Where everything of the user lies: one folder, HOME.
 *
 *   HOME/predictors/NAME-VERSION.nnmeter   imported or registered predictor files
 *   HOME/config/predictors.yaml            entries of predictors that lie elsewhere, as nn-Meter 2.0 keeps them
 *   HOME/config/settings.yaml              data_folder, as nn-Meter 2.0 keeps it
 *   DATA/predictor/NAME/                   fetched predictors; DATA is data_folder, else HOME/data
 *   HOME/cache/                            what pickles were converted to; may be removed at any time
 *   HOME/cache/downloads/                  downloads that are not complete yet; likewise */
#ifndef NNM_PREDICTORS_HOME_H
#define NNM_PREDICTORS_HOME_H

#include "base/arena.h"
#include "base/status.h"

/* home, or for NULL the first of: NN_METER_HOME; ~/.nn_meter where that is there; XDG_DATA_HOME/nn_meter where that
 * variable is set; ~/.nn_meter. In the arena; NULL when there is no home at all, which is no failure. */
nnm_status nnm_home_folder(const char *home, nnm_arena *arena, const char **out, nnm_error *error);

/* HOME/tail under the same rules; without a home an error that says so. */
nnm_status nnm_home_path(const char *home, const char *tail, nnm_arena *arena, const char **out, nnm_error *error);

/* HOME/predictors. malloc'ed in *out; NULL when there is no home. */
nnm_status nnm_predictors_folder(const char *home, char **out, nnm_error *error);

/* DATA/predictor, where fetched predictors lie, each in a folder of its name; NULL when there is no home. */
nnm_status nnm_fetched_folder(const char *home, nnm_arena *arena, const char **out, nnm_error *error);

/* path as seen from folder: "~/" is the user's own folder, what begins with '/' stays. */
const char *nnm_resolve_path(const char *folder, const char *path, nnm_arena *arena);

/* Makes a folder and those above it that are missing. */
nnm_status nnm_make_folders(const char *path, nnm_error *error);

#endif
