"""The subword coder's step is the plain one of the reference decoder, symbol by symbol."""

from __future__ import annotations

import pytest

from lmarc.codec import vectors
from lmarc.codec.subword import model_steps
from lmarc.model.transformer import Sizes
from tests import naive_subword

CONTENT = vectors.prose("steps", 250) + b"a,b\n\n1,2;\n1,2;\n" + vectors.noise("steps", 60)


@pytest.mark.parametrize("profile", [0, 1])
@pytest.mark.parametrize(
    "sizes", [Sizes(16, 1, 1, 16, 16), Sizes(64, 2, 2, 32, 32), Sizes(48, 3, 1, 16, 48)], ids=str
)
def test_every_symbol_has_the_plain_coders_place(sizes: Sizes, profile: int) -> None:
    model = naive_subword.random_model(7, sizes)
    steps = model_steps(model, CONTENT, profile, model.joint())
    assert steps.tolist() == naive_subword.steps_of(model, CONTENT, profile)
