/* test_depthwise_rows.h: the part of test_kernels.c about depthwise_rows_f32. Its twin is depthwise_f32's, given the
 * taps that lie inside. */
#ifndef FG_TESTS_TEST_DEPTHWISE_ROWS_H
#define FG_TESTS_TEST_DEPTHWISE_ROWS_H

enum { MOST_PIECES = 5, MOST_SIDE = 20, MOST_WINDOW = 25 };

/* Pieces of a map of out_rows x out_cols results, one after the other in out; often one below the other. Returns how
 * many pixels they have. */
static size_t make_pieces(test_random *random, size_t count, size_t out_rows, size_t out_cols,
                          fg_depthwise_piece *pieces)
{
    size_t total = 0;
    for (size_t k = 0; k < count; k++) {
        fg_depthwise_piece *piece = &pieces[k];
        if (k && piece[-1].row + 1 < out_rows && random_below(random, 3)) {
            *piece = piece[-1];
            piece->row++;
        } else {
            piece->row = (uint32_t)random_below(random, out_rows);
            piece->col = random_below(random, 2) ? (uint32_t)random_below(random, out_cols) : 0;
            piece->pixels = out_cols - piece->col;
            if (random_below(random, 2)) piece->pixels = 1 + random_below(random, piece->pixels);
        }
        total += piece->pixels;
    }
    return total;
}

/* A piece's results by the twin, pixel by pixel, to out. */
static void twin_piece(context *c, const fg_depthwise_rows_f32_args *args, const fg_depthwise_piece *piece, float *out)
{
    for (size_t i = 0; i < piece->pixels; i++, out += args->out_stride) {
        const ptrdiff_t top = (ptrdiff_t)(piece->row * args->stride) - (ptrdiff_t)args->pad_top,
                        left = (ptrdiff_t)((piece->col + i) * args->stride) - (ptrdiff_t)args->pad_left;
        fg_tap taps[MOST_WINDOW];
        fg_depthwise_run run = {args->x, taps, 0, 1, out};
        for (size_t t = 0; t < args->size * args->size; t++) {
            const ptrdiff_t row = top + (ptrdiff_t)(t / args->size), col = left + (ptrdiff_t)(t % args->size);
            if (row < 0 || col < 0 || row >= (ptrdiff_t)args->rows || col >= (ptrdiff_t)args->cols) continue;
            taps[run.tap_count].x = (row * (ptrdiff_t)args->cols + col) * (ptrdiff_t)args->x_stride;
            taps[run.tap_count++].weights = t * args->channels;
        }
        const fg_depthwise_f32_args one = {
            &run, 1, 0, args->channels, args->weights, args->bias, args->finish, args->out_stride};
        c->ref.depthwise_f32(&one);
    }
}

