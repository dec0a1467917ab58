// SPDX-License-Identifier: MIT
#include "exercise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROMISE(condition) promise((condition), #condition)

static void promise(int kept, const char *what) {
    if (!kept) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

static void *take(size_t size) {
    void *block = malloc(size != 0 ? size : 1);
    PROMISE(block != NULL);
    return block;
}

uint32_t random_next(random_t *random) {
    random->s ^= random->s << 13;
    random->s ^= random->s >> 7;
    random->s ^= random->s << 17;
    return (uint32_t)(random->s >> 16);
}

uint32_t random_below(random_t *random, size_t n) {
    return (uint32_t)(random_next(random) % n);
}

void fix_file(uint8_t *data, size_t size) {
    if (size < ULNN_HEADER_SIZE) {
        return;
    }
    uint32_t crc = 0xffffffffu;
    for (size_t i = 16; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
        }
    }
    crc = ~crc;
    for (unsigned i = 0; i < 4; i++) {
        data[8 + i] = (uint8_t)(size >> 8 * i);
        data[12 + i] = (uint8_t)(crc >> 8 * i);
    }
}

static void some_steps(ulnn_model_t *model, random_t *random, int16_t *x, int16_t *y) {
    static const uint32_t dts[] = {0, 1, 1000, 0x7fffffff, 0x80000000, 0xffffffff};
    for (unsigned k = 0; k < 4; k++) {
        for (unsigned i = 0; i < ulnn_model_info(model)->input_size; i++) {
            x[i] = (int16_t)random_next(random);
        }
        ulnn_step(model, x, y, random_next(random) & 1 ? random_next(random) : dts[k + 2]);
    }
    ulnn_step(model, x, y, dts[random_below(random, 6)]);
}

static void exercise_model(
    uint8_t *file, size_t size, size_t need, random_t *random, ulnn_error_t *error) {
    // Less memory than asked for is refused, and not written behind.
    size_t less = random_below(random, need);
    void *memory = take(less);
    PROMISE(ulnn_load(file, size, memory, less, error) == NULL);
    PROMISE(error->status == ULNN_BAD_MEMORY && error->want == need);
    free(memory);
    PROMISE(ulnn_load(file, size, NULL, need, error) == NULL);
    PROMISE(error->status == ULNN_BAD_MEMORY && error->want == need);

    // The size of the memory is known without the checks that ulnn_load makes: this is damaged.
    file[12] ^= 1;
    PROMISE(ulnn_memory_size(file, size) == need);
    memory = take(need);
    PROMISE(ulnn_load(file, size, memory, need, error) == NULL && error->status == ULNN_CRC);
    file[12] ^= 1;

    memset(memory, 0xa5, need);
    ulnn_model_t *model = ulnn_load(file, size, memory, need, error);
    PROMISE(model != NULL);
    const ulnn_info_t *info = ulnn_model_info(model);
    int16_t *x = take(2u * info->input_size);
    int16_t *y = take(2u * info->output_size);
    uint8_t *state = take(2u * info->state_size);
    uint32_t differs;
    (void)ulnn_self_test(model, &differs);
    some_steps(model, random, x, y);
    ulnn_state_get(model, state);
    for (uint32_t i = 0; i < info->state_size; i++) {
        state[2 * i] = (uint8_t)random_next(random);
        state[2 * i + 1] = (uint8_t)(random_next(random) & 1 ? 0x80 : 0x7f);
    }
    ulnn_state_set(model, state);
    some_steps(model, random, x, y);
    // The caller's buffer is not trusted after loading either.
    uint8_t pattern = (uint8_t)random_next(random);
    for (size_t i = 0; i < size; i++) {
        file[i] = pattern & 1 ? (uint8_t)random_next(random) : pattern;
    }
    some_steps(model, random, x, y);
    (void)ulnn_self_test(model, &differs);
    free(state);
    free(y);
    free(x);
    free(memory);
}

ulnn_status_t exercise(const uint8_t *data, size_t size, random_t *random, ulnn_error_t *error) {
    // Once at an odd address, and once where it can be used in place.
    uint8_t *odd = take(size + 1);
    uint8_t *file = take(size);
    memcpy(odd + 1, data, size);
    memcpy(file, data, size);
    size_t need = 0;
    ulnn_status_t status = ulnn_check(odd + 1, size, &need, error);
    free(odd);
    if (status == ULNN_OK) {
        exercise_model(file, size, need, random, error);
    } else {
        PROMISE(status > ULNN_FIRST_TEXT && status == error->status);
        char text[ULNN_TEXT_MAX];
        size_t length = ulnn_error_text(error, text);
        PROMISE(length < sizeof(text) && strlen(text) == length);
        // As a caller does it who has not checked the file, and with any other memory.
        const size_t sizes[] = {ulnn_memory_size(file, size), random_below(random, 8192)};
        for (unsigned i = 0; i < 2; i++) {
            void *memory = take(sizes[i]);
            ulnn_error_t same;
            char same_text[ULNN_TEXT_MAX];
            PROMISE(ulnn_load(file, size, memory, sizes[i], &same) == NULL);
            PROMISE(ulnn_error_text(&same, same_text) == length && strcmp(text, same_text) == 0);
            free(memory);
        }
    }
    free(file);
    return status;
}
