/* TensorFlow's operators on images, boxes and signals. */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "ops/rule.h"

/* ------------------------------------------------------- blocks and batches */

/* Input: data, block for each of the first spatial dims, and what is padded (or cropped) of each. */
static nnm_status blocks_and_batch(nnm_inference *inference, const nnm_node *node, bool to_batch, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const int64_t *block, *pairs;
  size_t count, pair_count;
  int64_t dims[NNM_LIMIT_RANK], area;
  if (!shape || nnm_find_ints(inference, node, NULL, 1, &block, &count) != NNM_KNOWN ||
      nnm_find_ints(inference, node, NULL, 2, &pairs, &pair_count) != NNM_KNOWN)
    return NNM_OK;
  if (shape->rank < 2 || count >= (size_t)shape->rank || pair_count != 2 * count ||
      !nnm_multiply_dims(block, count, &area) || area < 1)
    return nnm_fail_node(inference, node, error, "needs a block size and a pair of numbers for each dimension");
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  for (size_t i = 0; i < count; i++) {
    int64_t size = shape->dims[i + 1], changed, both;
    bool fits = nnm_add_i64(pairs[2 * i], pairs[2 * i + 1], &both);
    if (to_batch) {
      fits = fits && nnm_add_i64(size, both, &changed) && changed >= 0 && changed % block[i] == 0;
      dims[i + 1] = fits ? changed / block[i] : 0;
    } else {
      fits = fits && nnm_multiply_i64(size, block[i], &changed) && !__builtin_sub_overflow(changed, both, &dims[i + 1]);
    }
    if (!fits)
      return nnm_fail_node(inference, node, error, "has blocks of %lld, which dimension %zu of %lld does not fit",
                           (long long)block[i], i + 1, (long long)size);
  }
  bool fits = to_batch ? nnm_multiply_i64(shape->dims[0], area, &dims[0]) : shape->dims[0] % area == 0;
  if (!fits)
    return nnm_fail_node(inference, node, error, "has blocks of %lld, which its batch does not fit", (long long)area);
  if (!to_batch) dims[0] = shape->dims[0] / area;
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

nnm_status nnm_rule_space_to_batch(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return blocks_and_batch(inference, node, true, error);
}
nnm_status nnm_rule_batch_to_space(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return blocks_and_batch(inference, node, false, error);
}

/* How many windows fit; reach: from a window's first element to its last. */
static int64_t count_windows(int64_t size, int64_t reach, int64_t step, bool same) {
  if (same) return nnm_divide_up(size, step);
  return size > reach ? (size - reach - 1) / step + 1 : 0;
}

/* Windows of an image, each as one pixel of many channels. */
nnm_status nnm_rule_image_patches(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  size_t counts[3];
  const int64_t *sizes = nnm_attribute_ints(node, "ksizes", &counts[0]);
  const int64_t *steps = nnm_attribute_ints(node, "strides", &counts[1]);
  const int64_t *rates = nnm_attribute_ints(node, "rates", &counts[2]);
  if (!shape) return NNM_OK;
  if (shape->rank != 4 || counts[0] != 4 || counts[1] != 4 || counts[2] != 4)
    return nnm_fail_node(inference, node, error, "needs an image of 4 dimensions and 4 sizes, strides and rates");
  int64_t dims[4] = {shape->dims[0], 0, 0, shape->dims[3]};
  bool same = !strcmp(nnm_attribute_text(node, "padding", "VALID"), "SAME");
  for (int i = 1; i < 3; i++) {
    int64_t reach;
    if (sizes[i] < 1 || steps[i] < 1 || rates[i] < 1 || sizes[i] > NNM_LIMIT_DIMENSION ||
        !nnm_multiply_i64(sizes[i] - 1, rates[i], &reach) || reach > NNM_LIMIT_DIMENSION ||
        !nnm_multiply_i64(dims[3], sizes[i], &dims[3]))
      return nnm_fail_node(inference, node, error, "has windows of %lld", (long long)sizes[i]);
    dims[i] = count_windows(shape->dims[i], reach, steps[i], same);
  }
  return nnm_set_shape(inference, node, 0, 4, dims, error);
}

/* A maximum over windows of image and filter: channels stay. */
nnm_status nnm_rule_dilation(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0), *filter = nnm_shape_of_input(inference, node, 1);
  size_t count, rate_count;
  const int64_t *steps = nnm_attribute_ints(node, "strides", &count);
  const int64_t *rates = nnm_attribute_ints(node, "rates", &rate_count);
  if (!shape || !filter) return NNM_OK;
  if (shape->rank != 4 || filter->rank != 3 || count != 4 || rate_count != 4 || steps[1] < 1 || steps[2] < 1)
    return nnm_fail_node(inference, node, error, "needs an image of 4 dimensions, a filter of 3 and 4 strides");
  int64_t dims[4] = {shape->dims[0], 0, 0, shape->dims[3]};
  bool same = !strcmp(nnm_attribute_text(node, "padding", "VALID"), "SAME");
  for (int i = 1; i < 3; i++) {
    int64_t reach;
    if (rates[i] < 1 || !nnm_multiply_i64(filter->dims[i - 1] - 1, rates[i], &reach))
      return nnm_fail_node(inference, node, error, "has a dilation of %lld", (long long)rates[i]);
    dims[i] = count_windows(shape->dims[i], reach, steps[i], same);
  }
  return nnm_set_shape(inference, node, 0, 4, dims, error);
}

