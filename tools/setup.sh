#!/bin/sh
# Set-up for `make demo` and `make test` on Debian and Ubuntu: system packages, then a virtual environment.
# usage: tools/setup.sh VENV        PYTHON names the interpreter (3.11 or newer)
set -eu
venv=$1
python=${PYTHON:-python3}

missing=
need() { # need COMMAND PACKAGE...
    command -v "$1" >/dev/null 2>&1 || { shift; missing="$missing $*"; }
}
need gcc build-essential
need git git
need xz xz-utils
need clang clang
need cmake cmake
PATH="$PATH:/usr/sbin" need mosquitto mosquitto
need arm-none-eabi-gcc gcc-arm-none-eabi libnewlib-arm-none-eabi
need qemu-system-arm qemu-system-arm
need riscv64-unknown-elf-gcc gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf
need xtensa-lx106-elf-gcc gcc-xtensa-lx106 picolibc-xtensa-lx106-elf
if ! command -v qemu-system-riscv32 >/dev/null 2>&1; then
    # Debian 13 moved RISC-V out of qemu-system-misc.
    if apt-cache show qemu-system-riscv 2>/dev/null | grep -q '^Filename'; then
        missing="$missing qemu-system-riscv"
    else
        missing="$missing qemu-system-misc"
    fi
fi
"$python" -c 'import venv, ensurepip' >/dev/null 2>&1 || missing="$missing python3-venv"
"$python" - >/dev/null 2>&1 <<'P' || missing="$missing python3-dev"
import pathlib, sys, sysconfig
sys.exit(not (pathlib.Path(sysconfig.get_paths()["include"]) / "Python.h").exists())
P

if [ -n "$missing" ]; then
    line="apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then
        apt-get update
        DEBIAN_FRONTEND=noninteractive $line
    elif sudo -n true 2>/dev/null; then
        sudo apt-get update
        sudo DEBIAN_FRONTEND=noninteractive $line
    else
        echo "System packages are missing. Type this line, then try again:" >&2
        echo "    sudo apt-get update && sudo $line" >&2
        exit 1
    fi
fi

"$python" - <<'P'
import sys
if sys.version_info < (3, 11):
    sys.exit(f"Python {sys.version.split()[0]} found, expected 3.11 or newer; set PYTHON=python3.11")
P
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint tools/constraints.txt 'setuptools>=74'
# One that was built under another name would be imported first.
rm -f host/ulnn.*.so
ULNN_WERROR=1 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation \
    --constraint tools/constraints.txt --editable '.[dev]'
