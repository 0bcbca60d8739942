#include "predictors/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Four floats at a time in the compilers' own vector type: the same sums in the same order on every machine. */
typedef float vector __attribute__((vector_size(16), may_alias));
typedef int32_t integer_vector __attribute__((vector_size(16), may_alias));
enum { LANES = 4, VECTORS = NNM_NETWORK_BLOCK / LANES };

static inline vector splat(float x) { return (vector){x, x, x, x}; }
static inline vector select_lanes(integer_vector mask, vector yes, vector no) {
  return (vector)(((integer_vector)yes & mask) | ((integer_vector)no & ~mask));
}

/* e^x, relative error below 3e-7: x = n ln 2 + r, a polynomial for e^r, n put into the exponent. */
static inline vector exponential(vector x) {
  x = select_lanes(x < splat(-87), splat(-87), x);
  x = select_lanes(x > splat(87), splat(87), x);
  const vector round = splat(12582912); /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
  vector shifted = x * splat(1.44269504F) + round;
  vector n = shifted - round;
  vector r = x - n * splat(0.693359375F) + n * splat(2.12194440e-4F);
  vector p = splat(1.0F / 5040) * r + splat(1.0F / 720);
  p = p * r + splat(1.0F / 120);
  p = p * r + splat(1.0F / 24);
  p = p * r + splat(1.0F / 6);
  p = p * r + splat(0.5F);
  p = p * r + splat(1);
  p = p * r + splat(1);
  integer_vector exponent = ((integer_vector)shifted - (integer_vector)round + 127) << 23;
  return p * (vector)exponent;
}

/* SiLU: x / (1 + e^-x) */
static void activate(float *values, size_t count) {
  vector *v = (vector *)values;
  for (size_t i = 0; i < count / LANES; i++) v[i] = v[i] / (splat(1) + exponential(-v[i]));
}

static size_t padded(size_t count) { return (count + LANES - 1) / LANES * LANES; }

size_t nnm_network_layer_floats(size_t inputs, size_t outputs) { return padded(outputs) + padded(inputs * outputs); }

/* Inputs of a layer: of the first one only those that are not 0, which leaves out half of the ramps; at tells which. */
typedef struct layer_inputs {
  size_t count;
  const float *values;
  const uint16_t *at; /* NULL: all, in order */
} layer_inputs;

static void hidden_layer(const layer_inputs *inputs, size_t width, const float *biases, const float *weights,
                         size_t output_count, float *outputs) {
  for (size_t block = 0; block < output_count; block += NNM_NETWORK_BLOCK) {
    vector sums[VECTORS];
    const vector *block_weights = (const vector *)(weights + block * width);
    memcpy(sums, biases + block, sizeof sums);
    for (size_t i = 0; i < inputs->count; i++) {
      const vector *w = block_weights + (inputs->at ? inputs->at[i] : i) * VECTORS;
      for (size_t j = 0; j < VECTORS; j++) sums[j] += splat(inputs->values[i]) * w[j];
    }
    memcpy(outputs + block, sums, sizeof sums);
  }
  activate(outputs, output_count);
}

