/* test_pointwise.h: the part of test_kernels.c about kernels that are one plain C source for every instruction set. */
#ifndef FG_TESTS_TEST_POINTWISE_H
#define FG_TESTS_TEST_POINTWISE_H

#define AS_FLOATS(array) ((float *)(void *)(array).data)

static size_t random_count(test_random *random) { return random_below(random, 8) ? random_below(random, 70) : 300; }

static float random_parameter(test_random *random)
{
    static const float usual[] = {0.0f, 1.0f, -1.0f, 0.5f, 2.0f, 3.0f, -2.0f, -0.5f, 6.0f, 0.1f, 2.4f};
    return usual[random_below(random, sizeof usual / sizeof *usual)];
}

/* Times one expression and prints millions of elements per second. */
#define BENCH(c, what, elements, expression)                                                                           \
    do {                                                                                                               \
        double best = 1e9;                                                                                             \
        for (unsigned run = 0; run < 10; run++) {                                                                      \
            const double start = seconds();                                                                            \
            for (unsigned i = 0; i < 200; i++) expression;                                                             \
            best = fmin(best, (seconds() - start) / 200);                                                              \
        }                                                                                                              \
        printf("%-8s %-30s %10.0f M/s\n", (c)->isa_name, what, (double)(elements) / best * 1e-6);                      \
    } while (0)

enum { BENCH_COUNT = 1024 };

/* --- activation_f32 --- */
static void check_activation_f32(context *c)
{
    for (unsigned round = 0; round < 30 * FG_ACT_COUNT; round++) {
        const uint32_t kind = round % FG_ACT_COUNT;
        const fill_kind fill = (fill_kind)(round / FG_ACT_COUNT % FILL_COUNT);
        const size_t count = random_count(&c->random);
        const float parameters[4] = {random_parameter(&c->random), random_parameter(&c->random), 0.0f, 0.0f};
        float *x = random_floats(&c->random, count, fill);
        /* ordinary numbers, and to beyond where exp overflows */
        for (size_t i = 0; i < count; i++) x[i] *= fill != FILL_PLAIN ? 1.0f : round % 2 ? 10.0f : 55.0f;
        outputs out = outputs_make(&c->random, count * sizeof *x);
        outputs_copy(&out, x);
        c->ref.activation_f32(kind, parameters, AS_FLOATS(out.ref), count);
        c->isa.activation_f32(kind, parameters, AS_FLOATS(out.isa), count);
        const size_t at = first_difference(out.ref.data, out.isa.data, count);
        CHECK(&c->count, outputs_agree(&out), "activation_f32 %s: kind %u p %g q %g count %zu fill %d, at x = %a",
              c->isa_name, kind, (double)parameters[0], (double)parameters[1], count, (int)fill,
              at < count ? (double)x[at] : 0.0);
        outputs_free(&out);
        free(x);
    }
}

static void truth_activation(context *c, uint32_t kind, float p, float q)
{
    static const float limits[] = {0.0f,     -0.0f, INFINITY,   -INFINITY,   NAN,         FLT_MAX, -FLT_MAX, FLT_MIN,
                                   -FLT_MIN, 88.7f, 88.8f,      -87.4f,      -103.9f,     0.5f,    1.5f,     2.5f,
                                   -0.5f,    -1.5f, 8388607.5f, -8388608.0f, 16777217.0f, 1e30f,   -1e30f,   0.625f,
                                   0.98f,    1.0f,  -1.0f,      1e-20f,      -1e-20f};
    const size_t limit_count = sizeof limits / sizeof *limits;
    const float parameters[4] = {p, q, 0.0f, 0.0f};
    for (size_t i = 0; i < 6000 + limit_count; i++) {
        float x = i < limit_count ? limits[i] : random_float(&c->random, i % 3 ? 12.0f : 110.0f);
        if (i >= 4000 + limit_count) x = ldexpf(x, (int)random_below(&c->random, 60) - 58);
        float got = x;
        c->ref.activation_f32(kind, parameters, &got, 1);
        double size = 0;
        const double ulps = activation_tolerance(kind, (double)x, &size);
        const double truth = truth_activation_value(kind, (double)p, (double)q, (double)x);
        CHECK(&c->count, near_truth(got, truth, ulps, size),
              "activation_f32: kind %u p %g q %g of %a (%g): %g, not %.9g", kind, (double)p, (double)q, (double)x,
              (double)x, (double)got, truth);
    }
}

