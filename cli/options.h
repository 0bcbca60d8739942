/* The option parser. One table (commands.c) drives parsing, --help, the man page and the shell completions. It follows
 * the manners of Python's argparse, which nn-Meter used: unique beginnings of long options, --option=value, options
 * before or after the files, several files behind one option. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { EXIT_ALL_WELL = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef struct text_list { /* borrowed texts, mostly of argv */
  const char **items;
  size_t count, capacity;
} text_list;

bool text_list_add(text_list *list, const char *text); /* false when memory runs out */

typedef enum stage_choice { STAGE_GRAPH, STAGE_SHAPES, STAGE_KERNELS, STAGE_FEATURES } stage_choice;
typedef enum compat_choice { COMPAT_DEFAULT, COMPAT_NN_METER_2_0, COMPAT_OWN } compat_choice;

/* Everything the command line can say. */
typedef struct cli_settings {
  bool help, verbose, quiet, version, list_predictors, list_kernels, list_operators, list_torchvision, manual;
  text_list files; /* arguments that are no options */
  text_list onnx, tensorflow, tflite, nnmeter_ir, nni_ir, torchvision, predictors, input_shapes, models;
  const char *predictor_version, *fusion_rules, *output, *name, *import_version;
  const char *latency, *kernels, *column, *from, *device, *url, *sha256;
  bool breakdown, json, jsonl, csv, strict, keep_going, allow_http;
  long jobs, batch_size, suggest, size_limit, seed, epochs, threads, timeout;
  int compat, stage;   /* compat_choice, stage_choice */
  const char *refused; /* unused: target of options that are only known to be refused with a reason */
} cli_settings;

void settings_free(cli_settings *settings);

typedef enum option_kind {
  OPTION_FLAG,    /* bool */
  OPTION_TEXT,    /* const char *; the last one counts */
  OPTION_VERSION, /* the same, but begins with a digit */
  OPTION_TEXTS,   /* text_list; one value each time */
  OPTION_MANY,    /* text_list; one or more values each time */
  OPTION_NUMBER,  /* long from least to most */
  OPTION_CHOICE,  /* int: the number of the choice, counted from 1 when 0 means "not given" */
  OPTION_REFUSED  /* understood, and refused with the help text as the reason */
} option_kind;

typedef enum value_hint {
  HINT_NONE,
  HINT_FILE,
  HINT_FOLDER,
  HINT_PREDICTOR,
  HINT_NETWORK
} value_hint; /* for completion */

typedef struct cli_option {
  const char *name;  /* without the dashes */
  const char *value; /* what stands for the value in help; NULL for flags */
  const char *help;
  size_t target;              /* offset in settings */
  const char *const *choices; /* OPTION_CHOICE: NULL-terminated */
  long least, most;           /* OPTION_NUMBER */
  option_kind kind;
  value_hint hint;
  int group;        /* options of one group other than 0 exclude each other */
  int first_choice; /* OPTION_CHOICE: number of choices[0] */
  char letter;      /* 0: none */
} cli_option;

typedef struct cli_example {
  const char *command, *what;
} cli_example;

typedef struct cli_command {
  const char *name, *alias;            /* alias may be NULL */
  const char *summary;                 /* one line */
  const char *arguments;               /* of the usage line: "[FILE ...]" */
  const char *description;             /* paragraphs of --help and the man page */
  const cli_option *options;           /* up to one without a name */
  const cli_example *examples;         /* up to one without a command */
  const char *const *argument_choices; /* what the arguments may be; NULL: files */
  size_t most_arguments;
  int (*run)(const struct cli_command *command, const cli_settings *settings);
} cli_command;

extern const cli_command main_command;             /* what may stand before a command */
extern const cli_command commands[];               /* up to one without a name */
const cli_command *find_command(const char *name); /* by name or alias; NULL */

/* The option of exactly that name or of a unique beginning; NULL when there is none, with *candidates > 1 when the
 * beginning is ambiguous. */
const cli_option *find_option(const cli_command *command, const char *name, size_t length, size_t *candidates);

/* Parses arguments[0 .. count) on top of *settings. EXIT_ALL_WELL, or EXIT_USAGE after telling why on stderr. */
int parse_arguments(const cli_command *command, char **arguments, size_t count, cli_settings *settings);

/* "usage: ...", "nn-meter predict: error: ..." on stderr; returns EXIT_USAGE. */
int usage_error(const cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The most similar of the names (NULL-terminated), or NULL when none is near. */
const char *nearest_name(const char *name, const char *const *names);

#endif
