/* loops.h: what the loops of the *_tmpl.h files share. */
#ifndef FG_LOOPS_H
#define FG_LOOPS_H

#include <stddef.h>

/* No iteration reads what another one writes, though in and out may be the same array. */
#if defined(__clang__) && (defined(__OPTIMIZE_SIZE__) || (defined(__arm__) && defined(__ARM_NEON)))
#define FG_INDEPENDENT /* it would vectorise what should be small, and on Armv7 flush subnormal numbers to zero */
#elif defined(__clang__)
#define FG_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define FG_INDEPENDENT _Pragma("GCC ivdep")
#else
#define FG_INDEPENDENT
#endif

/* A loop that vectors would make longer and not quicker. */
#if defined(__clang__)
#define FG_SCALAR _Pragma("clang loop vectorize(disable) unroll(disable)")
#elif defined(__GNUC__)
#define FG_SCALAR _Pragma("GCC unroll 1")
#else
#define FG_SCALAR
#endif

/* Two vectors at once, for long chains of operations: cores that issue in order would wait for every link. GCC has no
 * word for it. */
#if defined(__clang__) && (defined(__aarch64__) || defined(__arm__))
#define FG_IN_PAIRS _Pragma("clang loop interleave_count(2)")
#else
#define FG_IN_PAIRS
#endif

#if defined(__GNUC__)
#define FG_INLINE static inline __attribute__((always_inline))
#define FG_UNUSED __attribute__((unused))
#define FG_NOINLINE __attribute__((noinline))
#else
#define FG_INLINE static inline
#define FG_UNUSED
#define FG_NOINLINE
#endif

/* For functions of many loops: inlined, or the loops would not be vectorised, but not where code should be small. */
#if defined(__OPTIMIZE_SIZE__)
#define FG_INLINE_FAST FG_UNUSED static
#else
#define FG_INLINE_FAST FG_INLINE
#endif

enum { FG_LANES = 8, FG_CHUNK = 64 };

static inline size_t fg_at_most(size_t a, size_t limit) { return a < limit ? a : limit; }

#endif
