"""What pyproject.toml cannot say: the CPython extension `ulnn`, and the copies of board files.

ULNN_PURE=1 leaves the extension out: a wheel for every platform. ULNN_WERROR=1 makes warnings
errors and the extension required, which otherwise is optional.
"""

import os
import shutil
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

NATIVE = Path("native_module")
LIST = NATIVE / "sources.txt"
SOURCES = [NATIVE / name for name in LIST.read_text().split() if name.endswith(".c")]
SOURCES.append(NATIVE / "bindings/cpython/ulnn_cpython.c")
HEADERS = sorted([*NATIVE.glob("[ck]*/*.h"), *NATIVE.glob("bindings/cpython/*.h")])
# No debug information: it would hold the paths of this machine.
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-O2", "-g0"]
STRICT = bool(os.environ.get("ULNN_WERROR"))
# One extension for all versions of CPython; the free-threaded ones have no stable ABI.
STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")


class BuildExt(build_ext):
    """Adds the flags of compilers that take gcc's."""

    def build_extensions(self) -> None:
        """Builds all extensions."""
        if self.compiler.compiler_type == "unix":
            for extension in self.extensions:
                extension.extra_compile_args = FLAGS + ["-Werror"] * STRICT
        super().build_extensions()


class BuildPy(build_py):
    """Adds the board's Python as source, where ulnn_host/base/paths.py finds it."""

    def _copies(self) -> dict[Path, Path]:
        """Source by target; none for a checkout that is used as it lies."""
        folder = Path(self.build_lib, "ulnn_host", "board_files")
        found = [] if self.editable_mode else Path("firmware").rglob("*.py")
        return {folder / path: path for path in found if path.name != "manifest.py"}

    def run(self) -> None:
        """Builds all modules."""
        super().run()
        for target, source in self._copies().items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """The names of all that is built."""
        return [*super().get_outputs(include_bytecode), *map(str, self._copies())]


extension = Extension(
    "ulnn",
    sources=[str(path) for path in SOURCES],
    depends=[str(path) for path in (LIST, *HEADERS)],
    optional=not STRICT,
    py_limited_api=STABLE_ABI,
    define_macros=[("Py_LIMITED_API", "0x030b0000")] * STABLE_ABI,
)
setup(
    ext_modules=[] if os.environ.get("ULNN_PURE") else [extension],
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
)
