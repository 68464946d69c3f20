"""The cold start is measured from outside and part by part."""

from pathlib import Path

import pytest

from tools import benchmark


def test_the_first_byte_and_every_part_are_timed(
    model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.main(["coldstart", "--model", str(model_file), "--repeats", "1"]) == 0
    shown = capsys.readouterr().out
    for name in ("to the first byte", "import of llvmlite", "model", "first chunk"):
        assert f"| {name} " in shown
