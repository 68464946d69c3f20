"""What an archive is, in words and numbers: names for codecs, content classes and models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lmarc.archive.names import DIRECTORY, FILE, HARDLINK, SYMLINK
from lmarc.archive.tables import as_numpy, rows_at
from lmarc.archive.validate import numbers
from lmarc.codec.base import ContentClass, ModelKind
from lmarc.codec.registry import codec_name
from lmarc.format.limits import NO_MODEL

if TYPE_CHECKING:
    from enum import IntEnum

    from lmarc.archive.reader import Archive

__all__ = ["describe_archive", "describe_chunks"]


def _named(kind: type[IntEnum], number: int) -> str:
    try:
        return kind(number).name.lower().replace("_", "-")
    except ValueError:
        return str(number)


def describe_chunks(archive: Archive, chunks: Sequence[int]) -> list[dict[str, Any]]:
    """Return chunk, offset, stored_size, content_size, content_class, codec and model of chunks."""
    rows = rows_at(archive.chunks(), np.asarray(chunks, np.int64)).to_pylist()
    return [
        {
            "chunk": chunk,
            "offset": row["offset"],
            "stored_size": row["stored_size"],
            "content_size": row["content_size"],
            "content_class": _named(ContentClass, row["content_class"]),
            "codec": codec_name(row["codec"]),
            "model": None if row["model_slot"] == NO_MODEL else row["model_slot"],
        }
        for chunk, row in zip(chunks, rows, strict=True)
    ]


def describe_archive(archive: Archive) -> dict[str, Any]:
    """Return version, features, counts, sizes, codecs and models: the document of `info --json`.

    All sizes are in bytes. Nothing but the index is read.
    """
    footer = archive.footer
    types = as_numpy(archive.members["type"])
    count = {kind: int((types == kind).sum()) for kind in (FILE, DIRECTORY, SYMLINK, HARDLINK)}
    chunks = archive.chunks()
    stored, content = numbers(chunks, "stored_size"), numbers(chunks, "content_size")
    return {
        "version": f"{footer.version_major}.{footer.version_minor}",
        "required_features": footer.required_features,
        "optional_features": footer.optional_features,
        "archive_size": archive.size,
        "index_size": archive.index.size,
        "members": len(types),
        "files": count[FILE],
        "directories": count[DIRECTORY],
        "symlinks": count[SYMLINK],
        "hardlinks": count[HARDLINK],
        "file_size": sum(archive.index.entry_sizes.tolist()),
        "content_size": int(content.sum()),
        "chunks": len(stored),
        "codecs": _groups(numbers(chunks, "codec"), stored, content, codec_name),
        "content_classes": _groups(
            numbers(chunks, "content_class"),
            stored,
            content,
            lambda number: _named(ContentClass, number),
        ),
        "models": [
            {
                "model": slot,
                "kind": _named(ModelKind, row["kind"]),
                "size": row["size"],
                "sha256": row["sha256"].hex(),
                "embedded": bool(row["embedded"]),
            }
            for slot, row in enumerate(archive.models().to_pylist())
        ],
    }


def _groups(keys: Any, stored: Any, content: Any, named: Any) -> list[dict[str, Any]]:
    """Sum chunks up by one of their columns."""
    rows = []
    for key in np.unique(keys).tolist():
        chosen = keys == key
        rows.append(
            {
                "name": named(key),
                "chunks": int(chosen.sum()),
                "stored_size": int(stored[chosen].sum()),
                "content_size": int(content[chosen].sum()),
            }
        )
    return rows
