#include "base/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/limits.h"
#include "base/text.h"

typedef struct open_node {
  nnm_yaml_node *node, *last; /* last: its youngest child */
} open_node;

typedef struct yaml_reader {
  yaml_parser_t parser;
  nnm_arena *arena;
  uint32_t *offsets; /* byte of each character; NULL: each is one byte */
  const char *data;
  size_t skipped; /* bytes of a byte order mark */
  size_t node_count, depth, document_count;
  open_node open[NNM_LIMIT_YAML_DEPTH];
  nnm_yaml_node *root;
  nnm_error *error;
} yaml_reader;

/* libyaml counts characters, editing needs bytes. */
static size_t byte_at(const yaml_reader *reader, const yaml_mark_t *mark) {
  return reader->skipped + (reader->offsets ? reader->offsets[mark->index] : mark->index);
}

static nnm_status fail_at(yaml_reader *reader, const yaml_mark_t *mark, nnm_status status, const char *message) {
  char place[64];
  snprintf(place, sizeof place, "line %zu, column %zu", mark->line + 1, mark->column + 1);
  return nnm_fail(reader->error, status, place, "%s", message);
}

static nnm_status fail_syntax(yaml_reader *reader) {
  const yaml_parser_t *parser = &reader->parser;
  if (parser->error == YAML_MEMORY_ERROR) return nnm_fail_memory(reader->error);
  char message[200];
  snprintf(message, sizeof message, "is no YAML: %s; compare with docs/registry.md",
           parser->problem ? parser->problem : "cannot be read");
  return fail_at(reader, &parser->problem_mark, NNM_ERROR_FORMAT, message);
}

/* Checks that data is UTF-8 and notes where each character begins, unless each is one byte. */
static nnm_status find_characters(yaml_reader *reader, const char *data, size_t size) {
  size_t count = 0, plain = 0;
  for (size_t at = 0; at < size; count++) {
    size_t length = nnm_utf8_length(data + at, size - at);
    if (!length)
      return nnm_fail(reader->error, NNM_ERROR_FORMAT, NULL, "byte %zu is no UTF-8; save the file as UTF-8",
                      reader->skipped + at);
    plain += length == 1;
    at += length;
  }
  if (plain == size) return NNM_OK;
  reader->offsets = malloc((count + 2) * sizeof *reader->offsets);
  if (!reader->offsets) return nnm_fail_memory(reader->error);
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    reader->offsets[i] = (uint32_t)at;
    at += nnm_utf8_length(data + at, size - at);
  }
  reader->offsets[count] = reader->offsets[count + 1] = (uint32_t)size;
  return NNM_OK;
}

/* ---------------------------------------------------------------- the tree */

static nnm_status add_node(yaml_reader *reader, const yaml_event_t *event, nnm_yaml_kind kind, nnm_yaml_node **out) {
  if (reader->node_count++ == NNM_LIMIT_YAML_NODES)
    return fail_at(reader, &event->start_mark, NNM_ERROR_LIMIT, "more values than a configuration file can need");
  nnm_yaml_node *node = NNM_ARENA_NEW(reader->arena, nnm_yaml_node);
  if (!node) return nnm_fail_memory(reader->error);
  node->kind = kind;
  node->line = event->start_mark.line + 1;
  node->column = event->start_mark.column;
  node->start = byte_at(reader, &event->start_mark);
  node->end = byte_at(reader, &event->end_mark);
  if (!reader->depth) reader->root = node;
  else {
    open_node *parent = &reader->open[reader->depth - 1];
    if (parent->last) parent->last->next = node;
    else parent->node->first = node;
    parent->last = node;
    parent->node->count++;
  }
  *out = node;
  return NNM_OK;
}

static nnm_status refuse_extras(yaml_reader *reader, const yaml_event_t *event, const yaml_char_t *anchor,
                                const yaml_char_t *tag) {
  if (anchor)
    return fail_at(reader, &event->start_mark, NNM_ERROR_UNSUPPORTED,
                   "anchors (&name) are not read; write the value where it is needed");
  if (tag)
    return fail_at(reader, &event->start_mark, NNM_ERROR_UNSUPPORTED,
                   "tags (!name) are not read, and nothing is made of them; remove it");
  return NNM_OK;
}

static nnm_status read_scalar(yaml_reader *reader, const yaml_event_t *event) {
  NNM_TRY(refuse_extras(reader, event, event->data.scalar.anchor, event->data.scalar.tag));
  const char *value = (const char *)event->data.scalar.value;
  size_t length = event->data.scalar.length;
  if (memchr(value, '\0', length))
    return fail_at(reader, &event->start_mark, NNM_ERROR_FORMAT, "a text with a NUL character; remove it");
  nnm_yaml_node *node;
  NNM_TRY(add_node(reader, event, NNM_YAML_SCALAR, &node));
  node->text = nnm_arena_text(reader->arena, value, length);
  /* texts behind | and > end, for libyaml, where the next line with something on it begins */
  while (node->end > node->start && strchr(" \n\r", reader->data[node->end - 1])) node->end--;
  return node->text ? NNM_OK : nnm_fail_memory(reader->error);
}

