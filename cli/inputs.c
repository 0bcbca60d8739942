#include "inputs.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "messages.h"

/* The options that name models, in the order in which what they name is taken; files without one come last. */
static const struct model_option {
  const char *format, *suffix; /* suffix NULL: what is named are no files */
  size_t target;               /* offset in settings */
} model_options[] = {
    {"onnx", ".onnx", offsetof(cli_settings, onnx)},       {"tensorflow", ".pb", offsetof(cli_settings, tensorflow)},
    {"tflite", ".tflite", offsetof(cli_settings, tflite)}, {"nnmeter-ir", ".json", offsetof(cli_settings, nnmeter_ir)},
    {"nni-ir", ".json", offsetof(cli_settings, nni_ir)},   {TORCHVISION, NULL, offsetof(cli_settings, torchvision)},
};
enum { MODEL_OPTIONS = sizeof model_options / sizeof model_options[0] };

static const text_list *named_by(const cli_settings *settings, const struct model_option *option) {
  return (const text_list *)((const char *)settings + option->target);
}

size_t count_models(const cli_settings *settings, const char **path, const char **format) {
  size_t count = settings->files.count;
  if (count && path) *path = settings->files.items[0], *format = NULL;
  for (size_t i = 0; i < MODEL_OPTIONS; i++) {
    const text_list *named = named_by(settings, &model_options[i]);
    if (named->count && path) *path = named->items[0], *format = model_options[i].format;
    count += named->count;
  }
  return count;
}

/* Takes path and fault over, also on failure. */
static bool add_input(model_inputs *inputs, char *path, const char *format, char *fault) {
  if (path && inputs->count == inputs->capacity) {
    size_t capacity = inputs->capacity ? inputs->capacity * 2 : 16;
    model_input *grown = realloc(inputs->items, capacity * sizeof *grown);
    if (grown) inputs->items = grown, inputs->capacity = capacity;
  }
  if (!path || inputs->count == inputs->capacity) {
    free(path);
    free(fault);
    return false;
  }
  inputs->items[inputs->count++] = (model_input){path, format, fault};
  return true;
}

static bool has_suffix(const char *name, const char *suffix) {
  size_t length = strlen(name), suffix_length = strlen(suffix);
  return length > suffix_length && !strcmp(name + length - suffix_length, suffix);
}

/* As the old tool's glob chose: by suffix, hidden files left out, folders below not entered. */
static bool is_wanted(const char *name, const char *format) {
  if (name[0] == '.') return false;
  for (size_t i = 0; i < MODEL_OPTIONS; i++)
    if (model_options[i].suffix && (!format || !strcmp(format, model_options[i].format)) &&
        has_suffix(name, model_options[i].suffix))
      return true;
  return false;
}

/* What was looked for: "*.onnx, *.pb, *.tflite, *.json". */
static void list_wanted(const char *format, char *text, size_t size) {
  size_t used = 0;
  for (size_t i = 0; i < MODEL_OPTIONS && used < size; i++) {
    const char *suffix = model_options[i].suffix;
    if (!suffix) continue;
    if (format ? strcmp(format, model_options[i].format) : i && !strcmp(suffix, model_options[i - 1].suffix)) continue;
    used += (size_t)snprintf(text + used, size - used, "%s*%s", used ? ", " : "", suffix);
  }
}

static char *join(const char *folder, const char *name) {
  size_t length = strlen(folder), size = length + strlen(name) + 2;
  char *path = malloc(size);
  const char *slash = length && folder[length - 1] == '/' ? "" : "/";
  if (path) snprintf(path, size, "%s%s%s", folder, slash, name);
  return path;
}

/* A folder that is one model: TensorFlow's SavedModel. */
static bool is_saved_model(const char *folder) {
  char *path = join(folder, "saved_model.pb");
  struct stat info;
  bool is_model = path && !stat(path, &info) && S_ISREG(info.st_mode);
  free(path);
  return is_model;
}

static bool is_folder(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISDIR(info.st_mode);
}

static int by_path(const void *left, const void *right) {
  const model_input *a = left, *b = right;
  return strcmp(a->path, b->path);
}

static bool add_folder(model_inputs *inputs, const char *folder, const char *format) {
  inputs->has_folder = true;
  DIR *directory = opendir(folder);
  if (!directory) {
    char *fault = malloc(256);
    if (fault) snprintf(fault, 256, "cannot read the folder: %s", strerror(errno));
    return fault && add_input(inputs, strdup(folder), format, fault);
  }
  size_t first = inputs->count;
  bool fits = true;
  bool folders_too = !format || !strcmp(format, "tensorflow");
  for (struct dirent *entry; fits && (entry = readdir(directory));) {
    char *path = join(folder, entry->d_name);
    bool is_model = path && folders_too && entry->d_name[0] != '.' && is_folder(path) && is_saved_model(path);
    if (!path) fits = false;
    else if (is_model || is_wanted(entry->d_name, format)) fits = add_input(inputs, path, NULL, NULL);
    else free(path);
  }
  closedir(directory);
  for (size_t i = first; i < inputs->count; i++) inputs->items[i].format = format;
  if (inputs->count > first) qsort(inputs->items + first, inputs->count - first, sizeof *inputs->items, by_path);
  if (!fits || inputs->count > first) return fits;
  char *fault = malloc(256), wanted[128];
  list_wanted(format, wanted, sizeof wanted);
  if (fault) snprintf(fault, 256, "no model in this folder; looked for %s, not in folders below", wanted);
  return fault && add_input(inputs, strdup(folder), format, fault);
}

