/* loops.h: what the loops of the *_tmpl.h files share. */
#ifndef FG_LOOPS_H
#define FG_LOOPS_H

#include <stddef.h>

/* No iteration reads what another one writes, though in and out may be the same array. */
#if defined(__clang__) && defined(__OPTIMIZE_SIZE__)
#define FG_INDEPENDENT /* it would vectorise what should be small */
#elif defined(__clang__)
#define FG_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define FG_INDEPENDENT _Pragma("GCC ivdep")
#else
#define FG_INDEPENDENT
#endif

#if defined(__GNUC__)
#define FG_INLINE static inline __attribute__((always_inline))
#define FG_UNUSED __attribute__((unused))
#else
#define FG_INLINE static inline
#define FG_UNUSED
#endif

enum { FG_LANES = 8, FG_CHUNK = 64 };

static inline size_t fg_at_most(size_t a, size_t limit) { return a < limit ? a : limit; }

#endif
