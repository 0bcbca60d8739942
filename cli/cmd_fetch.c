/* nn-meter fetch */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "messages.h"
#include "nnmeter/nnmeter.h"

static volatile sig_atomic_t is_stopped;

static void stop(int number) {
  (void)number;
  is_stopped = 1;
}

/* Ctrl-C ends the download, not the program: it still removes what it has made. */
static void catch_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = stop;
  action.sa_flags = (int)SA_RESETHAND; /* a second one ends it */
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
}

static bool show(void *context, uint64_t done_bytes, uint64_t total_bytes) {
  cli_progress *progress = context;
  progress->total = (size_t)(total_bytes >> 10); /* "[##...] 120/400 KB" */
  if (total_bytes) progress_draw(progress, (size_t)(done_bytes >> 10));
  return !is_stopped;
}

int run_fetch(const cli_command *command, const cli_settings *settings) {
  if (!settings->files.count)
    return usage_error(command, "no name given; name the predictor, as nn-meter --list-predictors shows it");
  const char *name = settings->files.items[0];
  cli_progress progress = progress_start(0, !settings->quiet);
  progress.unit = " KB";
  const nnm_fetch_options options = {.url = settings->url,
                                     .sha256 = settings->sha256,
                                     .size_limit_bytes = (uint64_t)settings->size_limit << 20,
                                     .timeout_s = (uint32_t)settings->timeout,
                                     .allow_http = settings->allow_http,
                                     .progress = show,
                                     .context = &progress};
  nnm_error error;
  nnm_fetched fetched;
  catch_signals();
  nnm_status status = nnm_predictor_fetch(name, &options, NULL, &fetched, &error);
  progress_hide(&progress);
  if (status != NNM_OK) {
    print_error(stderr, name, &error);
    return EXIT_FAILED;
  }
  printf("(nn-Meter) Successfully register predictor: %s\n", name);
  if (!settings->quiet) {
    print_message(stderr, "info", NULL, "%s %s", fetched.was_there ? "is there already:" : "written to", fetched.path);
    if (fetched.sha256[0] && !settings->sha256)
      print_message(stderr, "info", NULL, "SHA-256 %s; with --sha256 the next download must have it", fetched.sha256);
  }
  nnm_free(fetched.path);
  return EXIT_ALL_WELL;
}
