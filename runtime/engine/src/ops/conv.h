/* conv.h: what direct convolutions (conv.c) and Winograd's (winograd.c) share. */
#ifndef FG_CONV_H
#define FG_CONV_H

#include "op.h"

enum { CONV_X = 0, CONV_WEIGHTS = 1, CONV_BIAS = 2, CONV_RESIDUAL = 3 };

/* The node's activation as a finishing step of the kernels; whether it is one. */
uint32_t fg_conv_fuse(const fg_node_record *node, fg_finish *finish);
/* Copies a bias as the kernels want it: -0 becomes 0. */
static inline void fg_conv_bias(float *to, const float *bias, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] = bias[i] + 0.0f;
}
/* Residual and activation of computed pixels, where the kernels have not applied them. */
void fg_conv_finish(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                    size_t out_stride);
void fg_conv_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch);

#endif
