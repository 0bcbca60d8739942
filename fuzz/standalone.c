/* Runs a fuzz target over files and folders given as arguments, without a fuzzing engine: so that every compiler can
 * replay the corpora in the normal test run. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  static unsigned char chunk[1 << 16];
  unsigned char *data = NULL;
  size_t size = 0, got;
  while ((got = fread(chunk, 1, sizeof chunk, file)) > 0) {
    unsigned char *grown = realloc(data, size + got);
    if (!grown) break;
    data = grown;
    memcpy(data + size, chunk, got);
    size += got;
  }
  fclose(file);
  LLVMFuzzerTestOneInput(data ? data : (const uint8_t *)"", size);
  free(data);
  return 1;
}

static int replay(const char *path) {
  struct stat info;
  if (stat(path, &info)) return 0;
  if (!S_ISDIR(info.st_mode)) return replay_file(path);
  int count = 0;
  DIR *folder = opendir(path);
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    if (entry->d_name[0] == '.') continue;
    char inner[4096];
    snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
    count += replay(inner);
  }
  if (folder) closedir(folder);
  return count;
}

int main(int argc, char **argv) {
  int count = 0;
  for (int i = 1; i < argc; i++) count += replay(argv[i]);
  printf("%d inputs replayed\n", count);
  return count == 0; /* an empty corpus tests nothing */
}
