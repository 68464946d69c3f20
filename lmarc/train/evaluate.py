"""What a model makes of text: entropy, what is really coded, speed, arithmetic."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from lmarc.codec import multiscale, neural, ngram, subword
from lmarc.codec.base import TOGETHER
from lmarc.errors import CorruptError, ModelError
from lmarc.kernels.ngram import N_DYNAMIC, N_STATIC
from lmarc.model import file, registry
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.neural import NeuralModel, base_of
from lmarc.model.ngram import NgramModel, thread_scratch
from lmarc.model.subword import SubwordModel
from lmarc.model.vocabulary import LEVELS
from lmarc.train.data import documents, files

__all__ = ["Evaluated", "Evaluator", "evaluate", "load", "texts_of"]

# Products that the mixture takes for a byte: two symbols, sixteen inputs, mixed and learnt from.
MIXTURE_PRODUCTS: Final = 2 * 16 * (N_DYNAMIC + N_STATIC + 1) * 2


@dataclass(slots=True)
class Evaluated:
    """What a model made of the text of one domain."""

    name: str
    size: int = 0  # bytes of text
    chunks: int = 0
    bits: float = 0.0  # of the model's distributions: -log2 of every symbol's freq
    coded_size: int = 0  # bytes of payloads
    coding: float = 0.0  # seconds of one core
    decoding: float = 0.0

    @property
    def bits_per_byte(self) -> float:
        """Cross-entropy of model and text."""
        return self.bits / max(1, self.size)

    @property
    def perplexity(self) -> float:
        """Of bytes: 2 to the power of the cross-entropy."""
        return float(2**self.bits_per_byte)

    @property
    def coded_bits_per_byte(self) -> float:
        """Bits of payload for each byte of text."""
        return 8 * self.coded_size / max(1, self.size)

    def add(self, other: Evaluated) -> None:
        """Count another domain in."""
        self.size += other.size
        self.chunks += other.chunks
        self.bits += other.bits
        self.coded_size += other.coded_size
        self.coding += other.coding
        self.decoding += other.decoding


class Evaluator(Protocol):
    """A model with its coder."""

    @property
    def multiply_adds(self) -> int:
        """Products of a network and of the mixture that coding a byte, or a token, takes."""

    def steps(self, content: bytes) -> tuple[int, npt.NDArray[np.uint32]]:
        """Return profile and `cumfreq << 16 | freq` of each symbol."""

    def decompress(self, payloads: list[tuple[bytes | memoryview, int]]) -> list[bytes]:
        """Return the contents of payloads."""


class _Ngram:
    multiply_adds = MIXTURE_PRODUCTS

    def __init__(self, model: NgramModel) -> None:
        self._model = model

    def steps(self, content: bytes) -> tuple[int, npt.NDArray[np.uint32]]:
        profile = ngram.profile_for(self._model, content)
        return profile, ngram.model_steps(self._model, content, profile, thread_scratch())

    def decompress(self, payloads: list[tuple[bytes | memoryview, int]]) -> list[bytes]:
        return [ngram.decompress_with(self._model, *payload) for payload in payloads]


class _Multiscale:
    def __init__(self, model: MultiscaleModel) -> None:
        self._model = model
        # The blend is a mixture as large as the other.
        self.multiply_adds = 2 * MIXTURE_PRODUCTS + model.multiply_adds

    def steps(self, content: bytes) -> tuple[int, npt.NDArray[np.uint32]]:
        profile = multiscale.profile_for(self._model, content)
        return profile, multiscale.model_steps(self._model, content, profile)

    def decompress(self, payloads: list[tuple[bytes | memoryview, int]]) -> list[bytes]:
        return _whole(multiscale.decompress_together(self._model, payloads))


class _Neural:
    def __init__(self, model: NeuralModel) -> None:
        self._model = model
        self.multiply_adds = MIXTURE_PRODUCTS + model.multiply_adds

    def steps(self, content: bytes) -> tuple[int, npt.NDArray[np.uint32]]:
        profile = ngram.choose_profile(self._model.ngram, content)
        return profile, neural.model_steps(self._model, content, profile, self._model.joint())

    def decompress(self, payloads: list[tuple[bytes | memoryview, int]]) -> list[bytes]:
        return _whole(neural.decompress_together(self._model, payloads))


def _whole(found: Sequence[bytes | CorruptError]) -> list[bytes]:
    contents = []
    for content in found:
        if isinstance(content, CorruptError):
            raise content
        contents.append(content)
    return contents


class _Subword:
    def __init__(self, model: SubwordModel) -> None:
        self._model = model
        # Of a token: three symbols, where a byte has two.
        self.multiply_adds = MIXTURE_PRODUCTS * LEVELS // 2 + model.multiply_adds

    def steps(self, content: bytes) -> tuple[int, npt.NDArray[np.uint32]]:
        profile = subword.choose_profile(self._model, content)
        return profile, subword.model_steps(self._model, content, profile, self._model.joint())

    def decompress(self, payloads: list[tuple[bytes | memoryview, int]]) -> list[bytes]:
        return _whole(subword.decompress_together(self._model, payloads))


def load(name: str) -> tuple[Evaluator, int]:
    """Return a model with its coder, and the bytes of its file.

    Parameters
    ----------
    name : str
        A file, or 'ngram', 'neural', 'subword', 'multiscale' or 'contexts', the multi-scale model
        without a network, for those that come with lmarc.

    Raises
    ------
    ModelError
        When it is no model, or of a kind that codes no text.
    OSError
        When there is no such file.
    """
    path = Path(name)
    if not path.exists() and name in ("ngram", "neural", "subword", "multiscale", "contexts"):
        path = registry.shipped_path(registry.shipped(name).hex())
    data = path.read_bytes()
    kind = registry.coding_kind(data)
    digest = hashlib.sha256(data).digest()
    if kind == file.KIND_NGRAM:
        return _Ngram(registry.ngram_model(digest, data)), len(data)
    if kind == file.KIND_NEURAL:
        sections = registry.neural_sections(data)
        base = registry.ngram_model(*base_of(sections))
        return _Neural(NeuralModel.parse(sections, base)), len(data)
    if kind == file.KIND_SUBWORD:
        return _Subword(SubwordModel.parse(data)), len(data)
    if kind == file.KIND_MULTISCALE:
        return _Multiscale(registry.multiscale_model(digest, data)), len(data)
    raise ModelError(
        f"{name} is a model of kind {kind}, expected one that codes text: 2, 3 or 5 to 8"
    )


def evaluate(
    model: Evaluator,
    texts: Mapping[str, bytes],
    *,
    chunk_size: int = 64 << 10,
    report: Callable[[str, int], object] = lambda name, size: None,
) -> Iterator[Evaluated]:
    """Code text and decode it again; yield what came of each domain.

    Parameters
    ----------
    model : Evaluator
    texts : mapping of str to bytes
        By domain, as `texts_of` returns them.
    chunk_size : int
        Bytes.
    report : callable
        Gets domain and bytes that are done.

    Raises
    ------
    ModelError
        When a chunk does not come back as it was.
    """
    for name, text in texts.items():
        found = Evaluated(name)
        # As many as a decoder takes together.
        for start in range(0, len(text), chunk_size * TOGETHER):
            part = text[start : start + chunk_size * TOGETHER]
            chunks = [part[at : at + chunk_size] for at in range(0, len(part), chunk_size)]
            _evaluate_chunks(model, chunks, found)
            report(name, found.size)
        yield found


def texts_of(
    paths: Sequence[str],
    column: str = "text",
    text_field: str = "text",
    *,
    limit: int | None = None,
    by_file: bool = False,
) -> dict[str, bytes]:
    """Return the text below `paths` by domain, or by file; of each no more than `limit` bytes.

    Documents of a domain are joined in the order in which they come.
    """
    found: dict[str, list[bytes]] = {}
    sizes: dict[str, int] = {}
    for path in files(paths) if by_file else paths:
        for document in documents([path], column, text_field):
            name = path if by_file else document.domain
            room = len(document.text) if limit is None else limit - sizes.get(name, 0)
            if room > 0 and document.text:
                found.setdefault(name, []).append(document.text[:room])
                sizes[name] = sizes.get(name, 0) + len(found[name][-1])
    return {name: b"".join(parts) for name, parts in found.items()}


def _evaluate_chunks(model: Evaluator, chunks: list[bytes], found: Evaluated) -> None:
    payloads: list[tuple[bytes | memoryview, int]] = []
    for chunk in chunks:
        began = time.perf_counter()
        profile, steps = model.steps(chunk)
        payloads.append((ngram.pack_payload(profile, steps), len(chunk)))
        found.coding += time.perf_counter() - began
        found.bits += float((16 - np.log2((steps & 0xFFFF).astype(np.float64))).sum())
    began = time.perf_counter()
    contents = model.decompress(payloads)
    found.decoding += time.perf_counter() - began
    if contents != chunks:
        raise ModelError(f"text of {found.name} does not come back as it was")
    found.size += sum(map(len, chunks))
    found.chunks += len(chunks)
    found.coded_size += sum(len(payload) for payload, _ in payloads)
