/* nn-meter: finds the command, lets the table parse its options, runs it. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "help.h"

static int run_command(const cli_command *command, char **arguments, size_t count, cli_settings *settings) {
  int status = parse_arguments(command, arguments, count, settings);
  if (status) return status;
  if (settings->help) {
    print_help(command, stdout);
    return EXIT_ALL_WELL;
  }
  return command->run(command, settings);
}

static int unknown_command(const char *name) {
  enum { MOST_COMMANDS = 32 };
  const char *names[MOST_COMMANDS + 1];
  size_t count = 0, length = 0;
  char list[512] = "";
  for (const cli_command *command = commands; command->name && count + 2 < MOST_COMMANDS; command++) {
    names[count++] = command->name;
    if (command->alias) names[count++] = command->alias;
  }
  names[count] = NULL;
  for (size_t i = 0; i < count && length < sizeof list; i++)
    length += (size_t)snprintf(list + length, sizeof list - length, "%s'%s'", i ? ", " : "", names[i]);
  struct stat info;
  if (!stat(name, &info))
    return usage_error(&main_command,
                       "'%s' is no command (choose from %s); for a model: nn-meter predict --predictor NAME %s", name,
                       list, name);
  const char *near = nearest_name(name, names);
  return usage_error(&main_command, "argument COMMAND: invalid choice: '%s' (choose from %s)%s%s%s", name, list,
                     near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* nn-Meter 1.0 had no commands: "nn-meter --predictor NAME --onnx FILE". */
static bool is_version_1_form(const char *argument) {
  if (strncmp(argument, "--", 2) != 0) return false;
  size_t length = strcspn(argument + 2, "="), own, predicts;
  find_option(&main_command, argument + 2, length, &own);
  find_option(find_command("predict"), argument + 2, length, &predicts);
  return length > 0 && own == 0 && predicts > 0;
}

static int run_program(char **arguments, size_t count, cli_settings *settings) {
  size_t leading = 0; /* options before the command */
  while (leading < count && arguments[leading][0] == '-' && !is_version_1_form(arguments[leading])) leading++;
  if (leading == count) return run_command(&main_command, arguments, count, settings);
  if (arguments[leading][0] == '-') return run_command(find_command("predict"), arguments, count, settings);
  int status = parse_arguments(&main_command, arguments, leading, settings);
  if (status) return status;
  bool is_answered = settings->help || settings->version || settings->list_predictors || settings->list_kernels ||
                     settings->list_operators;
  if (is_answered) return run_command(&main_command, arguments, leading, settings);
  const cli_command *command = find_command(arguments[leading]);
  if (!command) return unknown_command(arguments[leading]);
  return run_command(command, arguments + leading + 1, count - leading - 1, settings);
}

int main(int argc, char **argv) {
  cli_settings settings = {.jobs = 1};
  int skipped = argc > 0; /* the name of the program, which a caller may leave out */
  int status = run_program(argv + skipped, (size_t)(argc - skipped), &settings);
  settings_free(&settings);
  if (fflush(stdout) || ferror(stdout)) {
    fprintf(stderr, "nn-meter: error: standard output: cannot write all of it; check the space left on the device\n");
    return status ? status : EXIT_FAILED;
  }
  return status;
}
