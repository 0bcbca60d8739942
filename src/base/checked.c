#include "base/checked.h"

bool nnm_multiply_dims(const int64_t *dims, size_t rank, int64_t *elements) {
  int64_t product = 1;
  for (size_t i = 0; i < rank; i++)
    if (dims[i] < 0 || !nnm_multiply_i64(product, dims[i], &product)) return false;
  *elements = product;
  return true;
}
