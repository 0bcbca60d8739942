/* nn-meter(1), from the table of options. */
#include <stdlib.h>
#include <string.h>

#include "help.h"
#include "nnmeter/nnmeter.h"

/* Text for troff: backslashes and dashes spelled out, no line that looks like a request. */
static void put_text(FILE *to, const char *text) {
  if (*text == '.' || *text == '\'') fputs("\\&", to);
  for (; *text; text++) {
    if (*text == '\\') fputs("\\e", to);
    else if (*text == '-') fputs("\\-", to);
    else fputc(*text, to);
  }
}

static void put_option(FILE *to, const cli_option *option) {
  fputs(".TP\n", to);
  if (option->letter) fprintf(to, "\\fB\\-%c\\fR, ", option->letter);
  fputs("\\fB\\-\\-", to);
  put_text(to, option->name);
  fputs("\\fR", to);
  if (option->value) {
    fputs(" \\fI", to);
    put_text(to, option->value);
    fputs("\\fR", to);
  }
  fputs(option->kind == OPTION_MANY ? " ...\n" : "\n", to);
  put_text(to, option->help);
  for (size_t i = 0; option->kind == OPTION_CHOICE && option->choices[i]; i++) {
    fputs(i ? ", " : ": ", to);
    put_text(to, option->choices[i]);
  }
  fputc('\n', to);
}

static void put_options(FILE *to, const cli_command *command) {
  for (const cli_option *option = command->options; option->name; option++)
    if (option->kind != OPTION_REFUSED) put_option(to, option);
}

static void put_examples(FILE *to, const cli_command *command) {
  for (const cli_example *example = command->examples; example->command; example++) {
    fputs(".PP\n.nf\n.RS\n", to);
    put_text(to, example->command);
    fputs("\n.RE\n.fi\n", to);
    if (!example->what[0]) continue;
    fputs(".RS 8\n", to);
    put_text(to, example->what);
    fputs("\n.RE\n", to);
  }
}

static void put_command(FILE *to, const cli_command *command) {
  fprintf(to, ".SS \"nn\\-meter ");
  put_text(to, command->name);
  fputc(' ', to);
  put_text(to, command->arguments);
  fputs("\"\n", to);
  put_text(to, command->description);
  if (command->alias) {
    fputs(" Also called \\fB", to);
    put_text(to, command->alias);
    fputs("\\fR.", to);
  }
  fputc('\n', to);
  put_options(to, command);
  put_examples(to, command);
}

void print_manual(FILE *to) {
  fprintf(to, ".TH NN\\-METER 1 \"\" \"nn\\-meter %s\" \"User Commands\"\n.SH NAME\nnn\\-meter \\- ", nnm_version());
  put_text(to, main_command.summary);
  fputs("\n.SH SYNOPSIS\n.B nn\\-meter\n[\\fIOPTION\\fR ...] \\fICOMMAND\\fR ...\n.SH DESCRIPTION\n", to);
  put_text(to, main_command.description);
  fputs("\n.SH OPTIONS\n", to);
  put_options(to, &main_command);
  fputs(".SH COMMANDS\n", to);
  for (const cli_command *command = commands; command->name; command++) put_command(to, command);
  fputs(".SH EXIT STATUS\n.TP\n0\nall is well\n.TP\n1\nsomething failed: a model, a predictor, a file\n.TP\n2\n"
        "wrong usage\n.SH ENVIRONMENT\n.TP\n.B NN_METER_HOME\nwhere predictors are kept; when not set ~/.nn_meter, or "
        "XDG_DATA_HOME/nn_meter where only that variable is set\n"
        ".SH EXAMPLES\n",
        to);
  put_examples(to, &main_command);
}
