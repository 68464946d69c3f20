"""Pack members into chunks, and chunks into groups: a pure state machine, so the same input gives
the same archive.

The rules, which decide the bytes of an archive:

1. Members come in order. In a group each content class has at most one open chunk; a member's
   content goes to the open chunk of its class.
2. A member no larger than a chunk is never cut: where it does not fit, the open chunk closes and a
   new one opens.
3. A larger member starts a new chunk and is cut at every `chunk_size`; its last chunk stays open
   for the members behind it. A member of unknown size counts as larger.
4. A group closes before it would hold more than `GROUP_SIZE` content, begin more than
   `GROUP_ENTRIES` entries or more than `GROUP_METADATA_SIZE` of their metadata. Its open chunks
   close with it, in order of their class. A chunk that would be cut by the end of the group opens
   in the next.
5. Chunks are numbered in the order in which they close.

A member that turns out larger than it was announced is cut like a large one. Invariant: no chunk is
empty, none is larger than its class's chunk size, and the pieces of a member ascend in position
from chunk to chunk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from lmarc.codec.base import CONTENT_CLASS_COUNT, ContentClass

__all__ = [
    "DEFAULT_CHUNK_SIZE",
    "DEFAULT_TEXT_CHUNK_SIZE",
    "GROUP_ENTRIES",
    "GROUP_METADATA_SIZE",
    "GROUP_SIZE",
    "MAX_CHUNK_SIZE",
    "MIN_CHUNK_SIZE",
    "Data",
    "Grouper",
    "PackedChunk",
    "PackedGroup",
    "Part",
]

GROUP_SIZE = 16 << 20  # bytes of content
GROUP_ENTRIES = 65_536  # entries that begin in one group
GROUP_METADATA_SIZE = 16 << 20  # bytes of names, links and extended attributes of those entries
MIN_CHUNK_SIZE = 4 << 10  # bytes; what a caller may ask for
MAX_CHUNK_SIZE = 16 << 20
DEFAULT_CHUNK_SIZE = 1 << 20
DEFAULT_TEXT_CHUNK_SIZE = 256 << 10


class Part(Protocol):
    """Content by reference: all that matters here is its size, and that it can be sliced."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> "Part": ...


Data: TypeAlias = bytes | memoryview | Part


@dataclass(frozen=True, slots=True)
class PackedChunk:
    """A chunk that has closed: its content and the pieces of members that it holds, in order."""

    number: int  # counts through the archive
    content_class: int
    content: bytes
    entries: list[int]  # the three lists hold one value a piece
    positions: list[int]  # of the piece in its member
    sizes: list[int]  # bytes; they sum to len(content)
    parts: tuple[Data, ...] = ()  # instead of content, where some of it is by reference


@dataclass(frozen=True, slots=True)
class PackedGroup:
    """The end of a group: all of its chunks have closed."""

    entry_count: int  # entries that began in it
    first_chunk: int
    chunk_count: int


class _OpenChunk:
    """What is known of a chunk while it fills."""

    __slots__ = ("entries", "parts", "positions", "size", "sizes")

    def __init__(self) -> None:
        self.size = 0
        self.parts: list[Data] = []
        self.entries: list[int] = []
        self.positions: list[int] = []
        self.sizes: list[int] = []


Packed: TypeAlias = PackedChunk | PackedGroup

_NOTHING: tuple[Packed, ...] = ()


