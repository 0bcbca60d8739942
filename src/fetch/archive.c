#include "fetch/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "base/limits.h"
#include "base/text.h"
#include "fetch/shared_library.h"

#define RULES "fusion_rules.json"

typedef struct zip_library {
  zip_source_t *(*source_buffer_create)(const void *, zip_uint64_t, int, zip_error_t *);
  void (*source_free)(zip_source_t *);
  zip_t *(*open_from_source)(zip_source_t *, int, zip_error_t *);
  void (*discard)(zip_t *);
  zip_int64_t (*get_num_entries)(zip_t *, zip_flags_t);
  int (*stat_index)(zip_t *, zip_uint64_t, zip_flags_t, zip_stat_t *);
  int (*get_external_attributes)(zip_t *, zip_uint64_t, zip_flags_t, zip_uint8_t *, zip_uint32_t *);
  zip_file_t *(*open_index)(zip_t *, zip_uint64_t, zip_flags_t);
  zip_int64_t (*read)(zip_file_t *, void *, zip_uint64_t);
  int (*close)(zip_file_t *);
} zip_library;

typedef struct archive {
  const nnm_unpacking *job;
  zip_library zip;
  zip_t *handle;
  size_t count;
  const char **names; /* of all entries, libzip's own */
  const char *prefix; /* of the names that are unpacked: begins the name of the rules */
  size_t prefix_length;
  uint64_t room; /* bytes that may still be unpacked */
  nnm_error *error;
} archive;

static nnm_status open_library(zip_library *zip, nnm_error *error) {
  static const char *const names[] = {"libzip.so.4", "libzip.so.5", "libzip.5.dylib", NULL};
  const nnm_symbol symbols[] = {
      {"zip_source_buffer_create", &zip->source_buffer_create},
      {"zip_source_free", &zip->source_free},
      {"zip_open_from_source", &zip->open_from_source},
      {"zip_discard", &zip->discard},
      {"zip_get_num_entries", &zip->get_num_entries},
      {"zip_stat_index", &zip->stat_index},
      {"zip_file_get_external_attributes", &zip->get_external_attributes},
      {"zip_fopen_index", &zip->open_index},
      {"zip_fread", &zip->read},
      {"zip_fclose", &zip->close},
      {NULL, NULL},
  };
  return nnm_open_library(names, symbols, "libzip4", error);
}

static nnm_status fail_damaged(archive *it, const char *entry) {
  return nnm_fail(it->error, NNM_ERROR_FORMAT, entry, "the ZIP archive is damaged, or cut short; fetch it again");
}

static nnm_status refuse(archive *it, const char *entry, const char *reason) {
  return nnm_fail(it->error, NNM_ERROR_UNSUPPORTED, entry, "%s; nothing of the archive was kept", reason);
}

/* ---------------------------------------------------------------- what the archive holds */

