/* What every reader must bear: files that are cut short, and files with a wrong bit. */
#ifndef TESTS_UNIT_DAMAGE_H
#define TESTS_UNIT_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mapped_file.h"

/* Reads the bytes and asserts that it ends in a model or an orderly error. */
typedef void (*damage_reader)(const unsigned char *data, size_t size);

/* A file of a folder; asserts that it is there. */
nnm_mapped_file damage_map(const char *folder, const char *name);
/* An error that a user can be shown: of this status, not for want of memory, each text one line of UTF-8. */
void damage_expect_error(const nnm_error *error, nnm_status status);
/* Every prefix, in a block of exactly its size, so that AddressSanitizer sees a look beyond the end. */
void damage_by_truncation(const char *folder, const char *const *names, size_t count, damage_reader read);
/* Every bit the other way round. */
void damage_by_bits(const char *folder, const char *const *names, size_t count, damage_reader read);

#endif
