#include "fetch/download.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "fetch/curl_library.h"

enum {
  MOST_REDIRECTS = 5,
  MOST_FAILURES = 3,       /* in a row without a byte more than ever before */
  MOST_ATTEMPTS = 100,     /* however little each brings */
  PAUSE_MS = 200,          /* before trying again, longer each time */
  MOST_UNWANTED = 1 << 20, /* bytes of an answer that is no file */
  LEAST_BYTES_PER_S = 100  /* less than that is nothing */
};

typedef struct transfer {
  const nnm_download *wanted;
  nnm_curl curl;
  CURL *easy;
  nnm_error *error;
  char reason[CURL_ERROR_SIZE];
  uint64_t received, most_received;   /* bytes in the file; the most there ever were */
  uint64_t total;                     /* bytes the file will have; 0: unknown */
  char validator[NNM_VALIDATOR_SIZE]; /* of what is in the file: a strong ETag, else the date of its last change */
  /* of the answer being read: */
  char etag[NNM_VALIDATOR_SIZE], modified[NNM_VALIDATOR_SIZE];
  uint64_t range_start, range_total; /* bytes; total 0: not said */
  uint64_t asked_from;               /* bytes of the file that were not asked for again */
  bool has_range, is_checked, is_wrong_range;
  uint64_t unwanted;
  nnm_status failed; /* a callback has given up and filled error */
} transfer;

/* ---------------------------------------------------------------- what may be asked for */

static bool is_loopback(const char *host) {
  if (!strcasecmp(host, "localhost") || !strcmp(host, "[::1]") || !strcmp(host, "::1")) return true;
  return !strncmp(host, "127.", 4) && strspn(host, "0123456789.") == strlen(host);
}

typedef struct place {
  bool is_https, is_http, is_loopback;
  char host[256];
} place;

/* libcurl's own parser: what is checked must be what is asked for. */
static nnm_status parse_url(transfer *job, const char *url, place *out) {
  char *scheme = NULL, *host = NULL;
  CURLU *parsed = job->curl.url();
  if (!parsed) return nnm_fail_memory(job->error);
  *out = (place){0};
  bool is_url = !job->curl.url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) &&
                !job->curl.url_get(parsed, CURLUPART_SCHEME, &scheme, 0);
  if (is_url && !job->curl.url_get(parsed, CURLUPART_HOST, &host, 0) && host) {
    snprintf(out->host, sizeof out->host, "%s", host);
    out->is_https = !strcasecmp(scheme, "https");
    out->is_http = !strcasecmp(scheme, "http");
    out->is_loopback = is_loopback(host);
  }
  job->curl.free(scheme);
  job->curl.free(host);
  job->curl.url_cleanup(parsed);
  return is_url ? NNM_OK
                : nnm_fail(job->error, NNM_ERROR_ARGUMENT, NULL, "is no URL; give one that begins with https://");
}

/* from: the place that sent us here, NULL for the caller. A server elsewhere cannot send us to this machine. */
static nnm_status check_place(transfer *job, const place *to, const place *from) {
  bool is_own = to->is_loopback && (!from || from->is_loopback);
  if (to->is_https || (to->is_http && (is_own || job->wanted->allow_http))) return NNM_OK;
  if (!to->is_http)
    return nnm_fail(job->error, NNM_ERROR_UNSUPPORTED, NULL, "%s is neither https nor http; use another address",
                    from ? "the place that the server sends us to" : "the address");
  return nnm_fail(
      job->error, NNM_ERROR_UNSUPPORTED, NULL,
      "%s%.100s is plain http, which anybody on the way can change; use https, or --allow-http with --sha256",
      from ? "redirected to " : "", to->host);
}

/* ---------------------------------------------------------------- callbacks of libcurl */

static bool starts_with(const char *line, size_t length, const char *name, const char **value) {
  size_t size = strlen(name);
  if (length < size || strncasecmp(line, name, size)) return false;
  while (size < length && (line[size] == ' ' || line[size] == '\t')) size++;
  *value = line + size;
  return true;
}

