// SPDX-License-Identifier: MIT
// Float networks of the same size, as a user would write them in C: what ulnn is compared with.
#ifndef PEERS_H
#define PEERS_H

typedef struct peer {
    const char *name;
    unsigned (*macs)(unsigned hidden); // multiply-accumulates of a step
    void (*step)(unsigned hidden);
} peer_t;

extern const peer_t peers[];
extern const unsigned peers_count;

#endif // PEERS_H
