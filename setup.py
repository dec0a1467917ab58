"""The one part of the build that pyproject.toml cannot say: the CPython extension `ulnn`."""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = "native_module/"
SOURCES = [
    "bindings/cpython/ulnn_cpython.c",
    "core/ulnn_load.c",
    "core/ulnn_load_layer.c",
    "core/ulnn_load_matrix.c",
    "core/ulnn_load_ltc.c",
    "core/ulnn_step.c",
    "core/ulnn_cells.c",
    "core/ulnn_ltc.c",
    "core/ulnn_text.c",
    "kernels/portable.c",
]
HEADERS = sorted(str(path) for path in Path("native_module").glob("[ck]*/*.h"))
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
            sources=[CORE + name for name in SOURCES],
            depends=HEADERS,
        )
    ],
    cmdclass={"build_ext": BuildExt},
)
