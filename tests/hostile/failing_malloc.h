/* malloc and its kin, failing on demand. The linker sends the library's calls here (--wrap), in every build alike. */
#ifndef NNM_TESTS_FAILING_MALLOC_H
#define NNM_TESTS_FAILING_MALLOC_H

#include <stddef.h>

/* From now on the number-th allocation (0: the next one) fails, once; SIZE_MAX: none does. */
void failing_malloc_arm(size_t number);
/* Allocations since then. */
size_t failing_malloc_count(void);

#endif
