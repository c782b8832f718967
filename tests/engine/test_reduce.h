/* test_reduce.h: the part of test_kernels.c about accumulating kernels and about camera bytes. */
#ifndef FG_TESTS_TEST_REDUCE_H
#define FG_TESTS_TEST_REDUCE_H

/* --- accumulate_f32 --- */
static void check_accumulate_f32(context *c)
{
    for (unsigned round = 0; round < 400; round++) {
        const uint32_t kind = round % FG_REDUCE_ARG_MAX;
        const size_t count = random_count(&c->random), rows = random_below(&c->random, 11);
        const size_t step = count + random_below(&c->random, 3);
        const fill_kind fill = round % 2 ? FILL_SPECIAL : FILL_PLAIN; /* sums of others are often NaN */
        float *start = random_floats(&c->random, count, fill), *x = random_floats(&c->random, rows * step + 1, fill);
        outputs out = outputs_make(&c->random, count * sizeof *x);
        outputs_copy(&out, start);
        c->ref.accumulate_f32(kind, AS_FLOATS(out.ref), x, step, rows, count);
        c->isa.accumulate_f32(kind, AS_FLOATS(out.isa), x, step, rows, count);
        CHECK(&c->count, outputs_agree(&out), "accumulate_f32 %s: kind %u rows %zu step %zu count %zu", c->isa_name,
              kind, rows, step, count);
        outputs_free(&out);
        free(start), free(x);
    }
}

/* Rows in order: beside 2^24 a sum of ones first would be another. */
static void truth_accumulate_f32(context *c)
{
    static const float expected[] = {5.0f, 5.0f, 3.0f, 2.0f, 6.0f};
    for (uint32_t kind = 0; kind < FG_REDUCE_ARG_MAX; kind++) {
        float accumulator[2] = {2.0f, 1.0f}, sum = 16777216.0f;
        const float x[2] = {3.0f, NAN}, ones[6] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, -1.0f};
        c->ref.accumulate_f32(kind, accumulator, x, 2, 1, 2);
        CHECK(&c->count, same_float(&accumulator[0], &expected[kind]) && accumulator[1] != accumulator[1],
              "accumulate_f32: kind %u", kind);
        c->ref.accumulate_f32(FG_REDUCE_SUM, &sum, ones, 1, 6, 1);
        CHECK(&c->count, sum == 16777215.0f, "accumulate_f32: rows are not in order: %g", (double)sum);
    }
}

static void bench_accumulate_f32(context *c)
{
    enum { ROWS = 8 };
    float accumulator[BENCH_COUNT / ROWS] = {0}, x[BENCH_COUNT] = {0};
    const size_t count = BENCH_COUNT / ROWS;
    BENCH(c, "accumulate_f32 sum", BENCH_COUNT,
          c->isa.accumulate_f32(FG_REDUCE_SUM, accumulator, x, count, ROWS, count));
    BENCH(c, "accumulate_f32 max", BENCH_COUNT,
          c->isa.accumulate_f32(FG_REDUCE_MAX, accumulator, x, count, ROWS, count));
}

/* --- blend_f32 --- */
static void check_blend_f32(context *c)
{
    for (unsigned round = 0; round < 300; round++) {
        const size_t count = random_count(&c->random), taps = 1 + random_below(&c->random, 6);
        const fill_kind fill = (fill_kind)(round % FILL_COUNT);
        float *x = random_floats(&c->random, taps * count, fill), *weights = random_floats(&c->random, taps, fill);
        const float *rows[6];
        for (size_t t = 0; t < taps; t++) rows[t] = x + t * count;
        outputs out = outputs_make(&c->random, count * sizeof *x);
        c->ref.blend_f32(rows, weights, taps, AS_FLOATS(out.ref), count);
        c->isa.blend_f32(rows, weights, taps, AS_FLOATS(out.isa), count);
        CHECK(&c->count, outputs_agree(&out), "blend_f32 %s: taps %zu count %zu fill %d", c->isa_name, taps, count,
              (int)fill);
        outputs_free(&out);
        free(x), free(weights);
    }
}

