"""A log becomes a picture; one without lines is said to be empty."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmarc.errors import ModelError
from lmarc.train.curves import draw


def test_a_log_is_drawn_and_always_the_same(tmp_path: Path) -> None:
    lines = [
        {
            "minutes": n / 3,
            "bytes": n * 1_000_000,
            "mixture": 2.0,
            "network": 2.0 - n / 100,
            "domains": {"code": [1.5, 1.4]} | ({"books": [2.1, 2.0]} if n % 2 else {}),
        }
        for n in range(1, 40)
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name in ("a.png", "b.png"):
        draw(tmp_path / "log.jsonl", tmp_path / name)
    picture = (tmp_path / "a.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert picture == (tmp_path / "b.png").read_bytes()


def test_a_training_that_was_too_short_has_no_curve(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="too short for a curve"):
        draw(tmp_path / "log.jsonl", tmp_path / "a.png")
