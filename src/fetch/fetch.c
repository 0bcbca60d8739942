/* nnm_predictor_fetch: download, check, unpack beside its place, try, move into place. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mapped_file.h"
#include "fetch/archive.h"
#include "fetch/digest.h"
#include "fetch/partial.h"
#include "predictors/container.h"
#include "predictors/home.h"
#include "predictors/import.h"
#include "predictors/predictor_list.h"
#include "predictors/registry.h"

#define OFFICIAL_PLACE "https://github.com/microsoft/nn-Meter/releases/download/v1.0-data"
#define TEMPORARY ".fetch-"

enum { DEFAULT_TIMEOUT_S = 30 };
#define DEFAULT_SIZE_LIMIT (UINT64_C(2) << 30)

/* Archives whose content is known. Those of nn-Meter 2.0 could not be downloaded where this was written, so there is none
 * yet: a row may be added by whoever has one from a source to trust. */
static const struct { const char *name, *sha256; } known_archives[] = {{NULL, NULL}};

typedef struct fetch {
  nnm_arena arena;
  const char *name, *home, *url, *sha256;
  nnm_fetch_options options;
  const char *place;                 /* DATA/predictor */
  const char *target;                /* DATA/predictor/NAME */
  const char *data_folder;           /* what it is in */
  bool made_place, made_data_folder; /* they were not there before */
  const char *temporary;             /* DATA/predictor/.fetch-XXXXXX; NULL: not made yet */
  int lock;                          /* descriptor of it, locked while this runs; -1 */
  int file;                          /* descriptor of the download; -1 */
  unsigned char *data;               /* the download, mapped; NULL: not yet */
  uint64_t size;
  nnm_fetched result;
} fetch;

static bool ends_with(const char *text, size_t length, const char *end) {
  size_t size = strlen(end);
  return length > size && !strncasecmp(text + length - size, end, size);
}

/* ---------------------------------------------------------------- what is wanted */

static nnm_status set_url(fetch *job, nnm_error *error) {
  const char *url = job->options.url ? job->options.url : OFFICIAL_PLACE;
  size_t length = strcspn(url, "?#");
  bool is_file = ends_with(url, length, ".zip") || ends_with(url, length, NNM_PREDICTOR_SUFFIX);
  while (length > 1 && url[length - 1] == '/') length--;
  job->url = is_file ? nnm_arena_text(&job->arena, url, strlen(url))
                     : nnm_arena_printf(&job->arena, "%.*s/%s.zip", (int)length, url, job->name);
  return job->url ? NNM_OK : nnm_fail_memory(error);
}

static nnm_status set_up(fetch *job, nnm_error *error) {
  NNM_TRY(nnm_check_predictor_name(job->name, error));
  if (!job->options.timeout_s) job->options.timeout_s = DEFAULT_TIMEOUT_S;
  if (!job->options.size_limit_bytes) job->options.size_limit_bytes = DEFAULT_SIZE_LIMIT;
  job->sha256 = job->options.sha256;
  for (size_t i = 0; !job->sha256 && !job->options.url && known_archives[i].name; i++)
    if (!strcasecmp(known_archives[i].name, job->name)) job->sha256 = known_archives[i].sha256;
  if (job->sha256 && !nnm_is_sha256(job->sha256))
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "'%.80s' is no SHA-256; give its 64 hexadecimal digits",
                    job->sha256);
  NNM_TRY(set_url(job, error));
  NNM_TRY(nnm_fetched_folder(job->home, &job->arena, &job->place, error));
  if (!job->place)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "no home folder to keep predictors in; set NN_METER_HOME");
  job->target = nnm_arena_printf(&job->arena, "%s/%s", job->place, job->name);
  return job->target ? NNM_OK : nnm_fail_memory(error);
}

/* A folder that is there is kept when it is whole, replaced when it is empty, and refused otherwise. */
static nnm_status look_at_target(fetch *job, nnm_error *error) {
  const nnm_legacy_folder folder = {.path = job->target, .name = job->name, .version = NNM_FETCHED_VERSION};
  if (nnm_legacy_check(&folder, NULL) == NNM_OK) {
    job->result.was_there = true;
    job->result.path = strdup(job->target);
    return job->result.path ? NNM_OK : nnm_fail_memory(error);
  }
  struct stat info;
  if (lstat(job->target, &info) || (S_ISDIR(info.st_mode) && !rmdir(job->target))) return NNM_OK;
  nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "is there already, but is no whole predictor; move it away");
  return nnm_fail_in_file(error, NNM_ERROR_ARGUMENT, job->target);
}

