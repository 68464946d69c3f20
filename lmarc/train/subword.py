"""Make a subword model from text: rows, mixture, Transformer, and how far to trust it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from lmarc.codec.subword import model_steps
from lmarc.errors import ModelError
from lmarc.kernels import ngram, subword_coder
from lmarc.kernels.neural import N_WEIGHTS
from lmarc.model.ngram import NgramModel
from lmarc.model.subword import BRANCHES, SubwordModel
from lmarc.model.transformer import Sizes
from lmarc.model.vocabulary import Vocabulary
from lmarc.train.data import Corpus
from lmarc.train.export import JOIN_RATE
from lmarc.train.grid import integers
from lmarc.train.loop import Course, train_network
from lmarc.train.ngram import MIN_TEXT, mixture_pieces
from lmarc.train.subword_network import EMBEDDING_UNIT, SubwordNetwork
from lmarc.train.subword_tables import (
    TokenSource,
    bits_of,
    mixture_freqs,
    train_mixture,
    train_tables,
)
from lmarc.train.transformer import TransformerShape
from lmarc.train.vocabulary import pieces_of

__all__ = ["SubwordSettings", "export", "held_out_bits", "load_mixture", "train_subword"]

Array = npt.NDArray[Any]

MIXTURE: Final = "mixture.npz"
PASSES: Final = (2.0, 0.5)  # over the mixture's text, and how fast it learns in each


@dataclass(frozen=True, slots=True)
class SubwordSettings(Course):
    """What decides the training of a subword model, besides text and vocabulary."""

    width: int = 96
    heads: int = 3
    layers: int = 2
    hidden: int = 192
    window: int = 128
    static_rows: int = 700_000
    static_text: int = 72 << 20  # bytes of text that they are counted over
    mixture_text: int = 4 << 20  # bytes on which the mixture learns its weights

    def shape(self) -> TransformerShape:
        """Return the Transformer's sizes; raise ModelError for those that a model cannot have."""
        Sizes(self.width, self.heads, self.layers, self.hidden, self.window).check()
        return TransformerShape(self.width, self.heads, self.layers, self.hidden, self.window)


def load_mixture(
    corpus: Corpus, vocabulary: Vocabulary, settings: SubwordSettings, folder: Path
) -> NgramModel:
    """Return the mixture trained on the parts 'tables' and 'mixture', kept in `folder`.

    Raises
    ------
    ModelError
        When there is too little text.
    """
    path = folder / MIXTURE
    if path.exists():
        with np.load(path) as saved:
            profiles = {name: saved[name] for name in saved.files if name != "buckets"}
            return NgramModel(saved["buckets"], profiles)
    texts = corpus.part("tables")
    total = sum(map(len, texts.values()))
    if total < MIN_TEXT:
        raise ModelError(f"training text for the tables is {total} bytes, expected {MIN_TEXT}")
    pieces = pieces_of(texts, settings.static_text)
    tokens = np.concatenate([vocabulary.cut(piece) for piece in pieces])
    buckets = train_tables(vocabulary, tokens, settings.static_rows)
    learnt = mixture_pieces(corpus.part("mixture"), settings.mixture_text)
    mixture = train_mixture(buckets, vocabulary, learnt, rounds=PASSES)
    temporary = folder / f"partial-{MIXTURE}"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(temporary, buckets=buckets, **mixture.profiles)  # type: ignore[arg-type]
    temporary.replace(path)
    return mixture


def train_subword(
    corpus: Corpus,
    vocabulary: Vocabulary,
    settings: SubwordSettings,
    folder: Path,
    *,
    resume: bool = False,
    join_text: int,
    card: Mapping[str, object] | None = None,
    report: Callable[[dict[str, Any]], object] = lambda line: None,
    done: Callable[[str], object] = lambda what: None,
) -> bytes:
    """Return the file of a subword model.

    Parameters
    ----------
    corpus : Corpus
        Its part 'tables' gives the static rows, its part 'mixture' all that learns.
    vocabulary : Vocabulary
    settings : SubwordSettings
    folder : Path
        Where mixture, checkpoint and log are kept.
    resume : bool
        Whether to go on from the checkpoint there.
    join_text : int
        Bytes to learn on how far to trust the network.
    card : mapping
        More for the model's card.
    report, done : callable
        Get lines of the log, and what is finished.

    Raises
    ------
    ModelError
        When there is too little text, or nothing to resume from.
    """
    shape = settings.shape()
    if not resume:
        (folder / MIXTURE).unlink(missing_ok=True)
    mixture = load_mixture(corpus, vocabulary, settings, folder)
    done("mixture trained")
    torch.manual_seed(settings.seed)
    net = SubwordNetwork(shape, vocabulary)
    source = TokenSource(mixture, vocabulary)
    texts = corpus.part("mixture")
    net = train_network(net, source, texts, settings, folder, resume=resume, report=report)
    done("network trained")
    model = export(net.cpu(), vocabulary, mixture)
    pieces = mixture_pieces(texts, join_text)
    model = train_join(model, pieces)
    done(f"joined over {len(pieces)} pieces")
    details = dict(card or {}) | {
        "corpus_sha256": corpus.digest,
        "settings": {name: value for name, value in asdict(settings).items() if name != "device"},
        "training_text": sum(map(len, texts.values())),
    }
    return model.pack(json.dumps(details, indent=1, sort_keys=True).encode())


def export(net: SubwordNetwork, vocabulary: Vocabulary, mixture: NgramModel) -> SubwordModel:
    """Return the integers of a network that was trained with rounding; joined one to one."""
    arrays: dict[str, Array] = {}
    shape = net.transformer.shape
    with torch.no_grad():
        table = torch.floor(net.embedding.weight / EMBEDDING_UNIT + 0.5).clamp(-127, 127)
        arrays["embedding"] = table.numpy().astype(np.int8)
        arrays |= net.transformer.arrays()
        for name, part in zip(BRANCHES, net.branches, strict=True):
            arrays[name], arrays[f"{name}_exp"] = integers(part.weight)
    arrays["join"] = np.full((subword_coder.N_SETS, N_WEIGHTS), 65536, np.int32)
    arrays["join_rate"] = np.array([JOIN_RATE], np.int32)
    sizes = Sizes(shape.width, shape.heads, shape.layers, shape.hidden, shape.window)
    return SubwordModel(vocabulary, mixture, sizes, arrays)


def train_join(model: SubwordModel, pieces: Sequence[bytes]) -> SubwordModel:
    """Return the model with joining weights learnt over `pieces`, one after the other."""
    joint = model.joint()
    for piece in pieces:
        model_steps(model, piece, 0, joint)
    learnt = joint.weights.reshape(subword_coder.N_SETS, N_WEIGHTS).copy()
    arrays = model.arrays | {"join": learnt}
    return SubwordModel(model.vocabulary, model.mixture, model.sizes, arrays)


def held_out_bits(data: bytes, corpus: Corpus, limit: int) -> tuple[float, float, int]:
    """Return bits per byte of held-out text by the mixture and by the model, and its size."""
    model = SubwordModel.parse(data)
    pieces = mixture_pieces(corpus.part("held out"), limit)
    alone = joint = 0.0
    for piece in pieces:
        alone += bits_of(*mixture_freqs(model.mixture, model.vocabulary, piece))
        joint += ngram.cost(model_steps(model, piece, 0, model.joint())) / 1024
    total = sum(map(len, pieces))
    return alone / max(1, total), joint / max(1, total), total
