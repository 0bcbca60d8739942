/* nn-meter help, nn-meter completion */
#include "commands.h"
#include "help.h"

int run_help(const cli_command *command, const cli_settings *settings) {
  if (settings->manual) {
    print_manual(stdout);
    return EXIT_ALL_WELL;
  }
  if (!settings->files.count) {
    print_help(&main_command, stdout);
    return EXIT_ALL_WELL;
  }
  const struct cli_command *about = find_command(settings->files.items[0]);
  if (!about) return usage_error(command, "no command '%s'; nn-meter help lists them", settings->files.items[0]);
  print_help(about, stdout);
  return EXIT_ALL_WELL;
}

int run_completion(const cli_command *command, const cli_settings *settings) {
  if (!settings->files.count) return usage_error(command, "no shell given; one of bash, zsh, fish");
  if (print_completion(settings->files.items[0], stdout)) return EXIT_ALL_WELL;
  return usage_error(command, "invalid choice: '%s' (choose from bash, zsh, fish)", settings->files.items[0]);
}
