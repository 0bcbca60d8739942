/* HOME/config/predictors.yaml: the list of predictors as nn-Meter 2.0 keeps it, and changes to it that leave every other
 * byte, comments and unknown keys included, as it is.
 *
 *   - name: my_phone                       # an entry of the user
 *     version: 1.0
 *     category: cpu
 *     package_location: /home/me/my_phone  # folder with the pickles (or a .nnmeter file), or such a file
 *     kernel_predictors: [conv-bn-relu, dwconv-bn-relu]
 *   - name: cortexA76cpu_tflite21          # an official one: has download in place of package_location */
#ifndef NNM_PREDICTORS_PREDICTORS_YAML_H
#define NNM_PREDICTORS_PREDICTORS_YAML_H

#include "base/arena.h"
#include "base/status.h"
#include "base/yaml.h"

typedef struct nnm_yaml_predictor {
  const char *name, *version;
  const char *location; /* package_location; NULL for an official one */
  const char *const *kernels;
  size_t kernel_count;
  const char *fault; /* why this entry is nothing that can be used, with its remedy; else NULL */
  const nnm_yaml_node *node;
} nnm_yaml_predictor;

typedef struct nnm_predictors_yaml { /* all in the arena given */
  const char *path;
  const char *data;
  size_t size;
  const nnm_yaml_node *root; /* NULL: no file, or nothing in it */
  nnm_yaml_predictor *entries;
  size_t count;
} nnm_predictors_yaml;

/* One entry, also that of a file to register; fault tells what is wrong with it. */
nnm_status nnm_yaml_predictor_read(const nnm_yaml_node *node, nnm_arena *arena, nnm_yaml_predictor *out,
                                   nnm_error *error);

/* A file that is not there is an empty list. */
nnm_status nnm_predictors_yaml_read(const char *path, nnm_arena *arena, nnm_predictors_yaml *out, nnm_error *error);

/* The same from memory; data must be in the arena. */
nnm_status nnm_predictors_yaml_parse(const char *path, const char *data, size_t size, nnm_arena *arena,
                                     nnm_predictors_yaml *out, nnm_error *error);

/* The text of the list with one more entry: that of node, which stands in document, with location in place of its
 * package_location. malloc'ed in *out. */
nnm_status nnm_predictors_yaml_add(const nnm_predictors_yaml *list, const char *document, const nnm_yaml_node *node,
                                   const char *location, char **out, nnm_error *error);

/* The text of the list without the chosen entries; chosen has an item for each. malloc'ed in *out. */
nnm_status nnm_predictors_yaml_remove(const nnm_predictors_yaml *list, const bool *chosen, char **out,
                                      nnm_error *error);

#endif
