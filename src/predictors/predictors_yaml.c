#include "predictors/predictors_yaml.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/text.h"
#include "predictors/container.h"

/* ---------------------------------------------------------------- reading */

static nnm_status read_kernels(const nnm_yaml_node *list, nnm_arena *arena, nnm_yaml_predictor *entry,
                               nnm_error *error) {
  if (!list || list->kind != NNM_YAML_LIST || !list->count) return NNM_OK;
  const char **names = NNM_ARENA_ARRAY(arena, const char *, list->count);
  if (!names) return nnm_fail_memory(error);
  for (const nnm_yaml_node *item = list->first; item; item = item->next) {
    if (item->kind != NNM_YAML_SCALAR || !item->text[0] || strchr(item->text, '/'))
      entry->fault = "kernel_predictors holds what is no name of a pickle; list the files' names without .pkl";
    else names[entry->kernel_count++] = item->text;
  }
  entry->kernels = names;
  return NNM_OK;
}

static nnm_status find_fault(nnm_yaml_predictor *entry, nnm_arena *arena, nnm_error *error) {
  nnm_error fault;
  if (!entry->name) entry->fault = "has no name; add name: NAME";
  else if (!entry->version) entry->fault = "has no version; add version: 1.0";
  else if (nnm_check_predictor_name(entry->name, &fault) != NNM_OK ||
           nnm_check_predictor_version(entry->version, &fault) != NNM_OK)
    entry->fault = nnm_arena_text(arena, fault.message, strlen(fault.message));
  else return NNM_OK;
  return entry->fault ? NNM_OK : nnm_fail_memory(error);
}

nnm_status nnm_yaml_predictor_read(const nnm_yaml_node *node, nnm_arena *arena, nnm_yaml_predictor *out,
                                   nnm_error *error) {
  *out = (nnm_yaml_predictor){.node = node};
  if (!node || node->kind != NNM_YAML_MAPPING) {
    out->fault = "is no predictor's entry; give it the keys name, version and package_location";
    return NNM_OK;
  }
  out->name = nnm_yaml_text(node, "name");
  out->version = nnm_yaml_text(node, "version");
  out->location = nnm_yaml_text(node, "package_location");
  if (out->location && !out->location[0]) out->location = NULL;
  NNM_TRY(read_kernels(nnm_yaml_get(node, "kernel_predictors"), arena, out, error));
  return find_fault(out, arena, error);
}

nnm_status nnm_predictors_yaml_parse(const char *path, const char *data, size_t size, nnm_arena *arena,
                                     nnm_predictors_yaml *out, nnm_error *error) {
  nnm_yaml_node *root;
  *out = (nnm_predictors_yaml){.path = path, .data = data, .size = size};
  NNM_TRY(nnm_yaml_parse(data, size, arena, &root, error));
  bool is_null = root && root->kind == NNM_YAML_SCALAR && !root->text[0];
  if (!root || is_null) return NNM_OK;
  if (root->kind != NNM_YAML_LIST)
    return nnm_fail(error, NNM_ERROR_FORMAT, NULL, "is no list of predictors; begin each entry with '- name:'");
  out->root = root;
  out->entries = NNM_ARENA_ARRAY(arena, nnm_yaml_predictor, root->count);
  if (!out->entries) return nnm_fail_memory(error);
  for (const nnm_yaml_node *item = root->first; item; item = item->next)
    NNM_TRY(nnm_yaml_predictor_read(item, arena, &out->entries[out->count++], error));
  return NNM_OK;
}

