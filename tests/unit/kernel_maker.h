/* What the tests of kernel detection share: one graph in the making, and the kernels found in it. */
#ifndef NNM_TESTS_KERNEL_MAKER_H
#define NNM_TESTS_KERNEL_MAKER_H

#include "graph_maker.h"
#include "kernels/kernels.h"

extern const char cpu[]; /* fusion rules of a TFLite-like CPU */
extern graph_maker maker;
extern nnm_graph *graph;
extern nnm_shapes *shapes;
extern nnm_kernels *kernels;

int setup(void **state);
void release(void);
/* Every node that runs is in one kernel at most; how many are in none. */
int count_left_out(bool may_repeat);
/* Finishes maker's graph and finds its kernels; release frees them. */
void detect_with(const char *rules_text);
/* The same for a graph that is finished already. */
void detect_in_graph(const char *rules_text);
/* The names of all kernels: "conv-bn-relu, add". */
void expect_names(const char *expected);
/* detect_with(cpu), expect_names and release in one; every node must be in a kernel. */
void expect(const char *names);
/* x is 1x16x8x8; conv, dw and fc keep what their names say. */
void input(void);
void output(const char *name);
void conv(const char *in, const char *out, const char *weight_shape, int64_t group);
void conv3(const char *in, const char *out);
void batch_norm(const char *in, const char *out);
void scalars(void);

#endif
