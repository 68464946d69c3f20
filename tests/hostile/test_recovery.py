"""Recovery from damage: what comes back is right, and it comes back where it belongs."""

from pathlib import Path

import pytest

import lmarc
from tests.hostile.arena import Arena, tree
from tests.hostile.test_names import REFUSED
from tools import reference_decoder
from tools.bad_archives import BAD
from tools.craft import Builder, Chunk, Entry, Piece, file, records, simple

CONTENTS = {name: name * 9 for name in (b"first", b"second", b"third", b"fourth")}


def two_groups() -> bytes:
    """Return an archive of four members, each in a chunk, two in a group."""
    builder = Builder()
    names = list(CONTENTS)
    for start in (0, 2):
        some = names[start : start + 2]
        builder.group(
            [file(name, CONTENTS[name]) for name in some],
            [Chunk(CONTENTS[name]) for name in some],
            [Piece(start + n, start + n, 0, len(CONTENTS[name])) for n, name in enumerate(some)],
        )
    return builder.finish()


def contents(folder: Path) -> dict[bytes, bytes]:
    """Return the files directly in a folder."""
    return {path.name.encode(): path.read_bytes() for path in folder.iterdir() if path.is_file()}


def recovered(data: bytes, folder: Path) -> dict[bytes, bytes]:
    """Return what lmarc recovers."""
    folder.mkdir()
    (folder / "damaged.lmarc").write_bytes(data)
    try:
        lmarc.recover(str(folder / "damaged.lmarc"), folder / "out")
    except lmarc.LmarcError:
        pass
    return contents(folder / "out") if (folder / "out").exists() else {}


def attack(arena: Arena, data: bytes) -> None:
    """Recover `data` and check that nothing changed outside."""
    archive = arena.folder / "archive.lmarc"
    archive.write_bytes(data)
    try:
        lmarc.recover(str(archive), arena.target("index"))
    except lmarc.LmarcError:
        pass
    arena.check()


@pytest.mark.parametrize("case", REFUSED)
def test_an_escape_by_name_fails_in_recovery(arena: Arena, case: str) -> None:
    attack(arena, simple(REFUSED[case](arena)).finish())
    made = tree(arena.target("index"))
    assert not any(".." in name.split("/") or name.startswith("/") for name in made)


@pytest.mark.parametrize("case", REFUSED)
def test_an_escape_by_name_fails_without_the_index(arena: Arena, case: str) -> None:
    attack(arena, simple(REFUSED[case](arena)).seal())


@pytest.mark.parametrize("name", BAD)
def test_no_unlawful_archive_escapes_in_recovery(arena: Arena, name: str) -> None:
    attack(arena, BAD[name][1]())


@pytest.mark.parametrize("start", range(5))
def test_whatever_byte_is_damaged_only_what_it_hits_is_lost(start: int, tmp_path: Path) -> None:
    data = two_groups()
    chunks = {offset: len(payload) + 32 for offset, kind, payload in records(data) if kind == 1}
    for place in range(start * 7, len(data), 35):
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        found = recovered(bytes(damaged), tmp_path / str(place))
        assert all(CONTENTS[name] == content for name, content in found.items())
        hit = [n for n, (at, size) in enumerate(chunks.items()) if at <= place < at + size]
        expected = [name for n, name in enumerate(CONTENTS) if n not in hit]
        assert set(found) == set(expected), place


def test_every_truncation_leaves_what_is_whole(tmp_path: Path) -> None:
    data = two_groups()
    ends = [offset + 32 + len(payload) for offset, kind, payload in records(data) if kind == 1]
    for size in range(40, len(data), 97):
        found = recovered(data[:size], tmp_path / str(size))
        expected = [name for name, end in zip(CONTENTS, ends, strict=True) if end <= size]
        assert found == {name: CONTENTS[name] for name in expected}, size


@pytest.mark.parametrize("lost", [1, 20, 33, 64, 500])
def test_bytes_that_went_missing_cost_what_they_hit(lost: int, tmp_path: Path) -> None:
    data = two_groups()
    for place in range(40, len(data) - lost, 499):
        shorter = data[:place] + data[place + lost :]
        found = recovered(shorter, tmp_path / str(place))
        assert all(CONTENTS[name] == content for name, content in found.items())
        by_reference = tmp_path / f"reference-{place}"
        (tmp_path / "shorter.lmarc").write_bytes(shorter)
        reference_decoder.main(["--scan", str(tmp_path / "shorter.lmarc"), str(by_reference)])
        if by_reference.exists():
            assert set(found) >= set(contents(by_reference)), place


def test_records_of_an_archive_inside_are_not_taken_for_its_own(tmp_path: Path) -> None:
    inner = simple([(Entry(b"inner"), b"inside")]).finish()
    data = bytearray(simple([(Entry(b"archive"), inner), (Entry(b"empty"), b"")]).finish())
    chunk = next(offset for offset, kind, _ in records(bytes(data)) if kind == 1)
    data[chunk] ^= 0xFF
    assert recovered(bytes(data), tmp_path / "x") == {b"empty": b""}


def test_a_partial_member_is_not_presented_as_intact(tmp_path: Path) -> None:
    content = b"0123456789"
    builder = Builder()
    builder.group(
        [file(b"a", content)],
        [Chunk(content[:5]), Chunk(content[5:])],
        [Piece(0, 0, 0, 5), Piece(0, 1, 5, 5)],
    )
    data = bytearray(builder.finish())
    data[data.index(b"56789")] ^= 1
    assert recovered(bytes(data), tmp_path / "x").get(b"a") is None
