/* The graphs of torchvision's networks, put into the library: ONNX without weights, each compressed by itself.
 * tools/torchvision/make_graphs.py writes graphs.bin and graph_list.inc. */
#ifndef NNM_TORCHVISION_TORCHVISION_H
#define NNM_TORCHVISION_TORCHVISION_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { NNM_TORCHVISION_RANK = 5 }; /* the most dimensions an input has: videos */

typedef struct nnm_torchvision_graph {
  const char *name;    /* as torchvision calls it: "resnet18" */
  uint32_t offset;     /* in graphs.bin, bytes */
  uint32_t packed;     /* bytes there, a zlib stream */
  uint32_t size;       /* bytes of the ONNX file */
  uint32_t rank;       /* of the input's own shape; 0: the graph has it written down */
  const int64_t *dims; /* elements; what the input has when nothing else is asked for */
} nnm_torchvision_graph;

/* NULL after an error that proposes names. */
const nnm_torchvision_graph *nnm_find_torchvision(const char *name, nnm_error *error);

/* The ONNX file; malloc'ed. */
nnm_status nnm_unpack_torchvision(const nnm_torchvision_graph *graph, unsigned char **out, nnm_error *error);

#endif
