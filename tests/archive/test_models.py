"""Archives whose text needs a model: it is written, found, missed and mistaken in one sentence."""

import hashlib
import io
import pickle
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import fsspec
import pytest

import lmarc
from lmarc.codec.vectors import chinese, noise, prose, records
from lmarc.errors import CorruptError, ModelMismatchError, ModelNotFoundError
from lmarc.model import registry

MEMBERS = {
    "prose": prose("a", 40_000),
    "records": records("a", 9000),
    "chinese": chinese("a", 9000),
    "noise": noise("a", 9000),
    "empty": b"",
    "letter": b"x",
}


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(registry.MODEL_PATH, raising=False)
    monkeypatch.setattr(registry, "_PARSED", {})
    monkeypatch.setattr(registry, "_MISSING", {})


@pytest.fixture
def write(tmp_path: Path, model_file: Path) -> Callable[..., Path]:
    """Write MEMBERS with the small model, in chunks of 8 KiB."""

    def write(name: str = "a", **options: Any) -> Path:
        path = tmp_path / name
        given = {"preset": "balanced", "model": model_file, "chunk_size": 8192, **options}
        with lmarc.Writer(path, **given) as writer:
            for member, content in MEMBERS.items():
                writer.add_bytes(member, content)
        return path

    return write


def test_text_is_coded_with_the_model_and_the_rest_is_not(write: Callable[..., Path]) -> None:
    with lmarc.open(write()) as archive:
        rows = archive.chunks().to_pylist()
        (model,) = archive.models().to_pylist()
    assert {(row["content_class"], row["codec"], row["model_slot"]) for row in rows} == {
        (1, 3, 0),
        (3, 0, 0xFFFF),
    }
    assert (model["kind"], model["embedded"]) == (2, 0)


def test_an_embedded_model_needs_no_file(write: Callable[..., Path], model_file: Path) -> None:
    with lmarc.open(write(embed_model=True)) as archive:
        assert archive.model(0).data == model_file.read_bytes()
        assert {name: archive.read(name) for name in MEMBERS} == MEMBERS
        assert archive.verify().member_count == len(MEMBERS)


def test_a_model_that_no_chunk_needs_is_not_written(tmp_path: Path, model_file: Path) -> None:
    with lmarc.Writer(
        tmp_path / "a", preset="balanced", model=model_file, embed_model=True
    ) as writer:
        writer.add_bytes("noise", MEMBERS["noise"])
    with lmarc.open(tmp_path / "a") as archive:
        assert archive.models().num_rows == 0


def executors() -> list[Any]:
    return [
        pytest.param(lambda: ThreadPoolExecutor(1), id="one thread"),
        pytest.param(lambda: ThreadPoolExecutor(5), id="five threads"),
        pytest.param(
            lambda: ProcessPoolExecutor(2, mp_context=get_context("spawn")), id="processes"
        ),
    ]


@pytest.mark.parametrize("make", executors())
def test_the_bytes_are_the_same_for_every_executor(
    write: Callable[..., Path], make: Callable[[], Executor]
) -> None:
    expected = write("expected", jobs=2).read_bytes()
    with make() as executor:
        assert write("found", executor=executor).read_bytes() == expected


def test_processes_decode_with_the_model(write: Callable[..., Path], model_file: Path) -> None:
    for options in ({"embed_model": True}, {}):
        with (
            ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor,
            lmarc.open(write(**options), model=model_file) as archive,
        ):
            chunks = range(archive.chunks().num_rows)
            contents = [bytes(c) for c in archive.decode_chunks(chunks, executor=executor)]  # type: ignore[arg-type]
        assert max(map(len, contents)) == 8192


Read = Callable[[Path, Path | None], bytes]


def _opened(path: Path, model: Path | None) -> bytes:
    with lmarc.open(path, model=model) as archive:
        return archive.read("prose")


def _pickled(path: Path, model: Path | None) -> bytes:
    with lmarc.open(path, model=model) as archive:
        copy = pickle.loads(pickle.dumps(archive))
    return bytes(copy.read("prose"))


def _extracted(path: Path, model: Path | None) -> bytes:
    with lmarc.open(path, model=model) as archive:
        archive.extract(path.parent / "out")
    return (path.parent / "out" / "prose").read_bytes()


def _extracted_from_a_pipe(path: Path, model: Path | None) -> bytes:
    lmarc.extract_stream(io.BytesIO(path.read_bytes()), path.parent / "out", model=model)
    return (path.parent / "out" / "prose").read_bytes()


def _copied_from_a_pipe(path: Path, model: Path | None) -> bytes:
    out = io.BytesIO()
    lmarc.copy_stream(io.BytesIO(path.read_bytes()), out, globs=["prose"], model=model)
    return out.getvalue()


