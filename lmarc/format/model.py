"""The 48 bytes that start a Model record's payload (spec: Model)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from lmarc.errors import CorruptError, LimitError
from lmarc.format import limits
from lmarc.format._fields import Buffer, check_reserved, check_size

EMBEDDED: Final = 1  # Model_Flags bit 0

_LAYOUT: Final = struct.Struct("<HBBIQ32s")


class ModelKind(enum.IntEnum):
    """Kind of a Model record."""

    DICTIONARY = 1
    NGRAM = 2
    NEURAL = 3
    LINE_INDEX = 4
    SUBWORD = 5
    MULTISCALE = 6
    ADAPTER = 7
    PRIMED = 8


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """The slot that chunks name, and the model that fills it."""

    slot: int  # 0, 1, 2 ... in file order
    kind: int  # a ModelKind, or one that only a newer codec needs
    embedded: bool  # the model's bytes follow
    model_size: int  # bytes of the canonical file
    model_sha256: bytes  # of the canonical file

    SIZE: ClassVar[int] = 48

    def pack(self) -> bytes:
        """Return the 48 bytes."""
        flags = EMBEDDED if self.embedded else 0
        return _LAYOUT.pack(self.slot, self.kind, flags, 0, self.model_size, self.model_sha256)

    @classmethod
    def unpack(cls, data: Buffer, *, offset: int = 0) -> ModelHeader:
        """Parse exactly 48 bytes.

        Raises
        ------
        TruncatedError, CorruptError
            Too few bytes; a reserved field that is set, kind 0, slot 0xFFFF.
        LimitError
            Model_Size is beyond the limit.
        """
        check_size("Model_Header", data, cls.SIZE, offset)
        slot, number, flags, reserved, model_size, sha256 = _LAYOUT.unpack_from(data)
        check_reserved("Model_Flags", flags & ~EMBEDDED, offset)
        check_reserved("Reserved", reserved, offset)
        if number == 0:
            raise CorruptError("Kind is 0, which no model has", offset=offset)
        if slot == limits.NO_MODEL:
            raise CorruptError("Slot is 0xffff, which stands for no model", offset=offset)
        largest = limits.MAX_MODEL_SIZE
        if number == ModelKind.DICTIONARY:
            largest = limits.MAX_DICTIONARY_SIZE
            if not flags & EMBEDDED:
                raise CorruptError("a zstd dictionary is not embedded", offset=offset)
        if number == ModelKind.LINE_INDEX and not flags & EMBEDDED:
            raise CorruptError("a line index is not embedded", offset=offset)
        if model_size == 0:
            raise CorruptError("Model_Size is 0", offset=offset)
        if model_size > largest:
            message = f"Model_Size is {model_size}, at most {largest} is allowed"
            raise LimitError(message, offset=offset)
        return cls(slot, number, bool(flags & EMBEDDED), model_size, sha256)
