#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "help.h"
#include "messages.h"

bool text_list_add(text_list *list, const char *text) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? list->capacity * 2 : 8;
    const char **grown = realloc(list->items, capacity * sizeof *grown);
    if (!grown) return false;
    list->items = grown;
    list->capacity = capacity;
  }
  list->items[list->count++] = text;
  return true;
}

void settings_free(cli_settings *settings) {
  free(settings->files.items);
  free(settings->onnx.items);
  free(settings->tensorflow.items);
  free(settings->tflite.items);
  free(settings->nnmeter_ir.items);
  free(settings->nni_ir.items);
  free(settings->torchvision.items);
  free(settings->predictors.items);
  free(settings->input_shapes.items);
  free(settings->models.items);
}

int usage_error(const cli_command *command, const char *format, ...) {
  print_usage(command, stderr);
  fprintf(stderr, "nn-meter%s%s: error: ", command->name[0] ? " " : "", command->name);
  va_list arguments;
  va_start(arguments, format);
  char text[2048];
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  print_line(stderr, text);
  fputc('\n', stderr);
  return EXIT_USAGE;
}

const cli_option *find_option(const cli_command *command, const char *name, size_t length, size_t *candidates) {
  const cli_option *found = NULL;
  *candidates = 0;
  for (const cli_option *option = command->options; option->name; option++) {
    if (strncmp(option->name, name, length) != 0) continue;
    if (!option->name[length]) {
      *candidates = 1;
      return option;
    }
    found = option;
    ++*candidates;
  }
  return *candidates == 1 ? found : NULL;
}

typedef struct option_parser {
  const cli_command *command;
  char **arguments;
  size_t count, at; /* at: the next argument to look at */
  cli_settings *settings;
  const cli_option *used[8]; /* the first option used of each exclusive group */
} option_parser;

/* An argument that is an option, and no value: "-" alone stands for standard input or output. */
static bool looks_like_option(const char *argument) { return argument[0] == '-' && argument[1]; }

static int fail_memory(const cli_command *command) { return usage_error(command, "out of memory"); }

static int set_number(const option_parser *parser, const cli_option *option, const char *value) {
  char *end;
  errno = 0;
  long number = strtol(value, &end, 10);
  if (!*value || *end)
    return usage_error(parser->command, "argument --%s: invalid int value: '%s'", option->name, value);
  if (errno || number < option->least || number > option->most)
    return usage_error(parser->command, "argument --%s: %s is not between %ld and %ld", option->name, value,
                       option->least, option->most);
  *(long *)(void *)((char *)parser->settings + option->target) = number;
  return EXIT_ALL_WELL;
}

static int set_choice(const option_parser *parser, const cli_option *option, const char *value) {
  for (int i = 0; option->choices[i]; i++)
    if (!strcmp(option->choices[i], value)) {
      *(int *)(void *)((char *)parser->settings + option->target) = i + option->first_choice;
      return EXIT_ALL_WELL;
    }
  char list[256] = "";
  for (size_t i = 0, length = 0; option->choices[i] && length < sizeof list; i++)
    length += (size_t)snprintf(list + length, sizeof list - length, "%s'%s'", i ? ", " : "", option->choices[i]);
  return usage_error(parser->command, "argument --%s: invalid choice: '%s' (choose from %s)", option->name, value,
                     list);
}

static int set_value(const option_parser *parser, const cli_option *option, const char *value) {
  char *target = (char *)parser->settings + option->target;
  switch (option->kind) {
  case OPTION_NUMBER: return set_number(parser, option, value);
  case OPTION_CHOICE: return set_choice(parser, option, value);
  case OPTION_VERSION:
    if (value[0] < '0' || value[0] > '9')
      return usage_error(parser->command, "argument --%s: invalid float value: '%s'", option->name, value);
    *(const char **)(void *)target = value;
    return EXIT_ALL_WELL;
  case OPTION_TEXT: *(const char **)(void *)target = value; return EXIT_ALL_WELL;
  default: return text_list_add((text_list *)(void *)target, value) ? EXIT_ALL_WELL : fail_memory(parser->command);
  }
}

static int check_group(option_parser *parser, const cli_option *option) {
  if (!option->group) return EXIT_ALL_WELL;
  const struct cli_option **used = &parser->used[option->group];
  if (*used && *used != option)
    return usage_error(parser->command, "argument --%s: not allowed with argument --%s", option->name, (*used)->name);
  *used = option;
  return EXIT_ALL_WELL;
}

/* value: what stood behind "=" or a letter, or NULL: the arguments that follow. */
static int apply_option(option_parser *parser, const cli_option *option, const char *value) {
  if (option->kind == OPTION_REFUSED) return usage_error(parser->command, "--%s: %s", option->name, option->help);
  int status = check_group(parser, option);
  if (status) return status;
  if (option->kind == OPTION_FLAG) {
    if (value)
      return usage_error(parser->command, "argument --%s: ignored explicit argument '%s'", option->name, value);
    *(bool *)((char *)parser->settings + option->target) = true;
    return EXIT_ALL_WELL;
  }
  if (value) return set_value(parser, option, value);
  size_t taken = 0, most = option->kind == OPTION_MANY ? parser->count : 1;
  while (taken < most && parser->at < parser->count && !looks_like_option(parser->arguments[parser->at])) {
    status = set_value(parser, option, parser->arguments[parser->at++]);
    if (status) return status;
    taken++;
  }
  if (!taken)
    return usage_error(parser->command, "argument --%s: expected %s argument", option->name,
                       option->kind == OPTION_MANY ? "at least one" : "one");
  return EXIT_ALL_WELL;
}

