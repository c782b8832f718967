/* mask.c: word-wise operations on changed masks. */
#include "mask.h"

#include <string.h>

void fg_mask_clear(uint64_t *mask, size_t words) { memset(mask, 0, words * sizeof *mask); }

void fg_mask_fill_row(uint64_t *row, uint32_t cols)
{
    uint32_t words = fg_mask_words(cols);
    memset(row, 0xFF, words * sizeof *row);
    row[words - 1] = fg_mask_tail(cols);
}

void fg_mask_fill(uint64_t *mask, uint32_t rows, uint32_t cols)
{
    uint32_t words = fg_mask_words(cols);
    for (uint32_t row = 0; row < rows; row++) fg_mask_fill_row(mask + (size_t)row * words, cols);
}

void fg_mask_or(uint64_t *mask, const uint64_t *other, size_t words)
{
    for (size_t i = 0; i < words; i++) mask[i] |= other[i];
}

uint32_t fg_mask_any(const uint64_t *mask, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        if (mask[i]) return 1;
    }
    return 0;
}

uint64_t fg_mask_count(const uint64_t *mask, size_t words)
{
    uint64_t count = 0;
    for (size_t i = 0; i < words; i++) count += fg_mask_bits(mask[i]);
    return count;
}

void fg_mask_set_range(uint64_t *row, uint32_t first, uint32_t last)
{
    uint32_t from = first / 64u, to = last / 64u;
    uint64_t head = ~UINT64_C(0) << (first % 64u), tail = ~UINT64_C(0) >> (63u - last % 64u);
    if (from == to) {
        row[from] |= head & tail;
        return;
    }
    row[from] |= head;
    for (uint32_t i = from + 1; i < to; i++) row[i] = ~UINT64_C(0);
    row[to] |= tail;
}

/* The lowest bit of every group of block bits of which any is set. */
static uint64_t lowest_of_blocks(uint64_t word, uint32_t block)
{
    static const uint64_t lowest[4] = {0, UINT64_C(0x5555555555555555), UINT64_C(0x1111111111111111),
                                       UINT64_C(0x0101010101010101)};
    uint32_t level = block == 2 ? 1 : block == 4 ? 2 : 3;
    for (uint32_t shift = 1; shift < block; shift *= 2) word |= word >> shift;
    return word & lowest[level];
}

/* Every group of block bits becomes all ones if any of them is set. */
static uint64_t grow_word(uint64_t word, uint32_t block)
{
    return lowest_of_blocks(word, block) * ((UINT64_C(1) << block) - 1);
}

/* Row words of a row of squares, joined. */
static uint64_t join_rows(const uint64_t *mask, uint32_t rows, uint32_t words)
{
    uint64_t word = 0;
    for (uint32_t row = 0; row < rows; row++) word |= mask[(size_t)row * words];
    return word;
}

uint64_t fg_mask_count_blocks(const uint64_t *mask, uint32_t rows, uint32_t cols, uint32_t block)
{
    uint32_t words = fg_mask_words(cols);
    uint64_t count = 0;
    for (uint32_t top = 0; top < rows; top += block) {
        const uint64_t *from = mask + (size_t)top * words;
        uint32_t high = rows - top < block ? rows - top : block;
        for (uint32_t i = 0; i < words; i++) {
            count += fg_mask_bits(lowest_of_blocks(join_rows(from + i, high, words), block));
        }
    }
    return count;
}

void fg_mask_or_blocks(uint64_t *out, const uint64_t *mask, uint32_t rows, uint32_t cols, uint32_t block)
{
    uint32_t words = fg_mask_words(cols);
    for (uint32_t top = 0; top < rows; top += block) {
        uint32_t end = top + block < rows ? top + block : rows;
        for (uint32_t i = 0; i < words; i++) {
            uint64_t word = join_rows(mask + (size_t)top * words + i, end - top, words);
            if (!word) continue;
            word = grow_word(word, block);
            if (i == words - 1) word &= fg_mask_tail(cols);
            for (uint32_t row = top; row < end; row++) out[(size_t)row * words + i] |= word;
        }
    }
}

