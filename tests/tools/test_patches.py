"""All arms learn, and what came of them is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmarc.codec import vectors
from lmarc.model import registry
from tests import tiny
from tools import patches


def test_all_arms_learn_and_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").mkdir()
    for number in range(40):
        (tmp_path / "text" / f"{number}.txt").write_bytes(tiny.prose(number, 5000))
    options = [str(tmp_path / "text"), "--text", "8K", "--rows", "4", "--work", str(tmp_path)]
    model = tmp_path / "net.lmmodel"
    model.write_bytes(vectors.small_network().pack(b"{}", registry.shipped("ngram")))
    options += ["--init", str(model), "--shape", "32x2x1x32x16"]
    arms = ("alone:16K", "shipped", "alone", "units", "frozen", "patches")
    options += ["--only", ",".join(arms), "--sees", "1"]
    assert patches.main(options) == 0
    shown = capsys.readouterr().out
    assert "| patches seen, patches (with patches) |" in shown
    for arm in arms:
        assert f"| {arm.partition(':')[0]} (" in shown
        assert (tmp_path / arm / "average.pt").exists()
    assert patches.main(options) == 0  # nothing is trained again
    assert capsys.readouterr().out == shown
