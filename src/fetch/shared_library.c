#include "fetch/shared_library.h"

#include <dlfcn.h>
#include <string.h>

nnm_status nnm_open_library(const char *const *names, const nnm_symbol *symbols, const char *package,
                            nnm_error *error) {
  void *library = NULL;
  for (const char *const *name = names; *name && !library; name++) library = dlopen(*name, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return nnm_fail(error, NNM_ERROR_UNSUPPORTED, NULL,
                    "fetching needs %s, which is not there; Debian: apt-get install %s", names[0], package);
  for (; symbols->name; symbols++) {
    void *symbol = dlsym(library, symbols->name);
    if (!symbol)
      return nnm_fail(error, NNM_ERROR_UNSUPPORTED, NULL, "%s has no %s; install a newer one", names[0], symbols->name);
    memcpy(symbols->target, &symbol, sizeof symbol); /* C has no cast from an object's pointer to a function's */
  }
  return NNM_OK;
}
