// SPDX-License-Identifier: MIT
// CMSIS-NN's LSTM and its dense products, with 8 inputs: compiled when CMSIS_DIR names a checkout.
// The weights are noise: the values do not matter to the number of instructions.
#include "peers_cmsis.h"

#include <stdint.h>

#include "arm_nnfunctions.h"
#include "arm_nnsupportfunctions.h"

#define INPUTS 8
#define HIDDEN_MAX 128

static int8_t weights[HIDDEN_MAX * HIDDEN_MAX];
static int64_t biases[HIDDEN_MAX];
static int16_t input[HIDDEN_MAX], output[HIDDEN_MAX], state[HIDDEN_MAX], cell[HIDDEN_MAX];
static int16_t scratch[2][HIDDEN_MAX];

static void fill(void) {
    static uint32_t seed;
    if (seed != 0) {
        return;
    }
    seed = 1;
    for (unsigned i = 0; i < sizeof(weights); i++) {
        seed = seed * 1664525 + 1013904223;
        weights[i] = (int8_t)(seed >> 24);
    }
    for (unsigned i = 0; i < HIDDEN_MAX; i++) {
        input[i] = weights[i];
    }
}

static cmsis_nn_lstm_gate gate(arm_nn_activation_type activation) {
    cmsis_nn_lstm_gate gate = {
        .input_multiplier = 1073741824,
        .input_shift = -4,
        .input_weights = weights,
        .input_effective_bias = biases,
        .hidden_multiplier = 1073741824,
        .hidden_shift = -4,
        .hidden_weights = weights,
        .hidden_effective_bias = biases,
        .bias = biases,
        .activation_type = activation,
    };
    return gate;
}

static cmsis_nn_lstm_params parameters(unsigned hidden) {
    cmsis_nn_lstm_params params = {
        .time_major = 1,
        .batch_size = 1,
        .time_steps = 1,
        .input_size = INPUTS,
        .hidden_size = (int32_t)hidden,
        .forget_to_cell_multiplier = 1073741824,
        .forget_to_cell_shift = -14,
        .input_to_cell_multiplier = 1073741824,
        .input_to_cell_shift = -14,
        .cell_clip = 32767,
        .cell_scale_power = -11,
        .output_multiplier = 1073741824,
        .output_shift = -14,
        .forget_gate = gate(ARM_SIGMOID),
        .input_gate = gate(ARM_SIGMOID),
        .cell_gate = gate(ARM_TANH),
        .output_gate = gate(ARM_SIGMOID),
    };
    return params;
}

unsigned cmsis_lstm_macs(unsigned hidden) {
    return 4 * hidden * (INPUTS + hidden);
}

void cmsis_lstm_s8_step(unsigned hidden) {
    fill();
    const cmsis_nn_lstm_params params = parameters(hidden);
    cmsis_nn_lstm_context context = {scratch[0], scratch[1], cell, state};
    arm_lstm_unidirectional_s8((int8_t *)input, (int8_t *)output, &params, &context);
}

void cmsis_lstm_s16_step(unsigned hidden) {
    fill();
    const cmsis_nn_lstm_params params = parameters(hidden);
    cmsis_nn_lstm_context context = {scratch[0], scratch[1], cell, state};
    arm_lstm_unidirectional_s16(input, output, &params, &context);
}

unsigned cmsis_dense_macs(unsigned hidden) {
    return hidden * hidden;
}

void cmsis_dense_s8_step(unsigned hidden) {
    fill();
    const int32_t n = (int32_t)hidden;
    arm_nn_vec_mat_mult_t_s8((int8_t *)input, weights, NULL, (int32_t *)biases, (int8_t *)output, 0,
        0, 1073741824, -8, n, n, -128, 127, 1, 0);
}

void cmsis_dense_s16_step(unsigned hidden) {
    fill();
    const int32_t n = (int32_t)hidden;
    arm_nn_vec_mat_mult_t_s16(input, weights, biases, output, 1073741824, -8, n, n, -32768, 32767);
}
