/* test_kernels.c: every kernel of every instruction set against its scalar twin, bit for bit; the twins against libm.
 *
 * usage: test_kernels [--list] [--bench] [--kernel NAME] [--seed N] */
#include "harness.h"
#include "kernel_truth.h"

#include "../../runtime/engine/include/framegate.h"
#include "kernels/isa.h"

#include <time.h>

typedef struct context {
    fg_kernels ref, isa;
    const char *isa_name;
    test_random random;
    test_count count;
} context;

/* --- inputs --- */
typedef enum fill_kind { FILL_PLAIN, FILL_WIDE, FILL_SPECIAL, FILL_COUNT } fill_kind;

/* Armv7 vectors flush subnormal numbers, its scalar unit does not: keep results of sums and products away from them. */
#if defined(__arm__)
enum { HAS_SUBNORMALS = 0, WIDE_EXPONENTS = 40 };
#else
enum { HAS_SUBNORMALS = 1, WIDE_EXPONENTS = 200 };
#endif

static float random_value(test_random *random, fill_kind kind)
{
    static const float special[] = {0.0f,         -0.0f,  1.0f,  -1.0f,  0.5f,     2.5f,      -2.5f, 3.0f,   8388609.0f,
                                    -16777216.0f, 1e-30f, 3e38f, -3e38f, INFINITY, -INFINITY, NAN,   1e-40f, -1e-45f};
    const size_t specials = sizeof special / sizeof *special - (HAS_SUBNORMALS ? 0 : 2);
    if (kind == FILL_SPECIAL && random_below(random, 4) == 0) return special[random_below(random, specials)];
    const float value = random_float(random, 2.0f);
    if (kind == FILL_WIDE) return ldexpf(value, (int)random_below(random, WIDE_EXPONENTS) - WIDE_EXPONENTS / 2);
    return value;
}

/* An exactly sized array, so that a sanitizer sees reads beyond it. */
static float *random_floats(test_random *random, size_t count, fill_kind kind)
{
    float *x = test_memory(count * sizeof *x);
    for (size_t i = 0; i < count; i++) x[i] = random_value(random, kind);
    return x;
}

static uint8_t *random_bytes(test_random *random, size_t count)
{
    uint8_t *x = test_memory(count);
    for (size_t i = 0; i < count; i++) x[i] = (uint8_t)random_u32(random);
    return x;
}

static float *aligned_floats(test_random *random, size_t count, fill_kind kind, void **memory)
{
    *memory = test_memory(count * sizeof(float) + 64);
    float *x = (float *)(((uintptr_t)*memory + 63) / 64 * 64);
    for (size_t i = 0; i < count; i++) x[i] = random_value(random, kind);
    return x;
}

/* Two outputs, for the twin and the kernel, that must end up equal and leave their guards alone. */
typedef struct outputs {
    guarded ref, isa;
} outputs;

static outputs outputs_make(test_random *random, size_t bytes)
{
    const size_t misalign = random_below(random, 16) * 4;
    outputs out = {guarded_make(bytes, misalign), guarded_make(bytes, misalign)};
    return out;
}

static int outputs_agree(const outputs *out)
{
    return guarded_intact(&out->ref) && guarded_intact(&out->isa) &&
           first_difference(out->ref.data, out->isa.data, out->ref.bytes / 4) == out->ref.bytes / 4 &&
           memcmp(out->ref.data + out->ref.bytes / 4 * 4, out->isa.data + out->isa.bytes / 4 * 4, out->ref.bytes % 4) ==
               0;
}

static void outputs_free(outputs *out)
{
    guarded_free(&out->ref);
    guarded_free(&out->isa);
}

static void outputs_copy(outputs *out, const void *data)
{
    memcpy(out->ref.data, data, out->ref.bytes);
    memcpy(out->isa.data, data, out->isa.bytes);
}