/* ---------------------------------------------------------------- the temporary folder */

static void remove_folder(const char *path, int depth) {
  DIR *directory = opendir(path);
  for (struct dirent *file; directory && (file = readdir(directory));) {
    if (!strcmp(file->d_name, ".") || !strcmp(file->d_name, "..")) continue;
    if (unlinkat(dirfd(directory), file->d_name, 0) && depth) {
      char *below = malloc(strlen(path) + strlen(file->d_name) + 2);
      if (below) sprintf(below, "%s/%s", path, file->d_name), remove_folder(below, depth - 1);
      free(below);
    }
  }
  if (directory) closedir(directory);
  rmdir(path);
}

/* What a program that was killed has left behind: folders that nobody holds locked. */
static void remove_leftovers(fetch *job) {
  DIR *directory = opendir(job->place);
  for (struct dirent *file; directory && (file = readdir(directory));) {
    if (strncmp(file->d_name, TEMPORARY, strlen(TEMPORARY)) != 0) continue;
    int folder = openat(dirfd(directory), file->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const char *path = nnm_arena_printf(&job->arena, "%s/%s", job->place, file->d_name);
    if (folder >= 0 && path && !flock(folder, LOCK_EX | LOCK_NB)) remove_folder(path, 1);
    if (folder >= 0) close(folder);
  }
  if (directory) closedir(directory);
}

static nnm_status fail_folder(const char *path, nnm_error *error) {
  nnm_fail(error, NNM_ERROR_IO, NULL, "cannot write there: %s; set NN_METER_HOME to a folder that can be written",
           strerror(errno));
  return nnm_fail_in_file(error, NNM_ERROR_IO, path);
}

/* The download has no name from its first byte on, so it cannot be left behind. */
static nnm_status make_temporary(fetch *job, nnm_error *error) {
  job->data_folder = nnm_arena_text(&job->arena, job->place, (size_t)(strrchr(job->place, '/') - job->place));
  if (!job->data_folder) return nnm_fail_memory(error);
  job->made_place = access(job->place, F_OK) != 0;
  job->made_data_folder = access(job->data_folder, F_OK) != 0;
  NNM_TRY(nnm_make_folders(job->place, error));
  remove_leftovers(job);
  char *path = nnm_arena_printf(&job->arena, "%s/" TEMPORARY "XXXXXX", job->place);
  char *file = path ? nnm_arena_printf(&job->arena, "%s/download-XXXXXX", path) : NULL;
  if (!file) return nnm_fail_memory(error);
  if (!mkdtemp(path)) return fail_folder(job->place, error);
  job->temporary = path;
  job->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (job->lock < 0 || flock(job->lock, LOCK_EX)) return fail_folder(path, error);
  memcpy(file, path, strlen(path));
  job->file = mkstemp(file);
  if (job->file < 0) return fail_folder(path, error);
  unlink(file);
  return NNM_OK;
}

static void clean_up(fetch *job) {
  if (job->data) munmap(job->data, (size_t)job->size);
  if (job->file >= 0) close(job->file);
  if (job->temporary) remove_folder(job->temporary, 1);
  if (job->lock >= 0) close(job->lock);
  if (job->made_place) rmdir(job->place); /* unless there is something in it now */
  if (job->made_data_folder) rmdir(job->data_folder);
  nnm_arena_free(&job->arena);
}

/* ---------------------------------------------------------------- the steps */

static nnm_status get_file(fetch *job, nnm_error *error) {
  const nnm_download wanted = {.url = job->url,
                               .descriptor = job->file,
                               .size_limit_bytes = job->options.size_limit_bytes,
                               .timeout_s = job->options.timeout_s,
                               .allow_http = job->options.allow_http,
                               .progress = job->options.progress,
                               .context = job->options.context};
  int file;
  NNM_TRY(nnm_download_resumable(&wanted, job->sha256, job->home, &file, &job->size, error));
  if (file != job->file) close(job->file), job->file = file;
  if (!job->size) return nnm_fail(error, NNM_ERROR_FORMAT, NULL, "the server sent an empty file; check the address");
  void *data = mmap(NULL, (size_t)job->size, PROT_READ, MAP_PRIVATE, job->file, 0);
  if (data == MAP_FAILED)
    return nnm_fail(error, NNM_ERROR_IO, NULL, "cannot read what was received: %s", strerror(errno));
  job->data = data;
  return NNM_OK;
}

static nnm_status check_digest(fetch *job, nnm_error *error) {
  nnm_error missing;
  nnm_status status = nnm_sha256(job->data, (size_t)job->size, job->result.sha256, &missing);
  if (status != NNM_OK && !job->sha256) return NNM_OK; /* good to know, but nobody asked */
  if (status != NNM_OK) return nnm_fail(error, status, NULL, "%s", missing.message);
  if (!job->sha256 || !strcasecmp(job->sha256, job->result.sha256)) return NNM_OK;
  return nnm_fail(error, NNM_ERROR_FORMAT, NULL, "has SHA-256 %s, not %s, so it was not kept; find out which is right",
                  job->result.sha256, job->sha256);
}

/* A predictor file becomes HOME/predictors/NAME-VERSION.nnmeter. */
static nnm_status install_file(fetch *job, nnm_error *error) {
  nnm_predictor *predictor;
  nnm_error fault;
  nnm_status status = nnm_predictor_read(job->data, (size_t)job->size, "download", &predictor, &fault);
  if (status != NNM_OK) return nnm_fail(error, status, fault.place, "%s", fault.message);
  const nnm_predictor_info *info = nnm_predictor_get_info(predictor);
  if (strcasecmp(info->name, job->name))
    status = nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "holds predictor '%s', not '%s'; fetch it by that name",
                      info->name, job->name);
  char *path = NULL;
  if (status == NNM_OK) status = nnm_check_predictor_unused(info->name, info->version, job->home, error);
  if (status == NNM_OK) status = nnm_new_predictor_path(job->home, info->name, info->version, &path, error);
  if (status == NNM_OK) status = nnm_write_file(path, job->data, (size_t)job->size, error);
  nnm_predictor_free(predictor);
  if (status == NNM_OK) job->result.path = path;
  else free(path);
  return status;
}

