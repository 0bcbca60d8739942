/* nn-meter fit: checks the options, then becomes the Python program that fits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "inputs.h"
#include "messages.h"

/* What Python runs. Left out of the module itself, because without it there is nobody to say what is missing. The
 * folder we are in is no place to import from. */
static const char start_fit[] =
    "import sys\n"
    "sys.path[:] = [p for p in sys.path if p]\n"
    "try:\n"
    "  from nn_meter.fit.__main__ import main\n"
    "except ImportError as fault:\n"
    "  sys.exit(f\"nn-meter: error: {sys.executable}: {fault}: nn-meter fit is a Python program; pip install "
    "'nn-meter[fit]' there, or set NN_METER_PYTHON to the Python that has it\")\n"
    "sys.exit(main())\n";

/* An option with its value, as one argument. False when memory runs out. */
static bool add_value(text_list *arguments, text_list *owned, const char *option, const char *value) {
  size_t size = strlen(option) + strlen(value) + 4;
  char *text = malloc(size);
  if (!text) return false;
  snprintf(text, size, "--%s=%s", option, value);
  if (!text_list_add(owned, text)) {
    free(text);
    return false;
  }
  return text_list_add(arguments, text);
}

static bool add_text(text_list *arguments, text_list *owned, const char *option, const char *value) {
  return !value || add_value(arguments, owned, option, value);
}

static bool add_number(text_list *arguments, text_list *owned, const char *option, long number) {
  char text[32];
  snprintf(text, sizeof text, "%ld", number);
  return !number || add_value(arguments, owned, option, text);
}

/* The arguments for Python, in their full form; owned: those to free. */
static bool make_arguments(const char *python, const cli_settings *settings, text_list *arguments, text_list *owned) {
  const struct {
    const char *option, *value;
  } texts[] = {{"latency", settings->latency}, {"kernels", settings->kernels},
               {"column", settings->column},   {"from", settings->from},
               {"device", settings->device},   {"version", settings->import_version},
               {"output", settings->output},   {"fusion-rules", settings->fusion_rules}};
  const struct {
    const char *option;
    long value;
  } numbers[] = {{"suggest", settings->suggest}, {"size-limit", settings->size_limit},
                 {"seed", settings->seed},       {"epochs", settings->epochs},
                 {"threads", settings->threads}, {"batch-size", settings->batch_size}};
  bool good = text_list_add(arguments, python) && text_list_add(arguments, "-c") && text_list_add(arguments, start_fit);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    good = good && add_text(arguments, owned, texts[i].option, texts[i].value);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    good = good && add_number(arguments, owned, numbers[i].option, numbers[i].value);
  for (size_t i = 0; i < settings->input_shapes.count; i++)
    good = good && add_value(arguments, owned, "input-shape", settings->input_shapes.items[i]);
  if (settings->keep_going) good = good && text_list_add(arguments, "--keep-going");
  if (settings->quiet) good = good && text_list_add(arguments, "--quiet");
  for (size_t i = 0; i < settings->models.count; i++)
    good = good && add_value(arguments, owned, "models", settings->models.items[i]);
  return good && text_list_add(arguments, NULL);
}

/* Whether the shapes can be read; Python reads them again. */
static int check_shapes(const cli_command *command, const cli_settings *settings) {
  shape_arguments shapes;
  int status = parse_shapes(command, settings, &shapes);
  if (!status) free_shapes(&shapes);
  return status;
}

static int check_settings(const cli_command *command, const cli_settings *settings) {
  if (!settings->output) return usage_error(command, "the following arguments are required: --output");
  if (settings->suggest) {
    if (!settings->from)
      return usage_error(command, "--suggest needs --from: the predictor of the device that is most like yours");
    return EXIT_ALL_WELL;
  }
  if (!settings->models.count || !settings->device)
    return usage_error(command, "the following arguments are required: %s",
                       !settings->models.count ? "--models" : "--device");
  if (!settings->latency && !settings->kernels)
    return usage_error(command, "no measurements given; name them with --latency, --kernels or both");
  if (settings->from && settings->epochs)
    return usage_error(command, "argument --epochs: not allowed with argument --from: a calibration takes no turns");
  return EXIT_ALL_WELL;
}

/* Returns only when Python cannot be started. */
static int become(const char *python, text_list *arguments) {
  fflush(stdout);
  execvp(python, (char *const *)(uintptr_t)arguments->items);
  print_message(stderr, "error", python,
                "cannot be started: %s; nn-meter fit is a Python program: install Python and pip install "
                "'nn-meter[fit]', or set NN_METER_PYTHON to the Python that has it",
                strerror(errno));
  return EXIT_FAILED;
}

int run_fit(const cli_command *command, const cli_settings *settings) {
  int status = check_settings(command, settings);
  if (!status) status = check_shapes(command, settings);
  if (status) return status;
  const char *python = getenv("NN_METER_PYTHON");
  if (!python || !python[0]) python = "python3";
  text_list arguments = {0}, owned = {0};
  status = EXIT_FAILED;
  if (make_arguments(python, settings, &arguments, &owned)) status = become(python, &arguments);
  else print_message(stderr, "error", NULL, "out of memory");
  for (size_t i = 0; i < owned.count; i++) free((void *)(uintptr_t)owned.items[i]);
  free(owned.items);
  free(arguments.items);
  return status;
}