/* ------------------------------------------------------------------- boxes */

/* The most boxes that are kept, by input 2; all when that is not known. */
static int64_t most_boxes(nnm_inference *inference, const nnm_node *node, uint32_t input, int64_t all) {
  const int64_t *limit;
  size_t count;
  bool known = nnm_find_ints(inference, node, NULL, (int)input, &limit, &count) == NNM_KNOWN && count;
  return known && limit[0] >= 0 && limit[0] < all ? limit[0] : all;
}

/* Boxes (count, 4) and scores (count): the numbers of those that are kept; perhaps their scores; how many are valid. */
nnm_status nnm_rule_select_boxes(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *boxes = nnm_shape_of_input(inference, node, 0);
  if (!boxes) return NNM_OK;
  if (boxes->rank != 2) return nnm_fail_node(inference, node, error, "needs boxes of 2 dimensions");
  bool is_padded = nnm_attribute_int(node, "pad_to_max_output_size", 0) != 0;
  int64_t kept = most_boxes(inference, node, 2, is_padded ? NNM_LIMIT_DIMENSION : boxes->dims[0]);
  if (kept == NNM_LIMIT_DIMENSION)
    kept = boxes->dims[0], is_padded = false; /* so many that it is no limit, or not known */
  if (!is_padded) {
    nnm_mark_guessed(inference, node, 0);
    NNM_TRY(nnm_note_node(inference, node, error,
                          "how many boxes it keeps depends on the input data; at most %lld, assumed", (long long)kept));
  }
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_I32);
  NNM_TRY(nnm_set_shape(inference, node, 0, 1, &kept, error));
  bool has_scores = node->output_count > 2;
  if (has_scores) NNM_TRY(nnm_set_shape(inference, node, 1, 1, &kept, error));
  if (node->output_count < 2) return NNM_OK;
  nnm_set_dtype(inference, node, has_scores ? 2 : 1, NNM_DTYPE_I32);
  return nnm_set_shape(inference, node, has_scores ? 2 : 1, 0, NULL, error);
}

/* Boxes (batch, count, q, 4) and scores (batch, count, classes): as many results for each image as may be kept. */
nnm_status nnm_rule_select_boxes_of_batch(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *boxes = nnm_shape_of_input(inference, node, 0), *scores = nnm_shape_of_input(inference, node, 1);
  if (!boxes || !scores) return NNM_OK;
  if (boxes->rank != 4 || scores->rank != 3)
    return nnm_fail_node(inference, node, error, "needs boxes of 4 dimensions and scores of 3");
  int64_t most = most_boxes(inference, node, 3, NNM_LIMIT_DIMENSION), classes = scores->dims[2];
  int64_t each = most_boxes(inference, node, 2, boxes->dims[1]), of_all;
  if (!nnm_multiply_i64(each, classes, &of_all) || of_all > most || !nnm_attribute_int(node, "pad_per_class", 0))
    of_all = most < NNM_LIMIT_DIMENSION ? most : boxes->dims[1];
  int64_t dims[3] = {boxes->dims[0], of_all, 4};
  NNM_TRY(nnm_set_shape(inference, node, 0, 3, dims, error));
  NNM_TRY(nnm_set_shape(inference, node, 1, 2, dims, error));
  NNM_TRY(nnm_set_shape(inference, node, 2, 2, dims, error));
  nnm_set_dtype(inference, node, 3, NNM_DTYPE_I32);
  return nnm_set_shape(inference, node, 3, 1, dims, error);
}

