/* test_float_frames.h: checks and timings of the kernels on frames of floats, for test_kernels.c. */

/* --- finite_f32 --- */
static void check_finite_f32_with(context *c, const fg_kernels *kernels)
{
    static const uint32_t strange[] = {0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF};
    static const uint32_t largest[] = {0x7F7FFFFF, 0xFF7FFFFF, 0x00000001, 0x80000000, 0x007FFFFF};
    for (unsigned round = 0; round < 600; round++) {
        const size_t count = random_below(&c->random, 200);
        float *x = random_floats(&c->random, count + 1, FILL_PLAIN);
        for (size_t i = 0; i < count; i++)
            if (random_below(&c->random, 3) == 0) memcpy(&x[i], &largest[random_below(&c->random, 5)], 4);
        memcpy(&x[count], &strange[0], 4); /* what lies behind does not count */
        CHECK(&c->count, kernels->finite_f32(x, count), "finite_f32 %s: all of %zu are", c->isa_name, count);
        if (count) {
            const size_t at = random_below(&c->random, count);
            const uint32_t bits = strange[random_below(&c->random, 6)];
            memcpy(&x[at], &bits, 4);
            CHECK(&c->count, !kernels->finite_f32(x, count), "finite_f32 %s: %08x at %zu of %zu", c->isa_name, bits, at,
                  count);
        }
        free(x);
    }
}

static void check_finite_f32(context *c) { check_finite_f32_with(c, &c->isa); }
static void truth_finite_f32(context *c) { check_finite_f32_with(c, &c->ref); }

static void bench_finite_f32(context *c)
{
    enum { COUNT = 640 * 3 };
    float *x = random_floats(&c->random, COUNT, FILL_PLAIN);
    BENCH(c, "finite_f32", COUNT, c->isa.finite_f32(x, COUNT));
    free(x);
}

/* --- gate_f32 --- */
static void check_gate_f32_with(context *c, const fg_kernels *kernels)
{
    static const float thresholds[] = {0.0f, 0.0f, 0.015625f, 0.5f, 2.0f};
    for (unsigned round = 0; round < 600; round++) {
        test_random *random = &c->random;
        const size_t pixels = random_below(random, round % 2 ? 200 : 70);
        const size_t channels = round % 3 ? 3 : random_below(random, 9) ? 1 + random_below(random, 8) : 130;
        const size_t numbers = pixels * channels, words = (pixels + 63) / 64;
        const float threshold = thresholds[random_below(random, 5)];
        float *held = random_floats(random, numbers + 1, FILL_PLAIN), *frame = test_memory(4 * (numbers + 1));
        float *expected = test_memory(4 * (numbers + 1));
        uint64_t *bits = test_memory(words * 8 + 8), *mask = test_memory(words * 8 + 8);
        memcpy(frame, held, 4 * (numbers + 1));
        for (size_t i = 0; i < numbers && round % 7; i++) { /* just the threshold, more, the other zero, one bit */
            const size_t kind = random_below(random, round % 5 ? 12 : 60);
            if (kind == 0) held[i] = 1.0f, frame[i] = 1.0f + threshold;
            if (kind == 1) frame[i] = held[i] - 3.0f;
            if (kind == 2) held[i] = 0.0f, frame[i] = -0.0f;
            if (kind == 3) frame[i] = nextafterf(held[i], 0.0f);
        }
        memcpy(expected, held, 4 * (numbers + 1));
        memset(mask, 0, words * 8);
        memset(bits, 0xA5, words * 8);
        size_t count = 0;
        for (size_t i = 0; i < pixels; i++) { /* the definition */
            uint32_t fires = 0;
            for (size_t k = i * channels; k < (i + 1) * channels; k++)
                fires |= threshold > 0.0f ? fabsf(frame[k] - held[k]) > threshold : memcmp(frame + k, held + k, 4) != 0;
            if (!fires) continue;
            mask[i / 64] |= (uint64_t)1 << i % 64;
            memcpy(expected + i * channels, frame + i * channels, 4 * channels);
            count++;
        }
        const fg_gate_f32_args args = {frame, held, pixels, channels, threshold, bits};
        const size_t fired = kernels->gate_f32(&args);
        CHECK(&c->count, fired == count && !memcmp(bits, mask, words * 8) && !memcmp(held, expected, 4 * (numbers + 1)),
              "gate_f32 %s: pixels %zu channels %zu threshold %g", c->isa_name, pixels, channels, (double)threshold);
        free(held), free(frame), free(expected), free(bits), free(mask);
    }
}

static void check_gate_f32(context *c) { check_gate_f32_with(c, &c->isa); }
static void truth_gate_f32(context *c) { check_gate_f32_with(c, &c->ref); }

static void bench_gate_f32(context *c)
{
    static float frames[2][640 * 3], held[640 * 3];
    uint64_t mask[10];
    unsigned turn = 0;
    for (size_t i = 0; i < 640 * 3; i++) frames[1][i] = i % 6 ? 0.0f : 9.0f; /* one number in every other pixel */
    fg_gate_f32_args args = {frames[0], held, 640, 3, 4.0f, mask};
    BENCH(c, "gate_f32 3 channels, quiet", 640, c->isa.gate_f32(&args));
    BENCH(c, "gate_f32 3 channels, half", 640, (args.frame = frames[turn++ % 2], c->isa.gate_f32(&args)));
}
