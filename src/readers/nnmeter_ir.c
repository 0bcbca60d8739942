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

/* An object whose first members are nodes: with "attr" and bounds. An empty object may be one. */
static int probe_ir(const unsigned char *data, size_t size) {
  if (!nnm_is_json_object(data, size)) return 0;
  bool is_one = nnm_begins_with_mention(data, size, "\"attr\"") || nnm_begins_with_mention(data, size, "\"inbounds\"");
  return is_one ? 2 : 1;
}

const nnm_reader nnm_reader_nnmeter_ir = {"nnmeter-ir", probe_ir, read_ir};
