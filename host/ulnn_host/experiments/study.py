"""Optuna's side of `ulnn tune`: a study in memory, a database or a file, which workers share.

What a trial draws depends on the study's seed, the trial's number and the trials before it alone.
So a study that another process continues goes on as if it had never ended, and workers that start
together draw different trials.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ..base.errors import UlnnError, one_line

Direction = Literal["minimize", "maximize"]
DONE = (TrialState.COMPLETE, TrialState.PRUNED)  # PRUNED: the training failed
STARTUP = 10  # random trials before the sampler learns from them
BUSY = 60  # seconds to wait for another worker's transaction
JOURNAL = b'{"op_code":'  # how a journal file begins
TRIES = 10  # to make the tables of a new database, which another worker may be making now


def open_study(
    storage: str, name: str, directions: Sequence[Direction], facts: Mapping[str, Any]
) -> optuna.Study:
    """The study of that name, made where there is none. storage: the URL of a database, the path
    of a journal file, or empty: in memory. facts: what all its trials have in common. Raises
    UlnnError where it cannot be opened, and for a study with other facts."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _explained(storage):
        study = optuna.create_study(
            storage=_storage(storage),
            study_name=name,
            sampler=RandomSampler(),  # `ask` chooses another
            directions=list(directions),
            load_if_exists=True,
        )
        for key, value in facts.items():
            # of workers that start at once, all write the same or all but the last one see it
            if key not in study.user_attrs:
                study.set_user_attr(key, value)
        for key, value in facts.items():
            found = study.user_attrs[key]
            if found != value:
                raise UlnnError(
                    f"study {name!r} in {_public(storage)} differs in {key}"
                    + (f" ({found}, here {value})" if len(str(found)) < 60 else "")
                    + ": give the same, or another --study"
                )
    return study


def ask(study: optuna.Study, seed: int, own: Mapping[str, Any]) -> Trial:
    """The next trial. Nothing is drawn yet. own: parameters of the first trial, until one with
    them has not been broken off."""
    trial = study.ask()
    entropy = np.random.SeedSequence([seed, trial.number]).generate_state(1)
    # one parameter after the other, when it is asked for: cells have parameters of their own
    sampler: BaseSampler = TPESampler(
        seed=int(entropy[0]), n_startup_trials=STARTUP, multivariate=False
    )
    states = [t.state for t in study.get_trials(deepcopy=False) if t.number < trial.number]
    if all(state == TrialState.FAIL for state in states):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = PartialFixedSampler(dict(own), sampler)
    study.sampler = sampler
    return trial


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that were not broken off, by number."""
    return sorted(study.get_trials(deepcopy=False, states=DONE), key=lambda t: t.number)


def running(study: optuna.Study) -> set[int]:
    """Numbers of the trials that some worker has begun and not ended."""
    states = (TrialState.RUNNING,)
    return {t.number for t in study.get_trials(deepcopy=False, states=states)}


def before(study: optuna.Study, trial: Trial, abandoned: set[int]) -> int:
    """How many trials before this one have been done, or are: all but those broken off."""
    gone = abandoned & running(study)
    earlier = (t for t in study.get_trials(deepcopy=False) if t.number < trial.number)
    return sum(t.state != TrialState.FAIL and t.number not in gone for t in earlier)


@contextlib.contextmanager
def told(study: optuna.Study, trial: Trial) -> Iterator[None]:
    """A trial that is broken off, by Ctrl-C or an error, is noted as such."""
    try:
        yield
    except BaseException:
        study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        raise


@contextlib.contextmanager
def reachable(storage: str) -> Iterator[None]:
    """Raise UlnnError where the storage fails while the block works with it."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise UlnnError(f"--storage {_public(storage)}: {_reason(error)}") from error


def _storage(text: str) -> BaseStorage | None:
    if not text:
        return None
    if "://" not in text:
        _check_journal(Path(text))
        # symbolic links, Optuna's usual lock, need rights on Windows
        return JournalStorage(JournalFileBackend(text, lock_obj=JournalFileOpenLock(text)))
    waits = {"connect_args": {"timeout": BUSY}} if text.startswith("sqlite") else {}
    for again in reversed(range(TRIES)):
        try:
            return RDBStorage(text, engine_kwargs=waits)
        except SQLAlchemyError as error:
            made_meanwhile = isinstance(error, IntegrityError) or "already exists" in str(error)
            if not (again and made_meanwhile):
                raise
            time.sleep(0.2)
    raise AssertionError("the last try returns or raises")


def _check_journal(path: Path) -> None:
    """Raise ValueError for a file of another kind, to which a study would be added, and EOFError
    for one whose last line is cut off, to which Optuna would add."""
    if path.exists():
        with path.open("rb") as file:
            start = file.readline(100)
        if start and not start.startswith(JOURNAL):
            raise ValueError("it is no journal file of Optuna")
        for again in reversed(range(TRIES)):
            if not start or _whole(path):
                return
            time.sleep(0.05 * bool(again))  # another worker may be writing
        raise EOFError("its last line is cut off")


def _whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


@contextlib.contextmanager
def _explained(storage: str) -> Iterator[None]:
    try:
        yield
    except UlnnError:
        raise
    except ImportError as error:
        raise UlnnError(
            f"--storage {_public(storage)}: its database needs a Python package that is not "
            f"installed ({_reason(error.__cause__ or error)})"
        ) from error
    except (json.JSONDecodeError, LookupError, AssertionError, EOFError) as error:
        raise UlnnError(
            f"--storage {_public(storage)} is damaged, expected whole lines of a journal: remove "
            "its last line if that is cut off, or give another --storage"
        ) from error
    except (SQLAlchemyError, optuna.exceptions.OptunaError, OSError, ValueError) as error:
        raise UlnnError(
            f"--storage {_public(storage)} cannot be opened ({_reason(error)}): expected the URL "
            "of a database, such as sqlite:///study.db, or the path of a journal file"
        ) from error


def _reason(error: BaseException) -> str:
    """The first line, without the statement that SQLAlchemy adds."""
    cause = getattr(error, "orig", None) or getattr(error, "strerror", None) or error
    return one_line(str(cause).partition("\n")[0])


def _public(storage: str) -> str:
    """Without a password."""
    return re.sub(r"(//[^:/@]*):[^@]*@", r"\1:***@", storage)