class Grouper:
    """Decide where each byte of each member goes; hold at most one group of content.

    `begin` an entry, `add` its content in order, as often as needed, and `finish` after the last
    entry. Each call returns what it closed, in order: chunks, and groups behind their chunks. What
    `begin` returns closed *before* the entry that begins, so that entry counts to the next group.
    Content is kept by reference until its chunk closes: what is given to `add` must not change
    afterwards.

    Parameters
    ----------
    text_chunk_size, chunk_size : int
        Content bytes of a full chunk of text and of every other class, MIN_CHUNK_SIZE to
        MAX_CHUNK_SIZE.
    first_chunk : int
        The number of the first chunk (more than 0 when appending).
    """

    def __init__(
        self,
        text_chunk_size: int = DEFAULT_TEXT_CHUNK_SIZE,
        chunk_size: int = DEFAULT_CHUNK_SIZE,
        *,
        first_chunk: int = 0,
    ) -> None:
        for size in (text_chunk_size, chunk_size):
            if not MIN_CHUNK_SIZE <= size <= MAX_CHUNK_SIZE:
                raise ValueError(
                    f"chunk size is {size}, expected {MIN_CHUNK_SIZE} to {MAX_CHUNK_SIZE} bytes"
                )
        self._capacities = [chunk_size] * CONTENT_CLASS_COUNT
        self._capacities[ContentClass.TEXT] = text_chunk_size
        self._open: list[_OpenChunk | None] = [None] * CONTENT_CLASS_COUNT
        self._group_size = 0
        self._group_entries = 0
        self._group_metadata = 0
        self._group_first_chunk = first_chunk
        self._next_chunk = first_chunk
        self._entry = -1
        self._class = 0
        self._reserved = 0  # bytes that a new chunk for this entry must find room for in its group

    def begin(
        self, entry: int, content_class: int, size: int | None, metadata_size: int = 0
    ) -> Sequence[Packed]:
        """Begin an entry with `size` bytes of content (holes not counted; None: unknown).

        Directories, links and empty files have size 0. `metadata_size` is that of the variable
        part of the entry's metadata.
        """
        packed: Sequence[Packed] = _NOTHING
        if self._group_entries >= GROUP_ENTRIES or (
            self._group_entries and self._group_metadata + metadata_size > GROUP_METADATA_SIZE
        ):
            packed = self._close_group()
        self._entry = entry
        self._class = content_class
        if size == 0:
            self._group_entries += 1
            self._group_metadata += metadata_size
            return packed
        capacity = self._capacities[content_class]
        large = size is None or size > capacity
        reserved = capacity if size is None or large else size
        self._reserved = reserved
        if self._group_size + reserved > GROUP_SIZE and self._group_size > 0:
            packed = [*packed, *self._close_group()]
        chunk = self._open[content_class]
        if chunk is not None and (large or chunk.size + reserved > capacity):
            packed = [*packed, self._close_chunk(content_class)]
        self._group_entries += 1
        self._group_metadata += metadata_size
        return packed

    def add(self, position: int, data: Data) -> Sequence[Packed]:
        """Add content of the entry that began last, at `position` in the member.

        Positions ascend and do not overlap; what lies between two calls is a hole.
        """
        size = len(data)
        if size == 0:
            return _NOTHING
        content_class = self._class
        chunk = self._open[content_class]
        capacity = self._capacities[content_class]
        if (
            chunk is not None
            and chunk.size + size < capacity
            and self._group_size + size <= GROUP_SIZE
        ):
            self._append(chunk, position, data, size)
            return _NOTHING
        packed: list[Packed] = []
        view: memoryview | Part = memoryview(data) if isinstance(data, bytes) else data
        while size:
            chunk = self._open[content_class]
            needed = self._reserved if chunk is None else 1
            if self._group_size + needed > GROUP_SIZE and self._group_size > 0:
                packed += self._close_group()
                chunk = None
            if chunk is None:
                chunk = self._open[content_class] = _OpenChunk()
            taken = min(size, capacity - chunk.size, GROUP_SIZE - self._group_size)
            self._append(chunk, position, data if taken == len(data) else view[:taken], taken)
            view = view[taken:]
            position += taken
            size -= taken
            if chunk.size == capacity:
                packed.append(self._close_chunk(content_class))
                self._reserved = capacity
        return packed

    def finish(self) -> Sequence[Packed]:
        """Close the last group, if anything is in it."""
        return self._close_group() if self._group_entries or self._group_size else _NOTHING

    def _append(self, chunk: _OpenChunk, position: int, data: Data, size: int) -> None:
        self._group_size += size
        chunk.size += size
        chunk.parts.append(data)
        entries = chunk.entries
        if entries and entries[-1] == self._entry:
            last = len(entries) - 1
            if chunk.positions[last] + chunk.sizes[last] == position:
                chunk.sizes[last] += size
                return
        entries.append(self._entry)
        chunk.positions.append(position)
        chunk.sizes.append(size)

    def _close_chunk(self, content_class: int) -> PackedChunk:
        chunk = self._open[content_class]
        if chunk is None:
            raise ValueError(f"no chunk of class {content_class} is open")
        self._open[content_class] = None
        number = self._next_chunk
        self._next_chunk += 1
        content, parts = _joined(chunk.parts)
        return PackedChunk(
            number, content_class, content, chunk.entries, chunk.positions, chunk.sizes, parts
        )

    def _close_group(self) -> list[Packed]:
        packed: list[Packed] = [
            self._close_chunk(content_class)
            for content_class, chunk in enumerate(self._open)
            if chunk is not None
        ]
        first = self._group_first_chunk
        packed.append(PackedGroup(self._group_entries, first, self._next_chunk - first))
        self._group_size = 0
        self._group_entries = 0
        self._group_metadata = 0
        self._group_first_chunk = self._next_chunk
        return packed


def _joined(parts: list[Data]) -> tuple[bytes, tuple[Data, ...]]:
    """Return the content that parts make, or the parts themselves if not all of it is here."""
    buffers = [part for part in parts if isinstance(part, bytes | memoryview)]
    if len(buffers) == len(parts):
        return bytes(buffers[0] if len(buffers) == 1 else b"".join(buffers)), ()
    # A view of something large would not go to another process.
    return b"", tuple(bytes(part) if isinstance(part, memoryview) else part for part in parts)
