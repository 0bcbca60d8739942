#include "help.h"

#include <string.h>

enum { WIDTH = 100, OPTION_INDENT = 30 };

void print_wrapped(FILE *to, const char *text, size_t from, size_t indent, size_t width) {
  size_t column = from;
  bool first = true;
  while (*text) {
    size_t length = strcspn(text, " \n");
    if (!first && column + 1 + length > width) {
      fprintf(to, "\n%*s", (int)indent, "");
      column = indent;
      first = true;
    }
    if (!first) fputc(' ', to), column++;
    fwrite(text, 1, length, to);
    column += length;
    text += length;
    first = false;
    if (*text == '\n') {
      fprintf(to, "\n%*s", text[1] && text[1] != '\n' ? (int)indent : 0, "");
      column = indent;
      first = true;
    }
    if (*text) text++;
  }
  fputc('\n', to);
}

static const char *value_suffix(const cli_option *option) { return option->kind == OPTION_MANY ? " ..." : ""; }

const char *option_label(const cli_option *option, char *buffer, size_t size) {
  size_t length = 0;
  if (option->letter) length = (size_t)snprintf(buffer, size, "-%c, ", option->letter);
  if (length < size)
    snprintf(buffer + length, size - length, "--%s%s%s%s", option->name, option->value ? " " : "",
             option->value ? option->value : "", value_suffix(option));
  return buffer;
}

typedef struct usage_line {
  FILE *to;
  size_t indent, column;
} usage_line;

static void add_usage_word(usage_line *line, const char *word) {
  if (line->column > line->indent && line->column + 1 + strlen(word) > WIDTH) {
    fprintf(line->to, "\n%*s", (int)line->indent, "");
    line->column = line->indent;
  }
  fprintf(line->to, "%s%s", line->column > line->indent ? " " : "", word);
  line->column += strlen(word) + (line->column > line->indent);
}

void print_usage(const cli_command *command, FILE *to) {
  int indent = fprintf(to, "usage: nn-meter%s%s ", command->name[0] ? " " : "", command->name);
  usage_line line = {to, (size_t)indent, (size_t)indent};
  for (const cli_option *option = command->options; option->name; option++) {
    char word[128];
    snprintf(word, sizeof word, "[--%s%s%s%s]", option->name, option->value ? " " : "",
             option->value ? option->value : "", value_suffix(option));
    if (option->kind != OPTION_REFUSED) add_usage_word(&line, word);
  }
  if (command->arguments[0]) add_usage_word(&line, command->arguments);
  fputc('\n', to);
}

static void print_option(const cli_option *option, FILE *to) {
  char label[128];
  size_t width = (size_t)fprintf(to, "  %s", option_label(option, label, sizeof label));
  if (width + 2 > OPTION_INDENT) fprintf(to, "\n%*s", OPTION_INDENT, "");
  else fprintf(to, "%*s", (int)(OPTION_INDENT - width), "");
  char text[1024];
  size_t length = (size_t)snprintf(text, sizeof text, "%s", option->help);
  for (size_t i = 0; option->kind == OPTION_CHOICE && option->choices[i] && length < sizeof text; i++)
    length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", i ? ", " : ": ", option->choices[i]);
  print_wrapped(to, text, OPTION_INDENT, OPTION_INDENT, WIDTH);
}

static void print_commands(FILE *to) {
  fputs("\ncommands:\n", to);
  for (const cli_command *command = commands; command->name; command++) {
    char name[64];
    snprintf(name, sizeof name, "%s%s%s", command->name, command->alias ? ", " : "",
             command->alias ? command->alias : "");
    fprintf(to, "  %-*s%s\n", OPTION_INDENT - 2, name, command->summary);
  }
}

void print_help(const cli_command *command, FILE *to) {
  print_usage(command, to);
  fputc('\n', to);
  print_wrapped(to, command->description, 0, 0, WIDTH);
  if (!command->name[0]) print_commands(to);
  fputs("\noptions:\n", to);
  for (const cli_option *option = command->options; option->name; option++)
    if (option->kind != OPTION_REFUSED) print_option(option, to);
  if (command->examples[0].command) fputs("\nexamples:\n", to);
  for (const cli_example *example = command->examples; example->command; example++)
    fprintf(to, "  %s\n      %s\n", example->command, example->what);
}
