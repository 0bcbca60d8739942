#include "predictors/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/mapped_file.h"
#include "predictors/predictor.h"
#include "predictors/predictor_list.h"

/* ---------------------------------------------------------------- versions */

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

bool nnm_is_predictor_path(const char *path) {
  size_t length = strlen(path), suffix = strlen(NNM_PREDICTOR_SUFFIX);
  return length > suffix && !strcmp(path + length - suffix, NNM_PREDICTOR_SUFFIX);
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
    const nnm_list_entry *entry = &list->entries[i];
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
static const nnm_list_entry *find_entry(const nnm_predictor_list *list, const char *name, const char *version) {
  const nnm_list_entry *found = NULL;
  for (size_t i = 0; i < list->count; i++) {
    const nnm_list_entry *entry = &list->entries[i];
    if (entry->damaged || strcasecmp(entry->info.name, name)) continue;
    if (version && nnm_compare_versions(entry->info.version, version)) continue;
    if (!found || nnm_compare_versions(entry->info.version, found->info.version) >= 0) found = entry;
  }
  return found;
}

nnm_status nnm_predictor_open_file(const char *path, const char *origin, nnm_predictor **out, nnm_error *error) {
  nnm_mapped_file file;
  NNM_TRY(nnm_map_file(path, &file, error));
  nnm_predictor *predictor;
  nnm_status status = nnm_predictor_read(file.data, file.size, origin, &predictor, error);
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
  NNM_TRY(nnm_predictor_open_file(path, path, &predictor, error));
  if (version && nnm_compare_versions(predictor->info.version, version)) {
    nnm_fail(error, NNM_ERROR_NOT_FOUND, NULL, "is version %s, not %.32s; leave the version out",
             predictor->info.version, version);
    nnm_predictor_free(predictor);
    return nnm_fail_in_file(error, NNM_ERROR_NOT_FOUND, path);
  }
  *out = predictor;
  return NNM_OK;
}

static nnm_status open_entry(const nnm_list_entry *entry, const char *home, nnm_predictor **out, nnm_error *error) {
  if (entry->legacy) return nnm_legacy_open(entry->legacy, home, out, error);
  if (entry->path) return nnm_predictor_open_file(entry->path, entry->path, out, error);
  return nnm_predictor_read(entry->bytes.data, entry->bytes.size, "built in", out, error);
}

/* A predictor that is registered but cannot be used says why. */
static nnm_status fail_damaged(const nnm_predictor_list *list, const char *name, nnm_error *error) {
  for (size_t i = 0; i < list->count; i++) {
    const nnm_list_entry *entry = &list->entries[i];
    if (!entry->damaged || !entry->is_named || strcasecmp(entry->info.name, name)) continue;
    nnm_fail(error, NNM_ERROR_NOT_FOUND, NULL, "%s", entry->info.card);
    return nnm_fail_in_file(error, NNM_ERROR_NOT_FOUND, entry->info.origin);
  }
  return NNM_OK;
}

nnm_status nnm_predictor_open(const char *name, const char *version, const char *home, nnm_predictor **out,
                              nnm_error *error) {
  if (strchr(name, '/') || nnm_is_predictor_path(name)) return open_path(name, version, out, error);
  nnm_predictor_list *list;
  NNM_TRY(nnm_predictor_list_fill(home, false, &list, error)); /* whoever is opened is verified then */
  const nnm_list_entry *entry = find_entry(list, name, version);
  nnm_status status = entry ? open_entry(entry, home, out, error) : fail_damaged(list, name, error);
  if (!entry && status == NNM_OK) status = fail_not_found(list, name, version ? version : "", error);
  nnm_predictor_list_free(list);
  return status;
}
