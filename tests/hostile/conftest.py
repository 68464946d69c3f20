"""The arena, for every test of hostile archives."""

from pathlib import Path

import pytest

from tests.hostile.arena import Arena


@pytest.fixture
def arena(tmp_path: Path) -> Arena:
    return Arena(tmp_path / "arena")
