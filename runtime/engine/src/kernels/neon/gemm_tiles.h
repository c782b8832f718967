/* gemm_tiles.h: gemm's usual tiles, from the first product to the store, in assembly: they take all 32 vector
 * registers, many of them by twos and fours in a row, where compilers give up and copy sums. For gemm.c.
 *
 *                5 or 4 rows by a panel (PANEL)                   10 or 9 rows by half a panel (HALF)
 *     weights    v0 - v3                                          v0, v1
 *     rows       v4 - v11: of three eight numbers by one load     v2 - v11: four numbers each
 *     sums       v12 - v31, four registers a row                  v12 - v31, two a row
 *     pointers   x2 - x6                                          x2 - x11
 *
 * Macros end in which of the two they are for; last: YES or NO, whether there is a last row. */
/* clang-format off */
#define YES(...) __VA_ARGS__
#define NO(...)

#define MULTIPLY(op, sum, weights, x, lane) op " v" #sum ".4s, v" #weights ".4s, v" #x ".s[" #lane "]\n"

/* One product of all rows, by a lane of the registers a to e. */
#define ROW_PANEL(op, x, lane, s0, s1, s2, s3)                                                                         \
    MULTIPLY(op, s0, 0, x, lane) MULTIPLY(op, s1, 1, x, lane) MULTIPLY(op, s2, 2, x, lane) MULTIPLY(op, s3, 3, x, lane)
#define ONE_PANEL(last, op, lane, a, b, c, d, e)                                                                       \
    "ld1 {v0.4s-v3.4s}, [%[w]], #64\n"                                                                                 \
    ROW_PANEL(op, a, lane, 12, 13, 14, 15)                                                                             \
    ROW_PANEL(op, b, lane, 16, 17, 18, 19)                                                                             \
    ROW_PANEL(op, c, lane, 20, 21, 22, 23)                                                                             \
    ROW_PANEL(op, d, lane, 24, 25, 26, 27)                                                                             \
    last(ROW_PANEL(op, e, lane, 28, 29, 30, 31))
#define ROW_HALF(op, x, lane, s0, s1) MULTIPLY(op, s0, 0, x, lane) MULTIPLY(op, s1, 1, x, lane)
#define ONE_HALF(last, op, lane)                                                                                       \
    "ldp q0, q1, [%[w]], #64\n"                                                                                        \
    ROW_HALF(op, 2, lane, 12, 13) ROW_HALF(op, 3, lane, 14, 15) ROW_HALF(op, 4, lane, 16, 17)                          \
    ROW_HALF(op, 5, lane, 18, 19) ROW_HALF(op, 6, lane, 20, 21) ROW_HALF(op, 7, lane, 22, 23)                          \
    ROW_HALF(op, 8, lane, 24, 25) ROW_HALF(op, 9, lane, 26, 27) ROW_HALF(op, 10, lane, 28, 29)                         \
    last(ROW_HALF(op, 11, lane, 30, 31))

/* Four products, op for the first: fmul where it starts the sums. */
#define LANES_PANEL(last, op, a, b, c)                                                                                 \
    "ldr q10, [x5], #16\n"                                                                                             \
    last("ldr q11, [x6], #16\n")                                                                                       \
    ONE_PANEL(last, op, 0, a, b, c, 10, 11)                                                                            \
    ONE_PANEL(last, "fmla", 1, a, b, c, 10, 11)                                                                        \
    ONE_PANEL(last, "fmla", 2, a, b, c, 10, 11)                                                                        \
    ONE_PANEL(last, "fmla", 3, a, b, c, 10, 11)
#define FOUR_PANEL(last, op)                                                                                           \
    "ldr q4, [x2], #16\n"                                                                                              \
    "ldr q6, [x3], #16\n"                                                                                              \
    "ldr q8, [x4], #16\n"                                                                                              \
    LANES_PANEL(last, op, 4, 6, 8)
#define FOUR_HALF(last, op)                                                                                            \
    EACH_ROW(HALF, last, "ldr q\\r, [x\\r], #16\n")                                                                    \
    ONE_HALF(last, op, 0) ONE_HALF(last, "fmla", 1) ONE_HALF(last, "fmla", 2) ONE_HALF(last, "fmla", 3)

