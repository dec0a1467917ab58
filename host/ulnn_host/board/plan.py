"""What a deployment would write to a board, and where."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import ulnn_rules

from ..base.errors import UlnnError
from ..base.paths import board_files
from ..format import container
from ..toolchain import bytecode, natmod
from . import app as apps
from . import needed, versions
from .identity import Identity, NoSpaceError, identify
from .link import Board
from .stream import PROTOCOL
from .versions import MODULES, Held, Sum, Version

# Suffix or path, contents, note.
_File = tuple[str, bytes, str]
BLOCK_RESERVE = 8  # lib, the folder of versions, two of ulnn_rules: two blocks each in littlefs


MODEL = "model.ulnn"  # what stored models are called, with a hash


@dataclass(frozen=True)
class Item:
    """One file for the board. name: the module or the model that it is, such as ulnn.mpy or
    /models/m.ulnn. path: where it is stored. status: new, changed (another is there) or same.
    """

    name: str
    path: str
    data: bytes = field(repr=False)
    status: str
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """What a deployment writes and removes, and why.

    version: what the board then holds. adopted: files that were put there without versions, which
    become the version before: what it consists of, and (from, to) of the copies. boot, stubs:
    paths and contents of the module that the stubs use, and of the stubs, where they are not
    right already. stale: what deployments that were cut off left there. hiding: modules in lib
    that would be imported in place of the new ones. leftover: what is not used any more
    afterwards. forget: the version before goes first, for want of space.
    """

    board: Identity
    held: Held
    model_path: str
    engine: str
    items: tuple[Item, ...]
    version: Version
    adopted: tuple[Version, tuple[tuple[str, str], ...]] | None
    boot: tuple[tuple[str, bytes], ...]
    stubs: tuple[tuple[str, bytes], ...]
    stale: tuple[str, ...]
    hiding: tuple[str, ...]
    leftover: tuple[str, ...]
    warnings: tuple[str, ...]
    forget: bool = False

    @property
    def to_send(self) -> tuple[Item, ...]:
        """The items that are not on the board yet."""
        return tuple(item for item in self.items if item.status != "same")

    @property
    def before(self) -> Version | None:
        """The version that a rollback of this deployment leads to."""
        return self.adopted[0] if self.adopted else self.held.active

    @property
    def changes(self) -> bool:
        """Whether another version than this one counts on the board."""
        active = self.held.active
        return active is None or (active.modules, active.models, active.files) != (
            self.version.modules,
            self.version.models,
            self.version.files,
        )


def code_file(name: str, identity: Identity) -> _File:
    """(suffix, contents, note) of `firmware/NAME`: bytecode where the board takes ours."""
    why = "this board takes no .mpy of ours"
    if identity.takes_bytecode:
        try:
            return ".mpy", bytecode.find(name), "bytecode"
        except UlnnError as error:
            why = str(error)
    return ".py", board_files(f"firmware/{name}").read_bytes(), f"source: {why}"


def _pure(identity: Identity) -> _File:
    suffix, data, note = code_file("ulnn.py", identity)
    return suffix, data, f"engine in Python, {note}"


def _engine(identity: Identity) -> tuple[str, _File | None, list[str]]:
    """(what runs the model, file for lib or None, warnings)."""
    if identity.builtin:
        return f"{identity.builtin}, built into the firmware", None, []
    if identity.frozen:
        return (
            f"{identity.frozen}, frozen in the firmware",
            None,
            ["the firmware's frozen ulnn hides any native module; build it without ulnn.py"],
        )
    arch = natmod.choose(identity.mpy) if identity.implementation == "micropython" else None
    if arch is None:
        why = f"this board ({identity.arch or 'no native code'}) takes no native module of ours"
    else:
        try:
            data = natmod.find(arch).read_bytes()
            return f"native, {arch}", (".mpy", data, f"native module for {arch}"), []
        except UlnnError as error:
            why = f"no native module for {arch}: {error}"
    return "pure Python", _pure(identity), [f"{why}; the slower engine in Python is used"]


@dataclass(frozen=True)
class EngineChoice:
    """What will run models on a board: a description, files (path, contents, note), modules of
    `firmware` that it imports, warnings."""

    engine: str
    files: tuple[_File, ...]
    modules: tuple[str, ...]
    warnings: tuple[str, ...]


def engine_files(identity: Identity, *, pure: bool = False) -> EngineChoice:
    """The engine and the serial loop for a board, without what its firmware holds already."""
    if pure:
        chosen: tuple[str, _File | None, list[str]] = "pure Python, as asked", _pure(identity), []
    else:
        chosen = _engine(identity)
    engine, engine_file, warnings = chosen
    modules = needed.PURE if engine.startswith("pure") else ()
    files: list[_File] = []
    if engine_file:
        files.append((f"{identity.lib}/ulnn{engine_file[0]}", *engine_file[1:]))
    if identity.stream is None:
        suffix, code, note = code_file("ulnn_stream.py", identity)
        files.append((f"{identity.lib}/ulnn_stream{suffix}", code, f"serial loop, {note}"))
    elif identity.stream != PROTOCOL:
        theirs, ours = (".".join(map(str, v)) for v in (identity.stream, PROTOCOL))
        warnings.append(
            f"the firmware's frozen ulnn_stream speaks protocol {theirs}, this program {ours}"
        )
    return EngineChoice(engine, tuple(files), modules, tuple(warnings))


def package_files(identity: Identity, names: set[str]) -> list[_File]:
    """Modules of packages, by their names in `needed`, that the board's firmware does not hold."""
    return [
        (f"{identity.lib}/{name}{suffix}", code, f"{what}, {note}")
        for name in sorted(names)
        if identity.rules is None or not name.startswith(needed.RULES)
        for suffix, code, note in [code_file(f"{name}.py", identity)]
        for what in ["rules" if name.startswith(needed.RULES) else "app"]
    ]