nnm_status nnm_predictors_yaml_read(const char *path, nnm_arena *arena, nnm_predictors_yaml *out, nnm_error *error) {
  nnm_mapped_file file;
  nnm_error fault;
  nnm_status status = nnm_map_file(path, &file, &fault);
  if (status == NNM_ERROR_NOT_FOUND) {
    *out = (nnm_predictors_yaml){.path = path, .data = ""};
    return NNM_OK;
  }
  if (status != NNM_OK) {
    if (error) *error = fault;
    return status;
  }
  const char *data = file.size <= NNM_LIMIT_YAML_BYTES /* more is refused before it is looked at */
                         ? nnm_arena_text(arena, (const char *)file.data, file.size)
                         : "";
  status = data ? nnm_predictors_yaml_parse(path, data, file.size, arena, out, error) : nnm_fail_memory(error);
  nnm_unmap_file(&file);
  return nnm_fail_in_file(error, status, path);
}

/* ---------------------------------------------------------------- changing the text */

static void add_spaces(nnm_text *text, size_t count) {
  while (count--) nnm_text_add(text, " ");
}

static void add_quoted(nnm_text *text, const char *value) {
  nnm_text_add(text, "\"");
  for (; *value; value++) {
    unsigned char byte = (unsigned char)*value;
    if (byte == '"' || byte == '\\') nnm_text_printf(text, "\\%c", byte);
    else if (byte < 0x20 || byte == 0x7f) nnm_text_printf(text, "\\x%02x", byte);
    else nnm_text_add_bytes(text, value, 1);
  }
  nnm_text_add(text, "\"");
}

static size_t line_end(const char *data, size_t size, size_t at) {
  if (at && data[at - 1] == '\n') return at;
  const char *found = memchr(data + at, '\n', size - at);
  return found ? (size_t)(found - data) + 1 : size;
}

/* Adds data[from, to) behind "- ", each further line moved as far to the right (or left) as the first one is. */
static void add_moved(nnm_text *text, const char *data, size_t from, size_t to, size_t from_column, size_t to_column) {
  for (size_t at = from; at < to; at++) {
    nnm_text_add_bytes(text, data + at, 1);
    if (data[at] != '\n' || at + 1 == to || data[at + 1] == '\n' || data[at + 1] == '\r') continue;
    if (to_column >= from_column) add_spaces(text, to_column - from_column);
    else
      for (size_t left = from_column - to_column; left && at + 1 < to && data[at + 1] == ' '; left--) at++;
  }
}

/* The entry as an item of a list whose '-' stand in that column. */
static void add_entry(nnm_text *text, const char *document, const nnm_yaml_node *node, const char *location,
                      size_t column) {
  const nnm_yaml_node *old = nnm_yaml_get(node, "package_location");
  size_t end = line_end(document, strlen(document), node->end);
  if (node->is_flow) end = node->end;
  add_spaces(text, column);
  nnm_text_add(text, "- ");
  add_moved(text, document, node->start, old->start, node->column, column + 2);
  add_quoted(text, location);
  add_moved(text, document, old->end, end, node->column, column + 2);
  if (!text->failed && text->data[text->length - 1] != '\n') nnm_text_add(text, "\n");
}

