#include "predictors/predictor_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/mapped_file.h"
#include "predictors/container.h"
#include "predictors/predictors_yaml.h"
#include "predictors/registry.h"

enum { MOST_REGISTERED = 4096 };

static nnm_status add_entry(nnm_predictor_list *list, const nnm_list_entry *entry, nnm_error *error) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? list->capacity * 2 : 16;
    nnm_list_entry *grown = NNM_ARENA_ARRAY(&list->arena, nnm_list_entry, capacity);
    if (!grown) return nnm_fail_memory(error);
    if (list->count) memcpy(grown, list->entries, list->count * sizeof *grown);
    list->entries = grown;
    list->capacity = capacity;
  }
  list->entries[list->count++] = *entry;
  return NNM_OK;
}

/* An entry that cannot be used, with its fault as the card. */
static nnm_status add_damaged(nnm_predictor_list *list, const char *name, const char *version, const char *origin,
                              bool is_named, const nnm_error *fault, nnm_error *error) {
  nnm_list_entry entry = {.damaged = true, .is_named = is_named};
  const char *card =
      nnm_arena_printf(&list->arena, "%s%s%s", fault->place, fault->place[0] ? ": " : "", fault->message);
  if (!card) return nnm_fail_memory(error);
  entry.info = (nnm_predictor_info){name, version, "damaged", origin, card};
  return add_entry(list, &entry, error);
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* ---------------------------------------------------------------- built in */

static nnm_status add_built_in(nnm_predictor_list *list, nnm_error *error) {
  size_t count;
  const nnm_built_in_predictor *built_in = nnm_built_in_predictors(&count);
  for (size_t i = 0; i < count; i++) {
    nnm_container container;
    NNM_TRY(nnm_container_open(built_in[i].data, built_in[i].size, &list->arena, &container, error));
    nnm_list_entry entry = {.bytes = built_in[i]};
    entry.info = (nnm_predictor_info){container.name, container.version, container.kind, "built in", container.card};
    NNM_TRY(add_entry(list, &entry, error));
  }
  return NNM_OK;
}

/* ---------------------------------------------------------------- predictor files */

static nnm_status read_file(nnm_predictor_list *list, const char *path, bool verify, nnm_container *container,
                            nnm_error *error) {
  nnm_mapped_file file;
  NNM_TRY(nnm_map_file(path, &file, error));
  nnm_status status = nnm_container_open(file.data, file.size, &list->arena, container, error);
  if (status == NNM_OK && verify) status = nnm_container_verify(file.data, file.size, error);
  nnm_unmap_file(&file); /* the info texts are in the arena */
  return status;
}

/* expected: what predictors.yaml calls it; NULL: whatever it is called. */
static nnm_status add_file(nnm_predictor_list *list, const char *path, bool verify, const char *expected,
                           nnm_error *error) {
  nnm_error fault;
  nnm_container container;
  nnm_status status = read_file(list, path, verify, &container, &fault);
  if (status == NNM_ERROR_MEMORY) return nnm_fail_memory(error);
  if (status == NNM_OK && expected && strcasecmp(expected, container.name))
    status = nnm_fail(&fault, NNM_ERROR_FORMAT, NULL,
                      "is predictor '%s', not '%s'; correct the name in predictors.yaml", container.name, expected);
  if (status == NNM_OK) {
    nnm_list_entry entry = {.path = path};
    entry.info = (nnm_predictor_info){container.name, container.version, container.kind, path, container.card};
    return add_entry(list, &entry, error);
  }
  const char *base = base_name(path);
  const char *name = nnm_arena_text(&list->arena, base, strlen(base) - strlen(NNM_PREDICTOR_SUFFIX));
  return name ? add_damaged(list, expected ? expected : name, "?", path, expected != NULL, &fault, error)
              : nnm_fail_memory(error);
}

/* The predictor files in folder; a folder that is not there has none. */
static nnm_status add_files(nnm_predictor_list *list, const char *folder, bool verify, nnm_error *error) {
  DIR *directory = opendir(folder);
  if (!directory && (errno == ENOENT || errno == ENOTDIR)) return NNM_OK;
  if (!directory)
    return nnm_fail(error, NNM_ERROR_IO, folder, "cannot open: %s; set NN_METER_HOME to a folder that can be read",
                    strerror(errno));
  nnm_status status = NNM_OK;
  size_t registered = 0;
  for (struct dirent *file; status == NNM_OK && (file = readdir(directory));) {
    if (file->d_name[0] == '.' || !nnm_is_predictor_path(file->d_name)) continue;
    if (registered++ == MOST_REGISTERED) {
      status =
          nnm_fail(error, NNM_ERROR_LIMIT, folder, "more than %d predictors; move some elsewhere", MOST_REGISTERED);
      break;
    }
    const char *path = nnm_arena_printf(&list->arena, "%s/%s", folder, file->d_name);
    status = path ? add_file(list, path, verify, NULL, error) : nnm_fail_memory(error);
  }
  closedir(directory);
  return status;
}

/* ---------------------------------------------------------------- folders of pickles */

static nnm_status add_legacy(nnm_predictor_list *list, const nnm_legacy_folder *folder, nnm_error *error) {
  nnm_error fault;
  nnm_status status = nnm_legacy_check(folder, &fault);
  if (status == NNM_ERROR_MEMORY) return nnm_fail_memory(error);
  if (status != NNM_OK) return add_damaged(list, folder->name, folder->version, folder->path, true, &fault, error);
  nnm_legacy_folder *kept = nnm_arena_copy(&list->arena, folder, 1, sizeof *folder);
  if (!kept) return nnm_fail_memory(error);
  nnm_list_entry entry = {.legacy = kept};
  entry.info = (nnm_predictor_info){folder->name, folder->version, "forest", folder->path,
                                    "A predictor of nn-Meter 2.0, read from its pickles. Device, accuracy and unit are "
                                    "those of its makers."};
  return add_entry(list, &entry, error);
}

static bool is_there(const char *path) {
  struct stat info;
  return !stat(path, &info);
}

nnm_status nnm_find_predictor_file(const char *location, const char *name, const char *version, nnm_arena *arena,
                                   const char **out, nnm_error *error) {
  *out = NULL;
  const char *paths[] = {location, nnm_arena_printf(arena, "%s/%s-%s" NNM_PREDICTOR_SUFFIX, location, name, version),
                         nnm_arena_printf(arena, "%s/%s" NNM_PREDICTOR_SUFFIX, location, name)};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    if (!paths[i]) return nnm_fail_memory(error);
    if (!*out && nnm_is_predictor_path(paths[i]) && is_there(paths[i])) *out = paths[i];
  }
  return NNM_OK;
}

