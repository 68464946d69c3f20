"""What a training loop reads from an archive: records or whole members, numbered, cut by chunks.

A *block* is a run of samples that begin or end in the same chunk: reading it decodes that chunk and
few others, so it is the unit of shuffling.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

import lmarc
from lmarc.archive.names import FILE
from lmarc.archive.ranges import read_together

if TYPE_CHECKING:
    from lmarc.archive.reader import Archive

__all__ = ["MemberSamples", "RecordSamples", "Samples", "open_samples"]

I64 = npt.NDArray[np.int64]


class Samples(Protocol):
    """A numbered set of samples. Picklable; safe to share between threads."""

    @property
    def archive(self) -> Archive:
        """Where they are."""

    @property
    def blocks(self) -> I64:
        """Number of the first sample of each block, and behind them the count of all."""

    def read(self, numbers: Sequence[int]) -> list[Any]:
        """Return some samples in the order asked for; each chunk is read and decoded once."""


class RecordSamples:
    """The records of some members, one member after the other.

    Parameters
    ----------
    archive : Archive
        Where they are.
    names : sequence of bytes
        The members.
    """

    def __init__(self, archive: Archive, names: Sequence[bytes]) -> None:
        self.archive = archive
        self._members = [archive.records(name) for name in names]
        sizes = [len(member) for member in self._members]
        self._starts = np.cumsum([0, *sizes])
        bounds = [0]
        chunk = -1
        for start, member in zip(self._starts[:-1].tolist(), self._members, strict=True):
            for before, last in zip([0, *member.ends.tolist()], member.chunks, strict=False):
                if last != chunk and start + before > bounds[-1]:
                    bounds.append(start + before)
                chunk = last
        total = int(self._starts[-1])
        self.blocks = np.array([*bounds, total] if total else [0], np.int64)

    def read(self, numbers: Sequence[int]) -> list[bytes]:
        """Return some records in the order asked for."""
        owners = np.searchsorted(self._starts, numbers, side="right") - 1
        found: list[bytes] = [b""] * len(numbers)
        for owner in np.unique(owners).tolist():
            places = np.flatnonzero(owners == owner).tolist()
            start = int(self._starts[owner])
            records = self._members[owner].read([numbers[place] - start for place in places])
            for place, record in zip(places, records, strict=True):
                found[place] = record
        return found


class MemberSamples:
    """Whole files: pairs of name and content.

    Parameters
    ----------
    archive : Archive
        Where they are.
    names : sequence of bytes
        The members.
    """

    def __init__(self, archive: Archive, names: Sequence[bytes]) -> None:
        self.archive = archive
        index = archive.index
        self._names = [os.fsdecode(name) for name in names]
        self._entries = [archive.file_entry(name) for name in names]
        bounds = [0]
        chunk = -1
        for number, entry in enumerate(self._entries):
            rows = index.piece_rows(entry)
            first = int(index.pieces_by_chunk.chunk[rows[0]]) if len(rows) else chunk
            if first != chunk and number > bounds[-1]:
                bounds.append(number)
            chunk = first
        count = len(self._entries)
        self.blocks = np.array([*bounds, count] if count else [0], np.int64)

    def read(self, numbers: Sequence[int]) -> list[tuple[str, bytes]]:
        """Return name and content of some files in the order asked for."""
        entries = [self._entries[number] for number in numbers]
        sizes = self.archive.index.entry_sizes
        contents = read_together(self.archive, [(e, 0, int(sizes[e])) for e in entries])
        return [(self._names[n], data) for n, data in zip(numbers, contents, strict=True)]


def open_samples(archive: Archive, select: Iterable[str | bytes], kind: str) -> Samples:
    """Return the samples of the files that patterns select, in the order of the archive.

    Parameters
    ----------
    archive : Archive
        Where they are.
    select : iterable of str or bytes
        Names or patterns as on the command line; all files if there are none.
    kind : str
        'records' or 'members'.

    Raises
    ------
    MemberNotFoundError
        A pattern selects no file.
    ValueError
        Another kind, or records of a member with holes.
    """
    if kind not in {"records", "members"}:
        raise ValueError(f"samples is {kind!r}, expected 'records' or 'members'")
    selection = lmarc.Selection(select)
    members = archive.members
    rows = zip(members["path"].to_pylist(), members["type"].to_pylist(), strict=True)
    names = [path for path, member_type in rows if member_type == FILE and selection.match(path)]
    missing = selection.unmatched()
    if missing:
        shown = ", ".join(repr(pattern) for pattern in missing)
        raise lmarc.MemberNotFoundError(f"no file matches {shown} in {archive.url}")
    if kind == "members":
        return MemberSamples(archive, names)
    return RecordSamples(archive, names)
