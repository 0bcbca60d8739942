#include "predictors/kernel_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/strings.h"

const char *const nnm_work_names[NNM_WORK_COUNT] = {
#define NNM_WORK_TERM(id, name, description) name,
#include "predictors/work_list.inc"
#undef NNM_WORK_TERM
};

void nnm_kernel_row_of(const nnm_graph *graph, const nnm_shapes *shapes, const nnm_kernel *kernel,
                       nnm_kernel_row *row) {
  memset(row, 0, sizeof *row); /* rows are compared as bytes, a tail of padding included */
  nnm_geometry geometry;
  nnm_kernel_geometry(graph, shapes, kernel, &geometry);
  row->work[NNM_WORK_MULTIPLY_ADDS] = (double)kernel->multiply_adds;
  row->work[NNM_WORK_INPUT_ELEMENTS] = (double)kernel->input_elements;
  row->work[NNM_WORK_OUTPUT_ELEMENTS] = (double)kernel->output_elements;
  row->work[NNM_WORK_WEIGHT_ELEMENTS] = (double)kernel->weight_elements;
  row->work[NNM_WORK_WINDOW_ELEMENTS] = nnm_window_elements(kernel, &geometry);
  row->type = (int32_t)kernel->type;
  nnm_geometry_features(graph, shapes, kernel, &geometry, row->features);
}

static bool grow_rows(nnm_kernel_set *set) {
  if (set->count < set->capacity) return true;
  size_t capacity = set->capacity ? set->capacity * 2 : 64;
  nnm_kernel_row *rows = realloc(set->rows, capacity * sizeof *rows);
  if (!rows) return false;
  set->rows = rows;
  set->capacity = capacity;
  return true;
}

/* The slot that holds the row, or the free one where it belongs. */
static uint32_t *find_slot(const nnm_kernel_set *set, const nnm_kernel_row *row) {
  for (size_t at = nnm_hash_bytes(row, sizeof *row);; at++) {
    uint32_t *slot = &set->slots[at & (set->slot_count - 1)];
    if (!*slot || !memcmp(&set->rows[*slot - 1], row, sizeof *row)) return slot;
  }
}

static bool grow_slots(nnm_kernel_set *set) {
  if (set->count * 2 < set->slot_count) return true;
  nnm_kernel_set grown = *set;
  grown.slot_count = set->slot_count ? set->slot_count * 2 : 128;
  grown.slots = calloc(grown.slot_count, sizeof *grown.slots);
  if (!grown.slots) return false;
  for (size_t i = 0; i < set->count; i++) *find_slot(&grown, &set->rows[i]) = (uint32_t)i + 1;
  free(set->slots);
  *set = grown;
  return true;
}

bool nnm_kernel_set_add(nnm_kernel_set *set, const nnm_kernel_row *row, size_t *index) {
  if (!grow_slots(set)) return false;
  uint32_t *slot = find_slot(set, row);
  if (!*slot) {
    if (!grow_rows(set)) return false;
    memcpy(&set->rows[set->count++], row, sizeof *row);
    *slot = (uint32_t)set->count;
  }
  *index = *slot - 1;
  return true;
}

void nnm_kernel_set_free(nnm_kernel_set *set) {
  free(set->rows);
  free(set->slots);
  *set = (nnm_kernel_set){0};
}
