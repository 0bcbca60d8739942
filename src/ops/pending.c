#include "ops/rule.h"
nnm_status nnm_rule_resize(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_resize_to(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_upsample(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_grid_sample(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_affine_grid(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_center_crop_pad(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_col2im(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_one_hot(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_unfold(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_eye_like(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_random(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_random_like(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_multinomial(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_einsum(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_attention(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_fused_attention(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_multi_head_attention(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_group_query_attention(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_linear_attention(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_rotary(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_lstm(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_gru(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_if(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_loop(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_scan(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_sequence_construct(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_sequence_empty(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_sequence_insert(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_sequence_erase(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_sequence_at(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_sequence_length(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_sequence_map(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_split_to_sequence(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_concat_from_sequence(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_optional(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_optional_has(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_dft(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_stft(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_window(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_mel_matrix(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_rfft(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_image_decoder(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_string_split(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_tfidf(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_array_feature(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_feature_vectorizer(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_dict_vectorizer(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_one_hot_encoder(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_classifier(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_regressor(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
nnm_status nnm_rule_zip_map(nnm_inference *inference, const nnm_node *node, nnm_error *error) {
  (void)inference; (void)node; (void)error;
  return NNM_OK;
}
