/* Predictor files of every kind. Size and checksum are set right before reading, so that the fuzzer gets past them;
 * what is accepted must then be able to predict. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "compat/compat.h"
#include "predictors/network.h"
#include "predictors/predictor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(unsigned char *file, uint64_t size) {
  if (size < 32) return;
  memcpy(file + 16, &size, sizeof size);
  uint32_t checksum = (uint32_t)crc32(crc32(0, NULL, 0), file + 32, (uInt)(size - 32));
  memcpy(file + 24, &checksum, sizeof checksum);
}

static void use_forests(const nnm_predictor *predictor) {
  static const char *const names[] = {"bn", "concat", "conv-bn-relu", "fc", ""};
  enum { NAMES = sizeof names / sizeof names[0], MOST_ROWS = NNM_COMPAT_MAX_ROW + 1, COUNT = NAMES * MOST_ROWS };
  static nnm_compat_kernel compat[COUNT];
  static nnm_kernel items[COUNT];
  for (size_t i = 0; i < COUNT; i++) {
    compat[i] = (nnm_compat_kernel){
        .predictor = names[i / MOST_ROWS], .row_count = i % MOST_ROWS, .row = {28, 64, 64, 3, 1, 100, 0.1, 1}};
    items[i] = (nnm_kernel){.compat = &compat[i], .repeat = 1};
  }
  nnm_kernel_estimate estimates[COUNT];
  nnm_model_estimate whole;
  const nnm_kernels kernels = {.count = COUNT, .items = items};
  predictor->kind->estimate(predictor->state, NULL, NULL, &kernels, estimates, &whole, NULL);
}

/* Kernels of every type, from nothing to absurdly large. */
static void use_network(const nnm_predictor *predictor) {
  for (int32_t type = 0; type < NNM_KERNEL_TYPE_COUNT; type++) {
    nnm_kernel_row row = {.work = {type % 2 ? 1e18 : 1e6, 1e9, 1e8, 100, 1e10}, .type = type};
    for (size_t i = 0; i < NNM_FEATURE_COUNT; i++) row.features[i] = (float)(type * (int32_t)i) - 20;
    nnm_kernel_estimate estimate;
    nnm_network_estimate(predictor->state, &row, &estimate);
    if (!(estimate.latency_ms >= 0 && estimate.doubt >= 0 && estimate.doubt <= NNM_FULL_DOUBT)) abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned char *file = malloc(size ? size : 1); /* its own block, so that a step too far is seen */
  if (!file) return 0;
  if (size) memcpy(file, data, size);
  seal(file, size);
  nnm_error error;
  nnm_predictor *predictor;
  if (nnm_predictor_read(file, size, "fuzz", &predictor, &error) == NNM_OK) {
    if (predictor->kind == &nnm_predictor_network) use_network(predictor);
    else use_forests(predictor);
    nnm_predictor_free(predictor);
  }
  free(file);
  return 0;
}
