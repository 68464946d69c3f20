"""Limits of format v1; a reader checks each before it takes memory (spec: Limits)."""

from __future__ import annotations

from typing import Final

MIB: Final = 1 << 20

MIN_CHUNK_CONTENT: Final = 1  # bytes
MAX_CHUNK_CONTENT: Final = 16 * MIB  # bytes
MAX_GROUP_CONTENT: Final = 16 * MIB  # bytes of content behind one Entries record
MAX_GROUP_ENTRIES: Final = 65_536  # entries begun in one Entries record
MAX_MODEL_SIZE: Final = 1 << 30  # bytes
MAX_DICTIONARY_SIZE: Final = 16 * MIB  # bytes, a model of kind 1
MAX_ENTRIES_PAYLOAD: Final = 256 * MIB  # bytes of an Entries record's payload
MAX_ENTRIES_TABLE_SIZE: Final = 64 * MIB  # bytes, decompressed, in an Entries record
MAX_TABLE_SIZE: Final = 4 << 30  # bytes, decompressed, in an Index
MAX_TABLE_RATIO: Final = 1024  # decompressed bytes per stored byte, beyond TABLE_ALLOWANCE
TABLE_ALLOWANCE: Final = 65_536  # bytes that a table may always have, decompressed
MAX_PATH: Final = 4096  # bytes
MAX_COMPONENT: Final = 255  # bytes
MAX_LINK_TARGET: Final = 4096  # bytes
MAX_OWNER_NAME: Final = 255  # bytes of user or group
MAX_OWNER_NUMBER: Final = 2**32 - 2  # of uid and gid
MAX_XATTR_KEY: Final = 255  # bytes
MAX_XATTR_VALUE: Final = 65_536  # bytes
MAX_XATTRS: Final = MIB  # bytes of keys and values of one entry
NO_MODEL: Final = 0xFFFF  # Model_Slot of a chunk that needs none
MAX_MODELS: Final = 0xFFFF  # slots 0 .. 0xFFFE
MAX_SUM: Final = 1 << 63  # every offset, position, size and sum of them is less
