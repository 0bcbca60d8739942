/* A predictor: kernels in, milliseconds out. One file per kind behind a small struct of functions. */
#ifndef NNM_PREDICTORS_PREDICTOR_H
#define NNM_PREDICTORS_PREDICTOR_H

#include "base/mapped_file.h"
#include "features/features.h"
#include "kernels/fusion_rules.h"

typedef struct nnm_kernel_estimate {
  double latency_ms;
  bool in_range;      /* inside what the predictor was trained on */
  bool has_predictor; /* false: nothing here speaks of this kernel; latency_ms is 0 */
  double doubt;       /* how far outside it is, of networks: 0 inside, NNM_FULL_DOUBT at most */
  const char *reason; /* why it is not in range or has no predictor ("kernel type never measured"); static; else NULL */
} nnm_kernel_estimate;

#define NNM_FULL_DOUBT 2.0

/* Where nine of ten measured latencies lie, as logarithms of measured / predicted. A model's doubt is the mean of its
 * kernels', each weighted by its share of the latency; both bounds move out by it times the doubt here. */
typedef struct nnm_interval {
  bool known;
  double low, high, doubt;
} nnm_interval;

typedef struct nnm_model_estimate { /* what belongs to no kernel alone */
  double constant_ms;               /* latency that a run has beside its kernels */
  nnm_interval interval;
} nnm_model_estimate;

typedef struct nnm_predictor_kind {
  const char *name;  /* "network", "forest" */
  nnm_compat compat; /* which kernels it was trained with: NNM_COMPAT_OWN or NNM_COMPAT_NN_METER_2_0 */
  /* section: the kind's part of the predictor file, checksummed already, structure still untrusted; stays mapped. */
  nnm_status (*open)(const unsigned char *section, size_t size, void **state, nnm_error *error);
  void (*close)(void *state);
  /* estimates: kernels->count entries to fill. */
  nnm_status (*estimate)(const void *state, const nnm_graph *graph, const nnm_shapes *shapes,
                         const nnm_kernels *kernels, nnm_kernel_estimate *estimates, nnm_model_estimate *whole,
                         nnm_error *error);
} nnm_predictor_kind;

extern const nnm_predictor_kind nnm_predictor_network, nnm_predictor_forest;

/* The predictor file: docs/predictor-format.md. */
struct nnm_predictor {
  nnm_predictor_info info; /* texts in arena */
  nnm_arena arena;
  nnm_mapped_file file; /* unmapped on free; empty for built-in ones */
  nnm_fusion_rules *rules;
  const nnm_predictor_kind *kind;
  void *state;
  const unsigned char *section; /* the kind's, in place; section_size bytes */
  size_t section_size;
};

typedef struct nnm_predictor_sections { /* what a writer puts into a predictor file */
  const char *kind, *name, *version, *card, *fusion_rules;
  const void *data; /* the kind's section */
  size_t size;
} nnm_predictor_sections;

/* data must outlive the predictor. */
nnm_status nnm_predictor_read(const unsigned char *data, size_t size, const char *origin, struct nnm_predictor **out,
                              nnm_error *error);
/* malloc'ed bytes of a predictor file. */
nnm_status nnm_predictor_write(const nnm_predictor_sections *sections, unsigned char **out, size_t *size,
                               nnm_error *error);

typedef struct nnm_built_in_predictor {
  const unsigned char *data;
  size_t size;
} nnm_built_in_predictor;
/* Embedded files, in the order of devices/. */
const nnm_built_in_predictor *nnm_built_in_predictors(size_t *count);

#endif
