// SPDX-License-Identifier: MIT
// clang-format off
Q(/lib)
