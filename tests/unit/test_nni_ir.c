/* NNI's graph IR: cells, lists and sizes become a graph; what is broken is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "kernels/kernels.h"
#include "readers/reader.h"

/* A document of one graph. steps: "name type input,input {parameters}; ..." with inputs as "node" or "node:slot", "@" for
 * the model's input; the last step makes the output. Constants: "name = 3;". */
typedef struct writer {
  char nodes[16384], edges[16384];
} writer;

static void add_edge(writer *w, const char *from, const char *to, int slot) {
  char node[80];
  const char *colon = strchr(from, ':');
  snprintf(node, sizeof node, "%.*s", colon ? (int)(colon - from) : (int)strlen(from), from);
  size_t length = strlen(w->edges);
  snprintf(w->edges + length, sizeof w->edges - length, "%s{\"head\": [\"%s\", %s], \"tail\": [\"%s\", %d]}",
           length ? ", " : "", strcmp(node, "@") != 0 ? node : "_inputs", colon ? colon + 1 : "null", to, slot);
}

static void add_node(writer *w, const char *name, const char *type, const char *parameters) {
  size_t length = strlen(w->nodes);
  snprintf(w->nodes + length, sizeof w->nodes - length,
           "%s\"%s\": {\"operation\": {\"type\": \"%s\", \"parameters\": {%s}, \"attributes\": {}}}",
           length ? ", " : "", name, type, parameters);
}

static char *document(const char *steps) {
  static char text[40000];
  writer w = {0};
  char name[80] = "", type[120], inputs[200], parameters[400];
  while (*steps) {
    int read = 0;
    parameters[0] = inputs[0] = '\0';
    if (sscanf(steps, " %79s = %399[^;];%n", name, parameters, &read) == 2 && read) {
      char value[420];
      snprintf(value, sizeof value, "\"type\": \"int\", \"value\": %s", parameters);
      add_node(&w, name, "prim::Constant", value);
    } else {
      if (sscanf(steps, " %79s %119s %199s {%399[^}]} ;%n", name, type, inputs, parameters, &read) != 4 || !read) {
        parameters[0] = '\0';
        if (sscanf(steps, " %79s %119s %199[^ ;] ;%n", name, type, inputs, &read) != 3 || !read)
          fail_msg("cannot read the step %s", steps);
      }
      add_node(&w, name, type, parameters);
      int slot = 0;
      for (char *input = strtok(inputs, ","); input; input = strtok(NULL, ",")) add_edge(&w, input, name, slot++);
    }
    steps += read;
    while (*steps == ' ') steps++;
  }
  add_edge(&w, name, "_outputs", 0);
  snprintf(
      text, sizeof text,
      "{\"_model\": {\"inputs\": [\"x\"], \"outputs\": [\"y\"], \"nodes\": {%s}, \"edges\": [%s]}, \"model_id\": 3}",
      w.nodes, w.edges);
  return text;
}

static nnm_graph *graph;
static nnm_shapes *shapes;
static nnm_kernels *kernels;

static void release(void) {
  nnm_kernels_free(kernels);
  nnm_shapes_free(shapes);
  nnm_graph_free(graph);
}

static void detect(const char *text, const int64_t *dims, size_t rank) {
  static const char rules_text[] = "{\"BF_conv_relu\": {\"obey\": true}}";
  nnm_error error;
  nnm_ir *ir = NULL;
  nnm_fusion_rules *rules = NULL;
  const nnm_input_shape input = {NULL, rank, dims};
  const nnm_shape_options options = {0, &input, 1};
  const unsigned char *bytes = (const unsigned char *)text;
  if (nnm_reader_nni_ir.read(bytes, strlen(text), &graph, &ir, &error) != NNM_OK)
    fail_msg("%s: %s", error.place, error.message);
  if (nnm_infer_graph_shapes(graph, rank ? &options : NULL, &shapes, &error) != NNM_OK)
    fail_msg("%s: %s", error.place, error.message);
  assert_int_equal(nnm_fusion_rules_parse(rules_text, sizeof rules_text - 1, &rules, &error), NNM_OK);
  assert_int_equal(nnm_detect_kernels(graph, shapes, rules, &kernels, &error), NNM_OK);
  nnm_fusion_rules_free(rules);
}