static double seconds(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A finishing step or none, with limits in the middle of the numbers; none without a bias. */
static fg_finish random_finish(test_random *random, const float *bias)
{
    fg_finish finish = {.low = random_float(random, 1.0f), .high = random_float(random, 1.0f), .slope = 0.1f};
    if (random_below(random, 2) == 0) finish.low = 0.0f;
    if (bias) finish.steps = (uint32_t)random_below(random, FG_FINISH_SLOPE + 1);
    return finish;
}

/* count numbers of which none is -0. */
static float *random_bias(test_random *random, size_t count, fill_kind kind)
{
    float *bias = random_floats(random, count, kind);
    for (size_t i = 0; i < count; i++) bias[i] += 0.0f;
    return bias;
}

/* --- gemm_f32 --- */
enum { MOST_ROWS = 40, MOST_TAPS = 10 };

static void check_gemm_f32(context *c)
{
    for (unsigned round = 0; round < 400; round++) {
        test_random *random = &c->random;
        const fill_kind kind = (fill_kind)(round % FILL_COUNT);
        const size_t rows = 1 + random_below(random, round % 4 ? 14 : MOST_ROWS),
                     taps = random_below(random, MOST_TAPS);
        const size_t depth = 1 + random_below(random, 40) * (round % 5 == 0 ? 8 : 1), apart = depth * MOST_TAPS;
        const size_t columns = 1 + random_below(random, 9 * FG_PANEL);
        const size_t panels = (columns + FG_PANEL - 1) / FG_PANEL;
        const size_t out_stride = columns + random_below(random, 3) * 5;
        const int biased = random_below(random, 2) == 0;
        void *memory;
        float *weights = aligned_floats(random, panels * FG_PANEL * taps * depth, kind, &memory);
        float *bias = biased ? random_bias(random, panels * FG_PANEL, kind) : NULL;
        float *x = random_floats(random, rows * apart, kind);
        const float *x_rows[MOST_ROWS];
        ptrdiff_t offsets[MOST_TAPS];
        for (size_t r = 0; r < rows; r++) x_rows[r] = x + (r * 7 % rows) * apart + apart / 2;
        for (size_t t = 0; t < taps; t++)
            offsets[t] = (ptrdiff_t)random_below(random, apart - depth + 1) - (ptrdiff_t)(apart / 2);
        outputs out = outputs_make(random, ((rows - 1) * out_stride + columns) * sizeof(float));
        float *out_rows[MOST_ROWS];
        fg_gemm_f32_args args = {
            x_rows, rows, offsets, taps, depth, weights, columns, bias, random_finish(random, bias), out_rows};
        for (size_t r = 0; r < rows; r++) out_rows[r] = (float *)(void *)out.ref.data + r * out_stride;
        c->ref.gemm_f32(&args);
        for (size_t r = 0; r < rows; r++) out_rows[r] = (float *)(void *)out.isa.data + r * out_stride;
        c->isa.gemm_f32(&args);
        CHECK(&c->count, outputs_agree(&out),
              "gemm_f32 %s: rows %zu taps %zu depth %zu columns %zu bias %d finish %u fill %d", c->isa_name, rows, taps,
              depth, columns, biased, args.finish.steps, (int)kind);
        outputs_free(&out);
        free(memory), free(bias), free(x);
    }
}

static void truth_gemm_f32(context *c)
{
    /* a chain of two: the twin's fused multiply-add without libm must round as libm's does */
    for (unsigned round = 0; round < 20000; round++) {
        float weights[32], x[2], bias[16], out[16];
        const fill_kind kind = (fill_kind)(round % FILL_COUNT);
        for (size_t j = 0; j < 32; j++) weights[j] = random_value(&c->random, kind);
        for (size_t j = 0; j < 16; j++) bias[j] = random_value(&c->random, kind) + 0.0f;
        for (size_t k = 0; k < 2; k++) x[k] = random_value(&c->random, kind);
        if (round % 5 == 0) x[1] = -x[0], weights[16 + 3] = weights[3]; /* all that is left is what the product lost */
        const float *rows_x[1] = {x};
        float *rows[1] = {out};
        const ptrdiff_t offset = 0;
        const fg_gemm_f32_args args = {rows_x, 1, &offset, 1, 2, weights, 16, bias, random_finish(&c->random, bias),
                                       rows};
        c->ref.gemm_f32(&args);
        for (size_t j = 0; j < 16; j++) {
            float expected = fmaf(x[1], weights[16 + j], fmaf(x[0], weights[j], 0.0f)) + bias[j];
            if (args.finish.steps & FG_FINISH_SLOPE && expected < 0.0f) expected *= args.finish.slope;
            if (args.finish.steps & FG_FINISH_LOW && expected < args.finish.low) expected = args.finish.low;
            if (args.finish.steps & FG_FINISH_HIGH && expected > args.finish.high) expected = args.finish.high;
            CHECK(&c->count, same_float(&out[j], &expected), "fused %a * %a + %a * %a + %a: %a, not %a", (double)x[0],
                  (double)weights[j], (double)x[1], (double)weights[16 + j], (double)bias[j], (double)out[j],
                  (double)expected);
        }
    }
}

static void bench_gemm_f32(context *c)
{
    static const size_t shapes[][3] = {{9, 32, 32}, {9, 64, 64}, {1, 16, 32}, {1, 64, 64}, {1, 256, 64}, {9, 128, 24}};
    static const size_t heights[] = {1, 4, 12, 72};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        for (size_t h = 0; h < sizeof heights / sizeof *heights; h++) {
            const size_t taps = shapes[s][0], depth = shapes[s][1], columns = shapes[s][2], rows = heights[h];
            void *memory;
            float *weights = aligned_floats(&c->random, (columns + 15) / 16 * 16 * taps * depth, FILL_PLAIN, &memory);
            float *x = random_floats(&c->random, rows * taps * depth, FILL_PLAIN);
            float *out = test_memory(rows * columns * sizeof *out);
            const float *x_rows[72];
            ptrdiff_t offsets[9];
            for (size_t t = 0; t < taps; t++) offsets[t] = (ptrdiff_t)(t * depth);
            float *out_rows[72];
            for (size_t r = 0; r < rows; r++) out_rows[r] = out + r * columns, x_rows[r] = x + r * taps * depth;
            const fg_gemm_f32_args args = {.x = x_rows,
                                           .rows = rows,
                                           .offsets = offsets,
                                           .taps = taps,
                                           .depth = depth,
                                           .panels = weights,
                                           .columns = columns,
                                           .out = out_rows};
            const double work = 2.0 * (double)(rows * taps * depth * columns);
            double best = 1e9;
            for (unsigned run = 0; run < 20; run++) {
                const unsigned repeats = 1 + (unsigned)((c->isa.isa ? 1e7 : 2e5) / work);
                const double start = seconds();
                for (unsigned i = 0; i < repeats; i++) c->isa.gemm_f32(&args);
                best = fmin(best, (seconds() - start) / repeats);
            }
            printf("%-8s gemm_f32       rows %2zu taps %zu depth %3zu columns %zu  %8.2f GFLOP/s\n", c->isa_name, rows,
                   taps, depth, columns, work / best * 1e-9);
            free(memory), free(x), free(out);
        }
    }
}

