/* nn-Meter 2.0's predictor folders: pickles and fusion_rules.json, executing nothing that is in them. */
#ifndef NNM_PREDICTORS_IMPORT_H
#define NNM_PREDICTORS_IMPORT_H

#include "base/status.h"

/* The folder as a predictor file of kind "forest" in memory; *bytes is malloc'ed. */
nnm_status nnm_import_folder(const char *folder, const char *name, const char *version, unsigned char **bytes,
                             size_t *size, nnm_error *error);

/* A name and version belong to one predictor, built-in ones included. */
nnm_status nnm_check_predictor_unused(const char *name, const char *version, const char *home, nnm_error *error);

/* Where a predictor file of that name belongs under home: its folder is made, nothing may be there yet. malloc'ed. */
nnm_status nnm_new_predictor_path(const char *home, const char *name, const char *version, char **out,
                                  nnm_error *error);

#endif
