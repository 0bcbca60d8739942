/* Our own predictor: a roofline guess for each kernel, corrected by two small networks (docs/predictor-format.md).
 *   latency = repeat * guess * exp(shared network + network of the kernel's type), plus a constant per model;
 *   guess = sum of the kernel's amounts of work, each times the type's cost of it, plus the cost of a kernel.
 * The networks see the normalised features, and ramps: features cut into pieces, so that a step in the cost (weights that
 * no longer fit a memory, say) is easy to learn.
 * Everything is read in place from the predictor file's data section. */
#ifndef NNM_PREDICTORS_NETWORK_H
#define NNM_PREDICTORS_NETWORK_H

#include "predictors/kernel_set.h"
#include "predictors/predictor.h"

enum {
  NNM_NETWORK_VERSION = 2,
  NNM_NETWORK_MAX_FEATURES = 256,
  NNM_NETWORK_MAX_RAMPS = 512,
  NNM_NETWORK_MAX_TYPES = 256,
  NNM_NETWORK_MAX_LAYERS = 7,
  NNM_NETWORK_MAX_WIDTH = 1024,
  NNM_NETWORK_BLOCK = 32,                /* hidden widths are multiples of it */
  NNM_NETWORK_COSTS = NNM_WORK_COUNT + 1 /* the last one is that of the kernel itself */
};

/* ---- records as they lie in the file, little-endian */

typedef struct nnm_network_header { /* 64 bytes */
  uint32_t version, feature_count, type_count, network_count;
  double constant_ms;
  float correction_limit; /* the networks' sum is clamped to +- this */
  uint32_t ramp_count;
  /* Logarithms of the 5 % and 95 % quantile of measured / predicted over new models, and by how much both move out for a
   * doubt of 1 (predictor.h). All three 0: unknown. */
  float interval_low, interval_high, doubt;
  uint32_t zero[5];
} nnm_network_header;

typedef struct nnm_network_feature { /* 64 bytes */
  char name[44];                     /* NUL-padded */
  float mean, scale;                 /* normalised = (value - mean) * scale */
  float low, high;                   /* range over all types measured */
  float tolerance;                   /* how far outside a range still counts as inside */
} nnm_network_feature;

typedef struct nnm_network_ramp { /* 16 bytes: 0 up to low, then rising to 1 over 1 / slope */
  uint32_t feature;               /* index into the file's features */
  float low, slope;
  uint32_t zero;
} nnm_network_ramp;

typedef struct nnm_network_type {    /* 96 bytes */
  char name[32];                     /* NUL-padded; the last record has none and stands for types that no other names */
  double cost_ms[NNM_NETWORK_COSTS]; /* milliseconds per unit of work, each >= 0 */
  uint32_t measured;                 /* 0 or 1; when 0 the record is a guess */
  uint32_t network;                  /* index of the type's own network; 0: it has none */
  uint32_t zero[2];
} nnm_network_type;

typedef struct nnm_network_shape {         /* 32 bytes */
  uint32_t layer_count;                    /* 2.. */
  uint32_t widths[NNM_NETWORK_MAX_LAYERS]; /* outputs of each layer; the last is 1; unused ones 0 */
} nnm_network_shape;

_Static_assert(sizeof(nnm_network_header) == 64 && sizeof(nnm_network_feature) == 64 &&
                   sizeof(nnm_network_ramp) == 16 && sizeof(nnm_network_type) == 96 && sizeof(nnm_network_shape) == 32,
               "records are read in place");

/* ---- the opened section */

typedef struct nnm_network {
  size_t feature_count, ramp_count, type_count, network_count; /* type_count without the record for unknown types */
  double constant_ms;
  float correction_limit;
  nnm_interval interval;
  const nnm_network_feature *features;
  const nnm_network_ramp *ramps;
  const nnm_network_type *types;
  const float *low, *high;  /* [type][feature] range of what was measured */
  const float *type_biases; /* [type or unknown][first width of the shared network] */
  const nnm_network_shape *shapes;
  const float **weights;                       /* per network: its first layer */
  size_t feature_at[NNM_NETWORK_MAX_FEATURES]; /* the library's index of each feature of the file */
  size_t type_at[NNM_KERNEL_TYPE_COUNT]; /* the file's index of each of the library's kernel types, or type_count */
  bool is_guess[NNM_KERNEL_TYPE_COUNT];  /* the file does not name the type: the record is that of its kin */
} nnm_network;

/* Opens a section, which lies at a multiple of 16 and must outlive the network. Every count, size, name and number is checked. */
nnm_status nnm_network_open(const unsigned char *section, size_t size, nnm_network **out, nnm_error *error);
void nnm_network_close(nnm_network *network); /* NULL is fine */

/* One turn of one kernel. */
void nnm_network_estimate(const nnm_network *network, const nnm_kernel_row *row, nnm_kernel_estimate *out);

/* Number of floats of a layer's biases and weights as they lie in the file: biases, padded to a multiple of 4, then
 * weights, in blocks of NNM_NETWORK_BLOCK outputs: [block][input][output of the block]; for the last layer [input],
 * padded likewise. */
size_t nnm_network_layer_floats(size_t inputs, size_t outputs);

#endif
