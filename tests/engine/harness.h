/* harness.h: what the C tests share: random numbers, guarded arrays, comparison by bits, counting of failures. */
#ifndef FG_TESTS_HARNESS_H
#define FG_TESTS_HARNESS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define TEST_UNUSED __attribute__((unused))
#else
#define TEST_UNUSED
#endif

/* --- random numbers: xorshift64*, the same everywhere --- */
typedef struct test_random {
    uint64_t state;
} test_random;

TEST_UNUSED static uint32_t random_u32(test_random *random)
{
    uint64_t x = random->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return (uint32_t)(x * 0x2545F4914F6CDD1Dull >> 32);
}

/* 0 to limit - 1 */
TEST_UNUSED static size_t random_below(test_random *random, size_t limit)
{
    return (size_t)((uint64_t)random_u32(random) * limit >> 32);
}

/* -scale to scale */
TEST_UNUSED static float random_float(test_random *random, float scale)
{
    return ((float)(random_u32(random) >> 8) / 8388608.0f - 1.0f) * scale;
}

/* --- memory --- */
TEST_UNUSED static void *test_memory(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

enum { GUARD_BYTES = 256 };
static const unsigned char guard_byte = 0xA5;

/* An array with a zone on both sides that nothing may write; misalign is 0 to GUARD_BYTES - 1. */
typedef struct guarded {
    unsigned char *memory, *data;
    size_t bytes, total;
} guarded;

TEST_UNUSED static guarded guarded_make(size_t bytes, size_t misalign)
{
    guarded array;
    array.bytes = bytes;
    array.total = bytes + 3 * GUARD_BYTES;
    array.memory = test_memory(array.total);
    memset(array.memory, guard_byte, array.total);
    array.data = array.memory + GUARD_BYTES + misalign;
    return array;
}

TEST_UNUSED static void guarded_free(guarded *array) { free(array->memory); }

/* 1 if nothing outside the array was written. */
TEST_UNUSED static int guarded_intact(const guarded *array)
{
    const unsigned char *end = array->memory + array->total;
    for (const unsigned char *p = array->memory; p < array->data; p++)
        if (*p != guard_byte) return 0;
    for (const unsigned char *p = array->data + array->bytes; p < end; p++)
        if (*p != guard_byte) return 0;
    return 1;
}

/* --- comparison --- */
/* Equal bits, or both NaN: which NaN an operation passes on is not part of any contract. */
TEST_UNUSED static int same_float(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x == y || ((x & 0x7FFFFFFFu) > 0x7F800000u && (y & 0x7FFFFFFFu) > 0x7F800000u);
}

/* Index of the first difference, or count. */
TEST_UNUSED static size_t first_difference(const void *a, const void *b, size_t count)
{
    size_t i = 0;
    while (i < count && same_float((const char *)a + i * 4, (const char *)b + i * 4)) i++;
    return i;
}

/* --- failures --- */
typedef struct test_count {
    unsigned long checks, failures;
} test_count;

/* Prints the message and its parameters for the first failures; all are counted. */
#define CHECK(count, condition, ...)                                                                                   \
    do {                                                                                                               \
        (count)->checks++;                                                                                             \
        if (!(condition) && (count)->failures++ < 20) {                                                                \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
        }                                                                                                              \
    } while (0)

#endif
