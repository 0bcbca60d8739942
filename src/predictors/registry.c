#include "predictors/registry.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/mapped_file.h"
#include "base/text.h"
#include "predictors/container.h"
#include "predictors/predictor.h"

enum { MOST_REGISTERED = 4096 };

typedef struct list_entry {
  nnm_predictor_info info;
  const char *path; /* NULL: built in, at bytes */
  nnm_built_in_predictor bytes;
  bool damaged; /* info.card is the fault, info.name the file's name */
} list_entry;

struct nnm_predictor_list {
  nnm_arena arena;
  size_t count, capacity;
  list_entry *entries;
};

/* ---------------------------------------------------------------- places and versions */

nnm_status nnm_predictors_folder(const char *home, char **out, nnm_error *error) {
  const char *base = home ? home : getenv("NN_METER_HOME");
  const char *tail = "/predictors";
  if (!base || !base[0]) {
    base = getenv("HOME");
    tail = "/.nn_meter/predictors";
  }
  if (!base || !base[0]) {
    *out = NULL;
    return NNM_OK;
  }
  nnm_text path = {0};
  nnm_text_printf(&path, "%s%s", base, tail);
  *out = nnm_text_take(&path);
  return *out ? NNM_OK : nnm_fail_memory(error);
}

/* Digits at *text as a number of any length, compared without converting: leading zeros do not count. */
static int compare_digits(const char **a, const char **b) {
  while (**a == '0') ++*a;
  while (**b == '0') ++*b;
  size_t length_a = strspn(*a, "0123456789"), length_b = strspn(*b, "0123456789");
  int order = length_a != length_b ? (length_a < length_b ? -1 : 1) : memcmp(*a, *b, length_a);
  *a += length_a, *b += length_b;
  return order;
}

static int compare_words(const char **a, const char **b) {
  size_t length_a = strcspn(*a, "."), length_b = strcspn(*b, ".");
  size_t shorter = length_a < length_b ? length_a : length_b;
  int order = shorter ? memcmp(*a, *b, shorter) : 0;
  if (!order) order = (length_a > length_b) - (length_a < length_b);
  *a += length_a, *b += length_b;
  return order;
}

int nnm_compare_versions(const char *a, const char *b) {
  while (*a || *b) {
    int order = compare_digits(&a, &b);
    if (!order) order = compare_words(&a, &b);
    if (order) return order;
    if (*a == '.') a++;
    if (*b == '.') b++;
  }
  return 0;
}

/* ---------------------------------------------------------------- listing */

static nnm_status describe_built_in(list_entry *entry, nnm_arena *arena, nnm_error *error) {
  nnm_container container;
  NNM_TRY(nnm_container_open(entry->bytes.data, entry->bytes.size, arena, &container, error));
  entry->info = (nnm_predictor_info){container.name, container.version, container.kind, "built in", container.card};
  return NNM_OK;
}

static nnm_status read_registered(list_entry *entry, bool verify, nnm_arena *arena, nnm_error *error) {
  nnm_mapped_file file;
  NNM_TRY(nnm_map_file(entry->path, &file, error));
  nnm_container container;
  nnm_status status = nnm_container_open(file.data, file.size, arena, &container, error);
  if (status == NNM_OK && verify) status = nnm_container_verify(file.data, file.size, error);
  nnm_unmap_file(&file); /* the info texts are in the arena */
  if (status == NNM_OK)
    entry->info = (nnm_predictor_info){container.name, container.version, container.kind, entry->path, container.card};
  return status;
}

static nnm_status describe_damage(list_entry *entry, const nnm_error *fault, nnm_arena *arena, nnm_error *error) {
  const char *slash = strrchr(entry->path, '/');
  const char *base = slash ? slash + 1 : entry->path;
  entry->damaged = true;
  entry->info = (nnm_predictor_info){
      nnm_arena_text(arena, base, strlen(base) - strlen(NNM_PREDICTOR_SUFFIX)), "?", "damaged", entry->path,
      nnm_arena_printf(arena, "%s%s%s", fault->place, fault->place[0] ? ": " : "", fault->message)};
  return entry->info.name && entry->info.card ? NNM_OK : nnm_fail_memory(error);
}

static nnm_status describe_registered(list_entry *entry, bool verify, nnm_arena *arena, nnm_error *error) {
  nnm_error fault;
  nnm_status status = read_registered(entry, verify, arena, &fault);
  if (status == NNM_ERROR_MEMORY) return nnm_fail_memory(error);
  return status == NNM_OK ? NNM_OK : describe_damage(entry, &fault, arena, error);
}

static bool has_suffix(const char *name) {
  size_t length = strlen(name), suffix = strlen(NNM_PREDICTOR_SUFFIX);
  return length > suffix && !strcmp(name + length - suffix, NNM_PREDICTOR_SUFFIX);
}

