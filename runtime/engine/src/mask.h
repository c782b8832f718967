/* mask.h: one bit per pixel, rows padded to 64-bit words; bits beyond the last column are always 0. */
#ifndef FG_MASK_H
#define FG_MASK_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t fg_mask_words(uint32_t cols) { return (cols + 63u) / 64u; }

/* Bits of the last word of a row that stand for columns. */
static inline uint64_t fg_mask_tail(uint32_t cols)
{
    return (cols % 64u) ? (~UINT64_C(0) >> (64u - cols % 64u)) : ~UINT64_C(0);
}

static inline uint32_t fg_mask_test(const uint64_t *row, uint32_t col)
{
    return (uint32_t)(row[col / 64u] >> (col % 64u)) & 1u;
}

static inline void fg_mask_set(uint64_t *row, uint32_t col) { row[col / 64u] |= UINT64_C(1) << (col % 64u); }

static inline uint32_t fg_mask_lowest(uint64_t word) { return (uint32_t)__builtin_ctzll(word); }

/* Set bits. Not every x86-64 has an instruction for it, and where none is allowed GCC calls a function. */
static inline uint32_t fg_mask_bits(uint64_t word)
{
#if defined(__x86_64__) && !defined(__POPCNT__)
    word -= word >> 1 & UINT64_C(0x5555555555555555);
    word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
    return (uint32_t)(((word + (word >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F)) * UINT64_C(0x0101010101010101) >> 56);
#else
    return (uint32_t)__builtin_popcountll(word);
#endif
}

/* How many bits are set from a set one on. */
static inline uint32_t fg_mask_run(uint64_t word, uint32_t bit)
{
    uint64_t clear = ~(word >> bit);
    return clear ? fg_mask_lowest(clear) : 64u;
}

/* A word without the lowest bits that are set one after the other: adding the lowest carries through them. */
static inline uint64_t fg_mask_behind_run(uint64_t word) { return word & (word + (word & (0 - word))); }

void fg_mask_clear(uint64_t *mask, size_t words);
void fg_mask_fill(uint64_t *mask, uint32_t rows, uint32_t cols);
void fg_mask_fill_row(uint64_t *row, uint32_t cols);
void fg_mask_or(uint64_t *mask, const uint64_t *other, size_t words);
uint32_t fg_mask_any(const uint64_t *mask, size_t words);
uint64_t fg_mask_count(const uint64_t *mask, size_t words);
/* How many block x block squares (block 2, 4 or 8, grid anchored at 0) hold a set bit. */
uint64_t fg_mask_count_blocks(const uint64_t *mask, uint32_t rows, uint32_t cols, uint32_t block);
/* Sets bits first .. last of a row. */
void fg_mask_set_range(uint64_t *row, uint32_t first, uint32_t last);
/* out[j] |= in[j + shift] over rows of so many words; nothing is shifted in. */
void fg_mask_or_shifted(uint64_t *out, uint32_t out_words, const uint64_t *in, uint32_t in_words, int64_t shift);
/* out |= the whole block x block square (block 2, 4 or 8, grid anchored at 0) of every set bit; out may be mask. */
void fg_mask_or_blocks(uint64_t *out, const uint64_t *mask, uint32_t rows, uint32_t cols, uint32_t block);
void fg_mask_to_bytes(const uint64_t *mask, uint32_t rows, uint32_t cols, uint8_t *bytes);

/* A window sliding over an input map: output row i reads input rows i * stride_h - pad_top + k * dilation_h. */
typedef struct fg_window {
    uint32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
} fg_window;

/* in |= input pixels that the window of a set output pixel holds. Scratch: as many words as a row of in has. */
void fg_mask_reach(const fg_window *window, const uint64_t *out, uint32_t out_rows, uint32_t out_cols, uint64_t *in,
                   uint32_t in_rows, uint32_t in_cols, uint64_t *scratch);
/* Words of scratch fg_mask_window needs. */
size_t fg_mask_window_scratch(const fg_window *window, uint32_t in_cols, uint32_t out_cols);
/* out |= output pixels whose window holds a set input pixel. */
void fg_mask_window(const fg_window *window, const uint64_t *in, uint32_t in_rows, uint32_t in_cols, uint64_t *out,
                    uint32_t out_rows, uint32_t out_cols, uint64_t *scratch);

#endif
