"""A subword model is trained from text; its integers are the network that was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmarc.codec import vectors
from lmarc.codec.subword import compress_with, decompress_with, model_steps
from lmarc.errors import ModelError
from lmarc.kernels import ngram
from lmarc.model.subword import SubwordModel
from lmarc.train.data import Corpus, Document, gather
from lmarc.train.subword import (
    SubwordSettings,
    export,
    held_out_bits,
    load_mixture,
    train_subword,
)
from lmarc.train.subword_network import SubwordNetwork
from lmarc.train.subword_tables import bits_of, mixture_freqs
from lmarc.train.transformer import TransformerShape

SETTINGS = SubwordSettings(
    width=32, heads=1, layers=1, hidden=32, window=32, static_rows=2000, rows=4, steps=64,
    text=20 * 4 * 64, minutes=1e9, mixture_text=100_000,
)  # fmt: skip
VOCABULARY = vectors.small_subword().vocabulary


def corpus(size: int = 30) -> Corpus:
    """Return documents of prose."""
    return gather(
        (Document("prose", str(n), vectors.prose(f"corpus {n}", 20_000)) for n in range(size)),
        1 << 30,
    )


def inputs(content: bytes) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    model = vectors.small_subword()
    tokens, freqs = mixture_freqs(model.mixture, model.vocabulary, content)
    text = torch.from_numpy(tokens.astype(np.int64))
    before = torch.cat([torch.zeros(1, dtype=torch.int64), text[:-1]])
    return (
        torch.stack([before, before], 1)[None],
        text[None],
        torch.from_numpy(freqs.astype(np.float32))[None],
    )


def test_an_untrained_network_changes_nothing() -> None:
    before, text, freqs = inputs(vectors.prose("untrained", 800))
    net = SubwordNetwork(TransformerShape(32, 1, 1, 32, 32), VOCABULARY)
    costs, _ = net.cost(before, text, freqs, net.initial(1))
    sizes, alone = net.measures(text, freqs)
    torch.testing.assert_close(costs, alone, rtol=1e-4, atol=1e-4)
    assert int(sizes.sum()) == 800


def test_training_lowers_the_cost_and_the_integers_follow() -> None:
    torch.manual_seed(3)
    content = vectors.prose("trained", 1500)
    before, text, freqs = inputs(content)
    net = SubwordNetwork(TransformerShape(32, 1, 2, 48, 32), VOCABULARY)
    optimiser = torch.optim.AdamW(net.parameters(), 0.01)
    costs = []
    for _ in range(25):
        cost, _ = net.cost(before, text, freqs, net.initial(1))
        optimiser.zero_grad()
        cost.mean().backward()
        optimiser.step()
        costs.append(cost.mean().item())
    assert costs[-1] < 0.8 * costs[0]
    model = export(net, VOCABULARY, vectors.small_subword().mixture)
    model.arrays["join_rate"] = np.array([0], np.int32)
    coded = ngram.cost(model_steps(model, content, 0, model.joint())) / 1024
    with torch.no_grad():
        cost, _ = net.cost(before, text, freqs, net.initial(1))
    assert abs(coded - cost.sum().item()) < 0.01 * coded


def test_a_model_is_trained_from_text(tmp_path: Path) -> None:
    lines: list[str] = []
    data = train_subword(
        corpus(), VOCABULARY, SETTINGS, tmp_path, join_text=60_000, done=lines.append
    )
    model = SubwordModel.parse(data)
    content = vectors.prose("new", 5000)
    payload = compress_with(model, content)
    assert decompress_with(model, payload, len(content)) == content
    assert len(payload) < 0.9 * len(compress_with(vectors.small_subword(), content))
    assert lines[0] == "mixture trained"
    mixture, joint, size = held_out_bits(data, corpus(), 50_000)
    assert size > 0
    assert 0 < joint < 1.02 * mixture
    again = train_subword(corpus(), VOCABULARY, SETTINGS, tmp_path / "again", join_text=60_000)
    assert again == data


def test_the_mixture_is_kept_for_a_training_that_goes_on(tmp_path: Path) -> None:
    first = load_mixture(corpus(), VOCABULARY, SETTINGS, tmp_path)
    second = load_mixture(Corpus(), VOCABULARY, SETTINGS, tmp_path)
    content = vectors.prose("kept", 3000)
    bits = [bits_of(*mixture_freqs(m, VOCABULARY, content)) for m in (first, second)]
    assert bits[0] == bits[1]
    small = vectors.small_subword().mixture
    assert bits[0] < 0.9 * bits_of(*mixture_freqs(small, VOCABULARY, content))


def test_too_little_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="for the tables is"):
        train_subword(corpus(1), VOCABULARY, SETTINGS, tmp_path, join_text=1)


def test_the_state_goes_on_between_batches() -> None:
    before, text, freqs = inputs(vectors.prose("state", 900))
    net = SubwordNetwork(TransformerShape(16, 1, 1, 16, 32), VOCABULARY)
    parts: list[Any] = []
    with torch.no_grad():
        for branch in net.branches:
            branch.weight.normal_()
        whole, _ = net.cost(before, text, freqs, net.initial(1))
        past = net.initial(1)
        for part in (slice(0, 90), slice(90, None)):
            costs, past = net.cost(before[:, part], text[:, part], freqs[:, part], past)
            parts.append(costs)
    # What is rounded may fall to either side: most steps agree.
    gap = (torch.cat(parts, 1) - whole).abs()
    assert gap.median() < 1e-3
