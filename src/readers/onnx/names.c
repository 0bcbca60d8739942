#include <string.h>

#include "base/limits.h"
#include "readers/onnx/onnx.h"

static nnm_status intern(onnx_reader *reader, const char *text, size_t length, const char **out) {
  *out = nnm_graph_builder_intern(reader->builder, length ? text : "", length);
  return *out ? NNM_OK : nnm_fail_memory(reader->file.error);
}

nnm_status nnm_onnx_name(onnx_reader *reader, const nnm_wire_field *field, const char **out) {
  NNM_TRY(nnm_wire_check_name(&reader->file, field));
  return intern(reader, (const char *)field->bytes, field->size, out);
}

nnm_status nnm_onnx_text(onnx_reader *reader, const nnm_wire_field *field, const char **out) {
  size_t size = field->size < NNM_LIMIT_NAME_BYTES ? field->size : NNM_LIMIT_NAME_BYTES;
  NNM_TRY(nnm_wire_spend(&reader->file, size / 8));
  if (nnm_wire_is_utf8(field->bytes, size)) return intern(reader, (const char *)field->bytes, size, out);
  reader->name.length = 0;
  for (size_t at = 0; at < size;) {
    size_t length = nnm_wire_character(field->bytes + at, size - at);
    nnm_text_add_bytes(&reader->name, length ? (const char *)field->bytes + at : "?", length ? length : 1);
    at += length ? length : 1;
  }
  if (reader->name.failed) return nnm_fail_memory(reader->file.error);
  return intern(reader, reader->name.data, reader->name.length, out);
}

nnm_status nnm_onnx_scoped_name(onnx_reader *reader, const nnm_wire_field *field, const char **out) {
  if (!reader->scope || !field->size) return nnm_onnx_name(reader, field, out);
  NNM_TRY(nnm_wire_check_name(&reader->file, field));
  size_t prefix = strlen(reader->scope->prefix);
  if (prefix + field->size > NNM_LIMIT_NAME_BYTES)
    return nnm_wire_fail(&reader->file, NNM_ERROR_LIMIT, field->bytes,
                         "a name of more than %d bytes after inlining functions; shorten the names of its nodes",
                         NNM_LIMIT_NAME_BYTES);
  NNM_TRY(nnm_wire_spend(&reader->file, prefix / 8));
  reader->name.length = 0;
  nnm_text_add_bytes(&reader->name, reader->scope->prefix, prefix);
  nnm_text_add_bytes(&reader->name, (const char *)field->bytes, field->size);
  if (reader->name.failed) return nnm_fail_memory(reader->file.error);
  return intern(reader, reader->name.data, reader->name.length, out);
}

/* What a name means to the function being inlined. */
static nnm_status formal_tensor(onnx_reader *reader, const nnm_wire_field *field, int32_t *out) {
  *out = NAME_OF_FUNCTION;
  if (!reader->scope) return NNM_OK;
  const int32_t *slot =
      nnm_strings_value(&reader->scope->names, (const char *)field->bytes, field->size); /* not empty */
  if (!slot) return nnm_fail_memory(reader->file.error);
  *out = *slot;
  return NNM_OK;
}

nnm_status nnm_onnx_tensor_read(onnx_reader *reader, const nnm_wire_field *field, nnm_tensor_id *out) {
  *out = -1;
  if (!field->size) return NNM_OK; /* an optional input left out */
  const char *name;
  NNM_TRY(nnm_onnx_scoped_name(reader, field, &name));
  int32_t formal;
  NNM_TRY(formal_tensor(reader, field, &formal));
  if (formal != NAME_OF_FUNCTION) {
    /* a body inside the function may define a tensor of the same name, which then hides the formal one */
    bool in_body = reader->body_depth > reader->scope->body_depth;
    nnm_tensor_id hiding = in_body ? nnm_graph_builder_find_tensor(reader->builder, name) : -1;
    *out = hiding >= 0 ? hiding : formal == NAME_ABSENT ? -1 : formal;
    return NNM_OK;
  }
  return nnm_graph_builder_tensor(reader->builder, name, out, reader->file.error);
}

nnm_status nnm_onnx_tensor_written(onnx_reader *reader, const nnm_wire_field *field, nnm_tensor_id *out) {
  *out = -1;
  if (!field->size) return NNM_OK; /* an optional output left out */
  const char *name;
  NNM_TRY(nnm_onnx_scoped_name(reader, field, &name));
  int32_t formal;
  NNM_TRY(formal_tensor(reader, field, &formal));
  if (formal >= 0 && reader->body_depth == reader->scope->body_depth) {
    *out = formal;
    return NNM_OK;
  }
  return nnm_graph_builder_local_tensor(reader->builder, name, out, reader->file.error);
}
