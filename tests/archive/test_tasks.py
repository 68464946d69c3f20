import hashlib
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lmarc.archive.lines import tally
from lmarc.archive.spans import Span
from lmarc.archive.tasks import Batches, content_of, encode_batch
from lmarc.codec.base import CodecSettings, ContentClass
from lmarc.codec.choose import encode_chunk
from lmarc.routing.group import PackedChunk
from tests.archive.samples import noise, text
from tests.archive.test_spans import origin

SETTINGS = CodecSettings()


@pytest.fixture
def spans(tmp_path: Path) -> list[Span]:
    """Return the whole of two files, and part of a third."""
    found = []
    for number in range(3):
        path = tmp_path / str(number)
        path.write_bytes(text(number, 5000))
        found.append(Span(origin(path), 0, 5000, number, number < 2))
    return [*found[:2], found[2][100:200]]


def packed(spans: list[Span | bytes], content_class: int = ContentClass.BINARY) -> PackedChunk:
    sizes = [len(span) for span in spans]
    return PackedChunk(0, content_class, b"", [0] * len(sizes), sizes, sizes, tuple(spans))


def test_a_batch_is_encoded_as_its_content_is(spans: list[Span]) -> None:
    works = [
        (ContentClass.BINARY, (spans[0], b"here", spans[2]), [5000, 4, 100]),
        (ContentClass.TEXT, (spans[1],), ()),
    ]
    coded = encode_batch(works, SETTINGS)
    contents = [text(0, 5000) + b"here" + text(2, 5000)[100:200], text(1, 5000)]
    assert coded.chunks == [
        encode_chunk(contents[0], ContentClass.BINARY, SETTINGS),
        encode_chunk(contents[1], ContentClass.TEXT, SETTINGS),
    ]
    assert coded.tallies == [tally(contents[0], [5000, 4, 100]), []]
    assert coded.digests == {n: hashlib.sha256(text(n, 5000)).digest() for n in (0, 1)}


def test_content_is_read_where_it_is_wanted(spans: list[Span]) -> None:
    assert content_of(packed([spans[1], b"x"])) == text(1, 5000) + b"x"
    assert content_of(PackedChunk(0, 0, b"here", [0], [0], [4])) == b"here"


def test_batches_go_off_full_or_when_told(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(noise(1, 5 << 20))
    span = Span(origin(tmp_path / "large"), 0, 5 << 20, 0, False)
    sent: list[int] = []

    class Counting(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            sent.append(len(args[0]))
            return super().submit(fn, *args, **kwargs)

    with Counting(1) as executor:
        batches = Batches(executor)
        slots = [
            batches.add(packed([span[at : at + (2 << 20)]]), SETTINGS, text=False)
            for at in range(0, 5 << 20, 2 << 20)
        ]
        assert sent == [2]
        with pytest.raises(ValueError, match="not flushed"):
            slots[2].result({})
        batches.flush()
        batches.flush()
        assert sent == [2, 1]
        sizes = [slot.result({}).content_size for slot in slots]
    assert sizes == [2 << 20, 2 << 20, 1 << 20]


def test_an_error_comes_out_of_each_of_its_chunks(spans: list[Span], tmp_path: Path) -> None:
    (tmp_path / "1").unlink()
    executor: Executor
    with ThreadPoolExecutor(1) as executor:
        batches = Batches(executor)
        slots = [batches.add(packed([span]), SETTINGS, text=True) for span in spans]
        batches.flush()
        for slot in slots:
            with pytest.raises(OSError, match="1"):
                slot.result({})
            slot.cancel()
