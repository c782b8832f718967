/* pointwise_tmpl.h: every slot on floats that is plain C, vectorised by the compiler. Included by one file per
 * instruction set, with that set's flags; all give the same bits. */
#include "activation_tmpl.h"
#include "binary_tmpl.h"
#include "judge_tmpl.h"
#include "permute_tmpl.h"
#include "pool_tmpl.h"
#include "reduce_tmpl.h"
#include "softmax_tmpl.h"

static void fill_pointwise(fg_kernels *kernels)
{
    kernels->activation_f32 = activation_f32;
    kernels->binary_f32 = binary_f32;
    kernels->where_f32 = where_f32;
    kernels->distance_f32 = distance_f32;
    kernels->judge_f32 = judge_f32;
    kernels->moments_f64 = moments_f64;
    kernels->accumulate_f32 = accumulate_rows;
    kernels->permute_f32 = permute_f32;
    kernels->pool_f32 = pool_f32;
    kernels->blend_f32 = blend_f32;
    kernels->softmax_f32 = softmax_f32;
    kernels->reduce_channels_f32 = reduce_channels_f32;
}
