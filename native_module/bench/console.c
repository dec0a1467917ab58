// SPDX-License-Identifier: MIT
// For programs with a main and newlib's printf, on the machines that have a port here.
#include <stdio.h>

#include "machine.h"

int main(void);
int _write(int file, const char *text, int length);

int _write(int file, const char *text, int length) {
    (void)file;
    for (int i = 0; i < length; i++) {
        machine_put(text[i]);
    }
    return length;
}

int bench(void) {
    int status = main();
    fflush(NULL);
    return status;
}
