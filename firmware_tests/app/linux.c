/* linux.c: golden_run on files, for hosted systems.
 *
 * usage: golden [--ref] FILE.fgm ...      one line of JSON per file
 *        golden --cpu                     what the kernel says this machine has, and which kernels were chosen */
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif

static int print_cpu(void)
{
    unsigned long capabilities = 0, capabilities2 = 0;
#if defined(__linux__)
    capabilities = getauxval(AT_HWCAP);
    capabilities2 = getauxval(AT_HWCAP2);
#endif
    printf("{\"hwcap\": %lu, \"hwcap2\": %lu, \"detected\": %u, \"isa\": \"%s\"}\n", capabilities, capabilities2,
           fg_isa_detect(), fg_isa_name(0xFFFFFFFFu));
    return 0;
}

static void *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    void *data = malloc(*bytes + 1);
    const size_t got = data ? fread(data, 1, *bytes, file) : 0;
    fclose(file);
    return got == *bytes ? data : NULL;
}

int main(int count, char **arguments)
{
    uint32_t isa_mask = 0xFFFFFFFFu;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--cpu") == 0) return print_cpu();
        if (strcmp(arguments[i], "--ref") == 0) {
            isa_mask = 0;
            continue;
        }
        char line[GOLDEN_LINE];
        size_t bytes = 0;
        void *file = read_file(arguments[i], &bytes);
        if (!file) return fprintf(stderr, "cannot read %s\n", arguments[i]), 2;
        const size_t arena_bytes = golden_arena_bytes(file, bytes);
        void *arena = aligned_alloc(FG_MEMORY_ALIGN, arena_bytes + FG_MEMORY_ALIGN);
        if (!arena) return fprintf(stderr, "no memory for %s\n", arguments[i]), 2;
        const int failed = golden_run(file, bytes, isa_mask, arena, arena_bytes, line);
        puts(line);
        free(arena), free(file);
        if (failed) return 1;
    }
    return 0;
}
