/* An opened model: the file, its graph, and what has been inferred of it. */
#ifndef NNM_MODEL_H
#define NNM_MODEL_H

#include "base/mapped_file.h"
#include "ir/ir.h"
#include "readers/reader.h"
#include "shapes/shapes.h"
#include "torchvision/torchvision.h"

struct nnm_model {
  nnm_mapped_file file;                 /* empty when read from memory */
  unsigned char *unpacked;              /* the bytes of one of torchvision's networks; else NULL */
  const nnm_torchvision_graph *network; /* its row; else NULL */
  char *path, *name;
  const nnm_reader *reader;
  nnm_graph *graph;
  nnm_ir *ir;         /* the document itself, for nn-Meter IR files; else NULL */
  nnm_shapes *shapes; /* NULL until nnm_model_infer_shapes */
};

#endif
