"""The small file that names the shards of a set, in order (spec: v1/set.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lmarc.archive.source import Source
from lmarc.errors import CorruptError, LimitError, NotAnArchiveError, UnsupportedVersionError

__all__ = [
    "MAX_SIZE",
    "SUFFIX",
    "Shard",
    "is_set",
    "pack_set",
    "parse_set",
    "read_set",
    "set_url",
    "shard_address",
    "shard_url",
]

SUFFIX: Final = ".lmarcset"  # what the name of a set file ends with
MAX_SIZE: Final = 64 << 20  # bytes
_FORMAT: Final = "lmarc-set"
_VERSION: Final = 1
_FIELD: Final = re.compile(r"\{shard(?::0(\d+)d)?\}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Shard:
    """An archive of a set."""

    name: str  # in the folder of the set file
    size: int  # bytes of the archive
    member_count: int
    index_sha256: bytes  # as its Footer has it: names everything in it


def is_set(url: str) -> bool:
    """Whether an address is that of a set."""
    return url.endswith(SUFFIX)


def shard_url(pattern: str, number: int) -> str:
    """Return the address of a shard.

    Raises
    ------
    ValueError
        The last part of the pattern does not have `{shard}` or `{shard:05d}` once, or another part
        has it.
    """
    folder, slash, name = pattern.rpartition("/")
    if len(_FIELD.findall(name)) != 1 or "{" in folder + _FIELD.sub("", name):
        raise ValueError(
            f"the name of shards is {pattern!r}, expected one {{shard}} or {{shard:05d}} in its"
            " last part"
        )
    return folder + slash + _FIELD.sub(lambda field: f"{number:0{field[1] or 1}d}", name)


def set_url(pattern: str) -> str:
    """Return the address of the set file: the pattern without its number, ending in .lmarcset."""
    folder, slash, name = pattern.rpartition("/")
    stem = re.sub(rf"[-_.]?{_FIELD.pattern}", "", name).removesuffix(".lmarc")
    return f"{folder}{slash}{stem or 'archive'}{SUFFIX}"


def shard_address(set_address: str, shard: Shard) -> str:
    """Return the address of a shard of the set at an address."""
    folder, slash, _ = set_address.rpartition("/")
    return f"{folder}{slash}{shard.name}"


def pack_set(shards: list[Shard]) -> bytes:
    """Return the bytes of a set file."""
    rows = [
        {
            "name": shard.name,
            "size": shard.size,
            "members": shard.member_count,
            "index_sha256": shard.index_sha256.hex(),
        }
        for shard in shards
    ]
    document = {"format": _FORMAT, "version": _VERSION, "shards": rows}
    return json.dumps(document, indent=1).encode() + b"\n"


def read_set(source: Source) -> bytes:
    """Return the bytes of a set file: one request, two if it is larger than 64 KiB.

    Raises
    ------
    LimitError, SourceError
        It is too large, or cannot be read.
    """
    data, total = source.read_suffix(1 << 16)
    total = source.total() if total is None else total
    if total > MAX_SIZE:
        raise LimitError(f"a set file has {total:,} bytes, at most {MAX_SIZE:,} are allowed")
    return data if len(data) == total else source.read(0, total)


def parse_set(data: bytes) -> list[Shard]:
    """Return what a set file names.

    Raises
    ------
    NotAnArchiveError, UnsupportedVersionError, CorruptError
        It is none, of a newer version, or not lawful.
    """
    try:
        document = json.loads(data)
    except ValueError as exc:
        raise NotAnArchiveError(f"a set file is no JSON: {exc}") from exc
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise NotAnArchiveError(f'a set file does not have "format": "{_FORMAT}"')
    if document.get("version") != _VERSION:
        message = f"version of a set file is {document.get('version')!r}, expected {_VERSION}"
        raise UnsupportedVersionError(message)
    rows = document.get("shards")
    if not isinstance(rows, list) or not rows:
        raise CorruptError("a set file names no shards")
    shards = [_shard(row) for row in rows]
    if len({shard.name for shard in shards}) < len(shards):
        raise CorruptError("a set file names a shard twice")
    return shards


def _shard(row: Any) -> Shard:
    if not isinstance(row, Mapping):
        raise CorruptError(f"a shard in a set file is {row!r}, expected an object")
    name, size, count = row.get("name"), row.get("size"), row.get("members")
    digest = row.get("index_sha256")
    # "A name is that of an object in the folder of the set file: a set never leads elsewhere."
    if (
        not isinstance(name, str)
        or not name
        or re.search(r"[/\\\0]|::", name)
        or name in (".", "..")
    ):
        raise CorruptError(f"name of a shard is {name!r}, expected a name without '/'")
    for key, value in (("size", size), ("members", count)):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
            raise CorruptError(f"{key} of shard {name!r} is {value!r}, expected a number")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise CorruptError(f"index_sha256 of shard {name!r} is not 64 hexadecimal digits")
    return Shard(name, size, count, bytes.fromhex(digest))  # type: ignore[arg-type]
