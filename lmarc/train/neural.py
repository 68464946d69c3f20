"""Make a neural model from text: train a network, export it, learn how far to trust it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch

from lmarc.codec.neural import model_steps as joint_steps
from lmarc.codec.ngram import choose_profile, model_steps
from lmarc.errors import ModelError
from lmarc.kernels import ngram
from lmarc.model import file, registry
from lmarc.model.neural import NeuralModel
from lmarc.model.ngram import NgramModel, thread_scratch
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.data import Corpus
from lmarc.train.export import export, restore, train_join
from lmarc.train.loop import Settings, train_network
from lmarc.train.ngram import mixture_pieces

__all__ = ["base_model", "held_out_bits", "initial_model", "train_neural"]

MIN_TEXT: Final = 64 << 10  # bytes to train on


def base_model(path: str | None) -> tuple[NgramModel, bytes]:
    """Return an n-gram model, and what a neural model that corrects it holds in its section ngram.

    That is the file at `path`, or the digest of the shipped model.
    """
    if path is None:
        digest = registry.shipped("ngram")
        return registry.ngram_model(digest), digest
    data = Path(path).read_bytes()
    return NgramModel.parse(data), data


def initial_model(path: str | None, base: NgramModel) -> NeuralModel | None:
    """Return the neural model at `path`, 'shipped' for that one, on top of `base`; or None."""
    if path is None:
        return None
    if path == "shipped":
        return NeuralModel(registry.neural_model(registry.shipped("neural")).arrays, base)
    return NeuralModel.parse(file.unpack(Path(path).read_bytes(), file.KIND_NEURAL), base)


def train_neural(
    corpus: Corpus,
    base: NgramModel,
    inside: bytes,
    settings: Settings,
    folder: Path,
    *,
    resume: bool = False,
    join_text: int,
    init: NeuralModel | None = None,
    card: Mapping[str, object] | None = None,
    report: Callable[[dict[str, Any]], object] = lambda line: None,
    done: Callable[[str], object] = lambda what: None,
) -> bytes:
    """Return the file of a neural model trained on the part 'mixture' of `corpus`.

    Parameters
    ----------
    corpus : Corpus
    base, inside : NgramModel, bytes
        As `base_model` returns them.
    settings : Settings
    folder : Path
        Where checkpoint and log are kept.
    resume : bool
        Whether to go on from the checkpoint there.
    join_text : int
        Bytes to learn on how far to trust the network.
    init : NeuralModel, optional
        A network to begin with, instead of chance; it grows to the units of `settings`.
    card : mapping
        More for the model's card.
    report, done : callable
        Get lines of the log, and what is finished.

    The part 'tables' is left alone: an n-gram model trained on the same text has seen it, and
    would teach the network to trust it too much.

    Raises
    ------
    ModelError
        When there is too little text, nothing to resume from, or `init` is too large.
    """
    texts = corpus.part("mixture")
    total = sum(map(len, texts.values()))
    if total < MIN_TEXT:
        raise ModelError(
            f"training text for the network is {total} bytes, expected {MIN_TEXT} or more"
        )
    torch.manual_seed(settings.seed)
    shape = Shape(settings.first, settings.second)
    net = ByteNetwork(shape) if init is None else restore(init, shape)
    net = train_network(net, base, texts, settings, folder, resume=resume, report=report)
    done("trained")
    return finish(export(net.cpu(), base), corpus, inside, settings, join_text, card or {}, done)


def finish(
    model: NeuralModel,
    corpus: Corpus,
    inside: bytes,
    settings: Settings,
    join_text: int,
    card: Mapping[str, object],
    done: Callable[[str], object] = lambda what: None,
) -> bytes:
    """Return the file of an exported network, once it is learnt how far to trust it."""
    pieces = mixture_pieces(corpus.part("mixture"), join_text)
    model, _, _ = train_join(model, pieces)
    done(f"joined over {len(pieces)} pieces")
    details = dict(card) | {
        "corpus_sha256": corpus.digest,
        "settings": {name: value for name, value in asdict(settings).items() if name != "device"},
        "training_text": sum(map(len, corpus.part("mixture").values())),
    }
    return model.pack(json.dumps(details, indent=1, sort_keys=True).encode(), inside)


def held_out_bits(
    data: bytes, base: NgramModel, corpus: Corpus, limit: int
) -> tuple[float, float, int]:
    """Return bits per byte of held-out text by the mixture and by the model, and its size."""
    model = NeuralModel.parse(file.unpack(data, file.KIND_NEURAL), base)
    pieces = mixture_pieces(corpus.part("held out"), limit)
    alone = joint = 0
    for piece in pieces:
        profile = choose_profile(base, piece)
        alone += ngram.cost(model_steps(base, piece, profile, thread_scratch()))
        joint += ngram.cost(joint_steps(model, piece, profile, model.joint()))
    total = sum(map(len, pieces))
    return alone / 1024 / max(1, total), joint / 1024 / max(1, total), total
