#include "fetch/curl_library.h"

#include "fetch/shared_library.h"

nnm_status nnm_open_curl(nnm_curl *out, nnm_error *error) {
  static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib", NULL};
  const nnm_symbol symbols[] = {
      {"curl_easy_init", &out->easy_init},
      {"curl_easy_cleanup", &out->easy_cleanup},
      {"curl_easy_setopt", &out->easy_setopt},
      {"curl_easy_getinfo", &out->easy_getinfo},
      {"curl_easy_perform", &out->easy_perform},
      {"curl_easy_strerror", &out->easy_strerror},
      {"curl_slist_append", &out->slist_append},
      {"curl_slist_free_all", &out->slist_free_all},
      {"curl_url", &out->url},
      {"curl_url_cleanup", &out->url_cleanup},
      {"curl_url_set", &out->url_set},
      {"curl_url_get", &out->url_get},
      {"curl_free", &out->free},
      {NULL, NULL},
  };
  return nnm_open_library(names, symbols, "libcurl4", error);
}
