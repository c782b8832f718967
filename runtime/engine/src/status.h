/* status.h: putting a message together without stdio. */
#ifndef FG_STATUS_H
#define FG_STATUS_H

#include <stddef.h>
#include <stdint.h>

/* A bounded text: used never reaches bytes_max, text is always terminated, what does not fit is cut off. */
typedef struct fg_text {
    char *text;
    size_t bytes_max, used;
} fg_text;

void fg_text_init(fg_text *text, char *buffer, size_t buffer_bytes);

/* At most length_max characters of string; all but printable ASCII becomes '?', since names come from files. */
void fg_text_name(fg_text *text, const char *string, size_t length_max);

/* Appends format; %u takes the next of numbers, %d the next as a signed one. Nothing else is special. */
void fg_text_format(fg_text *text, const char *format, const uint64_t *numbers);

#endif
