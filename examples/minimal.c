/* minimal.c: opens a model, pushes made frames, prints what was skipped. Build (any C11 compiler):
 *     cc -O3 -ffp-contract=off -Iruntime/engine/include examples/minimal.c \
 *         $(find runtime/engine/src -name "*.c") -lpthread -lm
 * or, with the C package installed (docs/porting.md):
 *     cc minimal.c $(pkg-config --cflags --libs framegate) -o minimal
 */
#include <framegate.h>

#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments)
{
    FILE *file = count > 1 ? fopen(arguments[1], "rb") : NULL;
    if (!file) return puts("usage: minimal MODEL.fgm"), 2;
    fseek(file, 0, SEEK_END);
    const size_t bytes = (size_t)ftell(file);
    void *model_bytes = malloc(bytes); /* on a board: the model lies in flash, or is mapped */
    rewind(file);
    if (!model_bytes || fread(model_bytes, 1, bytes, file) != bytes) return puts("cannot read the model"), 2;
    fclose(file);

    fg_model model;
    fg_config config;
    fg_plan plan;
    fg_stream *stream;
    fg_input_info input;
    fg_error error;
    fg_config_init(&config);
    if (fg_model_open(&model, model_bytes, bytes, &error) || fg_plan_memory(&model, &config, &plan, &error))
        return puts(error.message), 2;
    fg_memory memory = {aligned_alloc(64, plan.state_bytes), plan.state_bytes, aligned_alloc(64, plan.scratch_bytes),
                        plan.scratch_bytes};
    if (fg_stream_init(&stream, &model, &config, &memory, &error)) return puts(error.message), 2;
    fg_model_input_info(&model, 0, &input);

    const size_t row = (size_t)input.width * input.channels;
    uint8_t *pixels = calloc(input.height, row); /* uint8 frames in the network's size suit every input of an image */
    fg_frame frame = {pixels, row, input.height, input.width, input.channels, FG_DTYPE_U8};
    for (uint32_t i = 0; pixels && i < 10; i++) {
        pixels[i % input.height * row + i % row] = 255; /* one channel of one pixel changes */
        fg_tensor output;
        fg_stats stats;
        if (fg_stream_push(stream, &frame, 1, &error)) return puts(error.message), 2;
        fg_stream_output(stream, 0, &output);
        fg_stream_stats(stream, FG_NONE, &stats);
        printf("frame %u: %s at %p, %.1f %% of MACs skipped\n", i, output.info.name, output.data,
               100.0 - 100.0 * (double)stats.macs / (double)stats.macs_dense);
    }
    return 0;
}