def _verified(path: Path, model: Path | None) -> bytes:
    with lmarc.open(path, model=model) as archive:
        archive.verify()
    return MEMBERS["prose"]


def _verified_from_a_pipe(path: Path, model: Path | None) -> bytes:
    lmarc.verify_stream(io.BytesIO(path.read_bytes()), model=model)
    return MEMBERS["prose"]


def _through_fsspec(path: Path, model: Path | None) -> bytes:
    system = fsspec.filesystem("lmarc", fo=str(path), model=model, skip_instance_cache=True)
    return bytes(system.cat_file("prose"))


READS = [
    _opened,
    _pickled,
    _extracted,
    _extracted_from_a_pipe,
    _copied_from_a_pipe,
    _verified,
    _verified_from_a_pipe,
    _through_fsspec,
]


@pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__.strip("_"))
def test_every_reader_finds_the_model_that_it_is_given_or_says_that_it_is_missing(
    write: Callable[..., Path],
    tmp_path: Path,
    model_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Read,
) -> None:
    path = write()
    registry._PARSED.clear()
    with pytest.raises(ModelNotFoundError, match="name its file with --model"):
        read(path, None)
    other = tmp_path / "other"
    other.write_bytes(b"other")
    with pytest.raises(ModelMismatchError, match="other has SHA-256"):
        read(path, other)
    assert read(path, model_file) == MEMBERS["prose"]
    registry._PARSED.clear()
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(model_file, folder)
    monkeypatch.setenv(registry.MODEL_PATH, str(folder))
    assert read(path, None) == MEMBERS["prose"]


def test_members_that_need_no_model_come_out_without_it(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    path = write()
    registry._PARSED.clear()
    warnings: list[str] = []
    with lmarc.open(path) as archive:
        assert archive.read("noise") == MEMBERS["noise"]
        with pytest.raises(ModelNotFoundError):
            archive.extract(tmp_path / "out", warn=warnings.append)
    assert (tmp_path / "out" / "noise").read_bytes() == MEMBERS["noise"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["empty", "noise"]
    assert "prose: not extracted: its model is missing" in warnings


def test_recovery_finds_the_model_that_it_is_given(
    write: Callable[..., Path], tmp_path: Path, model_file: Path
) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_bytes(write().read_bytes()[:-200])
    registry._PARSED.clear()
    lost = lmarc.recover(damaged, tmp_path / "one")
    assert b"prose" in lost.lost
    assert b"noise" not in lost.lost
    assert lmarc.recover(damaged, tmp_path / "two", model=model_file).lost == []
    assert (tmp_path / "two" / "prose").read_bytes() == MEMBERS["prose"]


def add(path: Path, name: str, **options: Any) -> list[tuple[int, int]]:
    """Append a text; return slot and codec of each chunk of text."""
    with lmarc.appender(path, preset="balanced", **options) as writer:
        writer.add_bytes(name, prose(name, 5000))
    with lmarc.open(path) as archive:
        return [
            (row["model_slot"], row["codec"])
            for row in archive.chunks().to_pylist()
            if row["content_class"] == 1
        ]


def test_append_uses_the_slot_of_the_same_model_again(
    write: Callable[..., Path], model_file: Path
) -> None:
    path = write(chunk_size=1 << 20)
    assert add(path, "b", model=model_file) == [(0, 3), (0, 3)]
    with lmarc.open(path, model=model_file) as archive:
        assert archive.models().num_rows == 1
        assert archive.read("b") == prose("b", 5000)


def test_append_embeds_a_model_that_was_only_named(
    write: Callable[..., Path], model_file: Path
) -> None:
    path = write(chunk_size=1 << 20)
    assert add(path, "b", model=model_file, embed_model=True) == [(0, 3), (1, 3)]
    registry._PARSED.clear()
    with lmarc.open(path) as archive:
        assert archive.models()["embedded"].to_pylist() == [0, 1]
        assert archive.read("b") == prose("b", 5000)
    assert add(path, "c", model=model_file, embed_model=True)[-1] == (1, 3)


def test_append_takes_another_model_into_another_slot(
    write: Callable[..., Path], tmp_path: Path, model_file: Path
) -> None:
    from lmarc.codec.vectors import small_model

    path = write(chunk_size=1 << 20)
    (tmp_path / "second.lmmodel").write_bytes(small_model().pack(b'{"name": "second"}'))
    assert add(path, "b", model=tmp_path / "second.lmmodel") == [(0, 3), (1, 3)]
    shutil.copy(model_file, tmp_path / "first.lmmodel")
    with lmarc.open(path, model=model_file) as archive:
        assert archive.read("prose") == MEMBERS["prose"]


def test_a_model_and_a_dictionary_live_in_one_archive(
    write: Callable[..., Path], model_file: Path
) -> None:
    path = write(chunk_size=1 << 20, embed_model=True)
    with lmarc.appender(path, preset="fast", chunk_size=4096) as writer:
        for number in range(40):
            writer.add_bytes(f"small/{number}", records(f"{number}", 3000))
    with lmarc.open(path) as archive:
        kinds = archive.models()["kind"].to_pylist()
        assert kinds[0] == 2
        assert archive.read("small/7") == records("7", 3000)
        archive.verify()


def test_a_model_record_with_another_size_is_refused(
    write: Callable[..., Path], model_file: Path
) -> None:
    from lmarc.archive.chunks import parse_model
    from lmarc.codec.choose import decode_chunk
    from lmarc.format.model import ModelHeader

    data = model_file.read_bytes()
    header = ModelHeader(0, 2, False, len(data) + 1, hashlib.sha256(data).digest())
    _, model = parse_model(header.pack(), 0, offset=0, path=str(model_file))
    with pytest.raises(ModelMismatchError, match=f"the archive says {len(data) + 1}"):
        decode_chunk(3, bytes(20), 100, model)


def test_damaged_text_is_noticed(write: Callable[..., Path], model_file: Path) -> None:
    path = write(embed_model=True)
    with lmarc.open(path) as archive:
        offset = archive.chunks()["offset"][0].as_py()
    data = bytearray(path.read_bytes())
    data[offset + 100] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError), lmarc.open(path) as archive:
        archive.read("prose")


def test_a_model_is_for_a_codec_that_takes_one(tmp_path: Path, model_file: Path) -> None:
    with pytest.raises(ValueError, match="text goes to zstd"):
        lmarc.Writer(tmp_path / "a", preset="fast", model=model_file)
    assert not (tmp_path / "a").exists()


def test_a_model_that_is_not_there_is_missed_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="none cannot be read"):
        lmarc.Writer(tmp_path / "a", preset="balanced", model=tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not registry.DEFAULT_MULTISCALE, reason="this version ships no blend")
