// SPDX-License-Identifier: MIT
// Decisions of a model, in C: no files, no allocation. ../README.md says how to build it.
//
//     ulnn export model.ulnn --c .            makes model.h and model.c
#include <stdio.h>

#include "model.h"
#include "ulnn.h"

#define TICKS (20000000u / MODEL_TICK_NS) // 20 ms

// What a sensor would give: something within the model's range.
static void read_sensor(unsigned k, float *values) {
    for (unsigned i = 0; i < MODEL_INPUTS; i++) {
        const int wave = (int)((k * 7919 + i * 2741) % 32768) - 16384;
        values[i] = model_input_offset[i] + model_input_scale[i] * (float)wave;
    }
}

int main(void) {
    static uint64_t memory[(MODEL_MEMORY_SIZE + 7) / 8]; // aligned to ULNN_ALIGN
    ulnn_error_t error;
    ulnn_model_t *model = ulnn_load(model_file, MODEL_FILE_SIZE, memory, sizeof(memory), &error);
    if (model == NULL) {
        char text[ULNN_TEXT_MAX];
        ulnn_error_text(&error, text);
        puts(text);
        return 1;
    }
    uint32_t differs;
    if (!ulnn_self_test(model, &differs)) {
        puts("self test: differs from the PC");
        return 1;
    }
    for (unsigned k = 0; k < 20; k++) {
        float values[MODEL_INPUTS], outputs[MODEL_OUTPUTS];
        int16_t x[MODEL_INPUTS], y[MODEL_OUTPUTS];
        read_sensor(k, values);
        model_quantise(values, x);
        ulnn_step(model, x, y, TICKS);
        model_dequantise(y, outputs);
        int best = 0;
        for (int c = 1; c < MODEL_OUTPUTS; c++) {
            best = outputs[c] > outputs[best] ? c : best;
        }
        printf("%s\n", model_labels[best]);
    }
    return 0;
}
