#include <string.h>

#include "readers/content.h"
#include "readers/reader.h"

/* The one table of formats: a new one is a row here and a file beside this one. */
#define READERS(row)                                                                                  \
  row(onnx, "onnx") row(tensorflow, "tensorflow") row(tflite, "tflite") row(nnmeter_ir, "nnmeter-ir") \
      row(benchmark, "benchmark") row(nni_ir, "nni-ir")

#define READER_POINTER(id, name) &nnm_reader_##id,
#define READER_NAME(id, name) name,
static const nnm_reader *const readers[] = {READERS(READER_POINTER)};
static const char *const names[] = {READERS(READER_NAME) NULL};
enum { READER_COUNT = sizeof readers / sizeof readers[0] };

const char *const *nnm_formats(void) { return names; }

static nnm_status find_by_name(const char *format, const nnm_reader **out, nnm_error *error) {
  for (size_t i = 0; i < READER_COUNT; i++)
    if (!strcmp(readers[i]->name, format)) {
      *out = readers[i];
      return NNM_OK;
    }
  char known[256] = "";
  for (size_t i = 0; i < READER_COUNT; i++) {
    strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
    strncat(known, readers[i]->name, sizeof known - strlen(known) - 1);
  }
  return nnm_fail(error, NNM_ERROR_NOT_FOUND, NULL, "no format '%.100s'; there are: %s", format, known);
}

nnm_status nnm_find_reader(const char *format, const unsigned char *data, size_t size, const nnm_reader **out,
                           nnm_error *error) {
  if (format) return find_by_name(format, out, error);
  const nnm_reader *best = NULL;
  int surest = 0;
  for (size_t i = 0; i < READER_COUNT; i++) {
    int sure = readers[i]->probe(data, size);
    if (sure > surest) surest = sure, best = readers[i];
  }
  if (!best) return nnm_fail_content(error, NULL, data, size);
  *out = best;
  return NNM_OK;
}
