/* test_winograd.h: the part of test_kernels.c about Winograd's transforms. */
#ifndef FG_TESTS_TEST_WINOGRAD_H
#define FG_TESTS_TEST_WINOGRAD_H

static const double winograd_points[5] = {0.0, 0.625, -0.625, 1.5, -1.5};

/* The k-th power of a point; of the sixth, infinity, only the last one counts. */
static double winograd_power(size_t point, size_t k, size_t last)
{
    return point < 5 ? pow(winograd_points[point], (double)k) : k == last;
}

/* --- winograd_weights_f32 --- */
static void check_winograd_weights_f32(context *c)
{
    for (unsigned round = 0; round < 300; round++) {
        test_random *random = &c->random;
        const fill_kind kind = (fill_kind)(round % FILL_COUNT);
        const size_t count = FG_PANEL * random_below(random, 12), tap_step = count + random_below(random, 40);
        const size_t out_step = count + random_below(random, 40);
        float *weights = random_floats(random, 8 * tap_step + count, kind);
        outputs out = outputs_make(random, (11 * out_step + count) * sizeof(float));
        fg_winograd_weights_f32_args args = {.weights = weights,
                                             .tap_step = tap_step,
                                             .count = count,
                                             .pair = round % FG_WINOGRAD_PAIRS,
                                             .out = AS_FLOATS(out.ref),
                                             .out_step = out_step};
        c->ref.winograd_weights_f32(&args);
        args.out = AS_FLOATS(out.isa);
        c->isa.winograd_weights_f32(&args);
        CHECK(&c->count, outputs_agree(&out), "winograd_weights_f32 %s: count %zu tap_step %zu out_step %zu fill %d",
              c->isa_name, count, tap_step, out_step, (int)kind);
        outputs_free(&out);
        free(weights);
    }
}

static void truth_winograd_weights_f32(context *c)
{
    float weights[9 * FG_PANEL], out[FG_WINOGRAD_PAIR * FG_PANEL];
    for (size_t k = 0; k < 9 * FG_PANEL; k++) weights[k] = random_float(&c->random, 1.0f);
    for (uint32_t pair = 0; pair < FG_WINOGRAD_PAIRS; pair++) {
        const fg_winograd_weights_f32_args args = {weights, FG_PANEL, FG_PANEL, pair, out, FG_PANEL};
        c->ref.winograd_weights_f32(&args);
        for (size_t k = 0; k < FG_WINOGRAD_PAIR * FG_PANEL; k++) {
            const size_t position = k / FG_PANEL, col = position % 6;
            const size_t row = fg_winograd_row(pair, (uint32_t)(position / 6));
            double expected = 0.0;
            for (size_t t = 0; t < 9; t++)
                expected += winograd_power(row, t / 3, 2) * winograd_power(col, t % 3, 2) *
                            (double)weights[t * FG_PANEL + k % FG_PANEL];
            CHECK(&c->count, fabs((double)out[k] - expected) < 1e-5, "winograd_weights_f32: pair %u position %zu", pair,
                  position);
        }
    }
}

static void bench_winograd_weights_f32(context *c)
{
    enum { COUNT = FG_GEMM_BLOCK * FG_PANEL };
    void *memory[2];
    float *weights = aligned_floats(&c->random, 9 * COUNT, FILL_PLAIN, &memory[0]);
    float *out = aligned_floats(&c->random, FG_WINOGRAD_PAIR * (COUNT + 16), FILL_PLAIN, &memory[1]);
    const fg_winograd_weights_f32_args args = {weights, COUNT, COUNT, 1, out, COUNT + 16};
    BENCH(c, "winograd_weights_f32 channels 128", FG_WINOGRAD_PAIR * COUNT, c->isa.winograd_weights_f32(&args));
    free(memory[0]), free(memory[1]);
}

