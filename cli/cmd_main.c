/* What nn-meter does without a command: lists and the version. */
#include "commands.h"
#include "messages.h"
#include "nnmeter/nnmeter.h"

static int list_predictors(bool verbose) {
  nnm_error error;
  nnm_predictor_list *list;
  if (nnm_predictor_list_create(NULL, &list, &error) != NNM_OK) {
    print_error(stderr, NULL, &error);
    return EXIT_FAILED;
  }
  puts("(nn-Meter) Supported latency predictors:");
  for (size_t i = 0; i < nnm_predictor_list_count(list); i++) {
    const nnm_predictor_info *info = nnm_predictor_list_at(list, i);
    printf("(nn-Meter) [Predictor] %s: version=%s\n", info->name, info->version);
    if (verbose) print_message(stderr, "info", info->name, "%s, %s: %s", info->kind, info->origin, info->card);
  }
  nnm_predictor_list_free(list);
  return EXIT_ALL_WELL;
}

static int list_names(const char *title, const char *kind, const char *const *names) {
  printf("(nn-Meter) Supported %s:\n", title);
  for (; *names; names++) printf("(nn-Meter) [%s] %s\n", kind, *names);
  return EXIT_ALL_WELL;
}

int run_main(const cli_command *command, const cli_settings *settings) {
  (void)command;
  if (settings->version) return printf("nn-meter %s\n", nnm_version()) < 0;
  if (settings->list_predictors) return list_predictors(settings->verbose);
  if (settings->list_kernels) return list_names("kernels", "Kernel", nnm_kernel_names());
  if (settings->list_operators) return list_names("operators", "Operator", nnm_operator_names());
  if (settings->list_torchvision) return list_names("networks of torchvision", "Torchvision", nnm_torchvision_names());
  puts("(nn-Meter) please run \"nn-meter {positional argument} --help\" to see nn-meter guidance");
  return EXIT_ALL_WELL;
}
