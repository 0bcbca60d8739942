#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

void nnm_make_printable(char *text) {
  for (size_t left = strlen(text); left;) {
    size_t length = nnm_utf8_length(text, left);
    unsigned char first = (unsigned char)text[0];
    bool is_control = first < 0x20 || first == 0x7f || (first == 0xc2 && (unsigned char)text[1] < 0xa0);
    if (!length) length = 1, is_control = true;
    if (is_control) memset(text, '?', length);
    text += length;
    left -= length;
  }
}

static void copy_text(char *to, size_t size, const char *from) {
  snprintf(to, size, "%s", from ? from : "");
  nnm_make_printable(to);
}

nnm_status nnm_fail(nnm_error *error, nnm_status status, const char *place, const char *format, ...) {
  if (!error) return status;
  error->status = status;
  error->file[0] = '\0';
  copy_text(error->place, sizeof error->place, place);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  nnm_make_printable(error->message);
  return status;
}

nnm_status nnm_fail_memory(nnm_error *error) {
  return nnm_fail(error, NNM_ERROR_MEMORY, NULL, "out of memory; close other programs or try a smaller model");
}

nnm_status nnm_fail_in_file(nnm_error *error, nnm_status status, const char *file) {
  if (status != NNM_OK && error && !error->file[0]) copy_text(error->file, sizeof error->file, file);
  return status;
}

void nnm_error_text(const nnm_error *error, char *buffer, size_t size) {
  if (!size) return;
  snprintf(buffer, size, "%s%s%s%s%s", error->file, error->file[0] ? ": " : "", error->place,
           error->place[0] ? ": " : "", error->message);
}
