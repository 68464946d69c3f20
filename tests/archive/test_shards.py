"""A set of archives is made, and each of them is whole by itself."""

import json
import os
from pathlib import Path

import fsspec
import pytest

import lmarc
from lmarc.archive.setfile import parse_set
from tests.archive.samples import noise, text
from tests.conftest import Bucket

PATTERN = "a-{shard:02d}.lmarc"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of ten files, with links among them."""
    top = tmp_path_factory.mktemp("data") / "files"
    top.mkdir()
    for number in range(8):
        (top / f"{number}").write_bytes(noise(number, 100_000))
    (top / "3 large").write_bytes(text(1, 500_000))
    (top / "4 lines.jsonl").write_bytes(b"".join(b'{"n": %d}\n' % n for n in range(5000)))
    os.link(top / "0", top / "0 same")  # in the shard of its target
    os.link(top / "0", top / "7 far")  # in another
    os.link(top / "0", top / "7 far too")
    (top / "link").symlink_to("0")
    return top.parent


def contents(archive: lmarc.Archive) -> dict[str, bytes]:
    return {m.name: archive.read(m.name) for m in archive if m.is_file() or m.is_hardlink()}


def files(data: Path) -> dict[str, bytes]:
    found = {}
    for path in (data / "files").iterdir():
        if not path.is_symlink():
            found[f"files/{path.name}"] = path.read_bytes()
    return found


def make(folder: Path, data: Path, size: int = 250_000) -> list[Path]:
    lmarc.create(folder / PATTERN, ["files"], directory=data, preset="fast", shard_size=size)
    return sorted(folder.glob("a-*.lmarc"))


def test_shards_are_whole_archives_by_themselves(data: Path, tmp_path: Path) -> None:
    shards = make(tmp_path, data)
    assert len(shards) == 6
    assert [path.name for path in shards] == [f"a-{number:02}.lmarc" for number in range(6)]
    found: dict[str, bytes] = {}
    for path in shards:
        with lmarc.open(path) as archive:
            archive.verify()
            one = contents(archive)
            assert not one.keys() & found.keys()
            found |= one
            sizes = sum(member.size for member in archive if member.is_file())
            assert sizes <= 250_000 or len([m for m in archive if m.is_file()]) == 1
            archive.extract(tmp_path / "out" / path.stem)
    assert found == files(data)


def test_the_set_file_says_what_there_is(data: Path, tmp_path: Path) -> None:
    shards = make(tmp_path, data)
    rows = parse_set((tmp_path / "a.lmarcset").read_bytes())
    assert [row.name for row in rows] == [path.name for path in shards]
    assert [row.size for row in rows] == [path.stat().st_size for path in shards]
    for row, path in zip(rows, shards, strict=True):
        with lmarc.open(path) as archive:
            assert row.member_count == len(archive)
            assert row.index_sha256 == archive.footer.index_sha256


def test_links_stay_links_in_one_shard_and_become_files_in_another(
    data: Path, tmp_path: Path
) -> None:
    shards = make(tmp_path, data)
    with lmarc.open(shards[0]) as archive:
        assert archive.info("files/0 same").is_hardlink()
    with lmarc.open(shards[-1]) as archive:
        assert archive.info("files/7 far").is_file()
        link = archive.info("files/7 far too")
        assert (link.is_hardlink(), link.link_target) == (True, b"files/7 far")


def test_one_shard_is_enough_where_all_fits(data: Path, tmp_path: Path) -> None:
    shards = make(tmp_path, data, 1 << 30)
    assert len(shards) == 1
    lmarc.create(tmp_path / "one.lmarc", ["files"], directory=data, preset="fast")
    assert shards[0].read_bytes() == (tmp_path / "one.lmarc").read_bytes()


def test_nothing_makes_one_empty_shard(tmp_path: Path) -> None:
    written = lmarc.create(tmp_path / PATTERN, [], preset="fast", shard_size=1000)
    assert written.member_count == 0
    assert len(lmarc.open(tmp_path / "a.lmarcset")) == 0


def test_shards_and_set_are_not_archived(data: Path, tmp_path: Path) -> None:
    make(tmp_path, data)
    (tmp_path / "more").write_bytes(b"more")
    lmarc.create(tmp_path / PATTERN, ["."], directory=tmp_path, preset="fast", shard_size=1 << 30)
    names = [member.name for member in lmarc.open(tmp_path / "a.lmarcset")]
    assert "more" in names
    assert not {"a.lmarcset", "a-00.lmarc"} & set(names)


def test_progress_and_counts_are_those_of_all(data: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    written = lmarc.create(
        tmp_path / PATTERN,
        ["files"],
        directory=data,
        preset="fast",
        shard_size=250_000,
        progress=lambda read, became: seen.append((read, became)),
    )
    with lmarc.open(tmp_path / "a.lmarcset") as archive:
        assert written.member_count == len(archive)
        assert written.archive_size == archive.size
    assert [read for read, _ in seen] == sorted(read for read, _ in seen)
    assert seen[-1] == (written.content_size, written.archive_size)


def test_a_refused_shard_leaves_no_set_file(data: Path, bucket: Bucket) -> None:
    options = bucket.storage_options
    bucket.log.fail_at = 5
    try:
        with pytest.raises(lmarc.SourceError):
            lmarc.create(
                f"{bucket.url}/{PATTERN}",
                ["files"],
                directory=data,
                preset="fast",
                shard_size=250_000,
                storage_options=options,
            )
    finally:
        bucket.log.fail_at = -1
    store = fsspec.filesystem("s3", **options)
    store.invalidate_cache()
    assert not store.exists(f"{bucket.url}/a.lmarcset")
    for key in store.find(bucket.url):
        lmarc.open(f"s3://{key}", storage_options=options).verify()


def test_arguments_that_make_no_sense_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected one \{shard"):
        lmarc.create(tmp_path / "a.lmarc", ["files"], directory=data, shard_size=1000)
    with pytest.raises(ValueError, match="expected 1 byte or more"):
        lmarc.create(tmp_path / PATTERN, ["files"], directory=data, shard_size=0)
    with pytest.raises(ValueError, match="resume is for one archive"):
        lmarc.create(tmp_path / PATTERN, ["files"], directory=data, shard_size=1000, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_the_document_is_readable(data: Path, tmp_path: Path) -> None:
    make(tmp_path, data)
    document = json.loads((tmp_path / "a.lmarcset").read_text())
    assert document["format"] == "lmarc-set"