static void truth_blend_f32(context *c)
{
    const float a[2] = {1.0f, -0.0f}, b[2] = {3.0f, 8.0f}, d[2] = {5.0f, 1.0f}, weights[3] = {0.5f, 0.25f, 2.0f};
    const float *rows[3] = {a, b, d};
    const float expected[3][2] = {{0.5f, -0.0f}, {1.25f, 2.0f}, {11.25f, 4.0f}};
    for (size_t taps = 1; taps <= 3; taps++) {
        float out[2];
        c->ref.blend_f32(rows, weights, taps, out, 2);
        CHECK(&c->count, first_difference(out, expected[taps - 1], 2) == 2, "blend_f32: taps %zu", taps);
    }
}

static void bench_blend_f32(context *c)
{
    float a[BENCH_COUNT] = {0}, b[BENCH_COUNT] = {0}, out[BENCH_COUNT];
    const float *rows[4] = {a, b, a, b}, weights[4] = {0.5f, 0.5f, 0.5f, 0.5f};
    BENCH(c, "blend_f32 2 taps", BENCH_COUNT, c->isa.blend_f32(rows, weights, 2, out, BENCH_COUNT));
    BENCH(c, "blend_f32 4 taps", BENCH_COUNT, c->isa.blend_f32(rows, weights, 4, out, BENCH_COUNT));
}

/* --- softmax_f32 --- */
static void check_softmax_f32(context *c)
{
    for (unsigned round = 0; round < 300; round++) {
        const int few = round % 5 == 0; /* numbers, in many rows */
        const size_t outer = random_below(&c->random, few ? 200 : 4);
        const size_t count = 1 + random_below(&c->random, few ? 10 : 90);
        const size_t inner = few || random_below(&c->random, 2) ? 1 : 1 + random_below(&c->random, 90);
        const uint32_t log = (uint32_t)random_below(&c->random, 2);
        const size_t total = outer * count * inner;
        float *x = random_floats(&c->random, total, round % 4 ? FILL_PLAIN : FILL_SPECIAL);
        const int in_place = random_below(&c->random, 2) == 0;
        outputs out = outputs_make(&c->random, total * sizeof *x);
        if (in_place) outputs_copy(&out, x);
        c->ref.softmax_f32(in_place ? AS_FLOATS(out.ref) : x, AS_FLOATS(out.ref), outer, count, inner, log);
        c->isa.softmax_f32(in_place ? AS_FLOATS(out.isa) : x, AS_FLOATS(out.isa), outer, count, inner, log);
        CHECK(&c->count, outputs_agree(&out), "softmax_f32 %s: %zu x %zu x %zu log %u in place %d", c->isa_name, outer,
              count, inner, log, in_place);
        outputs_free(&out);
        free(x);
    }
}

static void truth_softmax_f32(context *c)
{
    for (unsigned round = 0; round < 200; round++) { /* many rows at once are as each alone */
        const size_t outer = random_below(&c->random, 150), count = 1 + random_below(&c->random, 10);
        const uint32_t log_form = round % 2;
        float *x = random_floats(&c->random, outer * count, round % 4 < 2 ? FILL_PLAIN : FILL_SPECIAL);
        outputs out = outputs_make(&c->random, outer * count * sizeof *x);
        for (size_t o = 0; o < outer; o++)
            c->ref.softmax_f32(x + o * count, AS_FLOATS(out.ref) + o * count, 1, count, 1, log_form);
        c->ref.softmax_f32(x, AS_FLOATS(out.isa), outer, count, 1, log_form);
        CHECK(&c->count, outputs_agree(&out), "softmax_f32: %zu rows of %zu log %u", outer, count, log_form);
        outputs_free(&out);
        free(x);
    }
    for (unsigned round = 0; round < 200; round++) {
        const size_t count = 1 + random_below(&c->random, 150),
                     inner = round % 2 ? 1 : 1 + random_below(&c->random, 80);
        const uint32_t log_form = round / 2 % 2;
        float *x = random_floats(&c->random, count * inner, FILL_PLAIN),
              *out = test_memory(count * inner * sizeof *out);
        for (size_t i = 0; i < count * inner; i++) x[i] *= 8.0f;
        c->ref.softmax_f32(x, out, 1, count, inner, log_form);
        for (size_t j = 0; j < inner; j++) {
            double largest = -INFINITY, sum = 0;
            for (size_t i = 0; i < count; i++) {
                const double value = (double)x[i * inner + j];
                largest = value > largest ? value : largest;
            }
            for (size_t i = 0; i < count; i++) sum += exp((double)x[i * inner + j] - largest);
            for (size_t i = 0; i < count; i++) {
                const double shifted = (double)x[i * inner + j] - largest;
                const double truth = log_form ? shifted - log(sum) : exp(shifted) / sum;
                /* the difference to the maximum is rounded before exp: up to 32 units of 2^-24 of the result */
                CHECK(&c->count, near_truth(out[i * inner + j], truth, log_form ? 4 : 48, log_form ? 8 : 0),
                      "softmax_f32: count %zu inner %zu log %u: %g, not %g", count, inner, log_form,
                      (double)out[i * inner + j], truth);
            }
        }
        free(x), free(out);
    }
}

