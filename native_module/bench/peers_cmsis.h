// SPDX-License-Identifier: MIT
// CMSIS-NN as a peer; see peers_cmsis.c. Sizes: 16 to 128, a multiple of 4.
#ifndef PEERS_CMSIS_H
#define PEERS_CMSIS_H

unsigned cmsis_lstm_macs(unsigned hidden);
void cmsis_lstm_s8_step(unsigned hidden);
void cmsis_lstm_s16_step(unsigned hidden);

// One dense layer of hidden x hidden, without an activation function.
unsigned cmsis_dense_macs(unsigned hidden);
void cmsis_dense_s8_step(unsigned hidden);
void cmsis_dense_s16_step(unsigned hidden);

#endif // PEERS_CMSIS_H