/* The kernels, and the shape that comes out. */
static void expect(const char *steps, const int64_t *dims, size_t rank, const char *names, const char *shape) {
  char found[1024] = "", sizes[200] = "";
  detect(document(steps), dims, rank);
  for (size_t i = 0; i < kernels->count; i++)
    snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s", i ? ", " : "", kernels->items[i].name);
  assert_string_equal(found, names);
  const nnm_shape *result = &shapes->tensors[graph->blocks[0].outputs[0]];
  for (int32_t i = 0; i < result->rank; i++)
    snprintf(sizes + strlen(sizes), sizeof sizes - strlen(sizes), "%s%lld", i ? "x" : "", (long long)result->dims[i]);
  assert_string_equal(sizes, shape);
  release();
}

static const int64_t image[] = {1, 16, 8, 8}, sequence[] = {2, 10, 64};
#define IMAGE(steps, names, shape) expect(steps, image, 4, names, shape)
#define SEQUENCE(steps, names, shape) expect(steps, sequence, 3, names, shape)
#define NN "__torch__.torch.nn.modules."
#define CONV "c " NN "conv.Conv2d @ {\"in_channels\": 16, \"out_channels\": 32, \"kernel_size\": 3}; "

static void test_modules(void **state) {
  (void)state;
  IMAGE(CONV, "conv", "1x32x6x6");
  IMAGE(CONV "b " NN "batchnorm.BatchNorm2d c {\"num_features\": 32}; r " NN "activation.ReLU b;", "conv-bn-relu",
        "1x32x6x6");
  IMAGE("c __torch__.nni.retiarii.nn.pytorch.nn.Conv2d @ {\"in_channels\": 16, \"out_channels\": 16, \"kernel_size\": "
        "[3, 5], \"stride\": [2, 1], \"padding\": [1, 2], \"groups\": 16, \"bias\": false};",
        "dwconv", "1x16x4x8");
  IMAGE("c " NN "conv.Conv2d @ {\"in_channels\": 16, \"out_channels\": 4, \"kernel_size\": 3, \"padding\": \"same\"};",
        "conv", "1x4x8x8");
  IMAGE("c " NN "conv.ConvTranspose2d @ {\"in_channels\": 16, \"out_channels\": 4, \"kernel_size\": 2, \"stride\": 2};",
        "convtrans", "1x4x16x16");
  IMAGE("p " NN "pooling.MaxPool2d @ {\"kernel_size\": 2};", "maxpool", "1x16x4x4");
  IMAGE("p " NN "pooling.AvgPool2d @ {\"kernel_size\": 3, \"stride\": 1, \"padding\": 1};", "avgpool", "1x16x8x8");
  IMAGE("p " NN "pooling.AdaptiveAvgPool2d @ {\"output_size\": [1, 1]}; f " NN "flatten.Flatten p; "
        "l " NN "linear.Linear f {\"in_features\": 16, \"out_features\": 10};",
        "global-avgpool, fc", "1x10");
  IMAGE("p " NN "pooling.AdaptiveAvgPool2d @ {\"output_size\": 4};", "avgpool", "1x16x4x4");
  IMAGE("u " NN "upsampling.Upsample @ {\"scale_factor\": 2};", "resize", "1x16x16x16");
  IMAGE("u " NN "upsampling.Upsample @ {\"size\": [4, 5]};", "resize", "1x16x4x5");
  IMAGE("u " NN "pixelshuffle.PixelShuffle @ {\"upscale_factor\": 2};", "transpose", "1x4x16x16");
  IMAGE("u " NN "padding.ZeroPad2d @ {\"padding\": [1, 2, 3, 4]};", "pad", "1x16x15x11");
  IMAGE("n " NN "normalization.GroupNorm @ {\"num_groups\": 4, \"num_channels\": 16};", "groupnorm", "1x16x8x8");
  IMAGE("d " NN "dropout.Dropout @ {\"p\": 0.5}; a " NN "activation.Hardswish d;", "hswish", "1x16x8x8");
  SEQUENCE("n " NN "normalization.LayerNorm @ {\"normalized_shape\": 64}; l " NN
           "linear.Linear n {\"in_features\": 64, \"out_features\": 32}; g " NN "activation.GELU l;",
           "layernorm, fc, gelu", "2x10x32");
  SEQUENCE("a " NN "activation.MultiheadAttention @,@,@ {\"embed_dim\": 64, \"num_heads\": 4, \"batch_first\": true}; "
           "u prim::TupleUnpack a; r aten::relu u:0;",
           "fc, fc, fc, attention, fc, relu", "2x10x64");
  SEQUENCE("a " NN
           "rnn.LSTM @ {\"input_size\": 64, \"hidden_size\": 8, \"batch_first\": true, \"bidirectional\": true, "
           "\"num_layers\": 2}; u prim::TupleUnpack a; r aten::relu u:0;",
           "transpose, lstm, transpose, lstm, transpose, transpose, relu", "2x10x16");
}

