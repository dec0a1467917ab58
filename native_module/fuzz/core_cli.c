// SPDX-License-Identifier: MIT
// The engine from a command line, to compare other engines with.
//
//     core_cli check FILE...             one line each: "ok", or the reason for refusing the file
//     core_cli test FILE                 self test: the number of steps, or what differs
//     core_cli run FILE X DT Y STATE CLAMPED
//         steps over X (int16) of DT (uint32), all raw. Writes what there is after every step: the
//         outputs and the state (int16), and the number of clamped steps (uint32)
//     core_cli bands TRACK X Y           features of a TRACK after all samples of X, all int16
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/ulnn_bands.h"

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes_t;

static void stop(const char *what, const char *path) {
    fprintf(stderr, "core_cli: %s: %s\n", path, what);
    exit(2);
}

// A whole file, in a block of exactly its size.
static bytes_t read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    bytes_t all = {NULL, 0};
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        stop("cannot be read", path);
    }
    long size = ftell(file);
    rewind(file);
    all.size = size < 0 ? 0 : (size_t)size;
    all.data = malloc(all.size != 0 ? all.size : 1);
    if (all.data == NULL || fread(all.data, 1, all.size, file) != all.size) {
        stop("cannot be read", path);
    }
    fclose(file);
    return all;
}

static void write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        stop("cannot be written", path);
    }
}

static ulnn_model_t *load(const char *path, const bytes_t *file, void **memory) {
    ulnn_error_t error;
    char text[ULNN_TEXT_MAX];
    const size_t need = ulnn_memory_size(file->data, file->size);
    *memory = malloc(need);
    ulnn_model_t *model = ulnn_load(file->data, file->size, *memory, need, &error);
    if (model == NULL) {
        (void)ulnn_error_text(&error, text);
        stop(text, path);
    }
    return model;
}

static int check_files(char **paths) {
    for (; *paths != NULL; paths++) {
        bytes_t file = read_file(*paths);
        ulnn_error_t error;
        char text[ULNN_TEXT_MAX] = "ok";
        if (ulnn_check(file.data, file.size, NULL, &error) != ULNN_OK) {
            (void)ulnn_error_text(&error, text);
        }
        puts(text);
        free(file.data);
    }
    return 0;
}

static int test_file(const char *path) {
    bytes_t file = read_file(path);
    void *memory;
    ulnn_model_t *model = load(path, &file, &memory);
    uint32_t differs;
    int equal = ulnn_self_test(model, &differs);
    if (equal) {
        printf("%u\n", (unsigned)ulnn_model_info(model)->golden_steps);
    } else if (differs == ULNN_STATE_DIFFERS) {
        puts("self test: state differs");
    } else {
        printf("self test: step %u differs\n", (unsigned)differs);
    }
    free(memory);
    free(file.data);
    return equal ? 0 : 1;
}

static int run_file(char **paths) {
    bytes_t file = read_file(paths[0]), x = read_file(paths[1]), dt = read_file(paths[2]);
    void *memory;
    ulnn_model_t *model = load(paths[0], &file, &memory);
    const ulnn_info_t *info = ulnn_model_info(model);
    const size_t steps = dt.size / 4;
    const size_t x_bytes = 2u * info->input_size, y_bytes = 2u * info->output_size;
    const size_t state_bytes = 2u * info->state_size;
    if (x.size != steps * x_bytes) {
        stop("does not have the steps of DT", paths[1]);
    }
    uint8_t *y = malloc(steps * y_bytes + 1);
    uint8_t *state = malloc(steps * state_bytes + 1);
    uint32_t *clamped = malloc(4 * steps + 1);
    if (y == NULL || state == NULL || clamped == NULL) {
        stop("out of memory", paths[0]);
    }
    for (size_t k = 0; k < steps; k++) {
        uint32_t ticks;
        memcpy(&ticks, dt.data + 4 * k, sizeof(ticks));
        ulnn_step(model, x.data + k * x_bytes, y + k * y_bytes, ticks);
        ulnn_state_get(model, state + k * state_bytes);
        clamped[k] = ulnn_clamped(model);
    }
    write_file(paths[3], y, steps * y_bytes);
    write_file(paths[4], state, steps * state_bytes);
    write_file(paths[5], clamped, 4 * steps);
    free(clamped);
    free(state);
    free(y);
    free(memory);
    free(dt.data);
    free(x.data);
    free(file.data);
    return 0;
}

#if ULNN_BANDS
static int bands_file(char **paths) {
    bytes_t track = read_file(paths[0]), x = read_file(paths[1]);
    const int16_t *words = (const int16_t *)(void *)track.data;
    const size_t need = ulnn_bands_size(words, track.size / 2);
    void *memory = malloc(need);
    if (need == 0 || memory == NULL) {
        stop("not a track", paths[0]);
    }
    ulnn_bands_t *bands = ulnn_bands_make(words, track.size / 2, memory);
    const size_t bytes = 2u * (unsigned)bands->outputs;
    int16_t *y = malloc(bytes);
    if (y == NULL) {
        stop("out of memory", paths[0]);
    }
    const int16_t *samples = (const int16_t *)(void *)x.data;
    ulnn_bands_feed(bands, samples, x.size / 2 / (size_t)bands->channels);
    ulnn_bands_read(bands, y);
    write_file(paths[2], y, bytes);
    free(y);
    free(memory);
    free(x.data);
    free(track.data);
    return 0;
}
#endif

int main(int argc, char **argv) {
    if (argc >= 3 && strcmp(argv[1], "check") == 0) {
        return check_files(argv + 2);
    }
    if (argc == 3 && strcmp(argv[1], "test") == 0) {
        return test_file(argv[2]);
    }
    if (argc == 8 && strcmp(argv[1], "run") == 0) {
        return run_file(argv + 2);
    }
#if ULNN_BANDS
    if (argc == 5 && strcmp(argv[1], "bands") == 0) {
        return bands_file(argv + 2);
    }
#endif
    fprintf(stderr, "usage: core_cli check FILE... | test FILE | run FILE X DT Y STATE CLAMPED | "
                    "bands TRACK X Y\n");
    return 2;
}
