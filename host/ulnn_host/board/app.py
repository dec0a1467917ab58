"""The app that `ulnn deploy --app` brings onto a board: its settings, checked here as the board
checks them, and the files that they name."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ulnn_rules.keeper import Key, Keys
from ulnn_rules.mask import Policy, load
from ulnn_rules.meaning import Meaning
from ulnn_rules.scaling import Scaling
from ulnn_rules.settings import check

from ..base.errors import UlnnError
from ..base.paths import board_files
from ..data import logs
from ..data.options import DataOptions
from ..data.takes import read_session
from . import board_code, versions
from .takes import MAGIC, take_bytes
from .versions import Held

SETTINGS, POLICY = "settings.json", "policy.json"
STARTERS = ("boot.py", "main.py")
# What these are called where versions are kept, in which .json files are versions.
STORED = {SETTINGS: "app.settings", POLICY: "app.policy"}
# In place of the keeper's, which is on the board alone and no part of a version.
_SOME_KEYS = Keys({"some": Key(bytes(32))}, "some")


@dataclass(frozen=True)
class App:
    """Settings that were checked. settings: as the board gets them, but for the model's path.

    recordings: path on the board, relative to its root, and contents of what the source replays.
    policy: contents of the file that the settings name beside them, None without one.
    """

    settings: dict[str, Any]
    recordings: dict[str, bytes]
    policy: bytes | None = None

    @property
    def model_path(self) -> str | None:
        """Where the settings want the model on the board; None: they do not say it."""
        return self.settings.get("model")

    def content(self, model_path: str, root: str) -> bytes:
        """The file for a board whose filesystem begins at `root` ("" or as "/flash")."""
        settings = self.settings | {"model": model_path}
        if self.recordings:
            (name,) = self.recordings
            settings["source"] = settings["source"] | {"file": f"{root}/{name}"}
        if self.policy is not None:
            settings["policy"] = f"{root}/{POLICY}"
        return json.dumps(settings, indent=1).encode() + b"\n"


def read_app(path: Path, model: bytes, to: str | None = None) -> App:
    """The settings in a file (JSON), which have to fit the model, and `to`, the model's path on
    the board, where both say it. Raises UlnnError.

    A source's "file" without a leading "/" is beside the settings, and goes to the board: a .take
    file, or a recording that becomes one (CSV, Parquet, .npz). So does the "policy", without its
    keeper's key.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UlnnError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    except ValueError as error:
        raise UlnnError(f"{path}: not JSON: {error}") from error
    rules = board_code.module("ulnn_app.settings")
    policy = _beside(path, given, "policy", "policy")
    recordings = to_replay(path, given)
    with tempfile.TemporaryDirectory() as folder:
        here = given
        for name, data in recordings.items():
            local = Path(folder) / name
            local.write_bytes(data)
            here = given | {"source": given["source"] | {"file": str(local)}}
        try:
            _check(rules, here, str(path), model, policy)
        except ValueError as error:
            raise UlnnError(f"{error}") from error
    wanted = given.get("model")
    if to and wanted and to != wanted:
        raise UlnnError(f"{path}: model is {wanted}, and --to says {to}: leave one of them out")
    return App(given, recordings, policy.read_bytes() if policy else None)


def _beside(path: Path, table: Any, key: str, what: str) -> Path | None:
    """The file that a key of a table in the settings names on this PC, a recording may be a
    folder; None: none, or one on the board. what: the key in errors."""
    name = table.get(key) if isinstance(table, dict) else None
    if not isinstance(name, str) or not name or name.startswith("/"):
        return None
    local = path.parent / name
    if not (local.is_file() or (key == "file" and local.exists())):
        raise UlnnError(
            f"{path}: {what}: no file {local}; a path that begins with / is one on the board"
        )
    return local


def _check(rules: Any, given: Any, where: str, model: bytes, policy_file: Path | None) -> None:
    known = given | {"model": given.get("model", "?")} if isinstance(given, dict) else given
    settings = rules.read(known, where)
    policy: Policy | None = load(str(policy_file), keys=_SOME_KEYS) if policy_file else None
    if settings["adapt"]:
        board_code.module("ulnn_app.wearer").centres_of(model, where)
    on_board = (
        str(settings["source"].get("file", "")).startswith("/")
        and not Path(settings["source"]["file"]).exists()
    )
    if on_board:  # a recording that is there already: the board looks at it
        return
    try:
        source = rules.source_of(settings, where)
    except ImportError:  # what only boards have; they check it
        return
    if policy:
        source = board_code.module("ulnn_sources.masked").Masked(source, policy, "network")
    front = board_code.module("ulnn_app.front")
    meaning, scaling = Meaning(model), Scaling(model)
    made = front.make(settings, source, model, meaning, scaling, where)
    if settings["alarm"]:
        alarm = board_code.module("ulnn_app.alarm")
        alarm.watches(settings, source, made, meaning, scaling, where)


