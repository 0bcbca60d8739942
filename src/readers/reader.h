/* A format is a small struct of functions; registry.c holds the table. */
#ifndef NNM_READERS_READER_H
#define NNM_READERS_READER_H

#include "base/status.h"
#include "graph/graph.h"
#include "ir/ir.h"

typedef struct nnm_reader {
  const char *name;
  /* How sure the reader is, from the content alone: 0 no, 1 perhaps, 2 surely. Looks at most at the first 4 KiB. */
  int (*probe)(const unsigned char *data, size_t size);
  /* Makes a graph. data outlives the graph. *ir is set by formats that are nn-Meter IR documents themselves, else left
   * alone; both are the caller's. */
  nnm_status (*read)(const unsigned char *data, size_t size, nnm_graph **graph, nnm_ir **ir, nnm_error *error);
} nnm_reader;

extern const nnm_reader nnm_reader_onnx, nnm_reader_tensorflow, nnm_reader_tflite, nnm_reader_nnmeter_ir,
    nnm_reader_benchmark, nnm_reader_nni_ir;

/* format NULL: by content. */
nnm_status nnm_find_reader(const char *format, const unsigned char *data, size_t size, const nnm_reader **out,
                           nnm_error *error);

#endif
