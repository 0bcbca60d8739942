#include "predictors/import.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/text.h"
#include "predictors/container.h"
#include "predictors/home.h"
#include "predictors/pickle_forest.h"
#include "predictors/predictor.h"
#include "predictors/registry.h"

enum { MOST_PICKLES = 256 };

typedef struct import {
  const char *folder;
  nnm_arena arena;
  size_t count;
  char *names[MOST_PICKLES]; /* kernel types: the files' names without .pkl, in order */
  nnm_forest forests[MOST_PICKLES];
  const char *library; /* the newest scikit-learn version among the pickles */
} import;

/* ---------------------------------------------------------------- the folder */

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* length of the name without .pkl; 0 when it is no pickle's name */
static size_t kernel_name_length(const char *file) {
  size_t length = strlen(file);
  return length > 4 && file[0] != '.' && !strcmp(file + length - 4, ".pkl") ? length - 4 : 0;
}

static nnm_status add_name(import *job, const char *file, size_t length, nnm_error *error) {
  if (length >= NNM_FOREST_NAME_SIZE)
    return nnm_fail(error, NNM_ERROR_LIMIT, file,
                    "the name is longer than %d characters; name it after its kernel type", NNM_FOREST_NAME_SIZE - 1);
  if (job->count == MOST_PICKLES)
    return nnm_fail(error, NNM_ERROR_LIMIT, NULL, "more than %d pickles; name the folder of one predictor",
                    MOST_PICKLES);
  job->names[job->count] = nnm_arena_text(&job->arena, file, length);
  return job->names[job->count++] ? NNM_OK : nnm_fail_memory(error);
}

static nnm_status list_pickles(import *job, nnm_error *error) {
  DIR *directory = opendir(job->folder);
  if (!directory) {
    int code = errno;
    return nnm_fail(error, code == ENOENT ? NNM_ERROR_NOT_FOUND : NNM_ERROR_IO, NULL,
                    "cannot open: %s; name the folder that holds the predictor's .pkl files", strerror(code));
  }
  nnm_status status = NNM_OK;
  for (struct dirent *file; status == NNM_OK && (file = readdir(directory));) {
    size_t length = kernel_name_length(file->d_name);
    if (length) status = add_name(job, file->d_name, length, error);
  }
  closedir(directory);
  if (status == NNM_OK && !job->count)
    return nnm_fail(error, NNM_ERROR_NOT_FOUND, NULL,
                    "no .pkl file in it; name the folder that holds the predictor's pickles and fusion_rules.json");
  qsort(job->names, job->count, sizeof job->names[0], compare_names); /* the same file whatever the folder's order */
  return status;
}

static char *path_in(import *job, const char *name, const char *suffix) {
  return nnm_arena_printf(&job->arena, "%s/%s%s", job->folder, name, suffix);
}

/* Repositories that keep large files elsewhere leave these in their place, nn-Meter's own among them. */
static nnm_status refuse_lfs_pointer(const nnm_mapped_file *file, nnm_error *error) {
  static const char beginning[] = "version https://git-lfs";
  if (file->size < sizeof beginning - 1 || memcmp(file->data, beginning, sizeof beginning - 1)) return NNM_OK;
  return nnm_fail(error, NNM_ERROR_FORMAT, NULL, "is a Git LFS pointer, not the file itself; run git lfs pull");
}

static nnm_status read_pickle(import *job, size_t index, nnm_error *error) {
  const char *path = path_in(job, job->names[index], ".pkl");
  if (!path) return nnm_fail_memory(error);
  nnm_mapped_file file;
  NNM_TRY(nnm_map_file(path, &file, error));
  const char *library = "";
  nnm_status status = refuse_lfs_pointer(&file, error);
  if (status == NNM_OK)
    status = nnm_forest_from_pickle(file.data, file.size, job->names[index], &job->arena, &job->forests[index],
                                    &library, error);
  nnm_unmap_file(&file);
  if (status == NNM_OK && nnm_compare_versions(library, job->library) > 0) job->library = library;
  return nnm_fail_in_file(error, status, path);
}

/* The rules as text, once they have been read without complaint; into the arena. */
static nnm_status read_rules(import *job, const char **text, nnm_error *error) {
  const char *path = path_in(job, "fusion_rules", ".json");
  if (!path) return nnm_fail_memory(error);
  nnm_mapped_file file;
  nnm_status status = nnm_map_file(path, &file, error);
  if (status == NNM_ERROR_NOT_FOUND) {
    nnm_fail(error, status, NULL, "is missing; every nn-Meter predictor comes with one, copy it beside the pickles");
    return nnm_fail_in_file(error, status, path);
  }
  if (status != NNM_OK) return status;
  nnm_fusion_rules *rules = NULL;
  status = refuse_lfs_pointer(&file, error);
  if (status == NNM_OK) status = nnm_fusion_rules_parse(file.data, file.size, &rules, error);
  if (status == NNM_OK && !(*text = nnm_arena_text(&job->arena, (const char *)file.data, file.size)))
    status = nnm_fail_memory(error);
  nnm_fusion_rules_free(rules);
  nnm_unmap_file(&file);
  return nnm_fail_in_file(error, status, path);
}

