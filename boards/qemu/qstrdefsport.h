// clang-format off
Q(/lib)
