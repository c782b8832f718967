/* depthwise.c: depthwise_f32 with NEON. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns") /* as in gemm.c */
#endif

#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include "vector.h"

enum { VECTOR = 4 };

/* As far as weights and sums fit into registers. */
#if defined(__aarch64__)
#define WINDOW_ROWS(size) ((size) == 3 ? 2 : 1)
#else
#define WINDOW_ROWS(size) ((size) == 3 ? 1 : 0)
#endif

#include "../depthwise_tmpl.h"

void fg_depthwise_f32_neon(const fg_depthwise_f32_args *args) { depthwise(args); }

#endif