static nnm_status add_entry(nnm_predictor_list *list, const list_entry *entry, nnm_error *error) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? list->capacity * 2 : 16;
    list_entry *grown = NNM_ARENA_ARRAY(&list->arena, list_entry, capacity);
    if (!grown) return nnm_fail_memory(error);
    if (list->count) memcpy(grown, list->entries, list->count * sizeof *grown);
    list->entries = grown;
    list->capacity = capacity;
  }
  list->entries[list->count++] = *entry;
  return NNM_OK;
}

/* Appends the paths of the predictor files in folder; a folder that is not there has none. */
static nnm_status add_registered(nnm_predictor_list *list, const char *folder, nnm_error *error) {
  DIR *directory = opendir(folder);
  if (!directory && (errno == ENOENT || errno == ENOTDIR)) return NNM_OK;
  if (!directory)
    return nnm_fail(error, NNM_ERROR_IO, folder, "cannot open: %s; set NN_METER_HOME to a folder that can be read",
                    strerror(errno));
  nnm_status status = NNM_OK;
  size_t registered = 0;
  for (struct dirent *file; status == NNM_OK && (file = readdir(directory));) {
    if (file->d_name[0] == '.' || !has_suffix(file->d_name)) continue;
    if (registered++ == MOST_REGISTERED) {
      status =
          nnm_fail(error, NNM_ERROR_LIMIT, folder, "more than %d predictors; move some elsewhere", MOST_REGISTERED);
      break;
    }
    const char *path = nnm_arena_printf(&list->arena, "%s/%s", folder, file->d_name);
    status = path ? add_entry(list, &(list_entry){.path = path}, error) : nnm_fail_memory(error);
  }
  closedir(directory);
  return status;
}

static int compare_entries(const void *left, const void *right) {
  const list_entry *a = left, *b = right;
  if (!a->path != !b->path) return a->path ? 1 : -1; /* built-in ones first */
  int order = strcasecmp(a->info.name, b->info.name);
  if (!order) order = nnm_compare_versions(a->info.version, b->info.version);
  if (!order && a->path) order = strcmp(a->path, b->path);
  return order;
}

static nnm_status fill_list(nnm_predictor_list *list, const char *home, bool verify, nnm_error *error) {
  size_t built_in_count;
  const nnm_built_in_predictor *built_in = nnm_built_in_predictors(&built_in_count);
  for (size_t i = 0; i < built_in_count; i++) {
    NNM_TRY(add_entry(list, &(list_entry){.bytes = built_in[i]}, error));
    NNM_TRY(describe_built_in(&list->entries[i], &list->arena, error));
  }
  char *folder;
  NNM_TRY(nnm_predictors_folder(home, &folder, error));
  nnm_status status = folder ? add_registered(list, folder, error) : NNM_OK;
  free(folder);
  for (size_t i = built_in_count; status == NNM_OK && i < list->count; i++)
    status = describe_registered(&list->entries[i], verify, &list->arena, error);
  if (status == NNM_OK && list->count) qsort(list->entries, list->count, sizeof *list->entries, compare_entries);
  return status;
}

static nnm_status create_list(const char *home, bool verify, nnm_predictor_list **out, nnm_error *error) {
  nnm_predictor_list *list = calloc(1, sizeof *list);
  if (!list) return nnm_fail_memory(error);
  nnm_status status = fill_list(list, home, verify, error);
  if (status == NNM_OK) *out = list;
  else nnm_predictor_list_free(list);
  return status;
}

nnm_status nnm_predictor_list_create(const char *home, nnm_predictor_list **out, nnm_error *error) {
  return create_list(home, true, out, error);
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

/* ---------------------------------------------------------------- finding by name */

/* Edit distance without regard to case, of the first 64 characters. */
static size_t distance(const char *a, const char *b) {
  enum { LONGEST = 64 };
  size_t length_a = strnlen(a, LONGEST), length_b = strnlen(b, LONGEST), row[LONGEST + 1];
  for (size_t j = 0; j <= length_b; j++) row[j] = j;
  for (size_t i = 1; i <= length_a; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= length_b; j++) {
      size_t above = row[j], best = diagonal + (strncasecmp(&a[i - 1], &b[j - 1], 1) != 0);
      if (above + 1 < best) best = above + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = above;
      row[j] = best;
    }
  }
  return row[length_b];
}

/* A beginning counts as near: "cortex" means "cortexA76cpu_tflite21". */
static const char *nearest_name(const nnm_predictor_list *list, const char *name) {
  const char *nearest = NULL;
  size_t best = strlen(name) / 2 + 1;
  for (size_t i = 0; i < list->count; i++) {
    if (list->entries[i].damaged) continue;
    const char *candidate = list->entries[i].info.name;
    size_t far = strlen(name) >= 3 && !strncasecmp(candidate, name, strlen(name)) ? 0 : distance(name, candidate);
    if (far < best) nearest = candidate, best = far;
  }
  return nearest;
}

