"""fsspec's own tests for file systems of third parties, as far as they only read."""

from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.tests.abstract import AbstractFixtures, AbstractGetTests

import lmarc
from lmarc.interop.filesystem import LmarcFileSystem


class TestGet(AbstractFixtures, AbstractGetTests):
    """The scenarios are made on disk and archived, because an archive is read-only."""

    def _archived(self, scenario: Any, folder: Path) -> str:
        scenario(LocalFileSystem(auto_mkdir=True), lambda *parts: "/".join(parts), str(folder))
        lmarc.create(folder / "a.lmarc", ["source"], directory=folder, preset="fast")
        return "source"

    @pytest.fixture
    def fs(self, tmp_path: Path) -> LmarcFileSystem:
        return fsspec.filesystem("lmarc", fo=str(tmp_path / "a.lmarc"))  # type: ignore[no-any-return]

    @pytest.fixture
    def fs_path(self) -> str:
        return ""

    @pytest.fixture
    def local_path(self, tmp_path: Path) -> str:
        (tmp_path / "local").mkdir()
        return str(tmp_path / "local")

    @pytest.fixture
    def fs_bulk_operations_scenario_0(self, tmp_path: Path) -> str:
        return self._archived(self._bulk_operations_scenario_0, tmp_path)

    @pytest.fixture
    def fs_glob_edge_cases_files(self, tmp_path: Path) -> str:
        return self._archived(self._glob_edge_cases_files, tmp_path)

    @pytest.fixture
    def fs_dir_and_file_with_same_name_prefix(self, tmp_path: Path) -> str:
        return self._archived(self._dir_and_file_with_same_name_prefix, tmp_path)

    @pytest.fixture
    def fs_10_files_with_hashed_names(self, tmp_path: Path) -> str:
        return self._archived(self._10_files_with_hashed_names, tmp_path)

    def test_get_directory_recursive(
        self, fs: LmarcFileSystem, tmp_path: Path, local_path: str
    ) -> None:
        """Restated: the original makes its source through the file system."""
        source = tmp_path / "base" / "src"
        source.mkdir(parents=True)
        (source / "file").touch()
        lmarc.create(tmp_path / "a.lmarc", ["base"], directory=tmp_path, preset="fast")
        target = Path(local_path, "target")
        for _ in range(2):
            fs.get("base/src/", str(target), recursive=True)
            assert [path.name for path in target.iterdir()] == ["file"]
        fs.get("base/src", str(target), recursive=True)
        assert sorted(path.name for path in target.iterdir()) == ["file", "src"]
        assert (target / "src" / "file").is_file()