#define EIGHT_PANEL(last, op)                                                                                          \
    "ld1 {v4.4s, v5.4s}, [x2], #32\n"                                                                                  \
    "ld1 {v6.4s, v7.4s}, [x3], #32\n"                                                                                  \
    "ld1 {v8.4s, v9.4s}, [x4], #32\n"                                                                                  \
    LANES_PANEL(last, op, 4, 6, 8)                                                                                     \
    LANES_PANEL(last, "fmla", 5, 7, 9)
#define EIGHT_HALF(last, op) FOUR_HALF(last, op) FOUR_HALF(last, "fmla")

/* A product that is left over when fours are done. */
#define REST_PANEL(last)                                                                                               \
    "ldr s4, [x2], #4\n"                                                                                               \
    "ldr s6, [x3], #4\n"                                                                                               \
    "ldr s8, [x4], #4\n"                                                                                               \
    "ldr s10, [x5], #4\n"                                                                                              \
    last("ldr s11, [x6], #4\n")                                                                                        \
    ONE_PANEL(last, "fmla", 0, 4, 6, 8, 10, 11)
#define REST_HALF(last) EACH_ROW(HALF, last, "ldr s\\r, [x\\r], #4\n") ONE_HALF(last, "fmla", 0)

#define ROWS_PANEL(last) "2,3,4,5" last(",6")
#define ROWS_HALF(last) "2,3,4,5,6,7,8,9,10" last(",11")
#define SUMS_PANEL(last) "12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27" last(",28,29,30,31")
#define SUMS_HALF(last) "12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29" last(",30,31")
#define EACH_ROW(tile, last, what) ".irp r," ROWS_##tile(last) "\n" what ".endr\n"
#define EACH_SUM(tile, last, what) ".irp s," SUMS_##tile(last) "\n" what ".endr\n"

#define POINTERS_PANEL(last, array)                                                                                    \
    "ldp x2, x3, [" array "]\n"                                                                                        \
    "ldp x4, x5, [" array ", #16]\n"                                                                                   \
    last("ldr x6, [" array ", #32]\n")
#define POINTERS_HALF(last, array)                                                                                     \
    "ldp x2, x3, [" array "]\n"                                                                                        \
    "ldp x4, x5, [" array ", #16]\n"                                                                                   \
    "ldp x6, x7, [" array ", #32]\n"                                                                                   \
    "ldp x8, x9, [" array ", #48]\n"                                                                                   \
    "ldr x10, [" array ", #64]\n"                                                                                      \
    last("ldr x11, [" array ", #72]\n")

/* Sums of all taps. Where there is a bias, no sum's zero keeps its sign and the first product starts the sums (as in
 * gemm.c). n: products left in the tap, 16 less while they go by sixteens, into the middle of which an odd eight jumps.
 */
