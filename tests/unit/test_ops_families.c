/* Operators beyond plain convolutional networks, one family after the other: shapes and multiply-adds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph_maker.h"

static graph_maker maker;

/* The sum of all multiply-adds; and the shapes of tensors: name, shape, name, shape, NULL. */
static void expect(int64_t multiply_adds, const char *name, ...) {
  nnm_graph *graph = make_finish(&maker);
  nnm_shapes *shapes = NULL;
  nnm_status status = nnm_infer_graph_shapes(graph, NULL, &shapes, &maker.error);
  if (status != NNM_OK) fail_msg("%s: %s", maker.error.place, maker.error.message);
  va_list pairs;
  va_start(pairs, name);
  for (; name; name = va_arg(pairs, const char *))
    assert_string_equal(shape_text_of(graph, shapes, name), va_arg(pairs, const char *));
  va_end(pairs);
  int64_t total = 0;
  for (nnm_node_id n = 0; n < graph->node_count; n++) total += nnm_node_multiply_adds(graph, shapes, n);
  assert_int_equal(total, multiply_adds);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

static nnm_node_id microsoft(const char *type, const char *inputs, const char *outputs) {
  maker.domain = "com.microsoft";
  return make_node(&maker, type, inputs, outputs);
}

static void test_resizing(void **state) {
  (void)state;
  make_start(&maker, 18);
  make_input(&maker, "x", "1x2x7x9");
  make_floats(&maker, "scales", "1 1 0.5 1.3");
  make_node(&maker, "Resize", "x - scales", "scaled");
  make_ints(&maker, "sizes", "1 2 14 5");
  make_node(&maker, "Resize", "x - - sizes", "sized");
  make_ints(&maker, "pair", "21 18");
  with_ints(&maker, "axes", "2 3");
  with_text(&maker, "keep_aspect_ratio_policy", "not_larger");
  make_node(&maker, "Resize", "x - - pair", "kept");
  make_node(&maker, "Upsample", "x scales", "upsampled");
  make_input(&maker, "grid", "1x4x5x2");
  make_node(&maker, "GridSample", "x grid", "sampled");
  make_input(&maker, "theta", "3x2x3");
  make_ints(&maker, "image", "3 8 6 7");
  make_node(&maker, "AffineGrid", "theta image", "affine");
  expect(0, "scaled", "1x2x3x11", "sized", "1x2x14x5", "kept", "1x2x14x18", "upsampled", "1x2x3x11", "sampled",
         "1x2x4x5", "affine", "3x6x7x2", NULL);
}

static void test_blocks_of_pixels(void **state) {
  (void)state;
  make_start(&maker, 18);
  make_input(&maker, "x", "1x12x4x6");
  with_int(&maker, "blocksize", 2);
  make_node(&maker, "DepthToSpace", "x", "wide");
  with_int(&maker, "blocksize", 2);
  make_node(&maker, "SpaceToDepth", "x", "deep");
  make_input(&maker, "columns", "1x8x6");
  make_ints(&maker, "image", "3 4");
  make_ints(&maker, "block", "2 2");
  make_node(&maker, "Col2Im", "columns image block", "picture");
  make_ints(&maker, "target", "2 9");
  with_ints(&maker, "axes", "-1 1");
  make_node(&maker, "CenterCropPad", "x target", "cropped");
  expect(0, "wide", "1x3x8x12", "deep", "1x48x2x3", "picture", "1x2x3x4", "cropped", "1x9x4x2", NULL);
}

static void test_einsum(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "q", "2x4x10x8");
  make_input(&maker, "k", "2x4x12x8");
  with_text(&maker, "equation", "bhqd,bhkd->bhqk");
  make_node(&maker, "Einsum", "q k", "scores");
  make_input(&maker, "m", "3x5");
  with_text(&maker, "equation", "ba");
  make_node(&maker, "Einsum", "m", "turned"); /* alphabetical when there is no arrow */
  make_input(&maker, "n", "7x1x5x6");
  with_text(&maker, "equation", "...ij,...jk->...ik");
  make_node(&maker, "Einsum", "m n", "batched");
  expect(2 * 4 * 10 * 12 * 8 + 15 + 7 * 3 * 5 * 6, "scores", "2x4x10x12", "turned", "5x3", "batched", "7x1x3x6", NULL);
}

