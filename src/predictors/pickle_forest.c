#include "predictors/pickle_forest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "predictors/pickle.h"
#include "predictors/pickle_array.h"

enum { TREE_LEAF = -1 }; /* scikit-learn's left child of a leaf */
/* Each node takes more than this in a pickle, so a forest that has more nodes than its bytes can hold repeats a tree. */
enum { LEAST_NODE_BYTES = 32 };

typedef struct reader {
  const nnm_pickle *pickle;
  nnm_arena *arena;
  nnm_forest *forest;
  nnm_forest_node *nodes;
  double *leaves;
  uint32_t *tree_start;
  uint32_t tree; /* the one being read, for messages */
  nnm_error *error;
} reader;

/* The columns of a tree's node table that decide where a row goes. */
typedef struct node_table {
  nnm_pickle_array nodes, values;
  nnm_pickle_field left, right, feature, threshold;
} node_table;

/* ---------------------------------------------------------------- failures */

static nnm_status fail_tree(const reader *state, nnm_status status, const char *fault) {
  char place[32];
  snprintf(place, sizeof place, "tree %u", (unsigned)state->tree);
  return nnm_fail(state->error, status, place, "%s; save the forest again with scikit-learn 0.23 to 1.7", fault);
}

static nnm_status fail_forest(const reader *state, const char *fault, const char *remedy) {
  return nnm_fail(state->error, NNM_ERROR_FORMAT, NULL, "%s; %s", fault, remedy);
}

/* ---------------------------------------------------------------- objects */

/* Protocols 0 and 1 make an object by a helper that gets the class as its first argument. */
static bool is_instance(const nnm_pickle *pickle, nnm_pickle_id id, nnm_pickle_global class) {
  if (id == NNM_PICKLE_NOTHING) return false;
  const nnm_pickle_value *object = nnm_pickle_at(pickle, id);
  if (object->kind != NNM_PICKLE_OBJECT) return false;
  const nnm_pickle_value *function = nnm_pickle_at(pickle, object->as.object.function);
  if (function->global == NNM_PICKLE_RECONSTRUCTOR) {
    nnm_pickle_id first = nnm_pickle_tuple_item(pickle, object->as.object.arguments, 0);
    if (first == NNM_PICKLE_NOTHING) return false;
    function = nnm_pickle_at(pickle, first);
  }
  return function->kind == NNM_PICKLE_GLOBAL && function->global == class;
}

/* A value out of the object's state. */
static nnm_pickle_id attribute(const nnm_pickle *pickle, nnm_pickle_id object, const char *name) {
  return nnm_pickle_find(pickle, nnm_pickle_at(pickle, object)->as.object.state, name);
}

/* estimators_[i].tree_, or NNM_PICKLE_NOTHING when it is none. */
static nnm_pickle_id tree_data(const nnm_pickle *pickle, nnm_pickle_id estimator) {
  if (!is_instance(pickle, estimator, NNM_PICKLE_TREE)) return NNM_PICKLE_NOTHING;
  nnm_pickle_id data = attribute(pickle, estimator, "tree_");
  return is_instance(pickle, data, NNM_PICKLE_TREE_DATA) ? data : NNM_PICKLE_NOTHING;
}

/* ---------------------------------------------------------------- one tree */

/* Called as Tree(n_features, n_classes, n_outputs). */
static nnm_status check_tree_arguments(reader *state, nnm_pickle_id tree) {
  nnm_pickle_id arguments = nnm_pickle_at(state->pickle, tree)->as.object.arguments;
  int64_t features, outputs;
  if (!nnm_pickle_integer(state->pickle, nnm_pickle_tuple_item(state->pickle, arguments, 0), &features) ||
      !nnm_pickle_integer(state->pickle, nnm_pickle_tuple_item(state->pickle, arguments, 2), &outputs))
    return fail_tree(state, NNM_ERROR_FORMAT, "says not how many features it has");
  if (outputs != 1) return fail_tree(state, NNM_ERROR_UNSUPPORTED, "predicts several numbers, not one latency");
  if (features < 1 || features > NNM_FOREST_MOST_FEATURES)
    return fail_tree(state, NNM_ERROR_LIMIT, "has no features, or more than 64");
  if (state->tree == 0) state->forest->feature_count = (uint32_t)features;
  if (state->forest->feature_count != features)
    return fail_tree(state, NNM_ERROR_FORMAT, "has another number of features than the first tree");
  return NNM_OK;
}

static nnm_status find_columns(reader *state, node_table *table) {
  const struct {
    const char *name;
    nnm_pickle_field *field;
    bool is_float;
  } columns[] = {
      {"left_child", &table->left, false},
      {"right_child", &table->right, false},
      {"feature", &table->feature, false},
      {"threshold", &table->threshold, true},
  };
  for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
    if (!nnm_pickle_array_field(state->pickle, &table->nodes, columns[i].name, columns[i].field) ||
        columns[i].field->is_float != columns[i].is_float)
      return fail_tree(state, NNM_ERROR_UNSUPPORTED, "its node table has other columns than scikit-learn's");
  return NNM_OK;
}