static void keep_line(char *to, const char *value, const char *end) {
  size_t length = (size_t)(end - value);
  while (length && strchr("\r\n \t", value[length - 1])) length--;
  if (length >= NNM_VALIDATOR_SIZE) length = 0;
  memcpy(to, value, length);
  to[length] = '\0';
}

static size_t on_header(char *line, size_t size, size_t count, void *context) {
  transfer *job = context;
  size_t length = size * count;
  const char *value;
  if (starts_with(line, length, "HTTP/", &value)) {
    job->etag[0] = job->modified[0] = '\0';
    job->has_range = job->is_checked = false;
  } else if (starts_with(line, length, "etag:", &value)) {
    keep_line(job->etag, value, line + length);
    if (job->etag[0] != '"') job->etag[0] = '\0'; /* a weak one promises nothing of bytes */
  } else if (starts_with(line, length, "last-modified:", &value)) {
    keep_line(job->modified, value, line + length);
  } else if (starts_with(line, length, "content-range:", &value)) {
    char text[NNM_VALIDATOR_SIZE];
    unsigned long long start, end, total = 0;
    keep_line(text, value, line + length);
    job->has_range = sscanf(text, "bytes %llu-%llu/%llu", &start, &end, &total) >= 2;
    if (job->has_range) job->range_start = start, job->range_total = total;
  }
  return length;
}

static long status_of(const transfer *job) {
  long status = 0;
  job->curl.easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

static bool fail_write(transfer *job, int code) {
  job->failed = nnm_fail(job->error, NNM_ERROR_IO, NULL, "cannot write what was received: %s; make room on the disk",
                         strerror(code));
  return false;
}

/* Once for each answer that brings bytes: are they the file, and from where on? */
static bool check_answer(transfer *job, long status) {
  job->is_checked = true;
  if (status == 206) {
    job->is_wrong_range = !job->asked_from || !job->has_range || job->range_start != job->received;
    return !job->is_wrong_range;
  }
  if (ftruncate(job->wanted->descriptor, 0) || lseek(job->wanted->descriptor, 0, SEEK_SET))
    return fail_write(job, errno);
  job->received = 0;
  memcpy(job->validator, job->etag[0] ? job->etag : job->modified, NNM_VALIDATOR_SIZE);
  if (job->wanted->begins_anew) job->wanted->begins_anew(job->wanted->note_context, job->validator);
  return true;
}

static bool write_all(transfer *job, const char *bytes, size_t size) {
  while (size) {
    ssize_t written = write(job->wanted->descriptor, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail_write(job, errno);
    bytes += written;
    size -= (size_t)written;
    job->received += (uint64_t)written;
  }
  return true;
}

static bool fail_too_large(transfer *job) {
  job->failed =
      nnm_fail(job->error, NNM_ERROR_LIMIT, NULL, "is larger than %llu MB; raise --size-limit if that is what you want",
               (unsigned long long)(job->wanted->size_limit_bytes >> 20));
  return false;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
  transfer *job = context;
  size_t length = size * count;
  long status = status_of(job);
  if (status != 200 && status != 206) { /* an error page */
    job->unwanted += length;
    return job->unwanted > MOST_UNWANTED ? 0 : length;
  }
  if (!job->is_checked && !check_answer(job, status)) return 0;
  bool fits = length <= job->wanted->size_limit_bytes - job->received || fail_too_large(job);
  return fits && write_all(job, bytes, length) ? length : 0;
}

static int on_progress(void *context, curl_off_t total, curl_off_t done, curl_off_t up_total, curl_off_t up_done) {
  transfer *job = context;
  (void)done, (void)up_total, (void)up_done;
  uint64_t before = job->is_checked && status_of(job) == 206 ? job->asked_from : 0;
  job->total = total > 0 ? before + (uint64_t)total : 0;
  if (!job->wanted->progress || job->wanted->progress(job->wanted->context, job->received, job->total)) return 0;
  job->failed = nnm_fail(job->error, NNM_ERROR_IO, NULL, "stopped");
  return 1;
}

/* ---------------------------------------------------------------- one request */

static bool set_up(transfer *job) {
  const nnm_curl *curl = &job->curl;
  CURL *easy = job->easy;
  long timeout = (long)job->wanted->timeout_s;
  bool failed = false;
#define SET(option, value) failed |= curl->easy_setopt(easy, option, value) != CURLE_OK
  SET(CURLOPT_PROTOCOLS_STR, "http,https"); /* each address is checked before */
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_CONNECTTIMEOUT, timeout);
  SET(CURLOPT_LOW_SPEED_TIME, timeout);
  SET(CURLOPT_LOW_SPEED_LIMIT, (long)LEAST_BYTES_PER_S);
  SET(CURLOPT_USERAGENT, "nn-meter/" NNM_VERSION);
  SET(CURLOPT_ERRORBUFFER, job->reason);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, job);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, job);
  SET(CURLOPT_XFERINFOFUNCTION, on_progress);
  SET(CURLOPT_XFERINFODATA, job);
  SET(CURLOPT_NOPROGRESS, 0L);
