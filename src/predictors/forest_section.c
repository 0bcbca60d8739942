/* Random forests: layout, checks and evaluation. forest.c makes a predictor of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cursor.h"
#include "base/limits.h"
#include "predictors/forest.h"

enum { SECTION_VERSION = 1, HEADER_SIZE = 8, ENTRY_SIZE = 56, MOST_FORESTS = 256 };

_Static_assert(sizeof(nnm_forest_node) == 8, "nodes are used in place");

/* ---------------------------------------------------------------- evaluation */

static double walk_tree(const nnm_forest_node *node, const float *row, const double *leaves) {
  for (;;) {
    uint32_t feature = node->split & 0xff;
    if (feature == NNM_FOREST_LEAF) return leaves[node->at.leaf];
    node += row[feature] <= node->at.threshold ? 1 : node->split >> 8;
  }
}

/* Trees outside, rows inside: a tree stays in the cache while all rows go through it. */
void nnm_forest_predict(const nnm_forest *forest, const float *rows, size_t row_count, size_t stride, double *out) {
  for (size_t i = 0; i < row_count; i++) out[i] = 0;
  for (uint32_t tree = 0; tree < forest->tree_count; tree++) {
    const nnm_forest_node *root = forest->nodes + forest->tree_start[tree];
    for (size_t i = 0; i < row_count; i++) out[i] += walk_tree(root, rows + i * stride, forest->leaves);
  }
  for (size_t i = 0; i < row_count; i++) out[i] /= forest->tree_count;
}

/* ---------------------------------------------------------------- checks */

static nnm_status fail_forest(nnm_error *error, const nnm_forest *forest, const char *fault) {
  return nnm_fail(error, NNM_ERROR_FORMAT, forest->name, "%s; the predictor file is damaged, import it anew", fault);
}

/* All of what check_node asks, without a jump: whether the next node is a leaf cannot be guessed, and a file is checked
 * at every start. */
static bool is_sound(const nnm_forest *forest, const nnm_forest_node *node, uint32_t nodes_left) {
  enum { LARGEST_NUMBER = 0x7f800000 }; /* infinity, as bits without the sign; NaN lies above */
  uint32_t feature = node->split & 0xff, skip = node->split >> 8, bits = node->at.leaf;
  uint32_t room = nodes_left > 2 ? nodes_left - 2 : 0; /* skip: 2 and more, less than nodes_left */
  bool sound_split = (feature < forest->feature_count) & (skip - 2 < room) & ((bits & 0x7fffffff) <= LARGEST_NUMBER);
  bool sound_leaf = (node->split == NNM_FOREST_LEAF) & (bits < forest->leaf_count);
  return sound_leaf | sound_split; /* no split asks for the feature that marks a leaf */
}

/* What is wrong with a node, if anything. */
static nnm_status check_node(const nnm_forest *forest, uint32_t index, uint32_t tree_end, nnm_error *error) {
  const nnm_forest_node *node = &forest->nodes[index];
  uint32_t feature = node->split & 0xff, skip = node->split >> 8;
  if (feature == NNM_FOREST_LEAF) {
    if (skip || node->at.leaf >= forest->leaf_count) return fail_forest(error, forest, "a leaf points outside");
    return NNM_OK;
  }
  if (feature >= forest->feature_count) return fail_forest(error, forest, "a node asks for a feature that is none");
  if (skip < 2 || skip >= tree_end - index) return fail_forest(error, forest, "a child lies outside of its tree");
  if (isnan(node->at.threshold)) return fail_forest(error, forest, "a threshold is no number");
  return NNM_OK;
}

static nnm_status check_tree(const nnm_forest *forest, uint32_t tree, nnm_error *error) {
  uint32_t start = forest->tree_start[tree], end = forest->tree_start[tree + 1];
  if (start >= end || end > forest->node_count) return fail_forest(error, forest, "a tree lies outside of its forest");
  bool sound = true;
  for (uint32_t i = start; i < end; i++) sound &= is_sound(forest, &forest->nodes[i], end - i);
  for (uint32_t i = start; !sound && i < end; i++) NNM_TRY(check_node(forest, i, end, error));
  return NNM_OK;
}

nnm_status nnm_forest_check(const nnm_forest *forest, nnm_error *error) {
  if (!forest->tree_count || !forest->feature_count || forest->feature_count > NNM_FOREST_MOST_FEATURES)
    return fail_forest(error, forest, "no trees, or no or too many features");
  if (forest->tree_start[0] != 0 || forest->tree_start[forest->tree_count] != forest->node_count)
    return fail_forest(error, forest, "the trees do not add up to the forest");
  for (uint32_t tree = 0; tree < forest->tree_count; tree++) NNM_TRY(check_tree(forest, tree, error));
  bool finite = true;
  for (uint32_t i = 0; i < forest->leaf_count; i++) finite &= isfinite(forest->leaves[i]) != 0;
  return finite ? NNM_OK : fail_forest(error, forest, "a leaf is no number");
}

/* ---------------------------------------------------------------- bytes */

static size_t body_size(const nnm_forest *forest) {
  size_t starts = ((size_t)forest->tree_count + 2) / 2 * 8; /* tree_count + 1 of four bytes, rounded up to eight */
  return ((size_t)forest->leaf_count + forest->node_count) * 8 + starts;
}

