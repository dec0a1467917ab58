import dataclasses
import hashlib
import io
import subprocess
import zipfile

import numpy as np
import pytest

from ulnn_host.base import packages
from ulnn_host.base.errors import UlnnError
from ulnn_host.data import mitbih
from ulnn_host.data.mitbih import MEMBER, PACKAGE


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "cache", lambda: tmp_path)
    mitbih.excerpt.cache_clear()
    yield tmp_path
    mitbih.excerpt.cache_clear()


def _wheel(path, member, monkeypatch):
    content = io.BytesIO()
    np.savez(content, ecg=np.array([1024, 1224, 824], np.uint16))
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(member, content.getvalue())
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(mitbih, "PACKAGE", dataclasses.replace(PACKAGE, sha256=sha256))


def test_counts_become_millivolts(cache, monkeypatch):
    _wheel(cache / PACKAGE.file, MEMBER, monkeypatch)
    assert mitbih.excerpt().tolist() == [0, 1, -1]


def test_a_wheel_without_the_recording_is_refused(cache, monkeypatch):
    _wheel(cache / PACKAGE.file, "scipy/other.dat", monkeypatch)
    with pytest.raises(UlnnError, match=r"has no scipy/misc/ecg\.dat: delete it"):
        mitbih.excerpt()


def test_without_network_one_line_says_what_to_do(cache, monkeypatch):
    def refused(*_, **__):
        return subprocess.CompletedProcess([], 1, "", "ERROR: no route\n")

    monkeypatch.setattr(subprocess, "run", refused)
    with pytest.raises(UlnnError, match=r"208 are in the package scipy==1\.11\.4, .*go online"):
        mitbih.excerpt()
