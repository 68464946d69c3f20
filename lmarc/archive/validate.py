"""The rules of tables (spec §7.2 to §7.6), over whole columns: a million rows in about a second.

Columns are hostile until they have passed here. Sizes and positions are below 2**63 before they are
added, so no sum of two can overflow.
"""

from __future__ import annotations

import operator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lmarc.archive.messages import show
from lmarc.archive.names import DIRECTORY, FILE, HARDLINK, SYMLINK
from lmarc.archive.tables import as_numpy, rows_at
from lmarc.errors import CorruptError, LimitError
from lmarc.format import limits

__all__ = [
    "Paths",
    "check_chunks",
    "check_ends",
    "check_entries",
    "check_hard_links",
    "check_members",
    "check_models",
    "check_pieces",
    "numbers",
]

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

SPARSE: Final = 1
_KNOWN_FLAGS: Final = 3
_ROWS: Final = 65_536  # names that are looked at together: their places fit a cache
_FEW: Final = 5000  # names


def _fail(message: str, offset: int) -> CorruptError:
    return CorruptError(message, offset=offset)


def numbers(table: pa.Table, name: str) -> I64:
    """Return a column of integers as int64; values of 2**63 and more become negative."""
    chunks = [
        np.frombuffer(chunk.buffers()[1], dtype=chunk.type.to_pandas_dtype())[
            chunk.offset : chunk.offset + len(chunk)
        ]
        for chunk in table.column(name).chunks
        if len(chunk)
    ]
    if not chunks:
        return np.empty(0, np.int64)
    column = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
    return column.view(np.int64) if column.dtype == np.uint64 else column.astype(np.int64)


def _binary(table: pa.Table, name: str) -> tuple[U8, I64]:
    """Return a binary column as bytes and offsets, shapes (bytes,) and (rows + 1,)."""
    parts, all_offsets, base = [], [np.zeros(1, np.int64)], 0
    for chunk in table.column(name).chunks:
        if not len(chunk):
            continue
        _, offsets_buffer, data_buffer = chunk.buffers()
        offsets = np.frombuffer(offsets_buffer, np.int32)
        offsets = offsets[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
        if data_buffer is not None:
            parts.append(np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]])
        all_offsets.append(offsets[1:] - offsets[0] + base)
        base += int(offsets[-1] - offsets[0])
    data = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.uint8), *parts])
    return data, np.concatenate(all_offsets)


