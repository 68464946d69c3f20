"""The joint freqs code every byte, and their weights learn as the specification says."""

from __future__ import annotations

import numpy as np

from lmarc.codec import neural as codec
from lmarc.codec import vectors
from lmarc.codec.ngram import choose_profile
from lmarc.kernels import ngram
from tests import naive_neural
from tools.craft_ngram import KnownSymbols
from tools.reference_decoder import Neural


def test_every_step_is_the_plain_one() -> None:
    content = vectors.prose("steps", 200) + bytes(range(0, 256, 9))
    model = vectors.small_network()
    profile = choose_profile(model.ngram, content)
    joint = model.joint()
    steps = codec.model_steps(model, content, profile, joint).tolist()
    coder = Neural(naive_neural.plain_model(model), profile, len(content))
    known = KnownSymbols(content)
    for _ in content:
        coder.decode_byte(known)
    assert steps == [cumfreq << 16 | freq for cumfreq, freq in known.steps]
    assert joint.weights.tolist() == coder.join.weights


def test_what_a_chunk_learns_is_its_own() -> None:
    model = vectors.small_network()
    before = model.arrays["join"].copy()
    first = codec.compress_with(model, vectors.prose("own", 900))
    assert codec.compress_with(model, vectors.prose("own", 900)) == first
    assert (model.arrays["join"] == before).all()


def test_useless_corrections_are_learnt_to_be_ignored() -> None:
    model = vectors.small_network()
    arrays = {**model.arrays, "join_rate": np.array([0], np.int32)}
    content = vectors.prose("ignored", 20_000)
    costs = [
        ngram.cost(codec.model_steps(net, content, 0, net.joint()))
        for net in (type(model)(arrays, model.ngram), model)
    ]
    assert costs[1] < costs[0]
