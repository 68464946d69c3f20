"""Records are the lines of a member, whatever chunks they lie in, and cost those chunks."""

import json
import pickle
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

import lmarc
from lmarc.archive.member_records import MemberRecords
from tests.archive.samples import noise
from tests.conftest import Bucket
from tools.craft import LINE_INDEX, Builder, Chunk, Piece, file, pack_line_index


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lmarc" / "lines"


def lines(seed: int, count: int, longest: int) -> list[bytes]:
    rng = random.Random(seed)
    return [rng.randbytes(rng.randrange(longest)).hex().encode() for _ in range(count)]


CASES = {
    f"{longest}-{len(newline)}-{len(end)}": (rows, newline.join(rows) + end)
    for longest, rows in ((n, lines(n, max(40, 20_000 // n), n)) for n in (1, 4, 200, 9000))
    for newline in (b"\n", b"\r\n")
    for end in (b"", newline)
}


def expected(data: bytes) -> list[bytes]:
    """Return the records as the documentation says."""
    parts = data.split(b"\n")
    return [part.removesuffix(b"\r") for part in (parts if parts[-1] else parts[:-1])]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> lmarc.Archive:
    path = tmp_path_factory.mktemp("records") / "a.lmarc"
    with lmarc.Writer(path, preset="fast", chunk_size=4096) as writer:
        for name, (_, data) in CASES.items():
            writer.add_bytes(f"{name}.jsonl", data)
            writer.add_bytes(f"{name}.csv", data)  # its lines are counted when they are needed
        writer.add_link("hard", "200-2-2.jsonl", hard=True)
        writer.add_link("soft", "200-2-2.jsonl")
        writer.add_bytes("empty", b"")
    return lmarc.open(path)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
@pytest.mark.parametrize("name", CASES)
def test_records_are_the_lines(archive: lmarc.Archive, name: str, suffix: str) -> None:
    data = CASES[name][1]
    want = expected(data)
    records = archive.records(f"{name}.{suffix}")
    assert list(records) == want
    assert len(records) == want.__len__()
    assert records[:] == want
    assert records[5:-3:7] == want[5:-3:7]
    rng = random.Random(1)
    numbers = [rng.randrange(-len(want), len(want)) for _ in range(200)]
    assert records.read(numbers) == [want[number] for number in numbers]
    assert [records[number] for number in numbers[:20]] == [want[n] for n in numbers[:20]]


def test_a_number_beyond_the_last_is_no_record(archive: lmarc.Archive) -> None:
    records = archive.records("200-1-1.jsonl")
    for number in (len(records), -len(records) - 1):
        with pytest.raises(IndexError, match=r"record .* of '200-1-1\.jsonl', which has 100"):
            records[number]
    assert len(archive.records("empty")) == 0
    assert list(archive.records("empty")) == []
    with pytest.raises(IndexError):
        archive.records("empty")[0]


def test_names_are_those_of_files(archive: lmarc.Archive) -> None:
    assert archive.records("hard")[3] == archive.records(b"200-2-2.jsonl")[3]
    with pytest.raises(ValueError, match="symbolic link"):
        archive.records("soft")
    with pytest.raises(lmarc.MemberNotFoundError):
        archive.records("nothing")
    assert repr(archive.records("hard")).startswith("<lmarc.MemberRecords '200-2-2.jsonl' of '/")


def test_counts_are_kept_in_the_users_cache(
    archive: lmarc.Archive, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert archive.records("200-1-1.csv")[4] == CASES["200-1-1"][0][4]
    assert len(list(cache.iterdir())) == 1

    def count(self: MemberRecords) -> Any:
        raise AssertionError("counted again")

    monkeypatch.setattr(MemberRecords, "_count", count)
    assert archive.records("200-1-1.csv")[5] == CASES["200-1-1"][0][5]
    with pytest.raises(AssertionError, match="counted again"):
        archive.records("200-2-2.csv")[5]
    assert archive.records("200-2-2.jsonl")[5] == CASES["200-2-2"][0][5]


@pytest.mark.parametrize("counts", [[1, 3], [3, 1], [2, 1]])
def test_a_line_index_that_is_wrong_is_noticed(tmp_path: Path, counts: list[int]) -> None:
    builder = Builder()
    pieces = [Piece(0, 0, 0, 4), Piece(0, 1, 4, 4)]
    builder.group([file(b"a", b"1\n2\n3\n4\n")], [Chunk(b"1\n2\n"), Chunk(b"3\n4\n")], pieces)
    builder.model(pack_line_index([(0, 2)], counts), LINE_INDEX)
    (tmp_path / "a.lmarc").write_bytes(builder.finish())
    records = lmarc.open(tmp_path / "a.lmarc").records("a")
    with pytest.raises(lmarc.CorruptError, match=r"lines end in piece . of 'a'.*index says"):
        records[2:3]


def test_a_damaged_chunk_costs_its_records_only(archive: lmarc.Archive, tmp_path: Path) -> None:
    member = archive.file_entry("200-1-1.jsonl")
    chunk = archive.index.pieces_of(member, 0, 10**6).chunk[-1]
    data = bytearray(Path(archive.url).read_bytes())
    data[int(archive.index.chunk_offsets[chunk]) + 99] ^= 1
    (tmp_path / "b.lmarc").write_bytes(data)
    records = lmarc.open(tmp_path / "b.lmarc").records("200-1-1.jsonl")
    assert records[0] == CASES["200-1-1"][0][0]
    with pytest.raises(lmarc.CorruptError):
        records[-1]
    with pytest.raises(lmarc.CorruptError):
        list(records)


def test_json_lines_become_a_table(tmp_path: Path) -> None:
    rows = [{"id": number, "text": f"row {number}"} for number in range(2000)]
    with lmarc.Writer(tmp_path / "a.lmarc", preset="fast", chunk_size=4096) as writer:
        writer.add_bytes("rows.jsonl", b"".join(json.dumps(r).encode() + b"\n" for r in rows))
        writer.add_bytes("no.jsonl", b"[1, 2\n")
    archive = lmarc.open(tmp_path / "a.lmarc")
    assert archive.to_table("rows.jsonl").to_pylist() == rows
    assert archive.to_table("rows.jsonl", 500, 510).to_pylist() == rows[500:510]
    assert archive.to_table("rows.jsonl", -3).to_pylist() == rows[-3:]
    with pytest.raises(pyarrow.ArrowInvalid):
        archive.to_table("no.jsonl")


def test_a_record_on_s3_costs_its_chunks(bucket: Bucket) -> None:
    rows = [noise(number, 300).hex().encode() for number in range(20_000)]
    url = f"{bucket.url}/a.lmarc"
    with lmarc.Writer(url, storage_options=bucket.storage_options, preset="fast") as writer:
        writer.add_bytes("train.jsonl", b"\n".join(rows))
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    bucket.log.clear()
    records = archive.records("train.jsonl")
    assert bucket.log.methods == []
    assert len(records) == 20_000
    assert bucket.log.methods == ["GET"]  # the line index
    assert bucket.log.received < 500
    bucket.log.clear()
    assert records[12_345] == rows[12_345]
    assert len(bucket.log.methods) <= 2  # the chunk, and a dictionary once
    bucket.log.clear()
    copy = pickle.loads(pickle.dumps(records))
    assert len(copy) == 20_000
    assert bucket.log.methods == []
    assert copy[12_345] == rows[12_345]
    assert len(bucket.log.methods) <= 2
    bucket.log.clear()
    assert copy[12_346] == rows[12_346]
    assert bucket.log.methods == []


def test_parquet_is_read_by_columns(bucket: Bucket, tmp_path: Path) -> None:
    wide = {name: [noise(n * 5000 + ord(name), 400) for n in range(4000)] for name in "abcd"}
    table = pyarrow.table({**wide, "id": list(range(4000))})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet", row_group_size=1000)
    url = f"{bucket.url}/a.lmarc"
    with lmarc.Writer(url, storage_options=bucket.storage_options, preset="fast") as writer:
        writer.add_path(tmp_path / "t.parquet", "t.parquet")
    archive = lmarc.open(url, storage_options=bucket.storage_options)
    bucket.log.clear()
    with archive.open("t.parquet") as file:
        parquet = pyarrow.parquet.ParquetFile(file)
        found = parquet.read_row_group(2, columns=["b"])
    assert found["b"].to_pylist() == wide["b"][2000:3000]
    # A chunk for the metadata at the end, and those of 400 kB of one column: 1 MiB each.
    assert len(bucket.log.methods) <= 3
    assert bucket.log.received < 3.2e6 < archive.size / 2