static void test_functions(void **state) {
  (void)state;
  IMAGE(CONV "r aten::relu_ c;", "conv-relu", "1x32x6x6");
  IMAGE("one = 1; two = 2; r aten::mul @,two; s aten::add r,@,one;", "mul, add", "1x16x8x8");
  IMAGE("two = [2, 3]; no = false; m aten::mean @,two,no;", "global-avgpool", "1x16");
  IMAGE("k = [2, 2]; p Function._max_pool2d @,k;", "maxpool", "1x16x4x4");
  IMAGE("two = 2; one = 1; c aten::chunk @,two,one; u prim::ListUnpack c; l prim::ListConstruct u:1,u:0; "
        "k aten::cat l,one;",
        "split, concat", "1x16x8x8");
  IMAGE("four = 4; one = 1; c aten::split @,four,one; u prim::ListUnpack c; a aten::add u:0,u:3;", "split, split, add",
        "1x4x8x8");
  IMAGE("s = [6, 10]; one = 1; c aten::split_with_sizes @,s,one; i = 1; u aten::__getitem__ c,i; r aten::relu u;",
        "split, relu", "1x10x8x8");
  /* sizes that are computed: the channel shuffle of torchvision */
  IMAGE("z aten::size @; u prim::ListUnpack z; g = 2; one = 1; two = 2; m = -1; q aten::floordiv u:1,g; "
        "l prim::ListConstruct u:0,g,q,u:2,u:3; v aten::view @,l; t aten::transpose v,one,two; o aten::contiguous t; "
        "k prim::ListConstruct u:0,m,u:2,u:3; w aten::view o,k;",
        "channelshuffle", "1x16x8x8");
  IMAGE("two = 2; e = -1; f aten::flatten @,two,e; one = 1; t aten::transpose f,one,two;", "transpose", "1x64x16");
  IMAGE("d = 3; z aten::size @,d; i = -1; l prim::ListConstruct i,z; v aten::reshape @,l;", "", "128x8");
  IMAGE("a = 7; n = -2; q aten::floordiv a,n; e aten::mul q,n; d = -1; l prim::ListConstruct e,d; v aten::view @,l;",
        "", "8x128"); /* -4, as Python rounds */
  IMAGE("d = 2; a = 1; b = 5; s = 2; n MergedSlice @,d,a,b,s,d,a,b,a;", "split, split", "1x16x1x8");
  IMAGE("d = 1; i = 3; n aten::select @,d,i;", "split", "1x8x8");
  IMAGE("p = [1, 1, 0, 2]; n aten::pad @,p;", "pad", "1x16x10x10");
  IMAGE("s = [16, 16]; n aten::upsample_nearest2d @,s;", "resize", "1x16x16x16");
  IMAGE("n = null; s = 2.0; y aten::upsample_bilinear2d @,n,n,s,s;", "resize", "1x16x16x16");
  IMAGE("d = [0, 2, 3, 1]; n aten::permute @,d;", "transpose", "1x8x8x16");
  SEQUENCE("o = [0, 2, 1]; t aten::permute @,o; m aten::matmul @,t; k = 0.5; a aten::mul m,k; d = -1; "
           "p aten::softmax a,d; y aten::matmul p,@;",
           "attention", "2x10x64");
  SEQUENCE("y aten::scaled_dot_product_attention @,@,@;", "attention", "2x10x64");
  SEQUENCE("y aten::max @;", "reducemax", "");
}