/* Whether one part of a name, up to '/' or the end, is harmless. */
static bool is_plain_part(const char *part, size_t length) {
  bool is_dots = (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.');
  return length && length <= 255 && !is_dots;
}

static bool is_plain_name(const char *name) {
  size_t length = strlen(name);
  char copy[1024];
  if (!length || length >= sizeof copy || strpbrk(name, "\\:")) return false;
  memcpy(copy, name, length + 1);
  nnm_make_printable(copy);
  if (strcmp(copy, name)) return false;  /* control characters */
  if (name[length - 1] == '/') length--; /* a folder */
  for (const char *part = name; part <= name + length;) {
    size_t part_length = 0;
    while (part + part_length < name + length && part[part_length] != '/') part_length++;
    if (!is_plain_part(part, part_length)) return false;
    part += part_length + 1;
  }
  return true;
}

/* Unix modes: files and folders, and what makers of archives that know no modes leave at 0. */
static bool is_special(archive *it, size_t index) {
  zip_uint8_t system = 0;
  zip_uint32_t attributes = 0;
  if (it->zip.get_external_attributes(it->handle, index, 0, &system, &attributes)) return true;
  if (system != ZIP_OPSYS_UNIX && system != ZIP_OPSYS_OS_X) attributes = 0;
  mode_t type = (mode_t)(attributes >> 16) & S_IFMT;
  return type && type != S_IFREG && type != S_IFDIR;
}

static nnm_status check_entry(archive *it, size_t index, uint64_t *unpacked) {
  zip_stat_t info;
  if (it->zip.stat_index(it->handle, index, ZIP_FL_ENC_RAW, &info) || !(info.valid & ZIP_STAT_NAME))
    return fail_damaged(it, NULL);
  const char *name = it->names[index] = info.name;
  if (!is_plain_name(name)) return refuse(it, name, "the name leads out of the folder, or is no plain name");
  if (is_special(it, index)) return refuse(it, name, "is a link or a device, not a file");
  if ((info.valid & ZIP_STAT_ENCRYPTION_METHOD) && info.encryption_method != ZIP_EM_NONE)
    return refuse(it, name, "is encrypted");
  if (!(info.valid & ZIP_STAT_SIZE) || info.size > NNM_LIMIT_UNPACKED_BYTES - *unpacked)
    return nnm_fail(it->error, NNM_ERROR_LIMIT, name, "the archive would unpack to more than %llu MB",
                    (unsigned long long)(NNM_LIMIT_UNPACKED_BYTES >> 20));
  *unpacked += info.size;
  return NNM_OK;
}

static int compare_names(const void *a, const void *b) {
  return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

/* Twice the same name, on a system that ignores case as well, would be two files in one place. */
static nnm_status check_duplicates(archive *it) {
  const char **sorted = malloc((it->count + 1) * sizeof *sorted);
  if (!sorted) return nnm_fail_memory(it->error);
  memcpy(sorted, it->names, it->count * sizeof *sorted);
  qsort(sorted, it->count, sizeof *sorted, compare_names);
  nnm_status status = NNM_OK;
  for (size_t i = 1; i < it->count && status == NNM_OK; i++)
    if (!strcasecmp(sorted[i - 1], sorted[i])) status = refuse(it, sorted[i], "the archive has this name twice");
  free(sorted);
  return status;
}

static nnm_status check_entries(archive *it) {
  zip_int64_t count = it->zip.get_num_entries(it->handle, 0);
  if (count < 0) return fail_damaged(it, NULL);
  if (count > NNM_LIMIT_ARCHIVE_FILES)
    return nnm_fail(it->error, NNM_ERROR_LIMIT, NULL, "the archive holds %lld files, more than %d; a predictor has 20",
                    (long long)count, NNM_LIMIT_ARCHIVE_FILES);
  it->count = (size_t)count;
  it->names = calloc(it->count + 1, sizeof *it->names);
  if (!it->names) return nnm_fail_memory(it->error);
  uint64_t unpacked = 0, most = (uint64_t)it->job->size * NNM_LIMIT_ARCHIVE_RATIO;
  for (size_t i = 0; i < it->count; i++) NNM_TRY(check_entry(it, i, &unpacked));
  if (unpacked > most)
    return nnm_fail(it->error, NNM_ERROR_LIMIT, NULL,
                    "the archive would unpack to %llu times its size; no predictor does, so it was left alone",
                    (unsigned long long)(unpacked / (it->job->size ? it->job->size : 1)));
  it->room = unpacked;
  return check_duplicates(it);
}

static const char *base_name(const char *name) {
  const char *slash = strrchr(name, '/');
  return slash ? slash + 1 : name;
}

/* The predictor is where its rules are: at the top, or in a folder. */
static nnm_status find_predictor(archive *it) {
  for (size_t i = 0; i < it->count; i++) {
    const char *name = it->names[i];
    if (strcmp(base_name(name), RULES) || !strncmp(name, "__MACOSX/", 9)) continue;
    if (it->prefix)
      return nnm_fail(it->error, NNM_ERROR_FORMAT, name, "the archive holds several predictors; make one for each");
    it->prefix = name;
    it->prefix_length = (size_t)(base_name(name) - name);
  }
  if (it->prefix) return NNM_OK;
  return nnm_fail(it->error, NNM_ERROR_FORMAT, NULL,
                  "the archive holds no %s, so no predictor; pack the folder with the pickles and that file", RULES);
}

/* ---------------------------------------------------------------- unpacking */

static bool is_wanted(const archive *it, const char *name) {
  if (strncmp(name, it->prefix, it->prefix_length) || strchr(name + it->prefix_length, '/')) return false;
  const char *base = name + it->prefix_length;
  size_t length = strlen(base);
  return !strcmp(base, RULES) || (base[0] != '.' && length > 4 && !strcmp(base + length - 4, ".pkl"));
}

static nnm_status fail_write(archive *it, const char *name, int code) {
  return nnm_fail(it->error, NNM_ERROR_IO, name, "cannot write what is unpacked: %s; make room on the disk",
                  strerror(code));
}

static nnm_status write_all(archive *it, int file, const char *name, const char *bytes, size_t size) {
  while (size) {
    ssize_t written = write(file, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail_write(it, name, errno);
    bytes += written;
    size -= (size_t)written;
  }
  return NNM_OK;
}

static nnm_status copy_entry(archive *it, zip_file_t *from, int to, const char *name) {
  char buffer[32768];
  for (;;) {
    if (it->job->go_on && !it->job->go_on(it->job->context))
      return nnm_fail(it->error, NNM_ERROR_IO, NULL, "stopped; nothing was kept");
    zip_int64_t got = it->zip.read(from, buffer, sizeof buffer);
    if (got < 0) return fail_damaged(it, name); /* the checksum as well */
    if (!got) return NNM_OK;
    if ((uint64_t)got > it->room) return fail_damaged(it, name); /* longer than it said */
    it->room -= (uint64_t)got;
    NNM_TRY(write_all(it, to, name, buffer, (size_t)got));
  }
}

static nnm_status unpack_entry(archive *it, size_t index) {
  const char *name = it->names[index];
  zip_file_t *from = it->zip.open_index(it->handle, index, 0);
  if (!from) return fail_damaged(it, name);
  int to =
      openat(it->job->folder, name + it->prefix_length, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  nnm_status status = to < 0 ? fail_write(it, name, errno) : copy_entry(it, from, to, name);
  if (to >= 0 && close(to) && status == NNM_OK) status = fail_write(it, name, errno);
  it->zip.close(from);
  return status;
}

static nnm_status unpack(archive *it) {
  NNM_TRY(check_entries(it));
  NNM_TRY(find_predictor(it));
  for (size_t i = 0; i < it->count; i++)
    if (is_wanted(it, it->names[i])) NNM_TRY(unpack_entry(it, i));
  return NNM_OK;
}

nnm_status nnm_unpack_predictor(const nnm_unpacking *job, nnm_error *error) {
  archive it = {.job = job, .error = error};
  NNM_TRY(open_library(&it.zip, error));
  zip_source_t *source = it.zip.source_buffer_create(job->data, job->size, 0, NULL);
  if (!source) return nnm_fail_memory(error);
  it.handle = it.zip.open_from_source(source, ZIP_RDONLY, NULL);
  if (!it.handle) {
    it.zip.source_free(source);
    return nnm_fail(error, NNM_ERROR_FORMAT, NULL, "is no ZIP archive, or a damaged one; check the address");
  }
  nnm_status status = unpack(&it);
  free(it.names);
  it.zip.discard(it.handle);
  return status;
}
