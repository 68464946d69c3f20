"""Train a Transformer over bytes to teach byte networks, keep it in a file, and take it from there.

The file is what `torch.save` makes of a mapping of numbers, strings and tensors, and is read as
such: it cannot hold code.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from lmarc.errors import ModelError
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.ngram import NgramModel
from lmarc.train.beneath import Fold, initial_model, texts_of, with_folds
from lmarc.train.byte_transformer import ByteTransformer
from lmarc.train.correction import Corrector
from lmarc.train.data import Corpus
from lmarc.train.export import restore
from lmarc.train.feed import ByteSource
from lmarc.train.loop import Course, train_network
from lmarc.train.ngram import mixture_pieces
from lmarc.train.transformer import TransformerShape

__all__ = [
    "TeacherSettings", "find_teacher", "held_out_bits", "pack_teacher", "parse_teacher",
    "train_teacher",
]  # fmt: skip

FORMAT: Final = "lmarc teacher 1"
ZIP: Final = b"PK"  # what its files begin with
STEPS: Final = 512  # bytes that are looked at together


@dataclass(frozen=True, slots=True)
class TeacherSettings(Course):
    """What decides the training of a teacher, besides text and mixture."""

    width: int = 256
    heads: int = 4
    layers: int = 4
    hidden: int = 768
    window: int = 256

    def shape(self) -> TransformerShape:
        """Return the Transformer's sizes; raise ModelError for those that it cannot have."""
        try:
            return TransformerShape(self.width, self.heads, self.layers, self.hidden, self.window)
        except ValueError as exc:
            raise ModelError(f"the teacher's {exc}") from None


def train_teacher(
    corpus: Corpus,
    base: NgramModel,
    settings: TeacherSettings,
    folder: Path,
    *,
    resume: bool = False,
    every_part: bool = False,
    blend: MultiscaleModel | None = None,
    folds: Sequence[Fold] = (),
    report: Callable[[dict[str, Any]], object] = lambda line: None,
    prepared: Callable[[int, int], object] = lambda done, total: None,
) -> ByteTransformer:
    """Return a Transformer trained in the loop of `base`; parameters as for `train_neural`.

    Raises
    ------
    ModelError
        When there is too little text, nothing to resume from, or sizes are wrong.
    """
    shape = settings.shape()
    texts, others = with_folds(texts_of(corpus, every_part), folds, blend)
    torch.manual_seed(settings.seed)
    net: ByteTransformer = train_network(
        ByteTransformer(shape),
        ByteSource(base, blend),
        texts,
        settings,
        folder,
        resume=resume,
        others=others,
        report=report,
        prepared=prepared,
    )
    net.cpu()
    return net


def pack_teacher(net: ByteTransformer, *, over: bool) -> bytes:
    """Return the file of a teacher, of one that corrects a blend where `over` is true."""
    found = {
        "format": FORMAT,
        "over": over,
        "shape": asdict(net.shape),
        "weights": net.state_dict(),
    }
    file = io.BytesIO()
    torch.save(found, file)
    return file.getvalue()


def parse_teacher(data: bytes, name: str, *, over: bool) -> ByteTransformer:
    """Return the teacher of a file's bytes; `name` is what errors call it.

    Raises
    ------
    ModelError
        For a file that is no such thing, or corrects something else.
    """
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if found["format"] != FORMAT:
            raise KeyError(found["format"])
        net = ByteTransformer(TransformerShape(**found["shape"]))
        net.load_state_dict(found["weights"])
        other = bool(found["over"]) != over
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, UnpicklingError):
        # What PyTorch says of such a file is a page, and how to run its code.
        raise ModelError(
            f"{name} is no teacher, or a damaged one; expected what 'lmarc train teacher' of this "
            "version writes, or a neural model"
        ) from None
    if other:
        raise ModelError(
            f"{name} was trained with{'out' if over else ''} --over, expected a teacher that was "
            f"trained with{'' if over else 'out'} it, as its student is"
        )
    return net


def find_teacher(name: str | None, base: NgramModel, *, over: bool) -> Corrector[Any] | None:
    """Return the teacher that `name` says: a neural model, 'shipped' for the one that comes with
    lmarc, or what `lmarc train teacher` has written; or None. Where `over` is true, its student
    corrects a blend.

    Raises
    ------
    ModelError, OSError
        For a file that is neither, corrects something else, or is not there.
    """
    if name is None:
        return None
    if name != "shipped":
        data = Path(name).read_bytes()
        if data.startswith(ZIP):
            return parse_teacher(data, name, over=over)
    model = initial_model(name, base)
    assert model is not None
    return restore(model)


def held_out_bits(
    net: Corrector[Any], source: ByteSource, corpus: Corpus, limit: int
) -> tuple[float, float, int]:
    """Return bits per byte of held-out text by the mixture and by a network in floats, and its
    size.
    """
    pieces = mixture_pieces(corpus.part("held out"), limit)
    alone = joint = 0.0
    net.eval()
    for piece in pieces:
        text = torch.from_numpy(source.cut(piece).astype(np.int64))[None]
        freqs = torch.from_numpy(source.freqs(piece).astype(np.float32))[None]
        padded = nn.functional.pad(text, (2, 0))
        before = torch.stack([padded[:, 1:-1], padded[:, :-2]], 2)
        hidden = net.initial(1)
        for start in range(0, text.shape[1], STEPS):
            part = (slice(None), slice(start, start + STEPS))
            with torch.no_grad():
                costs, hidden = net.cost(before[part], text[part], freqs[part], hidden)
            _, bits = net.measures(text[part], freqs[part])
            alone += float(bits.sum())
            joint += float(costs.sum())
    total = sum(map(len, pieces))
    return alone / max(1, total), joint / max(1, total), total
