#include "predictors/container.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/checked.h"
#include "base/cursor.h"
#include "base/json.h"
#include "base/limits.h"
#include "predictors/predictor.h"

/* Offsets in bytes; docs/predictor-format.md. */
enum { FORMAT_VERSION = 1, HEADER_SIZE = 32, SECTION_ENTRY_SIZE = 32, SECTION_NAME_SIZE = 16, SECTION_ALIGNMENT = 16 };
enum { MOST_SECTIONS = 64, MOST_INFO_BYTES = 1 << 20 };

static const unsigned char magic[8] = "NNMETER";

static const nnm_predictor_kind *const kinds[] = {&nnm_predictor_network, &nnm_predictor_forest};

/* ---------------------------------------------------------------- names */

static nnm_status check_label(const char *label, const char *what, const char *allowed, size_t longest,
                              nnm_error *error) {
  size_t length = strlen(label);
  if (length == 0 || length > longest)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "the predictor's %s has %zu characters; give 1 to %zu", what,
                    length, longest);
  static const char alphanumeric[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  bool starts_well = strchr(alphanumeric, label[0]) != NULL;
  for (const char *at = label; *at; at++)
    if (!starts_well || (!strchr(alphanumeric, *at) && !strchr(allowed, *at)))
      return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL,
                      "'%s' cannot be a predictor's %s; use letters, digits and any of '%s', starting with a letter or "
                      "digit",
                      label, what, allowed);
  return NNM_OK;
}

nnm_status nnm_check_predictor_name(const char *name, nnm_error *error) {
  if (!strcmp(name, "all"))
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "'all' means every predictor; give another name");
  return check_label(name, "name", "._+-", 64, error);
}

/* No '-': in a file name the last one parts name and version. */
nnm_status nnm_check_predictor_version(const char *version, nnm_error *error) {
  return check_label(version, "version", "._+", 32, error);
}

/* ---------------------------------------------------------------- reading */

static nnm_status fail_format(nnm_error *error, const char *place, const char *fault) {
  return nnm_fail(error, NNM_ERROR_FORMAT, place, "%s; get the predictor file again or import it anew", fault);
}

static nnm_status check_header(const unsigned char *data, size_t size, uint32_t *section_count, nnm_error *error) {
  if (size < sizeof magic || memcmp(data, magic, sizeof magic))
    return nnm_fail(error, NNM_ERROR_FORMAT, NULL, "is not an nn-Meter predictor file; give one that ends in .nnmeter");
  nnm_cursor cursor = nnm_cursor_over(data, size);
  nnm_cursor_take(&cursor, sizeof magic);
  uint32_t version = nnm_cursor_u32(&cursor);
  *section_count = nnm_cursor_u32(&cursor);
  uint64_t file_size = nnm_cursor_u64(&cursor);
  nnm_cursor_u32(&cursor); /* checksum: nnm_container_verify */
  uint32_t zero = nnm_cursor_u32(&cursor);
  if (cursor.failed) return fail_format(error, "header", "the predictor file is cut short");
  if (version != FORMAT_VERSION)
    return nnm_fail(error, NNM_ERROR_UNSUPPORTED, "header",
                    "predictor format %u is not known, only %d; use a version of nn-Meter that fits the file",
                    (unsigned)version, FORMAT_VERSION);
  if (file_size != size)
    return nnm_fail(error, NNM_ERROR_FORMAT, "header",
                    "the predictor file should have %llu bytes and has %zu; get it again or import it anew",
                    (unsigned long long)file_size, size);
  if (zero) return fail_format(error, "header", "reserved bytes are in use");
  if (*section_count > MOST_SECTIONS)
    return nnm_fail(error, NNM_ERROR_LIMIT, "header", "%u sections, and at most %d are read; the file is damaged",
                    (unsigned)*section_count, MOST_SECTIONS);
  return NNM_OK;
}

