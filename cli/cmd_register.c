/* nn-meter register, nn-meter unregister: texts as nn-Meter 2.0 prints them. */
#include "commands.h"
#include "messages.h"
#include "nnmeter/nnmeter.h"

/* The one predictor that is meant, or NULL after telling why there is none. */
static const char *only_predictor(const cli_command *command, const cli_settings *settings, int *status) {
  *status = EXIT_ALL_WELL;
  if (settings->predictors.count == 1) return settings->predictors.items[0];
  if (settings->predictors.count) *status = usage_error(command, "argument --predictor: give one at a time");
  else printf("(nn-Meter) please run \"nn-meter %s --help\" to see guidance.\n", command->name);
  return NULL;
}

int run_register(const cli_command *command, const cli_settings *settings) {
  int status;
  const char *path = only_predictor(command, settings, &status);
  if (!path) return status;
  nnm_error error;
  char *name;
  if (nnm_predictor_register(path, NULL, &name, &error) != NNM_OK) {
    print_error(stderr, path, &error);
    return EXIT_FAILED;
  }
  printf("(nn-Meter) Successfully register predictor: %s\n", name);
  nnm_free(name);
  return EXIT_ALL_WELL;
}

int run_unregister(const cli_command *command, const cli_settings *settings) {
  int status;
  const char *name = only_predictor(command, settings, &status);
  if (!name) return status;
  nnm_error error;
  size_t removed;
  if (nnm_predictor_unregister(name, settings->predictor_version, NULL, &removed, &error) != NNM_OK) {
    if (error.status == NNM_ERROR_NOT_FOUND) {
      fputs("(nn-Meter) Unregister failed: there is no predictor named ", stdout);
      print_line(stdout, name);
      puts(".");
    }
    print_error(stderr, NULL, &error);
    return EXIT_FAILED;
  }
  fputs("(nn-Meter) Successfully unregister ", stdout);
  print_line(stdout, name);
  puts(".");
  if (removed > 1 && !settings->quiet) print_message(stderr, "info", name, "%zu versions removed", removed);
  return EXIT_ALL_WELL;
}