static bool is_same_text(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

/* Whether a list has at that place the entry that it should. */
static bool has_entry(const nnm_predictors_yaml *list, size_t at, const nnm_yaml_predictor *wanted,
                      const char *location) {
  if (at >= list->count) return false;
  const nnm_yaml_predictor *found = &list->entries[at];
  return is_same_text(found->name, wanted->name) && is_same_text(found->version, wanted->version) &&
         is_same_text(found->location, location) && found->node->count == wanted->node->count;
}

/* What was changed as text is read again before it replaces anything: the entries that were to stay must be there. */
static nnm_status check_result(const nnm_predictors_yaml *list, const bool *removed, const char *text,
                               const nnm_yaml_predictor *added, const char *location, nnm_error *error) {
  nnm_arena arena = {0};
  nnm_predictors_yaml result;
  nnm_status status = nnm_predictors_yaml_parse(list->path, text, strlen(text), &arena, &result, NULL);
  bool is_good = status == NNM_OK;
  size_t at = 0;
  for (size_t i = 0; is_good && i < list->count; i++)
    if (!removed || !removed[i]) is_good = has_entry(&result, at++, &list->entries[i], list->entries[i].location);
  if (is_good && added) is_good = has_entry(&result, at++, added, location);
  is_good = is_good && at == result.count;
  nnm_arena_free(&arena);
  if (is_good) return NNM_OK;
  if (status == NNM_ERROR_MEMORY) return nnm_fail_memory(error);
  nnm_fail(error, NNM_ERROR_UNSUPPORTED, NULL,
           "is written in a way that cannot be changed safely, so it was left as it is; write each entry as lines "
           "that begin with '- name:'");
  return nnm_fail_in_file(error, NNM_ERROR_UNSUPPORTED, list->path);
}

static nnm_status take_checked(nnm_text *text, const nnm_predictors_yaml *list, const bool *removed,
                               const nnm_yaml_predictor *added, const char *location, char **out, nnm_error *error) {
  char *result = nnm_text_take(text);
  if (!result) return nnm_fail_memory(error);
  nnm_status status = check_result(list, removed, result, added, location, error);
  if (status == NNM_OK) *out = result;
  else free(result);
  return status;
}

nnm_status nnm_predictors_yaml_add(const nnm_predictors_yaml *list, const char *document, const nnm_yaml_node *node,
                                   const char *location, char **out, nnm_error *error) {
  const nnm_yaml_node *root = list->root;
  bool is_empty_flow = root && root->is_flow && !root->count; /* "[]", which gives way */
  size_t at = root ? root->end : list->size, resume = at;
  if (is_empty_flow) at = root->start;
  else if (root) at = resume = line_end(list->data, list->size, root->end);
  nnm_yaml_predictor added;
  nnm_arena arena = {0};
  nnm_status status = nnm_yaml_predictor_read(node, &arena, &added, error);
  if (status == NNM_OK) {
    nnm_text text = {0};
    nnm_text_add_bytes(&text, list->data, at);
    if (at && list->data[at - 1] != '\n') nnm_text_add(&text, "\n");
    add_entry(&text, document, node, location, root && !root->is_flow ? root->column : 0);
    if (is_empty_flow && resume < list->size && list->data[resume] == '\n') resume++;
    nnm_text_add_bytes(&text, list->data + resume, list->size - resume);
    status = take_checked(&text, list, NULL, &added, location, out, error);
  }
  nnm_arena_free(&arena);
  return status;
}

/* Where the line of an item's '-' begins; the item's own start if there is no such line. */
static size_t item_start(const nnm_predictors_yaml *list, const nnm_yaml_node *item) {
  size_t column = list->root->column;
  for (size_t at = item->start;;) {
    size_t line = at;
    while (line && list->data[line - 1] != '\n') line--;
    if (line + column < list->size && strspn(list->data + line, " ") == column && list->data[line + column] == '-')
      return line;
    if (line <= list->root->start) return item->start;
    at = line - 1;
  }
}

nnm_status nnm_predictors_yaml_remove(const nnm_predictors_yaml *list, const bool *chosen, char **out,
                                      nnm_error *error) {
  nnm_text text = {0};
  size_t at = 0, left = 0;
  for (size_t i = 0; i < list->count; i++) {
    if (!chosen[i]) left++;
    if (!chosen[i] || list->root->is_flow) continue;
    size_t start = item_start(list, list->entries[i].node);
    if (start > at) nnm_text_add_bytes(&text, list->data + at, start - at);
    at = line_end(list->data, list->size, list->entries[i].node->end);
  }
  if (!left) { /* the old tool cannot read a file that holds nothing */
    if (text.length && text.data[text.length - 1] != '\n') nnm_text_add(&text, "\n");
    nnm_text_add(&text, "[]\n");
  }
  nnm_text_add_bytes(&text, list->data + at, list->size - at);
  return take_checked(&text, list, chosen, NULL, NULL, out, error);
}