def outdated(identity: Identity) -> tuple[str, ...]:
    """A line where the firmware holds other rules than ours."""
    if identity.rules in (None, ulnn_rules.__version__):
        return ()
    return (
        f"the firmware's frozen ulnn_rules has version {identity.rules}, this program "
        f"{ulnn_rules.__version__}",
    )


def default_target(identity: Identity, model_path: Path, to: str | None) -> str:
    """Path of a model on the board: models/NAME.ulnn beside lib, or as `to` says."""
    target = to or f"{identity.root}/models/"
    return target + model_path.with_suffix(".ulnn").name if target.endswith("/") else target


def make_plan(
    board: Board,
    model_path: Path,
    to: str | None = None,
    *,
    pure: bool = False,
    app: apps.App | None = None,
) -> Plan:
    """Compare what the board needs with what it holds. Writes nothing.

    to: path for the model on the board, a folder when it ends with "/". pure: use the engine in
    Python whatever the board takes. app: to start when the board does; None: as it is. Raises
    UlnnError.
    """
    data, model = container.read_file(model_path)
    identity = identify(board)
    choice = engine_files(identity, pure=pure)
    target = default_target(identity, model_path, to or (app.model_path if app else None))
    held = versions.look(board, identity, [target, *apps.places(app, identity.root)])
    names = needed.of_model(data) | needed.with_imports(choice.modules) | _of_app(held, app, data)
    modules = _named(identity, [*choice.files, *package_files(identity, names)])
    stored_model = _stored_name(MODEL, versions.digest(data))
    note = f"model, {model.weight_bits} bits, {model.macs} MACs a step"
    placed = [(target, stored_model, data, note)]
    for path, content, what in apps.placed(app, held, target, identity.root):
        name = apps.STORED.get(Path(path).name, Path(path).name)
        placed.append((path, _stored_name(name, versions.digest(content)), content, what))
    wanted = [*modules, *placed]
    others = _other_models(held, [path for path, *_ in placed], app is not None)
    models = {**others, **{path: stored for path, stored, *_ in placed}}
    files = {stored: versions.digest(content) for _, stored, content, _ in wanted}
    active = held.active
    files |= {name: active.files[name] for name in models.values() if active and name not in files}
    version = Version(
        active.number + 1 if active else 2,
        {_top(name): _top(stored) for name, stored, _, _ in modules},
        dict(sorted(models.items())),
        dict(sorted(files.items())),
        choice.engine,
    )
    suffix = ".mpy" if identity.takes_bytecode else ".py"
    adopted = _adopted(identity, held, target)
    names = {*version.modules, *(adopted[0].modules if adopted else ())}
    stubs = [versions.stub_path(identity.lib, name, suffix) for name in sorted(names)]
    boot = f"{identity.lib}/ulnn_boot{suffix}"
    hiding, hidden = _shadows(identity, [boot, *stubs])
    plan = Plan(
        identity,
        held,
        target,
        choice.engine,
        tuple(_item(held, adopted[0] if adopted else None, *entry) for entry in wanted),
        version,
        adopted,
        _not_right(held, [boot], versions.boot(suffix)),
        _not_right(held, stubs, versions.stub(suffix)),
        tuple(_stale(board, held, identity, target, files)),
        hiding,
        tuple(
            path
            for path in held.flat
            if path.startswith(f"{identity.lib}/ulnn_rules/")
            and path not in (*stubs, *hiding)
            and "ulnn_rules" in names
        )
        + tuple(path for path in apps.given_up(app, held) if path not in models),
        (
            *(*choice.warnings, *outdated(identity), *hidden),
            *apps.kept(app, held, identity.root),
        ),
    )
    return _with_room(board, plan)