class Paths:
    """The names of a table, sorted for look-up.

    Names are compared as if `/` were the lowest byte: then all that stands below a name follows it
    directly, so one look at neighbours finds duplicates and members below something else than a
    directory.
    """

    def __init__(self, table: pa.Table) -> None:
        self._data, self._offsets = _binary(table, "path")
        self._order: I64 | None = None  # rows in ascending order of name; None: they are

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, row: int) -> bytes:
        return self._data[self._offsets[row] : self._offsets[row + 1]].tobytes()

    def find(self, name: bytes) -> int:
        """Return the row of a name, -1 where there is none."""
        key = _key(name)
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) >> 1
            row = middle if self._order is None else int(self._order[middle])
            if _key(self[row]) < key:
                low = middle + 1
            else:
                high = middle
        if low == len(self):
            return -1
        row = low if self._order is None else int(self._order[low])
        return row if self[row] == name else -1

    def below(self, name: bytes) -> I64:
        """Return the rows of all that stands below a directory, in order of name."""
        first = self._place(_key(name) + b"\0")
        last = self._place(_key(name) + b"\1")
        rows = np.arange(first, last)
        return rows if self._order is None else self._order[rows]

    def _place(self, key: bytes) -> int:
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) >> 1
            row = middle if self._order is None else int(self._order[middle])
            if _key(self[row]) < key:
                low = middle + 1
            else:
                high = middle
        return low

    def check_lawful(self, offset: int) -> None:
        """Raise unless each name is relative and normalised, and within its limits."""
        data, offsets = self._data, self._offsets
        sizes = np.diff(offsets)
        if len(sizes) and (sizes.min() < 1 or sizes.max() > limits.MAX_PATH):
            row = int(np.flatnonzero((sizes < 1) | (sizes > limits.MAX_PATH))[0])
            message = (
                f"path of entry {row} has {sizes[row]} bytes, 1 to {limits.MAX_PATH} are lawful"
            )
            raise _fail(message, offset)
        for first in range(0, len(self), _ROWS):
            bounds = offsets[first : first + _ROWS + 1]
            place = _unlawful(data[bounds[0] : bounds[-1]], bounds - bounds[0])
            if place >= 0:
                row = int(np.searchsorted(bounds, bounds[0] + place, side="right")) - 1
                row = min(first + row, len(self) - 1)
                message = f"path of entry {row} is {show(self[row])!r}, which is not normalised"
                raise _fail(message, offset)

    def check_tree(self, types: I64, offset: int) -> None:
        """Raise unless names are unique and stand below directories only; sorts them."""
        if len(self) < 2:
            return
        translation = np.arange(256, dtype=np.uint8)
        translation[ord("/")] = 0
        data, offsets = translation[self._data], self._offsets
        keys = _large_binary(data, offsets)
        if not _ascending(keys):
            import pyarrow.compute as pc

            order = pc.sort_indices(keys)
            keys = keys.take(order)
            self._order = as_numpy(order).astype(np.int64)
            equal = as_numpy(pc.equal(keys[:-1], keys[1:]))
            if equal.any():
                row = int(self._order[int(np.flatnonzero(equal)[0])])
                raise _fail(f"two entries have the path {show(self[row])!r}", offset)
            types = types[self._order]
            data = np.frombuffer(keys.buffers()[2], np.uint8)
            offsets = np.frombuffer(keys.buffers()[1], np.int64)[: len(self) + 1]
        sizes = np.diff(offsets)
        above = np.flatnonzero((types[:-1] != DIRECTORY) & (sizes[:-1] < sizes[1:]))
        above = above[data[offsets[above + 1] + sizes[above]] == 0]
        for row in above.tolist():
            start, end, following = offsets[row], offsets[row + 1], offsets[row + 1]
            if np.array_equal(data[start:end], data[following : following + end - start]):
                name = data[start:end].tobytes().replace(b"\0", b"/")
                raise _fail(f"entries stand below {show(name)!r}, which is no directory", offset)


def _unlawful(data: U8, offsets: I64) -> int:
    """Return where a component starts that no path may have, or a NUL stands; -1 for nowhere."""
    slashes = np.flatnonzero(data == ord("/"))
    # The n-th start and the n-th end, both ascending, are those of the n-th component.
    starts = np.concatenate([offsets[:-1], slashes + 1])
    ends = np.concatenate([offsets[1:], slashes])
    starts.sort(kind="stable")
    ends.sort(kind="stable")
    sizes = ends - starts
    bad = (sizes < 1) | (sizes > limits.MAX_COMPONENT)
    dotted = np.flatnonzero((sizes == 1) | (sizes == 2))
    dotted = dotted[data[starts[dotted]] == ord(".")]
    bad[dotted[data[ends[dotted] - 1] == ord(".")]] = True
    if bad.any():
        return int(starts[bad][0])
    nul = np.flatnonzero(data == 0)
    return int(nul[0]) if len(nul) else -1


def _key(name: bytes) -> bytes:
    return name.replace(b"/", b"\0")


