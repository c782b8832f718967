/* status.c: version, names of statuses, error messages. */
#include "status.h"

#include <stdbool.h>
#include <string.h>

#include "graph.h"

uint32_t fg_version(void)
{
    uint32_t version = 0, part = 0;
    for (const char *c = FG_VERSION_STRING; *c != '\0'; c++) {
        if (*c == '.') {
            version = version << 8 | part;
            part = 0;
        } else {
            part = part * 10 + (uint32_t)(*c - '0');
        }
    }
    return version << 8 | part;
}

const char *fg_status_name(fg_status status)
{
    switch (status) {
    case FG_OK: return "FG_OK";
    case FG_ERR_ARGUMENT: return "FG_ERR_ARGUMENT";
    case FG_ERR_FORMAT: return "FG_ERR_FORMAT";
    case FG_ERR_VERSION: return "FG_ERR_VERSION";
    case FG_ERR_UNSUPPORTED: return "FG_ERR_UNSUPPORTED";
    case FG_ERR_MEMORY: return "FG_ERR_MEMORY";
    case FG_ERR_STATE: return "FG_ERR_STATE";
    }
    return "unknown status";
}

const char *fg_status_message(fg_status status)
{
    switch (status) {
    case FG_OK: return "no error";
    case FG_ERR_ARGUMENT: return "an argument is wrong";
    case FG_ERR_FORMAT: return "the file is damaged or not a .fgm file";
    case FG_ERR_VERSION: return "the file has a major version that this library does not read";
    case FG_ERR_UNSUPPORTED: return "the file uses something that this library does not support";
    case FG_ERR_MEMORY: return "the memory passed in is too small or misaligned";
    case FG_ERR_STATE: return "the call is not allowed now: push a frame first";
    }
    return "unknown status";
}

fg_status fg_error_set(fg_error *error, fg_status status, uint32_t node, uint64_t offset, const char *message)
{
    if (error != NULL) {
        fg_text text;
        error->status = status;
        error->node = node;
        error->offset = offset;
        fg_text_init(&text, error->message, sizeof error->message);
        while (*message != '\0' && text.used < text.bytes_max - 1) text.text[text.used++] = *message++;
        text.text[text.used] = '\0';
    }
    return status;
}

void fg_text_init(fg_text *text, char *buffer, size_t buffer_bytes)
{
    text->text = buffer;
    text->bytes_max = buffer_bytes;
    text->used = 0;
    buffer[0] = '\0';
}

static void append(fg_text *text, char c)
{
    if (text->used + 1 < text->bytes_max) {
        text->text[text->used++] = c;
        text->text[text->used] = '\0';
    }
}

void fg_text_name(fg_text *text, const char *string, size_t length_max)
{
    for (size_t i = 0; i < length_max && string[i] != '\0'; i++)
        append(text, string[i] >= ' ' && string[i] <= '~' ? string[i] : '?');
}

static void append_number(fg_text *text, uint64_t number, bool is_signed)
{
    char digits[20]; /* of 2^64 - 1 */
    size_t count = 0;
    if (is_signed && number > INT64_MAX) {
        append(text, '-');
        number = 0 - number;
    }
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0) append(text, digits[--count]);
}

void fg_text_format(fg_text *text, const char *format, const uint64_t *numbers)
{
    for (const char *c = format; *c != '\0'; c++) {
        if (c[0] == '%' && (c[1] == 'u' || c[1] == 'd')) {
            c++;
            append_number(text, *numbers++, *c == 'd');
        } else {
            append(text, *c);
        }
    }
}
