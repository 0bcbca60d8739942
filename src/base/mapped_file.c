#include "base/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const unsigned char nothing[1];

/* Files larger than this are mostly weights, which nobody looks at: without advice the kernel would read megabytes
 * ahead of every look at the structure between them (a model of 1 GB not yet cached: 907 MB and 1.2 s, against 1.4 MB
 * and 0.03 s). */
enum { SPARSELY_READ = 32 << 20 }; /* bytes */

/* Up to this size a file is read: mapping one, touching it and unmapping it costs twice as much. */
enum { READ_AT_ONCE = 64 << 10 }; /* bytes */

static const char *remedy_of(int code) {
  static const struct {
    int code;
    const char *remedy;
  } rows[] = {{ENOENT, "; check the path"},
              {ENOTDIR, "; check the path"},
              {ENAMETOOLONG, "; check the path"},
              {ELOOP, "; check the links in the path"},
              {EACCES, "; check its permissions"},
              {EROFS, "; choose a folder that can be written"},
              {ENOSPC, "; make room on the disk"},
              {EDQUOT, "; make room on the disk"},
              {EMFILE, "; close other files, or raise ulimit -n"},
              {ENOMEM, "; close other programs"},
              {EIO, "; check the disk"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (rows[i].code == code) return rows[i].remedy;
  return "";
}

static nnm_status fail_io(nnm_error *error, const char *path, const char *what, int code) {
  if (code == ENOMEM) return nnm_fail_in_file(error, nnm_fail_memory(error), path);
  nnm_status status = code == ENOENT || code == ENOTDIR ? NNM_ERROR_NOT_FOUND : NNM_ERROR_IO;
  nnm_fail(error, status, NULL, "cannot %s: %s%s", what, strerror(code), remedy_of(code));
  return nnm_fail_in_file(error, status, path);
}

/* All of a small file, or what is left of one that is shrinking; 0 or errno. */
static int read_all(int descriptor, size_t size, nnm_mapped_file *out) {
  unsigned char *data = malloc(size);
  if (!data) return ENOMEM;
  size_t filled = 0;
  while (filled < size) {
    ssize_t got = read(descriptor, data + filled, size - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      int code = errno;
      free(data);
      return code;
    }
    if (!got) break;
    filled += (size_t)got;
  }
  *out = (nnm_mapped_file){data, filled, true};
  return 0;
}

static int map_all(int descriptor, size_t size, nnm_mapped_file *out) {
  void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (data == MAP_FAILED) return errno;
  if (size > SPARSELY_READ) (void)madvise(data, size, MADV_RANDOM); /* a hint: may fail */
  *out = (nnm_mapped_file){data, size, false};
  return 0;
}

nnm_status nnm_map_file(const char *path, nnm_mapped_file *out, nnm_error *error) {
  /* O_NONBLOCK: opening a pipe must not hang */
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return fail_io(error, path, "open", errno);
  struct stat info;
  if (fstat(descriptor, &info)) {
    int code = errno;
    close(descriptor);
    return fail_io(error, path, "read", code);
  }
  if (!S_ISREG(info.st_mode)) {
    close(descriptor);
    nnm_fail(error, NNM_ERROR_IO, NULL, "is %s, not a file; name a file",
             S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    return nnm_fail_in_file(error, NNM_ERROR_IO, path);
  }
  if (info.st_size == 0) {
    close(descriptor);
    *out = (nnm_mapped_file){nothing, 0, false};
    return NNM_OK;
  }
  size_t size = (size_t)info.st_size;
  int code = size <= READ_AT_ONCE ? read_all(descriptor, size, out) : map_all(descriptor, size, out);
  close(descriptor);
  return code ? fail_io(error, path, "read", code) : NNM_OK;
}

void nnm_unmap_file(nnm_mapped_file *file) {
  void *data = (void *)(uintptr_t)file->data;
  if (file->is_copy) free(data);
  else if (data && data != nothing) munmap(data, file->size);
  *file = (nnm_mapped_file){0};
}

/* What a file of that name has now, so that a private one stays private; else what most programs give. */
static mode_t mode_of(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISREG(info.st_mode) ? info.st_mode & 0777 : 0644;
}

nnm_status nnm_write_file(const char *path, const void *data, size_t size, nnm_error *error) {
  size_t length = strlen(path);
  char *temporary = malloc(length + 8);
  if (!temporary) return nnm_fail_memory(error);
  memcpy(temporary, path, length);
  memcpy(temporary + length, ".XXXXXX", 8);
  int descriptor = mkstemp(temporary);
  if (descriptor < 0) {
    int code = errno;
    free(temporary);
    return fail_io(error, path, "write", code);
  }
  int failed =
      fchmod(descriptor, mode_of(path)); /* mkstemp's 0600 would surprise; reading the umask is not thread-safe */
  const char *at = data;
  while (size && !failed) {
    ssize_t written = write(descriptor, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) failed = 1;
    else at += written, size -= (size_t)written;
  }
  int code = errno;
  if (close(descriptor) && !failed) failed = 1, code = errno;
  if (!failed && rename(temporary, path)) failed = 1, code = errno;
  if (failed) unlink(temporary);
  free(temporary);
  return failed ? fail_io(error, path, "write", code) : NNM_OK;
}