static bool go_on(void *context) {
  const fetch *job = context;
  return !job->options.progress || job->options.progress(job->options.context, job->size, job->size);
}

/* Faults of files in the temporary folder are told by their name in the archive. */
static nnm_status try_out(fetch *job, const char *folder, nnm_error *error) {
  unsigned char *bytes;
  size_t size;
  nnm_error fault;
  nnm_status status = nnm_import_folder(folder, job->name, NNM_FETCHED_VERSION, &bytes, &size, &fault);
  if (status == NNM_OK) free(bytes);
  else
    nnm_fail(error, status, strrchr(fault.file, '/') ? strrchr(fault.file, '/') + 1 : fault.place, "%s", fault.message);
  return status;
}

static nnm_status install_archive(fetch *job, nnm_error *error) {
  const char *folder = nnm_arena_printf(&job->arena, "%s/unpacked", job->temporary);
  if (!folder) return nnm_fail_memory(error);
  if (mkdir(folder, 0755)) return fail_folder(folder, error);
  nnm_unpacking unpacking = {.data = job->data, .size = (size_t)job->size, .go_on = go_on, .context = job};
  unpacking.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (unpacking.folder < 0) return fail_folder(folder, error);
  nnm_status status = nnm_unpack_predictor(&unpacking, error);
  close(unpacking.folder);
  if (status == NNM_OK) status = try_out(job, folder, error);
  NNM_TRY(status);
  job->result.path = strdup(job->target);
  if (!job->result.path) return nnm_fail_memory(error);
  if (!rename(folder, job->target)) return NNM_OK;
  free(job->result.path);
  job->result.path = NULL;
  return fail_folder(job->target, error);
}

static nnm_status run(fetch *job, nnm_error *error) {
  static const char magic[] = "NNMETER";
  NNM_TRY(set_up(job, error));
  NNM_TRY(look_at_target(job, error));
  if (job->result.was_there) return NNM_OK;
  NNM_TRY(make_temporary(job, error));
  NNM_TRY(nnm_fail_in_file(error, get_file(job, error), job->url));
  NNM_TRY(nnm_fail_in_file(error, check_digest(job, error), job->url));
  bool is_predictor = job->size > sizeof magic && !memcmp(job->data, magic, sizeof magic);
  nnm_status status = is_predictor ? install_file(job, error) : install_archive(job, error);
  return nnm_fail_in_file(error, status, job->url);
}

nnm_status nnm_predictor_fetch(const char *name, const nnm_fetch_options *options, const char *home, nnm_fetched *out,
                               nnm_error *error) {
  fetch job = {.name = name, .home = home, .lock = -1, .file = -1};
  if (options) job.options = *options;
  nnm_status status = run(&job, error);
  if (status == NNM_OK) *out = job.result;
  clean_up(&job);
  return status;
}
