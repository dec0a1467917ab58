"""How alike masked records are: the groups of those that nothing tells apart, and the small ones,
in which a person who is known to be there is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALL = 5


@dataclass(frozen=True)
class Groups:
    """fields: what was compared; of: "persons" where a pseudonym tells who is who, else
    "records". count: groups; smallest: members of the smallest one (k); unique: groups of one;
    small: groups of fewer than 5, with small_records records in them; sizes: of the smallest
    groups, at most 10.
    """

    fields: tuple[str, ...]
    of: str
    count: int
    smallest: int
    unique: int
    small: int
    small_records: int
    sizes: tuple[int, ...]


class Grouping:
    """Takes records as they come, and keeps 8 bytes of each, 16 with a person.

    fields: compared; person: the field of the pseudonym, "" for none.
    """

    def __init__(self, fields: tuple[str, ...], person: str) -> None:
        self.fields, self.person = fields, person
        self._there: set[str] = set()
        self._keys: list[NDArray[np.int64]] = []
        self._persons: list[NDArray[np.int64]] = []

    def add(self, columns: Mapping[str, Sequence[Any]], count: int) -> None:
        """Columns of `count` masked records; a field that is not there is empty."""
        empty = [None] * count
        self._there.update(
            name
            for name in self.fields
            if any(value is not None for value in columns.get(name, ()))
        )
        rows = zip(*(columns.get(name, empty) for name in self.fields), strict=True)
        keys = [_hash(row) for row in rows] if self.fields else [0] * count
        self._keys.append(np.array(keys, np.int64))
        if self.person:
            who = columns.get(self.person, empty)
            self._persons.append(np.array([_hash((one,)) for one in who], np.int64))

    def groups(self) -> Groups:
        """The groups of all that came."""
        keys = np.concatenate(self._keys) if self._keys else np.empty(0, np.int64)
        _, group, records = np.unique(keys, return_inverse=True, return_counts=True)
        members = records
        if self.person and len(keys):
            both = np.stack([group, np.concatenate(self._persons)], axis=1)
            members = np.bincount(np.unique(both, axis=0)[:, 0], minlength=len(records))
        small = members < SMALL
        return Groups(
            fields=tuple(name for name in self.fields if name in self._there),
            of="persons" if self.person else "records",
            count=len(members),
            smallest=int(members.min()) if len(members) else 0,
            unique=int((members == 1).sum()),
            small=int(small.sum()),
            small_records=int(records[small].sum()),
            sizes=tuple(int(size) for size in np.sort(members)[:10]),
        )


def _hash(row: tuple[Any, ...]) -> int:
    try:
        return hash(row)
    except TypeError:  # a list among the values
        return hash(repr(row))
