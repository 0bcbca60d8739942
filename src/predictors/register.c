/* Registering predictors and removing them again. What lies elsewhere gets an entry in predictors.yaml, a predictor file
 * is copied under HOME/predictors. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "predictors/container.h"
#include "predictors/import.h"
#include "predictors/predictor_list.h"
#include "predictors/predictors_yaml.h"
#include "predictors/registry.h"

typedef struct registration {
  nnm_arena arena;
  const char *home;        /* as the caller gave it */
  const char *table;       /* HOME/config/predictors.yaml, what a link leads to */
  int lock;                /* descriptor of HOME/config, locked; -1 */
  const char *path;        /* the file to register */
  const char *text;        /* its content */
  nnm_yaml_predictor meta; /* what it says */
} registration;

/* ---------------------------------------------------------------- the table */

/* Two programs that change the list at once would lose one of the changes: the folder is locked while one does. */
static nnm_status lock_table(registration *job, nnm_error *error) {
  const char *folder;
  NNM_TRY(nnm_home_path(job->home, "config", &job->arena, &folder, error));
  NNM_TRY(nnm_make_folders(folder, error));
  job->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (job->lock < 0 || flock(job->lock, LOCK_EX)) {
    nnm_fail(error, NNM_ERROR_IO, NULL, "cannot lock the folder: %s; check its permissions", strerror(errno));
    return nnm_fail_in_file(error, NNM_ERROR_IO, folder);
  }
  const char *table = nnm_arena_printf(&job->arena, "%s/predictors.yaml", folder);
  if (!table) return nnm_fail_memory(error);
  char *real = realpath(table, NULL); /* a link stays a link: what it leads to is replaced */
  job->table = real ? nnm_arena_text(&job->arena, real, strlen(real)) : table;
  free(real);
  return job->table ? NNM_OK : nnm_fail_memory(error);
}

static void finish(registration *job) {
  if (job->lock >= 0) close(job->lock); /* unlocks it */
  nnm_arena_free(&job->arena);
}

static nnm_status write_table(const registration *job, char *text, nnm_error *error) {
  nnm_status status = nnm_write_file(job->table, text, strlen(text), error);
  free(text);
  return status;
}

/* ---------------------------------------------------------------- registering */

static nnm_status read_meta(registration *job, nnm_error *error) {
  nnm_mapped_file file;
  NNM_TRY(nnm_map_file(job->path, &file, error));
  nnm_status status = NNM_OK;
  if (file.size > NNM_LIMIT_YAML_BYTES)
    status = nnm_fail(error, NNM_ERROR_LIMIT, NULL,
                      "is too large to be a predictor's description; name a .yaml file, or a predictor file whose name "
                      "ends in %s",
                      NNM_PREDICTOR_SUFFIX);
  else if (!(job->text = nnm_arena_text(&job->arena, (const char *)file.data, file.size)))
    status = nnm_fail_memory(error);
  nnm_yaml_node *root;
  if (status == NNM_OK) status = nnm_yaml_parse(job->text, file.size, &job->arena, &root, error);
  nnm_unmap_file(&file);
  NNM_TRY(status);
  NNM_TRY(nnm_yaml_predictor_read(root, &job->arena, &job->meta, error));
  if (job->meta.fault) return nnm_fail(error, NNM_ERROR_FORMAT, NULL, "%s", job->meta.fault);
  if (!job->meta.location)
    return nnm_fail(error, NNM_ERROR_FORMAT, NULL,
                    "has no package_location; add package_location: FOLDER, the one with the pickles and "
                    "fusion_rules.json");
  return NNM_OK;
}

/* location as seen from the file, absolute. */
static nnm_status resolve_location(registration *job, const char **location, nnm_error *error) {
  const char *slash = strrchr(job->path, '/');
  const char *folder = slash ? nnm_arena_text(&job->arena, job->path, (size_t)(slash - job->path) + 1) : ".";
  const char *named = folder ? nnm_resolve_path(folder, job->meta.location, &job->arena) : NULL;
  if (!named) return nnm_fail_memory(error);
  char *real = realpath(named, NULL);
  if (!real)
    return nnm_fail(error, NNM_ERROR_NOT_FOUND, "package_location", "%.400s: %s; name the folder of the predictor",
                    named, strerror(errno));
  *location = nnm_arena_text(&job->arena, real, strlen(real));
  free(real);
  return *location ? NNM_OK : nnm_fail_memory(error);
}

