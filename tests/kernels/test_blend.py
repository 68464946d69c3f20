"""The blend of anything that mixture, network and head may say is the reference decoder's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmarc.codec import vectors
from lmarc.kernels import blend, multiscale, shapes
from lmarc.model.multiscale import MultiscaleModel
from tests import naive_multiscale, tiny
from tools import reference_decoder
from tools.craft_ngram import KnownSymbols

UNITS = 16
BITS = 11
MODELS = {
    "mild": vectors.small_blend(),
    "wild": naive_multiscale.random_blend(8, vectors.small_network()),
    "lanes": naive_multiscale.random_blend(9, vectors.small_network(), naive_multiscale.LANES),
    "one lane": naive_multiscale.random_blend(10, vectors.small_network(), (12,)),
    "doubts": naive_multiscale.random_blend(11, vectors.small_network(), (12, 3), (40_000, 60_000)),
}
TEXTS = {
    "prose": vectors.prose("blends", 60),
    "bytes": bytes(range(0, 256, 5)),
    "zeros": bytes(40),
    "one byte": b"\xff",
    "nothing": b"",
}


class Said:
    """Stands for a network that has said all there is to say."""

    def __init__(self, corrections: Any, outs: Any) -> None:
        self.corrections, self.outs = corrections.tolist(), outs.tolist()
        self.at, self.out = -1, [0] * UNITS

    def high(self, last: int, freqs: list[int]) -> list[int]:
        """Return the corrections of the next byte's high symbol."""
        self.at += 1
        self.out = self.outs[self.at]
        return list(self.corrections[self.at][0])

    def low(self, high: int, freqs: list[int]) -> list[int]:
        """Return those of its low symbol."""
        return list(self.corrections[self.at][1])


def drawn(seed: int, size: int) -> tuple[Any, Any, Any]:
    """Return freqs of a mixture, corrections and outputs of a network, all random."""
    random = np.random.default_rng(seed)
    odds = random.exponential(1, (size, 2, 16)) ** random.choice([1, 6, 40], (size, 2, 1))
    freqs = 1 + np.floor(odds / odds.sum(2, keepdims=True) * 65_520).astype(np.int64)
    freqs[:, :, 15] += 65_536 - freqs.sum(2)
    corrections = random.integers(-8191, 8192, (size, 2, 16))
    return freqs, corrections, random.integers(-127, 128, (size, UNITS))


def blended(
    model: MultiscaleModel, profile: int, text: bytes, given: tuple[Any, Any, Any]
) -> tuple[list[int], blend.Weights]:
    """Return the steps of a chunk, and what the weights became."""
    freqs, corrections, outs = given
    cursor, fields, _ = tiny.scratch_arrays()
    weights = model.weights(profile)
    steps = np.zeros(2 * len(text), np.uint32)
    multiscale.blend_along(
        model.tables(profile),
        weights,
        model.scratch(BITS, 1, 16),
        cursor,
        fields,
        np.frombuffer(text + b"\0", np.uint8),
        freqs.astype(np.uint16).reshape(-1),
        corrections.astype(np.int32).reshape(-1),
        outs.astype(np.int16).reshape(-1).view(np.int32),
        BITS,
        steps,
        np.empty(0, np.uint16),
    )
    return steps.tolist(), weights


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("profile", [0, 1])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_step_and_weight_is_the_plain_one(
    model: MultiscaleModel, profile: int, text: bytes
) -> None:
    given = drawn(len(text), len(text))
    steps, weights = blended(model, profile, text, given)
    plain = reference_decoder.read_multiscale_model(naive_multiscale.file_of(model))
    coder: Any = reference_decoder.Multiscale(plain, profile, len(text))
    coder.network = Said(*given[1:])
    known = KnownSymbols(text)
    for position, byte in enumerate(text):
        for half, high in ((0, 0), (1, byte >> 4)):
            coder.code(known, given[0][position, half].tolist(), half, high)
        coder.contexts.take(byte)
    assert steps == [cumfreq << 16 | freq for cumfreq, freq in known.steps]
    assert [array.tolist() for array in weights] == coder.parts


def test_a_chunk_starts_from_nothing() -> None:
    model, text = MODELS["mild"], vectors.table("again", 300)
    given = drawn(5, len(text))
    first, _ = blended(model, 0, text, given)
    blended(model, 1, vectors.noise("between", 300), given)
    assert blended(model, 0, text, given)[0] == first


def test_every_symbol_keeps_a_share_however_sure_the_others_are() -> None:
    text = vectors.noise("sure", 400)
    for seed in range(3):
        steps, _ = blended(MODELS["wild"], 1, text, drawn(seed, len(text)))
        assert all(step & 0xFFFF for step in steps)
        assert all((step >> 16) + (step & 0xFFFF) <= 65_536 for step in steps)


def test_a_head_whose_limit_is_zero_learns_nothing() -> None:
    model = MODELS["mild"]
    arrays = {name: array.copy() for name, array in model.arrays.items()}
    text = vectors.prose("limit", 50)
    heads = []
    for limit in (0, 65_536):
        arrays["head_rates"][:, 0] = limit
        changed = MultiscaleModel(arrays, vectors.small_network())
        blended(changed, 0, text, drawn(2, len(text)))
        heads.append(changed.scratch(BITS, 1, 16).head.any())
    assert heads == [False, True]


def test_what_is_seen_again_is_known_by_its_row() -> None:
    arrays = {name: array * 0 for name, array in MODELS["mild"].arrays.items()}
    for name in ("rates", "limits"):
        arrays[name] = MODELS["mild"].arrays[name]
    arrays["sures"][..., : shapes.N_SHAPES] = 20_000
    model = MultiscaleModel(arrays, vectors.small_network())
    text = b"all of this will come again; " * 3
    steps, _ = blended(model, 0, text, drawn(1, len(text)))
    freqs = [step & 0xFFFF for step in steps]
    assert sum(freqs[:40]) / 40 < 20_000
    assert min(freqs[-40:]) > 60_000


def test_what_is_certain_for_long_moves_no_weight_far() -> None:
    model = vectors.small_lanes()
    text = b"0123456789abcdef" * 400
    given = drawn(3, len(text))
    _, weights = blended(model, 0, text, given)
    for name in ("sures", "sets"):
        moved = getattr(weights, name).astype(np.int64) - getattr(model.weights(0), name)
        assert abs(moved).max() < 8 << 20
