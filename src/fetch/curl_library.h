/* The functions of libcurl that are used, found when the library is opened. */
#ifndef NNM_FETCH_CURL_LIBRARY_H
#define NNM_FETCH_CURL_LIBRARY_H

#include <curl/curl.h>

#include "base/status.h"

typedef struct nnm_curl {
  CURL *(*easy_init)(void);
  void (*easy_cleanup)(CURL *);
  CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
  CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
  CURLcode (*easy_perform)(CURL *);
  const char *(*easy_strerror)(CURLcode);
  struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
  void (*slist_free_all)(struct curl_slist *);
  CURLU *(*url)(void);
  void (*url_cleanup)(CURLU *);
  CURLUcode (*url_set)(CURLU *, CURLUPart, const char *, unsigned);
  CURLUcode (*url_get)(const CURLU *, CURLUPart, char **, unsigned);
  void (*free)(void *);
} nnm_curl;

nnm_status nnm_open_curl(nnm_curl *out, nnm_error *error);

#endif
