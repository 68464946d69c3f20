"""The multi-scale coder's step is the plain one, however many bytes are looked at together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.codec.ngram import model_steps as mixture_steps
from lmarc.codec.ngram import table_bits
from lmarc.kernels import blend, multiscale, ngram, shapes
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.ngram import thread_scratch
from tests import naive_multiscale, naive_neural
from tools import reference_decoder
from tools.craft_ngram import KnownSymbols

MODELS = {
    "network": vectors.small_blend(),
    "alone": naive_multiscale.random_blend(3, vectors.small_model()),
    "wild": naive_multiscale.random_blend(4, naive_neural.random_network(5, 16, 32)),
    "lanes": naive_multiscale.random_blend(5, vectors.small_network(), naive_multiscale.LANES),
    "deep": naive_multiscale.random_blend(7, naive_neural.random_network(8, 32, 16, layers=4)),
    "few lanes": naive_multiscale.random_blend(6, vectors.small_model(), (14, 4, 9)),
    "doubts": naive_multiscale.random_blend(11, vectors.small_model(), (14, 4, 9), (50_000, 9000)),
    "doubts, network": naive_multiscale.random_blend(
        12, vectors.small_network(), naive_multiscale.LANES, (30_000, 60_000)
    ),
}
TEXTS = [
    b"",
    b"a",
    vectors.prose("steps", 150) + bytes(range(0, 256, 9)),
    vectors.table("steps", 200),
]


def walk(
    model: MultiscaleModel, content: bytes, profile: int = 0, rows: int = 16, trial: int = 0
) -> tuple[Any, Any, int, blend.Weights]:
    """Return the steps, those of the mixture, how far it came, and what the weights became."""
    bits, match_bits = table_bits(len(content))
    steps, alone = np.zeros((2, 2 * len(content)), np.uint32)
    weights = model.weights(profile)
    come = multiscale.model(
        model.ngram.static(profile),
        model.ngram.weights(profile),
        thread_scratch().state(bits, match_bits),
        model.network,
        model.hidden(rows),
        model.tables(profile),
        weights,
        model.scratch(bits, 1, rows),
        np.frombuffer(content + b"\0", np.uint8),
        bits,
        32 - match_bits,
        np.zeros(rows * 2 * 16, np.uint16),
        steps,
        alone,
        trial,
        0,
    )
    return steps, alone, come, weights


@pytest.mark.parametrize("content", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("profile", [0, 1])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_step_and_weight_is_the_plain_one(
    model: MultiscaleModel, profile: int, content: bytes
) -> None:
    steps, _, come, weights = walk(model, content, profile)
    plain = reference_decoder.read_multiscale_model(naive_multiscale.file_of(model))
    coder = reference_decoder.Multiscale(plain, profile, len(content))
    known = KnownSymbols(content)
    for _ in content:
        coder.decode_byte(known)
    assert come == len(content)
    assert steps.tolist() == [cumfreq << 16 | freq for cumfreq, freq in known.steps]
    assert [array.tolist() for array in weights] == coder.parts


@pytest.mark.parametrize("rows", [1, 3, 16, 64])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_bytes_that_are_looked_at_together_change_nothing(
    model: MultiscaleModel, rows: int
) -> None:
    content = vectors.records("together", 700)
    expected, alone, _, weights = walk(model, content)
    found, found_alone, _, found_weights = walk(model, content, rows=rows)
    assert (found == expected).all()
    assert (found_alone == alone).all()
    assert all((a == b).all() for a, b in zip(weights, found_weights, strict=True))


def test_the_mixture_is_what_it_is_alone() -> None:
    for model in MODELS.values():
        content = vectors.table("mixture", 900)
        _, alone, _, _ = walk(model, content, 1)
        assert (alone == mixture_steps(model.ngram, content, 1, thread_scratch())).all()


def test_it_stops_where_the_blend_has_not_paid() -> None:
    model = MODELS["wild"]
    content = vectors.prose("trial", 1000)
    steps, alone, come, _ = walk(model, content, 1, trial=100)
    assert ngram.cost(steps[: 2 * come]) > ngram.cost(alone[: 2 * come])
    assert 100 <= come < 116
    assert not steps[2 * come :].any()


def test_what_the_mixture_is_sure_of_it_codes_alone() -> None:
    content = vectors.table("sure", 900)
    for name in ("doubts", "doubts, network"):
        steps, alone, _, _ = walk(MODELS[name], content)
        same = (steps == alone).mean()
        assert 0.1 < same < 0.9
    sure = naive_multiscale.random_blend(13, vectors.small_network(), (3, 8), (1, 1))
    steps, alone, _, weights = walk(sure, content)
    assert (steps == alone).all()
    assert all((a == b).all() for a, b in zip(weights, sure.weights(0), strict=True))


def test_it_goes_on_where_the_blend_pays() -> None:
    arrays = {name: array * 0 for name, array in MODELS["network"].arrays.items()}
    for name in ("rates", "limits", "blend_rates"):
        arrays[name] = MODELS["network"].arrays[name]
    arrays["sures"][..., shapes.N_SHAPES + blend.MIXTURE] = 65_536
    model = MultiscaleModel(arrays, vectors.small_network())
    content = vectors.records("trial", 6000)
    steps, alone, come, _ = walk(model, content, trial=3000)
    assert come == len(content)
    assert ngram.cost(steps) < ngram.cost(alone)


def test_without_a_network_there_is_nothing_that_it_says() -> None:
    model = MODELS["alone"]
    content = vectors.prose("mute", 300)
    steps, _, _, _ = walk(model, content)
    arrays = {name: array.copy() for name, array in model.arrays.items()}
    for place in (shapes.N_SHAPES + blend.NETWORK, shapes.N_SHAPES + blend.HEAD):
        arrays["sures"][..., place] += 1 << 20
    other, _, _, _ = walk(MultiscaleModel(arrays, vectors.small_model()), content)
    assert (other == steps).all()