/* --- depthwise_f32 --- */
/* Runs of the given pixels from the given places of one input, one after the other in out. */
enum { MOST_RUNS = 4, MOST_PIXELS = 15, MAP_COLS = 3 * MOST_PIXELS + 12 };

static size_t make_runs(const size_t *pixels, const size_t *places, size_t count, const float *x, const fg_tap *taps,
                        size_t tap_count, float *out, size_t out_stride, fg_depthwise_run *runs)
{
    size_t total = 0;
    for (size_t r = 0; r < count; total += pixels[r++])
        runs[r] = (fg_depthwise_run){x + places[r], taps, tap_count, pixels[r], out ? out + total * out_stride : NULL};
    return total;
}

/* Taps of a square kernel in a map of MAP_COLS columns, else in a row; every so many numbers of the weights, wrapping
 * round: 1 as networks have them. */
static void make_taps(size_t taps, size_t channels, size_t col, size_t every, fg_tap *table)
{
    const size_t side = taps == 9 ? 3 : taps == 25 ? 5 : taps;
    for (size_t t = 0; t < taps; t++)
        table[t] = (fg_tap){(ptrdiff_t)((t / side * MAP_COLS + t % side) * col), (t * every % taps) * channels};
}

static void check_depthwise_f32(context *c)
{
    static const size_t usual[] = {9, 25};
    for (unsigned round = 0; round < 600; round++) {
        test_random *random = &c->random;
        const fill_kind kind = (fill_kind)(round % FILL_COUNT);
        const size_t count = 1 + random_below(random, MOST_RUNS),
                     taps = round % 3 ? usual[round % 2] : random_below(random, 12);
        const size_t channels = 1 + random_below(random, 80), out_stride = channels + random_below(random, 5);
        const size_t stride = 1 + random_below(random, 3), col = channels + random_below(random, 5),
                     step = stride * col;
        const int biased = random_below(random, 2) == 0;
        size_t pixels[MOST_RUNS], places[MOST_RUNS]; /* often one below the other */
        for (size_t r = 0; r < count; r++) {
            pixels[r] = r && random_below(random, 3) ? pixels[r - 1] : random_below(random, MOST_PIXELS + 1);
            places[r] = (r * stride * MAP_COLS + (random_below(random, 3) ? 0 : random_below(random, 3))) * col;
        }
        float *weights = random_floats(random, taps * channels + 1, kind),
              *bias = biased ? random_bias(random, channels, kind) : NULL;
        float *x = random_floats(random, (size_t)(3 * MOST_RUNS + 5) * MAP_COLS * col, kind);
        fg_tap table[25];
        make_taps(taps, channels, col, random_below(random, 3) ? 1 : 4, table);
        fg_depthwise_run runs[MOST_RUNS];
        const size_t total = make_runs(pixels, places, count, x, table, taps, NULL, out_stride, runs);
        outputs out = outputs_make(random, total ? ((total - 1) * out_stride + channels) * sizeof(float) : 0);
        const fg_depthwise_f32_args args = {
            runs, count, step, channels, weights, bias, random_finish(random, bias), out_stride};
        make_runs(pixels, places, count, x, table, taps, (float *)(void *)out.ref.data, out_stride, runs);
        c->ref.depthwise_f32(&args);
        make_runs(pixels, places, count, x, table, taps, (float *)(void *)out.isa.data, out_stride, runs);
        c->isa.depthwise_f32(&args);
        CHECK(&c->count, outputs_agree(&out),
              "depthwise_f32 %s: runs %zu pixels %zu taps %zu channels %zu step %zu stride %zu bias %d fill %d",
              c->isa_name, count, total, taps, channels, step, out_stride, biased, (int)kind);
        outputs_free(&out);
        free(weights), free(bias), free(x);
    }
}

