/* nn-meter get_ir */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "inputs.h"
#include "messages.h"
#include "output.h"
#include "session.h"

/* nn-Meter's name for the file of path: every suffix in the file name is replaced. malloc'ed. */
static char *replace_suffix(const char *path, const char *suffix, const char *instead) {
  const char *name = base_name(path);
  size_t found = 0;
  for (const char *at = name; (at = strstr(at, suffix)); at += strlen(suffix)) found++;
  char *result = malloc(strlen(path) + found * strlen(instead) + 1), *to = result;
  if (!result) return NULL;
  memcpy(to, path, (size_t)(name - path));
  to += name - path;
  for (const char *next; (next = strstr(name, suffix)); name = next + strlen(suffix)) {
    memcpy(to, name, (size_t)(next - name));
    to += next - name;
    memcpy(to, instead, strlen(instead));
    to += strlen(instead);
  }
  strcpy(to, name);
  return result;
}

static char *default_name(const model_input *input) {
  const char *path = input->path;
  static const char *const names[][2] = {{".pb", "_pb_ir.json"}, {".tflite", "_tflite_ir.json"}};
  const char *dot = strrchr(path, '.');
  if (input->format && !strcmp(input->format, TORCHVISION)) {
    char *name = malloc(strlen(path) + sizeof "_torchvision_ir.json");
    if (name) strcat(strcpy(name, path), "_torchvision_ir.json");
    return name;
  }
  for (size_t i = 0; dot && i < sizeof names / sizeof names[0]; i++)
    if (!strcmp(dot, names[i][0])) return replace_suffix(path, names[i][0], names[i][1]);
  return replace_suffix(path, ".onnx", "_onnx_ir.json");
}

static char *output_name(const model_input *input, const char *wanted) {
  char *name = wanted ? strdup(wanted) : default_name(input);
  if (!name) return NULL;
  size_t length = strlen(name);
  if (!strcmp(name, "-") || (length >= 5 && !strcmp(name + length - 5, ".json"))) return name;
  char *longer = realloc(name, length + 6);
  if (longer) strcpy(longer + length, ".json");
  else free(name);
  return longer;
}

static int write_text(const char *name, const char *text) {
  cli_output output;
  if (!output_open(&output, name)) return EXIT_FAILED;
  fputs(text, output.file);
  if (!output_commit(&output)) return EXIT_FAILED;
  if (!strcmp(name, "-")) return EXIT_ALL_WELL;
  char *absolute = realpath(name, NULL);
  printf("(nn-Meter) The nn-meter ir graph has been saved. Saved path: %s\n", absolute ? absolute : name);
  free(absolute);
  return EXIT_ALL_WELL;
}

static int convert(const model_input *input, const nnm_shape_options *shapes, const char *wanted) {
  nnm_error error;
  loaded_model loaded;
  char *text = NULL;
  nnm_status status = load_model(input, shapes, &loaded, &error);
  if (status == NNM_OK) {
    status = explain_shapes(&loaded, nnm_model_to_ir(loaded.model, &text, &error), &error);
    nnm_model_free(loaded.model);
  }
  if (status != NNM_OK) {
    print_error(stderr, input->path, &error);
    return EXIT_FAILED;
  }
  char *name = output_name(input, wanted);
  int result = EXIT_FAILED;
  if (name && spares_input(name, input)) result = write_text(name, text);
  if (!name) print_message(stderr, "error", input->path, "out of memory; close other programs");
  free(name);
  nnm_free(text);
  return result;
}

int run_get_ir(const cli_command *command, const cli_settings *settings) {
  const char *given = NULL, *format = NULL;
  size_t count = count_models(settings, &given, &format);
  if (!count) return usage_error(command, "no model given; please run \"nn-meter get_ir --help\" to see guidance");
  if (count > 1) return usage_error(command, "one model at a time");
  char *path = strdup(given);
  model_input input = {.path = path, .format = format};
  shape_arguments shapes;
  int status = parse_shapes(command, settings, &shapes);
  if (!status) status = path ? convert(&input, &shapes.options, settings->output) : EXIT_FAILED;
  free_shapes(&shapes);
  free(path);
  return status;
}
