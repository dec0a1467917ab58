// SPDX-License-Identifier: MIT
// What every *.S of this folder includes first. What a build has not chosen is empty there, on any
// machine. So are those that others include, by themselves: they need ULNN_ASSEMBLY_PARTS, which the
// others define.
#ifndef ULNN_ASSEMBLY_H
#define ULNN_ASSEMBLY_H

#include "ulnn_choice.h"
#include "../core/ulnn_build.h"

#if defined(__ASSEMBLER__) && defined(__linux__) && defined(__ELF__)
// A program's stack is executable unless each of its objects says that it need not be, empty ones
// too.
// clang-format off
        .section .note.GNU-stack, "", %progbits
// clang-format on
#endif

#endif // ULNN_ASSEMBLY_H
