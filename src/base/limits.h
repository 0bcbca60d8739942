/* Every limit on untrusted input, in one place. A breach is NNM_ERROR_LIMIT with its own message. */
#ifndef NNM_BASE_LIMITS_H
#define NNM_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

enum {
  NNM_LIMIT_RANK = 16,                   /* dimensions of one tensor */
  NNM_LIMIT_SPATIAL = 3,                 /* spatial dimensions of a convolution or pooling */
  NNM_LIMIT_NODES = 4 << 20,             /* nodes of one model, bodies and inlined functions included */
  NNM_LIMIT_TENSORS = 16 << 20,          /* tensors of one model */
  NNM_LIMIT_NODE_PORTS = 1 << 16,        /* inputs or outputs of one node */
  NNM_LIMIT_ATTRIBUTES = 1 << 12,        /* attributes of one node */
  NNM_LIMIT_LIST_ITEMS = 1 << 24,        /* numbers or texts in one attribute */
  NNM_LIMIT_NAME_BYTES = 1 << 16,        /* one name */
  NNM_LIMIT_BLOCK_DEPTH = 64,            /* If/Loop/Scan bodies inside each other */
  NNM_LIMIT_FUNCTION_DEPTH = 32,         /* local functions calling each other */
  NNM_LIMIT_NNI_NODES = 1 << 19,         /* nodes and edges of an NNI model, all its cells written out */
  NNM_LIMIT_JSON_DEPTH = 64,             /* nesting of a JSON document */
  NNM_LIMIT_FOLDED_ELEMENTS = 65536,     /* elements of a constant that shape inference computes with */
  NNM_LIMIT_KERNEL_MEMBERS = 4096,       /* nodes in one kernel */
  NNM_LIMIT_PICKLE_OPERATIONS = 4 << 20, /* steps of one pickle; a forest of 1000 trees takes 130,000 */
  NNM_LIMIT_PICKLE_STACK = 1 << 20,      /* values on a pickle's stack */
  NNM_LIMIT_YAML_BYTES = 1 << 20,        /* one YAML document; an entry of predictors.yaml has 500 */
  NNM_LIMIT_YAML_NODES = 1 << 16,        /* scalars, lists and mappings of one YAML document */
  NNM_LIMIT_YAML_DEPTH = 32,             /* lists and mappings inside each other */
  NNM_LIMIT_ARCHIVE_FILES = 1024,        /* files of a fetched archive; an official one has 17 */
  NNM_LIMIT_ARCHIVE_RATIO = 200,         /* bytes unpacked for each byte of an archive; a folder of forests has 6 */
  NNM_LIMIT_NOTES = 200                  /* notes of one result; more are counted, not listed */
};

#define NNM_LIMIT_DIMENSION (INT64_C(1) << 40)       /* one dimension, elements */
#define NNM_LIMIT_ELEMENTS (INT64_C(1) << 50)        /* one tensor, elements */
#define NNM_LIMIT_JSON_BYTES (UINT64_C(1) << 30)     /* one JSON document */
#define NNM_LIMIT_PICKLE_BYTES (UINT64_C(1) << 30)   /* one pickle */
#define NNM_LIMIT_UNPACKED_BYTES (UINT64_C(4) << 30) /* a fetched archive, unpacked */

#endif