/* A cell is written out wherever it stands, a shared module is run again. */
static void test_cells(void **state) {
  (void)state;
  static const char text[] =
      "{\"inner\": {\"inputs\": [\"a\"], \"outputs\": [\"b\"], \"nodes\": {\"act\": {\"operation\": {\"type\": "
      "\"__torch__.torch.nn.modules.activation.ReLU\"}}}, \"edges\": [{\"head\": [\"_inputs\", 0], \"tail\": [\"act\", "
      "null]}, {\"head\": [\"act\", null], \"tail\": [\"_outputs\", null]}]},"
      "\"_model\": {\"inputs\": [\"x\"], \"outputs\": [\"y\"], \"nodes\": {"
      "\"one\": {\"operation\": {\"type\": \"_cell\", \"cell_name\": \"inner\", \"attributes\": {\"input_shape\": [[1, "
      "16,"
      " 8, 8]]}}},"
      "\"two\": {\"operation\": {\"type\": \"shared\", \"parameters\": {\"reference\": \"one\"}}}}, \"edges\": ["
      "{\"head\": [\"one\", null], \"tail\": [\"two\", null]}, {\"head\": [\"_inputs\", 0], \"tail\": [\"one\", null]},"
      "{\"head\": [\"two\", null], \"tail\": [\"_outputs\", null]}]}}";
  assert_int_equal(nnm_reader_nni_ir.probe((const unsigned char *)text, sizeof text - 1), 2);
  detect(text, NULL, 0); /* made with shapes: the input's is known */
  assert_int_equal(kernels->count, 2);
  assert_string_equal(kernels->items[1].name, "relu");
  assert_int_equal(kernels->items[1].output_elements, 1024);
  release();
}

/* What nobody here knows is a custom operator of its own name. */
static void test_unknown(void **state) {
  (void)state;
  detect(document("a __torch__.mine.Strange @; b aten::relu a;"), image, 4);
  assert_string_equal(kernels->items[0].name, "strange");
  assert_int_equal(kernels->items[0].type, NNM_KERNEL_OTHER);
  assert_non_null(strstr(kernels->notes[0], "torch.Strange"));
  release();
}

static void expect_fault(const char *text, const char *message) {
  nnm_error error;
  nnm_graph *none = NULL;
  nnm_ir *ir = NULL;
  if (nnm_reader_nni_ir.read((const unsigned char *)text, strlen(text), &none, &ir, &error) == NNM_OK)
    fail_msg("no fault in %s", text);
  assert_null(none);
  if (!strstr(error.message, message)) fail_msg("%s: %s; not: %s", error.place, error.message, message);
}

