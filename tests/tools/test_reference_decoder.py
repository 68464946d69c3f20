"""The second decoder: it needs no lmarc, reads every fixture, and brings back what is intact."""

import ast
import hashlib
import os
import struct
import sys
import tomllib
from pathlib import Path

import pytest

import lmarc
from lmarc.model import registry
from tools import (
    craft_ngram,
    good_archives,
    multiscale_archives,
    neural_archives,
    ngram_archives,
    reference_decoder,
)
from tools.craft import Builder, Chunk, Entry, Piece, file, records, simple

ROOT = Path(__file__).parent.parent.parent
FIXTURES = ROOT / "fixtures"
MANIFEST = tomllib.loads((FIXTURES / "MANIFEST.toml").read_text())["fixture"]
GOOD = [fixture["path"] for fixture in MANIFEST if "error" not in fixture]
BAD = [fixture["path"] for fixture in MANIFEST if "error" in fixture]


def tree(folder: Path) -> dict[bytes, bytes]:
    """Return the content of each file below a folder."""
    result = {}
    for parent, _, names in os.walk(os.fsencode(folder)):
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                result[os.path.relpath(path, os.fsencode(folder))] = Path(
                    os.fsdecode(path)
                ).read_bytes()
    return result


def run(data: bytes, tmp_path: Path, *options: str) -> tuple[int, dict[bytes, bytes]]:
    """Return the exit code of the decoder and what it extracted."""
    archive = tmp_path / "archive.lmarc"
    archive.write_bytes(data)
    out = tmp_path / "out"
    code = reference_decoder.main([*options, str(archive), str(out)])
    return code, tree(out) if out.exists() else {}