/* Eight bits as eight bytes of 0 or 1, the lowest first: spread, each byte keeping one bit, which then moves down. */
static void next_bytes(uint8_t bits, uint8_t bytes[8])
{
    uint64_t kept = bits * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
    uint64_t ones = (kept + UINT64_C(0x7F7F7F7F7F7F7F7F)) >> 7 & UINT64_C(0x0101010101010101);
    for (uint32_t i = 0; i < 8; i++) bytes[i] = (uint8_t)(ones >> 8 * i);
}

void fg_mask_to_bytes(const uint64_t *mask, uint32_t rows, uint32_t cols, uint8_t *bytes)
{
    uint32_t words = fg_mask_words(cols);
    for (uint32_t row = 0; row < rows; row++, mask += words, bytes += cols) {
        uint32_t col = 0;
        for (; col + 8 <= cols; col += 8) next_bytes((uint8_t)(mask[col / 64] >> col % 64), bytes + col);
        for (; col < cols; col++) bytes[col] = (uint8_t)fg_mask_test(mask, col);
    }
}

/* out[j] |= in[j - 1], in[j] and in[j + 1], of rows that have as many words. */
static void or_neighbours(uint64_t *out, uint32_t words, const uint64_t *in)
{
    uint64_t before = 0, word = in[0];
    for (uint32_t i = 0; i < words; i++) {
        const uint64_t next = i + 1 < words ? in[i + 1] : 0;
        out[i] |= word | word << 1 | word >> 1 | before >> 63 | next << 63;
        before = word;
        word = next;
    }
}

void fg_mask_or_shifted(uint64_t *out, uint32_t out_words, const uint64_t *in, uint32_t in_words, int64_t shift)
{
    int64_t word_shift = shift >= 0 ? shift / 64 : -((-shift + 63) / 64);
    uint32_t bits = (uint32_t)(shift - word_shift * 64);
    for (uint32_t i = 0; i < out_words; i++) {
        int64_t from = (int64_t)i + word_shift;
        uint64_t low = from >= 0 && from < (int64_t)in_words ? in[from] : 0;
        uint64_t high = from + 1 >= 0 && from + 1 < (int64_t)in_words ? in[from + 1] : 0;
        out[i] |= bits ? (low >> bits) | (high << (64u - bits)) : low;
    }
}