#define ADD_PRODUCTS(tile, last)                                                                                       \
    POINTERS_##tile(last, "%[from]")                                                                                   \
    "cbz %[begin], 0f\n"                                                                                               \
    EACH_ROW(tile, last, "add x\\r, x\\r, %[begin], lsl #2\n")                                                         \
    "0: cbz %w[biased], 0f\n"                                                                                          \
    "cmp %[n], #8\n"                                                                                                   \
    "b.hs 1f\n"                                                                                                        \
    "0:\n"                                                                                                             \
    EACH_SUM(tile, last, "movi v\\s\\().16b, #0\n")                                                                    \
    "b 2f\n"                                                                                                           \
    "1:\n"                                                                                                             \
    EIGHT_##tile(last, "fmul")                                                                                         \
    "sub %[n], %[n], #8\n"                                                                                             \
    "2: tbz %[n], #3, 5f\n"                                                                                            \
    "sub %[n], %[n], #8\n"                                                                                             \
    "b 4f\n"                                                                                                           \
    "3:\n"                                                                                                             \
    EIGHT_##tile(last, "fmla")                                                                                         \
    "4:\n"                                                                                                             \
    EIGHT_##tile(last, "fmla")                                                                                         \
    "5: subs %[n], %[n], #16\n"                                                                                        \
    "b.hs 3b\n"                                                                                                        \
    "tbz %[n], #2, 6f\n"                                                                                               \
    FOUR_##tile(last, "fmla")                                                                                          \
    "6: ands %[n], %[n], #3\n"                                                                                         \
    "b.eq 8f\n"                                                                                                        \
    "7:\n"                                                                                                             \
    REST_##tile(last)                                                                                                  \
    "subs %[n], %[n], #1\n"                                                                                            \
    "b.ne 7b\n"                                                                                                        \
    "8: cbz %[left], 9f\n"                                                                                             \
    "ldr %[t], [%[offset]]\n" /* from the end of this tap's numbers to the next one's */                               \
    "ldr %[n], [%[offset], #8]!\n"                                                                                     \
    "sub %[n], %[n], %[t]\n"                                                                                           \
    "sub %[n], %[n], %[depth]\n"                                                                                       \
    EACH_ROW(tile, last, "add x\\r, x\\r, %[n], lsl #2\n")                                                             \
    "cmp %[left], %[depth]\n"                                                                                          \
    "csel %[n], %[left], %[depth], lo\n"                                                                               \
    "sub %[left], %[left], %[n]\n"                                                                                     \
    "b 2b\n"                                                                                                           \
    "9:\n"

/* v0 to v3, or v0 and v1, added to a row's sums. load(r): of row r, or nothing where they stay. */
#define ADD(v, s) "fadd v" #s ".4s, v" #v ".4s, v" #s ".4s\n"
#define ADD_PANEL(last, load)                                                                                          \
    load(2) ADD(0, 12) ADD(1, 13) ADD(2, 14) ADD(3, 15)                                                                \
    load(3) ADD(0, 16) ADD(1, 17) ADD(2, 18) ADD(3, 19)                                                                \
    load(4) ADD(0, 20) ADD(1, 21) ADD(2, 22) ADD(3, 23)                                                                \
    load(5) ADD(0, 24) ADD(1, 25) ADD(2, 26) ADD(3, 27)                                                                \
    last(load(6) ADD(0, 28) ADD(1, 29) ADD(2, 30) ADD(3, 31))
#define ADD_HALF(last, load)                                                                                           \
    load(2) ADD(0, 12) ADD(1, 13) load(3) ADD(0, 14) ADD(1, 15) load(4) ADD(0, 16) ADD(1, 17)                          \
    load(5) ADD(0, 18) ADD(1, 19) load(6) ADD(0, 20) ADD(1, 21) load(7) ADD(0, 22) ADD(1, 23)                          \
    load(8) ADD(0, 24) ADD(1, 25) load(9) ADD(0, 26) ADD(1, 27) load(10) ADD(0, 28) ADD(1, 29)                         \
    last(load(11) ADD(0, 30) ADD(1, 31))
#define LOAD_PANEL(r) "ld1 {v0.4s-v3.4s}, [x" #r "]\n"
#define LOAD_HALF(r) "ldp q0, q1, [x" #r "]\n"
#define BIAS_PANEL "ld1 {v0.4s-v3.4s}, [%[bias]]\n"
#define BIAS_HALF "ldp q0, q1, [%[bias]]\n"

#define STORE_PANEL(last)                                                                                              \
    "st1 {v12.4s-v15.4s}, [x2]\n"                                                                                      \
    "st1 {v16.4s-v19.4s}, [x3]\n"                                                                                      \
    "st1 {v20.4s-v23.4s}, [x4]\n"                                                                                      \
    "st1 {v24.4s-v27.4s}, [x5]\n"                                                                                      \
    last("st1 {v28.4s-v31.4s}, [x6]\n")
