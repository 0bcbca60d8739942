#include "output.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "messages.h"

/* The file to take away when the user interrupts; one output is open at a time. */
static const char *volatile unfinished;

static void remove_unfinished(int number) {
  const char *path = unfinished;
  if (path) unlink(path);
  signal(number, SIG_DFL);
  raise(number);
}

static const char *remedy_of(int code) {
  switch (code) {
  case ENOENT:
  case ENOTDIR: return "; make its folder first, or give another path";
  case EISDIR: return "; give the name of a file in it";
  case EACCES:
  case EPERM:
  case EROFS: return "; choose a folder that can be written";
  case ENOSPC:
  case EDQUOT: return "; make room on the disk";
  default: return "; give another path";
  }
}

static bool fail(cli_output *output) {
  int code = errno;
  print_message(stderr, "error", output->path ? output->path : "standard output", "cannot write: %s%s", strerror(code),
                output->path ? remedy_of(code) : "");
  output_discard(output);
  return false;
}

/* Devices and pipes, /dev/stdout for one, cannot be replaced by a file. */
static bool is_special(const char *path) {
  struct stat info;
  return !stat(path, &info) && !S_ISREG(info.st_mode);
}

static bool open_temporary(cli_output *output) {
  char *resolved = realpath(output->path, NULL); /* a link stays a link */
  output->target = resolved ? resolved : strdup(output->path);
  size_t length = output->target ? strlen(output->target) : 0;
  output->temporary = output->target ? malloc(length + 8) : NULL;
  if (!output->temporary) return fail(output);
  memcpy(output->temporary, output->target, length);
  memcpy(output->temporary + length, ".XXXXXX", 8);
  int descriptor = mkstemp(output->temporary);
  if (descriptor < 0) {
    free(output->temporary);
    output->temporary = NULL;
    return fail(output);
  }
  unfinished = output->temporary;
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    if (signal(signals[i], remove_unfinished) == SIG_IGN) signal(signals[i], SIG_IGN);
  mode_t mask = umask(0);
  umask(mask);
  output->file = fdopen(descriptor, "w");
  if (!output->file || fchmod(descriptor, 0666 & ~mask)) {
    if (!output->file) close(descriptor);
    return fail(output);
  }
  return true;
}

bool output_open(cli_output *output, const char *path) {
  *output = (struct cli_output){.file = stdout};
  if (!path || !strcmp(path, "-")) return true;
  output->path = path;
  output->file = NULL;
  if (!is_special(path)) return open_temporary(output);
  output->file = fopen(path, "w");
  return output->file ? true : fail(output);
}

bool output_commit(cli_output *output) {
  if (!output->path) return !fflush(stdout) && !ferror(stdout) ? true : fail(output);
  bool failed = fflush(output->file) || ferror(output->file);
  FILE *file = output->file;
  output->file = NULL;
  if (fclose(file) || failed) return fail(output);
  if (output->temporary && rename(output->temporary, output->target)) return fail(output);
  unfinished = NULL;
  free(output->temporary);
  output->temporary = NULL;
  output_discard(output);
  return true;
}

void output_discard(cli_output *output) {
  if (output->file && output->path) fclose(output->file);
  if (output->temporary) unlink(output->temporary);
  unfinished = NULL;
  free(output->temporary);
  free(output->target);
  *output = (struct cli_output){0};
}
