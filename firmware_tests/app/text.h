/* text.h: words and numbers into a fixed buffer, without stdio. */
#ifndef FG_APP_TEXT_H
#define FG_APP_TEXT_H

#include <stdint.h>

typedef struct text {
    char *at, *end; /* what does not fit before end is left out */
} text;

static inline void put(text *out, const char *words)
{
    while (*words && out->at + 1 < out->end) *out->at++ = *words++;
    *out->at = '\0';
}

static inline void put_number(text *out, uint64_t number, uint32_t base)
{
    char digits[24];
    char *first = digits + sizeof digits - 1;
    *first = '\0';
    do *--first = "0123456789abcdef"[number % base];
    while ((number /= base) > 0);
    put(out, first);
}

/* , "name": number */
static inline void put_field(text *out, const char *name, uint64_t number)
{
    put(out, ", \"");
    put(out, name);
    put(out, "\": ");
    put_number(out, number, 10);
}

#endif
