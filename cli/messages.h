/* What goes to standard error: "nn-meter: error: FILE: place: text", one line each. */
#ifndef CLI_MESSAGES_H
#define CLI_MESSAGES_H

#include <stdbool.h>
#include <stdio.h>

#include "nnmeter/nnmeter.h"

/* text without a newline: control characters, which names of files may hold, must not reach a terminal. */
void print_line(FILE *to, const char *text);
/* file: the path to blame when the error names none; may be NULL. */
void print_error(FILE *to, const char *file, const nnm_error *error);
/* "nn-meter: KIND: SUBJECT: text"; subject may be NULL. */
void print_message(FILE *to, const char *kind, const char *subject, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "[####....] 12/40" on standard error, when that is a terminal. */
typedef struct cli_progress {
  bool shown, is_wanted;
  size_t total;
  const char *unit; /* behind the numbers; NULL: none */
  long last_ms;     /* when it was drawn */
} cli_progress;

cli_progress progress_start(size_t total, bool is_wanted);
void progress_draw(cli_progress *progress, size_t done);
void progress_hide(cli_progress *progress); /* before anything else is written to the terminal */

size_t terminal_columns(void); /* of standard output; 0 when it is none */

#endif
