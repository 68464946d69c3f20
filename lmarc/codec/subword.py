"""The subword codec: a mixture over tokens, corrected by a Transformer (spec/v1/subword.md).

A payload is laid out as that of the n-gram codec: the profile's number, the state, the words.
Encoder and decoder run the same step function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from lmarc.codec.base import CodecNumber, ModelKind, ModelRef
from lmarc.codec.device import Elsewhere, device
from lmarc.codec.jobs import Job, TogetherCodec, decode_jobs, joined, only
from lmarc.codec.ngram import pack_payload, table_bits
from lmarc.errors import CorruptError
from lmarc.kernels import lanes, neural, ngram, subword, subword_coder
from lmarc.model import registry
from lmarc.model.ngram import thread_scratch
from lmarc.model.subword import SubwordModel
from lmarc.model.vocabulary import LEVELS

if TYPE_CHECKING:
    from lmarc.codec.subword_torch import TorchSubword

__all__ = [
    "CODEC", "choose_profile", "compress_with", "decompress_together",
    "decompress_with", "elsewhere", "mixture_freqs", "model_steps",
]  # fmt: skip

ALONG: Final = 16  # tokens that an encoder's network takes at a time
TRIAL: Final = 2048  # bytes of a chunk on which each profile is tried

U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]


def compress_with(model: SubwordModel, content: bytes) -> bytes:
    """Return the payload of `content`."""
    profile = choose_profile(model, content)
    return pack_payload(profile, model_steps(model, content, profile, model.joint()))


def choose_profile(model: SubwordModel, content: bytes) -> int:
    """Return the profile with which the mixture codes the beginning of `content` best."""
    count = model.mixture.profile_count
    if count == 1:
        return 0
    costs = []
    for profile in range(count):
        tokens, freqs = mixture_freqs(model, content[:TRIAL], profile)
        shifts = 4 * np.arange(LEVELS - 1, -1, -1)
        symbols = (tokens[:, None] >> shifts & 15)[..., None].astype(np.intp)
        # In whole units: no float decides what is written.
        chosen = np.take_along_axis(freqs, symbols, 2).reshape(-1).astype(np.uint32)
        costs.append(ngram.cost(chosen))
    return costs.index(min(costs))


def mixture_freqs(model: SubwordModel, content: bytes, profile: int) -> tuple[U16, U16]:
    """Return the tokens of a chunk, and the mixture's freqs: uint16, (count, 3, 16)."""
    tokens = model.vocabulary.cut(content)
    bits, match_bits = table_bits(len(content))
    freqs = np.empty((len(tokens), LEVELS, 16), np.uint16)
    subword.record(
        model.mixture.static(profile),
        model.mixture.weights(profile),
        thread_scratch().state(bits, match_bits),
        model.vocabulary.flags,
        _ended(tokens),
        bits,
        32 - match_bits,
        freqs.reshape(-1),
    )
    return tokens, freqs


def _ended(tokens: U16) -> U16:
    """Return tokens and one more, which kernels may look at."""
    return np.concatenate([tokens, np.zeros(1, np.uint16)])


def model_steps(model: SubwordModel, content: bytes, profile: int, joint: neural.Joint) -> U32:
    """Return `cumfreq << 16 | freq` of each symbol of `content`'s tokens: uint32, (3 * count,).

    `joint` learns as the chunk goes.
    """
    where = device()
    if where != "cpu":
        return _steps_elsewhere(model, where, content, profile, joint)
    tokens = model.vocabulary.cut(content)
    bits, match_bits = table_bits(len(content))
    steps = np.empty(LEVELS * len(tokens), np.uint32)
    subword_coder.model(
        model.mixture.static(profile),
        model.mixture.weights(profile),
        thread_scratch().state(bits, match_bits),
        model.network,
        model.memory(ALONG),
        joint,
        _ended(tokens),
        bits,
        32 - match_bits,
        ALONG,
        np.empty(ALONG * LEVELS * 16, np.uint16),
        steps,
    )
    return steps


def _steps_elsewhere(
    model: SubwordModel, where: str, content: bytes, profile: int, joint: neural.Joint
) -> U32:
    """Do what `model_steps` does, with the Transformer in PyTorch."""
    from lmarc.codec.subword_torch import leaving_of

    tokens, freqs = mixture_freqs(model, content, profile)
    pairs = leaving_of(elsewhere(model, where), tokens).reshape(-1).view(np.int32)
    steps = np.empty(LEVELS * len(tokens), np.uint32)
    subword_coder.join(model.network, joint, tokens, freqs.reshape(-1), pairs, steps)
    return steps


def decompress_with(model: SubwordModel, payload: bytes | memoryview, content_size: int) -> bytes:
    """Return exactly `content_size` bytes, or raise CorruptError."""
    return only(decompress_together(model, [(payload, content_size)]))


def decompress_together(
    model: SubwordModel, payloads: Sequence[tuple[bytes | memoryview, int]]
) -> list[bytes | CorruptError]:
    """Return the contents of payloads and their sizes, an error where there is none."""

    def decode(given: lanes.Lanes, tables: tuple[int, int], jobs: Sequence[Job]) -> None:
        bits, match_bits = tables
        joint = joined([model.joint() for _ in jobs])
        tokens = subword_coder.Tokens(
            np.zeros(len(given.texts), np.uint16),
            np.zeros(len(jobs), np.int64),
            np.zeros(len(jobs), np.int64),
        )
        where = device()
        if where == "cpu":
            memory = model.memory(len(jobs), len(jobs))
            subword_coder.decode(given, joint, tokens, model.network, memory, bits, 32 - match_bits)
        else:
            from lmarc.codec import subword_torch

            subword_torch.decode(
                elsewhere(model, where), given, joint, tokens, model.network, bits, 32 - match_bits
            )

    return decode_jobs("subword", model.mixture, payloads, decode)


def _transformer(model: SubwordModel, name: str) -> TorchSubword:
    from lmarc.codec.subword_torch import TorchSubword

    return TorchSubword(model, name)


elsewhere: Final = Elsewhere(_transformer)


def _model_of(model: ModelRef | None) -> SubwordModel:
    if model is None:
        return registry.subword_model(registry.shipped("subword"))
    return registry.subword_model(model.sha256, model.data, model.path, model.size)


CODEC: Final = TogetherCodec(
    CodecNumber.SUBWORD,
    "subword",
    ModelKind.SUBWORD,
    model_of=_model_of,
    compress=compress_with,
    # Whole chunks: a token may go on behind what is needed.
    decompress=lambda model, payloads, needed: decompress_together(model, payloads),
)
