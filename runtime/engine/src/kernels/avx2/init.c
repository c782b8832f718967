/* init.c: the slots that AVX2 with FMA fills. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "../activation_tmpl.h"
#include "../binary_tmpl.h"
#include "../frame_tmpl.h"
#include "../isa.h"
#include "../reduce_tmpl.h"

void fg_kernels_init_avx2(fg_kernels *kernels)
{
    kernels->isa |= FG_ISA_AVX2;
    kernels->gemm_rows = FG_GEMM_ROWS_AVX2;
    kernels->gemm_f32 = fg_gemm_f32_avx2;
    kernels->depthwise_f32 = fg_depthwise_f32_avx2;
    kernels->activation_f32 = activation_f32;
    kernels->binary_f32 = binary_f32;
    kernels->where_f32 = where_f32;
    kernels->distance_f32 = distance_f32;
    kernels->accumulate_f32 = accumulate_f32;
    kernels->blend_f32 = blend_f32;
    kernels->softmax_f32 = softmax_f32;
    kernels->reduce_channels_f32 = reduce_channels_f32;
    kernels->gate_u8 = gate_u8;
    kernels->normalize_u8 = normalize_u8;
    kernels->resize_row_u8 = resize_row_u8;
}

#else

void fg_kernels_init_avx2(fg_kernels *kernels) { (void)kernels; }

#endif