#undef SET
  return !failed;
}

/* The headers that ask for the rest of what is there; NULL when all is wanted. false when memory runs out. */
static bool range_headers(transfer *job, struct curl_slist **out) {
  char range[64], only_if[NNM_VALIDATOR_SIZE + 16];
  *out = NULL;
  if (!job->validator[0] && !job->wanted->is_pinned) job->asked_from = 0;
  if (!job->asked_from) return true;
  snprintf(range, sizeof range, "Range: bytes=%llu-", (unsigned long long)job->asked_from);
  snprintf(only_if, sizeof only_if, "If-Range: %s", job->validator);
  struct curl_slist *list = job->curl.slist_append(NULL, range), *longer = list;
  if (list && job->validator[0]) longer = job->curl.slist_append(list, only_if);
  if (!longer) job->curl.slist_free_all(list);
  *out = longer;
  return longer != NULL;
}

static CURLcode ask(transfer *job, const char *url, bool is_own) {
  struct curl_slist *headers;
  if (!range_headers(job, &headers)) return CURLE_OUT_OF_MEMORY;
  job->reason[0] = '\0';
  job->is_checked = job->is_wrong_range = false;
  job->unwanted = 0;
  job->curl.easy_setopt(job->easy, CURLOPT_URL, url);
  job->curl.easy_setopt(job->easy, CURLOPT_HTTPHEADER, headers);
  job->curl.easy_setopt(job->easy, CURLOPT_PROXY, is_own ? "" : NULL); /* "": none, NULL: as the environment says */
  job->curl.easy_setopt(job->easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)job->wanted->size_limit_bytes);
  CURLcode code = job->curl.easy_perform(job->easy);
  job->curl.easy_setopt(job->easy, CURLOPT_HTTPHEADER, NULL);
  job->curl.slist_free_all(headers);
  return code;
}

/* One attempt: asks, and asks again where the server sends us. */
static nnm_status attempt(transfer *job, CURLcode *code, char host[256]) {
  place at, next;
  char *url = strdup(job->wanted->url);
  nnm_status status = url ? parse_url(job, url, &at) : nnm_fail_memory(job->error);
  if (status == NNM_OK) status = check_place(job, &at, NULL);
  for (size_t hop = 0; status == NNM_OK; hop++) {
    *code = ask(job, url, at.is_loopback && at.is_http);
    snprintf(host, 256, "%s", at.host);
    char *target = NULL;
    if (*code == CURLE_OK) job->curl.easy_getinfo(job->easy, CURLINFO_REDIRECT_URL, &target);
    if (!target) break;
    if (hop == MOST_REDIRECTS) {
      status = nnm_fail(job->error, NNM_ERROR_IO, NULL,
                        "the server sends us on more than %d times; use another address", MOST_REDIRECTS);
      break;
    }
    free(url);
    url = strdup(target); /* target is gone with the next request */
    status = url ? parse_url(job, url, &next) : nnm_fail_memory(job->error);
    if (status == NNM_OK) status = check_place(job, &next, &at);
    at = next;
  }
  free(url);
  return status;
}

