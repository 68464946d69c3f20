import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lmarc.archive.lines import LineCounter
from lmarc.archive.pipeline import Pipeline
from lmarc.archive.records import Model, RecordWriter
from lmarc.archive.sink import FileSink
from lmarc.archive.stream import BeginEntry, Data, read_stream
from lmarc.codec.base import CodecSettings
from lmarc.format.model import ModelHeader
from lmarc.routing.group import Grouper
from tests.archive.samples import noise, text


def row(name: bytes) -> tuple[Any, ...]:
    return (name, 1, 0o644, 0, -1, -1, b"", b"", b"", ())


def run(
    members: list[tuple[int, bytes]],
    model: Model | None = None,
    settings: CodecSettings | None = None,
) -> bytes:
    """Write members of (class, content); return the archive."""
    out = io.BytesIO()
    seen: list[tuple[int, int]] = []
    with ThreadPoolExecutor(2) as executor:
        records = RecordWriter(FileSink(out))
        lines = LineCounter("none")
        pipeline = Pipeline(
            records,
            Grouper(4096, 4096),
            executor,
            settings or CodecSettings(),
            lines,
            [] if model is None else [model],
            lambda encoded, became: seen.append((encoded, became)),
        )
        for number, (content_class, content) in enumerate(members):
            lines.begin(b"", content_class)
            entry = pipeline.begin(row(b"%d" % number), 200, content_class, len(content))
            assert entry == number
            pipeline.add(0, content)
            pipeline.end(entry, 0, len(content), hashlib.sha256(content).digest())
        assert pipeline.entry_count == len(members)
        assert pipeline.read_size == sum(len(content) for _, content in members)
        pipeline.finish()
        records.close()
    assert seen == sorted(seen)
    assert not members or seen[-1][0] == pipeline.read_size
    return out.getvalue()


def test_members_come_out_in_their_chunks() -> None:
    members = [(1, text(1, 9000)), (0, noise(1, 9000)), (1, b"small"), (2, bytes(10_000))]
    contents: dict[int, bytes] = {}
    for event in read_stream(io.BytesIO(run(members))):
        if isinstance(event, BeginEntry):
            contents[event.number] = b""
        elif isinstance(event, Data):
            contents[event.number] += bytes(event.data)
    assert list(contents.values()) == [content for _, content in members]


def test_a_model_is_written_once_and_only_where_a_chunk_needs_it() -> None:
    words = text(3, 3000)
    digest = hashlib.sha256(words).digest()
    model = Model(ModelHeader(0, 1, True, len(words), digest), words)
    settings = CodecSettings(dictionary=words, dictionary_slot=0)
    noisy = [(0, noise(1, 9000)), (1, noise(2, 4096))]  # the second is stored, though called text
    assert run(noisy, model, settings).count(digest) == 0
    found = run([*noisy, (1, words), (1, words * 2)], model, settings)
    assert list(read_stream(io.BytesIO(found)))
    assert found.count(model.header.pack()) == 1
