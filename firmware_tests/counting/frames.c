/* frames.c: pushes frames through a network and marks each push for counter.c.
 *
 *     frames NET.fgm FRAMES DTYPE HEIGHT WIDTH CHANNELS [GATING]
 *
 * FRAMES holds frames of DTYPE (u8 or f32) one behind the other, pushed in order; GATING 0: every frame is dense. Mark
 * i stands behind push i; what is counted between i - 1 and i is push i alone, the outputs' lines not included. Prints
 * per push the multiply-accumulates and the FNV-1a hash of all outputs' bytes. One thread. */
#define _GNU_SOURCE /* prctl */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "framegate.h"

enum { MARK = 0x66676d6b, SETUP = 1000000 };

static void *read_file(const char *name, size_t *bytes)
{
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END)) return NULL;
    *bytes = (size_t)ftell(file);
    rewind(file);
    void *data = aligned_alloc(64, (*bytes + 63) / 64 * 64);
    if (data && fread(data, 1, *bytes, file) != *bytes) data = NULL;
    fclose(file);
    return data;
}

static uint64_t hash_outputs(const fg_model *model, const fg_stream *stream)
{
    uint64_t hash = 14695981039346656037u;
    for (uint32_t i = 0; i < fg_model_output_count(model); i++) {
        fg_tensor tensor;
        if (fg_stream_output(stream, i, &tensor) != FG_OK) return 0;
        size_t bytes = tensor.info.rank ? 0 : 4;
        for (uint32_t d = 0; d < tensor.info.rank; d++) { /* the tensor's extent in memory */
            const size_t reach = (size_t)(tensor.info.shape[d] * tensor.info.stride_bytes[d]);
            if (reach > bytes) bytes = reach;
        }
        for (size_t b = 0; b < bytes; b++) hash = (hash ^ ((const uint8_t *)tensor.data)[b]) * 1099511628211u;
    }
    return hash;
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "frames: %s: %s\n", what, why);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 7) return fail("usage", "frames NET.fgm FRAMES u8|f32 HEIGHT WIDTH CHANNELS [GATING]");
    const uint32_t bytes = strcmp(argv[3], "u8") == 0 ? 1 : 4;
    const uint32_t height = (uint32_t)atoi(argv[4]), width = (uint32_t)atoi(argv[5]),
                   channels = (uint32_t)atoi(argv[6]);
    size_t net_bytes = 0, frame_bytes = 0;
    void *net = read_file(argv[1], &net_bytes);
    uint8_t *frames = read_file(argv[2], &frame_bytes);
    if (!net || !frames) return fail(net ? argv[2] : argv[1], "cannot be read");
    fg_model model;
    fg_error error;
    fg_config config;
    fg_plan plan;
    fg_stream *stream;
    fg_config_init(&config);
    config.gating = argc < 8 || atoi(argv[7]);
    if (fg_model_open(&model, net, net_bytes, &error) != FG_OK) return fail(argv[1], error.message);
    if (fg_plan_memory(&model, &config, &plan, &error) != FG_OK) return fail(argv[1], error.message);
    fg_memory memory = {.state_bytes = (plan.state_bytes + 63) / 64 * 64,
                        .scratch_bytes = (plan.scratch_bytes + 63) / 64 * 64};
    memory.state = aligned_alloc(64, memory.state_bytes);
    memory.scratch = aligned_alloc(64, memory.scratch_bytes);
    if (fg_stream_init(&stream, &model, &config, &memory, &error) != FG_OK) return fail(argv[1], error.message);
    const size_t one = (size_t)height * width * channels * bytes;
    printf("isa %s state %zu scratch %zu\n", fg_isa_name(config.isa_mask), plan.state_bytes, plan.scratch_bytes);
    for (uint32_t i = 0; (i + 1) * one <= frame_bytes; i++) {
        const fg_frame frame = {
            frames + i * one, one / height, height, width, channels, bytes == 1 ? FG_DTYPE_U8 : FG_DTYPE_F32};
        fg_stats stats;
        prctl(MARK, SETUP + i, 0, 0, 0);
        if (fg_stream_push(stream, &frame, 1, &error) != FG_OK) return fail("push", error.message);
        prctl(MARK, i, 0, 0, 0);
        fg_stream_stats(stream, FG_NONE, &stats);
        printf("push %" PRIu32 " macs %" PRIu64 " of %" PRIu64 " hash %016" PRIx64 "\n", i, stats.macs,
               stats.macs_dense, hash_outputs(&model, stream));
    }
    return 0;
}