/* "a, b, c": names, or the versions of one name; few, for a message of one line. */
static void list_known(const nnm_predictor_list *list, const char *name, char *buffer, size_t size) {
  size_t length = 0;
  const char *last = NULL;
  buffer[0] = '\0';
  for (size_t i = 0; i < list->count; i++) {
    const list_entry *entry = &list->entries[i];
    if (entry->damaged || (name && strcasecmp(entry->info.name, name))) continue;
    const char *label = name ? entry->info.version : entry->info.name;
    if (last && !strcmp(last, label)) continue;
    int wrote = snprintf(buffer + length, size - length, "%s%s", last ? ", " : "", label);
    if (wrote < 0 || (size_t)wrote >= size - length - 8) {
      snprintf(buffer + length, size - length, ", ...");
      return;
    }
    length += (size_t)wrote;
    last = label;
  }
}

static bool is_folder(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISDIR(info.st_mode);
}

static nnm_status fail_folder(const char *path, nnm_error *error) {
  return nnm_fail(
      error, NNM_ERROR_NOT_FOUND, NULL,
      "is a folder, not a predictor; import it: nn-meter import-predictor %.300s --name NAME, then give NAME", path);
}

static nnm_status fail_not_found(const nnm_predictor_list *list, const char *name, const char *version,
                                 nnm_error *error) {
  char known[400], nearest_text[100] = "";
  list_known(list, name, known, sizeof known);
  if (known[0]) /* the name is right, so the version is wrong */
    return nnm_fail(error, NNM_ERROR_NOT_FOUND, NULL, "predictor '%.64s' has no version %.32s; it has %s", name,
                    version, known);
  if (is_folder(name)) return fail_folder(name, error);
  const char *nearest = nearest_name(list, name);
  if (nearest) snprintf(nearest_text, sizeof nearest_text, " did you mean '%s'?", nearest);
  list_known(list, NULL, known, sizeof known);
  return nnm_fail(error, NNM_ERROR_NOT_FOUND, NULL,
                  "no predictor '%.64s';%s known: %s; see nn-meter --list-predictors, or give the path of a %s file",
                  name, nearest_text, known[0] ? known : "none", NNM_PREDICTOR_SUFFIX);
}

/* The newest, or the version asked for. Of equal versions the last wins: a registered one was put there on purpose. */
static const list_entry *find_entry(const nnm_predictor_list *list, const char *name, const char *version) {
  const list_entry *found = NULL;
  for (size_t i = 0; i < list->count; i++) {
    const list_entry *entry = &list->entries[i];
    if (entry->damaged || strcasecmp(entry->info.name, name)) continue;
    if (version && nnm_compare_versions(entry->info.version, version)) continue;
    if (!found || nnm_compare_versions(entry->info.version, found->info.version) >= 0) found = entry;
  }
  return found;
}

static nnm_status open_file(const char *path, nnm_predictor **out, nnm_error *error) {
  nnm_mapped_file file;
  NNM_TRY(nnm_map_file(path, &file, error));
  nnm_predictor *predictor;
  nnm_status status = nnm_predictor_read(file.data, file.size, path, &predictor, error);
  if (status != NNM_OK) {
    nnm_unmap_file(&file);
    return status;
  }
  predictor->file = file;
  *out = predictor;
  return NNM_OK;
}

static nnm_status open_path(const char *path, const char *version, nnm_predictor **out, nnm_error *error) {
  nnm_predictor *predictor;
  if (is_folder(path)) return nnm_fail_in_file(error, fail_folder(path, error), path);
  NNM_TRY(open_file(path, &predictor, error));
  if (version && nnm_compare_versions(predictor->info.version, version)) {
    nnm_fail(error, NNM_ERROR_NOT_FOUND, NULL, "is version %s, not %.32s; leave the version out",
             predictor->info.version, version);
    nnm_predictor_free(predictor);
    return nnm_fail_in_file(error, NNM_ERROR_NOT_FOUND, path);
  }
  *out = predictor;
  return NNM_OK;
}

nnm_status nnm_predictor_open(const char *name, const char *version, const char *home, nnm_predictor **out,
                              nnm_error *error) {
  if (strchr(name, '/') || has_suffix(name)) return open_path(name, version, out, error);
  nnm_predictor_list *list;
  NNM_TRY(create_list(home, false, &list, error)); /* whoever is opened is verified then */
  const list_entry *entry = find_entry(list, name, version);
  nnm_status status;
  if (!entry) status = fail_not_found(list, name, version ? version : "", error);
  else if (entry->path) status = open_file(entry->path, out, error);
  else status = nnm_predictor_read(entry->bytes.data, entry->bytes.size, "built in", out, error);
  nnm_predictor_list_free(list);
  return status;
}
