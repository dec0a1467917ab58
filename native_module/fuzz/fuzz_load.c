// SPDX-License-Identifier: MIT
// libFuzzer entry: make fuzz && ./fuzz_load SEEDS/
#include <stdlib.h>
#include <string.h>

#include "exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    random_t random = {size * 2654435761u + 1};
    ulnn_error_t error;
    uint8_t *copy = malloc(size + 1);
    if (copy != NULL) {
        memcpy(copy, data, size);
        fix_file(copy, size);
        (void)exercise(copy, size, &random, &error);
        free(copy);
    }
    return 0;
}
