/* golden.c: see golden.h. Integer arithmetic only, so that frames are the same everywhere. */
#include "golden.h"

#include <string.h>

#include "text.h"

enum { FRAMES = 14, REFRESH = 5, MAX_INPUTS = 16 };

/* --- the line --- */
static void put_sum(text *out, const char *name, uint64_t sum)
{
    put(out, ", \"");
    put(out, name);
    put(out, "\": \"");
    put_number(out, sum, 16);
    put(out, "\"");
}

static int fail(text *out, const char *what)
{
    put(out, "{\"error\": \"");
    put(out, what);
    put(out, "\"}");
    return 1;
}

/* --- frames --- */
static uint32_t mixed(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return x ^ x >> 16;
}

/* A fixed noisy background, a textured block that moves over it, now and then a pixel of noise; every 4th is still. */
static void make_frame(uint8_t *pixels, uint32_t height, uint32_t width, uint32_t channels, uint32_t time)
{
    const uint32_t step = time - time / 4, side_y = height / 4 + 1, side_x = width / 4 + 1;
    const uint32_t top = step * 3 % height, left = step * 2 % width;
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            const uint32_t inside = y - top < side_y && x - left < side_x;
            const uint32_t key = inside ? (y - top) << 16 | (x - left) : 0x80000000u | y << 16 | x;
            const uint32_t noise = mixed(key ^ step << 8) % 97 == 0;
            for (uint32_t c = 0; c < channels; c++) {
                *pixels++ = (uint8_t)((mixed(key + c * 0x01000193u) >> 8 & 0x7F) + noise * 3 + inside * 100);
            }
        }
    }
}

/* --- checksums: FNV-1a --- */
static uint64_t add_bytes(uint64_t sum, const void *bytes, size_t count)
{
    const uint8_t *p = bytes;
    while (count-- > 0) sum = (sum ^ *p++) * 0x100000001B3u;
    return sum;
}

static size_t tensor_bytes(const fg_output_info *info)
{
    const size_t sizes[] = {0, 1, 1, 4, 4, 8, 1};
    size_t bytes = sizes[info->dtype];
    for (uint32_t i = 0; i < info->rank; i++) bytes += (size_t)info->stride_bytes[i] * (info->shape[i] - 1);
    return bytes;
}

/* --- memory --- */
typedef struct bench {
    fg_model model;
    fg_frame frames[MAX_INPUTS];
    uint32_t inputs, outputs;
    uint8_t *mask;
    size_t mask_bytes, used;
    fg_plan plan;
    fg_memory memory;
} bench;

static void *take(bench *b, uint8_t *arena, size_t bytes)
{
    void *taken = arena ? arena + b->used : NULL;
    b->used += (bytes + FG_MEMORY_ALIGN - 1) / FG_MEMORY_ALIGN * FG_MEMORY_ALIGN;
    return taken;
}

/* With arena NULL it only measures. A frame that will be resized has another size than the network's input. */
static fg_status lay_out(bench *b, const void *file, size_t file_bytes, uint8_t *arena, fg_error *error)
{
    fg_config config;
    memset(b, 0, sizeof *b);
    fg_config_init(&config);
    fg_status status = fg_model_open(&b->model, file, file_bytes, error);
    for (config.gating = 0; config.gating < 2 && status == FG_OK; config.gating++) { /* dense streams may take more */
        fg_plan plan = {0};
        status = fg_plan_memory(&b->model, &config, &plan, error);
        if (plan.state_bytes > b->plan.state_bytes) b->plan.state_bytes = plan.state_bytes;
        if (plan.scratch_bytes > b->plan.scratch_bytes) b->plan.scratch_bytes = plan.scratch_bytes;
    }
    if (status != FG_OK) return status;
    b->inputs = fg_model_input_count(&b->model);
    b->outputs = fg_model_output_count(&b->model);
    for (uint32_t i = 0; i < b->inputs; i++) {
        fg_input_info info;
        fg_model_input_info(&b->model, i, &info);
        const uint32_t height = info.height + (info.resized ? info.height / 2 : 0);
        const uint32_t width = info.width + (info.resized ? info.width / 2 : 0);
        const size_t row = (size_t)width * info.channels;
        const fg_frame frame = {take(b, arena, row * height), row, height, width, info.channels, FG_DTYPE_U8};
        b->frames[i] = frame;
    }
    for (uint32_t i = 0; i < b->outputs; i++) {
        fg_output_info info;
        fg_model_output_info(&b->model, i, &info);
        const size_t bytes = (size_t)info.rows * info.cols;
        if (bytes > b->mask_bytes) b->mask_bytes = bytes;
    }
    b->mask = take(b, arena, b->mask_bytes);
    const fg_memory memory = {take(b, arena, b->plan.state_bytes), b->plan.state_bytes,
                              take(b, arena, b->plan.scratch_bytes), b->plan.scratch_bytes};
    b->memory = memory;
    return FG_OK;
}

