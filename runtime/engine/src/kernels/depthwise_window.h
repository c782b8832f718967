/* depthwise_window.h: what the depthwise kernels find out about runs before they share columns between windows. */
#ifndef FG_DEPTHWISE_WINDOW_H
#define FG_DEPTHWISE_WINDOW_H

#include "kernels.h"

/* How a run's windows lie: size x size taps, columns and rows so many numbers apart, windows stride columns and rows
 * apart, a tap's weights so many numbers behind those of the tap before. size 0: otherwise. */
typedef struct window {
    size_t size, stride;
    ptrdiff_t row, col;
    size_t weights;
} window;

static window window_of(const fg_depthwise_run *run, size_t step)
{
    const window none = {0, 0, 0, 0, 0};
    const fg_tap *taps = run->taps;
    window w = {run->tap_count == 9 ? 3 : run->tap_count == 25 ? 5 : 0, 0, 0, 0, 0};
    if (!w.size) return none;
    w.col = taps[1].x - taps[0].x;
    w.row = taps[w.size].x - taps[0].x;
    w.weights = taps[1].weights - taps[0].weights;
    for (size_t t = 0; t < run->tap_count; t++) {
        if (taps[t].x - taps[0].x != (ptrdiff_t)(t / w.size) * w.row + (ptrdiff_t)(t % w.size) * w.col) return none;
        if (taps[t].weights - taps[0].weights != t * w.weights) return none;
    }
    w.stride = (ptrdiff_t)step == w.col ? 1 : (ptrdiff_t)step == 2 * w.col ? 2 : 0;
    return w.stride ? w : none;
}

/* Whether the next run's windows lie below this one's. */
static int lies_below(const fg_depthwise_run *run, const window *at)
{
    return run[1].taps == run->taps && run[1].pixels == run->pixels &&
           run[1].x - run->x == (ptrdiff_t)at->stride * at->row;
}

/* Blocks of channels outermost: a block's weights stay in the first cache for all runs, and a pixel's numbers are read
 * in pieces long enough for the machine to fetch ahead. */
enum { FG_DEPTHWISE_BLOCK = 256 };

#endif