static void bench_softmax_f32(context *c)
{
    float x[BENCH_COUNT] = {0}, out[BENCH_COUNT];
    BENCH(c, "softmax_f32 inner 1", BENCH_COUNT, c->isa.softmax_f32(x, out, 1, BENCH_COUNT, 1, 0));
    BENCH(c, "softmax_f32 rows of 2", BENCH_COUNT, c->isa.softmax_f32(x, out, BENCH_COUNT / 2, 2, 1, 0));
    BENCH(c, "softmax_f32 inner 64", BENCH_COUNT, c->isa.softmax_f32(x, out, 1, BENCH_COUNT / 64, 64, 0));
}

/* --- reduce_channels_f32 --- */
static void check_reduce_channels_f32(context *c)
{
    for (unsigned round = 0; round < 100 * FG_REDUCE_COUNT; round++) {
        fg_reduce_channels_f32_args args = {.kind = round % FG_REDUCE_COUNT};
        args.outer = random_below(&c->random, 4);
        args.count = 1 + random_below(&c->random, 40);
        args.inner = random_below(&c->random, 2) ? 1 : 1 + random_below(&c->random, 90);
        args.select_last = (uint32_t)random_below(&c->random, 2);
        const size_t total = args.outer * args.count * args.inner;
        float *x = random_floats(&c->random, total, (fill_kind)(round / FG_REDUCE_COUNT % FILL_COUNT));
        outputs out = outputs_make(&c->random, args.outer * args.inner * sizeof *x);
        args.x = x;
        args.out = AS_FLOATS(out.ref);
        c->ref.reduce_channels_f32(&args);
        args.out = AS_FLOATS(out.isa);
        c->isa.reduce_channels_f32(&args);
        CHECK(&c->count, outputs_agree(&out), "reduce_channels_f32 %s: kind %u, %zu x %zu x %zu last %u", c->isa_name,
              args.kind, args.outer, args.count, args.inner, args.select_last);
        outputs_free(&out);
        free(x);
    }
}

static double truth_reduce(uint32_t kind, const float *x, size_t count, size_t inner, uint32_t select_last)
{
    double sum = 0, product = 1, best = (double)x[0];
    const int largest = kind == FG_REDUCE_MAX || kind == FG_REDUCE_ARG_MAX;
    size_t index = 0;
    for (size_t i = 0; i < count; i++) {
        const double value = (double)x[i * inner];
        sum += value;
        product *= value;
        if ((largest ? value > best : value < best) || (select_last && !(value < best) && !(value > best)))
            best = value, index = i;
    }
    switch (kind) {
    case FG_REDUCE_MEAN: return sum / (double)count;
    case FG_REDUCE_SUM: return sum;
    case FG_REDUCE_PRODUCT: return product;
    case FG_REDUCE_MAX:
    case FG_REDUCE_MIN: return best;
    default: return (double)index;
    }
}

static void truth_reduce_channels_f32(context *c)
{
    for (unsigned round = 0; round < 60 * FG_REDUCE_COUNT; round++) {
        float x[12 * 70], out[2 * 70];
        fg_reduce_channels_f32_args args = {.kind = round % FG_REDUCE_COUNT, .x = x, .out = out, .outer = 2};
        args.count = 1 + random_below(&c->random, 6);
        args.inner = random_below(&c->random, 3) ? 1 + random_below(&c->random, 70) : 1;
        args.select_last = round % 2;
        for (size_t i = 0; i < 2 * args.count * args.inner; i++)
            x[i] = roundf(random_float(&c->random, 4.0f)); /* ties */
        c->ref.reduce_channels_f32(&args);
        for (size_t i = 0; i < 2 * args.inner; i++) {
            const float *column = x + i / args.inner * args.count * args.inner + i % args.inner;
            const double truth = truth_reduce(args.kind, column, args.count, args.inner, args.select_last);
            CHECK(&c->count, near_truth(out[i], truth, 0.5001, 0),
                  "reduce_channels_f32: kind %u count %zu inner %zu: %g, not %g", args.kind, args.count, args.inner,
                  (double)out[i], truth);
        }
    }
}

