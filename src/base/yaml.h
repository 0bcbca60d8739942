/* Untrusted YAML documents as a small tree that knows where in the text each part stands, so that a file can be changed
 * without writing it anew. Read is what configuration files hold: lists, mappings, scalars. Anchors, aliases and tags are
 * refused, size, nesting and number of nodes are limited. */
#ifndef NNM_BASE_YAML_H
#define NNM_BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"

typedef enum nnm_yaml_kind { NNM_YAML_SCALAR, NNM_YAML_LIST, NNM_YAML_MAPPING } nnm_yaml_kind;

typedef struct nnm_yaml_node {
  nnm_yaml_kind kind;
  bool is_flow;     /* a list or mapping in brackets */
  const char *text; /* of a scalar: NUL-terminated UTF-8 without a NUL inside; else NULL */
  size_t line;      /* counted from 1 */
  size_t column;    /* characters before it in its line */
  size_t start;     /* byte of the document where it begins; of a list without brackets its first '-' */
  size_t end;       /* byte behind its last character; comments and line ends behind it do not belong to it */
  size_t count;     /* children */
  struct nnm_yaml_node *first, *next; /* a mapping's children: key, value, key, value */
} nnm_yaml_node;

/* Reads the one document that data holds into the arena; *root is NULL when there is nothing but comments. */
nnm_status nnm_yaml_parse(const void *data, size_t size, nnm_arena *arena, nnm_yaml_node **root, nnm_error *error);

/* The value of a key of a mapping, of several the last; NULL when there is none, or node is no mapping. */
const nnm_yaml_node *nnm_yaml_get(const nnm_yaml_node *node, const char *key);

/* The text of a key's scalar; NULL when there is none. */
const char *nnm_yaml_text(const nnm_yaml_node *node, const char *key);

#endif