static void truth_activation_f32(context *c)
{
    static const float exponents[] = {1, 2, 3, 4, 5, 6, -1, -2, 0.5f, -0.5f, 0, 7, -3, 1.7f, -0.3f, 33, 0.3333333f};
    for (uint32_t kind = 0; kind < FG_ACT_COUNT; kind++) {
        if (kind == FG_ACT_POW) {
            for (size_t i = 0; i < sizeof exponents / sizeof *exponents; i++)
                truth_activation(c, kind, exponents[i], 0.0f);
        } else if (kind == FG_ACT_CLIP) {
            truth_activation(c, kind, 0.0f, 6.0f);
        } else if (kind == FG_ACT_SILU) {
            truth_activation(c, kind, 1.0f, 0.0f);
            truth_activation(c, kind, 0.5f, 0.0f);
        } else {
            truth_activation(c, kind, 0.25f, 0.5f);
        }
    }
}

static void bench_activation_f32(context *c)
{
    float x[BENCH_COUNT] = {0};
    for (uint32_t kind = 1; kind < FG_ACT_COUNT; kind++) {
        const float parameters[4] = {kind == FG_ACT_SILU ? 1.0f : 0.5f, 0.5f, 0.0f, 0.0f};
        char what[32];
        snprintf(what, sizeof what, "activation_f32 kind %u", kind);
        BENCH(c, what, BENCH_COUNT, c->isa.activation_f32(kind, parameters, x, BENCH_COUNT));
    }
}

/* --- binary_f32 --- */
static void check_binary_f32(context *c)
{
    for (unsigned round = 0; round < 40 * FG_BINARY_COUNT; round++) {
        const uint32_t kind = round % FG_BINARY_COUNT;
        const fill_kind fill = (fill_kind)(round / FG_BINARY_COUNT % FILL_COUNT);
        const size_t count = random_count(&c->random), a_step = random_below(&c->random, 2);
        const size_t b_step = random_below(&c->random, 2), in_place = a_step ? random_below(&c->random, 2) : 0;
        float *a = random_floats(&c->random, count + 1, fill), *b = random_floats(&c->random, count + 1, fill);
        outputs out = outputs_make(&c->random, count * sizeof *a);
        if (in_place) outputs_copy(&out, a);
        c->ref.binary_f32(kind, in_place ? AS_FLOATS(out.ref) : a, a_step, b, b_step, AS_FLOATS(out.ref), count);
        c->isa.binary_f32(kind, in_place ? AS_FLOATS(out.isa) : a, a_step, b, b_step, AS_FLOATS(out.isa), count);
        CHECK(&c->count, outputs_agree(&out), "binary_f32 %s: kind %u steps %zu %zu in place %zu count %zu fill %d",
              c->isa_name, kind, a_step, b_step, in_place, count, (int)fill);
        outputs_free(&out);
        free(a), free(b);
    }
}

static void truth_binary_f32(context *c)
{
    for (uint32_t kind = 0; kind < FG_BINARY_COUNT; kind++)
        for (unsigned i = 0; i < 4000; i++) {
            const fill_kind fill = (fill_kind)(i % FILL_COUNT);
            const int remainder = kind == FG_BINARY_MOD || kind == FG_BINARY_FMOD;
            float a = random_value(&c->random, fill), b = random_value(&c->random, fill), got;
            if (i % 7 == 0) a = roundf(a * 4.0f), b = roundf(b * 4.0f);
            if (remainder && fabsf(a) < INFINITY && b != 0.0f && fabs((double)a / (double)b) > 0x1p29) continue;
            c->ref.binary_f32(kind, &a, 1, &b, 1, &got, 1);
            const double ulps = kind == FG_BINARY_POW ? 3 : kind == FG_BINARY_MOD ? 1.001 : 0.5001;
            CHECK(&c->count, near_truth(got, truth_binary(kind, (double)a, (double)b), ulps, 0),
                  "binary_f32: kind %u of %a (%g) and %a (%g): %g, not %.9g", kind, (double)a, (double)a, (double)b,
                  (double)b, (double)got, truth_binary(kind, (double)a, (double)b));
        }
}