static void bench_reduce_channels_f32(context *c)
{
    float x[BENCH_COUNT] = {0}, out[64];
    fg_reduce_channels_f32_args args = {FG_REDUCE_MEAN, x, out, 1, BENCH_COUNT, 1, 0};
    BENCH(c, "reduce_channels_f32 inner 1", BENCH_COUNT, c->isa.reduce_channels_f32(&args));
    args.count = BENCH_COUNT / 64, args.inner = 64;
    BENCH(c, "reduce_channels_f32 inner 64", BENCH_COUNT, c->isa.reduce_channels_f32(&args));
}

/* --- gate_u8 --- */
static void check_gate_u8_with(context *c, const fg_kernels *kernels)
{
    for (unsigned round = 0; round < 600; round++) {
        const size_t pixels = random_below(&c->random, round % 2 ? 200 : 70),
                     channels = round % 3 ? 3 : 1 + random_below(&c->random, 4);
        static const uint32_t thresholds[] = {0, 1, 4, 100, 254, 255, 256, 100000};
        const uint32_t threshold = thresholds[random_below(&c->random, 8)];
        const size_t words = (pixels + 63) / 64;
        uint8_t *held = random_bytes(&c->random, pixels * channels),
                *frame = random_bytes(&c->random, pixels * channels);
        const size_t step = 1 + random_below(&c->random, 5); /* keep most pixels near their held values */
        for (size_t i = 0; i < pixels * channels; i++)
            if (i % step) frame[i] = (uint8_t)(held[i] + (uint8_t)random_below(&c->random, 3));
        if (round % 5 == 0) memcpy(frame, held, pixels * channels); /* all but one number is still */
        if (round % 10 == 0 && pixels) frame[random_below(&c->random, pixels * channels)] ^= 0x80;
        outputs out = outputs_make(&c->random, pixels * channels), mask = outputs_make(&c->random, words * 8);
        outputs_copy(&out, held);
        for (size_t i = 0; i < words * 8; i++) mask.ref.data[i] = 0;
        size_t count = 0;
        for (size_t i = 0; i < pixels; i++) { /* the definition */
            uint32_t fires = 0;
            for (size_t k = i * channels; k < (i + 1) * channels; k++)
                fires |= (uint32_t)abs(frame[k] - held[k]) > threshold;
            if (!fires) continue;
            mask.ref.data[i / 8] = (uint8_t)(mask.ref.data[i / 8] | 1u << i % 8);
            memcpy(out.ref.data + i * channels, frame + i * channels, channels);
            count++;
        }
        uint64_t *bits = test_memory(words * 8);
        const fg_gate_u8_args args = {frame, out.isa.data, pixels, channels, threshold, bits};
        const size_t fired = kernels->gate_u8(&args);
        memcpy(mask.isa.data, bits, words * 8);
        CHECK(&c->count, fired == count && outputs_agree(&out) && outputs_agree(&mask),
              "gate_u8 %s: pixels %zu channels %zu threshold %u", c->isa_name, pixels, channels, threshold);
        outputs_free(&out), outputs_free(&mask);
        free(held), free(frame), free(bits);
    }
}

static void check_gate_u8(context *c) { check_gate_u8_with(c, &c->isa); }
static void truth_gate_u8(context *c) { check_gate_u8_with(c, &c->ref); }

static void bench_gate_u8(context *c)
{
    static uint8_t frames[2][640 * 3], held[640 * 3];
    uint64_t mask[10];
    unsigned turn = 0;
    for (size_t i = 0; i < sizeof held; i++) frames[1][i] = i % 6 ? 0 : 9; /* one number in every other pixel */
    fg_gate_u8_args args = {frames[0], held, 640, 3, 4, mask};
    BENCH(c, "gate_u8 3 channels, quiet", 640, c->isa.gate_u8(&args));
    BENCH(c, "gate_u8 3 channels, half", 640, (args.frame = frames[turn++ % 2], c->isa.gate_u8(&args)));
}

