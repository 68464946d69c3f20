"""What all records share: the exact-size check, reserved fields, the checksum."""

from __future__ import annotations

from typing import TypeAlias

import xxhash

from lmarc.errors import CorruptError, TruncatedError

Buffer: TypeAlias = bytes | bytearray | memoryview


def checksum(data: Buffer) -> int:
    """Return XXH3-64 of `data`, seed 0."""
    return xxhash.xxh3_64_intdigest(data)


def check_size(name: str, data: Buffer, size: int, offset: int) -> None:
    """Raise unless `data` is exactly `size` bytes, as record `name` at `offset` has."""
    if len(data) < size:
        message = f"{name} has {size} bytes, only {len(data)} are there"
        raise TruncatedError(message, offset=offset)
    if len(data) > size:
        raise CorruptError(f"{name} has {size} bytes, {len(data)} are there", offset=offset)


def check_reserved(field: str, value: int, offset: int) -> None:
    """Raise unless reserved `field` is zero."""
    if value:
        raise CorruptError(f"{field} is {value:#x}, reserved and must be 0", offset=offset)


def check_checksum(field: str, found: int, data: Buffer, offset: int) -> None:
    """Raise unless `found` is the checksum of `data`."""
    expected = checksum(data)
    if found != expected:
        message = f"{field} is {found:016x}, the bytes give {expected:016x}"
        raise CorruptError(message, offset=offset)