/* ------------------------------------------------------------------ signals */

/* The last dimension of a real signal becomes half the length of the transform and one; backwards the length. */
static nnm_status real_transform(nnm_inference *inference, const nnm_node *node, bool backwards, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  const int64_t *length;
  size_t count;
  int64_t dims[NNM_LIMIT_RANK];
  nnm_set_dtype(inference, node, 0, backwards ? NNM_DTYPE_F32 : NNM_DTYPE_COMPLEX);
  if (!shape || nnm_find_ints(inference, node, NULL, 1, &length, &count) != NNM_KNOWN) return NNM_OK;
  if (!count || count > (size_t)shape->rank)
    return nnm_fail_node(inference, node, error, "transforms %zu of %d dimensions", count, (int)shape->rank);
  memcpy(dims, shape->dims, (size_t)shape->rank * sizeof *dims);
  for (size_t i = 0; i < count; i++) dims[(size_t)shape->rank - count + i] = length[i];
  if (!backwards) dims[shape->rank - 1] = length[count - 1] / 2 + 1;
  return nnm_set_shape(inference, node, 0, shape->rank, dims, error);
}

nnm_status nnm_rule_real_fft(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return real_transform(inference, node, false, error);
}
nnm_status nnm_rule_inverse_real_fft(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  return real_transform(inference, node, true, error);
}

/* Samples (length, channels) -> channels, windows, frequencies. */
nnm_status nnm_rule_spectrogram(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  int64_t window = nnm_attribute_int(node, "window_size", 0), step = nnm_attribute_int(node, "stride", 0), width = 1;
  if (!shape) return NNM_OK;
  if (shape->rank != 2 || window < 2 || step < 1 || window > NNM_LIMIT_DIMENSION)
    return nnm_fail_node(inference, node, error, "needs samples of 2 dimensions, a window and a stride");
  while (width < window) width *= 2;
  int64_t windows = shape->dims[0] < window ? 0 : (shape->dims[0] - window) / step + 1;
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
  return nnm_set_shape(inference, node, 0, 3, (int64_t[]){shape->dims[1], windows, width / 2 + 1}, error);
}

nnm_status nnm_rule_mfcc(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  const nnm_shape *shape = nnm_shape_of_input(inference, node, 0);
  if (!shape) return NNM_OK;
  if (shape->rank != 3) return nnm_fail_node(inference, node, error, "needs a spectrogram of 3 dimensions");
  int64_t dims[3] = {shape->dims[0], shape->dims[1], nnm_attribute_int(node, "dct_coefficient_count", 13)};
  return nnm_set_shape(inference, node, 0, 3, dims, error);
}

/* What a file of sound or an image holds is known only when it is there: what the attributes say, else a second of sound
 * and an image of 224 by 224. */
nnm_status nnm_rule_decode_sound(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  enum { USUAL_SAMPLES = 16000 };
  int64_t samples = nnm_attribute_int(node, "desired_samples", -1);
  int64_t channels = nnm_attribute_int(node, "desired_channels", -1);
  if (samples < 0 || channels < 0)
    NNM_TRY(nnm_note_node(inference, node, error,
                          "the length of the sound depends on the input data; %d samples assumed", USUAL_SAMPLES));
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_F32);
  nnm_set_dtype(inference, node, 1, NNM_DTYPE_I32);
  NNM_TRY(nnm_set_shape(inference, node, 1, 0, NULL, error));
  return nnm_set_shape(inference, node, 0, 2,
                       (int64_t[]){samples < 0 ? USUAL_SAMPLES : samples, channels < 0 ? 1 : channels}, error);
}

nnm_status nnm_rule_decode_picture(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  enum { USUAL_SIZE = 224 };
  int64_t channels = nnm_attribute_int(node, "channels", 0);
  NNM_TRY(nnm_note_node(inference, node, error, "the size of the image depends on the input data; %d x %d assumed",
                        USUAL_SIZE, USUAL_SIZE));
  nnm_set_dtype(inference, node, 0, NNM_DTYPE_U8);
  return nnm_set_shape(inference, node, 0, 3, (int64_t[]){USUAL_SIZE, USUAL_SIZE, channels > 0 ? channels : 3}, error);
}
