import io
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import lmarc
from lmarc.archive import fetch
from lmarc.codec.base import CodecNumber, CodecSettings
from lmarc.codec.choose import encode_chunk
from tests.archive.samples import CHUNK_SIZE, make, noise, text


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> lmarc.Archive:
    """Return an archive with a dictionary."""
    record = b'{"user": "%s", "status": "pending", "currency": "EUR", "note": "%s"}\n'
    members = {
        str(n): b"".join(record % (noise(n * k, 4).hex().encode(), text(k, 30)) for k in range(40))
        for n in range(300)
    }
    path = make(tmp_path_factory.mktemp("archive") / "a", members, chunk_size=4096)
    return lmarc.open(path)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_any_executor_decodes_in_order(
    kind: str, archive: lmarc.Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_BATCH", 20_000)
    count = len(archive.chunks())
    assert len(archive.models()) == 1
    expected = archive.chunk_reader.contents(range(count))
    pools: dict[str, Executor] = {
        "threads": ThreadPoolExecutor(2),
        "processes": ProcessPoolExecutor(1, mp_context=get_context("spawn")),
    }
    with pools[kind] as executor:
        found = archive.decode_chunks(range(count), executor=executor)
        for number, content in enumerate(found):
            assert not isinstance(content, lmarc.LmarcError)
            assert bytes(content) == expected[number]


def test_batches_hold_a_bounded_content(
    archive: lmarc.Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_BATCH", 10_000)
    sizes = archive.index.chunk_content_sizes
    batches = list(archive.chunk_reader.batches(range(len(sizes))))
    assert [chunk for batch in batches for chunk in batch] == list(range(len(sizes)))
    assert all(len(batch) == 1 or sizes[batch].sum() <= 10_000 for batch in batches)
    assert max(map(len, batches)) > 1


def test_batches_of_a_slow_codec_are_small(
    archive: lmarc.Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = archive.index.chunk_content_sizes
    (codec,) = set(archive.chunks().column("codec").to_pylist()) - {0, 1}
    assert len(list(archive.chunk_reader.batches(range(len(sizes))))) == 1
    monkeypatch.setattr(fetch, "_SLOW", frozenset({codec}))
    monkeypatch.setattr(fetch, "_SLOW_BATCH", 10_000)
    monkeypatch.setattr(fetch, "TOGETHER", 1)
    batches = list(archive.chunk_reader.batches(range(len(sizes))))
    assert [chunk for batch in batches for chunk in batch] == list(range(len(sizes)))
    assert all(len(batch) == 1 or sizes[batch].sum() <= 10_500 for batch in batches)


def test_chunks_of_a_slow_codec_are_decoded_by_fours_however_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.lmarc"
    with lmarc.Writer(path, preset="fast", chunk_size=400_000) as writer:
        writer.add_bytes("noise", np.random.default_rng(1).bytes(400_000 * 10))
    with lmarc.open(path) as archive:
        reader = archive.chunk_reader
        (codec,) = set(archive.chunks().column("codec").to_pylist())
        monkeypatch.setattr(fetch, "_SLOW", frozenset({codec}))
        assert len(archive.chunks()) == 10

        def counts(workers: int) -> list[int]:
            return [len(batch) for batch in reader.batches(range(10), workers)]

        assert counts(1) == [4, 4, 2]
        # Where there are threads for all, none gets fours while another has nothing to do.
        assert counts(4) == [3, 3, 3, 1]
        assert counts(16) == [1] * 10


def test_a_member_costs_its_chunk_and_once_its_model(
    archive: lmarc.Archive, tmp_path: Path
) -> None:
    fresh = lmarc.open(archive.url)
    entry = fresh.info("7").number
    chunks = fresh.index.pieces_of(entry, 0, 1).chunk.tolist()
    rows = fresh.chunk_reader.rows(chunks)
    assert {row.model_slot for row in rows} <= {0, 0xFFFF}
    assert encode_chunk(fresh.read("7"), 1, CodecSettings()).content_size == len(fresh.read("7"))


PROSE = text(11, 60_000)


@pytest.fixture(scope="module")
def prose(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an archive of text, coded byte after byte, in four chunks."""
    path = tmp_path_factory.mktemp("prose") / "a"
    make(path, {"prose": PROSE}, preset="balanced")
    with lmarc.open(path) as archive:
        assert archive.chunks().column("codec").to_pylist() == [CodecNumber.NGRAM] * 4
    return str(path)


def test_a_chunk_is_decoded_as_far_as_it_is_needed_and_whole_when_asked_again(prose: str) -> None:
    with lmarc.open(prose) as archive:
        reader = archive.chunk_reader
        assert archive.read("prose", 100, 1000) == PROSE[100:1100]
        assert reader.cached(0) is None
        assert reader.cached(0, 1100) == PROSE[:1100]
        assert archive.read("prose", 0, 50) == PROSE[:50]
        assert reader.cached(0) is None
        assert archive.read("prose", 1100, 1) == PROSE[1100:1101]
        assert reader.cached(0) == PROSE[:CHUNK_SIZE]


def test_a_chunk_of_which_most_is_needed_is_decoded_whole(prose: str) -> None:
    with lmarc.open(prose) as archive:
        assert archive.read("prose", 0, 12_300) == PROSE[:12_300]
        assert archive.chunk_reader.cached(0) == PROSE[:CHUNK_SIZE]
    with lmarc.open(prose) as archive:
        assert archive.read("prose", 15_000, 20_000) == PROSE[15_000:35_000]
        cached = [archive.chunk_reader.cached(chunk) is not None for chunk in range(4)]
        assert cached == [True, True, False, False]


def test_what_is_stored_is_checked_before_a_beginning_is_decoded(
    prose: str, tmp_path: Path
) -> None:
    with lmarc.open(prose) as archive:
        row = archive.chunk_reader.rows([1])[0]
    damaged = bytearray(Path(prose).read_bytes())
    damaged[row.offset + row.stored_size - 1] ^= 1
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    with lmarc.open(path) as archive, pytest.raises(lmarc.CorruptError):
        archive.read("prose", CHUNK_SIZE, 10)


def test_ranges_that_are_decoded_in_parallel_end_where_they_are_needed(prose: str) -> None:
    with lmarc.open(prose) as archive:
        ends = {0: 16_000, 1: 10, 3: 5000}
        decoded = list(archive.decode_chunks(range(4), ends=ends))
        found = [bytes(content) for content in decoded if not isinstance(content, lmarc.LmarcError)]
        wanted = [CHUNK_SIZE, 10, CHUNK_SIZE, 5000]
        assert list(map(len, found)) == wanted
        for number, content in enumerate(found):
            assert content == PROSE[number * CHUNK_SIZE :][: len(content)]
        out = io.BytesIO()
        archive.copy(out, names=["prose", "prose"], start=20_000, end=20_010)
        assert out.getvalue() == PROSE[20_000:20_010] * 2
