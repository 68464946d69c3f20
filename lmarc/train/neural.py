"""Make a neural model from text: train a network, export it, learn how far to trust it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch

from lmarc.codec.neural import model_steps as joint_steps
from lmarc.codec.ngram import choose_profile, model_steps
from lmarc.errors import ModelError
from lmarc.kernels import ngram
from lmarc.model import adapter, registry
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.neural import NeuralModel, base_of
from lmarc.model.ngram import NgramModel, thread_scratch
from lmarc.model.transformer import Sizes
from lmarc.train.beneath import AdapterBase, Fold, texts_of, with_folds
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.correction import Corrector
from lmarc.train.data import Corpus
from lmarc.train.export import (
    exponents_of,
    export,
    origins_of,
    restore,
    snapped,
    train_join,
)
from lmarc.train.feed import ByteSource
from lmarc.train.grid import DIFFERENCE, TABLE_STEP
from lmarc.train.loop import Settings, train_network
from lmarc.train.ngram import mixture_pieces
from lmarc.train.patch_network import PatchNetwork
from lmarc.train.pruning import prune
from lmarc.train.rounding import round_to_four_bits, sense
from lmarc.train.transformer import TransformerShape

__all__ = ["beginning", "held_out_bits", "train_neural"]

# Of the tables' steps: finer ones make adapters larger and no better.
ADAPTER_SHIFT: Final = (DIFFERENCE * TABLE_STEP).bit_length() - 1


def train_neural(
    corpus: Corpus,
    base: NgramModel,
    inside: bytes,
    settings: Settings,
    folder: Path,
    *,
    resume: bool = False,
    join_text: int,
    every_part: bool = False,
    init: NeuralModel | None = None,
    teacher: Corrector[Any] | None = None,
    differs: AdapterBase | None = None,
    blend: MultiscaleModel | None = None,
    folds: Sequence[Fold] = (),
    card: Mapping[str, object] | None = None,
    report: Callable[[dict[str, Any]], object] = lambda line: None,
    prepared: Callable[[int, int], object] = lambda done, total: None,
    done: Callable[[str], object] = lambda what: None,
) -> bytes:
    """Return the file of a neural model, or of an adapter, trained on `corpus`.

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
    every_part : bool
        Whether to learn from the part 'tables' too. Otherwise it is left alone: an n-gram model
        trained on the same text has seen it, and would teach the network to trust it too much.
    init : NeuralModel, optional
        A network to begin with, instead of chance; it grows to the units of `settings`.
    teacher : Corrector, optional
        A network over the same mixture whose distributions are learnt too.
    differs : AdapterBase, optional
        Make an adapter of it; `init` has its units, and its patches, which stay as they are.
    blend : MultiscaleModel, optional
        As `blend_model` returns it: learn to correct what it makes of the mixture, not the mixture.
    folds : sequence of Fold
        More text, of which all parts are learnt from.
    card : mapping
        More for the model's card.
    report, prepared, done : callable
        Get lines of the log, how many chunks the mixture has walked over of how many, and what is
        finished.

    Raises
    ------
    ModelError
        When there is too little text, nothing to resume from, or `init` is too large or has other
        patches.
    """
    unseen = texts_of(corpus, every_part)
    texts, others = with_folds(unseen, folds, blend)
    torch.manual_seed(settings.seed)
    net = beginning(settings, init, adapts=differs is not None)
    below = net.below if isinstance(net, PatchNetwork) else net
    source = ByteSource(base, blend)
    if settings.prune:
        net = prune(below, settings.prune, source, texts, settings, others)
        done(f"pruned to {net.shape.first}x{net.shape.second} units")
    if differs is not None:
        below.exponents = exponents_of(differs.model)
        below.origins = origins_of(differs.model)
        # An adapter changes no patches.
        net.requires_grad_(False)
        below.requires_grad_(True)
    net = train_network(
        net,
        source,
        texts,
        settings,
        folder,
        resume=resume,
        teacher=teacher,
        others=others,
        report=report,
        prepared=prepared,
    )
    done("trained" if settings.bits == 8 else "trained, now rounding to four bits")
    net = net.cpu()
    if settings.bits == 4:
        round_to_four_bits(net, sense(net, source, texts, settings, others))
        done("rounded")
    model = export(net, base)
    if differs is not None:
        model = snapped(model, differs.model, ADAPTER_SHIFT)
    # Of the folds the mixture knows too much: the network would be trusted too little.
    pieces = mixture_pieces(unseen or texts, join_text)
    model, _, _ = train_join(model, pieces)
    done(f"joined over {len(pieces)} pieces")
    details = dict(card or {}) | {
        "corpus_sha256": corpus.digest,
        "settings": {name: value for name, value in asdict(settings).items() if name != "device"},
        "training_text": sum(map(len, texts.values())),
    }
    text = json.dumps(details, indent=1, sort_keys=True).encode()
    if differs is None:
        return model.pack(text, inside)
    own = base_of({"ngram": inside})[0] != differs.ngram
    return adapter.pack(
        model,
        differs.model,
        card=text,
        digest=differs.sha256,
        ngram=inside if own else b"",
        shift=ADAPTER_SHIFT,
    )


def beginning(
    settings: Settings, init: NeuralModel | None = None, *, adapts: bool = False
) -> ByteNetwork | PatchNetwork:
    """Return the network that a training begins with: by chance, or `init`.

    Where `init` has no patches, and `settings` has, they are not listened to yet; an adapter of
    `init`, which `adapts` says is to be made, cannot have them then.

    Raises
    ------
    ModelError
        When `init` does not fit `settings`.
    """
    sizes = settings.sizes()
    shape = Shape(settings.first, settings.second, settings.layers)
    if init is not None and init.patches != sizes and (adapts or init.patches is not None):
        raise ModelError(
            f"the network to {'adapt' if adapts else 'begin with'} has {_said(init.patches)}, "
            f"expected {_said(sizes)}"
        )
    net = ByteNetwork(shape) if init is None else restore(init, shape)
    if sizes is None or isinstance(net, PatchNetwork):
        return net
    return PatchNetwork(net, TransformerShape(*sizes))


def _said(sizes: Sizes | None) -> str:
    return "no patches" if sizes is None else f"patches of {'x'.join(map(str, sizes))}"


def held_out_bits(
    data: bytes, base: NgramModel, corpus: Corpus, limit: int
) -> tuple[float, float, int]:
    """Return bits per byte of held-out text by the mixture and by the model, and its size."""
    model = NeuralModel.parse(registry.neural_sections(data), base)
    pieces = mixture_pieces(corpus.part("held out"), limit)
    alone = joint = 0
    for piece in pieces:
        profile = choose_profile(base, piece)
        alone += ngram.cost(model_steps(base, piece, profile, thread_scratch()))
        joint += ngram.cost(joint_steps(model, piece, profile, model.joint()))
    total = sum(map(len, pieces))
    return alone / 1024 / max(1, total), joint / 1024 / max(1, total), total