#define STORE_HALF(last)                                                                                               \
    "stp q12, q13, [x2]\n"                                                                                             \
    "stp q14, q15, [x3]\n"                                                                                             \
    "stp q16, q17, [x4]\n"                                                                                             \
    "stp q18, q19, [x5]\n"                                                                                             \
    "stp q20, q21, [x6]\n"                                                                                             \
    "stp q22, q23, [x7]\n"                                                                                             \
    "stp q24, q25, [x8]\n"                                                                                             \
    "stp q26, q27, [x9]\n"                                                                                             \
    "stp q28, q29, [x10]\n"                                                                                            \
    last("stp q30, q31, [x11]\n")

/* What stands in out is added unless these are the first sums; then bias and finish (as in finish_tmpl.h). */
#define STORE_RESULTS(tile, last)                                                                                      \
    POINTERS_##tile(last, "%[out]")                                                                                    \
    EACH_ROW(tile, last, "add x\\r, x\\r, %[at], lsl #2\n")                                                            \
    "cbnz %w[first], 0f\n"                                                                                             \
    ADD_##tile(last, LOAD_##tile)                                                                                      \
    "0: cbz %[bias], 4f\n"                                                                                             \
    BIAS_##tile                                                                                                        \
    ADD_##tile(last, NO)                                                                                               \
    "ldr %w[n], [%[how]]\n"                                                                                            \
    "cbz %w[n], 4f\n"                                                                                                  \
    "ldp s0, s1, [%[how], #4]\n"                                                                                       \
    "tbz %w[n], #2, 1f\n"                                                                                              \
    "ldr s2, [%[how], #12]\n"                                                                                          \
    EACH_SUM(tile, last, "fmul v3.4s, v\\s\\().4s, v2.s[0]\n"                                                          \
                         "fmax v\\s\\().4s, v3.4s, v\\s\\().4s\n")                                                     \
    "1: tbz %w[n], #0, 2f\n"                                                                                           \
    "dup v0.4s, v0.s[0]\n"                                                                                             \
    EACH_SUM(tile, last, "fmax v\\s\\().4s, v0.4s, v\\s\\().4s\n")                                                     \
    "2: tbz %w[n], #1, 4f\n"                                                                                           \
    "dup v1.4s, v1.s[0]\n"                                                                                             \
    EACH_SUM(tile, last, "fmin v\\s\\().4s, v1.4s, v\\s\\().4s\n")                                                     \
    "4:\n"                                                                                                             \
    STORE_##tile(last)

/* block by value: what it holds stays in registers from tile to tile. */
#define TILE(name, tile, last)                                                                                         \
    FG_INLINE void name(const gemm_block block, const fg_finish *how, const float *const *from, float *const *out,     \
                        size_t at)                                                                                     \
    {                                                                                                                  \
        const float *w = block.weights;                                                                                \
        const ptrdiff_t *offset = block.offset;                                                                        \
        size_t n = block.run, left = block.count - n, t;                                                               \
        __asm__ volatile(ADD_PRODUCTS(tile, last) STORE_RESULTS(tile, last)                                            \
                         : [w] "+&r"(w), [offset] "+&r"(offset), [n] "+&r"(n), [left] "+&r"(left), [t] "=&r"(t)        \
                         : [from] "r"(from), [begin] "r"(block.begin), [depth] "r"(block.depth),                       \
                           [biased] "r"(block.biased), [first] "r"(block.first), [bias] "r"(block.bias),               \
                           [how] "r"(how), [out] "r"(out), [at] "r"(at)                                                \
                         : "memory", "cc", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",               \
                           "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13",     \
                           "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",  \
                           "v27", "v28", "v29", "v30", "v31");                                                         \
    }
_Static_assert(offsetof(fg_finish, steps) == 0 && offsetof(fg_finish, low) == 4 && offsetof(fg_finish, high) == 8 &&
                   offsetof(fg_finish, slope) == 12 && FG_FINISH_LOW == 1 && FG_FINISH_HIGH == 2 &&
                   FG_FINISH_SLOPE == 4,
               "as the assembly reads it");
TILE(five_by_panel, PANEL, YES)
TILE(four_by_panel, PANEL, NO)
TILE(ten_by_half, HALF, YES)
TILE(nine_by_half, HALF, NO)
/* clang-format on */