/* ---------------------------------------------------------------- predictors.yaml */

static nnm_status add_yaml_entry(nnm_predictor_list *list, const nnm_predictors_yaml *yaml,
                                 const nnm_yaml_predictor *entry, bool verify, nnm_error *error) {
  if (entry->fault) {
    nnm_error fault;
    char place[64];
    snprintf(place, sizeof place, "line %zu", entry->node->line);
    nnm_fail(&fault, NNM_ERROR_FORMAT, place, "%s", entry->fault);
    return add_damaged(list, entry->name ? entry->name : "predictors.yaml", "?", yaml->path, false, &fault, error);
  }
  if (!entry->location) return NNM_OK; /* an official one: there once it is fetched */
  const char *folder = nnm_arena_text(&list->arena, yaml->path, (size_t)(base_name(yaml->path) - yaml->path));
  const char *location = folder ? nnm_resolve_path(folder, entry->location, &list->arena) : NULL, *file;
  if (!location) return nnm_fail_memory(error);
  NNM_TRY(nnm_find_predictor_file(location, entry->name, entry->version, &list->arena, &file, error));
  if (file) return add_file(list, file, verify, entry->name, error);
  nnm_legacy_folder legacy = {location, entry->name, entry->version, entry->kernels, entry->kernel_count};
  return add_legacy(list, &legacy, error);
}

/* A file that cannot be read spoils none of the other predictors: it is listed with its fault. */
static nnm_status add_yaml(nnm_predictor_list *list, const char *path, bool verify, nnm_predictors_yaml *yaml,
                           nnm_error *error) {
  nnm_error fault;
  nnm_status status = nnm_predictors_yaml_read(path, &list->arena, yaml, &fault);
  if (status == NNM_ERROR_MEMORY) return nnm_fail_memory(error);
  if (status != NNM_OK) {
    *yaml = (nnm_predictors_yaml){.path = path, .data = ""};
    return add_damaged(list, "predictors.yaml", "?", path, false, &fault, error);
  }
  for (size_t i = 0; i < yaml->count; i++) NNM_TRY(add_yaml_entry(list, yaml, &yaml->entries[i], verify, error));
  return NNM_OK;
}

/* ---------------------------------------------------------------- fetched */

/* What predictors.yaml says of a fetched predictor; NULL for nothing. */
static const nnm_yaml_predictor *find_official(const nnm_predictors_yaml *yaml, const char *name) {
  for (size_t i = 0; i < yaml->count; i++) {
    const nnm_yaml_predictor *entry = &yaml->entries[i];
    if (!entry->fault && !entry->location && !strcasecmp(entry->name, name)) return entry;
  }
  return NULL;
}

