"""A machine that codes otherwise is noticed before it writes."""

import time
from pathlib import Path

import pytest

import lmarc
from lmarc.codec import multiscale, neural, ngram, selftest, subword, vectors
from lmarc.errors import SelfTestError


def test_every_vector_gives_its_constant() -> None:
    outcomes = selftest.selftest()
    assert [outcome for outcome in outcomes if not outcome.ok] == []
    assert {outcome.name.split()[0] for outcome in outcomes} == set(vectors.INPUTS)
    assert {outcome.codec for outcome in outcomes} == set(selftest.CODECS)


def test_a_compiled_self_test_takes_less_than_two_seconds() -> None:
    selftest.selftest()  # what no warm-up compiles too: networks with patches
    start = time.process_time()
    selftest.selftest()
    assert time.process_time() - start < 2


@pytest.fixture
def unsound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose coder gives something else."""
    wrong = {codec: dict.fromkeys(vectors.INPUTS, "0" * 32) for codec in selftest.CODECS}
    monkeypatch.setattr(selftest, "EXPECTED", wrong)
    monkeypatch.setattr(selftest, "_SOUND", set())


@pytest.mark.usefixtures("unsound")
def test_nothing_is_written_with_an_unsound_coder(tmp_path: Path, model_file: Path) -> None:
    with (
        pytest.raises(SelfTestError, match=r"expected 0000.*--preset fast"),
        lmarc.Writer(tmp_path / "a", preset="balanced", model=model_file) as writer,
    ):
        writer.add_bytes("text", vectors.prose("a", 5000))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("unsound")
def test_an_unsound_coder_does_not_hinder_what_needs_none(tmp_path: Path, model_file: Path) -> None:
    with lmarc.Writer(tmp_path / "a", preset="balanced", model=model_file) as writer:
        writer.add_bytes("noise", vectors.noise("a", 5000))
    with lmarc.Writer(tmp_path / "b", preset="fast") as writer:
        writer.add_bytes("text", vectors.prose("a", 5000))


def test_a_sound_coder_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "_SOUND", set())
    selftest.ensure("ngram")
    monkeypatch.setattr(selftest, "selftest", None)
    selftest.ensure("ngram")


def test_no_one_waits_for_networks_with_patches_who_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are compiled apart; the whole self-test has them."""
    assert any(name.endswith(" patched") for name in selftest.EXPECTED["multiscale"])
    monkeypatch.setattr(vectors, "patched_blend", None)
    monkeypatch.setattr(selftest, "_SOUND", set())
    for codec in selftest.CODECS:
        selftest.ensure(codec)
    selftest.warmup()


def test_a_decoder_that_gives_something_else_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for codec in (ngram, neural, subword, multiscale):
        monkeypatch.setattr(codec, "decompress_with", lambda model, payload, size: bytes(size))
    for outcome in selftest.selftest(["prose-4095"]):
        assert not outcome.ok
        assert "does not decode" in outcome.found


def test_a_coder_is_tried_alone() -> None:
    (outcome,) = selftest.selftest(["prose-4095"], ["multiscale"])
    assert (outcome.codec, outcome.ok) == ("multiscale", True)


def test_warming_up_twice_compiles_nothing_the_second_time() -> None:
    first, second = selftest.warmup(), selftest.warmup()
    assert second.kernels > 0
    assert second.folder == first.folder
    assert second.compiled == first.compiled