def test_the_presets_high_and_max_code_text_with_shipped_blends(tmp_path: Path) -> None:
    sizes = {}
    for preset in ("balanced", "high", "max"):
        with lmarc.Writer(tmp_path / preset, preset=preset) as writer:
            writer.add_bytes("prose", MEMBERS["prose"])
        with lmarc.open(tmp_path / preset) as archive:
            assert archive.read("prose") == MEMBERS["prose"]
            sizes[preset] = archive.chunks().column("stored_size").to_pylist()
            (model,) = archive.models().to_pylist()
            known = {
                "balanced": registry.DEFAULT_NGRAM,
                "high": registry.DEFAULT_CONTEXTS,
                "max": registry.DEFAULT_MULTISCALE,
            }
            assert (model["embedded"], model["sha256"].hex()) == (0, known[preset])
    assert sizes["max"] < sizes["high"] < sizes["balanced"]


@pytest.mark.skipif(not registry.DEFAULT_CONTEXTS, reason="this version ships no blend")
def test_a_text_codec_of_its_own_takes_the_model_of_that_codec(tmp_path: Path) -> None:
    for codec, digest in (
        ("multiscale", registry.DEFAULT_CONTEXTS),
        ("ngram", registry.DEFAULT_NGRAM),
    ):
        with lmarc.Writer(tmp_path / codec, preset="high", text_codec=codec) as writer:
            writer.add_bytes("prose", MEMBERS["prose"])
        with lmarc.open(tmp_path / codec) as archive:
            assert archive.models().to_pylist()[0]["sha256"].hex() == digest


@pytest.mark.skipif(not registry.SHIPPED, reason="this version ships no model")
def test_the_shipped_model_is_named_and_found_without_a_word(tmp_path: Path) -> None:
    with lmarc.Writer(tmp_path / "a", preset="balanced") as writer:
        writer.add_bytes("prose", MEMBERS["prose"])
    with lmarc.open(tmp_path / "a") as archive:
        (model,) = archive.models().to_pylist()
        assert (model["embedded"], model["sha256"].hex()) == (0, registry.DEFAULT_NGRAM)
        assert archive.read("prose") == MEMBERS["prose"]


