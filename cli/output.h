/* Where results go: standard output, or a file that appears whole or not at all. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

typedef struct cli_output {
  FILE *file;
  const char *path; /* as given, for messages; NULL: standard output */
  char *target;     /* what is replaced: path with links followed; NULL when written directly */
  char *temporary;  /* beside target */
} cli_output;

/* path NULL or "-": standard output. False after telling why on standard error. */
bool output_open(cli_output *output, const char *path);
/* Writes what is pending and puts the file in its place; false after telling why. */
bool output_commit(cli_output *output);
void output_discard(cli_output *output); /* after a failure, or after commit: harmless */

#endif
