// Everything in a model.h, over files of the current folder. C99 and C++11.
//
//     real (float)  -> quantised     y (int16) -> dequantised (float)     x, dt -> steps (int16)
//
// Prints the kernel, then each label and its length in bytes.
#include <stdio.h>
#include <string.h>

#include "model.h"
#include "ulnn.h"

static uint64_t memory[(MODEL_MEMORY_SIZE + 7) / 8];

static FILE *get(const char *name, const char *mode) {
    FILE *file = fopen(name, mode);
    if (file == NULL) {
        perror(name);
    }
    return file;
}

int main(void) {
    float real[MODEL_INPUTS], out[MODEL_OUTPUTS];
    int16_t x[MODEL_INPUTS], y[MODEL_OUTPUTS];
    FILE *from = get("real", "rb"), *to = get("quantised", "wb");
    while (fread(real, sizeof(real), 1, from) == 1) {
        model_quantise(real, x);
        fwrite(x, sizeof(x), 1, to);
    }
    fclose(from);
    fclose(to);
    from = get("y", "rb");
    to = get("dequantised", "wb");
    while (fread(y, sizeof(y), 1, from) == 1) {
        model_dequantise(y, out);
        fwrite(out, sizeof(out), 1, to);
    }
    fclose(from);
    fclose(to);

    ulnn_error_t error;
    uint32_t differs, dt;
    ulnn_model_t *model = ulnn_load(model_file, MODEL_FILE_SIZE, memory, MODEL_MEMORY_SIZE, &error);
    if (model == NULL || !ulnn_self_test(model, &differs)) {
        return 1;
    }
    if (ulnn_model_info(model)->tick_ns != MODEL_TICK_NS ||
        ulnn_model_info(model)->dt_max != MODEL_DT_MAX || strlen(MODEL_SHA256) != 64) {
        return 2;
    }
    from = get("x", "rb");
    FILE *times = get("dt", "rb");
    to = get("steps", "wb");
    while (fread(x, sizeof(x), 1, from) == 1 && fread(&dt, sizeof(dt), 1, times) == 1) {
        ulnn_step(model, x, y, dt);
        fwrite(y, sizeof(y), 1, to);
    }
    fclose(from);
    fclose(times);
    fclose(to);

    puts(ulnn_kernel_name());
#if MODEL_LABELS
    for (int k = 0; k < MODEL_LABELS; k++) {
        printf("%u %s\n", (unsigned)strlen(model_labels[k]), model_labels[k]);
    }
#endif
    return 0;
}
