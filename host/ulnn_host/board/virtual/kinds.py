"""The virtual boards there are, and the address form that names one: ``virtual:...``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from ...base.errors import UlnnError

VARIANTS = ("", "frozen")
PREFIX = "virtual:"


@dataclass(frozen=True)
class BoardKind:
    """One virtual board: how its firmware is compiled and which machine QEMU plays."""

    name: str
    folder: str
    """Its folder under ``boards/``."""
    compiler: str
    qemu: str
    machine_args: tuple[str, ...]
    config_address: int
    """Where the firmware looks for its run-time settings (hw_config_t in boards/qemu/hw.h)."""
    natmod_arch: str
    debian_packages: str
    like: str
    mux: str = "off"
    """Whether QEMU keeps bytes for a UART without a FIFO, "on" or "off". Without that each one
    takes two turns of its main loop: 49 microseconds instead of 11. A FIFO is faster still."""


BOARDS = {
    kind.name: kind
    for kind in (
        BoardKind(
            name="cortex-m7",
            folder="QEMU_CORTEX_M7",
            compiler="arm-none-eabi-gcc",
            qemu="qemu-system-arm",
            machine_args=("-M", "mps2-an500", "-cpu", "cortex-m7"),
            config_address=0x60000000,
            natmod_arch="armv7emdp",
            debian_packages="gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm",
            like="STM32H7",
            mux="on",
        ),
        BoardKind(
            name="rv32",
            folder="QEMU_RV32",
            compiler="riscv64-unknown-elf-gcc",
            qemu="qemu-system-riscv32",
            machine_args=("-M", "virt", "-bios", "none"),
            config_address=0x81000000,
            natmod_arch="rv32imc",
            debian_packages="gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf "
            "qemu-system-misc",
            like="ESP32-C3",
        ),
    )
}


def board_kind(name: str) -> BoardKind:
    """The board of that name; raises UlnnError naming the known ones."""
    try:
        return BOARDS[name]
    except KeyError:
        raise UlnnError(f"no virtual board '{name}': there are {', '.join(BOARDS)}") from None


def check_variant(variant: str) -> str:
    """The variant, if there is such a one; raises UlnnError otherwise."""
    if variant not in VARIANTS:
        raise UlnnError(
            f"no firmware variant '{variant}': there are 'frozen' (the C module compiled in) and "
            "none (modules are deployed)"
        )
    return variant


@dataclass(frozen=True)
class BoardAddress:
    """What ``virtual:NAME[+VARIANT][?disk=64k&heap=64k&icount=7&serial=1&sleep=skip]`` says."""

    name: str
    variant: str = ""
    disk_kib: int | None = None
    heap_kib: int | None = None
    icount: int | None = None
    serial_number: int = 0
    skip_sleep: bool = False


def parse_address(text: str) -> BoardAddress:
    """Reads a board address, with or without its ``virtual:``; raises UlnnError."""
    match = re.fullmatch(
        r"(?:virtual:)?(?P<name>[a-z0-9-]+)(?:\+(?P<variant>[a-z]+))?(?:\?(?P<query>.*))?", text
    )
    if match is None:
        raise UlnnError(
            f"'{text}' is no board address: write virtual:cortex-m7, virtual:rv32+frozen or "
            "virtual:rv32?disk=64k&heap=64k"
        )
    options = dict(parse_qsl(match["query"] or "", keep_blank_values=True))
    unknown = set(options) - {"disk", "heap", "icount", "serial", "sleep"}
    if unknown:
        raise UlnnError(
            f"unknown option '{min(unknown)}' in '{text}': there are disk, heap, icount, serial, "
            "sleep"
        )
    if options.get("sleep", "skip") != "skip":
        raise UlnnError(
            f"sleep is '{options['sleep']}', expected skip: the clock jumps over sleeps"
        )
    return BoardAddress(
        name=board_kind(match["name"]).name,
        variant=check_variant(match["variant"] or ""),
        disk_kib=parse_kib(options["disk"]) if "disk" in options else None,
        heap_kib=parse_kib(options["heap"]) if "heap" in options else None,
        icount=_integer("icount", options["icount"], 10) if "icount" in options else None,
        serial_number=_integer("serial", options.get("serial", "0"), 2**32 - 1),
        skip_sleep="sleep" in options,
    )


def parse_kib(text: str) -> int:
    """A memory size such as "64k" or "1m", in KiB; raises UlnnError."""
    match = re.fullmatch(r"(\d+)([km])", text.lower())
    if match is None or int(match[1]) == 0:
        raise UlnnError(f"'{text}' is no memory size: write 64k or 1m")
    return int(match[1]) * (1024 if match[2] == "m" else 1)


def _integer(name: str, text: str, highest: int) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise UlnnError(f"'{text}' is not a whole number") from None
    if not 0 <= value <= highest:
        raise UlnnError(f"{name} is {text}, expected 0 to {highest}")
    return value
