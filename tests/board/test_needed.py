"""Which modules of `firmware` a board gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.paths import FIRMWARE
from support.random_models import Shape, random_model, with_golden
from ulnn_host.board import needed

ALARM: dict[str, object] = {"source": {"kind": "replay"}, "alarm": {"look": 8}}
POLICY = {"source": {"kind": "replay"}, "policy": "policy.json"}


def rules(names: set[str]) -> set[str]:
    return {name.partition("/")[2] for name in names if name.startswith("ulnn_rules/")}


def test_a_plain_model_takes_no_rules_of_others() -> None:
    model = with_golden(random_model(1, Shape(inputs=6, hidden=8, outputs=3)))
    found = needed.of_model(model)
    assert not rules(found) & {"mask", "features", "centres", "events", "settings"}
    assert found == {name for name in found if name.startswith("ulnn_rules/")}


@pytest.mark.parametrize(
    ("settings", "some", "none"),
    [
        ({"source": {"kind": "mpu"}}, {"ulnn_sources/busio_bus"}, {"ulnn_app/private"}),
        (POLICY, {"ulnn_rules/mask_actions", "ulnn_sources/masked"}, {"ulnn_rules/events"}),
        (
            {"source": {"kind": "lines"}, "sinks": [{"kind": "file", "path": "x"}]},
            {"ulnn_app/reports", "ulnn_rules/summary", "ulnn_sinks/file"},
            {"ulnn_sinks/mqtt", "ulnn_rules/mask"},
        ),
        (ALARM, {"ulnn_app/alarm", "ulnn_rules/watch"}, {"ulnn_app/alarms"}),
        (ALARM | {"alarm": [{}, {"score": "x"}]}, {"ulnn_app/alarms", "ulnn_app/alarm"}, set()),
    ],
    ids=["plain", "policy", "sinks", "alarm", "alarms"],
)
def test_an_app_takes_what_its_settings_name(
    settings: dict[str, object], some: set[str], none: set[str]
) -> None:
    found = needed.of_app(settings)
    assert some <= found
    assert not none & found


def test_imports_of_imports_in_a_circle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in {
        "__init__": "", "imu": "from ulnn_sources.bus import (\n    Bus,\n    KEYS,\n)\n",
        "bus": "import time\nfrom ulnn_sources import pins\nif time:\n    import ulnn_sinks\n",
        "pins": "from ulnn_sources.bus import KEYS\n",
    }.items():  # fmt: skip
        (tmp_path / f"{name}.py").write_text(content)
    here = {"firmware/ulnn_sources": tmp_path}
    monkeypatch.setattr(
        needed, "board_files", lambda name: here.get(name, tmp_path / Path(name).name)
    )
    needed._imports.cache_clear()
    found = needed.with_imports(["ulnn_sources/imu"])
    needed._imports.cache_clear()
    assert found == {f"ulnn_sources/{stem}" for stem in ("__init__", "imu", "bus", "pins")}


def test_every_module_of_a_package_can_be_asked_for() -> None:
    """None is left that no section, setting, kind or import leads to."""
    kinds = ("adc", "i2s", "lines", "lsm", "mpu", "replay")
    sinks = [{"kind": kind} for kind in ("file", "mqtt", "serial")]
    found = {name for names in needed._BY_SECTION.values() for name in names} | {*needed.PURE}
    found = needed.with_imports([*found, *needed._ALWAYS, "ulnn_live", "ulnn_record"])
    for kind in kinds:
        every = dict.fromkeys(needed._BY_SETTING, "x") | {"alarm": [{}]}
        found |= needed.of_app(every | {"source": {"kind": kind}, "sinks": sinks})
    there = {
        path.relative_to(FIRMWARE).with_suffix("").as_posix()
        for package in needed.PACKAGES
        for path in Path(FIRMWARE / package).glob("*.py")
    }
    assert there - found == set()
