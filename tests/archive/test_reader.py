import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmarc
from lmarc.archive import fetch, reader
from lmarc.archive.source import LocalSource
from tests.archive.samples import MEMBERS, make, noise


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("archive") / "a.lmarc")


@given(
    st.sampled_from(sorted(MEMBERS)),
    st.integers(0, 160_000),
    st.integers(-1, 160_000),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_range_of_any_member(path: Path, name: str, position: int, size: int) -> None:
    data = MEMBERS[name]
    expected = data[position:] if size < 0 else data[position : position + size]
    assert lmarc.open(path).read(name, position, size) == expected


def test_only_the_chunks_of_a_range_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = lmarc.open(path)
    name = "b/large noise"
    entry = archive.info(name).number
    asked: list[tuple[int, int]] = []
    real = LocalSource.read_ranges

    def read_ranges(self: LocalSource, ranges: list[tuple[int, int]]) -> list[memoryview]:
        asked.extend(ranges)
        return real(self, ranges)

    monkeypatch.setattr(LocalSource, "read_ranges", read_ranges)
    archive.read(name, 20_000, 10)
    (chunk,) = archive.index.pieces_of(entry, 20_000, 20_010).chunk
    row = archive.chunks().slice(int(chunk), 1).to_pylist()[0]
    assert asked == [(row["offset"], row["offset"] + row["stored_size"])]
    archive.read(name, 20_005, 100)
    assert len(asked) == 1  # the chunk is in the cache


def test_names_are_text_or_bytes(path: Path) -> None:
    archive = lmarc.open(path)
    assert "a/one" in archive
    assert b"a/one" in archive
    assert "a" not in archive
    assert 5 not in archive
    assert archive.info(b"a/one") == archive.info("a/one")
    assert len(archive) == len(MEMBERS)


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    with lmarc.Writer(tmp_path / "a", preset="fast") as out:
        out.add_directory("d")
        out.add_link("l", "target")
    archive = lmarc.open(tmp_path / "a")
    with pytest.raises(lmarc.MemberNotFoundError, match="no member 'x'"):
        archive.read("x")
    with pytest.raises(IsADirectoryError):
        archive.read("d")
    with pytest.raises(ValueError, match="symbolic link to 'target'"):
        archive.open("l")
    with pytest.raises(ValueError, match="position is -1"):
        archive.read("d", -1)
    with pytest.raises(ValueError, match="mode is 'w'"):
        lmarc.open(tmp_path / "a", "w")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        lmarc.open(tmp_path / "none")


def test_threads_share_an_archive(path: Path) -> None:
    archive = lmarc.open(path, cache_size=50_000)
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        barrier.wait()
        for name in sorted(MEMBERS)[number:] + sorted(MEMBERS)[:number]:
            assert archive.read(name) == MEMBERS[name]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def read_in_worker(archive: lmarc.Archive, name: str) -> bytes:
    return archive.read(name)


def test_a_pickled_archive_works_in_another_process(path: Path) -> None:
    archive = lmarc.open(path)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(read_in_worker, archive, "a/text").result() == MEMBERS["a/text"]


def test_a_pickle_reads_nothing_before_it_is_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pickle.dumps(lmarc.open(path))
    monkeypatch.setattr(reader, "_PICKLED_INDEX", 0)
    small = pickle.dumps(lmarc.open(path))
    assert len(small) < len(data)
    with monkeypatch.context() as patch:
        patch.setattr(LocalSource, "_open", None)
        copies = [pickle.loads(data), pickle.loads(small)]
    for copy in copies:
        assert copy.read("a/text") == MEMBERS["a/text"]


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_chunks_are_decoded_in_order(
    path: Path, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_BATCH", 30_000)
    archive = lmarc.open(path)
    sizes = archive.chunks()["content_size"].to_pylist()
    contents = list(archive.decode_chunks(range(len(sizes)), jobs=jobs))
    assert [len(content) for content in contents if not isinstance(content, Exception)] == sizes
    some = list(archive.decode_chunks([5, 2, 7], jobs=jobs))
    assert [bytes(c) for c in some] == [bytes(contents[n]) for n in (5, 2, 7)]  # type: ignore[arg-type]


def test_a_damaged_chunk_costs_only_itself(path: Path, tmp_path: Path) -> None:
    archive = lmarc.open(path)
    entry = archive.info("b/large noise").number
    chunk = int(archive.index.pieces_of(entry, 0, 1).chunk[0])
    data = bytearray(path.read_bytes())
    data[archive.chunks()["offset"][chunk].as_py() + 100] ^= 1
    (tmp_path / "a").write_bytes(data)
    archive = lmarc.open(tmp_path / "a")
    with pytest.raises(lmarc.CorruptError, match="Payload_Checksum"):
        archive.read("b/large noise", 0, 10)
    assert archive.read("b/large noise", 50_000, 10) == MEMBERS["b/large noise"][50_000:50_010]
    contents = list(archive.decode_chunks(range(len(archive.chunks()))))
    broken = [n for n, content in enumerate(contents) if isinstance(content, lmarc.LmarcError)]
    assert broken == [chunk]
    with pytest.raises(lmarc.CorruptError):
        archive.verify()


def test_pieces_tile_the_chunks(path: Path) -> None:
    archive = lmarc.open(path)
    pieces = archive.piece_arrays()
    sizes = np.bincount(pieces.chunk, weights=pieces.size).astype(int).tolist()
    assert sizes == archive.chunks()["content_size"].to_pylist()
    assert archive.chunk_sizes().sum() < archive.size


def test_the_cache_is_bounded(path: Path) -> None:
    archive = lmarc.open(path, cache_size=0)
    for name, data in MEMBERS.items():
        assert archive.read(name) == data
    assert archive._cache._size == 0


def test_a_closed_archive_opens_again(path: Path) -> None:
    with lmarc.open(path) as archive:
        archive.read("a/one")
    assert archive.read("a/one") == b"x"


def test_large_members_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_ROWS", 4)
    data = noise(9, 300_000)
    archive = lmarc.open(make(tmp_path / "a", {"m": data}, chunk_size=4096))
    assert archive.read("m") == data


def test_members_come_by_their_numbers(tmp_path: Path) -> None:
    archive = lmarc.open(make(tmp_path / "a.lmarc"))
    everything = list(archive)
    numbers = [7, 0, 7, len(archive) - 1]
    assert list(archive.members_at(numbers)) == [everything[number] for number in numbers]
    assert list(archive.members_at([])) == []
    assert archive.member(3) == everything[3]
