/* avx512.h: the kernels written for AVX-512. */
#ifndef FG_KERNELS_AVX512_H
#define FG_KERNELS_AVX512_H

#include "../kernels.h"

#define ROWS_LEAST 3 /* of depthwise_rows_f32 */

void fg_gemm_f32_avx512(const fg_gemm_f32_args *args);
void fg_depthwise_f32_avx512(const fg_depthwise_f32_args *args);
void fg_depthwise_rows_f32_avx512(const fg_depthwise_rows_f32_args *args);
void fg_winograd_weights_f32_avx512(const fg_winograd_weights_f32_args *args);
void fg_winograd_input_f32_avx512(const fg_winograd_input_f32_args *args);
void fg_winograd_output_f32_avx512(const fg_winograd_output_f32_args *args);

#endif
