"""The machine is described with its load, as it was before anything was measured."""

from __future__ import annotations

import argparse
import os
import sys
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


def test_the_peak_of_a_command_is_its_own_not_that_of_who_starts_it() -> None:
    held = bytearray(200 << 20)
    bare = _measure.time_command([sys.executable, "-c", "pass"])
    assert bare.peak < 100 << 20
    large = _measure.time_command(f"exec {sys.executable} -c 'len(b\"x\" * (150 << 20))'")
    assert large.peak > 150 << 20
    assert len(held) == 200 << 20


def test_a_command_that_fails_ends_the_benchmark(tmp_path: Path) -> None:
    assert len(_measure.time_command("pwd > here", cwd=tmp_path).seconds) == 1
    assert (tmp_path / "here").read_text() == f"{tmp_path}\n"
    for command in ("exit 3", ["no-such-program"]):
        with pytest.raises(SystemExit, match="exit code"):
            _measure.time_command(command)
