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

/* An object whose first members are nodes: with "attr" and bounds. Other objects are other people's JSON, but an empty
 * one, or one with an empty first node, may be one. */
static int probe_ir(const unsigned char *data, size_t size) {
  static const char *const members[] = {"\"attr\"", "\"inbounds\"", "\"outbounds\""};
  if (!nnm_is_json_object(data, size)) return 0;
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
    if (nnm_begins_with_mention(data, size, members[i])) return 2;
  return nnm_json_begins_empty(data, size) ? 1 : 0;
}

const nnm_reader nnm_reader_nnmeter_ir = {"nnmeter-ir", probe_ir, read_ir};