/* --- normalize_u8 --- */
static void check_normalize_u8_with(context *c, const fg_kernels *kernels)
{
    static const uint32_t orders[][4] = {{0, 1, 2, 3}, {2, 1, 0, 3}, {3, 0, 1, 2}, {1, 1, 0, 2}};
    for (unsigned round = 0; round < 400; round++) {
        const size_t pixels = random_below(&c->random, 200), channels = round % 3 ? 3 : 1 + random_below(&c->random, 4);
        const size_t share = 1 + random_below(&c->random, 60);
        uint32_t order[4];
        float mean[4], scale[4];
        for (size_t k = 0; k < 4; k++) {
            order[k] = orders[round % 4][k] % (uint32_t)channels;
            mean[k] = random_float(&c->random, 128.0f), scale[k] = random_float(&c->random, 1.0f);
        }
        uint8_t *x = random_bytes(&c->random, pixels * channels);
        uint64_t *mask = test_memory((pixels + 63) / 64 * sizeof *mask);
        for (size_t i = 0; i < (pixels + 63) / 64; i++) mask[i] = 0;
        for (size_t i = 0; i < pixels; i++)
            if (random_below(&c->random, share) == 0) mask[i / 64] |= (uint64_t)1 << i % 64;
        outputs out = outputs_make(&c->random, pixels * channels * sizeof(float));
        for (size_t i = 0; i < pixels * channels; i++) AS_FLOATS(out.ref)[i] = AS_FLOATS(out.isa)[i] = 1e9f;
        for (size_t i = 0; i < pixels * channels; i++) {
            const size_t k = i % channels, first = i / channels / 8 * 8;
            if (mask[first / 64] >> first % 64 & 0xFF)
                AS_FLOATS(out.ref)[i] = ((float)x[i - k + order[k]] - mean[k]) * scale[k];
        }
        const fg_normalize_u8_args args = {x, AS_FLOATS(out.isa), pixels, channels, mask, order, mean, scale};
        kernels->normalize_u8(&args);
        CHECK(&c->count, outputs_agree(&out), "normalize_u8 %s: pixels %zu channels %zu order %u%u%u share %zu",
              c->isa_name, pixels, channels, order[0], order[1], order[2], share);
        outputs_free(&out);
        free(x), free(mask);
    }
}

static void check_normalize_u8(context *c) { check_normalize_u8_with(c, &c->isa); }
static void truth_normalize_u8(context *c) { check_normalize_u8_with(c, &c->ref); }

static void bench_normalize_u8(context *c)
{
    static uint8_t x[640 * 3];
    static float out[640 * 3];
    uint64_t all[10], some[10];
    const uint32_t order[3] = {2, 1, 0};
    const float mean[3] = {1.0f, 2.0f, 3.0f}, scale[3] = {0.5f, 0.25f, 0.125f};
    for (size_t i = 0; i < 10; i++) all[i] = ~(uint64_t)0, some[i] = (uint64_t)1 << i * 5;
    fg_normalize_u8_args args = {x, out, 640, 3, all, order, mean, scale};
    BENCH(c, "normalize_u8 3 channels", 640, c->isa.normalize_u8(&args));
    args.mask = some;
    BENCH(c, "normalize_u8 10 scattered", 10, c->isa.normalize_u8(&args));
}

/* --- resize_row_u8 --- */
enum { RESIZE_PIXELS = 400 };