def _large_binary(data: U8, offsets: I64) -> pa.Array:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def check_entries(table: pa.Table, paths: Paths, *, whole: bool, offset: int) -> None:
    """Raise unless each row of entries, or of entries_begin, is lawful by itself.

    Parameters
    ----------
    table : pa.Table
        Schema ENTRIES (`whole`) or ENTRIES_BEGIN.
    paths : Paths
        Of this table.
    offset : int
        Of the record, for messages.
    """
    paths.check_lawful(offset)
    types = numbers(table, "type")
    _check_range("type", types, FILE, HARDLINK, offset)
    _check_range("mode", numbers(table, "mode"), 0, 0o7777, offset)
    for name in ("uid", "gid"):
        _check_range(name, numbers(table, name), -1, limits.MAX_OWNER_NUMBER, offset)
    for name in ("user", "group"):
        _check_binary(table, name, limits.MAX_OWNER_NAME, offset)
    targets = _check_binary(table, "link_target", limits.MAX_LINK_TARGET, offset)
    is_link = (types == SYMLINK) | (types == HARDLINK)
    if ((targets > 0) != is_link).any():
        raise _fail("link_target is empty for a link, or not empty for something else", offset)
    for chunk in table.column("xattrs").chunks:
        _check_xattrs(chunk, offset)
    if whole:
        check_ends(table, types == FILE, offset)


def check_ends(table: pa.Table, is_file: Bool, offset: int) -> None:
    """Raise unless flags, size and sha256 of each row are lawful; `is_file`: shape (rows,)."""
    flags, sizes = numbers(table, "flags"), numbers(table, "size")
    if (flags & ~_KNOWN_FLAGS).any():
        raise _fail("flags has a reserved bit set", offset)
    _check_range("size", sizes, 0, limits.MAX_SUM - 1, offset)
    if (flags[~is_file] | sizes[~is_file]).any():
        raise _fail("flags or size is not 0 for an entry that is no file", offset)
    digests = _fixed(table, "sha256", 32)
    if digests[~is_file].any():
        raise _fail("sha256 is not zero for an entry that is no file", offset)


def _fixed(table: pa.Table, name: str, width: int) -> U8:
    """Return a column of fixed_size_binary, shape (rows, width)."""
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8)[
            chunk.offset * width : (chunk.offset + len(chunk)) * width
        ]
        for chunk in table.column(name).chunks
        if len(chunk)
    ]
    joined = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.uint8), *parts])
    return joined.reshape(-1, width)


def _check_range(name: str, values: I64, low: int, high: int, offset: int) -> None:
    if len(values) and (values.min() < low or values.max() > high):
        row = int(np.flatnonzero((values < low) | (values > high))[0])
        raise _fail(f"{name} of row {row} is {values[row]}, expected {low} to {high}", offset)


def _check_binary(table: pa.Table, name: str, largest: int, offset: int) -> I64:
    """Raise unless values are short and without NUL; return their sizes."""
    data, offsets = _binary(table, name)
    sizes = np.diff(offsets)
    if len(sizes) and sizes.max() > largest:
        raise LimitError(f"{name} has {sizes.max()} bytes, at most {largest}", offset=offset)
    if (data == 0).any():
        raise _fail(f"{name} holds a NUL", offset)
    return sizes


def _check_xattrs(column: Any, offset: int) -> None:
    keys, values = column.keys, column.items
    if keys.null_count or values.null_count:
        raise _fail("xattrs holds a null", offset)
    if not len(keys):
        return
    ends = as_numpy(column.offsets).astype(np.int64)
    if ends[0] != 0 or ends[-1] != len(keys):
        raise _fail("xattrs has keys that no entry owns", offset)
    pairs = pa.table({"key": keys, "value": values})
    data, key_offsets = _binary(pairs, "key")
    key_sizes = np.diff(key_offsets)
    value_sizes = np.diff(_binary(pairs, "value")[1])
    if key_sizes.min() < 1 or (data == 0).any():
        raise _fail("the key of an xattr is empty or holds a NUL", offset)
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(key_sizes + value_sizes)])
    if (
        key_sizes.max() > limits.MAX_XATTR_KEY
        or value_sizes.max() > limits.MAX_XATTR_VALUE
        or np.diff(total[ends]).max() > limits.MAX_XATTRS
    ):
        raise LimitError("xattrs of an entry are larger than allowed", offset=offset)
    import pyarrow.compute as pc

    ascending = as_numpy(pc.less(keys[:-1], keys[1:]))
    between = np.ones(len(keys) + 1, np.bool_)
    between[ends] = False  # the first key of an entry has none before it
    if not ascending[between[1:-1]].all():
        raise _fail("keys of xattrs are not ascending", offset)


