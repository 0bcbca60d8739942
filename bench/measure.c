/* usage: measure RESULT_FILE COMMAND [ARGUMENT...]
 *
 * Runs a command and writes its wall time and peak memory as one JSON object. Linux counts what a process was before it
 * became the command into that command's peak, so the one that starts it has to be as small as this. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fputs("usage: measure RESULT_FILE COMMAND [ARGUMENT...]\n", stderr);
    return 2;
  }
  double start = now();
  pid_t child = fork();
  if (child == 0) {
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    _exit(127);
  }
  int status;
  struct rusage usage;
  if (child < 0 || wait4(child, &status, 0, &usage) != child) {
    perror("measure");
    return 1;
  }
  double seconds = now() - start;
  FILE *result = fopen(argv[1], "w");
  if (!result || fprintf(result, "{\"seconds\": %.9f, \"peak_kib\": %ld}\n", seconds, usage.ru_maxrss) < 0 ||
      fclose(result)) {
    perror(argv[1]);
    return 1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
