// SPDX-License-Identifier: MIT
// One step, the state, and the self test (SPEC sections 3 and 2.6).
#include "ulnn_internal.h"

// Copies n values, 1 or more, for layers without a backbone. Those of wired networks have few values
// and copy often: a general memcpy would cost them more than their products.
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((
    optimize("O2", "no-ivopts", "no-tree-vectorize", "no-tree-loop-distribute-patterns")))
#endif
static ULNN_NOINLINE void
ulnn_copy_few(void *to, const void *from, size_t n) {
#if ULNN_NO_LONG_MULTIPLY || !defined(__GNUC__)
    // Products cost more without a long multiply, and room is short; other compilers have no
    // may_alias.
    memcpy(to, from, n * sizeof(int16_t));
#else
    uint8_t *target = to;
    const uint8_t *source = from;
#if defined(__ARM_FEATURE_UNALIGNED)
    for (size_t pairs = n >> 1; pairs != 0; pairs--) {
        memcpy(target, source, 4); // one load, one store
        target += 4;
        source += 4;
    }
    if ((n & 1) != 0) {
        memcpy(target, source, 2);
    }
#else
    typedef int16_t __attribute__((may_alias)) value_t;
    if ((((uintptr_t)to | (uintptr_t)from) & 1) != 0) {
        memcpy(to, from, n * sizeof(int16_t));
        return;
    }
    for (; (n & 3) != 0; n--) {
        *(value_t *)(void *)target = *(const value_t *)(const void *)source;
        target += 2;
        source += 2;
    }
    for (; n != 0; n -= 4) {
        const value_t *values = (const void *)source;
        const int16_t a = values[0], b = values[1], c = values[2], d = values[3];
        value_t *new = (void *)target;
        new[0] = a;
        new[1] = b;
        new[2] = c;
        new[3] = d;
        target += 8;
        source += 8;
    }
#endif
#endif
}

static inline void ulnn_run_heads(
    const ulnn_matrix_t *matrix, const int16_t *v, int32_t frac, int16_t *h) {
#if !ULNN_CELLS_CFC
    if (ULNN_RARELY(matrix->list != NULL)) {
        ulnn_kernel_sparse_heads(matrix, v, frac, h);
        return;
    }
#endif
    ulnn_kernel_heads(matrix, v, frac, h);
}

// One step of a CfC layer (SPEC 3.3 to 3.5) whose vector holds x; its matrices are `matrix` to
// `heads`.
static inline const int16_t *ulnn_cfc(ulnn_model_t *model, const ulnn_layer_t *layer,
    const ulnn_matrix_t *matrix, const ulnn_matrix_t *heads, int32_t frac) {
    int16_t *vector = model->values + layer->vector;
    int16_t *h = vector + layer->input_size;
    const int16_t *v = vector;
    int16_t *units = model->scratch[0], *other = model->scratch[1];
    if (matrix == heads) {
        if (!ulnn_heads_are_rows(heads->mode)) {
            // Heads without a backbone read the old h: it must stand until the last is done.
            ulnn_run_heads(heads, v, frac, units);
            ulnn_copy_few(h, units, layer->output_size);
            return h;
        }
    } else {
        do {
            ulnn_run_rows(matrix, v, units);
            int16_t *made = units;
            v = made;
            units = other;
            other = made;
            matrix++;
        } while (matrix != heads);
    }
    if (!ulnn_heads_are_rows(heads->mode)) {
        ulnn_run_heads(heads, v, frac, h);
        return h;
    }
    ulnn_run_rows(heads, v, units);
#if !ULNN_CELLS_CFC
    if (heads->mode == ULNN_MODE_PURE) {
        ulnn_pure(heads, layer->numbers, units, frac, h, layer->output_size);
        return h;
    }
#endif
    ulnn_mix(units, h, layer->output_size, heads->mode);
    return h;
}