static nnm_status open_collection(yaml_reader *reader, const yaml_event_t *event, nnm_yaml_kind kind, bool is_flow) {
  if (reader->depth == NNM_LIMIT_YAML_DEPTH)
    return fail_at(reader, &event->start_mark, NNM_ERROR_LIMIT, "nested deeper than a configuration file can need");
  nnm_yaml_node *node;
  NNM_TRY(add_node(reader, event, kind, &node));
  node->is_flow = is_flow;
  if (!is_flow) node->end = node->start; /* grows with its children */
  reader->open[reader->depth++] = (open_node){node, NULL};
  return NNM_OK;
}

static void grow_to(nnm_yaml_node *node, size_t end) {
  if (node->end < end) node->end = end;
}

static void close_collection(yaml_reader *reader, const yaml_event_t *event) {
  open_node *closed = &reader->open[--reader->depth];
  /* without brackets libyaml's end is where the next thing begins, behind comments that do not belong to it */
  if (closed->node->is_flow) grow_to(closed->node, byte_at(reader, &event->end_mark));
  else
    for (const nnm_yaml_node *child = closed->node->first; child; child = child->next)
      grow_to(closed->node, child->end);
}

static nnm_status read_event(yaml_reader *reader, const yaml_event_t *event) {
  switch (event->type) {
  case YAML_DOCUMENT_START_EVENT:
    if (reader->document_count++)
      return fail_at(reader, &event->start_mark, NNM_ERROR_FORMAT, "a second document begins; leave one");
    return NNM_OK;
  case YAML_ALIAS_EVENT:
    return fail_at(reader, &event->start_mark, NNM_ERROR_UNSUPPORTED,
                   "aliases (*name) are not read; write the value where it is needed");
  case YAML_SCALAR_EVENT: return read_scalar(reader, event);
  case YAML_SEQUENCE_START_EVENT:
    NNM_TRY(refuse_extras(reader, event, event->data.sequence_start.anchor, event->data.sequence_start.tag));
    return open_collection(reader, event, NNM_YAML_LIST, event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE);
  case YAML_MAPPING_START_EVENT:
    NNM_TRY(refuse_extras(reader, event, event->data.mapping_start.anchor, event->data.mapping_start.tag));
    return open_collection(reader, event, NNM_YAML_MAPPING, event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE);
  case YAML_SEQUENCE_END_EVENT:
  case YAML_MAPPING_END_EVENT: close_collection(reader, event); return NNM_OK;
  default: return NNM_OK;
  }
}

static nnm_status read_events(yaml_reader *reader) {
  for (bool is_over = false; !is_over;) {
    yaml_event_t event;
    if (!yaml_parser_parse(&reader->parser, &event)) return fail_syntax(reader);
    is_over = event.type == YAML_STREAM_END_EVENT;
    nnm_status status = read_event(reader, &event);
    yaml_event_delete(&event);
    NNM_TRY(status);
  }
  return NNM_OK;
}

nnm_status nnm_yaml_parse(const void *data, size_t size, nnm_arena *arena, nnm_yaml_node **root, nnm_error *error) {
  if (size > NNM_LIMIT_YAML_BYTES)
    return nnm_fail(error, NNM_ERROR_LIMIT, NULL, "is larger than %d bytes, too large for a configuration file",
                    NNM_LIMIT_YAML_BYTES);
  static const char byte_order_mark[] = "\xef\xbb\xbf";
  yaml_reader reader = {.arena = arena, .data = data, .error = error};
  if (size >= 3 && !memcmp(data, byte_order_mark, 3)) reader.skipped = 3;
  const char *text = (const char *)data + reader.skipped;
  nnm_status status = find_characters(&reader, text, size - reader.skipped);
  if (status == NNM_OK && !yaml_parser_initialize(&reader.parser)) status = nnm_fail_memory(error);
  if (status == NNM_OK) {
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, size - reader.skipped);
    status = read_events(&reader);
    yaml_parser_delete(&reader.parser);
  }
  free(reader.offsets);
  if (status == NNM_OK) *root = reader.root;
  return status;
}

/* ---------------------------------------------------------------- reading it */

const nnm_yaml_node *nnm_yaml_get(const nnm_yaml_node *node, const char *key) {
  const nnm_yaml_node *found = NULL;
  if (!node || node->kind != NNM_YAML_MAPPING) return NULL;
  for (const nnm_yaml_node *at = node->first; at && at->next; at = at->next->next)
    if (at->kind == NNM_YAML_SCALAR && !strcmp(at->text, key)) found = at->next;
  return found;
}

const char *nnm_yaml_text(const nnm_yaml_node *node, const char *key) {
  const nnm_yaml_node *value = nnm_yaml_get(node, key);
  return value && value->kind == NNM_YAML_SCALAR ? value->text : NULL;
}