static void test_recurrent(void **state) {
  (void)state;
  make_start(&maker, 14);
  make_input(&maker, "x", "20x2x16"); /* steps, batch, features */
  make_weight(&maker, "w", "2x128x16");
  make_weight(&maker, "r", "2x128x32");
  with_int(&maker, "hidden_size", 32);
  with_text(&maker, "direction", "bidirectional");
  make_node(&maker, "LSTM", "x w r", "y h c");
  make_weight(&maker, "gw", "1x96x16");
  make_weight(&maker, "gr", "1x96x32");
  with_int(&maker, "hidden_size", 32);
  with_int(&maker, "layout", 1);
  make_node(&maker, "GRU", "x gw gr", "gy gh");
  make_weight(&maker, "qw", "1x16x128"); /* the other way round */
  make_weight(&maker, "qr", "1x32x128");
  with_int(&maker, "hidden_size", 32);
  microsoft("DynamicQuantizeLSTM", "x qw qr", "qy qh");
  int64_t step = 40 * 4 * 32 * (16 + 32);
  expect(2 * step + 40 * 3 * 32 * (16 + 32) + step, "y", "20x2x2x32", "h", "2x2x32", "c", "2x2x32", "gy", "20x2x1x32",
         "gh", "20x1x32", "qy", "20x1x2x32", "qh", "1x2x32", NULL);
}

static void test_attention(void **state) {
  (void)state;
  make_start(&maker, 23);
  make_input(&maker, "q", "2x10x64");
  make_input(&maker, "k", "2x12x16");
  make_input(&maker, "v", "2x12x32");
  make_input(&maker, "pk", "2x2x3x8");
  make_input(&maker, "pv", "2x2x3x16");
  with_int(&maker, "q_num_heads", 8);
  with_int(&maker, "kv_num_heads", 2);
  make_node(&maker, "Attention", "q k v - pk pv", "y cache_k cache_v");
  make_input(&maker, "x", "2x10x64");
  make_weight(&maker, "w", "64x192");
  with_int(&maker, "num_heads", 4);
  microsoft("Attention", "x w", "fused");
  int64_t own = INT64_C(2) * 8 * 10 * 15 * 8 + INT64_C(2) * 8 * 10 * 15 * 16;
  int64_t fused = INT64_C(20) * 64 * 192 + 2 * (INT64_C(2) * 4 * 10 * 10 * 16);
  expect(own + fused, "y", "2x10x128", "cache_k", "2x2x15x8", "cache_v", "2x2x15x16", "fused", "2x10x64", NULL);
}

static void test_fused_attention(void **state) {
  (void)state;
  make_start(&maker, 17);
  make_input(&maker, "q", "1x10x64");
  make_input(&maker, "k", "1x10x64");
  with_int(&maker, "num_heads", 4);
  microsoft("MultiHeadAttention", "q k k", "y pk");
  make_input(&maker, "packed", "1x10x96"); /* 8 heads of queries, 2 of keys, 2 of values, 8 each */
  with_int(&maker, "num_heads", 8);
  with_int(&maker, "kv_num_heads", 2);
  microsoft("GroupQueryAttention", "packed", "grouped gk gv");
  make_input(&maker, "skip", "1x10x64");
  make_weight(&maker, "gamma", "64");
  microsoft("SkipLayerNormalization", "q skip gamma", "norm - - sum");
  int64_t work = 2 * (INT64_C(4) * 10 * 10 * 16) + 2 * (INT64_C(8) * 10 * 10 * 8);
  expect(work, "y", "1x10x64", "pk", "1x4x10x16", "grouped", "1x10x64", "gk", "1x2x10x8", "norm", "1x10x64", "sum",
         "1x10x64", NULL);
}

