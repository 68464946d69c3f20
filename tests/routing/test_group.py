"""The packing rules, and that the packing does not depend on how data comes."""

import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmarc.codec.base import ContentClass
from lmarc.routing import group
from lmarc.routing.group import Grouper, Packed, PackedChunk, PackedGroup

TEXT = int(ContentClass.TEXT)
BINARY = int(ContentClass.BINARY)
CHUNK = 4096


def pack(members: Sequence[tuple[int, bytes]], step: int = 1 << 30) -> list[Packed]:
    """Pack members of (class, content), each given in parts of `step` bytes."""
    grouper = Grouper(CHUNK, 2 * CHUNK)
    packed: list[Packed] = []
    for entry, (content_class, content) in enumerate(members):
        packed += grouper.begin(entry, content_class, len(content))
        for position in range(0, len(content), step):
            packed += grouper.add(position, content[position : position + step])
    packed += grouper.finish()
    return packed


def chunks_of(packed: Sequence[Packed]) -> list[PackedChunk]:
    return [item for item in packed if isinstance(item, PackedChunk)]


def pieces_of(packed: Sequence[Packed]) -> list[list[tuple[int, int, int]]]:
    return [list(zip(c.entries, c.positions, c.sizes, strict=True)) for c in chunks_of(packed)]


def content_of(packed: Sequence[Packed], entry: int) -> bytes:
    content = bytearray()
    for chunk in chunks_of(packed):
        offset = 0
        for owner, position, size in zip(chunk.entries, chunk.positions, chunk.sizes, strict=True):
            if owner == entry:
                assert position == len(content)
                content += chunk.content[offset : offset + size]
            offset += size
        assert offset == len(chunk.content)
    return bytes(content)


def test_small_members_of_a_class_share_a_chunk() -> None:
    packed = pack([(TEXT, b"one"), (BINARY, b"\x00"), (TEXT, b"two")])
    assert pieces_of(packed) == [[(1, 0, 1)], [(0, 0, 3), (2, 0, 3)]]
    assert packed[-1] == PackedGroup(entry_count=3, first_chunk=0, chunk_count=2)


def test_a_member_no_larger_than_a_chunk_is_never_cut() -> None:
    packed = pack([(TEXT, b"a" * 3000), (TEXT, b"b" * 3000), (TEXT, b"c" * 1096)])
    assert pieces_of(packed) == [[(0, 0, 3000)], [(1, 0, 3000), (2, 0, 1096)]]


def test_a_larger_member_starts_a_chunk_and_its_tail_stays_open() -> None:
    packed = pack([(TEXT, b"a"), (TEXT, b"b" * (CHUNK + 5)), (TEXT, b"c")])
    assert pieces_of(packed) == [[(0, 0, 1)], [(1, 0, CHUNK)], [(1, CHUNK, 5), (2, 0, 1)]]


def test_a_full_chunk_closes_at_once() -> None:
    grouper = Grouper(CHUNK, CHUNK)
    assert grouper.begin(0, TEXT, CHUNK) == ()
    (chunk,) = grouper.add(0, b"x" * CHUNK)
    assert isinstance(chunk, PackedChunk)
    assert chunk.number == 0


def test_entries_without_content_count_to_the_group_and_make_no_chunk() -> None:
    assert pack([(BINARY, b""), (TEXT, b"")]) == [PackedGroup(2, 0, 0)]
    assert pack([]) == []


def test_a_group_closes_at_its_entry_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "GROUP_ENTRIES", 2)
    packed = pack([(TEXT, b"a"), (TEXT, b"b"), (TEXT, b"c"), (TEXT, b"")])
    assert [item for item in packed if isinstance(item, PackedGroup)] == [
        PackedGroup(2, 0, 1),
        PackedGroup(2, 1, 1),
    ]


def test_a_group_closes_before_its_metadata_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "GROUP_METADATA_SIZE", 100)
    grouper = Grouper(CHUNK, CHUNK)
    assert grouper.begin(0, BINARY, 0, 150) == ()
    assert grouper.begin(1, BINARY, 0, 60) == [PackedGroup(1, 0, 0)]
    assert grouper.begin(2, BINARY, 0, 40) == ()
    assert grouper.begin(3, BINARY, 1, 1) == [PackedGroup(2, 0, 0)]


def test_a_group_closes_before_its_content_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "GROUP_SIZE", 2 * CHUNK)
    packed = pack([(TEXT, b"a" * 3000), (BINARY, b"b" * 3000), (TEXT, b"c" * 3000), (TEXT, b"d")])
    assert pieces_of(packed) == [[(1, 0, 3000)], [(0, 0, 3000)], [(2, 0, 3000), (3, 0, 1)]]
    assert packed[2] == PackedGroup(2, 0, 2)


def test_a_cut_chunk_opens_in_the_next_group_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "GROUP_SIZE", 2 * CHUNK + 10)
    packed = pack([(BINARY, b"a" * 100), (TEXT, b"b" * (3 * CHUNK))])
    assert pieces_of(packed) == [
        [(1, 0, CHUNK)],
        [(0, 0, 100)],
        [(1, CHUNK, CHUNK)],
        [(1, 2 * CHUNK, CHUNK)],
    ]


