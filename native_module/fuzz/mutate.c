// SPDX-License-Identifier: MIT
// Mutates seed files and runs the engine over every mutant. Always the same mutants for the same
// arguments, on every machine.
//
//     mutate [--seed N] [--count N] [--dump DIR] [--texts] SEED.ulnn ...
//
// --dump writes the mutants as DIR/00000.ulnn ...; --texts prints "00000 text" for each of them
// ("ok" where it loads), to compare other engines with. The last line counts.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exercise.h"

#define FILE_ROOM (1u << 20) // bytes; larger seeds are refused
#define SEEDS_MAX 64

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes_t;

static bytes_t seeds[SEEDS_MAX];
static unsigned seed_count;

static uint32_t get32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void read_seed(const char *path) {
    bytes_t *seed = &seeds[seed_count++];
    FILE *file = seed_count <= SEEDS_MAX ? fopen(path, "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(2);
    }
    seed->data = malloc(FILE_ROOM);
    seed->size = seed->data == NULL ? 0 : fread(seed->data, 1, FILE_ROOM / 2, file);
    fclose(file);
    if (seed->size < ULNN_HEADER_SIZE || seed->size == FILE_ROOM / 2) {
        fprintf(stderr, "%s: %zu bytes, expected 64 to 512 KB\n", path, seed->size);
        exit(2);
    }
}

// Where something is that decides about the rest: header, section table, heads of sections.
static size_t interesting_offset(const bytes_t *file, random_t *random) {
    uint32_t sections = file->data[54];
    uint32_t k = sections == 0 ? 0 : random_below(random, sections);
    size_t entry = ULNN_HEADER_SIZE + 16 * k;
    if (entry + 16 > file->size || random_below(random, 4) == 0) {
        return random_below(random, ULNN_HEADER_SIZE);
    }
    if (random_below(random, 3) == 0) {
        return entry + random_below(random, 16);
    }
    size_t offset = get32(file->data + entry + 4);
    if (file->data[entry] == 5 && random_below(random, 3) != 0) {
        offset += random_below(random, 16 + 16 * 4);
    } else {
        offset += random_below(random, 48);
    }
    return offset;
}

static void edit_field(bytes_t *file, random_t *random) {
    static const uint32_t values[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 64, 65, 127, 128,
        255, 256, 1024, 1025, 4096, 4097, 32767, 32768, 65535, 65536, 0x7fffffff, 0x80000000,
        0xfffffff0, 0xffffffff};
    size_t width = (size_t)1 << random_below(random, 3);
    size_t offset = interesting_offset(file, random) & ~(width - 1);
    if (offset + width > file->size) {
        return;
    }
    uint32_t value = values[random_below(random, sizeof(values) / sizeof(values[0]))];
    if (random_below(random, 4) == 0) {
        value = file->data[offset] + (random_next(random) & 1 ? 1u : 0xffffffffu);
        width = 1;
    }
    for (size_t i = 0; i < width; i++) {
        file->data[offset + i] = (uint8_t)(value >> 8 * i);
    }
}

static void flip_bits(bytes_t *file, random_t *random) {
    for (uint32_t n = 1 + random_below(random, 8); n != 0; n--) {
        file->data[random_below(random, file->size)] ^= (uint8_t)(1u << random_below(random, 8));
    }
}

static void splice(bytes_t *file, random_t *random) {
    const bytes_t *other = &seeds[random_below(random, seed_count)];
    size_t from = random_below(random, other->size) & ~(size_t)15;
    size_t to = random_below(random, file->size) & ~(size_t)15;
    size_t size = 1 + random_below(random, 256);
    if (size > other->size - from) {
        size = other->size - from;
    }
    if (size > file->size - to) {
        size = file->size - to;
    }
    memcpy(file->data + to, other->data + from, size);
}

static void truncate_or_grow(bytes_t *file, random_t *random) {
    if (random_below(random, 3) != 0) {
        file->size = random_below(random, file->size) + 1;
    } else {
        for (uint32_t n = 1 + random_below(random, 64); n != 0 && file->size < FILE_ROOM; n--) {
            file->data[file->size++] = (uint8_t)random_next(random);
        }
    }
}

// Moves the end of the last section, so that the file stays whole but the section's size is wrong.
static void resize_section(bytes_t *file, random_t *random) {
    uint32_t sections = file->data[54];
    uint32_t k = sections == 0 ? 0 : random_below(random, sections);
    size_t entry = ULNN_HEADER_SIZE + 16 * k;
    if (entry + 16 <= file->size) {
        file->data[entry + 8] = (uint8_t)(file->data[entry + 8] + random_below(random, 33) - 16);
    }
}

