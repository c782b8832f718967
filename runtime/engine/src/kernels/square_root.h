/* square_root.h: one square root in double, also where the machine has none and there is no libm (Cortex-M4). */
#ifndef FG_SQUARE_ROOT_H
#define FG_SQUARE_ROOT_H

#include <stdint.h>
#include <string.h>

/* Rounded correctly, so equal to every machine's own, for normal x > 0; infinity gives infinity. Digit by digit, for
 * use once in a while. */
static inline double fg_square_root(double x)
{
    enum { DIGITS = 54 }; /* of the result: 53, and one to round by; it is never a tie */
    const uint64_t infinity = 0x7FF0000000000000u, one = 0x0010000000000000u;
    uint64_t bits, rest = 0, root = 0;
    memcpy(&bits, &x, sizeof bits);
    if (bits >= infinity) return x;
    const uint64_t odd = ~(bits / one) & 1u; /* of the exponent, which is biased by an odd number */
    const uint64_t mantissa = (one | (bits & (one - 1))) << odd;
    for (uint32_t i = 0; i < DIGITS; i++) { /* two digits of the mantissa, then zeros, give one of the root */
        const uint64_t next = i < DIGITS / 2 ? mantissa >> (DIGITS - 2 - 2 * i) & 3u : 0u;
        const uint64_t trial = root << 2 | 1u;
        rest = rest << 2 | next;
        const uint64_t digit = rest >= trial;
        rest -= digit ? trial : 0u;
        root = root << 1 | digit;
    }
    bits = ((bits / one + 1023 - odd) / 2 - 1) * one + (root >> 1) + (root & 1u); /* the root has the leading one */
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