def check_chunks(table: pa.Table, model_count: int, end: int, offset: int) -> None:
    """Raise unless chunks have lawful sizes and lie one behind the other before `end`."""
    sizes, contents = numbers(table, "stored_size"), numbers(table, "content_size")
    _check_range("content_size", contents, 1, limits.MAX_CHUNK_CONTENT, offset)
    overhead = 60
    if len(sizes) and ((sizes <= overhead) | (sizes > contents + overhead)).any():
        raise _fail("stored_size of a chunk is not 61 to 60 + content_size", offset)
    slots = numbers(table, "model_slot")
    if ((slots >= model_count) & (slots != limits.NO_MODEL)).any():
        raise _fail("model_slot names a model that the archive does not have", offset)
    _check_extents("chunk", numbers(table, "offset"), sizes, end, offset)


def check_models(table: pa.Table, chunks: pa.Table, end: int, offset: int) -> None:
    """Raise unless models have lawful sizes and lie before `end` and beside all chunks."""
    kinds, sizes = numbers(table, "kind"), numbers(table, "size")
    embedded = numbers(table, "embedded")
    _check_range("kind", kinds, 1, 255, offset)
    _check_range("size of a model", sizes, 1, limits.MAX_MODEL_SIZE, offset)
    _check_range("embedded", embedded, 0, 1, offset)
    is_dictionary = kinds == 1
    if ((sizes > limits.MAX_DICTIONARY_SIZE) & is_dictionary).any():
        raise LimitError("a dictionary is larger than 16 MiB", offset=offset)
    if ((embedded == 0) & is_dictionary).any():
        raise _fail("a dictionary is not embedded", offset)
    if ((embedded == 0) & (kinds == 4)).any():
        raise _fail("a line index is not embedded", offset)
    starts = numbers(table, "offset")
    stored = 80 + sizes * embedded
    _check_extents("model", starts, stored, end, offset)
    all_starts = np.concatenate([starts, numbers(chunks, "offset")])
    all_sizes = np.concatenate([stored, numbers(chunks, "stored_size")])
    order = np.argsort(all_starts, kind="stable")
    _check_extents("record", all_starts[order], all_sizes[order], end, offset)


def _check_extents(what: str, starts: I64, sizes: I64, end: int, offset: int) -> None:
    if not len(starts):
        return
    _check_range(f"offset of a {what}", starts, 32, max(32, end), offset)
    if (starts[1:] < starts[:-1] + sizes[:-1]).any():
        raise _fail(f"a {what} starts before the end of the one before", offset)
    if starts[-1] + sizes[-1] > end:
        raise _fail(f"a {what} reaches beyond the Index", offset)


def check_pieces(
    table: pa.Table, chunk_sizes: I64, first_chunk: int, offset: int
) -> tuple[I64, I64, I64, I64, I64]:
    """Raise unless pieces tile their chunks, in order.

    Parameters
    ----------
    table : pa.Table
        Schema PIECES.
    chunk_sizes : int64, shape (chunks,)
        Content size of each chunk, from `first_chunk` on.

    Returns
    -------
    tuple of int64 arrays, shape (pieces,)
        entry, chunk, position in the member, size, start in the chunk's content.
    """
    entries, chunks = numbers(table, "entry"), numbers(table, "chunk")
    positions, sizes = numbers(table, "position"), numbers(table, "size")
    if not len(entries):
        if len(chunk_sizes):
            raise _fail("chunks have no pieces", offset)
        return entries, chunks, positions, sizes, positions
    _check_range("entry of a piece", entries, 0, limits.MAX_SUM - 1, offset)
    last = first_chunk + len(chunk_sizes) - 1
    _check_range("chunk of a piece", chunks, first_chunk, last, offset)
    _check_range("size of a piece", sizes, 1, limits.MAX_CHUNK_CONTENT, offset)
    _check_range(
        "position of a piece", positions, 0, limits.MAX_SUM - limits.MAX_CHUNK_CONTENT, offset
    )
    steps = np.diff(chunks)
    if (len(steps) and (steps.min() < 0 or steps.max() > 1)) or chunks[0] != first_chunk:
        raise _fail("pieces are not in order of their chunks, or a chunk has none", offset)
    if chunks[-1] != last:
        raise _fail("the last chunk has no piece", offset)
    firsts = np.concatenate([np.zeros(1, np.int64), np.flatnonzero(steps) + 1])
    ends = np.cumsum(sizes)
    starts = ends - sizes
    bases = starts[firsts]
    totals = np.diff(np.concatenate([bases, ends[-1:]]))
    if (totals != chunk_sizes).any():
        row = int(np.flatnonzero(totals != chunk_sizes)[0])
        message = f"pieces of chunk {first_chunk + row} sum to {totals[row]} bytes"
        raise _fail(f"{message}, its content has {chunk_sizes[row]}", offset)
    return entries, chunks, positions, sizes, starts - bases[chunks - first_chunk]


