#include "graph/graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;
  int bits;
} dtypes[] = {
    [NNM_DTYPE_UNKNOWN] = {"unknown", 32}, [NNM_DTYPE_F32] = {"float32", 32}, [NNM_DTYPE_F16] = {"float16", 16},
    [NNM_DTYPE_BF16] = {"bfloat16", 16},   [NNM_DTYPE_F64] = {"float64", 64}, [NNM_DTYPE_F8] = {"float8", 8},
    [NNM_DTYPE_I8] = {"int8", 8},          [NNM_DTYPE_I16] = {"int16", 16},   [NNM_DTYPE_I32] = {"int32", 32},
    [NNM_DTYPE_I64] = {"int64", 64},       [NNM_DTYPE_I4] = {"int4", 4},      [NNM_DTYPE_U8] = {"uint8", 8},
    [NNM_DTYPE_U16] = {"uint16", 16},      [NNM_DTYPE_U32] = {"uint32", 32},  [NNM_DTYPE_U64] = {"uint64", 64},
    [NNM_DTYPE_U4] = {"uint4", 4},         [NNM_DTYPE_BOOL] = {"bool", 8},    [NNM_DTYPE_STRING] = {"string", 64},
    [NNM_DTYPE_COMPLEX] = {"complex", 64},
};

const char *nnm_dtype_name(nnm_dtype dtype) { return dtypes[dtype].name; }
int nnm_dtype_bits(nnm_dtype dtype) { return dtypes[dtype].bits; }

void nnm_graph_free(nnm_graph *graph) {
  if (!graph) return;
  nnm_strings_free(&graph->strings);
  nnm_arena_free(&graph->arena);
  free(graph->tensors);
  free(graph->nodes);
  free(graph->blocks);
  free(graph);
}

const nnm_attribute *nnm_find_attribute(const nnm_node *node, const char *name) {
  for (uint32_t i = 0; i < node->attribute_count; i++)
    if (node->attributes[i].name[0] == name[0] && !strcmp(node->attributes[i].name, name)) return &node->attributes[i];
  return NULL;
}

int64_t nnm_attribute_int(const nnm_node *node, const char *name, int64_t otherwise) {
  const nnm_attribute *attribute = nnm_find_attribute(node, name);
  return attribute && attribute->kind == NNM_ATTRIBUTE_INT ? attribute->as.integer : otherwise;
}

double nnm_attribute_float(const nnm_node *node, const char *name, double otherwise) {
  const nnm_attribute *attribute = nnm_find_attribute(node, name);
  if (!attribute) return otherwise;
  if (attribute->kind == NNM_ATTRIBUTE_FLOAT) return attribute->as.number;
  return attribute->kind == NNM_ATTRIBUTE_INT ? (double)attribute->as.integer : otherwise;
}

const char *nnm_attribute_text(const nnm_node *node, const char *name, const char *otherwise) {
  const nnm_attribute *attribute = nnm_find_attribute(node, name);
  return attribute && attribute->kind == NNM_ATTRIBUTE_TEXT ? attribute->as.text : otherwise;
}

const int64_t *nnm_attribute_ints(const nnm_node *node, const char *name, size_t *count) {
  const nnm_attribute *attribute = nnm_find_attribute(node, name);
  bool found = attribute && attribute->kind == NNM_ATTRIBUTE_INTS;
  *count = found ? attribute->count : 0;
  return found ? attribute->as.integers : NULL;
}

static bool is_float(nnm_dtype dtype) {
  return dtype == NNM_DTYPE_F32 || dtype == NNM_DTYPE_F64 || dtype == NNM_DTYPE_F16 || dtype == NNM_DTYPE_BF16;
}

/* The bytes of one element, or NULL when the constant does not have them. */
static const unsigned char *element_bytes(const nnm_constant *constant, size_t index, size_t size) {
  if (constant->splat) index = 0;
  if (!constant->bytes || index >= constant->size / size) return NULL;
  return constant->bytes + index * size;
}

#define READ_AS(type)                                                            \
  {                                                                              \
    type element;                                                                \
    const unsigned char *bytes = element_bytes(constant, index, sizeof element); \
    if (!bytes) return false;                                                    \
    memcpy(&element, bytes, sizeof element);                                     \
    *value = (__typeof__(*value))element;                                        \
    return true;                                                                 \
  }

static double half_to_double(uint16_t half) {
  int exponent = half >> 10 & 31, mantissa = half & 1023;
  double magnitude = exponent == 31  ? (mantissa ? NAN : INFINITY)
                     : exponent == 0 ? ldexp(mantissa, -24)
                                     : ldexp(mantissa + 1024, exponent - 25);
  return half & 0x8000 ? -magnitude : magnitude;
}

bool nnm_constant_float(const nnm_constant *constant, size_t index, double *value) {
  switch (constant->dtype) {
  case NNM_DTYPE_F32: READ_AS(float)
  case NNM_DTYPE_F64: READ_AS(double)
  case NNM_DTYPE_F16:
  case NNM_DTYPE_BF16: {
    const unsigned char *bytes = element_bytes(constant, index, 2);
    if (!bytes) return false;
    uint16_t half;
    memcpy(&half, bytes, 2);
    if (constant->dtype == NNM_DTYPE_F16) {
      *value = half_to_double(half);
    } else {
      uint32_t word = (uint32_t)half << 16;
      float number;
      memcpy(&number, &word, 4);
      *value = number;
    }
    return true;
  }
  default: {
    int64_t integer;
    if (!nnm_constant_int(constant, index, &integer)) return false;
    *value = (double)integer;
    return true;
  }
  }
}

bool nnm_constant_int(const nnm_constant *constant, size_t index, int64_t *value) {
  if (is_float(constant->dtype)) {
    double number;
    if (!nnm_constant_float(constant, index, &number) || !(fabs(number) < 9e15)) return false;
    *value = (int64_t)number;
    return true;
  }
  switch (constant->dtype) {
  case NNM_DTYPE_I64: READ_AS(int64_t)
  case NNM_DTYPE_I32: READ_AS(int32_t)
  case NNM_DTYPE_I16: READ_AS(int16_t)
  case NNM_DTYPE_I8: READ_AS(int8_t)
  case NNM_DTYPE_U64: READ_AS(uint64_t)
  case NNM_DTYPE_U32: READ_AS(uint32_t)
  case NNM_DTYPE_U16: READ_AS(uint16_t)
  case NNM_DTYPE_U8:
  case NNM_DTYPE_BOOL: READ_AS(uint8_t)
  default: return false;
  }
}

const char *nnm_node_label(const nnm_graph *graph, nnm_node_id id, char *buffer, size_t size) {
  const nnm_node *node = &graph->nodes[id];
  if (node->name[0]) snprintf(buffer, size, "%.60s '%.80s' (node %d)", node->type, node->name, (int)id);
  else snprintf(buffer, size, "%.60s (node %d)", node->type, (int)id);
  return buffer;
}
