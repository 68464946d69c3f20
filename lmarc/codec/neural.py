"""The neural codec: the n-gram mixture, corrected by a byte network (spec/v1/neural.md).

A payload is that of the n-gram codec: the profile's number, the state, the words. Encoder and
decoder run the same step function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from lmarc.codec.base import CodecNumber, ModelKind, ModelRef
from lmarc.codec.device import Elsewhere, device
from lmarc.codec.jobs import EitherCodec, Job, decode_jobs, either, joined, only, rows_for
from lmarc.codec.ngram import choose_profile, pack_payload, table_bits
from lmarc.errors import CorruptError
from lmarc.kernels import distributions, lanes, neural
from lmarc.model import registry
from lmarc.model.neural import NeuralModel
from lmarc.model.ngram import NgramModel, thread_scratch

if TYPE_CHECKING:
    from lmarc.codec.network_torch import TorchNetwork

__all__ = [
    "CODEC", "compress_either", "compress_with", "decompress_together",
    "decompress_with", "elsewhere", "mixture_freqs", "model_steps",
]  # fmt: skip

ALONG: Final = 16  # bytes that an encoder's network takes at a time
TRIAL: Final = 4096  # bytes of a chunk after which a network that has not paid is left

U32 = npt.NDArray[np.uint32]


def compress_with(model: NeuralModel, content: bytes) -> bytes:
    """Return the payload of `content`."""
    profile = choose_profile(model.ngram, content)
    return pack_payload(profile, model_steps(model, content, profile, model.joint()))


def compress_either(model: NeuralModel, content: bytes) -> tuple[CodecNumber, bytes]:
    """Return the shorter payload of `content`: this codec's or, without the network, codec 3's.

    The mixture is asked anyway, so the other payload costs nothing; a network that has only lost by
    its TRIAL-th byte is not asked for more.
    """

    def walk(profile: int, alone: U32) -> tuple[U32, int]:
        return _walk(model, content, profile, model.joint(), alone, TRIAL)

    return either(CodecNumber.NEURAL, model.ngram, content, walk)


def decompress_with(model: NeuralModel, payload: bytes | memoryview, content_size: int) -> bytes:
    """Return exactly `content_size` bytes, or raise CorruptError."""
    return only(decompress_together(model, [(payload, content_size)]))


def decompress_together(
    model: NeuralModel,
    payloads: Sequence[tuple[bytes | memoryview, int]],
    needed: Sequence[int] | None = None,
) -> list[bytes | CorruptError]:
    """Return the contents of payloads and their sizes, an error where there is none.

    Of each the first `needed` bytes, if that is given.
    """

    def decode(given: lanes.Lanes, tables: tuple[int, int], jobs: Sequence[Job]) -> None:
        bits, match_bits = tables
        joint = joined([model.joint() for _ in jobs])
        where = device()
        if where == "cpu":
            hidden = model.hidden(rows_for(len(jobs)))
            lanes.decode(given, joint, model.network, hidden, bits, 32 - match_bits)
        else:
            from lmarc.codec import neural_torch

            neural_torch.decode(elsewhere(model, where), given, joint, bits, 32 - match_bits)

    return decode_jobs("neural", model.ngram, payloads, decode, needed=needed)


def model_steps(model: NeuralModel, content: bytes, profile: int, joint: neural.Joint) -> U32:
    """Return `cumfreq << 16 | freq` of each symbol of `content`: uint32, shape (2 * size,).

    `joint` learns as the chunk goes.
    """
    alone = np.empty(2 * len(content), np.uint32)
    return _walk(model, content, profile, joint, alone, 0)[0]


def _walk(
    model: NeuralModel, content: bytes, profile: int, joint: neural.Joint, alone: U32, trial: int
) -> tuple[U32, int]:
    """Return the steps, and how many bytes the network was asked about; fill `alone`."""
    where = device()
    if where != "cpu":
        return _walk_elsewhere(model, where, content, profile, joint, alone), len(content)
    bits, match_bits = table_bits(len(content))
    steps = np.empty(2 * len(content), np.uint32)
    known = neural.model(
        model.ngram.static(profile),
        model.ngram.weights(profile),
        thread_scratch().state(bits, match_bits),
        model.network,
        model.hidden(ALONG, 1),
        joint,
        np.frombuffer(content + b"\0", np.uint8),
        bits,
        32 - match_bits,
        np.empty(ALONG * 2 * 16, np.uint16),
        steps,
        alone,
        trial,
    )
    return steps, known


def _walk_elsewhere(
    model: NeuralModel, where: str, content: bytes, profile: int, joint: neural.Joint, alone: U32
) -> U32:
    """Do what `_walk` does, with the network in PyTorch."""
    from lmarc.codec.neural_torch import scores_of

    freqs = mixture_freqs(model.ngram, content, profile, alone)
    corrections, _ = scores_of(elsewhere(model, where), content, freqs)
    steps = np.empty(2 * len(content), np.uint32)
    text = np.frombuffer(content, np.uint8)
    neural.join(joint, text, freqs.reshape(-1), corrections.reshape(-1), steps)
    return steps


def mixture_freqs(
    model: NgramModel, content: bytes, profile: int, alone: U32 | None = None
) -> npt.NDArray[np.uint16]:
    """Return the mixture's freqs over `content`: uint16, shape (size, 2, 16).

    `alone`, uint32, shape (2 * size,), receives `cumfreq << 16 | freq` of each symbol.
    """
    bits, match_bits = table_bits(len(content))
    freqs = np.empty((len(content), 2, 16), np.uint16)
    distributions.record(
        model.static(profile),
        model.weights(profile),
        thread_scratch().state(bits, match_bits),
        np.frombuffer(content + b"\0", np.uint8),
        bits,
        32 - match_bits,
        freqs.reshape(-1),
    )
    if alone is not None:
        text = np.frombuffer(content, np.uint8)
        symbols = np.stack([text >> 4, text & 15], 1)[..., None].astype(np.intp)
        sums = np.cumsum(freqs, 2, dtype=np.uint32)
        ends = np.take_along_axis(sums, symbols, 2).reshape(-1)
        chosen = np.take_along_axis(freqs, symbols, 2).reshape(-1)
        alone[:] = (ends - chosen) << np.uint32(16) | chosen
    return freqs


def _network(model: NeuralModel, name: str) -> TorchNetwork:
    from lmarc.codec.network_torch import TorchNetwork

    return TorchNetwork(model, name)


elsewhere: Final = Elsewhere(_network)


def _model_of(model: ModelRef | None) -> NeuralModel:
    if model is None:
        return registry.neural_model(registry.shipped("neural"))
    return registry.neural_model(model.sha256, model.data, model.path, model.size, model.kind)


CODEC: Final = EitherCodec(
    CodecNumber.NEURAL,
    "neural",
    ModelKind.NEURAL,
    model_of=_model_of,
    compress=compress_with,
    decompress=decompress_together,
    compress_either=compress_either,
)