def _not_right(held: Held, paths: list[str], data: bytes) -> tuple[tuple[str, bytes], ...]:
    return tuple((p, data) for p in paths if not versions.same(held.flat.get(p), data))


def _top(name: str) -> str:
    return name.split("/")[0].split(".")[0]


def _named(identity: Identity, files: list[_File]) -> list[tuple[str, str, bytes, str]]:
    """(name, stored name, contents, note) of modules; a package has one hash for all files."""
    names = [path.removeprefix(identity.lib + "/") for path, _, _ in files]
    sums = {n: versions.digest(d) for n, (_, d, _) in zip(names, files, strict=True)}
    found = []
    for name, (_, data, note) in zip(names, files, strict=True):
        package = _package_name(sums, _top(name))
        found.append((name, _stored_name(name, sums[name], package), data, note))
    return found


def _stored_name(name: str, seen: Sum, package: str = "") -> str:
    """The name of contents in the folder of versions; package: of a file in a folder."""
    if "/" in name:
        return f"{package}/{name.partition('/')[2]}"
    stem, _, suffix = name.rpartition(".")
    return f"{stem}_{seen[1][:8]}.{suffix}"


def _package_name(files: dict[str, Sum], top: str = "ulnn_rules") -> str:
    inside = sorted((name, seen[1]) for name, seen in files.items() if name.startswith(top + "/"))
    return f"{top}_{hashlib.sha256(repr(inside).encode()).hexdigest()[:8]}"


def _of_app(held: Held, app: apps.App | None, data: bytes) -> set[str]:
    """Modules that the app takes with this model; of the one that is there where no other one
    comes, also all that came with it."""
    if app:
        return needed.of_app(app.settings, data)
    active = held.active
    if not (active and active.app):
        return set()
    inside = {active.modules[top]: top for top in needed.PACKAGES if top in active.modules}
    there = [PurePosixPath(name) for name in active.files]
    names = {f"{inside[path.parts[0]]}/{path.stem}" for path in there if path.parts[0] in inside}
    return needed.with_imports(needed.known(names)) | needed.of_app({}, data)


def _other_models(held: Held, new: list[str], app: bool) -> dict[str, str]:
    """The models deployed earlier to other paths than the new ones, but for those that people
    changed there. app: a new one comes, so the files of the one before go."""
    active = held.active
    if not active:
        return {}
    return {
        path: stored
        for path, stored in active.models.items()
        if path not in new
        and (path in active.model_paths or not app)
        and versions.agree(held.stored.get(stored), active.files[stored])
        and (not active.finished or versions.agree(held.flat.get(path), active.files[stored]))
    }


