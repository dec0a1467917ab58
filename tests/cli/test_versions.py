"""One version everywhere, and examples in every help text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib

import pytest

import ulnn
import ulnn_host
import ulnn_rules
from support.paths import ROOT
from ulnn_host.engines import registry as engines


def test_every_part_has_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    manifest = (ROOT / "firmware" / "manifest.py").read_text()
    header = (ROOT / "native_module" / "core" / "ulnn.h").read_text()
    component = (ROOT / "native_module" / "idf_component.yml").read_text()
    library = json.loads((ROOT / "native_module" / "library.json").read_text())
    found = {
        "ulnn_host": ulnn_host.__version__,
        "ulnn_rules": ulnn_rules.__version__,
        "C core": ulnn.__version__,
        "pure engine": engines.pure_module().__version__,
        "package.json": json.loads((ROOT / "firmware" / "package.json").read_text())["version"],
        "manifest.py": re.findall(r"version=\"([^\"]+)\"", manifest)[0],
        "ulnn.h": re.findall(r"#define ULNN_VERSION \"([^\"]+)\"", header)[0],
        "ulnn.h, numbers": ".".join(re.findall(r"#define ULNN_VERSION_[MP]\w+ (\d+)", header)),
        "idf_component.yml": re.findall(r"^version: \"(.+)\"", component, re.MULTILINE)[0],
        "library.json": library["version"],
    }
    assert found == dict.fromkeys(found, version)


COMMANDS = [
    *(
        ["-m", "ulnn_host", name]
        for name in ("train", "convert", "info", "run", "validate", "bench", "version")
    ),
    *(["-m", "ulnn_host", "boards", name] for name in ("list", "build", "run")),
    ["host/examples/watch/demo.py"],
    ["tools/deploy.py"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(c))
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "Example:" in done.stdout
