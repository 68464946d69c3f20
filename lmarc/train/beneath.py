"""What the training of a network stands on: models that there are, and text they have not seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from lmarc.errors import ModelError
from lmarc.model import file, registry
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.neural import NeuralModel, base_of
from lmarc.model.ngram import NgramModel
from lmarc.train.data import Corpus, documents, gather
from lmarc.train.feed import ByteSource, Source

__all__ = [
    "AdapterBase", "Fold", "adapter_base", "base_model", "blend_model", "blend_over",
    "initial_model", "read_folds", "texts_of", "with_folds",
]  # fmt: skip

MIN_TEXT: Final = 64 << 10  # bytes to train on


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


def read_folds(
    named: Sequence[tuple[str, str]], column: str, text_field: str, limit: int
) -> list[Fold]:
    """Return folds by the paths of their texts and n-gram models; the rest as for `documents` and
    `gather`.
    """
    return [
        Fold(gather(documents([path], column, text_field), limit), base_model(model)[0])
        for path, model in named
    ]


def with_folds(
    own: Mapping[str, bytes], folds: Sequence[Fold], blend: MultiscaleModel | None
) -> tuple[dict[str, bytes], dict[str, Source]]:
    """Return the text to learn from, and for that of folds the mixtures that have not seen it.

    Both are by domain, as `loop.train_network` takes them.

    Raises
    ------
    ModelError
        When there is too little text.
    """
    texts = dict(own)
    others: dict[str, Source] = {}
    for number, fold in enumerate(folds, 1):
        source = ByteSource(fold.model, None if blend is None else blend_over(blend, fold.model))
        for domain, text in texts_of(fold.corpus, True).items():
            name = f"{domain}, fold {number}"
            texts[name], others[name] = text, source
    total = sum(map(len, texts.values()))
    if total < MIN_TEXT:
        raise ModelError(
            f"training text for the network is {total} bytes, expected {MIN_TEXT} or more"
        )
    return texts, others


def texts_of(corpus: Corpus, every_part: bool) -> dict[str, bytes]:
    """Return the text to learn from, by domain."""
    texts = corpus.part("mixture")
    if every_part:
        for domain, text in corpus.part("tables").items():
            texts[domain] = texts.get(domain, b"") + text
    return texts