static void truth_depthwise_f32(context *c)
{
    float x[6], weights[6] = {0}, bias[3], out[3];
    for (size_t j = 0; j < 6; j++) x[j] = random_float(&c->random, 1.0f), weights[j] = random_float(&c->random, 1.0f);
    for (size_t j = 0; j < 3; j++) bias[j] = random_float(&c->random, 1.0f);
    const fg_tap taps[2] = {{0, 0}, {3, 3}};
    const fg_depthwise_run run = {x, taps, 2, 1, out};
    const fg_depthwise_f32_args args = {
        .runs = &run, .run_count = 1, .step = 3, .channels = 3, .weights = weights, .bias = bias, .out_stride = 3};
    c->ref.depthwise_f32(&args);
    for (size_t j = 0; j < 3; j++) {
        const float expected = fmaf(x[3 + j], weights[3 + j], x[j] * weights[j]) + bias[j];
        CHECK(&c->count, same_float(&out[j], &expected), "depthwise_f32: channel %zu", j);
    }
}

static void bench_depthwise_f32(context *c)
{
    static const size_t shapes[][2] = {{16, 9}, {32, 9}, {96, 9}, {100, 9}, {32, 25}}; /* channels, taps */
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const size_t count = shapes[s][0], pixels = 24, taps = shapes[s][1], side = taps == 9 ? 3 : 5;
        void *memory[3]; /* a stream's values and a file's weights are aligned, too */
        float *x = aligned_floats(&c->random, (side + 1) * (pixels + side) * count, FILL_PLAIN, &memory[0]);
        float *weights = aligned_floats(&c->random, taps * count, FILL_PLAIN, &memory[1]);
        float *out = aligned_floats(&c->random, 2 * pixels * count, FILL_PLAIN, &memory[2]);
        fg_tap table[25];
        for (size_t t = 0; t < taps; t++)
            table[t] = (fg_tap){(ptrdiff_t)((t / side * (pixels + side) + t % side) * count), t * count};
        const fg_depthwise_run rows[2] = {{x, table, taps, pixels, out},
                                          {x + (pixels + side) * count, table, taps, pixels, out + pixels * count}};
        const fg_depthwise_f32_args args = {.runs = rows,
                                            .run_count = 2,
                                            .step = count,
                                            .channels = count,
                                            .weights = weights,
                                            .bias = weights,
                                            .out_stride = count}; /* any bias */
        const double work = 4.0 * (double)(pixels * taps * count);
        double best = 1e9;
        for (unsigned run = 0; run < 20; run++) {
            const unsigned repeats = 1 + (unsigned)((c->isa.isa ? 3e6 : 1e5) / work);
            const double start = seconds();
            for (unsigned i = 0; i < repeats; i++) c->isa.depthwise_f32(&args);
            best = fmin(best, (seconds() - start) / repeats);
        }
        printf("%-8s depthwise_f32  pixels 2 x %zu taps %zu channels %3zu   %8.2f GFLOP/s\n", c->isa_name, pixels, taps,
               count, work / best * 1e-9);
        free(memory[0]), free(memory[1]), free(memory[2]);
    }
}

