"""The machine is described with its load, as it was before anything was measured."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from lmarc.codec import vectors
from tools.benchmarks import _measure, profile, ratio, read


def test_the_load_is_said_whatever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for load in (0.04, 5.51):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 9.0, 9.0))
        assert _measure.describe_machine("numpy").endswith(f" Load before: {load:.1f}.")


@pytest.mark.parametrize(
    ("module", "measuring"), [(profile, "measure"), (read, "measure"), (ratio, "measure_all")]
)
def test_the_load_is_asked_for_before_measuring(
    module: object, measuring: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class MeasuredError(Exception):
        pass

    asked: list[float] = []

    def load() -> tuple[float, float, float]:
        asked.append(0.0)
        return 0.0, 0.0, 0.0

    def measured(*_: object) -> None:
        raise MeasuredError

    (tmp_path / "text").write_bytes(vectors.prose("load", 9000))
    monkeypatch.setattr(os, "getloadavg", load)
    monkeypatch.setattr(module, measuring, measured)
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)  # type: ignore[attr-defined]
    options = parser.parse_args(["--data", str(tmp_path)])
    if module is read:
        options.size, options.chunks = 0.005, "4K"
    with pytest.raises(MeasuredError):
        module.run(options)  # type: ignore[attr-defined]
    assert asked