/* Everything but the bytes, which cost something to decode in old protocols. */
static nnm_status describe_tree(reader *state, nnm_pickle_id estimator, node_table *table) {
  nnm_pickle_id tree = tree_data(state->pickle, estimator);
  if (tree == NNM_PICKLE_NOTHING) return fail_tree(state, NNM_ERROR_FORMAT, "is no DecisionTreeRegressor with a tree");
  NNM_TRY(check_tree_arguments(state, tree));
  if (!nnm_pickle_array_describe(state->pickle, attribute(state->pickle, tree, "nodes"), &table->nodes) ||
      !nnm_pickle_array_describe(state->pickle, attribute(state->pickle, tree, "values"), &table->values))
    return fail_tree(state, NNM_ERROR_FORMAT, "its nodes or values are no numpy arrays");
  NNM_TRY(find_columns(state, table));
  if (!table->values.number.is_float) return fail_tree(state, NNM_ERROR_FORMAT, "its values are no numbers");
  if (!table->nodes.count || table->values.count != table->nodes.count)
    return fail_tree(state, NNM_ERROR_FORMAT, "has no nodes, or not one value for each");
  if (table->nodes.count >= NNM_FOREST_MOST_TREE_NODES)
    return fail_tree(state, NNM_ERROR_LIMIT, "has more than 16 million nodes");
  return NNM_OK;
}

/* The largest float that is not above threshold: a float is <= threshold exactly when it is <= that. */
static float round_down(double threshold) {
  float rounded = (float)threshold;
  return (double)rounded > threshold ? nextafterf(rounded, -INFINITY) : rounded;
}

typedef struct pending_node {
  uint32_t index;          /* in scikit-learn's table */
  uint32_t right_child_of; /* node in our order that waits for its skip; UINT32_MAX for left children and the root */
} pending_node;

static nnm_status add_leaf(reader *state, double value, nnm_forest_node *node) {
  if (!isfinite(value)) return fail_tree(state, NNM_ERROR_FORMAT, "a leaf's latency is no number");
  node->split = NNM_FOREST_LEAF;
  node->at.leaf = state->forest->leaf_count;
  state->leaves[state->forest->leaf_count++] = value;
  return NNM_OK;
}

/* *is_leaf or *children is set. */
static nnm_status add_node(reader *state, const node_table *table, uint32_t index, bool *is_leaf,
                           uint32_t children[2]) {
  nnm_forest_node *node = &state->nodes[state->forest->node_count++];
  int64_t left = nnm_pickle_field_integer(&table->nodes, &table->left, index);
  *is_leaf = left == TREE_LEAF;
  if (*is_leaf) return add_leaf(state, nnm_pickle_array_number(&table->values, index), node);
  int64_t right = nnm_pickle_field_integer(&table->nodes, &table->right, index);
  int64_t count = (int64_t)table->nodes.count;
  if (left < 0 || left >= count || right < 0 || right >= count)
    return fail_tree(state, NNM_ERROR_FORMAT, "a node's child does not exist");
  int64_t feature = nnm_pickle_field_integer(&table->nodes, &table->feature, index);
  if (feature < 0 || feature >= state->forest->feature_count)
    return fail_tree(state, NNM_ERROR_FORMAT, "a node asks for a feature that does not exist");
  double threshold = nnm_pickle_field_number(&table->nodes, &table->threshold, index);
  if (isnan(threshold)) return fail_tree(state, NNM_ERROR_FORMAT, "a threshold is no number");
  node->split = (uint32_t)feature;
  node->at.threshold = round_down(threshold);
  children[0] = (uint32_t)left, children[1] = (uint32_t)right;
  return NNM_OK;
}

/* scikit-learn's order into preorder. Children shared by two nodes, and cycles, come out as too many nodes. */
static nnm_status add_nodes(reader *state, const node_table *table, pending_node *stack) {
  uint32_t start = state->forest->node_count;
  size_t depth = 0;
  stack[depth++] = (pending_node){0, UINT32_MAX};
  while (depth) {
    pending_node pending = stack[--depth];
    uint32_t added = state->forest->node_count, children[2] = {0};
    if (added - start == table->nodes.count)
      return fail_tree(state, NNM_ERROR_FORMAT, "two of its nodes share a child, or it turns in a circle");
    if (pending.right_child_of != UINT32_MAX)
      state->nodes[pending.right_child_of].split |= (added - pending.right_child_of) << 8;
    bool is_leaf = false;
    NNM_TRY(add_node(state, table, pending.index, &is_leaf, children));
    if (is_leaf) continue;
    stack[depth++] = (pending_node){children[1], added};
    stack[depth++] = (pending_node){children[0], UINT32_MAX};
  }
  return NNM_OK;
}

