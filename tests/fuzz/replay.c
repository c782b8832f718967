/* replay.c: runs a fuzz target over the files named on the command line, without a fuzzing engine. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *stream = fopen(path, "rb");
    long size = -1;
    if (stream != NULL && fseek(stream, 0, SEEK_END) == 0) size = ftell(stream);
    uint8_t *data = size < 0 ? NULL : malloc((size_t)size + 1);
    int failed =
        data == NULL || fseek(stream, 0, SEEK_SET) != 0 || fread(data, 1, (size_t)size, stream) != (size_t)size;
    if (failed)
        fprintf(stderr, "%s: cannot be read\n", path);
    else
        LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    if (stream != NULL) fclose(stream);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++) failed |= replay(argv[i]);
    printf("%d files\n", argc - 1);
    return failed;
}
