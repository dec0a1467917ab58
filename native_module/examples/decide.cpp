// SPDX-License-Identifier: MIT
// Decisions of a model, in C++: decide.c with a class around the model.
#include <stdio.h>

#include "model.h"
#include "ulnn.h"

// Holds the memory of the model, which has pointers into it: it stays where it is.
class Model {
  public:
    Model() = default;
    Model(const Model &) = delete;
    Model &operator=(const Model &) = delete;

    bool load() {
        ulnn_error_t error;
        uint32_t differs;
        model = ulnn_load(model_file, MODEL_FILE_SIZE, memory, sizeof(memory), &error);
        return model != nullptr && ulnn_self_test(model, &differs) != 0;
    }

    // The class for MODEL_INPUTS values, `ticks` after those before.
    int decide(const float *values, uint32_t ticks) {
        int16_t x[MODEL_INPUTS], y[MODEL_OUTPUTS];
        float outputs[MODEL_OUTPUTS];
        model_quantise(values, x);
        ulnn_step(model, x, y, ticks);
        model_dequantise(y, outputs);
        int best = 0;
        for (int c = 1; c < MODEL_OUTPUTS; c++) {
            best = outputs[c] > outputs[best] ? c : best;
        }
        return best;
    }

  private:
    alignas(ULNN_ALIGN) unsigned char memory[MODEL_MEMORY_SIZE] = {};
    ulnn_model_t *model = nullptr;
};

static Model model;

int main() {
    if (!model.load()) {
        puts("not loaded, or self test: differs from the PC");
        return 1;
    }
    for (unsigned k = 0; k < 20; k++) {
        float values[MODEL_INPUTS]; // what a sensor would give, within the model's range
        for (unsigned i = 0; i < MODEL_INPUTS; i++) {
            const int wave = static_cast<int>((k * 7919 + i * 2741) % 32768) - 16384;
            values[i] = model_input_offset[i] + model_input_scale[i] * static_cast<float>(wave);
        }
        puts(model_labels[model.decide(values, 20000000u / MODEL_TICK_NS)]); // 20 ms
    }
    return 0;
}
