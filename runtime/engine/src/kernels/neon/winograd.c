/* winograd.c: Winograd's transforms with NEON. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns") /* as in gemm.c */
#endif

#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include "vector.h"

enum { VECTOR = 4 };

#include "../winograd_tmpl.h"

void fg_winograd_input_f32_neon(const fg_winograd_input_f32_args *args) { winograd_input(args); }

void fg_winograd_output_f32_neon(const fg_winograd_output_f32_args *args) { winograd_output(args); }

#endif