static void bench_binary_f32(context *c)
{
    static const uint32_t kinds[] = {FG_BINARY_ADD, FG_BINARY_MUL, FG_BINARY_DIV,
                                     FG_BINARY_MAX, FG_BINARY_POW, FG_BINARY_MOD};
    float a[BENCH_COUNT] = {0}, b[BENCH_COUNT] = {0};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char what[32];
        snprintf(what, sizeof what, "binary_f32 kind %u", kinds[k]);
        BENCH(c, what, BENCH_COUNT, c->isa.binary_f32(kinds[k], a, 1, b, 1, a, BENCH_COUNT));
    }
}

/* --- where_f32 --- */
static void check_where_f32(context *c)
{
    for (unsigned round = 0; round < 200; round++) {
        const size_t count = random_count(&c->random);
        float *x[3];
        for (size_t i = 0; i < 3; i++) x[i] = random_floats(&c->random, count + 1, FILL_SPECIAL);
        for (size_t i = 0; i < count; i += 1 + random_below(&c->random, 3)) x[0][i] = 0.0f;
        outputs out = outputs_make(&c->random, count * sizeof(float));
        fg_where_f32_args args = {x[0],
                                  x[1],
                                  x[2],
                                  random_below(&c->random, 2),
                                  random_below(&c->random, 2),
                                  random_below(&c->random, 2),
                                  AS_FLOATS(out.ref),
                                  count};
        c->ref.where_f32(&args);
        args.out = AS_FLOATS(out.isa);
        c->isa.where_f32(&args);
        CHECK(&c->count, outputs_agree(&out), "where_f32 %s: steps %zu %zu %zu count %zu", c->isa_name,
              args.condition_step, args.a_step, args.b_step, count);
        outputs_free(&out);
        free(x[0]), free(x[1]), free(x[2]);
    }
}

static void truth_where_f32(context *c)
{
    const float condition[4] = {0.0f, -0.0f, NAN, 0.5f}, a = 1.0f, b[4] = {2.0f, 3.0f, 4.0f, 5.0f};
    const float expected[4] = {2.0f, 3.0f, 1.0f, 1.0f};
    float out[4];
    const fg_where_f32_args args = {condition, &a, b, 1, 0, 1, out, 4};
    c->ref.where_f32(&args);
    CHECK(&c->count, first_difference(out, expected, 4) == 4, "where_f32");
}

static void bench_where_f32(context *c)
{
    float a[BENCH_COUNT] = {0}, b[BENCH_COUNT] = {0}, condition[BENCH_COUNT] = {0}, out[BENCH_COUNT];
    const fg_where_f32_args args = {condition, a, b, 1, 1, 1, out, BENCH_COUNT};
    BENCH(c, "where_f32", BENCH_COUNT, c->isa.where_f32(&args));
}

