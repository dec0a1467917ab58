// SPDX-License-Identifier: MIT
// float32 CfC, LSTM and GRU with 8 inputs, written straight from their equations, with the C
// library's tanhf and expf. One set of weights serves them all: the values do not matter to the
// number of instructions (but must keep the networks away from infinities).
#include "peers.h"
#ifdef BENCH_CMSIS
#include "peers_cmsis.h"
#endif

#include <math.h>
#include <stdint.h>

#define INPUTS 8
#define HIDDEN_MAX 128
#define COLUMNS_MAX (INPUTS + HIDDEN_MAX)

static float weights[4 * HIDDEN_MAX * COLUMNS_MAX];
static float vector[COLUMNS_MAX], units[HIDDEN_MAX], cell[HIDDEN_MAX], gates[4 * HIDDEN_MAX];

static void fill(void) {
    static uint32_t seed;
    if (seed != 0) {
        return;
    }
    seed = 1;
    for (unsigned i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
        seed = seed * 1664525 + 1013904223;
        weights[i] = (float)(int32_t)seed * (1.0f / 2147483648.0f) * 0.15f;
    }
    for (unsigned i = 0; i < INPUTS; i++) {
        vector[i] = 0.1f * (float)i - 0.4f;
    }
}

// out[r] = weights of row r, and a bias, over `columns` values of v
static void dense(const float *w, const float *v, float *out, unsigned rows, unsigned columns) {
    for (unsigned r = 0; r < rows; r++) {
        float sum = w[r & 7];
        for (unsigned c = 0; c < columns; c++) {
            sum += w[r * columns + c] * v[c];
        }
        out[r] = sum;
    }
}

static float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

static unsigned cfc_macs(unsigned hidden) {
    return hidden * (INPUTS + hidden) + 4 * hidden * hidden;
}

static void cfc_step(unsigned hidden) {
    const float dt = 0.5f;
    fill();
    float *h = vector + INPUTS;
    dense(weights, vector, units, hidden, INPUTS + hidden);
    for (unsigned i = 0; i < hidden; i++) {
        units[i] = 1.7159f * tanhf(0.666f * units[i]);
    }
    dense(weights, units, gates, 4 * hidden, hidden);
    for (unsigned i = 0; i < hidden; i++) {
        float f1 = tanhf(gates[i]), f2 = tanhf(gates[hidden + i]);
        float t = sigmoid(gates[2 * hidden + i] * dt + gates[3 * hidden + i]);
        h[i] = f1 * (1.0f - t) + t * f2;
    }
}

static unsigned lstm_macs(unsigned hidden) {
    return 4 * hidden * (INPUTS + hidden);
}

static void lstm_step(unsigned hidden) {
    fill();
    float *h = vector + INPUTS;
    dense(weights, vector, gates, 4 * hidden, INPUTS + hidden);
    for (unsigned i = 0; i < hidden; i++) {
        float input = sigmoid(gates[i]), forget = sigmoid(gates[hidden + i]);
        float candidate = tanhf(gates[2 * hidden + i]), output = sigmoid(gates[3 * hidden + i]);
        cell[i] = forget * cell[i] + input * candidate;
        h[i] = output * tanhf(cell[i]);
    }
}

static unsigned gru_macs(unsigned hidden) {
    return 3 * hidden * (INPUTS + hidden);
}

static void gru_step(unsigned hidden) {
    fill();
    float *h = vector + INPUTS;
    dense(weights, vector, gates, 3 * hidden, INPUTS);
    dense(weights + 3 * hidden * INPUTS, h, units, hidden, hidden);
    for (unsigned i = 0; i < hidden; i++) {
        gates[i] = sigmoid(gates[i] + units[i]);
    }
    dense(weights + (3 * INPUTS + hidden) * hidden, h, units, hidden, hidden);
    for (unsigned i = 0; i < hidden; i++) {
        gates[hidden + i] = sigmoid(gates[hidden + i] + units[i]);
    }
    dense(weights + (3 * INPUTS + 2 * hidden) * hidden, h, units, hidden, hidden);
    for (unsigned i = 0; i < hidden; i++) {
        float candidate = tanhf(gates[2 * hidden + i] + gates[i] * units[i]);
        float update = gates[hidden + i];
        h[i] = (1.0f - update) * candidate + update * h[i];
    }
}

const peer_t peers[] = {
    {"float32_cfc", cfc_macs, cfc_step},
    {"float32_lstm", lstm_macs, lstm_step},
    {"float32_gru", gru_macs, gru_step},
#ifdef BENCH_CMSIS
    {"cmsis_nn_lstm_s8", cmsis_lstm_macs, cmsis_lstm_s8_step},
    {"cmsis_nn_lstm_s16", cmsis_lstm_macs, cmsis_lstm_s16_step},
    {"cmsis_nn_dense_s8", cmsis_dense_macs, cmsis_dense_s8_step},
    {"cmsis_nn_dense_s16", cmsis_dense_macs, cmsis_dense_s16_step},
#endif
};
const unsigned peers_count = sizeof(peers) / sizeof(peers[0]);
