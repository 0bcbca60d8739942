/* The rows of the table of torch's functions, and those that layout.c reads. */
#ifndef NNM_READERS_NNI_FUNCTIONS_H
#define NNM_READERS_NNI_FUNCTIONS_H

#include "readers/nni/nni.h"

typedef struct nni_function_row nni_function_row;
struct nni_function_row {
  const char *name; /* behind "aten::", the "_" of in-place forms left out */
  nnm_status (*read)(nni_reading *r, const nni_function_row *row, nni_value *out);
  const char *operator; /* ONNX's, where there is one */
};

nnm_status nni_reshape(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_expand_as(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_flatten(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_squeeze(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_permute(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_size_of(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_length_of(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_concatenate(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_split(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_select_index(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_slice(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_item_of(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_pool(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_adaptive_pool(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_pad(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_resize(nni_reading *r, const nni_function_row *row, nni_value *out);
nnm_status nni_pixel_shuffle(nni_reading *r, const nni_function_row *row, nni_value *out);

#endif
