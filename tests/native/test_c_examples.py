"""The engine without MicroPython: the examples, by every way to build them that is offered."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import count_machines as machines
import ulnn_host
from support.c_model import (
    ENGINE,
    LISTED,
    STRICT,
    compile_c,
    decisions,
    example_model,
    export,
)
from support.paths import NATIVE, ROOT
from ulnn_host.format.model import ModelFile

EXAMPLES = {
    "decide.c": ("gcc", "-std=c99"),
    "decide.cpp": ("g++", "-std=c++11"),
}
REFUSED = "layer 0 matrix 0: storage 1 not supported\n"


@pytest.fixture(scope="module")
def model() -> ModelFile:
    return example_model()


@pytest.fixture(scope="module")
def exported(model: ModelFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with model.h and model.c."""
    folder = tmp_path_factory.mktemp("model")
    export(model, folder)
    return folder


def said(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True).stdout


def cmake(source: Path, build: Path, *options: str) -> None:
    """Configures and builds, without a warning of CMake or the linker."""
    if shutil.which("cmake") is None:
        pytest.skip("no cmake here")
    for command in (["-S", source, "-B", build, *options], ["--build", build, "-j2"]):
        done = subprocess.run(["cmake", *command], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_on_this_machine(name: str, model: ModelFile, exported: Path, tmp_path: Path) -> None:
    command, standard = EXAMPLES[name]
    flags = [standard, *STRICT, f"-I{exported}", f"-I{NATIVE / 'core'}"]
    objects = [compile_c(command, flags, NATIVE / "examples" / name, tmp_path)]
    for source in (exported / "model.c", *ENGINE):
        objects.append(compile_c("gcc", ["-std=c99", "-O1", *STRICT], source, tmp_path))
    subprocess.run([command, *objects, "-o", tmp_path / "decide"], check=True)
    assert said(tmp_path / "decide") == decisions(model)


@pytest.mark.parametrize("name", EXAMPLES)
def test_on_a_bare_cortex_m7(name: str, model: ModelFile, exported: Path, tmp_path: Path) -> None:
    """In the memory that the header says, with the start-up code of the bench."""
    machine = machines.CORTEX_M7
    if not machines.available(machine):
        pytest.skip(f"needs {machine.packages}")
    cplusplus = ["-std=c++11", "-fno-exceptions", "-fno-rtti"]
    bench = NATIVE / "bench"
    units = {
        NATIVE / "examples" / name: cplusplus if name.endswith("pp") else ["-std=c99"],
        **{source: ["-std=c99"] for source in (exported / "model.c", *ENGINE)},
        NATIVE / "kernels" / "cortex_m7.S": [],
        bench / "console.c": ["-std=c99"],
        bench / "cortex_m7.c": ["-std=c99"],
    }
    include = [f"-I{exported}", f"-I{NATIVE / 'core'}"]
    objects = [
        compile_c(machine.compiler, ["-O2", *machine.flags, *include, *flags], source, tmp_path)
        for source, flags in units.items()
    ]
    elf = tmp_path / "decide.elf"
    link = [*machine.flags, "-nostartfiles", "-T", str(bench / "cortex_m7.ld")]
    done = subprocess.run(
        [machine.compiler, *link, *objects, "-o", elf], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    run = subprocess.run(
        [*machine.qemu, "-nographic", "-monitor", "none", "-kernel", elf],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=True,
    )
    assert run.stdout.decode() == decisions(model)


def test_with_cmake(model: ModelFile, exported: Path, tmp_path: Path) -> None:
    cmake(NATIVE / "examples", tmp_path, f"-DMODEL_DIR={exported}")
    for program in ("decide_c", "decide_cpp"):
        assert said(tmp_path / program) == decisions(model)


def test_with_cmake_and_fewer_cells(exported: Path, tmp_path: Path) -> None:
    options = (f"-DMODEL_DIR={exported}", "-DULNN_CELLS=cfc", "-DULNN_KERNEL=PORTABLE")
    cmake(NATIVE / "examples", tmp_path, *options)
    assert said(tmp_path / "decide_c") == REFUSED


FETCH = """
cmake_minimum_required(VERSION 3.18)
project(user LANGUAGES C)
include(FetchContent)
FetchContent_Declare(ulnn SOURCE_DIR {root} SOURCE_SUBDIR native_module)
FetchContent_MakeAvailable(ulnn)
add_executable(user main.c)
target_link_libraries(user ulnn::ulnn)
get_directory_property(version DIRECTORY {root}/native_module DEFINITION PROJECT_VERSION)
target_compile_definitions(user PRIVATE PROJECT_VERSION="${{version}}")
"""
USER = """
#include <stdio.h>
#include <ulnn.h>
int main(void) { return printf("%s %s\\n", PROJECT_VERSION, ulnn_kernel_name()) < 0; }
"""


def test_fetched_by_cmake(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(FETCH.format(root=ROOT))
    (tmp_path / "main.c").write_text(USER)
    cmake(tmp_path, tmp_path / "build")
    assert said(tmp_path / "build" / "user") == f"{ulnn_host.__version__} portable\n"


# What idf_component_register does, as far as the component leans on it.
IDF = """
cmake_minimum_required(VERSION 3.16)
project(firmware LANGUAGES C ASM)
set(ESP_PLATFORM 1)
set(COMPONENT_LIB __idf_ulnn)
function(idf_component_register)
    cmake_parse_arguments(PARSE_ARGV 0 "" "" "" "SRCS;INCLUDE_DIRS")
    add_library(${{COMPONENT_LIB}} STATIC ${{_SRCS}})
    target_include_directories(${{COMPONENT_LIB}} PUBLIC ${{_INCLUDE_DIRS}})
endfunction()
add_subdirectory({native} ulnn)
add_executable(main {native}/examples/decide.c {model}/model.c)
target_include_directories(main PRIVATE {model})
target_link_libraries(main __idf_ulnn)
"""


@pytest.mark.parametrize("cells", ["", "cfc"])
def test_as_a_component_of_esp_idf(
    cells: str, model: ModelFile, exported: Path, tmp_path: Path
) -> None:
    """With a stand-in: ESP-IDF itself is in no package registry."""
    (tmp_path / "CMakeLists.txt").write_text(IDF.format(native=NATIVE, model=exported))
    cmake(tmp_path, tmp_path / "build", f"-DULNN_CELLS={cells}")
    assert said(tmp_path / "build" / "main") == (REFUSED if cells else decisions(model))


def test_the_component_has_its_sources() -> None:
    text = (NATIVE / "idf_component.yml").read_text()
    excluded = re.findall(r'^    - "(.*)"$', text, re.MULTILINE)
    assert len(excluded) > 3
    for pattern in excluded:
        assert list(NATIVE.glob(pattern)), pattern
    used = [*LISTED, *NATIVE.glob("[ck]*/*.h"), NATIVE / "CMakeLists.txt", NATIVE / "sources.txt"]
    for path in used:
        name = path.relative_to(NATIVE).as_posix()
        assert not any(fnmatch.fnmatch(name, pattern) for pattern in excluded), name


def test_as_a_library_of_platformio(model: ModelFile, exported: Path, tmp_path: Path) -> None:
    """Compiles what library.json names, which is all assembly too, as PlatformIO does."""
    library = json.loads((NATIVE / "library.json").read_text())
    build = library["build"]
    filters = [re.fullmatch(r"\+<(.*)>", entry) for entry in build["srcFilter"]]
    root = NATIVE / build["srcDir"]
    sources = sorted(path for found in filters if found for path in root.glob(found[1]))
    assert set(LISTED) <= set(sources)
    assert all((NATIVE / name).exists() for name in library["export"]["include"])
    flags = [f"-I{NATIVE / build['includeDir']}", f"-I{exported}"]
    units = [*sources, exported / "model.c", NATIVE / "examples" / "decide.c"]
    objects = [compile_c("gcc", ["-O1", *flags], unit, tmp_path) for unit in units]
    subprocess.run(["gcc", *objects, "-o", tmp_path / "decide"], check=True)
    assert said(tmp_path / "decide") == decisions(model)