static bool add_all(model_inputs *inputs, const text_list *paths, const char *format) {
  for (size_t i = 0; i < paths->count; i++) {
    const char *path = paths->items[i];
    bool is_name = format && !strcmp(format, TORCHVISION);
    bool several = !is_name && is_folder(path) && !is_saved_model(path);
    if (several ? !add_folder(inputs, path, format) : !add_input(inputs, strdup(path), format, NULL)) return false;
  }
  return true;
}

bool collect_inputs(const cli_settings *settings, model_inputs *inputs) {
  *inputs = (model_inputs){0};
  bool fits = true;
  for (size_t i = 0; fits && i < MODEL_OPTIONS; i++)
    fits = add_all(inputs, named_by(settings, &model_options[i]), model_options[i].format);
  return fits && add_all(inputs, &settings->files, NULL);
}

bool spares_input(const char *output, const model_input *input) {
  struct stat written, read;
  if (input->format && !strcmp(input->format, TORCHVISION)) return true;
  if (stat(output, &written) || stat(input->path, &read)) return true;
  if (written.st_dev != read.st_dev || written.st_ino != read.st_ino || !S_ISREG(read.st_mode)) return true;
  print_message(stderr, "error", output, "is the model itself; name another file with --output");
  return false;
}

bool spares_inputs(const char *output, const model_inputs *inputs) {
  if (!output) return true;
  for (size_t i = 0; i < inputs->count; i++)
    if (!spares_input(output, &inputs->items[i])) return false;
  return true;
}

void free_inputs(model_inputs *inputs) {
  for (size_t i = 0; i < inputs->count; i++) {
    free(inputs->items[i].path);
    free(inputs->items[i].fault);
  }
  free(inputs->items);
  *inputs = (model_inputs){0};
}

/* ------------------------------------------------------------------------------------------------ shapes */

enum { MOST_DIMS = 16 };

/* "1x3x224x224" or "1,3,224,224"; the number of dims, 0 when it is none. */
static size_t parse_dims(const char *text, int64_t dims[MOST_DIMS]) {
  size_t count = 0;
  for (;;) {
    char *end;
    errno = 0;
    long long dim = *text >= '0' && *text <= '9' ? strtoll(text, &end, 10) : 0;
    if (dim < 1 || errno || count == MOST_DIMS) return 0;
    dims[count++] = dim;
    if (!*end) return count;
    if (*end != 'x' && *end != 'X' && *end != ',') return 0;
    text = end + 1;
  }
}

int parse_shapes(const cli_command *command, const cli_settings *settings, shape_arguments *out) {
  size_t count = settings->input_shapes.count, name_bytes = 1;
  for (size_t i = 0; i < count; i++) name_bytes += strlen(settings->input_shapes.items[i]) + 1;
  *out = (shape_arguments){.shapes = calloc(count + 1, sizeof *out->shapes),
                           .names = malloc(name_bytes),
                           .dims = calloc(count + 1, MOST_DIMS * sizeof *out->dims)};
  if (!out->shapes || !out->names || !out->dims) return usage_error(command, "out of memory");
  char *names = out->names;
  for (size_t i = 0; i < count; i++) {
    const char *text = settings->input_shapes.items[i];
    const char *colon = strrchr(text, ':'); /* the last: TensorFlow's names end in ":0" */
    int64_t *dims = out->dims + i * MOST_DIMS;
    size_t rank = parse_dims(colon ? colon + 1 : text, dims), length = colon ? (size_t)(colon - text) : 0;
    if (!rank)
      return usage_error(command,
                         "argument --input-shape: invalid shape '%s': give name:1x3x224x224, or 1x3x224x224 for "
                         "models with one input",
                         text);
    memcpy(names, text, length);
    names[length] = '\0';
    out->shapes[i] = (nnm_input_shape){.name = names, .rank = rank, .dims = dims};
    names += length + 1;
  }
  out->options = (nnm_shape_options){settings->batch_size, out->shapes, count};
  return EXIT_ALL_WELL;
}

void free_shapes(shape_arguments *shapes) {
  free(shapes->shapes);
  free(shapes->names);
  free(shapes->dims);
}
