"""Make a neural model from text: train a network, export it, learn how far to trust it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from lmarc.codec.neural import model_steps as joint_steps
from lmarc.codec.ngram import choose_profile, model_steps
from lmarc.errors import ModelError
from lmarc.kernels import ngram
from lmarc.model import adapter, file, registry
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.neural import NeuralModel, base_of
from lmarc.model.ngram import NgramModel, thread_scratch
from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.data import Corpus
from lmarc.train.export import (
    exponents_of,
    export,
    origins_of,
    restore,
    snapped,
    train_join,
)
from lmarc.train.feed import ByteSource, Source
from lmarc.train.grid import DIFFERENCE, TABLE_STEP
from lmarc.train.loop import Settings, train_network
from lmarc.train.ngram import mixture_pieces
from lmarc.train.pruning import prune
from lmarc.train.rounding import round_to_four_bits, sense

__all__ = [
    "AdapterBase", "Fold", "adapter_base", "base_model", "blend_model", "held_out_bits",
    "initial_model", "train_neural",
]  # fmt: skip

MIN_TEXT: Final = 64 << 10  # bytes to train on
# Of the tables' steps: finer ones make adapters larger and no better.
ADAPTER_SHIFT: Final = (DIFFERENCE * TABLE_STEP).bit_length() - 1


class Fold(NamedTuple):
    """Text that the n-gram model has seen, and another n-gram model that has not."""

    corpus: Corpus
    model: NgramModel


class AdapterBase(NamedTuple):
    """The network that an adapter changes."""

    model: NeuralModel
    sha256: bytes  # of its file
    ngram: bytes  # SHA-256 of the n-gram model that it corrects


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
    return NeuralModel.parse(registry.neural_sections(Path(path).read_bytes()), base)


def blend_model(path: str | None, base: NgramModel) -> MultiscaleModel | None:
    """Return the blend at `path`, 'contexts' for the one that ships, on top of `base`; or None.

    Raises
    ------
    ModelError
        When it has a network of its own, or is for other profiles.
    """
    if path is None:
        return None
    if path == "contexts" and not Path(path).exists():
        found = registry.multiscale_model(registry.shipped("contexts"))
    else:
        data = Path(path).read_bytes()
        found = registry.multiscale_model(hashlib.sha256(data).digest(), data)
    if found.neural is not None:
        raise ModelError(f"{path} blends a network, expected a multi-scale model without one")
    return blend_over(found, base)


def blend_over(blend: MultiscaleModel, base: NgramModel) -> MultiscaleModel:
    """Return a blend without a network on top of another n-gram model of as many profiles."""
    if blend.ngram.profile_count != base.profile_count:
        raise ModelError(
            f"the blend is for {blend.ngram.profile_count} profiles, the n-gram model has "
            f"{base.profile_count}"
        )
    return MultiscaleModel(blend.arrays, base, blend.lanes)


def adapter_base(path: str) -> AdapterBase:
    """Return what an adapter of the model at `path`, or of the shipped one, begins from.

    For an adapter that is the model below it: its own adapter takes its place.

    Raises
    ------
    ModelError
        When that model is not found by its SHA-256, as every reader of the adapter must find it.
    """
    data = b"" if path == "shipped" else Path(path).read_bytes()
    if not data:
        sha256 = registry.shipped("neural")
    elif file.kind_of(data) == file.KIND_ADAPTER:
        sha256 = file.unpack(data, file.KIND_ADAPTER)["base"]
    else:
        sha256 = hashlib.sha256(data).digest()
    sections = file.unpack(registry.find_bytes(sha256), file.KIND_NEURAL)
    return AdapterBase(registry.neural_model(sha256), sha256, base_of(sections)[0])


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
    teacher: NeuralModel | None = None,
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
    teacher : NeuralModel, optional
        A network over `base` whose distributions are learnt too.
    differs : AdapterBase, optional
        Make an adapter of it; `init` has its units.
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
        When there is too little text, nothing to resume from, or `init` is too large.
    """
    texts = _texts(corpus, every_part)
    others: dict[str, Source] = {}
    for number, fold in enumerate(folds, 1):
        source = ByteSource(fold.model, None if blend is None else blend_over(blend, fold.model))
        for domain, text in _texts(fold.corpus, True).items():
            name = f"{domain}, fold {number}"
            texts[name], others[name] = text, source
    total = sum(map(len, texts.values()))
    if total < MIN_TEXT:
        raise ModelError(
            f"training text for the network is {total} bytes, expected {MIN_TEXT} or more"
        )
    torch.manual_seed(settings.seed)
    shape = Shape(settings.first, settings.second, settings.layers)
    net = ByteNetwork(shape) if init is None else restore(init, shape)
    if settings.prune:
        net = prune(net, settings.prune, base, texts, settings)
        done(f"pruned to {net.shape.first}x{net.shape.second} units")
    if differs is not None:
        net.exponents = exponents_of(differs.model)
        net.origins = origins_of(differs.model)
    source = ByteSource(base, blend)
    net = train_network(
        net,
        source,
        texts,
        settings,
        folder,
        resume=resume,
        teacher=None if teacher is None else restore(teacher),
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
    pieces = mixture_pieces(texts, join_text)
    model, _, _ = train_join(model, pieces)
    done(f"joined over {len(pieces)} pieces")
    details = dict(card or {}) | {
        "corpus_sha256": corpus.digest,
        "settings": {name: value for name, value in asdict(settings).items() if name != "device"},
        "training_text": total,
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


def _texts(corpus: Corpus, every_part: bool) -> dict[str, bytes]:
    """Return the text to learn from, by domain."""
    texts = corpus.part("mixture")
    if every_part:
        for domain, text in corpus.part("tables").items():
            texts[domain] = texts.get(domain, b"") + text
    return texts


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
