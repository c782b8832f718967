/* model_check.c: messages of the loader and the rules every record obeys. */
#include "model_check.h"

#include <string.h>

#include "status.h"

enum { NAME_IN_MESSAGE = 40 };

void fg_check_enter(fg_check *check, const char *record, uint32_t index)
{
    check->record = record;
    check->record_index = index;
    check->record_name = NULL;
    check->record_op = NULL;
}

static void describe_record(const fg_check *check, fg_text *text)
{
    const uint64_t index = check->record_index;
    fg_text_format(text, check->record, NULL);
    fg_text_format(text, " %u", &index);
    if (check->record_name != NULL && check->record_name[0] != '\0') {
        fg_text_format(text, " '", NULL);
        fg_text_name(text, check->record_name, NAME_IN_MESSAGE);
        fg_text_format(text, "'", NULL);
    }
    if (check->record_op != NULL) {
        fg_text_format(text, " (", NULL);
        fg_text_format(text, check->record_op, NULL);
        fg_text_format(text, ")", NULL);
    }
    fg_text_format(text, ": ", NULL);
}

bool fg_check_fail(fg_check *check, fg_status status, const void *field, const char *what, const char *message,
                   uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t numbers[3] = {a, b, c};
    char buffer[sizeof check->error->message];
    fg_text text;
    fg_text_init(&text, buffer, sizeof buffer);
    if (check->record != NULL) describe_record(check, &text);
    fg_text_format(&text, what, NULL);
    fg_text_format(&text, message, numbers);
    const bool in_node = check->record != NULL && strcmp(check->record, "node") == 0;
    const ptrdiff_t offset = (const uint8_t *)field - check->graph->file;
    check->status =
        fg_error_set(check->error, status, in_node ? check->record_index : FG_NONE, (uint64_t)offset, buffer);
    return false;
}

bool fg_check_range(fg_check *check, const void *field, const char *what, int64_t value, int64_t low, int64_t high)
{
    if (value >= low && value <= high) return true;
    return fg_check_fail(check, FG_ERR_FORMAT, field, what, " is %d, must be %d to %d", (uint64_t)value, (uint64_t)low,
                         (uint64_t)high);
}

bool fg_check_equal(fg_check *check, const void *field, const char *what, uint64_t value, uint64_t expected)
{
    if (value == expected) return true;
    return fg_check_fail(check, FG_ERR_FORMAT, field, what, " is %u, must be %u", value, expected, 0);
}

bool fg_check_zero(fg_check *check, const void *from, size_t bytes, const char *what)
{
    const uint8_t *byte = from;
    for (size_t i = 0; i < bytes; i++) {
        if (byte[i] != 0)
            return fg_check_fail(check, FG_ERR_FORMAT, byte + i, what, " must be zero, a byte is %u", byte[i], 0, 0);
    }
    return true;
}

static uint32_t magnitude_bits(const float *field)
{
    uint32_t bits;
    memcpy(&bits, field, sizeof bits);
    return bits & 0x7FFFFFFFu;
}

bool fg_check_number(fg_check *check, const float *field, const char *what)
{
    return magnitude_bits(field) <= 0x7F800000u ||
           fg_check_fail(check, FG_ERR_FORMAT, field, what, " is not a number", 0, 0, 0);
}

bool fg_check_finite(fg_check *check, const float *field, const char *what)
{
    return magnitude_bits(field) < 0x7F800000u ||
           fg_check_fail(check, FG_ERR_FORMAT, field, what, " is not finite", 0, 0, 0);
}

bool fg_check_not_negative(fg_check *check, const float *field, const char *what)
{
    return fg_check_finite(check, field, what) &&
           (*field >= 0 || fg_check_fail(check, FG_ERR_FORMAT, field, what, " is negative", 0, 0, 0));
}

bool fg_check_name(fg_check *check, const uint32_t *field)
{
    /* STRINGS ends with a zero byte: a name that starts inside it ends inside it. */
    if (*field >= check->strings_bytes)
        return fg_check_fail(check, FG_ERR_FORMAT, field, "name", " starts at byte %u of STRINGS, which has %u bytes",
                             *field, check->strings_bytes, 0);
    check->record_name = check->graph->strings + *field;
    return true;
}
