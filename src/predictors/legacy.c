#include "predictors/legacy.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mapped_file.h"
#include "predictors/home.h"
#include "predictors/import.h"
#include "predictors/predictor.h"
#include "predictors/registry.h"

/* ---------------------------------------------------------------- the folder */

static bool is_pickle(const char *file) {
  size_t length = strlen(file);
  return length > 4 && file[0] != '.' && !strcmp(file + length - 4, ".pkl");
}

/* Mixes bytes into a number that changes when they do (FNV-1a). */
static uint64_t mix(uint64_t state, const void *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) state = (state ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
  return state;
}

/* A number for one file as it is now; 0 when it is not there. */
static uint64_t file_state(const nnm_legacy_folder *folder, const char *file, const char *suffix) {
  char path[PATH_MAX];
  int length = snprintf(path, sizeof path, "%s/%s%s", folder->path, file, suffix);
  struct stat info;
  if (length < 0 || (size_t)length >= sizeof path || stat(path, &info)) return 0;
  const int64_t facts[] = {(int64_t)info.st_size, (int64_t)info.st_mtim.tv_sec, (int64_t)info.st_mtim.tv_nsec,
                           (int64_t)info.st_ino};
  uint64_t state = mix(UINT64_C(0xcbf29ce484222325), file, strlen(file));
  return mix(state, facts, sizeof facts) | 1;
}

/* A number for all pickles and the rules; the same in whatever order the folder lists them. */
static uint64_t folder_state(const nnm_legacy_folder *folder, size_t *pickles) {
  uint64_t state = mix(UINT64_C(0xcbf29ce484222325), folder->path, strlen(folder->path));
  *pickles = 0;
  DIR *directory = opendir(folder->path);
  if (!directory) return 0;
  for (struct dirent *file; (file = readdir(directory));) {
    if (!is_pickle(file->d_name)) continue;
    ++*pickles;
    state += file_state(folder, file->d_name, "");
  }
  closedir(directory);
  return state + file_state(folder, "fusion_rules", ".json");
}

bool nnm_legacy_has_pickles(const char *path) {
  bool found = false;
  DIR *directory = opendir(path);
  if (!directory) return false;
  for (struct dirent *file; !found && (file = readdir(directory));) found = is_pickle(file->d_name);
  closedir(directory);
  return found;
}

static nnm_status fail_missing(const nnm_legacy_folder *folder, const char *file, const char *suffix,
                               nnm_error *error) {
  char name[300];
  snprintf(name, sizeof name, "%.200s%s", file, suffix);
  nnm_fail(error, NNM_ERROR_NOT_FOUND, name, "is missing; copy it beside the others, or unregister '%s'", folder->name);
  return nnm_fail_in_file(error, NNM_ERROR_NOT_FOUND, folder->path);
}

nnm_status nnm_legacy_check(const nnm_legacy_folder *folder, nnm_error *error) {
  size_t pickles;
  if (access(folder->path, F_OK)) {
    nnm_fail(error, NNM_ERROR_NOT_FOUND, NULL,
             "the folder of predictor '%s' is not there; bring it back, or unregister it", folder->name);
    return nnm_fail_in_file(error, NNM_ERROR_NOT_FOUND, folder->path);
  }
  folder_state(folder, &pickles);
  if (!pickles) return fail_missing(folder, "any pickle", " (.pkl)", error);
  if (!file_state(folder, "fusion_rules", ".json")) return fail_missing(folder, "fusion_rules", ".json", error);
  for (size_t i = 0; i < folder->kernel_count; i++) {
    if (!file_state(folder, folder->kernels[i], ".pkl")) return fail_missing(folder, folder->kernels[i], ".pkl", error);
  }
  return NNM_OK;
}

/* ---------------------------------------------------------------- the cache */

