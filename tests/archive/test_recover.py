from pathlib import Path

import pytest
import xxhash

import lmarc
from lmarc.codec.base import NO_MODEL, CodecSettings, EncodedChunk
from lmarc.format.record import RecordType
from tests.archive.samples import MEMBERS, make, noise
from tests.archive.test_scan import records_of


def recovered(data: bytes | bytearray, folder: Path) -> tuple[dict[str, bytes], "lmarc.Recovered"]:
    (folder / "damaged").write_bytes(data)
    out = folder / "out"
    result = lmarc.recover(folder / "damaged", out)
    files = {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    return files, result


def test_a_whole_archive_is_recovered_whole(tmp_path: Path) -> None:
    files, result = recovered(make(tmp_path / "a").read_bytes(), tmp_path)
    assert files == MEMBERS
    assert result == (len(MEMBERS), [], 0, 0)


def test_without_index_and_footer_nothing_is_lost(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    with lmarc.open(path) as archive:
        end = archive.footer.index_offset
    files, result = recovered(path.read_bytes()[:end], tmp_path)
    assert files == MEMBERS
    assert result.lost == []


def test_without_header_and_entries_the_index_names_everything(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    data = bytearray(path.read_bytes())
    for offset, header in records_of(path):
        if header.record_type == RecordType.ENTRIES:
            data[offset + 100] ^= 1
    data[:32] = bytes(32)
    files, result = recovered(data, tmp_path)
    assert files == MEMBERS
    assert result.lost == []


def test_without_entries_and_index_chunks_have_no_names(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    data = bytearray(path.read_bytes())
    count = 0
    for offset, header in records_of(path):
        if header.record_type in (RecordType.ENTRIES, RecordType.INDEX):
            data[offset + 100] ^= 1
        count += header.record_type == RecordType.CHUNK
    files, result = recovered(data, tmp_path)
    assert files == {}
    assert result.nameless_chunks == count


@pytest.mark.parametrize("where", [0, 40, 200])
def test_a_damaged_chunk_costs_only_its_members(where: int, tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    with lmarc.open(path) as archive:
        entry = archive.info("b/large noise").number
        chunk = int(archive.index.pieces_of(entry, 0, 1).chunk[0])
        offset = archive.chunks()["offset"][chunk].as_py()
        pieces = archive.piece_arrays()
        lost = {archive.member(int(n)).name for n in pieces.entry[pieces.chunk == chunk]}
    data = bytearray(path.read_bytes())
    data[offset + where] ^= 1
    files, result = recovered(data, tmp_path)
    assert files == {name: content for name, content in MEMBERS.items() if name not in lost}
    assert {name.decode() for name in result.lost} == lost


def test_every_truncation_gives_whole_members_only(tmp_path: Path) -> None:
    members = {"a": b"abc", "b/c": noise(1, 5000), "d": noise(2, 9000)}
    data = make(tmp_path / "a", members, chunk_size=4096).read_bytes()
    seen = set()
    for size in range(0, len(data), 211):
        folder = tmp_path / str(size)
        folder.mkdir()
        try:
            files, result = recovered(data[:size], folder)
        except lmarc.NotAnArchiveError:
            assert size < 1500
            continue
        assert files.items() <= members.items()
        assert len(files) + len(result.lost) in (0, 3)
        seen.add(len(files))
    assert {0, 3} < seen


def test_a_cut_in_the_middle_and_a_prefix_are_survived(tmp_path: Path) -> None:
    data = make(tmp_path / "a").read_bytes()
    place = len(data) // 2
    files, _ = recovered(b"rubbish" * 99 + data[:place] + data[place + 500 :], tmp_path)
    assert 0 < len(files) < len(MEMBERS)
    assert files.items() <= MEMBERS.items()


def test_an_archive_inside_is_not_taken_for_the_outer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = make(tmp_path / "inner", {"stranger": b"stranger"}).read_bytes()

    def store(content: bytes, content_class: int, settings: CodecSettings) -> EncodedChunk:
        checksum = xxhash.xxh3_64_intdigest(content)
        return EncodedChunk(0, NO_MODEL, content_class, len(content), checksum, content)

    monkeypatch.setattr("lmarc.archive.pipeline.encode_chunk", store)
    path = make(tmp_path / "a", {"x": noise(1, 3000), "inner.lmarc": inner, "y": b"y"})
    data = bytearray(path.read_bytes())
    assert inner in data
    for offset, header in records_of(path):
        if header.record_type == RecordType.CHUNK and header.payload_size > len(inner):
            data[offset] ^= 1
    files, result = recovered(data, tmp_path)
    assert "stranger" not in files
    assert b"inner.lmarc" in result.lost


def test_hard_links_go_with_their_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with lmarc.Writer(path, chunk_size=4096, preset="fast") as out:
        out.add_bytes("f", noise(1, 3000))
        out.add_link("h", "f", hard=True)
        out.add_link("s", "f")
    data = bytearray(path.read_bytes())
    for offset, header in records_of(path):
        if header.record_type == RecordType.CHUNK:
            data[offset + 100] ^= 1
    _, result = recovered(data, tmp_path)
    assert (result.intact, result.lost) == (1, [b"f", b"h"])


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    for data in (b"", b"text" * 1000):
        with pytest.raises(lmarc.NotAnArchiveError):
            recovered(data, tmp_path)
