/* nn-meter import-predictor */
#include "commands.h"
#include "messages.h"
#include "nnmeter/nnmeter.h"

int run_import(const cli_command *command, const cli_settings *settings) {
  if (!settings->files.count) return usage_error(command, "no folder given; name the one with the .pkl files");
  if (!settings->name) return usage_error(command, "the following arguments are required: --name");
  const char *version = settings->import_version ? settings->import_version : "1.0";
  nnm_error error;
  char *path;
  if (nnm_predictor_import(settings->files.items[0], settings->name, version, NULL, &path, &error) != NNM_OK) {
    print_error(stderr, settings->files.items[0], &error);
    return EXIT_FAILED;
  }
  printf("(nn-Meter) Successfully register predictor: %s\n", settings->name);
  if (!settings->quiet) print_message(stderr, "info", NULL, "version %s, written to %s", version, path);
  nnm_free(path);
  return EXIT_ALL_WELL;
}
