#include "messages.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

void print_line(FILE *to, const char *text) {
  for (; *text; text++) {
    unsigned char byte = (unsigned char)*text, next = (unsigned char)text[1];
    bool is_control = byte < 0x20 || byte == 0x7f;
    bool is_long_control = byte == 0xc2 && next >= 0x80 && next < 0xa0; /* C1 in UTF-8: terminals obey these too */
    if (is_long_control) text++;
    putc(is_control || is_long_control ? '?' : byte, to);
  }
}

void print_error(FILE *to, const char *file, const nnm_error *error) {
  char text[NNM_ERROR_FILE_SIZE + NNM_ERROR_PLACE_SIZE + NNM_ERROR_MESSAGE_SIZE];
  nnm_error_text(error, text, sizeof text);
  print_message(to, "error", error->file[0] ? NULL : file, "%s", text);
}

void print_message(FILE *to, const char *kind, const char *subject, const char *format, ...) {
  char text[2048];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  fprintf(to, "nn-meter: %s: ", kind);
  if (subject && *subject) {
    print_line(to, subject);
    fputs(": ", to);
  }
  print_line(to, text);
  putc('\n', to);
}

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

cli_progress progress_start(size_t total, bool is_wanted) {
  return (cli_progress){.is_wanted = is_wanted && isatty(STDERR_FILENO), .total = total, .last_ms = now_ms()};
}

void progress_draw(cli_progress *progress, size_t done) {
  enum { EVERY_MS = 80, WIDTH = 30 };
  if (!progress->is_wanted || now_ms() - progress->last_ms < EVERY_MS) return;
  progress->last_ms = now_ms();
  progress->shown = true;
  char bar[WIDTH + 1];
  for (size_t i = 0; i < WIDTH; i++) bar[i] = i * progress->total < done * WIDTH ? '#' : '.';
  bar[WIDTH] = '\0';
  fprintf(stderr, "\r[%s] %zu/%zu%s", bar, done, progress->total, progress->unit ? progress->unit : "");
  fflush(stderr);
}

void progress_hide(cli_progress *progress) {
  if (!progress->shown) return;
  fputs("\r\033[K", stderr);
  fflush(stderr);
  progress->shown = false;
}

size_t terminal_columns(void) {
  struct winsize size;
  if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size)) return 0;
  return size.ws_col;
}