/* ---------------------------------------------------------------- what came of it */

static nnm_status fail_answer(transfer *job, long status) {
  if (status == 404 || status == 410)
    return nnm_fail(job->error, NNM_ERROR_NOT_FOUND, NULL,
                    "the server has no such file (%ld); check the name and the address", status);
  return nnm_fail(job->error, NNM_ERROR_IO, NULL, "the server answers %ld; try again later, or use another address",
                  status);
}

static nnm_status fail_connection(transfer *job, CURLcode code, const char *host) {
  const char *reason = job->reason[0] ? job->reason : job->curl.easy_strerror(code);
  switch (code) {
  case CURLE_FILESIZE_EXCEEDED: fail_too_large(job); return job->failed;
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_COULDNT_CONNECT:
    return nnm_fail(job->error, NNM_ERROR_IO, NULL,
                    "cannot reach %.100s: %.200s; check the network, or copy what is wanted from a machine that has it",
                    host, reason);
  default: return nnm_fail(job->error, NNM_ERROR_IO, NULL, "the download failed: %.300s; try again", reason);
  }
}

/* Whether it is worth asking again, for the rest or from the beginning. */
static bool is_passing(const transfer *job, CURLcode code, long status) {
  if (job->is_wrong_range || status == 206 || (status == 416 && job->asked_from)) return true;
  switch (code) {
  case CURLE_OK: return status == 429 || status >= 500;
  case CURLE_PARTIAL_FILE:
  case CURLE_RECV_ERROR:
  case CURLE_SEND_ERROR:
  case CURLE_GOT_NOTHING:
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM:
  case CURLE_OPERATION_TIMEDOUT: return true;
  default: return false;
  }
}

static void pause_before(size_t failures) {
  long pause_ms = PAUSE_MS * (long)failures;
  nanosleep(&(struct timespec){pause_ms / 1000, pause_ms % 1000 * 1000000}, NULL);
}

static nnm_status download(transfer *job) {
  size_t failures = 0;
  for (size_t attempts = 1;; attempts++) {
    CURLcode code = CURLE_OK;
    char host[256] = "";
    NNM_TRY(attempt(job, &code, host));
    if (job->failed != NNM_OK) return job->failed;
    long status = status_of(job);
    if (code == CURLE_OK && status == 200 && !job->is_checked)
      check_answer(job, status); /* no byte came: it is empty */
    if (job->failed != NNM_OK) return job->failed;
    bool is_short = status == 206 && job->received < job->range_total;
    if (code == CURLE_OK && job->is_checked && !is_short) return NNM_OK;
    if (job->received > job->most_received) failures = 0, job->most_received = job->received;
    if (++failures > MOST_FAILURES || attempts == MOST_ATTEMPTS || !is_passing(job, code, status))
      return code == CURLE_OK ? fail_answer(job, status) : fail_connection(job, code, host);
    bool starts_anew = job->is_wrong_range || status == 416;
    job->asked_from = starts_anew ? 0 : job->received;
    pause_before(failures);
  }
}

nnm_status nnm_download_file(const nnm_download *wanted, uint64_t *size, nnm_error *error) {
  transfer *job = calloc(1, sizeof *job);
  if (!job) return nnm_fail_memory(error);
  job->wanted = wanted;
  job->error = error;
  job->received = job->most_received = job->asked_from = wanted->held_bytes;
  if (wanted->validator) snprintf(job->validator, sizeof job->validator, "%s", wanted->validator);
  nnm_status status = nnm_open_curl(&job->curl, error);
  if (status == NNM_OK && !(job->easy = job->curl.easy_init())) status = nnm_fail_memory(error);
  if (status == NNM_OK && !set_up(job))
    status = nnm_fail(error, NNM_ERROR_UNSUPPORTED, NULL, "this libcurl is too old; install 7.85 or newer");
  if (status == NNM_OK) status = download(job);
  if (status == NNM_OK) *size = job->received;
  if (job->easy) job->curl.easy_cleanup(job->easy);
  free(job);
  return status;
}