def test_holes_part_the_pieces_of_a_member() -> None:
    grouper = Grouper(CHUNK, CHUNK)
    grouper.begin(0, TEXT, 6)
    grouper.add(10, b"abc")
    grouper.add(13, b"d")
    grouper.add(100, b"ef")
    chunk, _ = grouper.finish()
    assert isinstance(chunk, PackedChunk)
    assert (chunk.positions, chunk.sizes, chunk.content) == ([10, 100], [4, 2], b"abcdef")


def test_a_member_larger_than_announced_is_cut() -> None:
    grouper = Grouper(CHUNK, CHUNK)
    grouper.begin(0, TEXT, 10)
    packed = [*grouper.add(0, b"x" * (CHUNK + 1)), *grouper.finish()]
    assert pieces_of(packed) == [[(0, 0, CHUNK)], [(0, CHUNK, 1)]]


def test_chunk_numbers_go_on_when_appending() -> None:
    grouper = Grouper(CHUNK, CHUNK, first_chunk=7)
    grouper.begin(0, TEXT, 1)
    grouper.add(0, memoryview(b"x"))
    chunk, end = grouper.finish()
    assert isinstance(chunk, PackedChunk)
    assert chunk.number == 7
    assert end == PackedGroup(1, 7, 1)
    assert pickle.loads(pickle.dumps(chunk)) == chunk


@pytest.mark.parametrize("size", [group.MIN_CHUNK_SIZE - 1, group.MAX_CHUNK_SIZE + 1])
def test_chunk_sizes_outside_the_limits_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"chunk size is {size}"):
        Grouper(size, CHUNK)


MEMBERS = st.lists(
    st.tuples(
        st.sampled_from([int(c) for c in ContentClass]),
        st.one_of(st.integers(0, 60), st.integers(CHUNK - 2, CHUNK + 2), st.integers(0, 30_000)),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=150)
@given(sizes=MEMBERS, step=st.integers(500, 9000), entries=st.integers(1, 5))
def test_packing_keeps_every_byte_within_the_limits_however_data_comes(
    sizes: list[tuple[int, int]], step: int, entries: int
) -> None:
    limit = 5 * CHUNK
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "GROUP_SIZE", limit)
        patch.setattr(group, "GROUP_ENTRIES", entries)
        members = [(c, bytes([n + 1]) * size) for n, (c, size) in enumerate(sizes)]
        packed = pack(members)
        assert pack(members, step) == packed
    chunks = chunks_of(packed)
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        capacity = CHUNK if chunk.content_class == TEXT else 2 * CHUNK
        assert 0 < len(chunk.content) <= capacity
        assert all(members[entry][0] == chunk.content_class for entry in chunk.entries)
    for entry, (content_class, content) in enumerate(members):
        assert content_of(packed, entry) == content
        holders = [chunk for chunk in chunks if entry in chunk.entries]
        capacity = CHUNK if content_class == TEXT else 2 * CHUNK
        if content:
            assert len(holders) <= -(-len(content) // capacity)
    begun = seen = in_group = 0
    for item in packed:
        if isinstance(item, PackedChunk):
            in_group += len(item.content)
            continue
        assert (item.first_chunk, item.first_chunk + item.chunk_count) <= (seen, len(chunks))
        assert item.entry_count <= entries
        assert in_group <= limit
        seen, begun, in_group = item.first_chunk + item.chunk_count, begun + item.entry_count, 0
    assert (seen, begun) == (len(chunks), len(members))


class Far:
    """Content by reference, as far as the grouper can tell."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, part: slice) -> "Far":
        first, last, _ = part.indices(len(self))
        return Far(self.start + first, self.start + last)


def test_content_by_reference_is_packed_like_bytes() -> None:
    members = [(TEXT, 100), (BINARY, 3 * CHUNK), (TEXT, 2 * CHUNK + 5), (TEXT, 50)]
    expected = pack([(kind, bytes(size)) for kind, size in members])
    grouper = Grouper(CHUNK, 2 * CHUNK)
    packed: list[Packed] = []
    for entry, (kind, size) in enumerate(members):
        packed += grouper.begin(entry, kind, size)
        # The first and the last are here; the last goes along with what is not.
        packed += grouper.add(0, memoryview(bytes(size)) if entry in (0, 3) else Far(0, size))
    packed += grouper.finish()
    for found, wanted in zip(packed, expected, strict=True):
        if isinstance(found, PackedChunk) and isinstance(wanted, PackedChunk):
            assert (found.entries, found.positions) == (wanted.entries, wanted.positions)
            assert found.sizes == wanted.sizes
            assert sum(map(len, found.parts or [found.content])) == len(wanted.content)
            assert bool(found.content) == (set(found.entries) == {0})
            assert not any(isinstance(part, memoryview) for part in found.parts)
        else:
            assert found == wanted