static void check_depthwise_rows_f32(context *c)
{
    for (unsigned round = 0; round < 600 && c->isa.depthwise_rows_f32; round++) {
        test_random *random = &c->random;
        const fill_kind kind = (fill_kind)(round % FILL_COUNT);
        fg_depthwise_piece pieces[MOST_PIECES];
        fg_depthwise_rows_f32_args args = {.size = round % 2 && c->isa.rows_least == 3 ? 3 : 5, .pieces = pieces};
        args.rows = 1 + random_below(random, MOST_SIDE), args.cols = 1 + random_below(random, MOST_SIDE);
        args.stride = 1 + random_below(random, 2);
        args.pad_top = random_below(random, args.size), args.pad_left = random_below(random, args.size);
        args.channels = FG_DEPTHWISE_LEAST + random_below(random, 60);
        args.x_stride = args.channels + random_below(random, 5);
        args.out_stride = args.channels + random_below(random, 5);
        args.piece_count = random_below(random, MOST_PIECES + 1);
        const size_t taps = args.size * args.size;
        float *x = random_floats(random, (args.rows * args.cols - 1) * args.x_stride + args.channels, kind),
              *weights = random_floats(random, taps * args.channels, kind),
              *bias = random_below(random, 2) ? random_bias(random, args.channels, kind) : NULL;
        args.x = x, args.weights = weights, args.bias = bias;
        args.finish = random_finish(random, bias);
        /* as many results as windows begin in the map and its padding: some have taps outside on both sides */
        const size_t total = make_pieces(random, args.piece_count, (args.rows + args.pad_top - 1) / args.stride + 1,
                                         (args.cols + args.pad_left - 1) / args.stride + 1, pieces);
        outputs out = outputs_make(random, total ? ((total - 1) * args.out_stride + args.channels) * sizeof(float) : 0);
        size_t done = 0;
        for (size_t k = 0; k < args.piece_count; done += pieces[k++].pixels) {
            pieces[k].out = AS_FLOATS(out.isa) + done * args.out_stride;
            twin_piece(c, &args, &pieces[k], AS_FLOATS(out.ref) + done * args.out_stride);
        }
        c->isa.depthwise_rows_f32(&args);
        CHECK(&c->count, outputs_agree(&out),
              "depthwise_rows_f32 %s: %zux%zu stride %zu map %zux%zu pads %zu %zu pieces %zu channels %zu fill %d",
              c->isa_name, args.size, args.size, args.stride, args.rows, args.cols, args.pad_top, args.pad_left,
              args.piece_count, args.channels, (int)kind);
        outputs_free(&out);
        free(x), free(weights), free(bias);
    }
}

static void truth_depthwise_rows_f32(context *c)
{
    CHECK(&c->count, c->ref.depthwise_rows_f32 == NULL, "depthwise_rows_f32: runs do without vectors");
}

/* Whole maps, edges and all. */
static void bench_depthwise_rows_f32(context *c)
{
    static const size_t shapes[][4] = {
        {3, 1, 28, 192}, {3, 1, 7, 960},  {3, 2, 14, 576}, {5, 1, 28, 64},
        {5, 1, 14, 240}, {5, 1, 7, 1152}, {5, 2, 14, 672}}; /* size, stride, side, channels */
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes && c->isa.depthwise_rows_f32; s++) {
        const size_t size = shapes[s][0], stride = shapes[s][1], side = shapes[s][2], channels = shapes[s][3];
        const size_t results = (side + stride - 1) / stride;
        if (size < c->isa.rows_least) continue;
        void *memory[3];
        float *x = aligned_floats(&c->random, side * side * channels, FILL_PLAIN, &memory[0]);
        float *weights = aligned_floats(&c->random, size * size * channels, FILL_PLAIN, &memory[1]);
        float *out = aligned_floats(&c->random, results * results * channels, FILL_PLAIN, &memory[2]);
        fg_depthwise_piece pieces[28];
        for (size_t r = 0; r < results; r++)
            pieces[r] = (fg_depthwise_piece){(uint32_t)r, 0, results, out + r * results * channels};
        const fg_depthwise_rows_f32_args args = {.x = x,
                                                 .rows = side,
                                                 .cols = side,
                                                 .x_stride = channels,
                                                 .channels = channels,
                                                 .size = size,
                                                 .stride = stride,
                                                 .pad_top = size / 2,
                                                 .pad_left = size / 2,
                                                 .weights = weights,
                                                 .bias = weights, /* any bias */
                                                 .pieces = pieces,
                                                 .piece_count = results,
                                                 .out_stride = channels};
        const double work = 2.0 * (double)(results * results * size * size * channels);
        double best = 1e9;
        for (unsigned run = 0; run < 20; run++) {
            const unsigned repeats = 1 + (unsigned)(3e6 / work);
            const double start = seconds();
            for (unsigned i = 0; i < repeats; i++) c->isa.depthwise_rows_f32(&args);
            best = fmin(best, (seconds() - start) / repeats);
        }
        printf("%-8s depthwise_rows_f32  %zux%zu stride %zu map %2zux%-2zu channels %4zu   %8.2f GFLOP/s\n",
               c->isa_name, size, size, stride, side, side, channels, work / best * 1e-9);
        free(memory[0]), free(memory[1]), free(memory[2]);
    }
}

#endif
