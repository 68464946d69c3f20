"""What is written down for trainers is what the coder codes with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lmarc.codec import vectors
from lmarc.codec.ngram import choose_profile, model_steps, table_bits
from lmarc.kernels import distributions
from lmarc.model.ngram import Scratch


def freqs_of(content: bytes) -> npt.NDArray[np.uint16]:
    """Return the small model's freqs over `content`: uint16, (size, 2, 16)."""
    model = vectors.small_model()
    profile = choose_profile(model, content)
    bits, match_bits = table_bits(len(content))
    freqs = np.zeros((len(content), 2, 16), np.uint16)
    distributions.record(
        model.static(profile),
        model.weights(profile),
        Scratch().state(bits, match_bits),
        np.frombuffer(content + b"\0", np.uint8),
        bits,
        32 - match_bits,
        freqs.reshape(-1),
    )
    return freqs


def test_the_freqs_are_those_that_code_the_symbols() -> None:
    content = vectors.prose("distributions", 3000)
    freqs = freqs_of(content).astype(np.int64)
    assert (freqs.sum(axis=2) == 1 << 16).all()
    model = vectors.small_model()
    steps = model_steps(model, content, choose_profile(model, content), Scratch())
    text = np.frombuffer(content, np.uint8)
    symbols = np.stack([text >> 4, text & 15], axis=1).astype(np.int64)
    sums = freqs.cumsum(axis=2) - freqs
    expected = np.take_along_axis(sums, symbols[..., None], 2) << 16 | np.take_along_axis(
        freqs, symbols[..., None], 2
    )
    assert (steps == expected.reshape(-1)).all()


def test_empty_text_has_no_freqs() -> None:
    assert freqs_of(b"x").shape == (1, 2, 16)
