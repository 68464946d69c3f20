"""Logarithm, exponential, mixing and learning equal the plain restatement."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lmarc.kernels import match
from tests import naive
from tests.kernels import compiled

Array = npt.NDArray[Any]


def sixteens(values: Array) -> Array:
    """Return int32 in rows of sixteen, padded with the last value."""
    padded = np.pad(values, (0, -len(values) % 16), mode="edge")
    return padded.astype(np.int32).reshape(-1, 16)


def test_log2_is_the_plain_one_for_every_value_of_a_row() -> None:
    out = np.zeros(16, np.int32)
    for values in sixteens(np.arange(1, 65_536, 7)):
        compiled.log2(values, out)
        assert out.tolist() == [naive.log2(int(value)) - 12_288 for value in values]


def test_log2_is_close_to_the_logarithm() -> None:
    values = np.arange(1, 65_536)
    found = np.array([naive.log2(int(value)) for value in values])
    assert np.abs(found - 1024 * np.log2(values)).max() < 11


def test_exp2_is_the_plain_one() -> None:
    out = np.zeros(16, np.int32)
    for values in sixteens(np.concatenate([np.arange(40_000), [1 << 20, (1 << 20) - 1]])[::3]):
        compiled.exp2(values, out)
        assert out.tolist() == [naive.exp2(int(value)) for value in values]


def test_exp2_falls_and_is_close_to_the_exponential() -> None:
    values = np.arange(16_384)
    found = np.array([naive.exp2(int(value)) for value in values])
    assert (np.diff(found) <= 0).all()
    assert np.abs(found - 65_535 * 2.0 ** (-values / 1024)).max() < 320


def test_weights_are_clamped_to_sixteen_bits() -> None:
    edge = [-(1 << 31), -524_289, -524_288, -17, -16, -1, 0, 1, 15, 16, 524_271, 524_272, 524_273]
    values = sixteens(np.array([*edge, (1 << 31) - 1]))[0]
    out = np.zeros(16, np.int32)
    compiled.scaled(values, out)
    assert out.tolist() == [naive.applied(int(value)) for value in values]
    assert -32_768 <= out.min() <= out.max() <= 32_767


def random_inputs(random: np.random.Generator, *, extreme: bool) -> tuple[Array, Array]:
    """Return inputs int16[16, 16] and weights as applied."""
    low, high = (-13_305, 17_408) if extreme else (-4000, 4000)
    inputs = random.integers(low, high, (16, 16)).astype(np.int16)
    reach = 32_767 if extreme else 3000
    return inputs, random.integers(-reach - 1, reach + 1, 16, np.int32)


def freqs_of(inputs: Array, weights: Array) -> list[int]:
    """Return the freqs of the kernel, whose sums must be theirs."""
    out = np.zeros(32, np.int32)
    compiled.freqs_of(inputs.reshape(-1), weights, np.zeros(16, np.int16), out)
    freqs = out[:16]
    assert out[16:].tolist() == (np.cumsum(freqs) - freqs).tolist()
    return [int(freq) for freq in freqs]


@pytest.mark.parametrize("seed", range(40))
def test_freqs_are_the_plain_ones_also_where_sums_wrap(seed: int) -> None:
    inputs, weights = random_inputs(np.random.default_rng(seed), extreme=bool(seed % 2))
    freqs = freqs_of(inputs, weights)
    assert freqs == naive.mix(inputs.tolist(), weights.tolist())
    assert sum(freqs) == 65_536
    assert 1 <= min(freqs) <= max(freqs) <= 65_521


@pytest.mark.parametrize("seed", range(20))
def test_logits_alone_give_the_freqs_that_an_input_of_them_gives(seed: int) -> None:
    reach = (300, 4000, 32_767)[seed % 3]
    logits = np.random.default_rng(seed).integers(-reach, reach + 1, 16, np.int32)
    out = np.zeros(32, np.int32)
    compiled.normalised(logits, out)
    freqs = naive.mix([logits.tolist(), *[[0] * 16] * 15], [4096, *[0] * 15])
    assert out[:16].tolist() == freqs
    assert out[16:].tolist() == (np.cumsum(freqs) - freqs).tolist()


def test_equal_inputs_share_the_freqs_and_the_last_takes_what_is_left() -> None:
    freqs = freqs_of(np.zeros(256, np.int16), np.full(16, 4096, np.int32))
    assert freqs == naive.mix([[0] * 16] * 16, [4096] * 16)
    assert len(set(freqs[:15])) == 1
    assert freqs[15] >= freqs[0]


@pytest.mark.parametrize("symbol", [0, 3, 15])
def test_one_sure_input_leaves_every_other_symbol_a_small_freq(symbol: int) -> None:
    inputs = np.zeros((16, 16), np.int16)
    inputs[:, symbol] = match.STRETCH[-1]
    freqs = freqs_of(inputs, np.full(16, 7000, np.int32))
    others = sorted(freq for s, freq in enumerate(freqs) if s != symbol)
    assert others[:14] == [1] * 14
    assert others[14] <= 16
    assert freqs[symbol] >= 65_506


@pytest.mark.parametrize("seed", range(20))
def test_weights_move_as_the_plain_ones_do(seed: int) -> None:
    random = np.random.default_rng(seed)
    inputs, weights = random_inputs(random, extreme=bool(seed % 2))
    freqs = naive.mix(inputs.tolist(), weights.tolist())
    for symbol in (0, 7, 15):
        for rate in (0, 1, 64, 4095):
            out = np.zeros(16, np.int32)
            values = np.array(freqs, np.int32)
            compiled.weight_steps(inputs.reshape(-1), values, symbol, rate, out)
            assert out.tolist() == naive.weight_steps(inputs.tolist(), freqs, symbol, rate)


def test_moves_wrap_at_32_bits() -> None:
    weights = np.array([0] * 16 + [(1 << 31) - 1] * 16, np.int32)
    compiled.move(weights, 16, np.full(16, 5, np.int32))
    assert weights.tolist() == [0] * 16 + [naive.wrap((1 << 31) + 4)] * 16
