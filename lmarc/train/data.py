"""Read training text: folders, files, Parquet columns, JSONL fields and lmarc archives.

A document's *domain* is the source it came from; its part (tables, mixture or held out) is decided
by a hash of its name and content, so that adding a source moves no document of another.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lmarc.errors import ModelError

if TYPE_CHECKING:
    from lmarc import Archive, Member

__all__ = ["PARTS", "Corpus", "Document", "documents", "files", "gather"]

PARTS: Final = ("tables", "mixture", "held out")
_SHARES: Final = (0.74, 0.96, 1.0)  # upper ends
_BATCH: Final = 256  # rows of Parquet read at a time
_RUN: Final = 4 << 20  # bytes of an archive's members that one thread reads
_ROUND: Final = 8  # such runs for each core, between two of which all are waited for
_SPLIT: Final = 1 << 20  # bytes; a document much larger than this is dealt out in pieces
_LITTLE: Final = 32 << 20  # bytes of text in all, below which pieces are smaller
_LITTLE_SPLIT: Final = 32 << 10


@dataclass(frozen=True, slots=True)
class Document:
    """One text: the domain it belongs to, its name there, and its bytes."""

    domain: str
    name: str
    text: bytes
    part: str | None = None  # where it is known: what `lmarc train pack` has written


@dataclass(slots=True)
class Corpus:
    """Text sorted into parts: part -> domain -> texts, in the order of their hashes."""

    texts: dict[str, dict[str, list[bytes]]] = field(default_factory=dict)
    size: int = 0  # bytes in all
    digest: str = ""  # SHA-256 over all documents: names what was made from them

    def part(self, name: str) -> dict[str, bytes]:
        """Return the text of one part, joined by domain."""
        return {domain: b"".join(texts) for domain, texts in self.texts.get(name, {}).items()}


def documents(
    paths: Sequence[str], column: str = "text", text_field: str = "text"
) -> Iterator[Document]:
    """Yield every document below `paths`, in a fixed order.

    Parameters
    ----------
    paths : sequence of str
        Folders (all files below), files, `.parquet` files (a document for each row of `column`),
        `.jsonl` files (for each line's `text_field`, or the whole line where it has none) and
        `.lmarc` archives (for each file).
    column, text_field : str

    Raises
    ------
    OSError
        A path that is not there.
    ModelError
        A Parquet file without `column`.
    """
    for path in paths:
        for file in _files(Path(path)):
            yield from _documents_of(file, column, text_field)


def files(paths: Sequence[str]) -> list[str]:
    """Return every file below `paths`, in a fixed order."""
    return [str(file) for path in paths for file in _files(Path(path))]


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file() and not file.is_symlink():
                yield file


def _documents_of(file: Path, column: str, text_field: str) -> Iterator[Document]:
    if file.suffix == ".parquet":
        yield from _parquet(file, column)
    elif file.suffix == ".jsonl":
        with file.open("rb") as lines:
            for number, line in enumerate(lines):
                yield Document(file.stem, str(number), _line_text(line, text_field))
    elif file.suffix == ".lmarc":
        yield from _archived(file)
    else:
        yield Document(file.parent.name, file.name, file.read_bytes())


def _archived(path: Path) -> Iterator[Document]:
    """Yield an archive's files in their order, decoded on all cores."""
    import lmarc

    jobs = os.cpu_count() or 1
    with lmarc.open(path) as archive:
        runs = _runs(member for member in archive if member.is_file())
        while some := list(islice(runs, _ROUND * jobs)):
            for found in _read(archive, some, path.stem, jobs):
                yield from found


def _read(
    archive: Archive, runs: Sequence[list[Member]], stem: str, jobs: int
) -> list[list[Document]]:
    """Return the documents of some runs of members; no thread is left behind."""

    def read(run: list[Member]) -> list[Document]:
        return [_member(stem, one.name, archive.read(one.path)) for one in run]

    with ThreadPoolExecutor(jobs) as executor:
        return list(executor.map(read, runs))


def _runs(members: Iterable[Member]) -> Iterator[list[Member]]:
    """Cut members that follow each other, which share chunks, into runs of some size."""
    run: list[Member] = []
    size = 0
    for member in members:
        run.append(member)
        size += member.size
        if size >= _RUN:
            yield run
            run, size = [], 0
    if run:
        yield run


def _member(stem: str, name: str, text: bytes) -> Document:
    """Return a member of an archive; one that was packed knows its part and domain."""
    part, _, rest = name.partition("/")
    domain, _, number = rest.partition("/")
    if part in PARTS and number:
        return Document(domain, number, text, part)
    return Document(stem, name, text)


def _parquet(file: Path, column: str) -> Iterator[Document]:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(file)
    names = table.schema_arrow.names
    if column not in names:
        raise ModelError(f"{file} has columns {', '.join(names)}, not {column}")
    number = 0
    for batch in table.iter_batches(batch_size=_BATCH, columns=[column]):
        for value in batch.column(0):
            text = value.as_py()
            if text:
                data = text if isinstance(text, bytes) else str(text).encode()
                yield Document(file.stem, str(number), data)
            number += 1


def _line_text(line: bytes, text_field: str) -> bytes:
    try:
        row: Any = json.loads(line)
    except ValueError:
        return line
    value = row.get(text_field) if isinstance(row, dict) else None
    return value.encode() if isinstance(value, str) else line


def gather(found: Iterable[Document], limit: int) -> Corpus:
    """Sort documents into parts, without duplicates, up to `limit` bytes.

    Large documents are dealt out in pieces of a mebibyte, smaller ones where there is little text,
    so that a single file can be trained on.
    """
    corpus = Corpus()
    seen: set[bytes] = set()
    kept: deque[tuple[str, bytes, bytes, str | None]] = deque()  # domain, digest, text, part
    total = hashlib.sha256()
    for document in found:
        if corpus.size >= limit:
            break
        digest = hashlib.sha256(document.text).digest()
        if digest in seen or not document.text:
            continue
        seen.add(digest)
        total.update(digest)
        corpus.size += len(document.text)
        kept.append((document.domain, digest, document.text, document.part))
    split = _SPLIT if corpus.size >= _LITTLE else _LITTLE_SPLIT
    keyed: dict[tuple[str, str], list[tuple[bytes, bytes]]] = {}
    while kept:
        domain, digest, whole, known = kept.popleft()
        pieces = range(0, len(whole), split) if len(whole) > 4 * split and not known else (0,)
        for start in pieces:
            text = whole[start : start + split] if len(pieces) > 1 else whole
            key = hashlib.sha256(digest + start.to_bytes(8, "little")).digest()
            share = int.from_bytes(key[:4], "big") / 2**32
            part = known or next(
                name for name, end in zip(PARTS, _SHARES, strict=True) if share < end
            )
            keyed.setdefault((part, domain), []).append((key, text))
    for (part, domain), pairs in keyed.items():
        pairs.sort(key=lambda pair: pair[0])
        corpus.texts.setdefault(part, {})[domain] = [text for _, text in pairs]
    corpus.digest = total.hexdigest()
    return corpus