static nnm_status read_entry(nnm_cursor *table, const unsigned char *section, size_t size, nnm_forest *forest,
                             nnm_error *error) {
  const unsigned char *name = nnm_cursor_take(table, NNM_FOREST_NAME_SIZE);
  forest->feature_count = nnm_cursor_u32(table);
  forest->tree_count = nnm_cursor_u32(table);
  forest->node_count = nnm_cursor_u32(table);
  forest->leaf_count = nnm_cursor_u32(table);
  uint64_t offset = nnm_cursor_u64(table);
  if (table->failed || !name[0] || name[NNM_FOREST_NAME_SIZE - 1])
    return nnm_fail(error, NNM_ERROR_FORMAT, "forest table",
                    "cut short, or a name without end; import the folder anew");
  memcpy(forest->name, name, NNM_FOREST_NAME_SIZE);
  size_t bytes = body_size(forest); /* of four 32-bit counts: no overflow */
  if (offset % 8 || offset > size || bytes > size - offset)
    return fail_forest(error, forest, "the forest lies outside of its section");
  forest->leaves = (const double *)(const void *)(section + offset);
  forest->nodes = (const nnm_forest_node *)(const void *)(forest->leaves + forest->leaf_count);
  forest->tree_start = (const uint32_t *)(const void *)(forest->nodes + forest->node_count);
  return nnm_forest_check(forest, error);
}

static nnm_status read_entries(const unsigned char *section, size_t size, nnm_forest *forests, size_t count,
                               nnm_error *error) {
  nnm_cursor table = nnm_cursor_over(section, size);
  nnm_cursor_take(&table, HEADER_SIZE);
  for (size_t i = 0; i < count; i++) {
    NNM_TRY(read_entry(&table, section, size, &forests[i], error));
    for (size_t j = 0; j < i; j++)
      if (!strcmp(forests[i].name, forests[j].name))
        return fail_forest(error, &forests[i], "the forest is there twice");
  }
  return NNM_OK;
}

nnm_status nnm_forest_section_read(const unsigned char *section, size_t size, nnm_forest **out, size_t *count_out,
                                   nnm_error *error) {
  nnm_cursor header = nnm_cursor_over(section, size);
  uint32_t version = nnm_cursor_u32(&header), count = nnm_cursor_u32(&header);
  if (header.failed)
    return nnm_fail(error, NNM_ERROR_FORMAT, "data", "the section is cut short; import the folder anew");
  if (version != SECTION_VERSION)
    return nnm_fail(error, NNM_ERROR_UNSUPPORTED, "data",
                    "forest layout %u is not known, only %d; import the folder anew", (unsigned)version,
                    SECTION_VERSION);
  if (!count || count > MOST_FORESTS)
    return nnm_fail(error, NNM_ERROR_LIMIT, "data", "%u forests, and 1 to %d are read; import the folder anew",
                    (unsigned)count, MOST_FORESTS);
  nnm_forest *forests = calloc(count, sizeof *forests);
  if (!forests) return nnm_fail_memory(error);
  nnm_status status = read_entries(section, size, forests, count, error);
  if (status != NNM_OK) {
    free(forests);
    return status;
  }
  *out = forests;
  *count_out = count;
  return NNM_OK;
}

static unsigned char *put(unsigned char *to, const void *from, size_t size) {
  if (size) memcpy(to, from, size);
  return to + size;
}

static void write_forest(const nnm_forest *forest, unsigned char *entry, unsigned char *section, uint64_t offset) {
  entry = put(entry, forest->name, NNM_FOREST_NAME_SIZE);
  entry = put(entry, &forest->feature_count, 4);
  entry = put(entry, &forest->tree_count, 4);
  entry = put(entry, &forest->node_count, 4);
  entry = put(entry, &forest->leaf_count, 4);
  put(entry, &offset, 8);
  unsigned char *body = section + offset;
  body = put(body, forest->leaves, (size_t)forest->leaf_count * sizeof *forest->leaves);
  body = put(body, forest->nodes, (size_t)forest->node_count * sizeof *forest->nodes);
  put(body, forest->tree_start, ((size_t)forest->tree_count + 1) * sizeof *forest->tree_start);
}

nnm_status nnm_forest_section_write(const nnm_forest *forests, size_t count, unsigned char **out, size_t *size,
                                    nnm_error *error) {
  if (!count || count > MOST_FORESTS)
    return nnm_fail(error, NNM_ERROR_LIMIT, NULL,
                    "%zu forests, and a predictor holds 1 to %d; import a folder with as many pickles", count,
                    MOST_FORESTS);
  size_t offset = HEADER_SIZE + count * ENTRY_SIZE, total = offset;
  for (size_t i = 0; i < count; i++)
    if (!nnm_add_size(total, body_size(&forests[i]), &total)) return nnm_fail_memory(error);
  unsigned char *section = calloc(1, total);
  if (!section) return nnm_fail_memory(error);
  put(section, &(uint32_t){SECTION_VERSION}, 4);
  put(section + 4, &(uint32_t){(uint32_t)count}, 4);
  for (size_t i = 0; i < count; i++) {
    write_forest(&forests[i], section + HEADER_SIZE + i * ENTRY_SIZE, section, offset);
    offset += body_size(&forests[i]);
  }
  *out = section;
  *size = total;
  return NNM_OK;
}