static float last_layer(const float *inputs, size_t input_count, const float *biases, const float *weights) {
  const vector *x = (const vector *)inputs, *w = (const vector *)weights;
  vector sum = splat(0);
  for (size_t i = 0; i < input_count / LANES; i++) sum += x[i] * w[i];
  return biases[0] + ((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

/* biases: instead of the first layer's own, or NULL. */
static float run_network(const nnm_network *network, size_t index, const float *biases, const layer_inputs *first) {
  _Alignas(16) float buffers[2][NNM_NETWORK_MAX_WIDTH];
  const nnm_network_shape *shape = &network->shapes[index];
  const float *layer = network->weights[index];
  size_t width = network->feature_count + network->ramp_count;
  layer_inputs inputs = *first;
  for (size_t i = 0; i + 1 < shape->layer_count; i++) {
    size_t next = shape->widths[i];
    hidden_layer(&inputs, width, i == 0 && biases ? biases : layer, layer + padded(next), next, buffers[i & 1]);
    layer += nnm_network_layer_floats(width, next);
    inputs = (layer_inputs){next, buffers[i & 1], NULL};
    width = next;
  }
  return last_layer(inputs.values, width, layer, layer + padded(1));
}

static const char unmeasured[] = "kernel type never measured on this device";
static const struct {
  const char *quantity, *above, *below; /* quantity empty: the range does not ask for this feature */
} ranges[] = {
#define NNM_FEATURE(id, name, quantity, description) \
  {quantity, quantity " above the largest measured", quantity " below the smallest measured"},
#include "features/feature_list.inc"
#undef NNM_FEATURE
};

/* How far beyond what was measured a kernel lies. */
typedef struct excess {
  const char *reason; /* the feature that is farthest outside; NULL: none is */
  float farthest;     /* in that feature's own spread */
  float largest;      /* of all features, in their own units: mostly logarithms */
} excess;

/* The file's features, clamped to what was measured (of the type, of all types when it was not): beyond it the
 * corrections stay what they are at its edge and the roofline guess alone goes on growing. */
static excess clamp_features(const nnm_network *network, size_t type, bool known, const nnm_kernel_row *row,
                             float *values) {
  excess out = {0};
  for (size_t i = 0; i < network->feature_count; i++) {
    const nnm_network_feature *feature = &network->features[i];
    float low = known ? network->low[type * network->feature_count + i] : feature->low;
    float high = known ? network->high[type * network->feature_count + i] : feature->high;
    size_t at = network->feature_at[i];
    float value = row->features[at];
    float beyond = value > high ? value - high : low - value;
    if (ranges[at].quantity[0] && beyond > feature->tolerance) {
      if (beyond > out.largest) out.largest = beyond;
      if (beyond * feature->scale > out.farthest) {
        out.farthest = beyond * feature->scale;
        out.reason = value > high ? ranges[at].above : ranges[at].below;
      }
    }
    values[i] = value < low ? low : value > high ? high : value;
  }
  return out;
}

enum { MOST_INPUTS = NNM_NETWORK_MAX_FEATURES + NNM_NETWORK_MAX_RAMPS };

/* What the networks see: the features normalised, and their ramps. Zeros are left out. */
static size_t make_inputs(const nnm_network *network, const float *values, float *inputs, uint16_t *at) {
  size_t count = 0;
  for (size_t i = 0; i < network->feature_count; i++) {
    inputs[count] = (values[i] - network->features[i].mean) * network->features[i].scale;
    at[count] = (uint16_t)i;
    count += inputs[count] != 0;
  }
  for (size_t i = 0; i < network->ramp_count; i++) {
    const nnm_network_ramp *ramp = &network->ramps[i];
    float height = (values[ramp->feature] - ramp->low) * ramp->slope;
    inputs[count] = height < 0 ? 0 : height > 1 ? 1 : height;
    at[count] = (uint16_t)(network->feature_count + i);
    count += inputs[count] != 0;
  }
  return count;
}

static double doubt_of(const excess *beyond) {
  const double barely = 0.25; /* outside is a doubt of its own, however near */
  return beyond->reason ? fmin(barely + (double)beyond->largest, NNM_FULL_DOUBT) : 0;
}

void nnm_network_estimate(const nnm_network *network, const nnm_kernel_row *row, nnm_kernel_estimate *out) {
  size_t type = network->type_at[row->type];
  float values[NNM_NETWORK_MAX_FEATURES], numbers[MOST_INPUTS + 1]; /* one more: written before it is known to count */
  uint16_t at[MOST_INPUTS + 1];
  const nnm_network_type *record = &network->types[type];
  bool measured = type < network->type_count && record->measured && !network->is_guess[row->type];
  const excess beyond = clamp_features(network, type, measured, row, values);
  layer_inputs inputs = {make_inputs(network, values, numbers, at), numbers, at};
  const char *reason = measured ? beyond.reason : unmeasured;

  float correction = run_network(network, 0, network->type_biases + type * network->shapes[0].widths[0], &inputs);
  if (record->network) correction += run_network(network, record->network, NULL, &inputs);
  float limit = network->correction_limit;
  if (!(correction > -limit)) correction = -limit; /* catches NaN as well */
  if (correction > limit) correction = limit;

  double guess = record->cost_ms[NNM_WORK_COUNT];
  for (size_t i = 0; i < NNM_WORK_COUNT; i++) guess += row->work[i] * record->cost_ms[i];
  *out = (nnm_kernel_estimate){.latency_ms = guess * exp((double)correction),
                               .in_range = !reason,
                               .has_predictor = true,
                               .doubt = measured ? doubt_of(&beyond) : NNM_FULL_DOUBT,
                               .reason = reason};
}

/* Features see two of three spatial dimensions; nothing with three was ever measured. */
static void mark_volume(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel,
                        nnm_kernel_estimate *estimate) {
  nnm_window window;
  if (kernel->core < 0 || !nnm_window_of(graph, shapes, kernel->core, &window) || window.spatial < 3) return;
  estimate->in_range = false;
  estimate->doubt = NNM_FULL_DOUBT;
  estimate->reason = "three spatial dimensions were never measured";
}

static nnm_status estimate_rows(const nnm_network *network, const nnm_graph *graph, const nnm_shapes *shapes,
                                const nnm_kernels *kernels, nnm_kernel_set *set, nnm_kernel_estimate *estimates,
                                nnm_error *error) {
  size_t *first = malloc((kernels->count ? kernels->count : 1) * sizeof *first); /* kernel that first had the row */
  if (!first) return nnm_fail_memory(error);
  nnm_status status = NNM_OK;
  for (size_t i = 0; i < kernels->count && status == NNM_OK; i++) {
    const nnm_kernel *kernel = &kernels->items[i];
    nnm_kernel_row row;
    nnm_kernel_row_of(graph, shapes, kernel, &row);
    size_t known = set->count, at;
    if (!nnm_kernel_set_add(set, &row, &at)) {
      status = nnm_fail_memory(error);
      break;
    }
    if (at == known) {
      first[at] = i;
      nnm_network_estimate(network, &row, &estimates[i]);
    } else {
      estimates[i] = estimates[first[at]];
    }
    mark_volume(graph, shapes, kernel, &estimates[i]);
  }
  free(first);
  if (status != NNM_OK) return status;
  for (size_t i = 0; i < kernels->count; i++) estimates[i].latency_ms *= (double)kernels->items[i].repeat;
  return NNM_OK;
}

static nnm_status estimate(const void *state, const nnm_graph *graph, const nnm_shapes *shapes,
                           const nnm_kernels *kernels, nnm_kernel_estimate *estimates, nnm_model_estimate *whole,
                           nnm_error *error) {
  const nnm_network *network = state;
  nnm_kernel_set set = {0};
  nnm_status status = estimate_rows(network, graph, shapes, kernels, &set, estimates, error);
  nnm_kernel_set_free(&set);
  *whole = (nnm_model_estimate){.constant_ms = network->constant_ms, .interval = network->interval};
  return status;
}

static nnm_status open_state(const unsigned char *section, size_t size, void **state, nnm_error *error) {
  nnm_network *network;
  NNM_TRY(nnm_network_open(section, size, &network, error));
  *state = network;
  return NNM_OK;
}

static void close_state(void *state) { nnm_network_close(state); }

const nnm_predictor_kind nnm_predictor_network = {"network", NNM_COMPAT_OWN, open_state, close_state, estimate};