/* --- winograd_input_f32 --- */
static void check_winograd_input_f32(context *c)
{
    for (unsigned round = 0; round < 300; round++) {
        test_random *random = &c->random;
        const fill_kind kind = (fill_kind)(round % FILL_COUNT);
        const size_t channels = random_below(random, 71), col_step = channels + random_below(random, 5);
        const size_t row_step = FG_WINOGRAD_PATCH * col_step + random_below(random, 50);
        const size_t out_step = channels + random_below(random, 20);
        float *x = random_floats(random, 5 * row_step + 5 * col_step + channels, kind);
        outputs out = outputs_make(random, (35 * out_step + channels) * sizeof(float));
        fg_winograd_input_f32_args args = {.x = x,
                                           .row_step = (ptrdiff_t)row_step,
                                           .col_step = (ptrdiff_t)col_step,
                                           .channels = channels,
                                           .out = AS_FLOATS(out.ref),
                                           .out_step = out_step};
        c->ref.winograd_input_f32(&args);
        args.out = AS_FLOATS(out.isa);
        c->isa.winograd_input_f32(&args);
        CHECK(&c->count, outputs_agree(&out), "winograd_input_f32 %s: channels %zu out_step %zu fill %d", c->isa_name,
              channels, out_step, (int)kind);
        outputs_free(&out);
        free(x);
    }
}

/* Rows of B^T: the polynomial with a root at every point but one, its coefficients ascending. */
static void winograd_row(size_t row, double *coefficients)
{
    memset(coefficients, 0, FG_WINOGRAD_PATCH * sizeof *coefficients);
    coefficients[0] = 1.0;
    for (size_t p = 0, degree = 0; p < 5; p++) {
        if (p == row) continue;
        degree++;
        for (size_t k = degree; k > 0; k--)
            coefficients[k] = coefficients[k - 1] - winograd_points[p] * coefficients[k];
        coefficients[0] *= -winograd_points[p];
    }
}

static void truth_winograd_input_f32(context *c)
{
    float x[FG_WINOGRAD_POSITIONS], out[FG_WINOGRAD_POSITIONS];
    for (size_t k = 0; k < FG_WINOGRAD_POSITIONS; k++) x[k] = random_float(&c->random, 1.0f);
    const fg_winograd_input_f32_args args = {
        .x = x, .row_step = FG_WINOGRAD_PATCH, .col_step = 1, .channels = 1, .out = out, .out_step = 1};
    c->ref.winograd_input_f32(&args);
    for (size_t k = 0; k < FG_WINOGRAD_POSITIONS; k++) {
        double down[FG_WINOGRAD_PATCH], across[FG_WINOGRAD_PATCH], expected = 0.0;
        winograd_row(k / FG_WINOGRAD_PATCH, down);
        winograd_row(k % FG_WINOGRAD_PATCH, across);
        for (size_t i = 0; i < FG_WINOGRAD_POSITIONS; i++)
            expected += down[i / FG_WINOGRAD_PATCH] * across[i % FG_WINOGRAD_PATCH] * (double)x[i];
        CHECK(&c->count, fabs((double)out[k] - expected) < 1e-5, "winograd_input_f32: position %zu", k);
    }
}

static void bench_winograd_input_f32(context *c)
{
    enum { CHANNELS = 64 };
    void *memory[2];
    float *x = aligned_floats(&c->random, FG_WINOGRAD_POSITIONS * CHANNELS, FILL_PLAIN, &memory[0]);
    float *out = aligned_floats(&c->random, FG_WINOGRAD_POSITIONS * (CHANNELS + 16), FILL_PLAIN, &memory[1]);
    const fg_winograd_input_f32_args args = {.x = x,
                                             .row_step = FG_WINOGRAD_PATCH * CHANNELS,
                                             .col_step = CHANNELS,
                                             .channels = CHANNELS,
                                             .out = out,
                                             .out_step = CHANNELS + 16};
    BENCH(c, "winograd_input_f32 channels 64", FG_WINOGRAD_POSITIONS * CHANNELS, c->isa.winograd_input_f32(&args));
    free(memory[0]), free(memory[1]);
}

