/* model.c: opening a file, the trust boundary: header, checksum and sections; the records follow in model_*.c. Nothing
 * is parsed into other structures: once everything is checked, the graph is pointers into the file. One pass over each
 * part, no recursion. */
#include <string.h>

#include "checked.h"
#include "model_check.h"

#if defined(__BYTE_ORDER__) && defined(__ORDER_LITTLE_ENDIAN__)
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "framegate executes its files in place and needs a little-endian target"
#endif
#endif

enum { VERSION_MAJOR = 1, SECTION_COUNT_MIN = 7, FILE_ALIGN = 8 };

static const uint8_t magic[8] = {0x89, 'F', 'G', 'M', '\r', '\n', 0x1A, '\n'};

/* Sections below 8 by kind. */
static const struct section_rule {
    const char *missing;
    uint32_t record_bytes, count_min, count_max;
} section_rules[] = {
    {"", 0, 0, 0},
    {"section STRINGS", 0, 0, 0},
    {"section VALUES", sizeof(fg_value_record), 1, FG_LIMIT_VALUES},
    {"section NODES", sizeof(fg_node_record), 0, FG_LIMIT_NODES},
    {"section INDEX", sizeof(uint32_t), 0, FG_LIMIT_INDEX},
    {"section INPUTS", sizeof(fg_input_record), 1, FG_LIMIT_INPUTS},
    {"section OUTPUTS", sizeof(fg_output_record), 1, FG_LIMIT_OUTPUTS},
    {"section DATA", 0, 0, 0},
};
enum { KIND_COUNT = sizeof section_rules / sizeof section_rules[0] };

static uint64_t checksum(const uint8_t *bytes, size_t count)
{
    uint32_t a = 0, b = 0, word;
    size_t i = 0;
    for (; i + sizeof word <= count; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        a += word;
        b += a;
    }
    if (i < count) {
        word = 0;
        memcpy(&word, bytes + i, count - i);
        a += word;
        b += a;
    }
    return (uint64_t)b << 32 | a;
}

static bool check_magic(fg_check *check, const fg_header_record *header)
{
    if (memcmp(header->magic, magic, sizeof magic) == 0) return true;
    if (memcmp(header->magic, magic, 4) == 0)
        return fg_check_fail(check, FG_ERR_FORMAT, header->magic, "magic",
                             " is damaged as by a text-mode transfer; copy the file again in binary mode", 0, 0, 0);
    return fg_check_fail(check, FG_ERR_FORMAT, header->magic, "magic", " does not match: this is not a .fgm file", 0, 0,
                         0);
}

static bool check_header(fg_check *check, const fg_header_record *header)
{
    const size_t file_bytes = check->file_bytes;
    if (file_bytes == 0) return fg_check_fail(check, FG_ERR_FORMAT, header, "file", " is empty", 0, 0, 0);
    if (file_bytes < FG_HEADER_BYTES)
        return fg_check_fail(check, FG_ERR_FORMAT, header, "file",
                             " is truncated: a header has %u bytes, got %u; copy it again", FG_HEADER_BYTES, file_bytes,
                             0);
    if (!check_magic(check, header)) return false;
    if (header->version_major != VERSION_MAJOR)
        return fg_check_fail(check, FG_ERR_VERSION, &header->version_major, "file",
                             " has format version %u, this library reads version %u; convert the network again",
                             header->version_major, VERSION_MAJOR, 0);
    if (header->flags != 0)
        return fg_check_fail(check, FG_ERR_UNSUPPORTED, &header->flags, "header",
                             " has flags %u, this library knows none; use a newer one", header->flags, 0, 0);
    if (header->file_bytes > file_bytes)
        return fg_check_fail(check, FG_ERR_FORMAT, &header->file_bytes, "file",
                             " is truncated: header says %u bytes, got %u; copy it again", header->file_bytes,
                             file_bytes, 0);
    if (header->file_bytes < file_bytes)
        return fg_check_fail(check, FG_ERR_FORMAT, &header->file_bytes, "file",
                             " has bytes after its end: header says %u bytes, got %u", header->file_bytes, file_bytes,
                             0);
    const uint64_t sum = checksum(check->graph->file + FG_HEADER_BYTES, file_bytes - FG_HEADER_BYTES);
    if (header->checksum != sum)
        return fg_check_fail(check, FG_ERR_FORMAT, &header->checksum, "checksum",
                             " is %u, of these bytes it is %u: the file is damaged, copy it again", header->checksum,
                             sum, 0);
    return fg_check_range(check, &header->section_count, "section_count", header->section_count, SECTION_COUNT_MIN,
                          FG_LIMIT_SECTIONS) &&
           fg_check_zero(check, header->reserved, sizeof header->reserved, "reserved words of the header");
}

/* The record's own fields; what lies at offset is not touched. */
static bool check_section(fg_check *check, const fg_section_record *section, size_t previous_end)
{
    size_t offset = 0;
    const bool known = section->kind > 0 && section->kind < KIND_COUNT;
    if (!known && (section->kind & FG_SECTION_IGNORABLE) == 0)
        return fg_check_fail(check, FG_ERR_UNSUPPORTED, &section->kind, "kind",
                             " %u is not known to this library; use a newer one", section->kind, 0, 0);
    if (!fg_align_up(previous_end, FG_SECTION_ALIGN, &offset) || offset > check->file_bytes)
        return fg_check_fail(check, FG_ERR_FORMAT, section, "offset", " would be past the end of the file", 0, 0, 0);
    if (!fg_check_equal(check, &section->offset, "offset", section->offset, offset)) return false;
    if (section->bytes > check->file_bytes - offset)
        return fg_check_fail(check, FG_ERR_FORMAT, &section->bytes, "bytes", " is %u, but only %u are left in the file",
                             section->bytes, check->file_bytes - offset, 0);
    if (known) {
        const struct section_rule *rule = &section_rules[section->kind];
        if (!fg_check_equal(check, &section->record_bytes, "record_bytes", section->record_bytes, rule->record_bytes) ||
            !fg_check_range(check, &section->record_count, "record_count", section->record_count, rule->count_min,
                            rule->count_max))
            return false;
    }
    if (section->record_bytes == 0)
        return fg_check_equal(check, &section->record_count, "record_count", section->record_count, 0) &&
               fg_check_equal(check, &section->reserved, "reserved", section->reserved, 0);
    return fg_check_equal(check, &section->bytes, "bytes", section->bytes,
                          (uint64_t)section->record_count * section->record_bytes) &&
           fg_check_equal(check, &section->reserved, "reserved", section->reserved, 0);
}