/* ---------------------------------------------------------------- the predictor file */

static const char *last_part(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static char *describe(import *job) {
  size_t trees = 0, nodes = 0;
  for (size_t i = 0; i < job->count; i++) {
    trees += job->forests[i].tree_count;
    nodes += job->forests[i].node_count;
  }
  return nnm_arena_printf(
      &job->arena,
      "Imported from the nn-Meter predictor folder '%s': %zu random forests%s%s, %zu trees with %zu "
      "nodes. Device, accuracy and unit are those of its makers; nn-Meter takes the unit for "
      "milliseconds.",
      last_part(job->folder), job->count, job->library[0] ? " of scikit-learn " : "", job->library, trees, nodes);
}

static nnm_status make_bytes(import *job, const char *name, const char *version, const char *rules,
                             unsigned char **bytes, size_t *size, nnm_error *error) {
  nnm_predictor_sections sections = {
      .kind = "forest", .name = name, .version = version, .card = describe(job), .fusion_rules = rules};
  if (!sections.card) return nnm_fail_memory(error);
  unsigned char *section;
  NNM_TRY(nnm_forest_section_write(job->forests, job->count, &section, &sections.size, error));
  sections.data = section;
  nnm_status status = nnm_predictor_write(&sections, bytes, size, error);
  free(section);
  return status;
}

static nnm_status read_folder(import *job, const char **rules, nnm_error *error) {
  NNM_TRY(nnm_fail_in_file(error, list_pickles(job, error), job->folder));
  NNM_TRY(read_rules(job, rules, error));
  for (size_t i = 0; i < job->count; i++) NNM_TRY(read_pickle(job, i, error));
  return NNM_OK;
}

static nnm_status set_folder(import *job, const char *folder, nnm_error *error) {
  size_t length = strlen(folder);
  while (length > 1 && folder[length - 1] == '/') length--;
  job->folder = nnm_arena_text(&job->arena, folder, length);
  return job->folder ? NNM_OK : nnm_fail_memory(error);
}

nnm_status nnm_import_folder(const char *folder, const char *name, const char *version, unsigned char **bytes,
                             size_t *size, nnm_error *error) {
  import *job = calloc(1, sizeof *job);
  if (!job) return nnm_fail_memory(error);
  job->library = "";
  const char *rules;
  nnm_status status = set_folder(job, folder, error);
  if (status == NNM_OK) status = read_folder(job, &rules, error);
  if (status == NNM_OK) status = make_bytes(job, name, version, rules, bytes, size, error);
  nnm_arena_free(&job->arena);
  free(job);
  return status;
}

/* ---------------------------------------------------------------- the place */

nnm_status nnm_check_predictor_unused(const char *name, const char *version, const char *home, nnm_error *error) {
  nnm_predictor_list *list;
  NNM_TRY(nnm_predictor_list_create(home, &list, error));
  nnm_status status = NNM_OK;
  for (size_t i = 0; status == NNM_OK && i < nnm_predictor_list_count(list); i++) {
    const nnm_predictor_info *info = nnm_predictor_list_at(list, i);
    if (strcasecmp(info->name, name) || nnm_compare_versions(info->version, version)) continue;
    bool built_in = !strcmp(info->origin, "built in");
    status = nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "predictor '%s' has a version %s already (%s); %s", info->name,
                      info->version, info->origin,
                      built_in ? "give another name or version"
                               : "give another version, or remove that one with nn-meter unregister");
  }
  nnm_predictor_list_free(list);
  return status;
}

nnm_status nnm_new_predictor_path(const char *home, const char *name, const char *version, char **out,
                                  nnm_error *error) {
  char *folder;
  NNM_TRY(nnm_predictors_folder(home, &folder, error));
  if (!folder)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "no home folder to keep predictors in; set NN_METER_HOME");
  nnm_text path = {0};
  nnm_text_printf(&path, "%s/%s-%s" NNM_PREDICTOR_SUFFIX, folder, name, version);
  char *taken = nnm_text_take(&path);
  nnm_status status = taken ? nnm_make_folders(folder, error) : nnm_fail_memory(error);
  free(folder);
  struct stat info; /* a damaged file is listed by another name */
  if (status == NNM_OK && !lstat(taken, &info))
    status =
        nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "%s is there already; give another version, or remove it", taken);
  if (status == NNM_OK) *out = taken;
  else free(taken);
  return status;
}

nnm_status nnm_predictor_import(const char *folder, const char *name, const char *version, const char *home,
                                char **path_out, nnm_error *error) {
  NNM_TRY(nnm_check_predictor_name(name, error));
  NNM_TRY(nnm_check_predictor_version(version, error));
  NNM_TRY(nnm_check_predictor_unused(name, version, home, error));
  unsigned char *bytes;
  size_t size;
  NNM_TRY(nnm_import_folder(folder, name, version, &bytes, &size, error));
  char *path = NULL;
  nnm_status status = nnm_new_predictor_path(home, name, version, &path, error);
  if (status == NNM_OK) status = nnm_write_file(path, bytes, size, error);
  free(bytes);
  if (status == NNM_OK && path_out) *path_out = path;
  else free(path);
  return status;
}
