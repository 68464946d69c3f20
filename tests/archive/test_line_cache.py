"""Counts of lines are kept for the archive that they were made of, and only if they can be."""

from pathlib import Path

import numpy as np
import pytest

from lmarc.archive.line_cache import lines_folder, load_lines, save_lines

DIGEST = bytes(range(32))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "lmarc" / "lines"


def test_what_is_saved_is_loaded(folder: Path) -> None:
    assert lines_folder() == str(folder)
    assert load_lines(DIGEST, 7, 3) is None
    save_lines(DIGEST, 7, np.array([1, 0, 5]))
    found = load_lines(DIGEST, 7, 3)
    assert found is not None
    assert found.tolist() == [1, 0, 5]
    assert load_lines(DIGEST, 8, 3) is None
    assert load_lines(DIGEST[::-1], 7, 3) is None
    assert len(list(folder.iterdir())) == 1


def test_what_is_no_such_file_is_not_loaded(folder: Path) -> None:
    save_lines(DIGEST, 7, np.array([1, -2, 5]))
    assert load_lines(DIGEST, 7, 3) is None
    assert load_lines(DIGEST, 7, 4) is None


def test_a_folder_that_cannot_be_written_costs_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.parent.write_bytes(b"no folder")
    save_lines(DIGEST, 7, np.array([1]))
    assert load_lines(DIGEST, 7, 1) is None
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/nowhere")
    assert lines_folder() == "/nowhere/.cache/lmarc/lines"
