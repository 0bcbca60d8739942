#include "predictors/home.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/yaml.h"

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value && value[0] ? value : NULL;
}

static bool is_folder(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISDIR(info.st_mode);
}

nnm_status nnm_home_folder(const char *home, nnm_arena *arena, const char **out, nnm_error *error) {
  const char *given = home ? home : variable("NN_METER_HOME"), *user = variable("HOME"), *found = NULL;
  const char *data = variable("XDG_DATA_HOME");
  if (data && data[0] != '/') data = NULL; /* its specification says that a relative one counts for nothing */
  *out = NULL;
  if (given && given[0]) {
    found = nnm_arena_text(arena, given, strlen(given));
  } else if (user || data) {
    const char *usual = user ? nnm_arena_printf(arena, "%s/.nn_meter", user) : NULL;
    if (user && !usual) return nnm_fail_memory(error);
    found = data && !(usual && is_folder(usual)) ? nnm_arena_printf(arena, "%s/nn_meter", data) : usual;
  } else {
    return NNM_OK;
  }
  *out = found;
  return found ? NNM_OK : nnm_fail_memory(error);
}

nnm_status nnm_home_path(const char *home, const char *tail, nnm_arena *arena, const char **out, nnm_error *error) {
  const char *folder;
  NNM_TRY(nnm_home_folder(home, arena, &folder, error));
  if (!folder)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "no home folder to keep predictors in; set NN_METER_HOME");
  *out = nnm_arena_printf(arena, "%s/%s", folder, tail);
  return *out ? NNM_OK : nnm_fail_memory(error);
}

nnm_status nnm_predictors_folder(const char *home, char **out, nnm_error *error) {
  nnm_arena arena = {0};
  const char *folder;
  nnm_status status = nnm_home_folder(home, &arena, &folder, error);
  char *path = NULL;
  if (status == NNM_OK && folder) {
    const char *joined = nnm_arena_printf(&arena, "%s/predictors", folder);
    path = joined ? strdup(joined) : NULL;
    if (!path) status = nnm_fail_memory(error);
  }
  nnm_arena_free(&arena);
  if (status == NNM_OK) *out = path;
  return status;
}

const char *nnm_resolve_path(const char *folder, const char *path, nnm_arena *arena) {
  const char *user = variable("HOME");
  if (path[0] == '~' && path[1] == '/' && user) return nnm_arena_printf(arena, "%s%s", user, path + 1);
  if (path[0] == '/') return nnm_arena_text(arena, path, strlen(path));
  return nnm_arena_printf(arena, "%s/%s", folder, path);
}

/* The data_folder of settings.yaml; NULL when there is no such file or no such key. */
static nnm_status read_data_folder(const char *path, nnm_arena *arena, const char **out, nnm_error *error) {
  nnm_mapped_file file;
  *out = NULL;
  nnm_error fault;
  nnm_status status = nnm_map_file(path, &file, &fault);
  if (status == NNM_ERROR_NOT_FOUND) return NNM_OK;
  if (status != NNM_OK) {
    if (error) *error = fault;
    return status;
  }
  nnm_yaml_node *root;
  status = nnm_yaml_parse(file.data, file.size, arena, &root, error);
  nnm_unmap_file(&file);
  if (status == NNM_OK) *out = nnm_yaml_text(root, "data_folder");
  if (*out && !(*out)[0]) *out = NULL;
  return nnm_fail_in_file(error, status, path);
}

nnm_status nnm_fetched_folder(const char *home, nnm_arena *arena, const char **out, nnm_error *error) {
  const char *folder, *data = NULL;
  *out = NULL;
  NNM_TRY(nnm_home_folder(home, arena, &folder, error));
  if (!folder) return NNM_OK;
  const char *settings = nnm_arena_printf(arena, "%s/config/settings.yaml", folder);
  if (!settings) return nnm_fail_memory(error);
  NNM_TRY(read_data_folder(settings, arena, &data, error));
  data = nnm_resolve_path(folder, data ? data : "data", arena);
  *out = data ? nnm_arena_printf(arena, "%s/predictor", data) : NULL;
  return *out ? NNM_OK : nnm_fail_memory(error);
}

nnm_status nnm_make_folders(const char *path, nnm_error *error) {
  char *copy = strdup(path);
  if (!copy) return nnm_fail_memory(error);
  nnm_status status = NNM_OK;
  for (char *at = copy + (copy[0] != '\0'); status == NNM_OK; at++) {
    if (*at && *at != '/') continue;
    char kept = *at;
    *at = '\0';
    int failed = mkdir(copy, 0755) && errno != EEXIST, code = errno;
    if (failed) {
      nnm_fail(error, NNM_ERROR_IO, NULL, "cannot make the folder: %s; set NN_METER_HOME to one that can be written",
               strerror(code));
      status = nnm_fail_in_file(error, NNM_ERROR_IO, copy);
    }
    *at = kept;
    if (!kept) break;
  }
  free(copy);
  return status;
}
