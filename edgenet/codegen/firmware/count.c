/* A TCG plugin for QEMU that counts the instructions that a guest executes.
 *
 *   -plugin libcount.so,start=ADDRESS,stop=ADDRESS,mark=ADDRESS,base=ADDRESS,out=FILE
 *
 * From the instruction at start to that at stop each address is counted: "ADDRESS COUNT", in hex and
 * decimal.  Each time the instruction at mark is reached, "mark TOTAL" says how many have been
 * executed since the program began.  Exact across branches and interrupts; an instruction that its
 * condition skips counts, too.
 *
 * The declarations are written from the documented plugin interface, version 1 (QEMU 4.2 to 8.x),
 * since distributions do not ship its header. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct block;
struct instruction;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct instruction *, void (*)(unsigned, void *),
                                                   int, void *);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct instruction *, int, void *, uint64_t);
extern size_t qemu_plugin_tb_n_insns(const struct block *);
extern struct instruction *qemu_plugin_tb_get_insn(const struct block *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct instruction *);
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);

#define EXPORTED __attribute__((visibility("default")))

enum { SIZE = 0x400000, NO_REGISTERS = 0, ADD = 0 };

EXPORTED int qemu_plugin_version = 1;

static uint64_t counts[SIZE / 2], before[SIZE / 2], elsewhere, total;
static uint64_t start = UINT64_MAX, stop = UINT64_MAX, mark = UINT64_MAX, base;
static bool done;
static FILE *out;

static void on_start(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    memcpy(before, counts, sizeof counts);
}

static void on_stop(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    if (done) {
        return;
    }
    done = true;
    for (size_t i = 0; i < SIZE / 2; i++) {
        if (counts[i] != before[i]) {
            fprintf(out, "%" PRIx64 " %" PRIu64 "\n", base + 2 * i, counts[i] - before[i]);
        }
    }
}

static void on_mark(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    fprintf(out, "mark %" PRIu64 "\n", total);
}

static void on_block(plugin_id id, struct block *block)
{
    (void)id;
    const size_t count = qemu_plugin_tb_n_insns(block);
    for (size_t i = 0; i < count; i++) {
        struct instruction *one = qemu_plugin_tb_get_insn(block, i);
        const uint64_t address = qemu_plugin_insn_vaddr(one);
        if (address == start) {
            qemu_plugin_register_vcpu_insn_exec_cb(one, on_start, NO_REGISTERS, NULL);
        } else if (address == stop) {
            qemu_plugin_register_vcpu_insn_exec_cb(one, on_stop, NO_REGISTERS, NULL);
        } else if (address == mark) {
            qemu_plugin_register_vcpu_insn_exec_cb(one, on_mark, NO_REGISTERS, NULL);
        }
        uint64_t *counter = &elsewhere;
        if (address >= base && address - base < SIZE) {
            counter = &counts[(address - base) / 2];
        }
        qemu_plugin_register_vcpu_insn_exec_inline(one, ADD, counter, 1);
        qemu_plugin_register_vcpu_insn_exec_inline(one, ADD, &total, 1);
    }
}

static void on_exit_of_guest(plugin_id id, void *data)
{
    (void)id;
    (void)data;
    fclose(out);
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        if (!value) {
            return 1;
        }
        value++;
        if (!strncmp(argv[i], "start=", 6)) {
            start = strtoull(value, NULL, 0) & ~UINT64_C(1);
        } else if (!strncmp(argv[i], "stop=", 5)) {
            stop = strtoull(value, NULL, 0) & ~UINT64_C(1);
        } else if (!strncmp(argv[i], "mark=", 5)) {
            mark = strtoull(value, NULL, 0) & ~UINT64_C(1);
        } else if (!strncmp(argv[i], "base=", 5)) {
            base = strtoull(value, NULL, 0);
        } else if (!strncmp(argv[i], "out=", 4)) {
            out = fopen(value, "w");
        }
    }
    if (!out) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    qemu_plugin_register_atexit_cb(id, on_exit_of_guest, NULL);
    return 0;
}
