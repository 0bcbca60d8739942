#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "nnmeter/nnmeter.h"
#include "torchvision/torchvision.h"

#define NNM_EMBEDDED(symbol, size)         \
  extern const unsigned char symbol[size]; \
  static const unsigned char *const archive = symbol;
#include "torchvision_data.inc"
#undef NNM_EMBEDDED

#define NNM_DIMS(...) \
  (const int64_t[]) { __VA_ARGS__ }

/* By name. */
static const nnm_torchvision_graph graphs[] = {
#define NNM_TORCHVISION(name, offset, packed, size, rank, dims) {name, offset, packed, size, rank, dims},
#include "graph_list.inc"
#undef NNM_TORCHVISION
};
enum { GRAPHS = sizeof graphs / sizeof graphs[0] };

static const char *const names[] = {
#define NNM_TORCHVISION(name, offset, packed, size, rank, dims) name,
#include "graph_list.inc"
#undef NNM_TORCHVISION
    NULL};

const char *const *nnm_torchvision_names(void) { return names; }

/* ---------------------------------------------------------------- names */

/* How many letters must be put in, taken out or exchanged; case and what joins words do not count. */
static size_t distance(const char *a, const char *b) {
  enum { LONGEST = 48 };
  char plain[2][LONGEST];
  size_t lengths[2];
  for (int side = 0; side < 2; side++) {
    lengths[side] = 0;
    for (const char *at = side ? b : a; *at && lengths[side] < LONGEST; at++)
      if (*at != '_' && *at != '-' && *at != ' ') plain[side][lengths[side]++] = (char)tolower((unsigned char)*at);
  }
  size_t row[LONGEST + 1];
  for (size_t j = 0; j <= lengths[1]; j++) row[j] = j;
  for (size_t i = 1; i <= lengths[0]; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= lengths[1]; j++) {
      size_t best = diagonal + (plain[0][i - 1] != plain[1][j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[lengths[1]];
}

enum { PROPOSED = 3 };

/* The nearest names, the first one first; NULL where there are no more about as near. */
static void find_nearest(const char *name, const char *nearest[PROPOSED]) {
  size_t far[PROPOSED] = {0}, limit = strlen(name) / 3 + 2;
  for (size_t i = 0; i < GRAPHS; i++) {
    size_t letters = distance(name, graphs[i].name), at = PROPOSED;
    while (at && (!nearest[at - 1] || letters < far[at - 1])) at--;
    if (letters >= limit || at == PROPOSED) continue;
    memmove(nearest + at + 1, nearest + at, (PROPOSED - 1 - at) * sizeof *nearest);
    memmove(far + at + 1, far + at, (PROPOSED - 1 - at) * sizeof *far);
    nearest[at] = graphs[i].name;
    far[at] = letters;
  }
  for (size_t i = 1; i < PROPOSED; i++)
    if (nearest[i] && far[i] > far[0] + 1) nearest[i] = NULL;
}

static nnm_status fail_unknown(const char *name, nnm_error *error) {
  const char *nearest[PROPOSED] = {NULL};
  char advice[256] = "";
  find_nearest(name, nearest);
  if (!strncasecmp(name, "quantized_", 10)) snprintf(advice, sizeof advice, " quantised ones are not among them;");
  else if (nearest[0])
    snprintf(advice, sizeof advice, " did you mean %s%s%s%s%s?", nearest[0], nearest[1] ? " or " : "",
             nearest[1] ? nearest[1] : "", nearest[2] ? " or " : "", nearest[2] ? nearest[2] : "");
  return nnm_fail(
      error, NNM_ERROR_NOT_FOUND, NULL,
      "no network of torchvision is known as '%.100s';%s see nn-meter --list-torchvision, or export it with "
      "torch.onnx.export",
      name, advice);
}

const nnm_torchvision_graph *nnm_find_torchvision(const char *name, nnm_error *error) {
  for (size_t i = 0; i < GRAPHS; i++)
    if (!strcasecmp(graphs[i].name, name)) return &graphs[i];
  fail_unknown(name, error);
  return NULL;
}

/* ---------------------------------------------------------------- content */

nnm_status nnm_unpack_torchvision(const nnm_torchvision_graph *graph, unsigned char **out, nnm_error *error) {
  unsigned char *bytes = malloc(graph->size);
  if (!bytes) return nnm_fail_memory(error);
  uLongf size = graph->size;
  int result = uncompress(bytes, &size, archive + graph->offset, graph->packed);
  if (result == Z_OK && size == graph->size) {
    *out = bytes;
    return NNM_OK;
  }
  free(bytes);
  if (result == Z_MEM_ERROR) return nnm_fail_memory(error);
  return nnm_fail(error, NNM_ERROR_FORMAT, NULL, "the library's graph of this network is damaged; install it again");
}
