/* Filling an nnm_error. A failing function returns nnm_fail(...) directly; the outermost reader adds the file name. */
#ifndef NNM_BASE_STATUS_H
#define NNM_BASE_STATUS_H

#include "nnmeter/nnmeter.h"

/* Sets status, place and message; returns status. place may be NULL. error may be NULL. Control characters and invalid
 * bytes coming from untrusted names are replaced by '?', so that a message is always one printable line. */
nnm_status nnm_fail(nnm_error *error, nnm_status status, const char *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Untrusted names end up in messages and notes, perhaps cut in the middle of a character: replaces what could begin a
 * line or steer a terminal by '?', in place. */
void nnm_make_printable(char *text);

/* "out of memory", for the many places where nothing more can be said. */
nnm_status nnm_fail_memory(nnm_error *error);

/* Names the file of an error that has none yet; returns status unchanged, so it can wrap a call. */
nnm_status nnm_fail_in_file(nnm_error *error, nnm_status status, const char *file);

/* Returns from the calling function when a call fails. */
#define NNM_TRY(call)                                      \
  do {                                                     \
    nnm_status nnm_try_status_ = (call);                   \
    if (nnm_try_status_ != NNM_OK) return nnm_try_status_; \
  } while (0)

#endif