/* Sections of other names are left alone: later versions may add some. */
static nnm_section *section_named(const char *name, nnm_section *info, nnm_container *container) {
  if (!strcmp(name, "info")) return info;
  if (!strcmp(name, "rules")) return &container->rules;
  if (!strcmp(name, "data")) return &container->data;
  return NULL;
}

static nnm_status read_section(nnm_cursor *table, const unsigned char *data, size_t size, size_t table_end,
                               nnm_section *info, nnm_container *container, nnm_error *error) {
  const unsigned char *raw_name = nnm_cursor_take(table, SECTION_NAME_SIZE);
  uint64_t offset = nnm_cursor_u64(table), length = nnm_cursor_u64(table);
  if (table->failed) return fail_format(error, "section table", "the predictor file is cut short");
  char name[SECTION_NAME_SIZE + 1] = {0};
  memcpy(name, raw_name, SECTION_NAME_SIZE);
  if (offset < table_end || offset > size || length > size - offset)
    return fail_format(error, name, "the section lies outside of the file");
  if (offset % SECTION_ALIGNMENT) return fail_format(error, name, "the section is not aligned to 16 bytes");
  nnm_section *section = section_named(name, info, container);
  if (!section) return NNM_OK;
  if (section->data) return fail_format(error, name, "the section is there twice");
  *section = (nnm_section){data + offset, (size_t)length};
  return NNM_OK;
}

/* fallback NULL: the text must be there. */
static nnm_status info_text(const json_t *info, const char *key, const char *fallback, nnm_arena *arena,
                            const char **out, nnm_error *error) {
  const json_t *value = json_object_get(info, key);
  const char *text = value ? json_string_value(value) : fallback;
  if (!text) return nnm_fail(error, NNM_ERROR_FORMAT, "info", "no text '%s'; the predictor file is damaged", key);
  *out = nnm_arena_text(arena, text, strlen(text));
  return *out ? NNM_OK : nnm_fail_memory(error);
}

static nnm_status read_info_texts(const json_t *info, nnm_arena *arena, nnm_container *out, nnm_error *error) {
  NNM_TRY(info_text(info, "name", NULL, arena, &out->name, error));
  NNM_TRY(info_text(info, "version", NULL, arena, &out->version, error));
  NNM_TRY(info_text(info, "kind", NULL, arena, &out->kind, error));
  NNM_TRY(info_text(info, "card", "", arena, &out->card, error));
  if (nnm_check_predictor_name(out->name, error) != NNM_OK ||
      nnm_check_predictor_version(out->version, error) != NNM_OK)
    return fail_format(error, "info", "the predictor's name or version is none that can be");
  return NNM_OK;
}

static nnm_status read_info(nnm_section info, nnm_arena *arena, nnm_container *out, nnm_error *error) {
  if (info.size > MOST_INFO_BYTES)
    return nnm_fail(error, NNM_ERROR_LIMIT, "info", "%zu bytes, and at most %d are read; the file is damaged",
                    info.size, MOST_INFO_BYTES);
  json_t *json;
  if (nnm_json_parse(info.data, info.size, &json, error) != NNM_OK)
    return fail_format(error, "info", "the section is not JSON");
  nnm_status status = read_info_texts(json, arena, out, error);
  json_decref(json);
  return status;
}

nnm_status nnm_container_open(const unsigned char *data, size_t size, nnm_arena *arena, nnm_container *out,
                              nnm_error *error) {
  uint32_t count = 0;
  NNM_TRY(check_header(data, size, &count, error));
  nnm_container container = {0};
  nnm_section info = {0};
  nnm_cursor table = nnm_cursor_over(data, size);
  nnm_cursor_take(&table, HEADER_SIZE);
  size_t table_end = HEADER_SIZE + (size_t)count * SECTION_ENTRY_SIZE;
  for (uint32_t i = 0; i < count; i++) NNM_TRY(read_section(&table, data, size, table_end, &info, &container, error));
  if (!info.data || !container.rules.data || !container.data.data)
    return fail_format(error, "section table", "one of the sections info, rules, data is missing");
  NNM_TRY(read_info(info, arena, &container, error));
  *out = container;
  return NNM_OK;
}