/* by_kind: one slot for each kind below KIND_COUNT. */
static bool check_sections(fg_check *check, const fg_header_record *header, const fg_section_record **by_kind)
{
    const uint8_t *file = check->graph->file;
    const fg_section_record *sections = (const fg_section_record *)(const void *)(header + 1);
    size_t end = sizeof *header + header->section_count * sizeof *sections;
    if (end > check->file_bytes)
        return fg_check_fail(check, FG_ERR_FORMAT, &header->section_count, "section table",
                             " of %u records does not fit into a file of %u bytes", header->section_count,
                             check->file_bytes, 0);
    for (uint32_t i = 0; i < header->section_count; i++) {
        const fg_section_record *section = &sections[i];
        fg_check_enter(check, "section", i);
        if (i > 0 && section->kind <= sections[i - 1].kind)
            return fg_check_fail(check, FG_ERR_FORMAT, &section->kind, "kind", " is %u after %u, must ascend",
                                 section->kind, sections[i - 1].kind, 0);
        if (!check_section(check, section, end) ||
            !fg_check_zero(check, file + end, (size_t)section->offset - end, "the gap before it"))
            return false;
        end = (size_t)section->offset + (size_t)section->bytes;
        if (section->kind < KIND_COUNT) by_kind[section->kind] = section;
    }
    check->record = NULL;
    if (end != check->file_bytes)
        return fg_check_fail(check, FG_ERR_FORMAT, file + end, "file", " has %u bytes after its last section",
                             check->file_bytes - end, 0, 0);
    for (uint32_t kind = 1; kind < KIND_COUNT; kind++) {
        if (by_kind[kind] == NULL)
            return fg_check_fail(check, FG_ERR_FORMAT, sections, section_rules[kind].missing, " is missing", 0, 0, 0);
    }
    return true;
}

static bool check_strings(fg_check *check)
{
    const char *strings = check->graph->strings;
    const size_t bytes = check->strings_bytes;
    if (bytes == 0)
        return fg_check_fail(check, FG_ERR_FORMAT, strings, "STRINGS", " is empty, must hold the empty name", 0, 0, 0);
    return fg_check_zero(check, strings, 1, "first byte of STRINGS") &&
           fg_check_zero(check, strings + bytes - 1, 1, "last byte of STRINGS");
}

static const void *section_start(const fg_graph *graph, const fg_section_record *section)
{
    return graph->file + section->offset;
}

static bool check_file(fg_check *check, fg_graph *graph)
{
    const fg_header_record *header = (const void *)graph->file;
    const fg_section_record *sections[KIND_COUNT] = {NULL};
    if (!check_header(check, header) || !check_sections(check, header, sections)) return false;
    graph->strings = section_start(graph, sections[FG_SECTION_STRINGS]);
    graph->values = section_start(graph, sections[FG_SECTION_VALUES]);
    graph->nodes = section_start(graph, sections[FG_SECTION_NODES]);
    graph->index = section_start(graph, sections[FG_SECTION_INDEX]);
    graph->inputs = section_start(graph, sections[FG_SECTION_INPUTS]);
    graph->outputs = section_start(graph, sections[FG_SECTION_OUTPUTS]);
    graph->data = section_start(graph, sections[FG_SECTION_DATA]);
    graph->value_count = sections[FG_SECTION_VALUES]->record_count;
    graph->node_count = sections[FG_SECTION_NODES]->record_count;
    graph->input_count = sections[FG_SECTION_INPUTS]->record_count;
    graph->output_count = sections[FG_SECTION_OUTPUTS]->record_count;
    check->strings_bytes = (size_t)sections[FG_SECTION_STRINGS]->bytes;
    check->index_count = sections[FG_SECTION_INDEX]->record_count;
    check->data_bytes = (size_t)sections[FG_SECTION_DATA]->bytes;
    return check_strings(check) && fg_check_values(check) && fg_check_inputs(check) && fg_check_nodes(check) &&
           fg_check_outputs(check);
}

fg_status fg_model_open(fg_model *model, const void *file, size_t file_bytes, fg_error *error)
{
    fg_error_set(error, FG_OK, FG_NONE, 0, "");
    if (model == NULL) return fg_error_set(error, FG_ERR_ARGUMENT, FG_NONE, 0, "model is NULL");
    memset(model, 0, sizeof *model);
    if (file == NULL) return fg_error_set(error, FG_ERR_ARGUMENT, FG_NONE, 0, "file is NULL");
    if ((uintptr_t)file % FILE_ALIGN != 0)
        return fg_error_set(error, FG_ERR_ARGUMENT, FG_NONE, 0, "file must start at a multiple of 8 bytes in memory");
    fg_graph graph = {.file = file};
    fg_check check = {.graph = &graph, .error = error, .file_bytes = file_bytes};
    if (!check_file(&check, &graph)) return check.status;
    memcpy(model, &graph, sizeof graph);
    return FG_OK;
}