def check_members(
    entries: I64, positions: I64, sizes: I64, table: pa.Table, offset: int
) -> I64 | None:
    """Raise unless the pieces of each member ascend, end within it and leave only lawful holes.

    Parameters
    ----------
    entries, positions, sizes : int64, shape (pieces,)
        As `check_pieces` returns them.
    table : pa.Table
        Schema ENTRIES.

    Returns
    -------
    int64, shape (pieces,), or None
        The pieces in order of entry and position; None if they stand in that order.
    """
    count = table.num_rows
    types, member_sizes = numbers(table, "type"), numbers(table, "size")
    sparse = (numbers(table, "flags") & SPARSE).astype(np.bool_)
    order: I64 | None = None
    if len(entries):
        _check_range("entry of a piece", entries, 0, count - 1, offset)
        if (types[entries] != FILE).any():
            raise _fail("a piece belongs to an entry that is no file", offset)
        if (entries[1:] < entries[:-1]).any():
            order = np.argsort(entries, kind="stable")
            entries, positions, sizes = entries[order], positions[order], sizes[order]
        same = entries[1:] == entries[:-1]
        ends = positions + sizes
        if (positions[1:] < ends[:-1])[same].any():
            raise _fail("pieces of a member overlap or do not ascend", offset)
        if (ends > member_sizes[entries]).any():
            raise _fail("a piece reaches beyond the end of its member", offset)
    covered = np.zeros(count, np.int64)
    np.add.at(covered, entries, sizes)
    if ((covered != member_sizes) & ~sparse).any():
        row = int(np.flatnonzero((covered != member_sizes) & ~sparse)[0])
        message = f"pieces of entry {row} cover {covered[row]} of its {member_sizes[row]} bytes"
        raise _fail(f"{message}, and it is not Sparse", offset)
    return order


def _ascending(keys: pa.Array) -> bool:
    """Whether keys ascend strictly; for a few of them without Arrow's functions, slow to import."""
    if len(keys) <= _FEW:
        few = keys.to_pylist()
        return all(map(operator.lt, few, few[1:]))
    import pyarrow.compute as pc

    return bool(pc.all(pc.less(keys[:-1], keys[1:])).as_py())


def check_hard_links(table: pa.Table, paths: Paths, offset: int) -> None:
    """Raise unless each hard link names a file that stands before it; `paths` is sorted."""
    types = numbers(table, "type")
    rows = np.flatnonzero(types == HARDLINK)
    if not len(rows):
        return
    targets = rows_at(table.select(["link_target"]), rows).column("link_target")
    if len(rows) < 1000:
        found = np.array([paths.find(target.as_py()) for target in targets], np.int64)
    else:
        import pyarrow.compute as pc

        places = pc.index_in(targets, value_set=table.column("path"))
        found = as_numpy(pc.fill_null(places, -1)).astype(np.int64)
    if ((found < 0) | (found >= rows)).any() or (types[found] != FILE).any():
        raise _fail("a hard link does not name a file that stands before it", offset)