static void swap_entries(bytes_t *file, random_t *random) {
    uint32_t sections = file->data[54];
    uint8_t entry[16];
    if (sections < 2 || ULNN_HEADER_SIZE + 16 * sections > file->size) {
        return;
    }
    uint8_t *a = file->data + ULNN_HEADER_SIZE + 16 * random_below(random, sections);
    uint8_t *b = file->data + ULNN_HEADER_SIZE + 16 * random_below(random, sections);
    // Type and index, or the whole entry.
    size_t size = random_next(random) & 1 ? 4 : 16;
    memcpy(entry, a, size);
    memmove(a, b, size);
    memcpy(b, entry, size);
}

// Drops the last section, or one of the first of the table: "section ... is missing".
static void drop_section(bytes_t *file, random_t *random) {
    uint32_t sections = file->data[54];
    size_t table_end = ULNN_HEADER_SIZE + 16 * sections;
    if (sections < 2 || table_end > file->size) {
        return;
    }
    size_t entry = ULNN_HEADER_SIZE + 16 * random_below(random, sections);
    memmove(file->data + entry, file->data + entry + 16, table_end - entry - 16);
    file->data[54]--;
}

static void make_mutant(bytes_t *file, random_t *random) {
    if (random_below(random, 50) == 0) {
        file->size = random_below(random, 400);
        for (size_t i = 0; i < file->size; i++) {
            file->data[i] = (uint8_t)random_next(random);
        }
        return;
    }
    const bytes_t *seed = &seeds[random_below(random, seed_count)];
    memcpy(file->data, seed->data, seed->size);
    file->size = seed->size;
    const uint32_t kind = random_below(random, 16);
    for (uint32_t n = 1 + random_below(random, 2); n != 0; n--) {
        if (kind < 8) {
            edit_field(file, random);
        } else if (kind < 10) {
            flip_bits(file, random);
        } else if (kind < 11) {
            splice(file, random);
        } else if (kind < 13) {
            truncate_or_grow(file, random);
        } else if (kind < 14) {
            resize_section(file, random);
        } else if (kind < 15) {
            swap_entries(file, random);
        } else {
            drop_section(file, random);
        }
    }
    if (random_below(random, 10) != 0) {
        uint32_t size = file->size < 12 ? 0 : get32(file->data + 8);
        fix_file(file->data, file->size);
        if (kind >= 11 && file->size >= 12 && random_below(random, 4) == 0) {
            for (unsigned i = 0; i < 4; i++) {
                file->data[8 + i] = (uint8_t)(size >> 8 * i);
            }
        }
    }
}

static void dump(const char *folder, unsigned long number, const bytes_t *file) {
    char path[1024];
    snprintf(path, sizeof(path), "%s/%05lu.ulnn", folder, number);
    FILE *out = fopen(path, "wb");
    if (out == NULL || fwrite(file->data, 1, file->size, out) != file->size || fclose(out) != 0) {
        fprintf(stderr, "%s: cannot be written\n", path);
        exit(2);
    }
}

int main(int argc, char **argv) {
    unsigned long count = 1000, seed = 1;
    const char *folder = NULL;
    int texts = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--texts") == 0) {
            texts = 1;
        } else if (argv[i][0] == '-' && i + 1 < argc) {
            const char *name = argv[i++];
            if (strcmp(name, "--count") == 0) {
                count = strtoul(argv[i], NULL, 10);
            } else if (strcmp(name, "--seed") == 0) {
                seed = strtoul(argv[i], NULL, 10);
            } else if (strcmp(name, "--dump") == 0) {
                folder = argv[i];
            }
        } else {
            read_seed(argv[i]);
        }
    }
    bytes_t file = {malloc(FILE_ROOM), 0};
    if (seed_count == 0 || file.data == NULL) {
        fprintf(stderr, "usage: mutate [--seed N] [--count N] [--dump DIR] [--texts] SEED...\n");
        return 2;
    }
    static unsigned long seen[256];
    for (unsigned long n = 0; n < count; n++) {
        random_t random = {(seed * 1000003 + n + 1) * 0x9e3779b97f4a7c15u};
        for (unsigned i = 0; i < 8; i++) {
            (void)random_next(&random);
        }
        make_mutant(&file, &random);
        if (folder != NULL) {
            dump(folder, n, &file);
        }
        ulnn_error_t error;
        ulnn_status_t status = exercise(file.data, file.size, &random, &error);
        seen[status]++;
        if (texts) {
            char text[ULNN_TEXT_MAX] = "ok";
            if (status != ULNN_OK) {
                (void)ulnn_error_text(&error, text);
            }
            printf("%05lu %s\n", n, text);
        }
    }
    unsigned reasons = 0;
    for (unsigned i = ULNN_FIRST_TEXT + 1; i < 256; i++) {
        reasons += seen[i] != 0;
    }
    printf("%lu files: %lu loaded, %lu refused for %u reasons\n", count, seen[ULNN_OK],
        count - seen[ULNN_OK], reasons);
    free(file.data);
    for (unsigned i = 0; i < seed_count; i++) {
        free(seeds[i].data);
    }
    return 0;
}
