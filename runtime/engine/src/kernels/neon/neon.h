/* neon.h: the kernels written for NEON with fused multiply-add (AArch64; Armv7 with VFPv4). */
#ifndef FG_KERNELS_NEON_H
#define FG_KERNELS_NEON_H

#include "../kernels.h"

void fg_activation_f32_neon(uint32_t kind, const float *parameters, float *data, size_t count);
void fg_gemm_f32_neon(const fg_gemm_f32_args *args);
void fg_depthwise_f32_neon(const fg_depthwise_f32_args *args);
void fg_winograd_weights_f32_neon(const fg_winograd_weights_f32_args *args);
void fg_winograd_input_f32_neon(const fg_winograd_input_f32_args *args);
void fg_winograd_output_f32_neon(const fg_winograd_output_f32_args *args);
float fg_distance_f32_neon(uint32_t norm, const float *a, const float *b, size_t count);
void fg_judge_f32_neon(const fg_judge_f32_args *args);
uint32_t fg_finite_f32_neon(const float *x, size_t count);
size_t fg_gate_f32_neon(const fg_gate_f32_args *args);
size_t fg_gate_u8_neon(const fg_gate_u8_args *args);
void fg_normalize_u8_neon(const fg_normalize_u8_args *args);
void fg_resize_row_u8_neon(const fg_resize_row_u8_args *args);

#endif