/* The even bits of a word, packed into its lower half. */
static uint64_t even_bits(uint64_t word)
{
    word &= UINT64_C(0x5555555555555555);
    word = (word | (word >> 1)) & UINT64_C(0x3333333333333333);
    word = (word | (word >> 2)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    word = (word | (word >> 4)) & UINT64_C(0x00FF00FF00FF00FF);
    word = (word | (word >> 8)) & UINT64_C(0x0000FFFF0000FFFF);
    return (word | (word >> 16)) & UINT64_C(0x00000000FFFFFFFF);
}

/* out[j] |= in[j * stride]. */
static void or_strided(uint64_t *out, uint32_t out_cols, const uint64_t *in, uint32_t in_words, uint32_t stride)
{
    if (stride == 2) {
        for (uint32_t i = 0; i < in_words; i++) out[i / 2] |= even_bits(in[i]) << (i % 2u ? 32u : 0u);
        return;
    }
    for (uint32_t j = 0; j < out_cols; j++) {
        if (fg_mask_test(in, j * stride)) fg_mask_set(out, j);
    }
}

static uint32_t spread_cols(const fg_window *window, uint32_t out_cols)
{
    return window->stride_w == 1 ? out_cols : (out_cols - 1) * window->stride_w + 1;
}

size_t fg_mask_window_scratch(const fg_window *window, uint32_t in_cols, uint32_t out_cols)
{
    return (size_t)fg_mask_words(in_cols) + fg_mask_words(spread_cols(window, out_cols));
}

/* Rows from the first one with a set bit to the last; first and end equal: there is none. */
static void set_rows(const uint64_t *mask, uint32_t rows, uint32_t words, int64_t *first, int64_t *end)
{
    size_t low = 0, high = (size_t)rows * words;
    while (low < high && !mask[low]) low++;
    while (high > low && !mask[high - 1]) high--;
    *first = (int64_t)(low / words);
    *end = (int64_t)((high + words - 1) / words);
}

/* Words of the rows that a window reads, joined; whether any bit is set. */
static uint64_t join_window_rows(const fg_window *window, const uint64_t *in, int64_t first, int64_t in_rows,
                                 uint32_t words, uint64_t *column)
{
    const int64_t step = window->dilation_h;
    int64_t row = first, end = first + step * window->kernel_h;
    uint64_t any = 0;
    if (end > in_rows) end = in_rows;
    while (row < 0 && row < end) row += step;
    for (uint32_t w = 0; w < words; w++) {
        uint64_t word = 0;
        for (int64_t r = row; r < end; r += step) word |= in[(size_t)r * words + w];
        column[w] = word;
        any |= word;
    }
    return any;
}

/* A pixel of its own for every pixel. */
static int is_pointwise(const fg_window *w, uint32_t in_rows, uint32_t in_cols, uint32_t out_rows, uint32_t out_cols)
{
    return w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1 && !w->pad_top &&
           !w->pad_left && in_rows == out_rows && in_cols == out_cols;
}

void fg_mask_window(const fg_window *window, const uint64_t *in, uint32_t in_rows, uint32_t in_cols, uint64_t *out,
                    uint32_t out_rows, uint32_t out_cols, uint64_t *scratch)
{
    uint32_t in_words = fg_mask_words(in_cols), out_words = fg_mask_words(out_cols);
    uint32_t spread = spread_cols(window, out_cols), spread_words = fg_mask_words(spread);
    uint64_t *column = scratch, *dilated = scratch + in_words;
    const int centred = window->kernel_w == 3 && window->dilation_w == 1 && window->pad_left == 1;
    if (is_pointwise(window, in_rows, in_cols, out_rows, out_cols)) {
        fg_mask_or(out, in, (size_t)in_rows * in_words);
        return;
    }
    int64_t low, high, step = window->stride_h, reach = (int64_t)(window->kernel_h - 1) * window->dilation_h;
    set_rows(in, in_rows, in_words, &low, &high);
    if (low == high) return;
    low = low + window->pad_top - reach; /* output rows whose windows reach a set row: times the stride at least this */
    low = low > 0 ? (low + step - 1) / step : 0;
    high = (high - 1 + window->pad_top) / step + 1;
    out += (size_t)low * out_words;
    for (int64_t i = low; i < high && i < (int64_t)out_rows; i++, out += out_words) {
        if (!join_window_rows(window, in, i * step - window->pad_top, in_rows, in_words, column)) continue;
        uint64_t *target = window->stride_w == 1 ? out : dilated;
        if (target == dilated) fg_mask_clear(dilated, spread_words);
        const uint32_t words = target == out ? out_words : spread_words;
        if (centred && words == in_words) {
            or_neighbours(target, words, column);
        } else {
            for (uint32_t k = 0; k < window->kernel_w; k++)
                fg_mask_or_shifted(target, words, column, in_words, (int64_t)k * window->dilation_w - window->pad_left);
        }
        if (target == dilated) {
            dilated[spread_words - 1] &= fg_mask_tail(spread);
            or_strided(out, out_cols, dilated, spread_words, window->stride_w);
        }
        out[out_words - 1] &= fg_mask_tail(out_cols);
    }
}

void fg_mask_reach(const fg_window *window, const uint64_t *out, uint32_t out_rows, uint32_t out_cols, uint64_t *in,
                   uint32_t in_rows, uint32_t in_cols, uint64_t *scratch)
{
    uint32_t in_words = fg_mask_words(in_cols), out_words = fg_mask_words(out_cols);
    for (uint32_t i = 0; i < out_rows; i++, out += out_words) {
        if (!fg_mask_any(out, out_words)) continue;
        fg_mask_clear(scratch, in_words);
        for (uint32_t w = 0; w < out_words; w++) {
            for (uint64_t word = out[w]; word; word &= word - 1) {
                int64_t col = (int64_t)(w * 64u + fg_mask_lowest(word)) * window->stride_w - window->pad_left;
                for (uint32_t k = 0; k < window->kernel_w; k++, col += window->dilation_w) {
                    if (col >= 0 && col < (int64_t)in_cols) fg_mask_set(scratch, (uint32_t)col);
                }
            }
        }
        for (uint32_t k = 0; k < window->kernel_h; k++) {
            int64_t row = (int64_t)i * window->stride_h - window->pad_top + (int64_t)k * window->dilation_h;
            if (row >= 0 && row < (int64_t)in_rows) fg_mask_or(in + (size_t)row * in_words, scratch, in_words);
        }
    }
}