static void test_faults(void **state) {
  (void)state;
  expect_fault("{}", "not a model of format nni-ir");
  expect_fault("[1", "not valid JSON");
  expect_fault("{\"_model\": 1}", "is missing");
  expect_fault("{\"_model\": {\"nodes\": 1, \"edges\": []}}", "no graph");
  expect_fault("{\"_model\": {\"nodes\": {\"a\": {}}, \"edges\": []}}", "no operation");
  expect_fault("{\"_model\": {\"nodes\": {}, \"edges\": [7]}}", "no [node, slot]");
  expect_fault("{\"_model\": {\"nodes\": {}, \"edges\": [{\"head\": [\"a\", 0], \"tail\": [\"_outputs\", 0]}]}}",
               "does not have");
  expect_fault("{\"_model\": {\"inputs\": [\"x\", \"x\"], \"nodes\": {}, \"edges\": []}}", "two inputs");
  expect_fault(document("a aten::relu b; b aten::relu a;"), "cycle");
  expect_fault(document("a _cell @;"), "whose graph the file does not have");
  expect_fault(document("a _cell @ {\"mutation\": \"layerchoice\"};"), "has not been made");
  expect_fault(document("a __torch__.nni.retiarii.nn.pytorch.api.ValueChoice @;"), "has not been made");
  expect_fault(document("a " NN "conv.Conv2d @ {\"in_channels\": 3};"), "out_channels");
  expect_fault(document("a " NN "conv.Conv2d @ {\"in_channels\": 3, \"out_channels\": 4, \"groups\": 2};"), "divide");
  expect_fault(document("a = 7; b = 2; q aten::div a,b; d = -1; l prim::ListConstruct q,d; v aten::view @,l;"),
               "depends on values"); /* 3.5 is no size */
  expect_fault(document("a " NN "conv.Conv2d @ {\"in_channels\": 3, \"out_channels\": 4, \"kernel_size\": [1, 2, 3]};"),
               "kernel_size");
  expect_fault(document("a " NN "rnn.LSTM @ {\"input_size\": 3, \"hidden_size\": 4, \"num_layers\": 99999};"),
               "impossible");
  expect_fault(document("w prim::GetAttr @ {\"name\": \"w\", \"value\": null}; a aten::matmul @,w;"), "not kept");
  expect_fault(document("a = 1; b = 2; t aten::transpose @,a,b;"), "number of dimensions");
  expect_fault(document("a = 7; l prim::ListConstruct @; t aten::__getitem__ l,a;"), "item 7 of 1");
  expect_fault(document("a shared @ {\"reference\": \"nobody\"};"), "shares a module");
  expect_fault(document("a shared @ {\"reference\": \"a\"};"), "shares a module");
}

/* A cell in itself; cells that double in each of 31 levels: 2^31 nodes of a few lines. */
static void test_bombs(void **state) {
  (void)state;
  expect_fault("{\"_model\": {\"nodes\": {\"a\": {\"operation\": {\"type\": \"_cell\", \"cell_name\": \"_model\"}}}, "
               "\"edges\": []}}",
               "deeper than");
  char *text = malloc(1 << 16);
  size_t length = (size_t)sprintf(text, "{");
  for (int i = 0; i < 30; i++)
    length += (size_t)sprintf(text + length,
                              "\"g%d\": {\"nodes\": {\"a\": {\"operation\": {\"type\": \"_cell\", \"cell_name\": "
                              "\"g%d\"}}, \"b\": {\"operation\": {\"type\": \"_cell\", \"cell_name\": \"g%d\"}}}, "
                              "\"edges\": []}, ",
                              i, i + 1, i + 1);
  sprintf(text + length, "\"g30\": {\"nodes\": {}, \"edges\": []}, \"_model\": {\"nodes\": {\"a\": {\"operation\": "
                         "{\"type\": \"_cell\", \"cell_name\": \"g0\"}}}, \"edges\": []}}");
  expect_fault(text, "more than");
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_modules), cmocka_unit_test(test_functions), cmocka_unit_test(test_cells),
      cmocka_unit_test(test_unknown), cmocka_unit_test(test_faults),    cmocka_unit_test(test_bombs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
