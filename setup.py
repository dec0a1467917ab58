"""The one part of the build that pyproject.toml cannot say: the CPython extension `ulnn`."""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = Path("native_module")
LIST = NATIVE / "sources.txt"
SOURCES = [NATIVE / name for name in LIST.read_text().split() if name.endswith(".c")]
SOURCES.append(NATIVE / "bindings/cpython/ulnn_cpython.c")
HEADERS = sorted(NATIVE.glob("[ck]*/*.h"))
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-O2"]


class BuildExt(build_ext):
    """Adds the flags of compilers that take gcc's; ULNN_WERROR=1 makes warnings errors."""

    def build_extensions(self) -> None:
        """Builds all extensions."""
        if self.compiler.compiler_type == "unix":
            for extension in self.extensions:
                strict = ["-Werror"] if os.environ.get("ULNN_WERROR") else []
                extension.extra_compile_args = WARNINGS + strict
        super().build_extensions()


setup(
    ext_modules=[
        Extension(
            "ulnn",
            sources=[str(path) for path in SOURCES],
            depends=[str(path) for path in (LIST, *HEADERS)],
        )
    ],
    cmdclass={"build_ext": BuildExt},
)