/* A row's way from width columns: as they are, halved, a stretch as frames have it, or anything a table may say. */
static void random_columns(test_random *random, size_t width, size_t channels, fg_resize_row_u8_args *args,
                           uint32_t *starts, uint16_t *weights)
{
    const int even = random_below(random, 2) == 0;
    uint32_t last = 0;
    if (args->columns == FG_COLUMNS_SAME) args->pixels = width;
    if (args->columns == FG_COLUMNS_HALVED) args->pixels = width / 2;
    for (size_t i = 0; i < args->pixels; i++) {
        if (args->columns == FG_COLUMNS_SAME) {
            last = (uint32_t)i, weights[i] = 0;
        } else if (args->columns == FG_COLUMNS_HALVED) {
            last = (uint32_t)i * 2, weights[i] = 1024;
        } else if (even) {
            last = (uint32_t)(i * width / args->pixels), weights[i] = (uint16_t)(i * 777 % 2049);
        } else {
            const size_t most = width / args->pixels * 2 + 1, left = width - last;
            last += (uint32_t)random_below(random, left < most ? left : most);
            weights[i] = (uint16_t)(i % 4 ? random_below(random, 2049) : i % 8 * 512);
        }
        starts[i] = last * (uint32_t)channels;
    }
    args->starts = starts, args->weights = weights, args->row_bytes = width * channels;
    if (args->columns == FG_COLUMNS_HALVED) args->row_bytes = args->pixels * 2 * channels;
}

static void check_resize_row_u8_with(context *c, const fg_kernels *kernels)
{
    static uint32_t starts[RESIZE_PIXELS];
    static uint16_t weights[RESIZE_PIXELS];
    static const uint32_t row_weights[] = {0, 2048, 1024, 1, 2047};
    for (unsigned round = 0; round < 900; round++) {
        test_random *random = &c->random;
        const size_t channels = round % 4 ? 3 : 1 + random_below(random, 4), width = 1 + random_below(random, 300);
        fg_resize_row_u8_args args = {.columns = (fg_columns)(round % 3),
                                      .channels = channels,
                                      .pixels = random_below(random, round % 5 ? 60 : RESIZE_PIXELS),
                                      .row_weight = round % 2 ? (uint32_t)random_below(random, 2049)
                                                              : row_weights[random_below(random, 5)]};
        random_columns(random, width, channels, &args, starts, weights);
        uint8_t *top = random_bytes(random, args.row_bytes), *bottom = random_bytes(random, args.row_bytes);
        if (round % 7 == 0) memset(top, 255, args.row_bytes), memset(bottom, round % 2 ? 255 : 0, args.row_bytes);
        outputs out = outputs_make(random, args.pixels * channels);
        for (size_t i = 0; i < args.pixels * channels; i++) { /* the definition */
            const size_t j = i / channels, l = starts[j] + i % channels;
            const size_t r = starts[j] + channels < args.row_bytes ? l + channels : l;
            const uint64_t v = weights[j], w = args.row_weight;
            const uint64_t a = top[l] * (2048 - v) + top[r] * v, b = bottom[l] * (2048 - v) + bottom[r] * v;
            out.ref.data[i] = (uint8_t)((a * (2048 - w) + b * w + (1u << 21)) >> 22);
        }
        args.top = top, args.bottom = bottom, args.out = out.isa.data;
        kernels->resize_row_u8(&args);
        CHECK(&c->count, outputs_agree(&out),
              "resize_row_u8 %s: columns %d pixels %zu channels %zu width %zu row weight %u", c->isa_name,
              (int)args.columns, args.pixels, channels, width, args.row_weight);
        outputs_free(&out);
        free(top), free(bottom);
    }
}

static void check_resize_row_u8(context *c) { check_resize_row_u8_with(c, &c->isa); }
static void truth_resize_row_u8(context *c) { check_resize_row_u8_with(c, &c->ref); }

static void bench_resize_row_u8(context *c)
{
    static uint8_t top[640 * 3], bottom[640 * 3], out[640 * 3];
    static uint32_t starts[416];
    static uint16_t weights[416];
    for (uint32_t i = 0; i < 416; i++) starts[i] = i * 20 / 13 * 3, weights[i] = (uint16_t)(i * 631 % 2048);
    fg_resize_row_u8_args args = {top, bottom, 640 * 3, 683, FG_COLUMNS_SAME, starts, weights, 640, 3, out};
    BENCH(c, "resize_row_u8 same", 640, c->isa.resize_row_u8(&args));
    args.columns = FG_COLUMNS_HALVED, args.pixels = 320;
    BENCH(c, "resize_row_u8 halved", 320, c->isa.resize_row_u8(&args));
    args.columns = FG_COLUMNS_LISTED, args.pixels = 416;
    BENCH(c, "resize_row_u8 listed", 416, c->isa.resize_row_u8(&args));
    args.row_weight = 0;
    BENCH(c, "resize_row_u8 listed, one row", 416, c->isa.resize_row_u8(&args));
}

#endif