/* --- permute_f32 --- */
static void check_permute_f32_with(context *c, const fg_kernels *kernels)
{
    for (unsigned round = 0; round < 400; round++) {
        test_random *random = &c->random;
        const size_t second = round % 8 == 1, turns = round % 8 == 5; /* every second channel; two runs by turns */
        const size_t channels = random_below(random, 70);
        const size_t from = (second + 1) * channels + 1 + random_below(random, 40), offset = random_below(random, 2);
        const size_t pixels = random_below(random, 12), out_step = channels + random_below(random, 3);
        float *x = random_floats(random, (pixels + 1) * from, FILL_SPECIAL);
        int32_t map[70];
        const ptrdiff_t step = round % 3 ? (ptrdiff_t)from : round % 2 ? 0 : -(ptrdiff_t)from;
        const float *first = step < 0 ? x + pixels * from : x;
        const size_t other = turns ? random_below(random, from - channels / 2) : 0; /* where the second run begins */
        for (size_t i = 0; i < channels; i++)
            map[i] = (int32_t)(second ? 2 * i + offset : turns ? i / 2 + i % 2 * other : random_below(random, from));
        outputs out = outputs_make(random, pixels * out_step * sizeof *x);
        for (size_t i = 0; i < pixels * channels; i++) { /* the definition */
            const size_t p = i / channels, k = i % channels;
            memcpy(AS_FLOATS(out.ref) + p * out_step + k,
                   first + (ptrdiff_t)p * step + (round % 4 ? map[k] : (int32_t)k), sizeof *x);
        }
        const fg_permute_f32_args args = {first,   step, round % 4 ? map : NULL, channels, pixels, AS_FLOATS(out.isa),
                                          out_step};
        kernels->permute_f32(&args);
        CHECK(&c->count, outputs_agree(&out), "permute_f32 %s: %zu pixels of %zu channels, step %td map %d",
              c->isa_name, pixels, channels, step, round % 4 != 0);
        outputs_free(&out);
        free(x);
    }
}

static void check_permute_f32(context *c) { check_permute_f32_with(c, &c->isa); }
static void truth_permute_f32(context *c) { check_permute_f32_with(c, &c->ref); }

/* A channel shuffle of two groups, and half of the channels. */
static void bench_permute_f32(context *c)
{
    enum { CHANNELS = 40, PIXELS = 48 };
    static float x[PIXELS * CHANNELS], out[PIXELS * CHANNELS];
    int32_t map[CHANNELS];
    for (int32_t i = 0; i < CHANNELS; i++) map[i] = i / 2 + i % 2 * (CHANNELS / 2);
    const fg_permute_f32_args shuffle = {x, CHANNELS, map, CHANNELS, PIXELS, out, CHANNELS};
    const fg_permute_f32_args half = {x, CHANNELS, NULL, CHANNELS / 2, PIXELS, out, CHANNELS / 2};
    BENCH(c, "permute_f32 shuffle", CHANNELS * PIXELS, c->isa.permute_f32(&shuffle));
    BENCH(c, "permute_f32 half", CHANNELS / 2 * PIXELS, c->isa.permute_f32(&half));
}

/* --- pool_f32 --- */
static void check_pool_f32_with(context *c, const fg_kernels *kernels)
{
    for (unsigned round = 0; round < 400; round++) {
        test_random *random = &c->random;
        const size_t channels = 1 + random_below(random, 70), tap_count = 1 + random_below(random, 12);
        const size_t pixels = random_below(random, 6), span = (pixels + 1) * 2 * channels + 200;
        float *x = random_floats(random, span + channels, round % 3 ? FILL_PLAIN : FILL_SPECIAL);
        ptrdiff_t taps[12];
        for (size_t t = 0; t < tap_count; t++) taps[t] = (ptrdiff_t)random_below(random, 200);
        const uint32_t no_minus = round % 4 == 1;
        for (size_t i = 0; no_minus && i < span + channels; i++) x[i] = x[i] == 0.0f ? 0.0f : x[i];
        fg_pool_f32_args args = {.kind = round % 2 ? FG_REDUCE_MAX : FG_REDUCE_MEAN,
                                 .no_minus = no_minus,
                                 .x = x,
                                 .x_step = random_below(random, 2 * channels),
                                 .taps = taps,
                                 .tap_count = tap_count,
                                 .channels = channels,
                                 .pixels = pixels,
                                 .divisor = 1.0f + (float)random_below(random, 9),
                                 .out_step = channels + random_below(random, 3)};
        outputs out = outputs_make(random, pixels * args.out_step * sizeof *x);
        for (size_t p = 0; p < pixels; p++) { /* the definition */
            float *joined = AS_FLOATS(out.ref) + p * args.out_step;
            memcpy(joined, x + p * args.x_step + taps[0], channels * sizeof *x);
            for (size_t t = 1; t < tap_count; t++)
                c->ref.accumulate_f32(args.kind, joined, x + p * args.x_step + taps[t], channels, 1, channels);
            for (size_t k = 0; args.kind == FG_REDUCE_MEAN && k < channels; k++) joined[k] /= args.divisor;
        }
        args.out = AS_FLOATS(out.isa);
        kernels->pool_f32(&args);
        CHECK(&c->count, outputs_agree(&out), "pool_f32 %s: kind %u, %zu pixels of %zu channels, %zu taps", c->isa_name,
              args.kind, pixels, channels, tap_count);
        outputs_free(&out);
        free(x);
    }
}

