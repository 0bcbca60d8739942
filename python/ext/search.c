/* Latencies of many candidates of a search space: sums along the paths of a small automaton. */
#include "core.h"

/* One layer of the space: for each state that the layers before it may end in, and each choice, what the choice costs there
 * and which state it leads to. */
typedef struct search_layer {
  int32_t states, choices;
  size_t start; /* of its [state, choice] entries in costs and next states */
} search_layer;

typedef struct search_space {
  const char *costs, *next; /* float64, int32, perhaps unaligned */
  size_t entry_count;
  search_layer *layers;
  size_t layer_count;
} search_space;

static bool fail(const char *message) {
  PyErr_SetString(PyExc_ValueError, message);
  return false;
}

static int32_t next_state(const search_space *space, size_t entry) {
  int32_t state;
  memcpy(&state, space->next + entry * sizeof state, sizeof state);
  return state;
}

/* sizes: int32 [layer, 2], states and choices of each. Afterwards no path can leave the space. */
static bool read_layers(search_space *space, const char *sizes, size_t bytes) {
  space->layer_count = bytes / (2 * sizeof(int32_t));
  if (!space->layer_count || bytes % (2 * sizeof(int32_t))) return fail("sizes must be int32 [layer, 2]");
  space->layers = PyMem_Calloc(space->layer_count, sizeof *space->layers);
  if (!space->layers) return PyErr_NoMemory(), false;
  size_t entries = 0;
  for (size_t i = 0; i < space->layer_count; i++) {
    int32_t pair[2];
    memcpy(pair, sizes + i * sizeof pair, sizeof pair);
    if (pair[0] < 1 || pair[1] < 1 || (size_t)pair[0] > space->entry_count / (size_t)pair[1])
      return fail("every layer needs states and choices, and costs for them");
    space->layers[i] = (search_layer){pair[0], pair[1], entries};
    entries += (size_t)pair[0] * (size_t)pair[1];
    if (entries > space->entry_count) return fail("costs and next states end before the last layer");
  }
  if (entries != space->entry_count) return fail("there are more costs than states and choices");
  for (size_t i = 0; i + 1 < space->layer_count; i++)
    for (size_t entry = space->layers[i].start; entry < space->layers[i + 1].start; entry++) {
      int32_t state = next_state(space, entry);
      if (state < 0 || state >= space->layers[i + 1].states) return fail("a next state is none of the next layer's");
    }
  return true;
}

/* Index of the first candidate with a choice that its layer has not; count when there is none. */
static size_t sum_candidates(const search_space *space, const char *candidates, size_t count, double constant,
                             char *out) {
  for (size_t n = 0; n < count; n++) {
    double total = constant;
    int32_t state = 0;
    for (size_t i = 0; i < space->layer_count; i++) {
      const search_layer *layer = &space->layers[i];
      int32_t choice;
      memcpy(&choice, candidates + (n * space->layer_count + i) * sizeof choice, sizeof choice);
      if (choice < 0 || choice >= layer->choices) return n;
      size_t entry = layer->start + (size_t)state * (size_t)layer->choices + (size_t)choice;
      double cost;
      memcpy(&cost, space->costs + entry * sizeof cost, sizeof cost);
      total += cost;
      state = next_state(space, entry);
    }
    memcpy(out + n * sizeof total, &total, sizeof total);
  }
  return count;
}

static PyObject *sums(const search_space *space, const char *candidates, size_t bytes, double constant) {
  size_t row = space->layer_count * sizeof(int32_t), count = bytes / row;
  if (bytes % row) return fail("candidates must be int32 [candidate, layer]"), NULL;
  PyObject *result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * sizeof(double)));
  if (!result) return NULL;
  char *out = PyBytes_AsString(result);
  size_t done;
  Py_BEGIN_ALLOW_THREADS done = sum_candidates(space, candidates, count, constant, out);
  Py_END_ALLOW_THREADS if (done == count) return result;
  Py_DECREF(result);
  return PyErr_Format(PyExc_IndexError, "candidate %zu has a choice that its layer has not", done);
}

PyObject *core_search_sums(PyObject *module, PyObject *arguments) {
  (void)module;
  const char *candidates, *sizes;
  Py_ssize_t candidate_bytes, size_bytes, cost_bytes, next_bytes;
  double constant;
  search_space space = {0};
  if (!PyArg_ParseTuple(arguments, "y#y#y#y#d:search_sums", &candidates, &candidate_bytes, &sizes, &size_bytes,
                        &space.costs, &cost_bytes, &space.next, &next_bytes, &constant))
    return NULL;
  space.entry_count = (size_t)cost_bytes / sizeof(double);
  PyObject *result = NULL;
  if ((size_t)cost_bytes % sizeof(double) || (size_t)next_bytes != space.entry_count * sizeof(int32_t))
    fail("costs must be float64 and next states int32, of equal length");
  else if (read_layers(&space, sizes, (size_t)size_bytes))
    result = sums(&space, candidates, (size_t)candidate_bytes, constant);
  PyMem_Free(space.layers);
  return result;
}