// Runs all layers. Returns where the output is: valid until the next call.
static const int16_t *ulnn_run(ulnn_model_t *model, const void *x, uint32_t dt) {
    if (dt - model->dt_least > model->dt_span) {
        if (model->clamped != UINT32_MAX) {
            model->clamped++;
        }
        if (dt > model->info.dt_max) {
            dt = model->info.dt_max;
        }
    }
    int32_t frac = (int32_t)(dt << model->time_shift);

    const ulnn_layer_t *layer = model->layers;
    const int16_t *out;
    unsigned left = model->info.layers; // 1 or more
    do {
        const ulnn_matrix_t *matrix = layer->matrix;
        if (layer->kind == ULNN_KIND_DENSE) {
            ulnn_copy_values(model->scratch[1], x, layer->input_size);
            ulnn_run_rows(matrix, model->scratch[1], model->scratch[0]);
            out = model->scratch[0];
        } else {
            const ulnn_matrix_t *heads = matrix + layer->matrix_count - 1;
#if !ULNN_CELLS_CFC
            if (ULNN_RARELY(layer->kind != ULNN_KIND_CFC)) {
                if (layer->kind != ULNN_KIND_MIXED) {
                    x = out = ulnn_cell(model, layer, x, frac);
                    continue;
                }
                // Puts x into the vector, and its gates where x may have been.
                ulnn_memory(model, layer, x, frac);
                matrix++;
            } else
#endif
                if (matrix == heads) {
                ulnn_copy_few(model->values + layer->vector, x, layer->input_size);
            } else {
                ulnn_copy_values(model->values + layer->vector, x, layer->input_size);
            }
            out = ulnn_cfc(model, layer, matrix, heads, frac);
        }
        x = out;
    } while ((void)layer++, --left != 0);
    return out;
}

void ulnn_step(ulnn_model_t *model, const void *x, void *y, uint32_t dt) {
    const int16_t *out = ulnn_run(model, x, dt);
    ulnn_copy_values(y, out, model->info.output_size);
}

void ulnn_reset(ulnn_model_t *model) {
    const ulnn_layer_t *layer = model->layers;
    for (unsigned l = model->info.layers; l != 0; l--, layer++) {
        memset(model->values + layer->state, 0, layer->state_size * sizeof(int16_t));
    }
    model->clamped = 0;
}

uint32_t ulnn_clamped(const ulnn_model_t *model) {
    return model->clamped;
}

void ulnn_state_get(const ulnn_model_t *model, void *state) {
    const ulnn_layer_t *layer = model->layers;
    uint8_t *to = state;
    for (unsigned l = model->info.layers; l != 0; l--, layer++) {
        const size_t bytes = layer->state_size * sizeof(int16_t);
        memcpy(to, model->values + layer->state, bytes);
        to += bytes;
    }
}

void ulnn_state_set(ulnn_model_t *model, const void *state) {
    const ulnn_layer_t *layer = model->layers;
    const uint8_t *from = state;
    for (unsigned l = model->info.layers; l != 0; l--, layer++) {
        const size_t bytes = layer->state_size * sizeof(int16_t);
        memcpy(model->values + layer->state, from, bytes);
        from += bytes;
    }
}

// Compares n values with what a file says. Returns what follows there, or NULL.
static const uint8_t *ulnn_equal(const int16_t *values, const uint8_t *expected, size_t n) {
    const uint8_t *bytes = (const uint8_t *)values;
    for (n *= sizeof(int16_t); n != 0; n--) {
        if (*bytes++ != *expected++) {
            return NULL;
        }
    }
    return expected;
}

int ulnn_self_test_part(ulnn_model_t *model, uint32_t first, uint32_t count, uint32_t *differs) {
    const uint32_t steps = model->info.golden_steps;
    const uint8_t *dts = model->golden;
    if (dts == NULL) {
        return 1;
    }
    const uint8_t *x = dts + 4 * steps;
    const uint8_t *y = x + 2 * steps * model->info.input_size;
    x += 2 * first * model->info.input_size;
    y += 2 * first * model->info.output_size;
    for (uint32_t k = first; k < first + count; k++) {
        uint32_t dt;
        memcpy(&dt, dts + 4 * k, sizeof(dt));
        const int16_t *out = ulnn_run(model, x, dt);
        x += 2u * model->info.input_size;
        y = ulnn_equal(out, y, model->info.output_size);
        if (y == NULL) {
            *differs = k;
            return 0;
        }
    }
    if (first + count != steps) {
        return 1;
    }
    *differs = ULNN_STATE_DIFFERS;
    const ulnn_layer_t *layer = model->layers;
    for (unsigned l = model->info.layers; l != 0; l--, layer++) {
        y = ulnn_equal(model->values + layer->state, y, layer->state_size);
        if (y == NULL) {
            return 0;
        }
    }
    return 1;
}

int ulnn_self_test(ulnn_model_t *model, uint32_t *differs) {
    if (model->golden == NULL) {
        return 1;
    }
    ulnn_reset(model);
    int equal = ulnn_self_test_part(model, 0, model->info.golden_steps, differs);
    ulnn_reset(model);
    return equal;
}

const ulnn_info_t *ulnn_model_info(const ulnn_model_t *model) {
    return &model->info;
}

const char *ulnn_kernel_name(void) {
    return ULNN_KERNEL_NAME;
}