static void check_pool_f32(context *c) { check_pool_f32_with(c, &c->isa); }
static void truth_pool_f32(context *c) { check_pool_f32_with(c, &c->ref); }

/* 3x3 windows of stride 2. */
static void bench_pool_f32(context *c)
{
    enum { CHANNELS = 24, PIXELS = 40, ROW = (2 * PIXELS + 1) * CHANNELS };
    static float x[3 * ROW], out[PIXELS * CHANNELS];
    ptrdiff_t taps[9];
    for (ptrdiff_t t = 0; t < 9; t++) taps[t] = t / 3 * ROW + t % 3 * CHANNELS;
    fg_pool_f32_args args = {FG_REDUCE_MAX, 0, x, (size_t)2 * CHANNELS, taps, 9, CHANNELS, PIXELS, 9.0f, out, CHANNELS};
    BENCH(c, "pool_f32 max 3x3", CHANNELS * PIXELS, c->isa.pool_f32(&args));
    args.kind = FG_REDUCE_MEAN;
    BENCH(c, "pool_f32 mean 3x3", CHANNELS * PIXELS, c->isa.pool_f32(&args));
}

/* --- distance_f32 --- */
static void check_distance_f32(context *c)
{
    for (unsigned round = 0; round < 600; round++) {
        const uint32_t norm = round % FG_NORM_COUNT;
        const fill_kind fill = (fill_kind)(round / FG_NORM_COUNT % FILL_COUNT);
        const size_t count = random_count(&c->random);
        float *a = random_floats(&c->random, count, fill), *b = random_floats(&c->random, count, fill);
        const float expected = c->ref.distance_f32(norm, a, b, count), got = c->isa.distance_f32(norm, a, b, count);
        CHECK(&c->count, same_float(&expected, &got), "distance_f32 %s: norm %u count %zu fill %d: %a, not %a",
              c->isa_name, norm, count, (int)fill, (double)got, (double)expected);
        free(a), free(b);
    }
}

/* --- moments_f64 --- */
static void check_moments_f64(context *c)
{
    for (size_t count = 0; count < 300; count++) {
        float *x = random_floats(&c->random, count + 1, FILL_PLAIN);
        double twin[2], got[2];
        c->ref.moments_f64(x, count, twin);
        c->isa.moments_f64(x, count, got);
        CHECK(&c->count, !memcmp(twin, got, sizeof twin), "moments_f64 %s: count %zu", c->isa_name, count);
        free(x);
    }
}

static void truth_moments_f64(context *c)
{
    float x[37];
    double got[2];
    for (int i = 0; i < 37; i++) x[i] = (float)(i - 5);
    c->ref.moments_f64(x, 37, got);
    CHECK(&c->count, got[0] == 481.0 && got[1] == 10471.0, "moments_f64: %g, %g", got[0], got[1]);
}

static void bench_moments_f64(context *c)
{
    float *x = random_floats(&c->random, BENCH_COUNT, FILL_PLAIN);
    double sums[2];
    BENCH(c, "moments_f64", BENCH_COUNT, c->isa.moments_f64(x, BENCH_COUNT, sums));
    free(x);
}

