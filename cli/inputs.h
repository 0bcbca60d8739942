/* Which model files the arguments mean, and which shapes their inputs have. */
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include "nnmeter/nnmeter.h"
#include "options.h"

/* The format of what --torchvision names. */
#define TORCHVISION "torchvision"

typedef struct model_input {
  char *path;         /* of TORCHVISION the name of a network */
  const char *format; /* one of nnm_formats(), TORCHVISION, or NULL: by content */
  char *fault;        /* a folder that gives no models: why; else NULL */
} model_input;

typedef struct model_inputs {
  model_input *items;
  size_t count, capacity;
  bool has_folder;
} model_inputs;

/* How many files and folders the arguments name; one of them, with its format (NULL: by content), when there are any and
 * path is not NULL. */
size_t count_models(const cli_settings *settings, const char **path, const char **format);

/* In the order of the arguments, folders expanded in the order of names. False when memory runs out. */
bool collect_inputs(const cli_settings *settings, model_inputs *inputs);
void free_inputs(model_inputs *inputs);

/* Whether writing results to output leaves the model as it is. False after telling why. */
bool spares_input(const char *output, const model_input *input);
bool spares_inputs(const char *output, const model_inputs *inputs); /* output NULL: standard output */

typedef struct shape_arguments {
  nnm_shape_options options;
  nnm_input_shape *shapes;
  char *names;   /* the texts before the colons */
  int64_t *dims; /* of all shapes */
} shape_arguments;

/* --batch-size and --input-shape; EXIT_USAGE after telling why. */
int parse_shapes(const cli_command *command, const cli_settings *settings, shape_arguments *out);
void free_shapes(shape_arguments *shapes);

#endif
