"""Several archives are read as one, by everything that reads an archive."""

import io
import pickle
from pathlib import Path

import fsspec
import pytest

import lmarc
from lmarc.archive.setfile import Shard, pack_set
from tests.archive.samples import make as make_archive
from tests.archive.samples import text
from tests.archive.test_shards import PATTERN, contents, data, files, make
from tests.conftest import Bucket

__all__ = ["data"]


@pytest.fixture
def shards(data: Path, tmp_path: Path) -> list[Path]:
    return make(tmp_path, data)


@pytest.fixture
def archive(shards: list[Path]) -> lmarc.Archive:
    return lmarc.open(shards[0].parent / "a.lmarcset")


def test_a_set_has_the_members_of_all(archive: lmarc.Archive, data: Path) -> None:
    assert contents(archive) == files(data)
    assert [m.name for m in archive] == sorted(m.name for m in archive)
    assert len(archive) == archive.members.num_rows
    assert (
        archive.read("files/3 large", 100_000, 50) == files(data)["files/3 large"][100_000:100_050]
    )
    assert "files/none" not in archive
    with archive.open("files/5") as file:
        file.seek(99_000)
        assert file.read() == files(data)["files/5"][99_000:]


def test_a_set_is_extracted_copied_and_verified(
    archive: lmarc.Archive, data: Path, tmp_path: Path
) -> None:
    archive.extract(tmp_path / "out")
    for name, content in files(data).items():
        assert (tmp_path / "out" / name).read_bytes() == content
    assert (tmp_path / "out" / "files" / "link").is_symlink()
    archive.extract(tmp_path / "some", globs=["files/7 far too"])
    assert (tmp_path / "some" / "files" / "7 far too").read_bytes() == files(data)["files/0"]
    out = io.BytesIO()
    archive.copy(out, names=["files/7", "files/1", "files/3 large"])
    expected = [files(data)[f"files/{name}"] for name in ("7", "1", "3 large")]
    assert out.getvalue() == b"".join(expected)
    verified = archive.verify()
    assert verified.member_count == len(archive)
    assert verified.archive_size == archive.size


def test_a_set_describes_itself(archive: lmarc.Archive, shards: list[Path]) -> None:
    document = archive.describe()
    assert document["members"] == len(archive)
    assert document["archive_size"] == sum(path.stat().st_size for path in shards)
    assert document["chunks"] == len(archive.chunks())
    slots = [row["model"] for row in archive.describe_chunks(range(document["chunks"]))]
    known = {model["model"] for model in document["models"]}
    assert {slot for slot in slots if slot is not None} <= known


def test_models_are_those_of_their_shards(archive: lmarc.Archive) -> None:
    for slot, row in enumerate(archive.models().to_pylist()):
        assert archive.model(slot).sha256 == row["sha256"]


def test_records_are_found_in_a_set(archive: lmarc.Archive) -> None:
    records = archive.records("files/4 lines.jsonl")
    assert len(records) == 5000
    assert records[1234] == b'{"n": 1234}'
    assert records[-1] == b'{"n": 4999}'


def test_a_set_is_one_file_system(archive: lmarc.Archive, data: Path) -> None:
    files_ = fsspec.filesystem("lmarc", fo=archive.url)
    assert sorted(files_.ls("files", detail=False)) == sorted(
        m.name for m in archive if m.name != "files"
    )
    found = files_.cat([f"files/{number}" for number in range(8)])
    assert found == {f"files/{n}": files(data)[f"files/{n}"] for n in range(8)}


def test_a_pickled_set_asks_nothing_until_it_is_used(data: Path, bucket: Bucket) -> None:
    options = bucket.storage_options
    given = {"preset": "fast", "shard_size": 250_000, "storage_options": options}
    lmarc.create(f"{bucket.url}/{PATTERN}", ["files"], directory=data, **given)  # type: ignore[arg-type]
    bucket.log.clear()
    archive = lmarc.open(f"{bucket.url}/a.lmarcset", storage_options=options)
    assert len(bucket.log.methods) == 1 + 6  # the set file, and the end of each shard
    assert "HEAD" not in bucket.log.methods
    bucket.log.clear()
    assert archive.read("files/6") == files(data)["files/6"]
    assert len(bucket.log.methods) == 1
    bucket.log.clear()
    copy = pickle.loads(pickle.dumps(archive))
    assert bucket.log.methods == []
    assert copy.read("files/6") == files(data)["files/6"]


@pytest.mark.parametrize("change", ["append", "replace", "remove"])
def test_a_shard_that_is_not_what_the_set_says_is_refused(change: str, shards: list[Path]) -> None:
    if change == "append":
        with lmarc.appender(shards[2], preset="fast") as out:
            out.add_bytes("new", b"new")
    elif change == "replace":
        make_archive(shards[2], {"other": b"other"})
    else:
        shards[2].unlink()
    expected = FileNotFoundError if change == "remove" else lmarc.CorruptError
    with pytest.raises(expected, match=r"a-02\.lmarc"):
        lmarc.open(shards[0].parent / "a.lmarcset")


def test_names_are_lawful_together(tmp_path: Path) -> None:
    rows = []
    for name, members in (("1", {"a": b"1"}), ("2", {"a/b": b"2"})):
        path = make_archive(tmp_path / name, members)
        with lmarc.open(path) as archive:
            digest = archive.footer.index_sha256
        rows.append(Shard(name, path.stat().st_size, 1, digest))
    (tmp_path / "x.lmarcset").write_bytes(pack_set(rows))
    with pytest.raises(lmarc.CorruptError):
        lmarc.open(tmp_path / "x.lmarcset")
    (tmp_path / "x.lmarcset").write_bytes(pack_set(rows[1:]))
    assert lmarc.open(tmp_path / "x.lmarcset").read("a/b") == b"2"


def test_an_empty_file_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "x.lmarcset").touch()
    with pytest.raises(lmarc.NotAnArchiveError):
        lmarc.open(tmp_path / "x.lmarcset")


def test_a_set_is_one_dataset(archive: lmarc.Archive) -> None:
    from lmarc.interop.torch import ArchiveDataset, ArchiveStream

    dataset = ArchiveDataset(archive.url, "files/4 lines.jsonl")
    assert len(dataset) == 5000
    assert dataset[1234] == b'{"n": 1234}'
    stream = list(ArchiveStream(archive.url, "files/4 lines.jsonl", seed=1))
    assert sorted(stream) == sorted(b'{"n": %d}' % n for n in range(5000))


def test_a_set_decodes_chunks_as_far_as_they_are_needed(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    texts = {f"{number}": text(number, 30_000) for number in range(4)}
    for name, content in texts.items():
        (folder / name).write_bytes(content)
    lmarc.create(
        tmp_path / PATTERN, ["texts"], directory=tmp_path, shard_size=40_000, chunk_size=16_384
    )
    with lmarc.open(tmp_path / "a.lmarcset") as archive:
        reader = archive.chunk_reader
        (chunk,) = archive.index.pieces_of(archive.file_entry("texts/3"), 0, 10).chunk.tolist()
        assert archive.read("texts/3", 5, 10) == texts["3"][5:15]
        assert reader.cached(chunk) is None
        assert reader.cached(chunk, 15) == texts["3"][:15]
        assert archive.read("texts/3", 5, 20) == texts["3"][5:25]
        assert reader.cached(chunk) == texts["3"][:16_384]
        ends = dict.fromkeys(range(len(archive.chunks())), 10)
        found = list(archive.decode_chunks(ends, ends=ends))
        sizes = {len(content) for content in found if not isinstance(content, lmarc.LmarcError)}
        assert sizes == {10, 16_384}