/* --- winograd_output_f32 --- */
static void check_winograd_output_f32(context *c)
{
    for (unsigned round = 0; round < 300; round++) {
        test_random *random = &c->random;
        const fill_kind kind = (fill_kind)(round % FILL_COUNT);
        const size_t channels = random_below(random, 71), x_step = channels + random_below(random, 20);
        const int biased = random_below(random, 2) == 0;
        float *x = random_floats(random, 35 * x_step + channels, kind);
        float *bias = biased ? random_bias(random, channels, kind) : NULL;
        float *ref[FG_WINOGRAD_PIXELS], *isa[FG_WINOGRAD_PIXELS];
        outputs out = outputs_make(random, FG_WINOGRAD_PIXELS * channels * sizeof(float));
        for (size_t i = 0; i < FG_WINOGRAD_PIXELS; i++) {
            const int listed = random_below(random, 4) > 0;
            ref[i] = listed ? AS_FLOATS(out.ref) + (i * 5 % FG_WINOGRAD_PIXELS) * channels : NULL;
            isa[i] = listed ? AS_FLOATS(out.isa) + (i * 5 % FG_WINOGRAD_PIXELS) * channels : NULL;
        }
        fg_winograd_output_f32_args args = {
            x, x_step, channels, bias, random_finish(random, bias), ref,
        };
        c->ref.winograd_output_f32(&args);
        args.out = isa;
        c->isa.winograd_output_f32(&args);
        CHECK(&c->count, outputs_agree(&out), "winograd_output_f32 %s: channels %zu x_step %zu bias %d fill %d",
              c->isa_name, channels, x_step, biased, (int)kind);
        outputs_free(&out);
        free(x), free(bias);
    }
}

static void truth_winograd_output_f32(context *c)
{
    float x[FG_WINOGRAD_POSITIONS], out[FG_WINOGRAD_PIXELS], *to[FG_WINOGRAD_PIXELS];
    const float bias = random_float(&c->random, 1.0f), low = 0.25f;
    for (size_t k = 0; k < FG_WINOGRAD_POSITIONS; k++) x[k] = random_float(&c->random, 1.0f);
    for (size_t i = 0; i < FG_WINOGRAD_PIXELS; i++) to[i] = &out[i];
    const fg_winograd_output_f32_args args = {x, 1, 1, &bias, {FG_FINISH_LOW, low, 0.0f, 0.0f}, to};
    c->ref.winograd_output_f32(&args);
    for (size_t i = 0; i < FG_WINOGRAD_PIXELS; i++) {
        double expected = (double)bias;
        for (size_t k = 0; k < FG_WINOGRAD_POSITIONS; k++)
            expected += winograd_power(k / FG_WINOGRAD_PATCH, i / FG_WINOGRAD_TILE, FG_WINOGRAD_TILE - 1) *
                        winograd_power(k % FG_WINOGRAD_PATCH, i % FG_WINOGRAD_TILE, FG_WINOGRAD_TILE - 1) *
                        (double)x[k];
        expected = fmax(expected, (double)low);
        CHECK(&c->count, fabs((double)out[i] - expected) < 1e-4, "winograd_output_f32: pixel %zu", i);
    }
}

static void bench_winograd_output_f32(context *c)
{
    enum { CHANNELS = 64 };
    void *memory[2];
    float *x = aligned_floats(&c->random, FG_WINOGRAD_POSITIONS * (CHANNELS + 16), FILL_PLAIN, &memory[0]);
    float *out = aligned_floats(&c->random, FG_WINOGRAD_PIXELS * CHANNELS, FILL_PLAIN, &memory[1]);
    float *to[FG_WINOGRAD_PIXELS];
    for (size_t i = 0; i < FG_WINOGRAD_PIXELS; i++) to[i] = out + i * CHANNELS;
    const fg_winograd_output_f32_args args = {
        .x = x, .x_step = CHANNELS + 16, .channels = CHANNELS, .finish.steps = FG_FINISH_LOW, .out = to};
    BENCH(c, "winograd_output_f32 channels 64", FG_WINOGRAD_POSITIONS * CHANNELS, c->isa.winograd_output_f32(&args));
    free(memory[0]), free(memory[1]);
}

#endif
