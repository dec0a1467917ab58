// SPDX-License-Identifier: MIT
// Loads the host's cases, makes their steps, compares every output and counts the instructions
// of one ulnn_step. Prints one line per case; count_machines.py reads it.
//
// The cases: uint32 each, little-endian: count, then per case
//     file offset, file size, steps, step to count, x offset, dt offset, y offset, memory offset
// Offsets count from the first byte; x, y are int16, dt uint32, file and memory are aligned to 16.
#include <string.h>

#include "machine.h"
#include "../core/ulnn.h"

typedef struct bench_case {
    uint32_t file, file_size, steps, counted, x, dt, y, memory;
} bench_case_t;

__attribute__((noinline)) void machine_begin(void) {
    __asm volatile("" ::: "memory");
}

__attribute__((noinline)) void machine_end(void) {
    __asm volatile("" ::: "memory");
}

static void put_text(const char *text) {
    while (*text != 0) {
        machine_put(*text++);
    }
}

static void put_number(const char *name, uint32_t value) {
    char digits[11];
    char *p = digits + 10;
    *p = 0;
    do {
        *--p = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    machine_put(' ');
    put_text(name);
    machine_put('=');
    put_text(p);
}

#ifdef BENCH_PEERS
#include "peers.h"

static void bench_peers(void) {
    for (unsigned i = 0; i < peers_count; i++) {
        for (unsigned hidden = 16; hidden <= 128; hidden *= 2) {
            peers[i].step(hidden);
            uint32_t empty = machine_instructions();
            empty = machine_instructions() - empty;
            uint32_t before = machine_instructions();
            machine_begin();
            peers[i].step(hidden);
            machine_end();
            uint32_t count = machine_instructions() - before - empty;
            put_text("peer");
            put_number("H", hidden);
            put_number("instructions", count);
            put_number("macs", peers[i].macs(hidden));
            put_text(" name=");
            put_text(peers[i].name);
            machine_put('\n');
        }
    }
}
#endif

// Bytes of stack that one step uses: paints what lies below, and looks what is left of it.
static __attribute__((noinline)) uint32_t bench_stack(
    ulnn_model_t *model, const void *x, void *y, uint32_t dt) {
    enum {
        WORDS = 512,
        NEAR = 4
    }; // NEAR: this function's own pushes
    volatile uint32_t *top = (volatile uint32_t *)__builtin_frame_address(0);
#if defined(__arm__)
    __asm volatile("mov %0, sp" : "=r"(top));
#elif defined(__riscv)
    __asm volatile("mv %0, sp" : "=r"(top));
#endif
    for (int i = NEAR; i <= WORDS; i++) {
        *(top - i) = 0x5ca1ab1e;
    }
    ulnn_step(model, x, y, dt);
    int depth = WORDS;
    while (depth > NEAR && *(top - depth) == 0x5ca1ab1e) {
        depth--;
    }
    return 4 * (uint32_t)depth;
}

static void bench_one(uint32_t number, const bench_case_t *c) {
    const uint8_t *base = machine_cases;
    put_text("case");
    put_number("n", number);
    ulnn_error_t error;
    const size_t need = ulnn_memory_size(base + c->file, c->file_size);
    void *memory = (void *)(uintptr_t)(base + c->memory);
    ulnn_model_t *model = ulnn_load(base + c->file, c->file_size, memory, need, &error);
    if (model == NULL) {
        put_number("status", error.status);
        machine_put('\n');
        return;
    }
    const ulnn_info_t *info = ulnn_model_info(model);
    const int16_t *x = (const int16_t *)(const void *)(base + c->x);
    const int16_t *y = (const int16_t *)(const void *)(base + c->y);
    const uint32_t *dt = (const uint32_t *)(const void *)(base + c->dt);
    static int16_t out[ULNN_SIZE_MAX];
    uint32_t different = 0, count = 0;
    uint32_t empty = machine_instructions();
    empty = machine_instructions() - empty;
    for (uint32_t k = 0; k < c->steps; k++) {
        if (k == c->counted) {
            uint32_t before = machine_instructions();
            machine_begin();
            ulnn_step(model, x, out, dt[k]);
            machine_end();
            count = machine_instructions() - before - empty;
        } else {
            ulnn_step(model, x, out, dt[k]);
        }
        different += memcmp(out, y, info->output_size * sizeof(int16_t)) != 0;
        x += info->input_size;
        y += info->output_size;
    }
    const uint32_t stack = bench_stack(model, x - info->input_size, out, dt[c->steps - 1]);
    put_number("status", 0);
    put_number("instructions", count);
    put_number("stack", stack);
    put_number("macs", info->macs);
    put_number("ram", (uint32_t)need);
    put_number("different", different);
    put_text(" kernel=");
    put_text(ulnn_kernel_name());
    machine_put('\n');
}

int bench(void) {
    const uint32_t *count = (const uint32_t *)(const void *)machine_cases;
    const bench_case_t *cases = (const bench_case_t *)(const void *)(count + 1);
    for (uint32_t i = 0; i < *count; i++) {
        bench_one(i, &cases[i]);
    }
#ifdef BENCH_PEERS
    bench_peers();
#endif
    put_text("end\n");
    return 0;
}
