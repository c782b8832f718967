/* counter.c: a QEMU plugin that counts executed guest instructions by class.
 *
 *     cc -O2 -shared -fPIC counter.c -o counter.so
 *     qemu-aarch64 -plugin ./counter.so,out=FILE program
 *
 * A guest marks the end of a stretch with prctl(FG_MARK, number): for every block of code executed since the mark
 * before, FILE gets its guest address, its host address and, per class, how often its instructions were executed. The
 * file ends with the mapped files, so that a reader can tell libraries and functions apart. Counts are exact and
 * repeatable with one thread; with several they are not, because the counters are not atomic.
 *
 * For QEMU 7.2 to 8.x. No Debian package brings the plugin header: the few functions used are declared here. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define FG_MARK 0x66676d6b

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct qemu_info { /* the beginning of it */
    const char *target_name;
} qemu_info;
typedef void (*translated)(uint64_t id, struct qemu_plugin_tb *tb);
typedef void (*called)(uint64_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                       uint64_t e, uint64_t f, uint64_t g, uint64_t h);
typedef void (*ended)(uint64_t id, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translated callback);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t id, called callback);
void qemu_plugin_register_atexit_cb(uint64_t id, ended callback, void *data);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int operation, void *counter, uint64_t add);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *insn);

EXPORT int qemu_plugin_version = 1;

/* fma: fused multiply-adds, of vectors and of single numbers; vector: all else on the vector and floating-point
 * registers but loads and stores. */
enum { FMA, VECTOR, LOAD, STORE, BRANCH, OTHER, CLASSES };

typedef struct block {
    struct block *next;
    uint64_t guest, host;
    uint64_t executed, reported;
    uint16_t instructions[CLASSES];
} block;

static block *blocks; /* the newest first; none is ever removed, because code of QEMU's may still count in it */
static FILE *out;
static bool wide;
static int64_t prctl_number;

static bool matches(uint32_t word, uint32_t mask, uint32_t bits) { return (word & mask) == bits; }

/* By the top-level table of the A64 encoding, bits 28 to 25. */
static int class_of_a64(uint32_t word)
{
    if (matches(word, 0x0A000000, 0x08000000)) {
        const bool vector = word >> 26 & 1, first = word >> 22 & 1;
        if (matches(word, 0x3B000000, 0x18000000)) return LOAD; /* from beside the code */
        if (!vector && matches(word, 0x38000000, 0x38000000)) return word >> 22 & 3 ? LOAD : STORE; /* one register */
        return first ? LOAD : STORE;
    }
    if (matches(word, 0x1C000000, 0x14000000)) return BRANCH; /* and system instructions */
    if (!matches(word, 0x0E000000, 0x0E000000)) return OTHER;
    const bool same = matches(word, 0xBF20FC00, 0x0E20CC00), by_lane = matches(word, 0xBF80B400, 0x0F801000);
    return same || by_lane || matches(word, 0xFF000000, 0x1F000000) ? FMA : VECTOR;
}

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

static int class_of_a32(const char *text)
{
    if (begins(text, "vfma") || begins(text, "vfms") || begins(text, "vmla") || begins(text, "vmls")) return FMA;
    if (begins(text, "vld") || begins(text, "vpop") || begins(text, "ld") || begins(text, "pop")) return LOAD;
    if (begins(text, "vst") || begins(text, "vpush") || begins(text, "st") || begins(text, "push")) return STORE;
    if (begins(text, "pld")) return LOAD;
    if (text[0] == 'v') return VECTOR;
    if (begins(text, "bic") || begins(text, "bf")) return OTHER;
    return text[0] == 'b' || begins(text, "cb") || begins(text, "tb") ? BRANCH : OTHER;
}

static int class_of(const struct qemu_plugin_insn *insn)
{
    if (wide) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
        return class_of_a64(word);
    }
    char *text = qemu_plugin_insn_disas(insn);
    const int class = text ? class_of_a32(text) : OTHER;
    free(text);
    return class;
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    block *b = calloc(1, sizeof *b);
    if (!b) abort();
    const struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
    b->guest = qemu_plugin_insn_vaddr(first);
    b->host = (uint64_t)(uintptr_t)qemu_plugin_insn_haddr(first);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) b->instructions[class_of(qemu_plugin_tb_get_insn(tb, i))]++;
    b->next = __atomic_load_n(&blocks, __ATOMIC_ACQUIRE);
    while (!__atomic_compare_exchange_n(&blocks, &b->next, b, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {}
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &b->executed, 1);
}

static void report(uint64_t mark)
{
    fprintf(out, "mark %" PRIu64 "\n", mark);
    for (block *b = blocks; b; b = b->next) {
        const uint64_t times = b->executed - b->reported;
        b->reported = b->executed;
        if (!times) continue;
        fprintf(out, "%" PRIx64 " %" PRIx64, b->guest, b->host);
        for (int c = 0; c < CLASSES; c++) fprintf(out, " %" PRIu64, times * b->instructions[c]);
        fprintf(out, "\n");
    }
}

static void system_call(uint64_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                        uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
    (void)id, (void)cpu, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == prctl_number && (uint32_t)a == FG_MARK) report((uint32_t)b);
}

static void end(uint64_t id, void *data)
{
    (void)id, (void)data;
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) fprintf(out, "map %s", line);
    if (maps) fclose(maps);
    fclose(out);
}

EXPORT int qemu_plugin_install(uint64_t id, const qemu_info *info, int argc, char **argv)
{
    wide = strcmp(info->target_name, "aarch64") == 0;
    prctl_number = wide ? 167 : 172;
    for (int i = 0; i < argc; i++)
        if (begins(argv[i], "out=")) out = fopen(argv[i] + 4, "w");
    if (!out) {
        fprintf(stderr, "counter: give a file that can be written: -plugin counter.so,out=FILE\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_vcpu_syscall_cb(id, system_call);
    qemu_plugin_register_atexit_cb(id, end, NULL);
    return 0;
}
