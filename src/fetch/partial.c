#include "fetch/partial.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mapped_file.h"
#include "base/strings.h"
#include "predictors/home.h"

#define CACHE "cache"
#define FOLDER "downloads"
#define SUFFIX_DATA ".part"
#define SUFFIX_NOTE ".from"

enum { KEPT_DAYS = 30 };

typedef struct partial {
  nnm_arena arena;
  const char *cache, *folder, *path, *note;
  bool made_cache;     /* it was not there before */
  const char *content; /* of the note, behind its first line: the address, and the SHA-256 that is wanted */
  int file;            /* locked; -1: nothing can be kept */
  uint64_t held_bytes; /* that it had before */
  char validator[NNM_VALIDATOR_SIZE];
  bool is_pinned;
} partial;

/* ---------------------------------------------------------------- the folder */

static bool ends_with(const char *text, const char *end) {
  size_t length = strlen(text), size = strlen(end);
  return length > size && !strcmp(text + length - size, end);
}

/* Parts that nobody came back for: old, and not locked. A note goes with its part. */
static void remove_old(partial *it) {
  DIR *directory = opendir(it->folder);
  for (struct dirent *entry; directory && (entry = readdir(directory));) {
    struct stat info;
    bool is_data = ends_with(entry->d_name, SUFFIX_DATA), is_note = ends_with(entry->d_name, SUFFIX_NOTE);
    int folder = dirfd(directory);
    if ((!is_data && !is_note) || fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW)) continue;
    if (time(NULL) - info.st_mtime < (time_t)KEPT_DAYS * 24 * 3600) continue;
    int file = is_data ? openat(folder, entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (is_note || (file >= 0 && !flock(file, LOCK_EX | LOCK_NB))) unlinkat(folder, entry->d_name, 0);
    if (file >= 0) close(file);
  }
  if (directory) closedir(directory);
}

/* ---------------------------------------------------------------- the note */

/* Writes what the part is the beginning of: what the server calls this version of the file, then the address. */
static void write_note(void *context, const char *validator) {
  partial *it = context;
  snprintf(it->validator, sizeof it->validator, "%s", validator);
  const char *text = nnm_arena_printf(&it->arena, "%s\n%s", validator, it->content);
  if (!text || nnm_write_file(it->note, text, strlen(text), NULL) != NNM_OK) unlink(it->note);
}

/* Whether the note speaks of the same file; then the validator is what it says, perhaps nothing. */
static bool read_note(partial *it) {
  nnm_mapped_file file;
  if (nnm_map_file(it->note, &file, NULL) != NNM_OK) return false;
  const char *text = (const char *)file.data, *end = memchr(text, '\n', file.size);
  size_t length = end ? (size_t)(end - text) : 0, rest = end ? file.size - length - 1 : 0;
  bool is_same =
      end && length < sizeof it->validator && rest == strlen(it->content) && !memcmp(end + 1, it->content, rest);
  for (size_t i = 0; is_same && i < length; i++) is_same = isprint((unsigned char)text[i]);
  if (is_same) memcpy(it->validator, text, length), it->validator[length] = '\0';
  nnm_unmap_file(&file);
  return is_same;
}

/* ---------------------------------------------------------------- the part */

static void remove_part(partial *it) {
  unlink(it->path);
  unlink(it->note);
  rmdir(it->folder); /* unless there are others */
  if (it->made_cache) rmdir(it->cache);
}

static void name_files(partial *it, const nnm_download *wanted, const char *sha256, const char *home) {
  it->content = nnm_arena_printf(&it->arena, "%s\n%s\n", wanted->url, sha256 ? sha256 : "");
  if (!it->content || nnm_home_path(home, CACHE, &it->arena, &it->cache, NULL) != NNM_OK) return;
  const char *folder = nnm_arena_printf(&it->arena, "%s/" FOLDER, it->cache);
  if (!folder) return;
  unsigned long long key = (unsigned long long)nnm_hash_bytes(it->content, strlen(it->content));
  it->path = nnm_arena_printf(&it->arena, "%s/%016llx" SUFFIX_DATA, folder, key);
  it->note = nnm_arena_printf(&it->arena, "%s/%016llx" SUFFIX_NOTE, folder, key);
  if (it->path && it->note) it->folder = folder;
}

/* Opens the part for this run alone. Where that cannot be, it->file stays -1. */
static void open_part(partial *it, uint64_t limit_bytes) {
  if (!it->folder) return;
  it->made_cache = access(it->cache, F_OK) != 0;
  if (nnm_make_folders(it->folder, NULL) != NNM_OK) return;
  remove_old(it);
  int file = open(it->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  struct stat info;
  if (file < 0) return;
  /* without a name it has been finished by another run, between opening and locking */
  bool is_mine = !flock(file, LOCK_EX | LOCK_NB) && !fstat(file, &info) && S_ISREG(info.st_mode) && info.st_nlink == 1;
  if (is_mine) {
    bool is_of_use = read_note(it) && (it->validator[0] || it->is_pinned) && (uint64_t)info.st_size <= limit_bytes;
    if (!is_of_use) it->validator[0] = '\0';
    is_mine = is_of_use || !ftruncate(file, 0);
    it->held_bytes = is_of_use ? (uint64_t)info.st_size : 0;
  }
  if (is_mine && lseek(file, 0, SEEK_END) >= 0) it->file = file;
  else close(file);
}

/* Whether what came so far is worth keeping after a failure. */
static bool is_worth_keeping(const partial *it, nnm_status status, uint64_t *size) {
  struct stat info;
  if (status != NNM_ERROR_IO || (!it->validator[0] && !it->is_pinned) || fstat(it->file, &info)) return false;
  *size = (uint64_t)info.st_size;
  return *size > 0;
}

static nnm_status finish(partial *it, nnm_status status, nnm_error *error) {
  uint64_t size;
  if (status == NNM_OK || !is_worth_keeping(it, status, &size)) {
    remove_part(it);
  } else if (error) {
    nnm_error fault = *error;
    nnm_fail(error, status, fault.place, "%s (%llu KB are kept: the same command goes on there)", fault.message,
             (unsigned long long)((size + 1023) >> 10));
  }
  if (status != NNM_OK) close(it->file);
  return status;
}

nnm_status nnm_download_resumable(const nnm_download *wanted, const char *sha256, const char *home, int *descriptor,
                                  uint64_t *size, nnm_error *error) {
  partial it = {.file = -1, .is_pinned = sha256 != NULL};
  nnm_download job = *wanted;
  name_files(&it, wanted, sha256, home);
  open_part(&it, wanted->size_limit_bytes);
  if (it.file >= 0) {
    job.descriptor = it.file;
    job.held_bytes = it.held_bytes;
    job.validator = it.validator;
    job.begins_anew = write_note;
    job.note_context = &it;
  }
  *descriptor = job.descriptor;
  job.is_pinned = it.is_pinned;
  nnm_status status = nnm_download_file(&job, size, error);
  if (it.file >= 0) status = finish(&it, status, error);
  nnm_arena_free(&it.arena);
  return status;
}
