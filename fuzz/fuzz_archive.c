/* A fetched archive, up to the files that are written, in a folder of its own. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "fetch/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/nnm_fuzz_XXXXXX";
static int folder = -1;

static void remove_folder(void) { rmdir(path); }

static int make_folder(void) {
  if (folder < 0 && mkdtemp(path)) {
    atexit(remove_folder);
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  return folder;
}

static void empty_folder(void) {
  DIR *directory = opendir(path);
  for (struct dirent *file; directory && (file = readdir(directory));) unlinkat(folder, file->d_name, 0);
  if (directory) closedir(directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nnm_error error;
  const nnm_unpacking job = {.data = data, .size = size, .folder = make_folder()};
  if (job.folder < 0) return 0;
  nnm_unpack_predictor(&job, &error);
  empty_folder();
  return 0;
}