#include "test_pointwise.h"
#include "test_depthwise_rows.h"
#include "test_float_frames.h"
#include "test_winograd.h"

/* --- the table --- */
typedef struct kernel_test {
    const char *name;
    void (*check)(context *c); /* c->isa against c->ref */
    void (*truth)(context *c); /* c->ref against libm */
    void (*bench)(context *c);
} kernel_test;

static const kernel_test kernel_tests[] = {
#define X(name, result, arguments) {#name, check_##name, truth_##name, bench_##name},
#include "kernels/kernels.def"
#undef X
};
enum { KERNELS = sizeof kernel_tests / sizeof *kernel_tests };

/* Runs what is asked for on one instruction set; mask 0 checks the twins themselves. */
static void run_isa(context *c, uint32_t mask, const char *only, int bench)
{
    fg_kernels_select(&c->ref, 0);
    fg_kernels_select(&c->isa, mask);
    c->isa_name = fg_isa_name(mask);
    for (size_t i = 0; i < KERNELS; i++) {
        if (only && strcmp(only, kernel_tests[i].name) != 0) continue;
        if (bench) {
            kernel_tests[i].bench(c);
            continue;
        }
        const test_count before = c->count;
        (mask ? kernel_tests[i].check : kernel_tests[i].truth)(c);
        printf("%-8s %-20s %8lu checks %6lu failures\n", c->isa_name, kernel_tests[i].name,
               c->count.checks - before.checks, c->count.failures - before.failures);
    }
}

int main(int argc, char **argv)
{
    static const uint32_t masks[] = {0, FG_ISA_AVX2, FG_ISA_AVX2 | FG_ISA_AVX512, FG_ISA_NEON};
    static context c;
    const char *only = NULL;
    int bench = 0;
    uint64_t seed = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            for (size_t k = 0; k < KERNELS; k++) puts(kernel_tests[k].name);
            return 0;
        } else if (strcmp(argv[i], "--bench") == 0) {
            bench = 1;
        } else if (strcmp(argv[i], "--kernel") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = strtoull(argv[++i], NULL, 0);
        } else {
            fprintf(stderr, "usage: %s [--list] [--bench] [--kernel NAME] [--seed N]\n", argv[0]);
            return 2;
        }
    }
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        fg_kernels kernels;
        fg_kernels_select(&kernels, masks[i]);
        if (kernels.isa != masks[i]) continue; /* not in this build or not on this machine */
        c.random.state = seed * 0x9E3779B97F4A7C15u + 1;
        run_isa(&c, masks[i], only, bench);
    }
    if (bench) return 0;
    if (c.count.checks == 0) {
        fputs("no such kernel\n", stderr);
        return 2;
    }
    printf("%lu checks, %lu failures (seed %llu)\n", c.count.checks, c.count.failures, (unsigned long long)seed);
    return c.count.failures != 0;
}
