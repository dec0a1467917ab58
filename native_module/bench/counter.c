// SPDX-License-Identifier: MIT
// A QEMU plugin that counts and traces the instructions between a visit of the address `begin`
// and the next one of `end` (both may be the same). Works on any target, exact without -icount.
//
//     -plugin counter.so,begin=0x..,end=0x..[,trace=FILE] -d plugin
//
// The trace: pairs of uint32. Instruction: address, then its first data address, or 1 without
// one. End of a region: 0xffffffff and its number of instructions.
//
// Debian ships QEMU with plugins but without their header: the few declarations that are
// needed are below (plugin API 1, QEMU 4.2 to 8.2).
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
typedef void (*translate_cb_t)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*execute_cb_t)(unsigned, void *);
typedef void (*memory_cb_t)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *);
typedef void (*exit_cb_t)(qemu_plugin_id_t, void *);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translate_cb_t);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, execute_cb_t, int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, memory_cb_t, int, int, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, exit_cb_t, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
void qemu_plugin_outs(const char *);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

static uint64_t begin, end;
static bool counting;
static uint32_t count;
static uint32_t pending[2];
static FILE *trace;

static void flush_pending(void) {
    if (trace != NULL && pending[0] != 0) {
        fwrite(pending, sizeof(pending), 1, trace);
        pending[0] = 0;
    }
}

static void on_execute(unsigned cpu, void *address) {
    (void)cpu;
    const uint64_t pc = (uintptr_t)address;
    if (pc == end && counting) {
        counting = false;
        flush_pending();
        char text[48];
        snprintf(text, sizeof(text), "region instructions=%" PRIu32 "\n", count);
        qemu_plugin_outs(text);
        if (trace != NULL) {
            const uint32_t mark[2] = {0xffffffff, count};
            fwrite(mark, sizeof(mark), 1, trace);
        }
    }
    if (pc == begin) {
        counting = true;
        count = 0;
    } else if (counting) {
        flush_pending();
        count++;
        pending[0] = (uint32_t)pc;
        pending[1] = 1;
    }
}

static void on_memory(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data) {
    (void)cpu;
    (void)info;
    (void)data;
    if (counting && pending[1] == 1) {
        pending[1] = (uint32_t)address;
    }
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    const size_t n = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        void *address = (void *)(uintptr_t)(qemu_plugin_insn_vaddr(insn) & ~(uint64_t)1);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, on_execute, 0, address);
        qemu_plugin_register_vcpu_mem_cb(insn, on_memory, 0, 3, NULL);
    }
}

static void on_exit_(qemu_plugin_id_t id, void *data) {
    (void)id;
    (void)data;
    if (trace != NULL) {
        fclose(trace);
    }
}

EXPORT int qemu_plugin_install(
    qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        if (value == NULL) {
            return 1;
        }
        if (strncmp(argv[i], "begin=", 6) == 0) {
            begin = strtoull(value + 1, NULL, 0) & ~1ull;
        } else if (strncmp(argv[i], "end=", 4) == 0) {
            end = strtoull(value + 1, NULL, 0) & ~1ull;
        } else if (strncmp(argv[i], "trace=", 6) == 0) {
            trace = fopen(value + 1, "wb");
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_exit_, NULL);
    return 0;
}