/* zlib takes lengths of 32 bits only. */
static uint32_t checksum_of(const unsigned char *bytes, size_t size) {
  uLong checksum = crc32(0, NULL, 0);
  while (size) {
    size_t piece = size < (1u << 30) ? size : (1u << 30);
    checksum = crc32(checksum, bytes, (uInt)piece);
    bytes += piece, size -= piece;
  }
  return (uint32_t)checksum;
}

nnm_status nnm_container_verify(const unsigned char *data, size_t size, nnm_error *error) {
  uint32_t expected;
  memcpy(&expected, data + 24, sizeof expected);
  uint32_t found = checksum_of(data + HEADER_SIZE, size - HEADER_SIZE);
  if (found == expected) return NNM_OK;
  return nnm_fail(error, NNM_ERROR_FORMAT, "header",
                  "checksum %08x, and the file says %08x: it is damaged; get it again or import it anew",
                  (unsigned)found, (unsigned)expected);
}

/* ---------------------------------------------------------------- the predictor */

static nnm_status find_kind(const char *name, const nnm_predictor_kind **out, nnm_error *error) {
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (!strcmp(kinds[i]->name, name)) {
      *out = kinds[i];
      return NNM_OK;
    }
  return nnm_fail(error, NNM_ERROR_UNSUPPORTED, "info",
                  "predictor kind '%s' is not known; use a version of nn-Meter that fits the file", name);
}

/* Kinds use their numbers in place, so the bytes must lie where numbers may lie. */
static nnm_status align(const unsigned char **data, size_t size, nnm_arena *arena, nnm_error *error) {
  if ((uintptr_t)*data % SECTION_ALIGNMENT == 0) return NNM_OK;
  unsigned char *copy = nnm_arena_alloc(arena, size + SECTION_ALIGNMENT, 1);
  if (!copy) return nnm_fail_memory(error);
  copy += (SECTION_ALIGNMENT - (uintptr_t)copy % SECTION_ALIGNMENT) % SECTION_ALIGNMENT;
  memcpy(copy, *data, size);
  *data = copy;
  return NNM_OK;
}

static nnm_status read_predictor(nnm_predictor *predictor, const unsigned char *data, size_t size, const char *origin,
                                 nnm_error *error) {
  NNM_TRY(align(&data, size, &predictor->arena, error));
  nnm_container container;
  NNM_TRY(nnm_container_open(data, size, &predictor->arena, &container, error));
  NNM_TRY(nnm_container_verify(data, size, error));
  const nnm_predictor_kind *kind;
  NNM_TRY(find_kind(container.kind, &kind, error));
  predictor->info = (nnm_predictor_info){container.name, container.version, kind->name,
                                         nnm_arena_text(&predictor->arena, origin, strlen(origin)), container.card};
  if (!predictor->info.origin) return nnm_fail_memory(error);
  NNM_TRY(nnm_fusion_rules_parse(container.rules.data, container.rules.size, &predictor->rules, error));
  NNM_TRY(kind->open(container.data.data, container.data.size, &predictor->state, error));
  predictor->section = container.data.data;
  predictor->section_size = container.data.size;
  predictor->kind = kind; /* only now: freeing closes the state by it */
  return NNM_OK;
}

nnm_status nnm_predictor_read(const unsigned char *data, size_t size, const char *origin, nnm_predictor **out,
                              nnm_error *error) {
  nnm_predictor *predictor = calloc(1, sizeof *predictor);
  if (!predictor) return nnm_fail_memory(error);
  nnm_status status = read_predictor(predictor, data, size, origin, error);
  if (status != NNM_OK) {
    nnm_predictor_free(predictor);
    return nnm_fail_in_file(error, status, origin);
  }
  *out = predictor;
  return NNM_OK;
}

const nnm_predictor_info *nnm_predictor_get_info(const nnm_predictor *predictor) { return &predictor->info; }

