/* What the table of options says, as text for people and programs. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "options.h"

void print_usage(const cli_command *command, FILE *to); /* the usage line(s) */
void print_help(const cli_command *command, FILE *to);  /* usage, description, options, examples */
void print_manual(FILE *to);                            /* nn-meter(1), troff with man macros */
bool print_completion(const char *shell, FILE *to);     /* bash, zsh or fish; false for any other */

/* "-o FILE, --output FILE"; writes into buffer and returns it. */
const char *option_label(const cli_option *option, char *buffer, size_t size);

/* Writes text word by word, lines no longer than width, continued at column indent; begins at column `from`. */
void print_wrapped(FILE *to, const char *text, size_t from, size_t indent, size_t width);

#endif