static nnm_status check_name(const nnm_predictor *predictor, const nnm_yaml_predictor *meta, nnm_error *error) {
  const nnm_predictor_info *info = nnm_predictor_get_info(predictor);
  if (!strcasecmp(info->name, meta->name) && !nnm_compare_versions(info->version, meta->version)) return NNM_OK;
  return nnm_fail(error, NNM_ERROR_FORMAT, NULL,
                  "names predictor '%s' %s, but the predictor file is '%s' %s; write what the file says", meta->name,
                  meta->version, info->name, info->version);
}

/* Opens it as a prediction would, so that what is broken is not registered. */
static nnm_status try_out(registration *job, const char *location, nnm_error *error) {
  const nnm_yaml_predictor *meta = &job->meta;
  const char *file;
  nnm_predictor *predictor;
  NNM_TRY(nnm_find_predictor_file(location, meta->name, meta->version, &job->arena, &file, error));
  if (file) {
    NNM_TRY(nnm_predictor_open_file(file, file, &predictor, error));
    nnm_status status = check_name(predictor, meta, error);
    nnm_predictor_free(predictor);
    return status;
  }
  const nnm_legacy_folder legacy = {location, meta->name, meta->version, meta->kernels, meta->kernel_count};
  NNM_TRY(nnm_legacy_open(&legacy, job->home, &predictor, error));
  nnm_predictor_free(predictor);
  return NNM_OK;
}

/* Also entries that cannot be used now, and official ones that are not fetched, keep their name. */
static nnm_status check_table(const nnm_predictors_yaml *list, const nnm_yaml_predictor *meta, nnm_error *error) {
  for (size_t i = 0; i < list->count; i++) {
    const nnm_yaml_predictor *entry = &list->entries[i];
    if (!entry->name || !entry->version || strcasecmp(entry->name, meta->name) ||
        nnm_compare_versions(entry->version, meta->version))
      continue;
    nnm_fail(error, NNM_ERROR_ARGUMENT, NULL,
             "predictor '%s' has a version %s already (line %zu); give another version, or remove that one with "
             "nn-meter unregister",
             entry->name, entry->version, entry->node->line);
    return nnm_fail_in_file(error, NNM_ERROR_ARGUMENT, list->path);
  }
  return NNM_OK;
}

static nnm_status register_meta(registration *job, nnm_error *error) {
  const char *location;
  NNM_TRY(nnm_fail_in_file(error, read_meta(job, error), job->path));
  NNM_TRY(nnm_fail_in_file(error, resolve_location(job, &location, error), job->path));
  NNM_TRY(lock_table(job, error));
  nnm_predictors_yaml list;
  NNM_TRY(nnm_predictors_yaml_read(job->table, &job->arena, &list, error));
  NNM_TRY(check_table(&list, &job->meta, error));
  NNM_TRY(nnm_check_predictor_unused(job->meta.name, job->meta.version, job->home, error));
  NNM_TRY(nnm_fail_in_file(error, try_out(job, location, error), job->path));
  char *text;
  NNM_TRY(nnm_predictors_yaml_add(&list, job->text, job->meta.node, location, &text, error));
  return write_table(job, text, error);
}

/* A predictor file is copied: it may come from a download folder that is emptied tomorrow. */
static nnm_status register_file(registration *job, char **name, nnm_error *error) {
  nnm_predictor *predictor;
  NNM_TRY(nnm_predictor_open_file(job->path, job->path, &predictor, error));
  const nnm_predictor_info *info = nnm_predictor_get_info(predictor);
  char *path = NULL;
  nnm_status status = nnm_check_predictor_unused(info->name, info->version, job->home, error);
  if (status == NNM_OK) status = nnm_new_predictor_path(job->home, info->name, info->version, &path, error);
  if (status == NNM_OK && !(*name = strdup(info->name))) status = nnm_fail_memory(error);
  if (status == NNM_OK) status = nnm_write_file(path, predictor->file.data, predictor->file.size, error);
  free(path);
  nnm_predictor_free(predictor);
  return status;
}

