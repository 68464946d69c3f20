from typing import Any

import pytest

from lmarc.archive.groups import parse_group
from lmarc.archive.records import NO_SHA256, Group, _entries_payload
from lmarc.errors import FormatError


def row(name: bytes, entry_type: int = 1) -> tuple[Any, ...]:
    return (name, entry_type, 0o644, 0, -1, -1, b"", b"", b"", ())


def group(
    begins: list[tuple[Any, ...]],
    pieces: list[tuple[int, int, int, int]],
    ends: list[tuple[int, int]],
    first_entry: int = 5,
) -> Group:
    made = Group(first_entry)
    for begin in begins:
        made.begin(begin)
    for entry, chunk, position, size in pieces:
        made.add_pieces(chunk, [entry], [position], [size])
    for entry, size in ends:
        made.end(entry, 0, size, b"\1" * 32 if size else NO_SHA256)
    return made


def parse(made: Group, chunk_count: int, open_entry: int | None = None, first: int = 5) -> Any:
    payload = memoryview(_entries_payload(made, 8, chunk_count))
    return parse_group(payload, first, 8, open_entry, offset=0)


FILES = [row(b"a"), row(b"b"), row(b"d", 2)]
PIECES = [(5, 8, 0, 10), (6, 8, 0, 3), (6, 9, 3, 4)]
ENDS = [(5, 10), (6, 7), (7, 0)]


def test_a_group_says_what_it_holds() -> None:
    found = parse(group(FILES, PIECES, ENDS), 2)
    assert found.chunk_sizes.tolist() == [13, 4]
    assert found.pieces.offset.tolist() == [0, 10, 0]
    assert found.open_entry is None
    assert found.begins.num_rows == 3


def test_the_last_file_may_stay_open_and_end_later() -> None:
    found = parse(group(FILES[:2], PIECES, ENDS[:1]), 2)
    assert found.open_entry == 6
    later = group([], [(6, 8, 7, 100)], [(6, 107)], first_entry=7)
    assert parse(later, 1, open_entry=6, first=7).open_entry is None
    still = group([], [(6, 8, 7, 100)], [], first_entry=7)
    assert parse(still, 1, open_entry=6, first=7).open_entry == 6


@pytest.mark.parametrize(
    ("made", "chunk_count"),
    [
        (group(FILES, PIECES, ENDS, first_entry=4), 2),
        (group(FILES, PIECES, ENDS), 1),
        (group(FILES, PIECES, ENDS), 3),
        (group(FILES, PIECES, ENDS), 1 << 20),
        (group(FILES, PIECES, ENDS[:2]), 2),  # a directory stays open
        (group(FILES, PIECES, ENDS[1:]), 2),  # one that is not the last stays open
        (group(FILES, PIECES, [ENDS[1], ENDS[0], ENDS[2]]), 2),
        (group(FILES, PIECES, [*ENDS, (8, 0)]), 2),
        (group(FILES, PIECES, [(4, 0), *ENDS]), 2),
        (group(FILES, PIECES, [ENDS[0], *ENDS]), 2),
        (group(FILES, PIECES, [(5, 11), *ENDS[1:]]), 2),  # not covered
        (group(FILES, PIECES, [(5, 9), *ENDS[1:]]), 2),  # covered beyond its end
        (group(FILES, [(7, 8, 0, 10), *PIECES[1:]], ENDS), 2),  # a directory has content
        (group(FILES, [(4, 8, 0, 10), *PIECES[1:]], ENDS), 2),  # an entry of another group
        (group(FILES, [(5, 7, 0, 10), *PIECES[1:]], ENDS), 2),  # a chunk of another group
        (group(FILES, [(5, 8, 0, 17 << 20), *PIECES[1:]], ENDS), 2),
        (group(FILES, [*PIECES[:2], (6, 9, 2, 4)], ENDS), 2),  # overlap
        (group([row(b"a/"), *FILES[1:]], PIECES, ENDS), 2),
    ],
)
def test_a_group_that_contradicts_itself_is_refused(made: Group, chunk_count: int) -> None:
    with pytest.raises(FormatError):
        parse(made, chunk_count)
