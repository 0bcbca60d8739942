/* What runs behind each command of the table; each returns an exit status. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

int run_main(const cli_command *command, const cli_settings *settings);
int run_predict(const cli_command *command, const cli_settings *settings);
int run_get_ir(const cli_command *command, const cli_settings *settings);
int run_inspect(const cli_command *command, const cli_settings *settings);
int run_import(const cli_command *command, const cli_settings *settings);
int run_register(const cli_command *command, const cli_settings *settings);
int run_unregister(const cli_command *command, const cli_settings *settings);
int run_fetch(const cli_command *command, const cli_settings *settings);
int run_fit(const cli_command *command, const cli_settings *settings);
int run_completion(const cli_command *command, const cli_settings *settings);
int run_help(const cli_command *command, const cli_settings *settings);

#endif
