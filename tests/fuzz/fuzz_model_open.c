/* fuzz_model_open.c: opens arbitrary bytes as a model, as they are and with header sums mended (otherwise hardly any
 * input would get past the checksum), and reads everything that an opened model tells. Link with libFuzzer, or with
 * replay.c. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../runtime/engine/include/framegate.h"

enum { HEADER_BYTES = 64, FILE_BYTES_AT = 16, CHECKSUM_AT = 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t sink; /* keeps the reads */

static void mend_header(uint8_t *file, size_t bytes)
{
    const uint64_t file_bytes = bytes;
    uint32_t a = 0, b = 0;
    for (size_t i = HEADER_BYTES; i < bytes; i += 4) {
        uint32_t word = 0;
        memcpy(&word, file + i, bytes - i < 4 ? bytes - i : 4);
        a += word;
        b += a;
    }
    const uint64_t checksum = (uint64_t)b << 32 | a;
    memcpy(file + FILE_BYTES_AT, &file_bytes, sizeof file_bytes);
    memcpy(file + CHECKSUM_AT, &checksum, sizeof checksum);
}

static void open_and_read(const uint8_t *file, size_t bytes)
{
    fg_model model;
    fg_error error;
    if (fg_model_open(&model, file, bytes, &error) != FG_OK) {
        sink += strlen(error.message);
        return;
    }
    for (uint32_t i = 0; i < fg_model_input_count(&model); i++) {
        fg_input_info info;
        if (fg_model_input_info(&model, i, &info) == FG_OK) sink += strlen(info.name) + info.channels;
    }
    for (uint32_t i = 0; i < fg_model_output_count(&model); i++) {
        fg_output_info info;
        if (fg_model_output_info(&model, i, &info) == FG_OK) sink += strlen(info.name) + (size_t)info.stride_bytes[0];
    }
    for (uint32_t i = 0; i < fg_model_node_count(&model); i++) {
        fg_node_info info;
        if (fg_model_node_info(&model, i, &info) == FG_OK)
            sink += strlen(info.name) + strlen(info.op) + (size_t)info.macs;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = calloc(size > 0 ? size : 1, 1); /* of exactly this size: a sanitizer sees every byte read beyond */
    if (file == NULL) return 0;
    if (size > 0) memcpy(file, data, size);
    open_and_read(file, size);
    if (size >= HEADER_BYTES) {
        mend_header(file, size);
        open_and_read(file, size);
    }
    free(file);
    return 0;
}
