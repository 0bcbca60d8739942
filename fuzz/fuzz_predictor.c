/* Predictor files: the container, and the sections of both kinds. The checksum is put right, so that damage gets past it
 * and reaches what lies behind. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "predictors/network.h"

enum { CHECKSUM_AT = 24, CHECKED_FROM = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What nnm_predict would ask of a network: a few kernels, from nothing to absurdly large. */
static void estimate_some(const nnm_network *network) {
  for (int32_t type = 0; type < NNM_KERNEL_TYPE_COUNT; type += 5) {
    nnm_kernel_row row = {.multiply_adds = 1e18, .elements_moved = 1e9, .type = type};
    for (size_t i = 0; i < NNM_FEATURE_COUNT; i++) row.features[i] = (float)(type * (int32_t)i) - 20;
    nnm_kernel_estimate estimate;
    nnm_network_estimate(network, &row, &estimate);
    if (!(estimate.latency_ms >= 0)) abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned char *copy = malloc(size + 1);
  if (!copy) return 0;
  memcpy(copy, data, size);
  if (size > CHECKED_FROM) {
    uint32_t checksum = (uint32_t)crc32(0, copy + CHECKED_FROM, (uInt)(size - CHECKED_FROM));
    memcpy(copy + CHECKSUM_AT, &checksum, sizeof checksum);
  }
  nnm_predictor *predictor = NULL;
  if (nnm_predictor_read(copy, size, "fuzz", &predictor, NULL) == NNM_OK && predictor->kind == &nnm_predictor_network)
    estimate_some(predictor->state);
  nnm_predictor_free(predictor);
  free(copy);
  return 0;
}
