from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmarc.archive import validate
from lmarc.archive.names import check_name
from lmarc.archive.tables import CHUNKS, ENTRIES, MODELS, PIECES, batch
from lmarc.archive.validate import (
    Paths,
    check_chunks,
    check_entries,
    check_hard_links,
    check_members,
    check_models,
    check_pieces,
)
from lmarc.errors import CorruptError, FormatError

ZERO = bytes(32)


def entries(*rows: dict[str, Any]) -> pa.Table:
    base = {
        "path": b"a",
        "type": 1,
        "flags": 0,
        "mode": 0o644,
        "mtime": 0,
        "uid": -1,
        "gid": -1,
        "user": b"",
        "group": b"",
        "link_target": b"",
        "xattrs": [],
        "size": 0,
        "sha256": ZERO,
    }
    whole = [{**base, **row} for row in rows]
    columns = [[row[name] for row in whole] for name in ENTRIES.names]
    return pa.Table.from_batches([batch(ENTRIES, columns)])


def named(*names: bytes, **others: Any) -> pa.Table:
    return entries(*({"path": name, **others} for name in names))


def check(table: pa.Table) -> None:
    paths = Paths(table)
    check_entries(table, paths, whole=True, offset=0)
    paths.check_tree(validate.numbers(table, "type"), 0)
    check_hard_links(table, paths, 0)


COMPONENT = st.sampled_from([b"a", b"b", b"-", b"", b".", b"..", b"ab", b"\xff", b"\0", b"x" * 256])
NAMES = st.lists(COMPONENT, min_size=1, max_size=4).map(b"/".join)


def naive_tree(names: list[bytes], types: list[int]) -> bool:
    """The rules of spec §7.5, one name at a time."""
    for name in names:
        try:
            check_name(name)
        except ValueError:
            return False
    kinds = dict(zip(names, types, strict=True))
    if len(kinds) < len(names):
        return False
    for name in names:
        parts = name.split(b"/")
        for count in range(1, len(parts)):
            if kinds.get(b"/".join(parts[:count]), 2) != 2:
                return False
    return True


@given(st.lists(st.tuples(NAMES, st.sampled_from([1, 2])), max_size=8))
@settings(max_examples=300)
def test_names_are_judged_as_the_naive_rules_do(pairs: list[tuple[bytes, int]]) -> None:
    names, types = [name for name, _ in pairs], [kind for _, kind in pairs]
    table = entries(*({"path": name, "type": kind} for name, kind in pairs))
    if naive_tree(names, types):
        check(table)
    else:
        with pytest.raises(CorruptError):
            check(table)


@given(st.sets(NAMES.filter(lambda name: naive_tree([name], [1])), max_size=12), NAMES)
def test_names_are_found_whatever_their_order(names: set[bytes], other: bytes) -> None:
    table = named(*names, type=2)
    paths = Paths(table)
    paths.check_tree(validate.numbers(table, "type"), 0)
    for row, name in enumerate(names):
        assert paths.find(name) == row
        assert paths[row] == name
        below = {paths[int(number)] for number in paths.below(name)}
        assert below == {one for one in names if one.startswith(name + b"/")}
    if other not in names:
        assert paths.find(other) == -1


def test_names_are_looked_at_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "_ROWS", 2)
    good = [b"a", b"b/c", b"d", b"e/f/g", b"h"]
    check(named(*good))
    for bad in range(5):
        with pytest.raises(CorruptError, match=f"entry {bad} "):
            check(named(*good[:bad], b"x//y", *good[bad + 1 :]))


@pytest.mark.parametrize(
    "row",
    [
        {"type": 0},
        {"type": 5},
        {"mode": 0o10000},
        {"uid": -2},
        {"gid": 2**32 - 1},
        {"user": b"x" * 256},
        {"group": b"a\0"},
        {"type": 3},
        {"link_target": b"x"},
        {"type": 3, "link_target": b"x" * 4097},
        {"type": 3, "link_target": b"a\0b"},
        {"flags": 4},
        {"size": 2**63},
        {"type": 2, "size": 1},
        {"type": 2, "flags": 1},
        {"type": 2, "sha256": b"\1" * 32},
        {"xattrs": [(b"", b"")]},
        {"xattrs": [(b"b", b""), (b"a", b"")]},
        {"xattrs": [(b"a", b""), (b"a", b"")]},
        {"xattrs": [(b"x" * 256, b"")]},
        {"xattrs": [(b"a", b"x" * 65_537)]},
        {"xattrs": [(b"%03d" % n, b"x" * 65_000) for n in range(17)]},
        {"type": 4, "link_target": b"none"},
        {"type": 4, "link_target": b"a"},
    ],
)
def test_each_rule_of_an_entry(row: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        check(entries(row))


def test_lawful_entries_pass() -> None:
    pairs = [(b"user.a", b"x" * 65_536), (b"user.b", b"")]
    check(
        entries(
            {"path": b"d", "type": 2, "xattrs": pairs, "mode": 0o7777},
            {"path": b"d/f", "flags": 3, "size": 2**63 - 1, "sha256": b"\1" * 32},
            {"path": b"d/h", "type": 4, "link_target": b"d/f", "uid": 2**32 - 2, "mtime": -1},
            {"path": b"s", "type": 3, "link_target": b"../../x", "xattrs": pairs},
        )
    )


@pytest.mark.parametrize("count", [3, 1500])
def test_hard_links_name_an_earlier_file(count: int) -> None:
    links = [{"path": b"l%d" % n, "type": 4, "link_target": b"f"} for n in range(count)]
    check(entries({"path": b"f"}, *links))
    for wrong in (
        [*links, {"path": b"f"}],
        [{"path": b"f", "type": 2}, *links],
        [{"path": b"f"}, *links, {"path": b"m", "type": 4, "link_target": b"l1"}],
    ):
        with pytest.raises(CorruptError, match="hard link"):
            check(entries(*wrong))


def pieces(*rows: tuple[int, int, int, int]) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    return pa.Table.from_batches([batch(PIECES, columns)])


GOOD = [(0, 0, 0, 10), (1, 0, 0, 5), (0, 1, 10, 7), (2, 2, 3, 4)]
SIZES = np.array([15, 7, 4], np.int64)
MEMBERS = entries(
    {"path": b"a", "size": 17}, {"path": b"b", "size": 5}, {"path": b"c", "size": 9, "flags": 1}
)


def test_pieces_tile_their_chunks() -> None:
    entry, _, position, size, offset = check_pieces(pieces(*GOOD), SIZES, 0, 0)
    assert offset.tolist() == [0, 10, 0, 0]
    order = check_members(entry, position, size, MEMBERS, 0)
    assert order is not None
    assert entry[order].tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        GOOD[:3],
        GOOD[1:],
        [GOOD[2], *GOOD[:2], GOOD[3]],
        [*GOOD[:3], (2, 3, 3, 4)],
        [(0, 0, 0, 11), *GOOD[1:]],
        [(0, 0, 0, 0), (0, 0, 0, 10), *GOOD[1:]],
        [(0, 0, 0, 2**64 - 5), *GOOD[1:]],
        [(2**64 - 1, 0, 0, 10), *GOOD[1:]],
        [*GOOD[:3], (2, 2, 2**63 - 1, 4)],
    ],
)
def test_pieces_that_do_not_tile_are_refused(rows: list[tuple[int, int, int, int]]) -> None:
    with pytest.raises(CorruptError):
        check_pieces(pieces(*rows), SIZES, 0, 0)


