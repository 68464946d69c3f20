from collections.abc import Iterator

import fsspec
import pytest

import lmarc
from lmarc.archive.objects import walk_objects
from tests.archive.samples import MEMBERS, noise, text
from tests.conftest import Bucket


@pytest.fixture
def objects(bucket: Bucket) -> Bucket:
    """Return a bucket with the members of the samples below `data/`."""
    store = fsspec.filesystem("s3", **bucket.storage_options)
    names = {f"{bucket.url}/data/{name}": data for name, data in MEMBERS.items()}
    store.pipe({**names, f"{bucket.url}/other": b"other"})
    bucket.log.clear()
    return bucket


def test_objects_come_in_the_order_of_their_names(objects: Bucket) -> None:
    options = objects.storage_options
    found = list(walk_objects(f"{objects.url}/data", storage_options=options, warn=pytest.fail))
    assert [one.name for one in found] == sorted(b"data/" + name.encode() for name in MEMBERS)
    assert {one.size for one in found} == {len(data) for data in MEMBERS.values()}
    assert all(one.mtime > 10**18 for one in found)
    assert all(one.origin is not None and one.origin.version for one in found)
    assert objects.log.methods.count("GET") == len(objects.log.methods)


def test_patterns_leave_out_objects_and_what_is_below(objects: Bucket) -> None:
    options = objects.storage_options
    found = walk_objects(
        objects.url, storage_options=options, exclude=["*.txt", "a/"], warn=pytest.fail
    )
    expected = [n for n in MEMBERS if not n.endswith(".txt") and not n.startswith("a/")]
    assert [one.name for one in found] == sorted(
        [b"other", *(b"data/" + n.encode() for n in expected)]
    )


def test_an_archive_of_objects_is_that_of_the_same_files(objects: Bucket) -> None:
    url, options = f"{objects.url}/a.lmarc", objects.storage_options
    lmarc.create(
        url, [f"{objects.url}/data/"], storage_options=options, preset="fast", chunk_size=16_384
    )
    with lmarc.open(url, storage_options=options) as archive:
        assert {m.name: archive.read(m.name) for m in archive} == {
            f"data/{name}": data for name, data in MEMBERS.items()
        }
        archive.verify()


def test_an_object_that_is_replaced_meanwhile_ends_the_run(objects: Bucket) -> None:
    options = objects.storage_options
    store = fsspec.filesystem("s3", **options)

    def replace(name: bytes) -> None:
        if name == b"data/b/large noise":
            store.pipe(f"{objects.url}/data/a/text", noise(1, 30_000))

    with pytest.raises(lmarc.SourceError, match="ETag"):
        lmarc.create(
            f"{objects.url}/a.lmarc",
            [f"{objects.url}/data/"],
            storage_options=options,
            preset="fast",
            chunk_size=16_384,
            notify=replace,
        )
    assert not store.exists(f"{objects.url}/a.lmarc")


def test_where_nothing_is_nothing_is_made(bucket: Bucket) -> None:
    options = bucket.storage_options
    with pytest.raises(FileNotFoundError, match="no object"):
        lmarc.create(f"{bucket.url}/a", [f"{bucket.url}/none"], storage_options=options)
    with pytest.raises(lmarc.SourceError, match="s3://no-such-bucket"):
        list(walk_objects("s3://no-such-bucket/x", storage_options=options, warn=pytest.fail))


@pytest.fixture
def memory() -> Iterator[str]:
    store = fsspec.filesystem("memory")
    store.pipe({"/f/a": text(1, 1000), "/f/b/c": text(2, 500_000)})
    yield "memory://f"
    store.store.clear()


def test_any_file_system_can_be_archived(memory: str) -> None:
    written = lmarc.create("memory://a.lmarc", [memory], preset="fast")
    assert written.member_count == 2
    with lmarc.open("memory://a.lmarc") as archive:
        assert archive.read("f/b/c") == text(2, 500_000)
        archive.verify()