@pytest.mark.skipif(not registry.SHIPPED, reason="this version ships no model")
@pytest.mark.parametrize(("codec", "number", "kind"), [("neural", 4, 3), ("multiscale", 6, 6)])
def test_a_chunk_that_a_network_makes_larger_goes_without_it(
    tmp_path: Path, codec: str, number: int, kind: int
) -> None:
    """It names the n-gram model below the network; both are declared, in the order of slots."""
    lines = b"\n" * 16_000  # what the counts are sure of
    prose = Path(__file__).parents[2].joinpath("spec", "v1", "format.md").read_bytes()[:16_000]
    path = tmp_path / "a"
    with lmarc.Writer(path, preset="max", text_codec=codec, chunk_size=16_384) as writer:
        writer.add_bytes("lines.txt", lines)
    with lmarc.open(path) as archive:
        assert set(archive.chunks().column("codec").to_pylist()) == {3}
        assert [model["kind"] for model in archive.models().to_pylist()] == [kind, 2]
    with lmarc.appender(path, preset="max", text_codec=codec) as writer:
        writer.add_bytes("prose.txt", prose)
    with lmarc.open(path) as archive:
        chunks = archive.chunks()
        assert set(chunks.column("codec").to_pylist()) == {3, number}
        assert len(archive.models()) == 2
        assert archive.read("lines.txt") == lines
        assert archive.read("prose.txt") == prose


def coded(archive: lmarc.Archive) -> list[tuple[int, int]]:
    """Return codec and slot of the chunks of text."""
    rows = archive.chunks().to_pylist()
    return [(row["codec"], row["model_slot"]) for row in rows if row["content_class"] == 1]


@pytest.mark.parametrize("embedded", [True, False])
def test_append_goes_on_with_the_archives_model(
    embedded: bool,
    write: Callable[..., Path],
    model_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(embed_model=embedded)
    if not embedded:
        monkeypatch.setenv(registry.MODEL_PATH, str(model_file))
    before = set(Path(tempfile.gettempdir()).glob("lmarc-*"))
    warnings: list[str] = []
    with lmarc.appender(path, chunk_size=8192, warn=warnings.append) as out:
        out.add_bytes("more", prose("b", 9000))
    del out
    assert set(Path(tempfile.gettempdir()).glob("lmarc-*")) <= before
    with lmarc.open(path) as archive:
        assert len(archive.models()) == 1
        assert set(coded(archive)) == {(3, 0)}
        assert archive.read("more") == prose("b", 9000)
        archive.verify()
    assert warnings == []


def test_append_says_where_the_archives_model_is_not_found(write: Callable[..., Path]) -> None:
    path = write()
    warnings: list[str] = []
    with lmarc.appender(path, chunk_size=8192, warn=warnings.append) as out:
        out.add_bytes("more", prose("b", 9000))
    assert len(warnings) == 1
    assert "is coded without the archive's model" in warnings[0]
    with lmarc.open(path) as archive:
        assert archive.models()["kind"].to_pylist() == [2, 2]
        assert coded(archive)[-1] == (3, 1)


def test_append_does_as_it_is_told(write: Callable[..., Path]) -> None:
    path = write(embed_model=True)
    with lmarc.appender(path, chunk_size=8192, preset="fast") as out:
        out.add_bytes("fast", prose("b", 9000))
    with lmarc.appender(path, chunk_size=8192, preset="balanced") as out:
        out.add_bytes("balanced", prose("c", 9000))
    with lmarc.open(path) as archive:
        assert archive.models()["kind"].to_pylist() == [2, 2]
        assert [coded(archive)[place] for place in (-3, -1)] == [(1, 0xFFFF), (3, 1)]


def test_append_goes_on_with_what_is_on_top_of_other_models(tmp_path: Path) -> None:
    path = tmp_path / "high"
    with lmarc.Writer(path, preset="high") as writer:
        writer.add_bytes("records", records("a", 9000))
    with lmarc.appender(path) as out:
        out.add_bytes("more", records("b", 9000))
    with lmarc.open(path) as archive:
        assert archive.models()["kind"].to_pylist() == [6]
        assert coded(archive) == [(6, 0), (6, 0)]
        assert archive.read("more") == records("b", 9000)


def test_append_goes_on_behind_the_same_primer(tmp_path: Path) -> None:
    from lmarc.codec.primed import model_below
    from lmarc.routing.primer import choose_primer, of_bytes

    primer = tmp_path / "primer.lmmodel"
    made = choose_primer([of_bytes("a", records("a", 60_000))], 2000)
    data = made.over(model_below("balanced"))
    primer.write_bytes(data)
    path = tmp_path / "primed"
    with lmarc.Writer(path, model=primer, embed_model=True) as writer:
        writer.add_bytes("records", records("b", 9000))
    primer.unlink()
    with lmarc.appender(path) as out:
        out.add_bytes("more", records("c", 9000))
    with lmarc.open(path) as archive:
        assert archive.models()["kind"].to_pylist() == [8]
        assert coded(archive) == [(3, 0), (3, 0)]
        assert archive.read("more") == records("c", 9000)