static void test_quantised(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "1x8x10x10");
  make_weight(&maker, "s", "");
  make_weight(&maker, "z", "");
  make_weight(&maker, "w", "16x8x3x3");
  make_node(&maker, "QuantizeLinear", "x s z", "q");
  make_node(&maker, "QLinearConv", "q s z w s z s z", "conv");
  make_node(&maker, "DequantizeLinear", "conv s z", "back");
  make_node(&maker, "DynamicQuantizeLinear", "x", "dynamic scale zero");
  make_node(&maker, "ConvInteger", "dynamic w", "integers");
  microsoft("QLinearAdd", "conv s z conv s z s z", "sum");
  make_input(&maker, "a", "5x8");
  make_weight(&maker, "b", "8x6");
  make_node(&maker, "QLinearMatMul", "a s z b s z s z", "product");
  microsoft("MatMulIntegerToFloat", "a b s s", "scaled");
  with_int(&maker, "K", 8);
  with_int(&maker, "N", 24);
  make_weight(&maker, "blocks", "24x1x4");
  microsoft("MatMulNBits", "a blocks s", "packed");
  expect(2 * 16 * 8 * 8 * 8 * 9 + 2 * 5 * 8 * 6 + 5 * 8 * 24, "conv", "1x16x8x8", "back", "1x16x8x8", "scale", "scalar",
         "integers", "1x16x8x8", "sum", "1x16x8x8", "product", "5x6", "scaled", "5x6", "packed", "5x24", NULL);
}

static void test_picking(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "5x6x7");
  make_weight(&maker, "where", "2x3x2");
  make_node(&maker, "GatherND", "x where", "nd");
  make_weight(&maker, "each", "2x6x7");
  make_node(&maker, "GatherElements", "x each", "elements");
  make_weight(&maker, "updates", "2x3x7");
  make_node(&maker, "ScatterND", "x where updates", "scattered");
  make_scalar(&maker, "depth", 9);
  make_weight(&maker, "values", "2");
  with_int(&maker, "axis", 0);
  make_node(&maker, "OneHot", "each depth values", "hot");
  make_ints(&maker, "keep", "1 0 1 1 0");
  with_int(&maker, "axis", 0);
  make_node(&maker, "Compress", "x keep", "compressed");
  make_node(&maker, "Unique", "x", "unique first inverse counts");
  expect(0, "nd", "2x3x7", "elements", "2x6x7", "scattered", "5x6x7", "hot", "9x2x6x7", "compressed", "3x6x7", "unique",
         "210", "counts", "210", NULL);
}

static void test_generators(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_scalar(&maker, "from", 10);
  make_scalar(&maker, "to", -1);
  make_scalar(&maker, "by", -3);
  make_node(&maker, "Range", "from to by", "range");
  with_ints(&maker, "shape", "2 3");
  make_node(&maker, "RandomNormal", "", "random");
  make_node(&maker, "RandomUniformLike", "random", "like");
  make_node(&maker, "EyeLike", "like", "eye");
  with_ints(&maker, "value_ints", "4 5 6");
  make_node(&maker, "Constant", "", "constant");
  make_node(&maker, "ConstantOfShape", "constant", "filled");
  expect(0, "range", "4", "random", "2x3", "like", "2x3", "eye", "2x3", "constant", "3", "filled", "4x5x6", NULL);
}

static void test_signals(void **state) {
  (void)state;
  make_start(&maker, 20);
  make_input(&maker, "x", "2x100x1");
  with_int(&maker, "onesided", 1);
  make_node(&maker, "DFT", "x", "spectrum");
  make_scalar(&maker, "step", 10);
  make_weight(&maker, "w", "16");
  make_node(&maker, "STFT", "x step w", "frames");
  make_scalar(&maker, "size", 25);
  make_node(&maker, "HannWindow", "size", "window");
  make_scalar(&maker, "bins", 8);
  make_scalar(&maker, "rate", 16000);
  make_node(&maker, "MelWeightMatrix", "bins size rate rate rate", "mel");
  expect(0, "spectrum", "2x51x2", "frames", "2x9x9x2", "window", "25", "mel", "13x8", NULL);
}

static void test_classical(void **state) {
  (void)state;
  make_start(&maker, 13);
  make_input(&maker, "x", "10x4");
  maker.domain = "ai.onnx.ml";
  with_ints(&maker, "classlabels_int64s", "0 1 2");
  make_node(&maker, "TreeEnsembleClassifier", "x", "label scores");
  maker.domain = "ai.onnx.ml";
  with_int(&maker, "targets", 2);
  make_node(&maker, "LinearRegressor", "x", "values");
  maker.domain = "ai.onnx.ml";
  make_node(&maker, "Scaler", "x", "scaled");
  expect(0, "label", "10", "scores", "10x3", "values", "10x2", "scaled", "10x4", NULL);
}

