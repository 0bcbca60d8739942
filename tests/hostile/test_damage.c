/* Damages one small real model at every byte and reads it through the public interface: each outcome is a result, or an
 * error that names the file and fits on one line. The bytes lie in a block of exactly their size, so that the sanitized
 * build sees any look beyond the end. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nnmeter/nnmeter.h"

static unsigned char *original;
static size_t original_size;
static nnm_predictor *predictor;

static void read_original(const char *path) {
  FILE *stream = fopen(path, "rb");
  if (!stream) exit(2);
  original = malloc(1 << 20);
  original_size = original ? fread(original, 1, 1 << 20, stream) : 0;
  fclose(stream);
}

static nnm_status whole_way(const unsigned char *data, size_t size, nnm_error *error) {
  nnm_model *model = NULL;
  nnm_prediction *prediction = NULL;
  char *text = NULL;
  nnm_status status = nnm_model_read_memory(data, size, "damaged.onnx", "onnx", &model, error);
  if (status == NNM_OK) status = nnm_model_infer_shapes(model, NULL, error);
  if (status == NNM_OK) status = nnm_predict(predictor, model, NULL, &prediction, error);
  if (status == NNM_OK) status = nnm_report_json(prediction, model, predictor, true, &text, error);
  nnm_free(text);
  nnm_prediction_free(prediction);
  nnm_model_free(model);
  return status;
}

static void check_error(const nnm_error *error, size_t place) {
  char text[2048];
  nnm_error_text(error, text, sizeof text);
  bool good = error->message[0] && !strcmp(error->file, "damaged.onnx");
  for (const char *at = text; *at; at++) good = good && !iscntrl((unsigned char)*at);
  if (!good) print_error("damage at byte %zu: [%s] [%s] [%s]\n", place, error->file, error->place, error->message);
  assert_true(good);
}

/* Reads size bytes of data, which are freed; whether they still make a model. */
static bool survives(unsigned char *data, size_t size, size_t place) {
  nnm_error error;
  memset(&error, 0, sizeof error);
  nnm_status status = whole_way(data, size, &error);
  if (status != NNM_OK) {
    assert_int_equal(status, error.status);
    check_error(&error, place);
  }
  free(data);
  return status == NNM_OK;
}

static unsigned char *copy_original(size_t size) {
  unsigned char *copy = malloc(size ? size : 1);
  assert_non_null(copy);
  memcpy(copy, original, size);
  return copy;
}

static void test_undamaged(void **state) {
  (void)state;
  assert_true(survives(copy_original(original_size), original_size, 0));
}

static void test_truncated_at_every_byte(void **state) {
  (void)state;
  size_t good = 0;
  for (size_t size = 0; size < original_size; size++) good += survives(copy_original(size), size, size);
  /* The graph is one length-delimited field, and what follows it is a few bytes about the opset. */
  assert_true(good < 64);
}

static void damage_every_byte(unsigned char (*damage)(unsigned char byte, size_t place)) {
  size_t good = 0;
  for (size_t place = 0; place < original_size; place++) {
    unsigned char *copy = copy_original(original_size);
    copy[place] = damage(copy[place], place);
    good += survives(copy, original_size, place);
  }
  assert_true(good < original_size);
  print_message("%zu of %zu damaged files still make a model\n", good, original_size);
}

static unsigned char flip_one_bit(unsigned char byte, size_t place) {
  return (unsigned char)(byte ^ 1u << (place * 2654435761u >> 13) % 8);
}
static unsigned char endless_number(unsigned char byte, size_t place) {
  (void)place;
  return byte | 0x80; /* a length or number goes on into the next byte */
}
static unsigned char largest_length(unsigned char byte, size_t place) {
  (void)byte, (void)place;
  return 0x7f;
}
static unsigned char zero(unsigned char byte, size_t place) {
  (void)byte, (void)place;
  return 0;
}

static void test_flipped_bits(void **state) {
  (void)state;
  damage_every_byte(flip_one_bit);
}
static void test_endless_numbers(void **state) {
  (void)state;
  damage_every_byte(endless_number);
}
static void test_lying_lengths(void **state) {
  (void)state;
  damage_every_byte(largest_length);
}
static void test_zeroed(void **state) {
  (void)state;
  damage_every_byte(zero);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  read_original(argv[1]);
  nnm_error error;
  if (nnm_predictor_open("cortexA76cpu_tflite21", NULL, "/dev/null/none", &predictor, &error) != NNM_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_undamaged),     cmocka_unit_test(test_truncated_at_every_byte),
      cmocka_unit_test(test_flipped_bits),  cmocka_unit_test(test_endless_numbers),
      cmocka_unit_test(test_lying_lengths), cmocka_unit_test(test_zeroed),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  nnm_predictor_free(predictor);
  free(original);
  return failed;
}