nnm_status nnm_predictor_register(const char *path, const char *home, char **name_out, nnm_error *error) {
  registration job = {.home = home, .lock = -1, .path = path};
  char *name = NULL;
  nnm_status status;
  if (nnm_is_predictor_path(path)) status = register_file(&job, &name, error);
  else {
    status = register_meta(&job, error);
    if (status == NNM_OK && name_out && !(name = strdup(job.meta.name))) status = nnm_fail_memory(error);
  }
  finish(&job);
  if (status == NNM_OK && name_out) *name_out = name;
  else free(name);
  return status;
}

/* ---------------------------------------------------------------- removing */

static bool is_meant(const char *name, const char *version, const char *wanted, const char *wanted_version) {
  return name && !strcasecmp(name, wanted) &&
         (!wanted_version || (version && !nnm_compare_versions(version, wanted_version)));
}

static nnm_status remove_entries(registration *job, const char *name, const char *version, size_t *removed,
                                 nnm_error *error) {
  nnm_predictors_yaml list;
  NNM_TRY(nnm_predictors_yaml_read(job->table, &job->arena, &list, error));
  bool *chosen = NNM_ARENA_ARRAY(&job->arena, bool, list.count);
  if (!chosen) return nnm_fail_memory(error);
  size_t count = 0;
  for (size_t i = 0; i < list.count; i++)
    count += chosen[i] = is_meant(list.entries[i].name, list.entries[i].version, name, version);
  if (!count) return NNM_OK;
  char *text;
  NNM_TRY(nnm_predictors_yaml_remove(&list, chosen, &text, error));
  NNM_TRY(write_table(job, text, error));
  for (size_t i = 0; i < list.count; i++)
    if (chosen[i] && !list.entries[i].fault)
      (void)nnm_legacy_forget(list.entries[i].name, list.entries[i].version, job->home, NULL);
  *removed += count;
  return NNM_OK;
}

/* Removes HOME/predictors/NAME-VERSION.nnmeter; what else carries the name is told of when nothing could be removed. */
static nnm_status remove_files(registration *job, const char *name, const char *version, size_t *removed,
                               const char **kept, nnm_error *error) {
  nnm_predictor_list *list;
  const char *folder;
  NNM_TRY(nnm_home_path(job->home, "predictors/", &job->arena, &folder, error));
  NNM_TRY(nnm_predictor_list_fill(job->home, false, &list, error));
  nnm_status status = NNM_OK;
  for (size_t i = 0; status == NNM_OK && i < list->count; i++) {
    const nnm_list_entry *entry = &list->entries[i];
    if (entry->damaged || !is_meant(entry->info.name, entry->info.version, name, version)) continue;
    bool is_copy = entry->path && !strncmp(entry->path, folder, strlen(folder));
    if (!is_copy) {
      *kept = nnm_arena_text(&job->arena, entry->info.origin, strlen(entry->info.origin));
    } else if (unlink(entry->path)) {
      nnm_fail(error, NNM_ERROR_IO, NULL, "cannot remove: %s; check the folder's permissions", strerror(errno));
      status = nnm_fail_in_file(error, NNM_ERROR_IO, entry->path);
    } else {
      ++*removed;
    }
  }
  nnm_predictor_list_free(list);
  return status;
}

static nnm_status fail_nothing_removed(const char *name, const char *version, const char *kept, nnm_error *error) {
  if (kept && !strcmp(kept, "built in"))
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "predictor '%.64s' is built in and cannot be removed", name);
  if (kept)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL,
                    "predictor '%.64s' was fetched; to remove it, remove the folder %s", name, kept);
  return nnm_fail(error, NNM_ERROR_NOT_FOUND, NULL,
                  "no predictor '%.64s'%s%.32s is registered; see nn-meter "
                  "--list-predictors",
                  name, version ? " of version " : "", version ? version : "");
}

nnm_status nnm_predictor_unregister(const char *name, const char *version, const char *home, size_t *removed_out,
                                    nnm_error *error) {
  registration job = {.home = home, .lock = -1};
  size_t removed = 0;
  const char *kept = NULL;
  nnm_status status = lock_table(&job, error);
  if (status == NNM_OK) status = remove_entries(&job, name, version, &removed, error);
  if (status == NNM_OK) status = remove_files(&job, name, version, &removed, &kept, error);
  if (status == NNM_OK && !removed) status = fail_nothing_removed(name, version, kept, error);
  finish(&job);
  if (status == NNM_OK && removed_out) *removed_out = removed;
  return status;
}