static nnm_status read_tree(reader *state, nnm_pickle_id estimator) {
  node_table table;
  NNM_TRY(describe_tree(state, estimator, &table));
  nnm_arena scratch = {0};
  /* each node takes one place off the stack and puts at most two there */
  pending_node *stack = NNM_ARENA_ARRAY(&scratch, pending_node, table.nodes.count + 1);
  nnm_status status = stack ? NNM_OK : nnm_fail_memory(state->error);
  if (status == NNM_OK) status = nnm_pickle_array_load(state->pickle, &table.nodes, &scratch, state->error);
  if (status == NNM_OK) status = nnm_pickle_array_load(state->pickle, &table.values, &scratch, state->error);
  state->tree_start[state->tree] = state->forest->node_count;
  if (status == NNM_OK) status = add_nodes(state, &table, stack);
  nnm_arena_free(&scratch);
  return status;
}

/* ---------------------------------------------------------------- the forest */

/* The first pass: how many nodes there are, before memory is taken for them. */
static nnm_status count_nodes(reader *state, nnm_pickle_id estimators, size_t pickle_size, size_t *total) {
  nnm_pickle_items items = {0};
  *total = 0;
  state->tree = 0;
  for (nnm_pickle_id id; (id = nnm_pickle_next(state->pickle, estimators, &items)) != NNM_PICKLE_NOTHING;) {
    node_table table;
    NNM_TRY(describe_tree(state, id, &table));
    *total += table.nodes.count;
    if (*total > pickle_size / LEAST_NODE_BYTES)
      return fail_tree(state, NNM_ERROR_LIMIT, "more nodes than the file has bytes for: trees are repeated");
    state->tree++;
  }
  return NNM_OK;
}

static nnm_status read_trees(reader *state, nnm_pickle_id estimators, size_t node_total) {
  nnm_forest *forest = state->forest;
  state->nodes = NNM_ARENA_ARRAY(state->arena, nnm_forest_node, node_total);
  state->leaves = NNM_ARENA_ARRAY(state->arena, double, node_total);
  state->tree_start = NNM_ARENA_ARRAY(state->arena, uint32_t, (size_t)forest->tree_count + 1);
  if (!state->nodes || !state->leaves || !state->tree_start) return nnm_fail_memory(state->error);
  nnm_pickle_items items = {0};
  state->tree = 0;
  for (nnm_pickle_id id; (id = nnm_pickle_next(state->pickle, estimators, &items)) != NNM_PICKLE_NOTHING;) {
    NNM_TRY(read_tree(state, id));
    state->tree++;
  }
  state->tree_start[forest->tree_count] = forest->node_count;
  forest->nodes = state->nodes;
  forest->leaves = state->leaves;
  forest->tree_start = state->tree_start;
  return nnm_forest_check(forest, state->error);
}

static nnm_status read_forest(reader *state, size_t pickle_size) {
  nnm_pickle_id root = nnm_pickle_root(state->pickle);
  if (!is_instance(state->pickle, root, NNM_PICKLE_FOREST))
    return fail_forest(state, "holds no RandomForestRegressor", "only scikit-learn's random forests can be imported");
  nnm_pickle_id estimators = attribute(state->pickle, root, "estimators_");
  if (estimators == NNM_PICKLE_NOTHING || nnm_pickle_at(state->pickle, estimators)->kind != NNM_PICKLE_LIST ||
      nnm_pickle_at(state->pickle, estimators)->count == 0)
    return fail_forest(state, "holds a random forest without trees", "train it before saving it");
  state->forest->tree_count = nnm_pickle_at(state->pickle, estimators)->count;
  size_t node_total;
  NNM_TRY(count_nodes(state, estimators, pickle_size, &node_total));
  return read_trees(state, estimators, node_total);
}

static nnm_status copy_library_version(const reader *state, const char **library) {
  nnm_pickle_id id = attribute(state->pickle, nnm_pickle_root(state->pickle), "_sklearn_version");
  const nnm_pickle_value *value = id == NNM_PICKLE_NOTHING ? NULL : nnm_pickle_at(state->pickle, id);
  size_t length = value && value->kind == NNM_PICKLE_TEXT && value->as.bytes.size < 32 ? value->as.bytes.size : 0;
  char *copy = nnm_arena_text(state->arena, length ? (const char *)value->as.bytes.data : "", length);
  if (!copy) return nnm_fail_memory(state->error);
  for (char *at = copy; *at; at++)
    if (*at <= ' ' || *at > '~') *at = '?';
  *library = copy;
  return NNM_OK;
}

nnm_status nnm_forest_from_pickle(const unsigned char *data, size_t size, const char *name, nnm_arena *arena,
                                  nnm_forest *out, const char **library, nnm_error *error) {
  nnm_pickle *pickle;
  NNM_TRY(nnm_pickle_read(data, size, &pickle, error));
  nnm_forest forest = {0};
  snprintf(forest.name, sizeof forest.name, "%s", name);
  reader state = {.pickle = pickle, .arena = arena, .forest = &forest, .error = error};
  nnm_status status = read_forest(&state, size);
  if (status == NNM_OK && library) status = copy_library_version(&state, library);
  nnm_pickle_free(pickle);
  if (status == NNM_OK) *out = forest;
  return status;
}
