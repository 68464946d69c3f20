"""Lines are counted while an archive is written, for those members that are meant."""

from pathlib import Path
from typing import Any

import pytest

import lmarc
from lmarc.archive.lines import LineCounter, line_index_slots
from tests.archive.samples import text
from tools.craft import LINE_INDEX, Builder, Chunk, Piece, file, pack_line_index

ROWS = b"".join(b'{"row": %d}\n' % number for number in range(3000))
MEMBERS = {
    "a.jsonl": ROWS,
    "b.NDJSON": ROWS[:-1],
    "c.txt": ROWS,
    "empty.jsonl": b"",
    "noise": bytes(range(256)) * 99,
    "odd.jsonl": b"x" * 9000 + b"\n" + b"y" * 9000,
    "z.jsonlines": b"\n",
}


def write(path: Path, **options: Any) -> lmarc.Archive:
    with lmarc.Writer(path, preset="fast", chunk_size=4096, **options) as writer:
        for name, data in MEMBERS.items():
            writer.add_bytes(name, data)
    return lmarc.open(path)


def counted(archive: lmarc.Archive) -> dict[str, int]:
    """Return the lines of each member whose lines the archive counts."""
    found = {}
    for member in archive:
        lines = archive.line_table.lines_of(archive.index.piece_rows(member.number))
        if lines is not None:
            found[member.name] = int(lines.sum())
    return found


JSON_LINES = {"a.jsonl": 3000, "b.NDJSON": 3000, "empty.jsonl": 0, "odd.jsonl": 2, "z.jsonlines": 1}


def test_json_lines_are_counted_by_default(tmp_path: Path) -> None:
    archive = write(tmp_path / "a.lmarc")
    assert line_index_slots(archive.index) == [archive.models().num_rows - 1]
    # A member without a piece has no lines, whatever it is called.
    assert counted(archive) == JSON_LINES
    archive.verify()
    assert archive.describe()["models"][-1]["kind"] == "line-index"


def test_all_text_is_counted_where_it_is_asked_for(tmp_path: Path) -> None:
    assert counted(write(tmp_path / "a.lmarc", index_lines="text")) == {**JSON_LINES, "c.txt": 3000}
    archive = write(tmp_path / "b.lmarc", index_lines="none")
    assert line_index_slots(archive.index) == []
    assert counted(archive) == {"empty.jsonl": 0}
    with pytest.raises(ValueError, match="index_lines is 'all', expected one of"):
        LineCounter("all")


def test_an_append_counts_its_own_lines(tmp_path: Path) -> None:
    archive = write(tmp_path / "a.lmarc")
    with lmarc.appender(tmp_path / "a.lmarc", preset="fast") as writer:
        writer.add_bytes("new.txt", text(1, 90_000))
        writer.add_bytes("new.jsonl", ROWS)
    grown = lmarc.open(tmp_path / "a.lmarc")
    assert len(line_index_slots(grown.index)) == 2
    assert counted(grown) == {**counted(archive), "new.jsonl": 3000}
    grown.verify()


def test_the_same_archive_has_the_same_line_index(tmp_path: Path) -> None:
    write(tmp_path / "a.lmarc", jobs=1)
    write(tmp_path / "b.lmarc", jobs=3)
    assert (tmp_path / "a.lmarc").read_bytes() == (tmp_path / "b.lmarc").read_bytes()


def test_a_sparse_member_is_not_counted(tmp_path: Path) -> None:
    with (tmp_path / "sparse.jsonl").open("wb") as sparse:
        sparse.write(b"1\n" * 5000)
        sparse.seek(1 << 20)
        sparse.write(b"2\n")
    lmarc.create(tmp_path / "a.lmarc", ["sparse.jsonl"], directory=tmp_path, preset="fast")
    archive = lmarc.open(tmp_path / "a.lmarc")
    assert archive.info("sparse.jsonl").flags == 1
    assert counted(archive) == {}
    with pytest.raises(ValueError, match="has holes, and so no records"):
        archive.records("sparse.jsonl")


@pytest.mark.parametrize(
    ("models", "match"),
    [
        ([([(0, 2)], [1, 1]), ([(0, 2)], [1, 1])], "two of them name the same piece"),
        ([([(0, 1)], [1])], "some pieces of a member and not all"),
        ([([(0, 2)], [1, 3])], "more lines than a piece has bytes"),
        ([([(0, 3)], [1, 1, 1])], "names piece 2, 2 stand before it"),
    ],
)
def test_a_wrong_line_index_is_refused(models: Any, match: str, tmp_path: Path) -> None:
    builder = Builder()
    pieces = [Piece(0, 0, 0, 2), Piece(0, 1, 2, 2)]
    builder.group([file(b"a", b"1\n2\n")], [Chunk(b"1\n"), Chunk(b"2\n")], pieces)
    for model in models:
        builder.model(pack_line_index(*model), LINE_INDEX)
    (tmp_path / "a.lmarc").write_bytes(builder.finish())
    archive = lmarc.open(tmp_path / "a.lmarc")
    assert archive.read("a") == b"1\n2\n"
    with pytest.raises(lmarc.CorruptError, match=match):
        archive.records("a")[0]


def test_a_piece_is_checked_against_its_count(tmp_path: Path) -> None:
    archive = write(tmp_path / "a.lmarc")
    rows = archive.index.piece_rows(archive.file_entry("odd.jsonl"))
    last = int(rows[-1])
    archive.line_table.check(last, memoryview(b"y" * 9), ends_member=True)
    with pytest.raises(lmarc.CorruptError, match=f"0 lines end in piece {last}, its line index"):
        archive.line_table.check(last, memoryview(b"y" * 9), ends_member=False)
    uncounted = int(archive.index.piece_rows(archive.file_entry("noise"))[0])
    archive.line_table.check(uncounted, memoryview(b"\n\n"), ends_member=False)
