#include "shapes/value.h"

#include <math.h>

#include "base/checked.h"
#include "base/limits.h"

bool nnm_is_float_dtype(nnm_dtype dtype) {
  return dtype == NNM_DTYPE_F32 || dtype == NNM_DTYPE_F64 || dtype == NNM_DTYPE_F16 || dtype == NNM_DTYPE_BF16 ||
         dtype == NNM_DTYPE_F8;
}

bool nnm_start_value(nnm_inference *inference, size_t count, bool is_float, nnm_new_value *out) {
  if (count > NNM_LIMIT_FOLDED_ELEMENTS || (int64_t)count > inference->budget) return false;
  inference->budget -= (int64_t)count + 4; /* small ones cost something as well */
  nnm_arena *arena = &inference->shapes->arena;
  *out = (nnm_new_value){.value = NNM_ARENA_NEW(arena, nnm_value)};
  if (is_float) out->numbers = NNM_ARENA_ARRAY(arena, double, count);
  else out->integers = NNM_ARENA_ARRAY(arena, int64_t, count);
  if (!out->value || (is_float ? !out->numbers : !out->integers)) {
    inference->out_of_memory = true;
    return false;
  }
  out->value->count = count;
  out->value->is_float = is_float;
  if (is_float) out->value->as.numbers = out->numbers;
  else out->value->as.integers = out->integers;
  return true;
}

void nnm_store_value(nnm_new_value *value, size_t index, double number, nnm_dtype dtype) {
  if (value->numbers) {
    value->numbers[index] = dtype == NNM_DTYPE_F32 ? (double)(float)number : number;
    return;
  }
  int64_t integer = number >= 9.2e18 ? INT64_MAX : number <= -9.2e18 ? INT64_MIN : isnan(number) ? 0 : (int64_t)number;
  value->integers[index] = dtype == NNM_DTYPE_BOOL ? number != 0 : integer;
}

const nnm_value *nnm_value_of_constant(nnm_inference *inference, const nnm_constant *constant) {
  int64_t elements;
  nnm_new_value made;
  if (!nnm_multiply_dims(constant->dims, (size_t)constant->rank, &elements)) return NULL;
  if (!constant->bytes && elements) return NULL;
  bool is_float = nnm_is_float_dtype(constant->dtype);
  if (!nnm_start_value(inference, (size_t)elements, is_float, &made)) return NULL;
  for (size_t i = 0; i < (size_t)elements; i++)
    if (!(is_float ? nnm_constant_float(constant, i, &made.numbers[i])
                   : nnm_constant_int(constant, i, &made.integers[i])))
      return NULL;
  return made.value;
}

/* A weight is decoded when it is first asked for. */
const nnm_value *nnm_tensor_value(nnm_inference *inference, nnm_tensor_id id) {
  const nnm_value **value = &inference->shapes->values[id];
  const nnm_constant *constant = inference->graph->tensors[id].constant;
  if (!*value && constant) *value = nnm_value_of_constant(inference, constant);
  return *value;
}