/* --- judge_f32 --- */
static void check_judge_f32(context *c)
{
    for (unsigned round = 0; round < 400; round++) {
        test_random *random = &c->random;
        const size_t channels = random_below(random, 8) ? 1 + random_below(random, 70) : 8; /* 8 by themselves, too */
        const size_t listed = random_below(random, 20), count = random_below(random, 4) ? listed : listed / 2;
        const size_t stride = channels + 3;
        float *fresh = random_floats(random, (listed + 1) * channels, FILL_PLAIN);
        float *held = random_floats(random, (listed + 1) * stride, FILL_PLAIN),
              *twin = test_memory(4 * (listed + 1) * stride);
        uint32_t pixels[20];
        uint8_t flags[2][20] = {{0}};
        float moved[2][21];
        for (size_t p = 0; p < 21; p++) moved[0][p] = moved[1][p] = -1.0f; /* of what is not judged, it stays */
        const int asked = random_below(random, 2) == 0;
        const int all_far = random_below(random, 3) == 0; /* pixels may be looked at several at a time */
        for (size_t p = 0; p < listed; p++) {
            const size_t kind = all_far ? 2 : random_below(random, 5);
            pixels[p] = (uint32_t)(listed - 1 - p);
            for (size_t i = 0; i < channels; i++) { /* equal, close, far, a NaN, zeros of both signs */
                const float old = held[pixels[p] * stride + i];
                fresh[p * channels + i] = kind == 1 ? old + 0.01f : kind == 2 ? -3.0f * old : old;
            }
            if (kind == 3) fresh[p * channels + channels - 1] = NAN;
            if (kind == 4) held[pixels[p] * stride] = 0.0f, fresh[p * channels] = -0.0f;
        }
        /* close pixels on either side by some norms, or one pixel that lies just on the limit */
        const uint32_t norm = round % FG_NORM_COUNT;
        float limit = (random_below(random, 2) ? 0.02f : 0.005f) * (float)channels;
        const float first = listed ? c->ref.distance_f32(norm, fresh, held + (listed - 1) * stride, channels) : 0.0f;
        if (random_below(random, 4) == 0 && first > 0.0f) limit = first;
        memcpy(twin, held, 4 * (listed + 1) * stride);
        fg_judge_f32_args args = {fresh,
                                  twin,
                                  stride,
                                  pixels,
                                  count,
                                  listed - count,
                                  channels,
                                  random_below(random, 3) > 0,
                                  norm,
                                  limit,
                                  random_below(random, 2) > 0,
                                  flags[0],
                                  asked ? moved[0] : NULL};
        c->ref.judge_f32(&args);
        args.held = held, args.flags = flags[1], args.moved = asked ? moved[1] : NULL;
        c->isa.judge_f32(&args);
        CHECK(&c->count, first_difference(moved[0], moved[1], 21) == 21, "judge_f32 %s: moved, channels %zu norm %u",
              c->isa_name, channels, norm);
        CHECK(&c->count, !memcmp(flags[0], flags[1], count) && !memcmp(held, twin, 4 * (listed + 1) * stride),
              "judge_f32 %s: channels %zu count %zu norm %u gated %u", c->isa_name, channels, count, args.norm,
              args.gated);
        free(fresh), free(held), free(twin);
    }
}

