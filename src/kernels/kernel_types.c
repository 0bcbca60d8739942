#include "kernels/kernels.h"

/* The list is NULL-terminated, so that it can be handed out as it is. */
static const char *const names[] = {
#define NNM_KERNEL(id, name, description) [NNM_KERNEL_##id] = name,
#include "kernels/kernel_list.inc"
#undef NNM_KERNEL
    NULL};

const char *nnm_kernel_type_name(nnm_kernel_type type) { return names[type]; }
const char *const *nnm_kernel_names(void) { return names; }
