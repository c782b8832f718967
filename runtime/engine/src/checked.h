/* checked.h: arithmetic on sizes that come from a file. Every function returns whether the result is exact; where it is
 * not, *result is untouched. */
#ifndef FG_CHECKED_H
#define FG_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool fg_add_size(size_t a, size_t b, size_t *result)
{
    if (a > SIZE_MAX - b) return false;
    *result = a + b;
    return true;
}

static inline bool fg_mul_size(size_t a, size_t b, size_t *result)
{
    if (b != 0 && a > SIZE_MAX / b) return false;
    *result = a * b;
    return true;
}

/* alignment is a power of two. */
static inline bool fg_align_up(size_t value, size_t alignment, size_t *result)
{
    size_t padded;
    if (!fg_add_size(value, alignment - 1, &padded)) return false;
    *result = padded & ~(alignment - 1);
    return true;
}

/* *result becomes the product of count numbers. */
static inline bool fg_product_size(const size_t *factors, size_t count, size_t *result)
{
    size_t product = 1;
    for (size_t i = 0; i < count; i++) {
        if (!fg_mul_size(product, factors[i], &product)) return false;
    }
    *result = product;
    return true;
}

#endif
