"""Boards: the serial line, deployment, validation; `virtual` has boards in QEMU."""
