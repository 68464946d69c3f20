"""Where things are kept that can be made anew. `test_cache` tries folders with whole processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmarc.kernels import folders


def test_a_folder_is_made_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = Path(folders.cache_folder("models"))
    assert folder == tmp_path / "lmarc" / "models"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o722)
    assert folders.cache_folder("models") != str(folder)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    folders.keep(str(tmp_path), "kept", [b"some", memoryview(b" bytes")])
    assert (tmp_path / "kept").read_bytes() == b"some bytes"
    folders.keep(str(tmp_path), "kept", [b"other"])
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"other"


def test_what_cannot_be_written_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()  # where the file would have to go
    folders.keep(str(tmp_path), "kept", [b"bytes"])
    folders.keep(str(tmp_path / "nowhere"), "kept", [b"bytes"])
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
