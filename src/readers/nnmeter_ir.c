#include <string.h>

#include "readers/content.h"
#include "readers/reader.h"

static nnm_status read_ir(const unsigned char *data, size_t size, nnm_graph **graph, nnm_ir **ir, nnm_error *error) {
  nnm_ir *document = NULL;
  if (!nnm_is_json(data, size) || nnm_reader_nni_ir.probe(data, size) == 2)
    return nnm_fail_content(error, nnm_reader_nnmeter_ir.name, data, size);
  NNM_TRY(nnm_ir_parse(data, size, &document, error));
  nnm_status status = nnm_ir_to_graph(document, graph, error);
  if (status == NNM_OK) *ir = document;
  else nnm_ir_free(document);
  return status;
}

static bool mentions(const unsigned char *data, size_t size, const char *word) {
  size_t length = strlen(word);
  for (size_t i = 0; i + length <= size; i++)
    if (!memcmp(data + i, word, length)) return true;
  return false;
}

/* An object whose first members are nodes: with "attr" and bounds. An empty object may be one. */
static int probe_ir(const unsigned char *data, size_t size) {
  size_t start = 0, end = size < 4096 ? size : 4096;
  while (start < end && data[start] && strchr(" \t\r\n", data[start])) start++;
  if (start == end || data[start] != '{') return 0;
  return mentions(data, end, "\"attr\"") || mentions(data, end, "\"inbounds\"") ? 2 : 1;
}

const nnm_reader nnm_reader_nnmeter_ir = {"nnmeter-ir", probe_ir, read_ir};