/* --- runs --- */
static fg_status push_frames(bench *b, fg_stream *stream, uint64_t *outputs, uint64_t *masks, fg_error *error)
{
    *outputs = *masks = 0xCBF29CE484222325u;
    for (uint32_t time = 0; time < FRAMES; time++) {
        for (uint32_t i = 0; i < b->inputs; i++) {
            const fg_frame *frame = &b->frames[i];
            uint8_t *pixels;
            memcpy(&pixels, &frame->data, sizeof pixels);
            make_frame(pixels, frame->height, frame->width, frame->channels, time + i);
        }
        const fg_status status = fg_stream_push(stream, b->frames, b->inputs, error);
        if (status != FG_OK) return status;
        for (uint32_t i = 0; i < b->outputs; i++) {
            fg_tensor tensor;
            fg_stream_output(stream, i, &tensor);
            const size_t pixels = (size_t)tensor.info.rows * tensor.info.cols;
            *outputs = add_bytes(*outputs, tensor.data, tensor_bytes(&tensor.info));
            fg_stream_output_mask(stream, i, b->mask, pixels);
            *masks = add_bytes(*masks, b->mask, pixels);
        }
    }
    return FG_OK;
}

int golden_run(const void *file, size_t file_bytes, uint32_t isa_mask, void *arena, size_t arena_bytes,
               char line[GOLDEN_LINE])
{
    static const char *const names[] = {"dense", "exact", "gated"};
    static const char *const mask_names[] = {"dense_masks", "exact_masks", "gated_masks"};
    static const char *const mac_names[] = {"dense_macs", "exact_macs", "gated_macs"};
    text out = {line, line + GOLDEN_LINE};
    fg_error error;
    bench b;
    if (lay_out(&b, file, file_bytes, arena, &error) != FG_OK) return fail(&out, error.message);
    if (b.used > arena_bytes) return fail(&out, "the arena is too small");
    put(&out, "{\"isa\": \"");
    put(&out, fg_isa_name(isa_mask));
    put(&out, "\"");
    put_field(&out, "state_bytes", b.plan.state_bytes);
    put_field(&out, "scratch_bytes", b.plan.scratch_bytes);
    for (uint32_t mode = 0; mode < 3; mode++) {
        fg_config config;
        fg_stream *stream;
        fg_stats stats;
        uint64_t outputs, masks;
        fg_config_init(&config);
        config.isa_mask = isa_mask;
        config.gating = mode > 0;
        config.threshold_scale = mode == 1 ? 0.0f : 1.0f;
        config.refresh_interval = REFRESH;
        if (fg_stream_init(&stream, &b.model, &config, &b.memory, &error) != FG_OK ||
            push_frames(&b, stream, &outputs, &masks, &error) != FG_OK)
            return out.at = line, fail(&out, error.message);
        fg_stream_stats(stream, FG_NONE, &stats);
        put_sum(&out, names[mode], outputs);
        put_sum(&out, mask_names[mode], masks);
        put_field(&out, mac_names[mode], stats.macs_total);
    }
    put(&out, "}");
    return 0;
}

size_t golden_arena_bytes(const void *file, size_t file_bytes)
{
    bench b;
    fg_error error;
    return lay_out(&b, file, file_bytes, NULL, &error) == FG_OK ? b.used : 0;
}
