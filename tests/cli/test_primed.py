"""`lmarc create --primer`, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

import lmarc
from lmarc.cli import main
from lmarc.codec import vectors
from lmarc.model import file, primed


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for n in range(30):
        (folder / f"{n}.json").write_bytes(vectors.records(f"{n}", 6000))
    return folder


def primer_of(archive: Path) -> bytes:
    """Return the text of the primed model that an archive embeds."""
    with lmarc.open(archive) as opened:
        for slot, kind in enumerate(opened.models().column("kind").to_pylist()):
            if kind == file.KIND_PRIMED:
                data = opened.model(slot).data
                assert data is not None
                return primed.parse(file.unpack(data, file.KIND_PRIMED)).text
    raise AssertionError("there is no primed model")


def create(archive: Path, folder: Path, *more: str) -> int:
    return main(["create", "-q", str(archive), "--chunk-size", "4K", "-C", str(folder), ".", *more])


@pytest.mark.parametrize("preset", ["balanced", "high"])
def test_one_command_makes_a_smaller_archive_that_needs_nothing(
    preset: str, tmp_path: Path, texts: Path
) -> None:
    plain, small = tmp_path / "plain.lmarc", tmp_path / "small.lmarc"
    assert create(plain, texts, "--preset", preset) == 0
    assert create(small, texts, "--preset", preset, "--primer", "8K") == 0
    assert small.stat().st_size < 0.9 * plain.stat().st_size
    again = tmp_path / "again.lmarc"
    assert create(again, texts, "--preset", preset, "--primer", "8K", "--jobs", "1") == 0
    assert again.read_bytes() == small.read_bytes()
    target = tmp_path / "target"
    assert main(["extract", "-q", str(small), "-C", str(target)]) == 0
    for path in texts.iterdir():
        assert (target / path.name).read_bytes() == path.read_bytes()


def test_what_is_left_out_of_the_archive_is_not_in_the_primer(tmp_path: Path, texts: Path) -> None:
    (texts / "secret.json").write_bytes(b'{"id": 7, "password": "hunter2"}\n' * 200)
    archive = tmp_path / "a.lmarc"
    assert create(archive, texts, "--primer", "200K", "--exclude", "secret.json") == 0
    assert b"hunter2" not in primer_of(archive)
    assert create(archive, texts, "--primer", "200K") == 0
    assert b"hunter2" in primer_of(archive)


def test_a_model_of_ones_own_stands_below(tmp_path: Path, texts: Path, model_file: Path) -> None:
    archive, mine = tmp_path / "a.lmarc", tmp_path / "mine.lmmodel"
    mine.write_bytes(model_file.read_bytes())
    assert create(archive, texts, "--primer", "4K", "--model", str(mine)) == 0
    mine.unlink()
    with lmarc.open(archive) as opened:
        assert opened.read("0.json") == (texts / "0.json").read_bytes()


def test_a_file_that_cannot_be_read_is_missed_where_it_is_archived(
    tmp_path: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmarc.archive.walk import Found

    read = Found.read

    def refuse(self: Found, start: int, end: int) -> bytes:
        if self.name == b"3.json":
            raise lmarc.SourceError("3.json cannot be read")
        return read(self, start, end)

    monkeypatch.setattr(Found, "read", refuse)
    assert create(tmp_path / "a.lmarc", texts, "--primer", "4K") == 0


def test_urls_are_sampled_where_they_are(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for n in range(20):
        memory.pipe_file(f"/primed/{n}.json", vectors.records(f"{n}", 6000))
    archive = tmp_path / "a.lmarc"
    command = ["create", "-q", str(archive), "memory://primed", "--primer", "4K"]
    assert main(command) == 0
    assert len(primer_of(archive)) > 2000


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--preset", "fast"],
            "preset fast takes no primer, expected preset balanced, high, max, or",
        ),
        (["--text-codec", "neural"], "codec neural takes no primer"),
        (["--text-codec", "zstd"], "codec zstd takes no primer"),
    ],
)
def test_what_codes_no_primer_says_so(
    tmp_path: Path, texts: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "a.lmarc"
    assert create(archive, texts, "--primer", "4K", *more) == 2
    assert message in capsys.readouterr().err
    assert not archive.exists()


def test_nothing_is_written_where_there_is_no_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "noise"
    folder.mkdir()
    (folder / "noise").write_bytes(vectors.noise("no text", 9000) + bytes(range(256)) * 40)
    archive = tmp_path / "a.lmarc"
    assert create(archive, folder, "--primer", "4K") != 0
    assert "there is no text to choose a primer from" in capsys.readouterr().err
    assert not archive.exists()


def test_a_dry_run_chooses_nothing(
    tmp_path: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmarc.make_primer", None)
    assert create(tmp_path / "a.lmarc", texts, "--primer", "4K", "--dry-run") == 0