static void test_tensorflow(void **state) {
  (void)state;
  make_start(&maker, 0);
  make_input(&maker, "x", "1x8x8x16");
  maker.layout = NNM_CHANNELS_LAST;
  make_node(&maker, "BiasAdd", "x bias", "biased");
  make_weight(&maker, "bias", "16");
  with_int(&maker, "axis", 0);
  make_node(&maker, "Pack", "x biased", "packed");
  make_ints(&maker, "begin", "0 2 0");
  make_ints(&maker, "end", "0 6 1");
  make_ints(&maker, "strides", "1 2 1");
  with_int(&maker, "begin_mask", 1);
  with_int(&maker, "end_mask", 1);
  with_int(&maker, "shrink_axis_mask", 4);
  make_node(&maker, "StridedSlice", "x begin end strides", "strided");
  make_ints(&maker, "size", "16 20");
  make_node(&maker, "ResizeBilinear", "x size", "resized");
  expect(0, "biased", "1x8x8x16", "packed", "2x1x8x8x16", "strided", "1x2x16", "resized", "1x16x20x16", NULL);
}

static void test_tensorflow_lists(void **state) {
  (void)state;
  make_start(&maker, 0);
  make_input(&maker, "x", "6x4");
  make_ints(&maker, "sorted", "0 0 1 1 3 3");
  make_node(&maker, "SegmentSum", "x sorted", "by_values");
  make_input(&maker, "ids", "6");
  make_node(&maker, "SegmentSum", "x ids", "by_guess");
  make_scalar(&maker, "nine", 9);
  make_node(&maker, "UnsortedSegmentMax", "x ids nine", "unsorted");
  make_node(&maker, "MatrixDiag", "x", "diagonal");
  make_ints(&maker, "lengths", "6 4");
  make_node(&maker, "RFFT2D", "x lengths", "spectrum");
  make_node(&maker, "ComplexAbs", "spectrum", "power");
  make_input(&maker, "rows", "6x2");
  with_int(&maker, "axis", 1);
  with_int(&maker, "batch_dims", 1);
  make_node(&maker, "Gather", "x rows", "picked");
  make_ints(&maker, "begin", "2 0");
  make_ints(&maker, "size", "3 -1");
  make_node(&maker, "tf.Slice", "x begin size", "cut");
  /* every second dimension of a shape, backwards; then the rank */
  make_input(&maker, "map", "2x3x5x7");
  make_node(&maker, "Shape", "map", "shape");
  make_ints(&maker, "last", "-1");
  make_ints(&maker, "front", "-5");
  make_ints(&maker, "back", "-2");
  make_node(&maker, "StridedSlice", "shape last front back", "odd");
  make_node(&maker, "Fill", "odd nine", "filled");
  make_node(&maker, "Rank", "map", "rank");
  make_ints(&maker, "axes", "0");
  make_node(&maker, "Unsqueeze", "rank axes", "list");
  make_node(&maker, "RandomStandardNormal", "list", "random");
  expect(0, "by_values", "4x4", "by_guess", "6x4", "unsorted", "9x4", "diagonal", "6x4x4", "spectrum", "6x3", "power",
         "6x3", "picked", "6x2", "cut", "3x4", "filled", "7x3", "random", "4", NULL);
}

static void test_blocks_in_the_batch(void **state) {
  (void)state;
  make_start(&maker, 0);
  make_input(&maker, "x", "1x5x7x3");
  make_ints(&maker, "blocks", "2 4");
  make_ints(&maker, "pads", "1 0 0 1");
  make_node(&maker, "SpaceToBatchND", "x blocks pads", "batched");
  make_node(&maker, "BatchToSpaceND", "batched blocks pads", "back");
  expect(0, "batched", "8x3x2x3", "back", "1x5x7x3", NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_resizing),         cmocka_unit_test(test_blocks_of_pixels),
      cmocka_unit_test(test_einsum),           cmocka_unit_test(test_recurrent),
      cmocka_unit_test(test_attention),        cmocka_unit_test(test_fused_attention),
      cmocka_unit_test(test_quantised),        cmocka_unit_test(test_picking),
      cmocka_unit_test(test_generators),       cmocka_unit_test(test_signals),
      cmocka_unit_test(test_classical),        cmocka_unit_test(test_tensorflow),
      cmocka_unit_test(test_tensorflow_lists), cmocka_unit_test(test_blocks_in_the_batch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
