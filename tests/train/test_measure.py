"""Held-out text is coded as an archive would code it."""

from pathlib import Path

import pytest

from lmarc.codec.ngram import compress_with
from lmarc.codec.vectors import noise, prose, small_model
from lmarc.train import measure
from lmarc.train.measure import Measured


def test_the_payloads_of_every_domain_are_counted(model_file: Path) -> None:
    texts = {"b": prose("b", 70_000), "a": noise("a", 1000)}
    found = measure.measure(model_file.read_bytes(), texts)
    assert found.size == 71_000
    chunks = (texts["a"], texts["b"][:65_536], texts["b"][65_536:])
    assert found.coded_size == sum(len(compress_with(small_model(), chunk)) for chunk in chunks)
    assert 1 < found.bits_per_byte < 8


def test_every_domain_has_its_share_of_a_limit(
    model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "LARGEST", 2000)
    texts = {name: prose(name, 5000) for name in "ab"}
    assert measure.measure(model_file.read_bytes(), texts).size == 2000
    assert measure.measure(model_file.read_bytes(), {}) == Measured(0, 0)
