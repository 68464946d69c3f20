from pathlib import Path

import pytest

import lmarc
from lmarc.archive.records import RecordWriter
from lmarc.archive.verify import Verified
from tests.archive.samples import MEMBERS, make, noise


def test_a_sound_archive_is_counted(tmp_path: Path) -> None:
    with lmarc.open(make(tmp_path / "a")) as archive:
        seen: list[tuple[int, int]] = []
        found = archive.verify(progress=lambda *sizes: seen.append(sizes))
        total = sum(map(len, MEMBERS.values()))
        assert found == Verified(len(MEMBERS), len(archive.chunks()), total, archive.size)
        assert seen == sorted(seen)
        assert seen[-1][1] == total


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"a": b"abc", "b": noise(1, 50)})
    data = path.read_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(lmarc.LmarcError):
            lmarc.open(path).verify()


def test_every_truncation_is_found(tmp_path: Path) -> None:
    path = make(tmp_path / "a", {"a": b"abc"})
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(lmarc.FormatError):
            lmarc.open(path)


@pytest.mark.parametrize("rows", ["_entry_rows", "_chunk_rows", "_piece_rows"])
def test_an_index_that_tells_another_story_is_found(
    rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = RecordWriter.finish

    def lie(self: RecordWriter) -> None:
        columns = getattr(self, rows)
        if rows == "_entry_rows":
            columns[0][1] = b"another name"
        elif rows == "_chunk_rows":
            columns[5][0] ^= 1  # the content class, which nothing depends on
        else:
            for column in columns[:1] + columns[2:]:  # two pieces of one chunk change places
                column[0], column[1] = column[1], column[0]
        finish(self)

    monkeypatch.setattr(RecordWriter, "finish", lie)
    members = {"a": b"x" * 10, "b": b"y" * 10, "c": noise(1, 5000)}
    with lmarc.open(make(tmp_path / "a", members)) as archive:
        assert len(archive) == 3
        with pytest.raises(lmarc.CorruptError, match="Index"):
            archive.verify()