@pytest.mark.parametrize(
    "rows",
    [
        [GOOD[0], (1, 0, 0, 5), (0, 1, 9, 7), GOOD[3]],  # overlap
        [(0, 0, 7, 10), GOOD[1], (0, 1, 0, 7), GOOD[3]],  # do not ascend
        [*GOOD[:3], (2, 2, 6, 4)],  # beyond the end
        [*GOOD[:3], (3, 2, 0, 4)],  # no such entry
        [GOOD[0], (2, 0, 0, 5), GOOD[2], GOOD[3]],  # one is not covered
        [(0, 0, 1, 10), GOOD[1], (0, 1, 11, 6), GOOD[3]],  # a hole that is not Sparse
    ],
)
def test_members_are_covered_in_order(rows: list[tuple[int, int, int, int]]) -> None:
    table = pieces(*rows)
    sizes = np.zeros(3, np.int64)
    np.add.at(sizes, [row[1] for row in rows], [row[3] for row in rows])
    entry, _, position, size, _ = check_pieces(table, sizes, 0, 0)
    with pytest.raises(CorruptError):
        check_members(entry, position, size, MEMBERS, 0)


def test_only_files_have_pieces() -> None:
    table = entries({"path": b"d", "type": 2}, {"path": b"b", "size": 5}, {"path": b"c"})
    entry, _, position, size, _ = check_pieces(pieces(*GOOD), SIZES, 0, 0)
    with pytest.raises(CorruptError, match="no file"):
        check_members(entry, position, size, table, 0)


def chunks(*rows: tuple[int, int, int, int]) -> pa.Table:
    full = [(offset, stored, content, 1, slot, 0, 0, 0) for offset, stored, content, slot in rows]
    columns = [list(column) for column in zip(*full, strict=True)]
    return pa.Table.from_batches([batch(CHUNKS, columns)])


NO = 0xFFFF


def test_lawful_chunks_pass() -> None:
    check_chunks(chunks((32, 61, 1, NO), (93, 160, 100, 0)), 1, 253, 0)


@pytest.mark.parametrize(
    "rows",
    [
        [(31, 61, 1, NO)],
        [(32, 60, 1, NO)],
        [(32, 62, 1, NO)],
        [(32, 61, 0, NO)],
        [(32, 61, (16 << 20) + 1, NO)],
        [(32, 61, 1, 1)],
        [(32, 61, 1, NO), (92, 61, 1, NO)],
        [(93, 61, 1, NO), (32, 61, 1, NO)],
        [(32, 61, 1, NO), (193, 61, 1, NO)],
        [(2**64 - 1, 61, 1, NO)],
        [(32, 2**64 - 1, 1, NO)],
    ],
)
def test_chunks_lie_behind_each_other(rows: list[tuple[int, int, int, int]]) -> None:
    with pytest.raises(FormatError):
        check_chunks(chunks(*rows), 1, 253, 0)


@pytest.mark.parametrize(
    ("row", "lawful"),
    [
        ((1, 20, ZERO, 93, 1), True),
        ((2, 1 << 30, ZERO, 93, 0), True),
        ((1, 20, ZERO, 93, 0), False),
        ((0, 20, ZERO, 93, 1), False),
        ((1, 0, ZERO, 93, 1), False),
        ((1, (16 << 20) + 1, ZERO, 93, 1), False),
        ((2, (1 << 30) + 1, ZERO, 93, 0), False),
        ((1, 20, ZERO, 92, 1), False),
        ((1, 20, ZERO, 154, 1), False),
        ((2, 20, ZERO, 93, 2), False),
    ],
)
def test_models_lie_beside_the_chunks(row: tuple[Any, ...], lawful: bool) -> None:
    table = pa.Table.from_batches([batch(MODELS, [[value] for value in row])])
    if lawful:
        check_models(table, chunks((32, 61, 1, NO)), 253, 0)
    else:
        with pytest.raises(FormatError):
            check_models(table, chunks((32, 61, 1, NO)), 253, 0)