static bool is_listed(const nnm_predictor_list *list, const nnm_legacy_folder *folder) {
  for (size_t i = 0; i < list->count; i++) {
    const nnm_list_entry *entry = &list->entries[i];
    if (entry->legacy && !strcasecmp(entry->info.name, folder->name) &&
        !nnm_compare_versions(entry->info.version, folder->version))
      return true;
  }
  return false;
}

static nnm_status add_fetched_one(nnm_predictor_list *list, const nnm_predictors_yaml *yaml, const char *folder,
                                  const char *file, nnm_error *error) {
  const char *path = nnm_arena_printf(&list->arena, "%s/%s", folder, file);
  const char *name = nnm_arena_text(&list->arena, file, strlen(file));
  if (!path || !name) return nnm_fail_memory(error);
  const nnm_yaml_predictor *official = find_official(yaml, name);
  nnm_legacy_folder legacy = {.path = path, .name = name, .version = NNM_FETCHED_VERSION};
  if (official) legacy.version = official->version;
  if (official) legacy.kernels = official->kernels, legacy.kernel_count = official->kernel_count;
  /* nn-Meter 2.0 leaves an empty folder behind when a download fails */
  if (!nnm_legacy_has_pickles(path) || is_listed(list, &legacy)) return NNM_OK;
  return add_legacy(list, &legacy, error);
}

static nnm_status add_fetched(nnm_predictor_list *list, const char *home, const nnm_predictors_yaml *yaml,
                              nnm_error *error) {
  const char *folder;
  nnm_error fault;
  nnm_status status = nnm_fetched_folder(home, &list->arena, &folder, &fault);
  if (status == NNM_ERROR_MEMORY) return nnm_fail_memory(error);
  if (status != NNM_OK) {
    const char *path = nnm_arena_text(&list->arena, fault.file, strlen(fault.file));
    return path ? add_damaged(list, "settings.yaml", "?", path, false, &fault, error) : nnm_fail_memory(error);
  }
  DIR *directory = folder ? opendir(folder) : NULL;
  if (!directory) return NNM_OK;
  size_t found = 0;
  for (struct dirent *file; status == NNM_OK && found < MOST_REGISTERED && (file = readdir(directory));) {
    if (file->d_name[0] == '.' || nnm_check_predictor_name(file->d_name, NULL) != NNM_OK) continue;
    found++;
    status = add_fetched_one(list, yaml, folder, file->d_name, error);
  }
  closedir(directory);
  return status;
}

/* ---------------------------------------------------------------- all of them */

static int compare_entries(const void *left, const void *right) {
  const nnm_list_entry *a = left, *b = right;
  if (!a->bytes.data != !b->bytes.data) return a->bytes.data ? -1 : 1;
  int order = strcasecmp(a->info.name, b->info.name);
  if (!order) order = nnm_compare_versions(a->info.version, b->info.version);
  return order ? order : strcmp(a->info.origin, b->info.origin);
}

static nnm_status fill_list(nnm_predictor_list *list, const char *home, bool verify, nnm_error *error) {
  NNM_TRY(add_built_in(list, error));
  const char *folder;
  NNM_TRY(nnm_home_folder(home, &list->arena, &folder, error));
  if (folder) {
    const char *files = nnm_arena_printf(&list->arena, "%s/predictors", folder);
    const char *table = nnm_arena_printf(&list->arena, "%s/config/predictors.yaml", folder);
    nnm_predictors_yaml yaml;
    if (!files || !table) return nnm_fail_memory(error);
    NNM_TRY(add_files(list, files, verify, error));
    NNM_TRY(add_yaml(list, table, verify, &yaml, error));
    NNM_TRY(add_fetched(list, home, &yaml, error));
  }
  if (list->count) qsort(list->entries, list->count, sizeof *list->entries, compare_entries);
  return NNM_OK;
}

nnm_status nnm_predictor_list_fill(const char *home, bool verify, nnm_predictor_list **out, nnm_error *error) {
  nnm_predictor_list *list = calloc(1, sizeof *list);
  if (!list) return nnm_fail_memory(error);
  nnm_status status = fill_list(list, home, verify, error);
  if (status == NNM_OK) *out = list;
  else nnm_predictor_list_free(list);
  return status;
}

nnm_status nnm_predictor_list_create(const char *home, nnm_predictor_list **out, nnm_error *error) {
  return nnm_predictor_list_fill(home, true, out, error);
}

size_t nnm_predictor_list_count(const nnm_predictor_list *list) { return list->count; }

const nnm_predictor_info *nnm_predictor_list_at(const nnm_predictor_list *list, size_t index) {
  return index < list->count ? &list->entries[index].info : NULL;
}

void nnm_predictor_list_free(nnm_predictor_list *list) {
  if (!list) return;
  nnm_arena_free(&list->arena);
  free(list);
}