static void truth_judge_f32(context *c)
{
    static const uint8_t gated[5] = {FG_PIXEL_SAME, FG_PIXEL_HELD, FG_PIXEL_CHANGED, FG_PIXEL_CHANGED, FG_PIXEL_HELD};
    for (uint32_t on = 0; on < 2; on++) {
        float fresh[10] = {1, 2, 1, 2.5f, 9, 2, NAN, 2, -0.0f, 2};
        float held[15] = {1, 2, 7, 1, 2, 7, 1, 2, 7, 1, 2, 7, 0, 2, 7};
        const uint32_t pixels[5] = {0, 1, 2, 3, 4};
        static const float far[5] = {0.0f, 0.0f, 8.0f, 0.0f, 0.0f}; /* held ones 0; save the fourth, NaN */
        uint8_t flags[5];
        float moved[5] = {9.0f, 9.0f, 9.0f, 9.0f, 9.0f};
        const fg_judge_f32_args args = {fresh, held, 3, pixels, 5, 0, 2, on, FG_NORM_L1, 0.5f, 1, flags, moved};
        c->ref.judge_f32(&args);
        for (size_t p = 0; p < 5; p++) {
            CHECK(&c->count, p == 3 && on ? moved[p] != moved[p] : moved[p] == (on ? far[p] : 9.0f),
                  "judge_f32: pixel %zu gated %u moved %g", p, on, (double)moved[p]);
        }
        for (size_t p = 0; p < 5; p++) {
            const uint8_t expected = on || gated[p] == FG_PIXEL_SAME ? gated[p] : FG_PIXEL_CHANGED;
            CHECK(&c->count, flags[p] == expected, "judge_f32: pixel %zu gated %u: %u, not %u", p, on, flags[p],
                  expected);
            CHECK(&c->count, expected != FG_PIXEL_CHANGED || !memcmp(held + 3 * p, fresh + 2 * p, 8),
                  "judge_f32: pixel %zu not written", p);
        }
        CHECK(&c->count, held[4] == (on ? 2.0f : 2.5f), "judge_f32: a held pixel was written");
        for (size_t p = 0; p < 5; p++) CHECK(&c->count, held[3 * p + 2] == 7.0f, "judge_f32: wrote between pixels");
    }
}

static void bench_judge_f32(context *c)
{
    enum { CHANNELS = 64, PIXELS = 64 };
    float *fresh = random_floats(&c->random, CHANNELS * PIXELS, FILL_PLAIN);
    float *held = random_floats(&c->random, CHANNELS * PIXELS, FILL_PLAIN);
    uint32_t pixels[PIXELS];
    uint8_t flags[PIXELS];
    for (uint32_t p = 0; p < PIXELS; p++) pixels[p] = p;
    const fg_judge_f32_args args = {fresh, held,       CHANNELS, pixels, PIXELS, 0,   CHANNELS,
                                    1,     FG_NORM_L1, 1e9f,     1,      flags,  NULL};
    BENCH(c, "judge_f32 l1, held back", CHANNELS * PIXELS, c->isa.judge_f32(&args));
    free(fresh), free(held);
}

/* --- distance_f32 truth --- */
static void truth_distance_f32(context *c)
{
    for (unsigned round = 0; round < 300; round++) {
        const uint32_t norm = round % FG_NORM_COUNT;
        const size_t count = random_count(&c->random);
        float *a = random_floats(&c->random, count, FILL_PLAIN), *b = random_floats(&c->random, count, FILL_PLAIN);
        double truth = 0;
        for (size_t i = 0; i < count; i++) {
            const double d = fabs((double)a[i] - (double)b[i]);
            if (norm == FG_NORM_MAX)
                truth = d > truth ? d : truth;
            else
                truth += norm == FG_NORM_RMS ? d * d : d;
        }
        const float got = c->ref.distance_f32(norm, a, b, count);
        CHECK(&c->count, near_truth(got, truth, 40, 0), "distance_f32: norm %u count %zu: %g, not %g", norm, count,
              (double)got, truth);
        if (count) {
            a[random_below(&c->random, count)] = NAN;
            const float bad = c->ref.distance_f32(norm, a, b, count);
            CHECK(&c->count, bad != bad, "distance_f32: norm %u count %zu loses NaN", norm, count);
        }
        free(a), free(b);
    }
}

static void bench_distance_f32(context *c)
{
    float a[BENCH_COUNT] = {0}, b[BENCH_COUNT] = {0};
    volatile float sink = 0.0f;
    for (uint32_t norm = 0; norm < FG_NORM_COUNT; norm++) {
        char what[32];
        snprintf(what, sizeof what, "distance_f32 norm %u", norm);
        BENCH(c, what, BENCH_COUNT, sink = c->isa.distance_f32(norm, a, b, BENCH_COUNT));
    }
    (void)sink;
}

#include "test_reduce.h"

#endif
