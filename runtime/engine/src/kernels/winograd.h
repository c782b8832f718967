/* winograd.h: the numbers of F(4x4, 3x3) that the kernels share. The points are 0, +-p, +-q and infinity with p = 5/8
 * and q = 3/2: everything made of them is exact, and errors are half of those of 1 and 2 (docs/kernels.md). */
#ifndef FG_WINOGRAD_H
#define FG_WINOGRAD_H

#include "kernels.h"

#define FG_WINOGRAD_P 0.625f
#define FG_WINOGRAD_Q 1.5f
#define FG_WINOGRAD_P2 0.390625f
#define FG_WINOGRAD_Q2 2.25f
#define FG_WINOGRAD_P3 0.244140625f
#define FG_WINOGRAD_Q3 3.375f
#define FG_WINOGRAD_P2Q2 0.87890625f /* p^2 q^2 */
#define FG_WINOGRAD_P2_Q2 2.640625f  /* p^2 + q^2 */

#endif