def _adopted(
    identity: Identity, held: Held, target: str
) -> tuple[Version, tuple[tuple[str, str], ...]] | None:
    """The files of a board without versions as version 1, so that it can go on with them."""
    if held.active:
        return None
    lib = identity.lib + "/"
    flat = {p.removeprefix(lib): s for p, s in held.flat.items() if p.startswith(lib)}
    chosen: dict[str, Sum] = {}
    for name, seen in flat.items():
        suffix = name[name.rfind(".") :]
        ours = versions.same(seen, versions.stub(suffix)) if suffix in (".py", ".mpy") else True
        taken = suffix == ".mpy" and name.removesuffix(".mpy") + ".py" in flat
        if not ours and not taken and _top(name) in MODULES:
            chosen[name] = seen
    package = _package_name(chosen)
    copies, modules, files = [], {}, {}
    for name, seen in chosen.items():
        stored = _stored_name(name, seen, package)
        copies.append((lib + name, stored))
        modules[_top(name)], files[stored] = _top(stored), seen
    if "ulnn" not in modules and not (
        (identity.builtin or identity.frozen) and target in held.flat
    ):
        return None
    models = {}
    if target in held.flat:
        models[target] = _stored_name(MODEL, held.flat[target])
        files[models[target]] = held.flat[target]
        copies.append((target, models[target]))
    version = Version(1, modules, models, files, "as it was put there")
    return version, tuple((a, f"{held.folder}/{b}") for a, b in copies)


def _item(
    held: Held, adopted: Version | None, name: str, stored: str, data: bytes, note: str
) -> Item:
    path = f"{held.folder}/{stored}"
    copied = adopted.files.get(stored) if adopted else None
    if versions.same(held.stored.get(stored), data) or versions.same(copied, data):
        return Item(name, path, data, "same", note)
    active = held.active
    known = active and (name in active.models or _top(name) in active.modules)
    return Item(name, path, data, "changed" if known or name in held.flat else "new", note)


def _stale(
    board: Board, held: Held, identity: Identity, target: str, wanted: dict[str, Sum]
) -> list[str]:
    """What deployments that were cut off left in the folders where they write."""
    folders = [identity.lib, f"{identity.lib}/ulnn_rules", target.rpartition("/")[0]]
    names = versions.ask(board, f"_temporary({sorted(set(folders))!r})")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise board.odd(names, "what earlier deployments left")
    keep = {f"{held.folder}/{name}" for name in wanted}
    return [*names, *(p for p in held.unused(*held.versions) if p not in keep)]


def _shadows(identity: Identity, modules: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Files MicroPython would import before ours: in lib they are ours and go, others stay."""
    hiding, warnings = [], []
    lib = identity.lib + "/"
    for path in modules:
        name = path.removeprefix(lib).rpartition(".")[0]
        for other in identity.files:
            stem, dot, _ = other.removeprefix(lib).partition(".")
            if other.startswith(lib):
                if dot and stem == name and other != path:
                    hiding.append(other)
            elif stem.rpartition("/")[2] == name.removesuffix("/__init__"):
                warnings.append(
                    f"{other if '/' in other else '/' + other} may hide {path}: delete it unless "
                    "it is meant to"
                )
    return tuple(hiding), warnings


def _with_room(board: Board, plan: Plan) -> Plan:
    """The plan, without the version before where there is no room for three. Raises NoSpaceError.

    What counts is never touched, so there has to be room for everything new beside it.
    """
    if plan.board.free is None:
        return plan
    block, held = plan.board.block, plan.held

    def blocks(sizes: list[int]) -> int:
        return sum(-(-size // block) for size in sizes)

    sent = [len(item.data) for item in plan.to_send]
    wanted = [*sent, *(len(data) for _, data in (*plan.boot, *plan.stubs))]
    if plan.adopted:
        wanted += [size for size, _ in plan.adopted[0].files.values()]
    if plan.changes:
        wanted.append(len(plan.version.text()))
        wanted += [
            len(item.data)
            for item in plan.items
            if item.name in plan.version.models
            and not versions.same(held.flat.get(item.name), item.data)
        ]
    freed = [held.stored[p.removeprefix(held.folder + "/")][0] for p in plan.stale
             if p.startswith(held.folder)]  # fmt: skip
    available = plan.board.free // block - BLOCK_RESERVE + blocks(freed)
    if not wanted or blocks(wanted) <= available:
        return plan
    active = held.active
    keep = {*plan.version.files, *(active.files if active else ())}
    before = held.before
    only = [
        size for name, (size, _) in (before.files if before else {}).items() if name not in keep
    ]
    if blocks(wanted) <= available + blocks(only):
        return replace(plan, forget=True)
    raise NoSpaceError(
        f"port {board.name}: not enough space: {sum(sent)} bytes to send, {sum(wanted)} with the "
        f"copies that make it safe, {plan.board.free} free in blocks of {block}; nothing was "
        "written; delete files on the board, or start afresh with ulnn deploy --remove"
    )
