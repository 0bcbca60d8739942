/* Geometry of convolutions and poolings, for the shape rules and for nnm_window_of. */
#ifndef NNM_OPS_WINDOW_H
#define NNM_OPS_WINDOW_H

#include "ops/rule.h"

/* Work out a node's window from its input shapes and attributes. *known stays false when an input shape is missing. No
 * values are read, so the inference may be a mere view of finished shapes. */
nnm_status nnm_conv_window(const nnm_inference *inference, const nnm_node *node, nnm_window *out, bool *known,
                           nnm_error *error);
nnm_status nnm_pool_window(const nnm_inference *inference, const nnm_node *node, nnm_window *out, bool *known,
                           nnm_error *error);
nnm_status nnm_global_pool_window(const nnm_inference *inference, const nnm_node *node, nnm_window *out, bool *known,
                                  nnm_error *error);

/* Splits an image shape into batch, channels and spatial dims. */
nnm_status nnm_window_image(const nnm_inference *inference, const nnm_node *node, const nnm_shape *image,
                            nnm_window *out, nnm_error *error);
/* strides, dilations, and the explicit pads; kernel must be set. Checks every number. */
nnm_status nnm_window_steps(const nnm_inference *inference, const nnm_node *node, nnm_window *out, nnm_error *error);
/* The layout a node's image has: its flag, or what its operator says. */
nnm_layout nnm_node_layout(const nnm_node *node);
/* Sets the shape of an output to the window's output. */
nnm_status nnm_set_window_shape(nnm_inference *inference, const nnm_node *node, const nnm_window *window,
                                uint32_t output, nnm_error *error);

/* The same for output 0, and keeps the window for nnm_window_of. */
nnm_status nnm_settle_window(nnm_inference *inference, const nnm_node *node, const nnm_window *window,
                             nnm_error *error);

typedef enum nnm_auto_pad { NNM_PAD_EXPLICIT, NNM_PAD_SAME_UPPER, NNM_PAD_SAME_LOWER, NNM_PAD_VALID } nnm_auto_pad;
nnm_status nnm_window_auto_pad(const nnm_inference *inference, const nnm_node *node, nnm_auto_pad *out,
                               nnm_error *error);

#endif