void nnm_predictor_free(nnm_predictor *predictor) {
  if (!predictor) return;
  if (predictor->kind) predictor->kind->close(predictor->state);
  nnm_fusion_rules_free(predictor->rules);
  nnm_unmap_file(&predictor->file);
  nnm_arena_free(&predictor->arena);
  free(predictor);
}

/* ---------------------------------------------------------------- writing */

static char *info_json(const nnm_predictor_sections *sections) {
  json_t *info = json_pack("{s:s, s:s, s:s, s:s}", "name", sections->name, "version", sections->version, "kind",
                           sections->kind, "card", sections->card ? sections->card : "");
  char *text = info ? json_dumps(info, JSON_COMPACT) : NULL;
  json_decref(info);
  return text;
}

static void put(unsigned char *to, const void *value, size_t size) { memcpy(to, value, size); }

enum { WRITTEN_SECTIONS = 3 };

static nnm_status lay_out(const nnm_section sections[WRITTEN_SECTIONS], uint64_t offsets[WRITTEN_SECTIONS],
                          size_t *total, nnm_error *error) {
  size_t at = HEADER_SIZE + WRITTEN_SECTIONS * SECTION_ENTRY_SIZE;
  for (size_t i = 0; i < WRITTEN_SECTIONS; i++) {
    offsets[i] = at;
    if (!nnm_add_size(at, sections[i].size, &at) || !nnm_add_size(at, SECTION_ALIGNMENT - 1, &at))
      return nnm_fail_memory(error);
    at = at / SECTION_ALIGNMENT * SECTION_ALIGNMENT;
  }
  *total = at;
  return NNM_OK;
}

static nnm_status write_file_bytes(const nnm_section sections[WRITTEN_SECTIONS], unsigned char **out, size_t *size,
                                   nnm_error *error) {
  static const char names[WRITTEN_SECTIONS][SECTION_NAME_SIZE] = {"info", "rules", "data"};
  uint64_t offsets[WRITTEN_SECTIONS];
  size_t total = 0;
  NNM_TRY(lay_out(sections, offsets, &total, error));
  unsigned char *bytes = calloc(1, total);
  if (!bytes) return nnm_fail_memory(error);
  put(bytes, magic, sizeof magic);
  put(bytes + 8, &(uint32_t){FORMAT_VERSION}, 4);
  put(bytes + 12, &(uint32_t){WRITTEN_SECTIONS}, 4);
  put(bytes + 16, &(uint64_t){total}, 8);
  for (size_t i = 0; i < WRITTEN_SECTIONS; i++) {
    unsigned char *entry = bytes + HEADER_SIZE + i * SECTION_ENTRY_SIZE;
    put(entry, names[i], SECTION_NAME_SIZE);
    put(entry + 16, &offsets[i], 8);
    put(entry + 24, &(uint64_t){sections[i].size}, 8);
    if (sections[i].size) memcpy(bytes + offsets[i], sections[i].data, sections[i].size);
  }
  put(bytes + 24, &(uint32_t){checksum_of(bytes + HEADER_SIZE, total - HEADER_SIZE)}, 4);
  *out = bytes;
  *size = total;
  return NNM_OK;
}

nnm_status nnm_predictor_write(const nnm_predictor_sections *sections, unsigned char **out, size_t *size,
                               nnm_error *error) {
  NNM_TRY(nnm_check_predictor_name(sections->name, error));
  NNM_TRY(nnm_check_predictor_version(sections->version, error));
  char *info = info_json(sections);
  if (!info) return nnm_fail_memory(error);
  const nnm_section parts[WRITTEN_SECTIONS] = {
      {(const unsigned char *)info, strlen(info)},
      {(const unsigned char *)sections->fusion_rules, strlen(sections->fusion_rules)},
      {sections->data, sections->size},
  };
  nnm_status status = write_file_bytes(parts, out, size, error);
  free(info);
  return status;
}
