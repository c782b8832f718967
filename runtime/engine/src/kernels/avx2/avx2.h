/* avx2.h: the kernels written for AVX2 with FMA. */
#ifndef FG_KERNELS_AVX2_H
#define FG_KERNELS_AVX2_H

#include "../kernels.h"

#define ROWS_LEAST 5 /* of depthwise_rows_f32 */

void fg_gemm_f32_avx2(const fg_gemm_f32_args *args);
void fg_depthwise_f32_avx2(const fg_depthwise_f32_args *args);
void fg_depthwise_rows_f32_avx2(const fg_depthwise_rows_f32_args *args);
void fg_winograd_weights_f32_avx2(const fg_winograd_weights_f32_args *args);
void fg_winograd_input_f32_avx2(const fg_winograd_input_f32_args *args);
void fg_winograd_output_f32_avx2(const fg_winograd_output_f32_args *args);
void fg_silu_f32_avx2(float *data, size_t count); /* what activation_f32 does, of p = 1 */
void fg_moments_f64_avx2(const float *x, size_t count, double *sums);
void fg_judge_f32_avx2(const fg_judge_f32_args *args);
uint32_t fg_finite_f32_avx2(const float *x, size_t count);
size_t fg_gate_f32_avx2(const fg_gate_f32_args *args);
size_t fg_gate_u8_avx2(const fg_gate_u8_args *args);
void fg_normalize_u8_avx2(const fg_normalize_u8_args *args);
void fg_resize_row_u8_avx2(const fg_resize_row_u8_args *args);

#endif