static int unknown_option(const option_parser *parser, const char *argument, size_t length) {
  enum { MOST_OPTIONS = 64 };
  const char *names[MOST_OPTIONS + 1];
  size_t count = 0;
  for (const cli_option *option = parser->command->options; option->name && count < MOST_OPTIONS; option++)
    names[count++] = option->name;
  names[count] = NULL;
  char name[128];
  snprintf(name, sizeof name, "%.*s", (int)length, argument + 2);
  const char *near = nearest_name(name, names);
  return usage_error(parser->command, "unrecognized arguments: %s%s%s%s", argument, near ? "; did you mean --" : "",
                     near ? near : "", near ? "?" : "");
}

static int ambiguous_option(const option_parser *parser, const char *name, size_t length) {
  char list[512] = "";
  size_t used = 0;
  for (const cli_option *option = parser->command->options; option->name && used < sizeof list; option++)
    if (!strncmp(option->name, name, length))
      used += (size_t)snprintf(list + used, sizeof list - used, "%s--%s", used ? ", " : "", option->name);
  return usage_error(parser->command, "ambiguous option: --%.*s could match %s", (int)length, name, list);
}

static int parse_long(option_parser *parser, const char *argument) {
  const char *name = argument + 2, *equals = strchr(name, '=');
  size_t length = equals ? (size_t)(equals - name) : strlen(name), candidates;
  const cli_option *option = find_option(parser->command, name, length, &candidates);
  if (option) return apply_option(parser, option, equals ? equals + 1 : NULL);
  return candidates > 1 ? ambiguous_option(parser, name, length) : unknown_option(parser, argument, length);
}

/* "-o FILE", "-oFILE", "-vq" */
static int parse_letters(option_parser *parser, const char *argument) {
  for (const char *letter = argument + 1; *letter; letter++) {
    const cli_option *option = parser->command->options;
    while (option->name && option->letter != *letter) option++;
    if (!option->name) return usage_error(parser->command, "unrecognized arguments: %s", argument);
    bool has_rest = option->kind != OPTION_FLAG && letter[1];
    int status = apply_option(parser, option, has_rest ? letter + 1 : NULL);
    if (status || has_rest) return status;
  }
  return EXIT_ALL_WELL;
}

static int parse_plain(const option_parser *parser, const char *argument) {
  cli_settings *settings = parser->settings;
  if (settings->files.count >= parser->command->most_arguments)
    return usage_error(parser->command, "unrecognized arguments: %s", argument);
  return text_list_add(&settings->files, argument) ? EXIT_ALL_WELL : fail_memory(parser->command);
}

int parse_arguments(const cli_command *command, char **arguments, size_t count, cli_settings *settings) {
  option_parser parser = {.command = command, .arguments = arguments, .count = count, .settings = settings};
  bool only_files = false;
  while (parser.at < count) {
    const char *argument = arguments[parser.at++];
    int status = EXIT_ALL_WELL;
    if (only_files || !looks_like_option(argument)) status = parse_plain(&parser, argument);
    else if (!strcmp(argument, "--")) only_files = true;
    else if (argument[1] == '-') status = parse_long(&parser, argument);
    else status = parse_letters(&parser, argument);
    if (status) return status;
    if (settings->help) break; /* --help wins over mistakes behind it */
  }
  return EXIT_ALL_WELL;
}

/* Edit distance, exchanged neighbours counting once: the commonest slip of the fingers. */
static size_t distance(const char *a, const char *b) {
  enum { LONGEST = 40 };
  size_t length_a = strlen(a), length_b = strlen(b);
  if (length_a > LONGEST || length_b > LONGEST) return LONGEST;
  size_t rows[3][LONGEST + 1];
  for (size_t j = 0; j <= length_b; j++) rows[0][j] = j;
  for (size_t i = 1; i <= length_a; i++) {
    size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *twice = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= length_b; j++) {
      size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
      if (above[j] + 1 < best) best = above[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && twice[j - 2] + 1 < best)
        best = twice[j - 2] + 1;
      row[j] = best;
    }
  }
  return rows[length_a % 3][length_b];
}

const char *nearest_name(const char *name, const char *const *names) {
  const char *nearest = NULL;
  size_t best = strlen(name) / 3 + 2; /* a word with every third letter wrong is still recognised */
  for (; *names; names++) {
    size_t length = strlen(name);
    size_t far = length >= 3 && !strncmp(*names, name, length) ? 1 : distance(name, *names);
    if (far < best) best = far, nearest = *names;
  }
  return nearest;
}