/* Whether a file of HOME/cache is of that predictor: NAME-VERSION-16 digits.nnmeter. Names hold no path. */
static bool is_cached_as(const char *file, const char *prefix) {
  size_t length = strlen(prefix);
  return !strncmp(file, prefix, length) && strspn(file + length, "0123456789abcdef") == 16 &&
         !strcmp(file + length + 16, NNM_PREDICTOR_SUFFIX);
}

static nnm_status forget(const char *name, const char *version, const char *home, nnm_arena *arena, nnm_error *error) {
  const char *cache, *prefix = nnm_arena_printf(arena, "%s-%s-", name, version);
  if (!prefix) return nnm_fail_memory(error);
  NNM_TRY(nnm_home_path(home, "cache", arena, &cache, error));
  DIR *directory = opendir(cache);
  if (!directory) return NNM_OK;
  for (struct dirent *file; (file = readdir(directory));) {
    if (!is_cached_as(file->d_name, prefix)) continue;
    const char *path = nnm_arena_printf(arena, "%s/%s", cache, file->d_name);
    if (path) unlink(path); /* only a cache: what stays costs room and nothing else */
  }
  closedir(directory);
  return NNM_OK;
}

nnm_status nnm_legacy_forget(const char *name, const char *version, const char *home, nnm_error *error) {
  nnm_arena arena = {0};
  nnm_status status = forget(name, version, home, &arena, error);
  nnm_arena_free(&arena);
  return status;
}

/* Opens bytes, which become the predictor's, or are freed. */
static nnm_status open_bytes(const nnm_legacy_folder *folder, unsigned char *bytes, size_t size, nnm_predictor **out,
                             nnm_error *error) {
  nnm_predictor *predictor;
  nnm_status status = nnm_predictor_read(bytes, size, folder->path, &predictor, error);
  if (status != NNM_OK) {
    free(bytes);
    return status;
  }
  predictor->file = (nnm_mapped_file){bytes, size, true};
  *out = predictor;
  return NNM_OK;
}

/* cache NULL: there is no home to keep it in. */
static void keep(const nnm_legacy_folder *folder, const char *home, const char *cache, const char *cached,
                 const void *bytes, size_t size) {
  if (!cache || nnm_make_folders(cache, NULL) != NNM_OK) return;
  if (nnm_legacy_forget(folder->name, folder->version, home, NULL) == NNM_OK)
    (void)nnm_write_file(cached, bytes, size, NULL);
}

static nnm_status open_folder(const nnm_legacy_folder *folder, const char *home, nnm_arena *arena, nnm_predictor **out,
                              nnm_error *error) {
  NNM_TRY(nnm_legacy_check(folder, error));
  size_t pickles;
  uint64_t state = folder_state(folder, &pickles);
  const char *cached = NULL, *cache;
  NNM_TRY(nnm_home_folder(home, arena, &cache, error));
  if (cache) {
    cache = nnm_arena_printf(arena, "%s/cache", cache);
    cached = nnm_arena_printf(arena, "%s/%s-%s-%016llx" NNM_PREDICTOR_SUFFIX, cache ? cache : "", folder->name,
                              folder->version, (unsigned long long)state);
    if (!cache || !cached) return nnm_fail_memory(error);
    nnm_status status = nnm_predictor_open_file(cached, folder->path, out, NULL);
    if (status == NNM_OK) return NNM_OK;
    if (status == NNM_ERROR_MEMORY) return nnm_fail_memory(error);
  }
  unsigned char *bytes;
  size_t size;
  NNM_TRY(nnm_import_folder(folder->path, folder->name, folder->version, &bytes, &size, error));
  keep(folder, home, cache, cached, bytes, size);
  return open_bytes(folder, bytes, size, out, error);
}

nnm_status nnm_legacy_open(const nnm_legacy_folder *folder, const char *home, nnm_predictor **out, nnm_error *error) {
  nnm_arena arena = {0};
  nnm_status status = open_folder(folder, home, &arena, out, error);
  nnm_arena_free(&arena);
  return status;
}
