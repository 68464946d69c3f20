"""The line index: how many lines end in each piece of some members (spec: Line index)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from lmarc.errors import CorruptError, TruncatedError
from lmarc.format import limits
from lmarc.format._fields import Buffer

__all__ = ["LineIndex"]

_HEADER: Final = struct.Struct("<QQ")
_RUN: Final = struct.Struct("<QQ")
_LINES_SIZE: Final = 4  # bytes of one value of Lines


@dataclass(frozen=True, slots=True)
class LineIndex:
    """Runs of pieces that follow each other, and a count for each piece, in their order."""

    runs: tuple[tuple[int, int], ...]  # (number of the first piece, count of pieces)
    lines: bytes  # uint32, little-endian, shape (pieces of all runs,)

    SIZE: ClassVar[int] = _HEADER.size  # bytes in front of the runs

    def pack(self) -> bytes:
        """Return the bytes of the model."""
        runs = b"".join(_RUN.pack(*run) for run in self.runs)
        return _HEADER.pack(len(self.runs), len(self.lines) // _LINES_SIZE) + runs + self.lines

    @classmethod
    def unpack(cls, data: Buffer, *, offset: int = 0) -> LineIndex:
        """Parse exactly the bytes of a model of kind 4.

        Raises
        ------
        TruncatedError, CorruptError
            Too few bytes or too many; runs that are empty, do not ascend or do not add up.
        """
        view = memoryview(data)
        if len(view) < cls.SIZE:
            message = f"a line index has {len(view)} bytes, expected {cls.SIZE} or more"
            raise TruncatedError(message, offset=offset)
        run_count, piece_count = _HEADER.unpack_from(view)
        size = cls.SIZE + _RUN.size * run_count + _LINES_SIZE * piece_count
        if len(view) != size:
            kind = TruncatedError if len(view) < size else CorruptError
            message = f"a line index of {run_count} runs and {piece_count} pieces has {len(view)}"
            raise kind(f"{message} bytes, expected {size}", offset=offset)
        end_of_runs = cls.SIZE + _RUN.size * run_count
        runs = tuple(_RUN.iter_unpack(view[cls.SIZE : end_of_runs]))
        following = 0
        for first, count in runs:
            if first < following or not count or first + count > limits.MAX_SUM:
                message = f"a run of {count} pieces from {first} does not follow on {following}"
                raise CorruptError(f"{message} in a line index", offset=offset)
            following = first + count
        total = sum(count for _, count in runs)
        if total != piece_count:
            message = f"the runs of a line index have {total} pieces, Piece_Count is {piece_count}"
            raise CorruptError(message, offset=offset)
        return cls(runs, bytes(view[end_of_runs:]))