def check_source(settings: dict[str, Any], where: str) -> None:
    """Settings of a source, with its kind, as far as a PC can check them. Raises UlnnError."""
    sources: Any = board_code.package("ulnn_sources")
    kind = settings["kind"]
    if kind not in sources.KINDS:  # the board may have it
        return
    try:
        table = board_code.module(f"ulnn_sources.{sources.KINDS[kind]}").TABLE
        if "file" in table:  # which need not be here
            check({key: value for key, value in settings.items() if key != "kind"}, table, where)
        else:
            sources.make(settings, where)
    except ImportError:  # what only boards have; they check it
        return
    except ValueError as error:
        raise UlnnError(f"{error}") from None


def to_replay(path: Path, given: Any) -> dict[str, bytes]:
    """What the source of the settings replays, by its name on the board."""
    source = given.get("source") if isinstance(given, dict) else None
    local = _beside(path, source, "file", "source.file")
    if local is None:
        return {}
    data = local.read_bytes() if local.is_file() else b""
    if not data.startswith(MAGIC):
        data = _take(local)
    return {f"{local.stem}.take": data}


def _take(local: Path) -> bytes:
    """A recording as a .take file: of one of ours the very counts that the board gave."""
    session = read_session(local)
    if session is None or not session.scale:
        return take_bytes(logs.read_data(local))
    return take_bytes(
        logs.read_data(local, DataOptions(channels=session.channels)),
        scale=session.scale,
        offset=session.offset,
        units=session.units,
    )


def starter(name: str, root: str) -> bytes:
    """`boot.py` or `main.py` for a board whose filesystem begins at `root`."""
    data = board_files(f"firmware/start/{name}").read_bytes()
    if root and name == "main.py":
        for local in ('"settings.json"', '"stop"'):
            data = data.replace(local.encode(), f'"{root}/{local[1:]}'.encode())
    return data


def places(app: App | None, root: str) -> list[str]:
    """Where on a board the files of an app go, but for modules and the model."""
    names = (*STARTERS, SETTINGS, POLICY, *(app.recordings if app else ()))
    return [f"{root}/{name}" for name in names] if app else []


def placed(app: App | None, held: Held, model: str, root: str) -> list[tuple[str, bytes, str]]:
    """Path, contents and a note of each file that goes there; not to where a person has put a
    `boot.py` or a `main.py`."""
    if app is None:
        return []
    found = [(f"{root}/{SETTINGS}", app.content(model, root), "settings of the app")]
    if app.policy is not None:
        found.append((f"{root}/{POLICY}", app.policy, "what may leave"))
    for name, data in app.recordings.items():
        found.append((f"{root}/{name}", data, "recording to replay"))
    for name in STARTERS:
        path, data = f"{root}/{name}", starter(name, root)
        if not _a_persons(held, path, data):
            found.append((path, data, "starts the app"))
    return found


def given_up(app: App | None, held: Held) -> list[str]:
    """Where files of the app before are, as they were put there, when a new one comes."""
    active = held.active
    if app is None or active is None:
        return []
    return [path for path in held.placed(active) if path not in active.model_paths]


def kept(app: App | None, held: Held, root: str) -> tuple[str, ...]:
    """A line where a board has a `main.py` of a person, which does not start the app."""
    path = f"{root}/main.py"
    if app is None or not _a_persons(held, path, starter("main.py", root)):
        return ()
    return (
        f"{path} is another program and stays: to start the app, delete it and deploy again, or "
        f'write `import ulnn_app; ulnn_app.run("{root}/{SETTINGS}")` in it',
    )


def _a_persons(held: Held, path: str, ours: bytes) -> bool:
    """Whether a file is there that no deployment has made."""
    seen = held.flat.get(path)
    if seen is None or versions.same(seen, ours):
        return False
    active = held.active
    stored = active.models.get(path) if active else None
    return not (active and stored and versions.agree(seen, active.files[stored]))