def test_it_imports_nothing_of_lmarc() -> None:
    source = (ROOT / "tools" / "reference_decoder.py").read_text()
    allowed = {*sys.stdlib_module_names, "pyarrow", "xxhash", "zstandard"}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            assert all(name.name.split(".")[0] in allowed for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            assert node.module.split(".")[0] in allowed


@pytest.mark.parametrize("path", GOOD)
def test_every_good_fixture_is_extracted(path: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert reference_decoder.main([str(FIXTURES / path), str(out)]) == 0


@pytest.mark.parametrize("path", BAD)
def test_every_bad_fixture_is_refused(path: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert reference_decoder.main([str(FIXTURES / path), str(out)]) == 1
    assert not out.exists()


@pytest.mark.parametrize("path", GOOD)
def test_a_scan_of_an_intact_archive_brings_back_all(path: str, tmp_path: Path) -> None:
    assert reference_decoder.main([str(FIXTURES / path), str(tmp_path / "index")]) == 0
    assert reference_decoder.main(["--scan", str(FIXTURES / path), str(tmp_path / "scan")]) == 0
    assert tree(tmp_path / "scan") == tree(tmp_path / "index")


def test_metadata_is_restored(tmp_path: Path) -> None:
    code, contents = run(good_archives.all_types(), tmp_path)
    assert code == 0
    out = tmp_path / "out"
    assert contents[b"moving"] == b"half"
    assert contents[b"folder/empty"] == b""
    assert (out / "folder").stat().st_mode & 0o7777 == 0o750
    assert (out / "folder" / "file").stat().st_mtime_ns == 1_234_567_890_123_456_789
    assert (out / "folder" / "hard").stat().st_ino == (out / "folder" / "file").stat().st_ino
    assert os.readlink(out / "folder" / "soft") == "../elsewhere"


def test_holes_are_zeros(tmp_path: Path) -> None:
    code, contents = run(good_archives.sparse(), tmp_path)
    assert code == 0
    assert contents[b"all"] == bytes(1 << 20)
    assert contents[b"holes"][:4096] == bytes(4096)
    assert len(contents[b"holes"]) == 4096 + 300 + 10_000 + 200 + 70_000


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_bytes(b"mine")
    code, contents = run(good_archives.one_member(), tmp_path)
    assert (code, contents) == (1, {b"mine": b"mine"})


def test_a_missing_archive_is_an_error(tmp_path: Path) -> None:
    assert reference_decoder.main([str(tmp_path / "nothing"), str(tmp_path / "out")]) == 1


def test_declared_sizes_are_bounded_before_anything_is_written(tmp_path: Path) -> None:
    code, contents = run(good_archives.sparse(), tmp_path, "--max-size", "1000000")
    assert (code, contents) == (1, {})


def test_every_truncation_is_refused() -> None:
    data = good_archives.many_groups()
    for size in range(0, len(data), 7):
        with pytest.raises(reference_decoder.RefusedError):
            reference_decoder.verify(data[:size])


def test_every_changed_byte_is_refused() -> None:
    data = good_archives.one_member()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        with pytest.raises(reference_decoder.RefusedError):
            reference_decoder.verify(bytes(changed))


def three_chunks() -> bytes:
    """Return an archive of three members in a chunk each, one group."""
    builder = Builder()
    contents = [b"first", b"second", b"third"]
    builder.group(
        [file(content, content) for content in contents],
        [Chunk(content) for content in contents],
        [Piece(number, number, 0, len(content)) for number, content in enumerate(contents)],
    )
    return builder.finish()


@pytest.mark.parametrize("place", [0, 33, 40, 70])
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_damaged_chunk_costs_its_members_alone(lost: int, place: int, tmp_path: Path) -> None:
    data = bytearray(three_chunks())
    chunks = [offset for offset, kind, _ in records(bytes(data)) if kind == 1]
    data[min(chunks[lost] + place, chunks[lost] + 64)] ^= 0xFF
    code, contents = run(bytes(data), tmp_path, "--scan")
    assert code == 1
    names = {b"first", b"second", b"third"} - {[b"first", b"second", b"third"][lost]}
    assert contents == {name: name for name in names}


def test_without_header_index_and_footer_everything_comes_back(tmp_path: Path) -> None:
    data = bytearray(three_chunks())
    data[:32] = bytes(32)
    index = next(offset for offset, kind, _ in records(three_chunks()) if kind == 4)
    code, contents = run(bytes(data[:index]), tmp_path, "--scan")
    assert (code, sorted(contents)) == (0, [b"first", b"second", b"third"])


def test_bytes_that_went_missing_do_not_stop_a_scan(tmp_path: Path) -> None:
    data = three_chunks()
    chunks = [offset for offset, kind, _ in records(data) if kind == 1]
    code, contents = run(data[: chunks[1] + 10] + data[chunks[1] + 50 :], tmp_path, "--scan")
    assert (code, sorted(contents)) == (1, [b"first", b"third"])


def test_records_of_an_archive_inside_are_not_taken_for_its_own(tmp_path: Path) -> None:
    inner = simple([(Entry(b"inner"), b"inside")]).finish()
    data = bytearray(simple([(Entry(b"archive.lmarc"), inner), (Entry(b"empty"), b"")]).finish())
    chunk = next(offset for offset, kind, _ in records(bytes(data)) if kind == 1)
    data[chunk] ^= 0xFF
    code, contents = run(bytes(data), tmp_path, "--scan")
    assert (code, contents) == (1, {b"empty": b""})


def test_a_model_that_is_not_embedded_is_taken_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_decoder, "TRUSTED", {})
    model = craft_ngram.example_model()
    text = craft_ngram.EXAMPLE_TEXT
    coded = craft_ngram.payload(model, 0, text)
    data = ngram_archives.archive(model, [(text, coded)], embedded=False)
    assert run(data, tmp_path) == (1, {})
    (tmp_path / "model").write_bytes(model)
    assert run(data, tmp_path, "--model", str(tmp_path / "model")) == (0, {b"0": text})


@pytest.mark.parametrize("codec", [neural_archives.NEURAL, multiscale_archives.MULTISCALE])
def test_an_adapter_has_the_patches_of_its_base(
    codec: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both decoders read what is coded with it, and what is coded with a blend over it."""
    base = neural_archives.patched_model()
    monkeypatch.setattr(reference_decoder, "TRUSTED", {hashlib.sha256(base).digest(): base})
    (tmp_path / "base.lmmodel").write_bytes(base)
    monkeypatch.setenv(registry.MODEL_PATH, str(tmp_path))
    adapter = craft_ngram.pack_model(neural_archives.adapter_sections(base), kind=7)
    text = neural_archives.PATCHED_TEXT
    if codec == neural_archives.NEURAL:
        data = neural_archives.archive(adapter, text, neural_archives.payload(adapter, 0, text), 7)
        read = reference_decoder.read_neural_model(adapter)
    else:
        units = struct.pack("<2H", *neural_archives.PATCHED_UNITS[:2])
        blend = multiscale_archives.multiscale_model(below=adapter, units=units)
        coded = multiscale_archives.payload(blend, 0, text)
        data = multiscale_archives.archive(blend, [(text, coded)])
        network = reference_decoder.read_multiscale_model(blend).network
        assert network is not None
        read = network
    assert read.patches == reference_decoder.read_neural_model(base).patches
    assert read.tables["last"] != reference_decoder.read_neural_model(base).tables["last"]
    code, contents = run(data, tmp_path)
    assert (code, list(contents.values())) == (0, [text])
    with lmarc.open(tmp_path / "archive.lmarc") as archive:
        archive.extract(tmp_path / "again")
    assert tree(tmp_path / "again") == contents


def test_what_the_unlawful_patches_are_made_of_is_lawful() -> None:
    data = craft_ngram.pack_model(neural_archives.still_sections(), kind=3)
    patches = reference_decoder.read_neural_model(data).patches
    assert patches is not None
    assert patches.shape == reference_decoder.Shape(*neural_archives.SIZES)


def test_fixtures_of_patches_have_more_of_them_than_attention_sees() -> None:
    for text in (neural_archives.PATCHED_TEXT, neural_archives.PATCHED_TEXT[-160:]):
        ends, size, last = 0, 0, 0
        for byte in b"\0" + text:
            size += 1
            if reference_decoder.patch_ends(byte, last, size):
                ends, size = ends + 1, 0
            last = byte
        assert ends > neural_archives.SIZES[-1]
