"""The multi-scale codec: n-gram mixture and byte network, blended with contexts of larger scales.

spec/v1/multiscale.md. A payload is that of the n-gram codec: the profile's number, the state, the
words. Encoder and decoder run the same step function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lmarc.codec.base import CodecNumber, ModelKind, ModelRef
from lmarc.codec.device import device
from lmarc.codec.jobs import EitherCodec, Job, decode_jobs, either, joined, only, rows_for
from lmarc.codec.neural import ALONG, elsewhere, mixture_freqs
from lmarc.codec.ngram import choose_profile, pack_payload, table_bits
from lmarc.errors import CorruptError
from lmarc.kernels import blend, lanes, multiscale, multiscale_lanes
from lmarc.model import registry
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.ngram import thread_scratch

__all__ = [
    "CODEC", "blended_freqs", "compress_either", "compress_with", "decompress_together",
    "decompress_with", "model_steps",
]  # fmt: skip

# Bytes of a chunk after which a blend that has not paid is left: it still learns where a network
# alone has shown what it is worth.
TRIAL: Final = 32768

U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]


def compress_with(model: MultiscaleModel, content: bytes) -> bytes:
    """Return the payload of `content`."""
    profile = choose_profile(model.ngram, content)
    return pack_payload(profile, model_steps(model, content, profile))


def compress_either(model: MultiscaleModel, content: bytes) -> tuple[CodecNumber, bytes]:
    """Return the shorter payload of `content`: this codec's or, without the blend, codec 3's.

    The mixture is asked anyway, so the other payload costs nothing; a blend that has only lost by
    its TRIAL-th byte is not asked for more.
    """

    def walk(profile: int, alone: U32) -> tuple[U32, int]:
        return _walk(model, content, profile, model.weights(profile), alone, TRIAL)

    return either(CodecNumber.MULTISCALE, model.ngram, content, walk)


def decompress_with(
    model: MultiscaleModel, payload: bytes | memoryview, content_size: int
) -> bytes:
    """Return exactly `content_size` bytes, or raise CorruptError."""
    return only(decompress_together(model, [(payload, content_size)]))


def decompress_together(
    model: MultiscaleModel, payloads: Sequence[tuple[bytes | memoryview, int]]
) -> list[bytes | CorruptError]:
    """Return the contents of payloads and their sizes, an error where there is none."""

    def decode(given: lanes.Lanes, tables: tuple[int, int], jobs: Sequence[Job]) -> None:
        bits, match_bits = tables
        count = len(jobs)
        blends = multiscale_lanes.Blends(
            joined([model.tables(job.profile) for job in jobs]),
            joined([model.weights(job.profile) for job in jobs]),
            model.scratch(bits, count, 1),
        )
        where = device()
        if where == "cpu" or model.neural is None:
            hidden = model.hidden(rows_for(count))
            multiscale_lanes.decode(given, blends, model.network, hidden, bits, 32 - match_bits)
        else:
            from lmarc.codec import neural_torch

            net = elsewhere(model.neural, where)
            neural_torch.decode_blended(net, given, blends, bits, 32 - match_bits)

    network = model.neural is not None
    return decode_jobs("multi-scale", model.ngram, payloads, decode, network=network)


def model_steps(
    model: MultiscaleModel, content: bytes, profile: int, weights: blend.Weights | None = None
) -> U32:
    """Return `cumfreq << 16 | freq` of each symbol of `content`: uint32, shape (2 * size,).

    `weights`, the profile's if None, learn as the chunk goes.
    """
    alone = np.empty(2 * len(content), np.uint32)
    weights = weights or model.weights(profile)
    return _walk(model, content, profile, weights, alone, 0)[0]


def _walk(
    model: MultiscaleModel,
    content: bytes,
    profile: int,
    weights: blend.Weights,
    alone: U32,
    trial: int,
) -> tuple[U32, int]:
    """Return the steps, and how many bytes the blend was asked about; fill `alone`."""
    where = device()
    if where != "cpu" and model.neural is not None:
        return _walk_elsewhere(model, where, content, profile, weights, alone), len(content)
    bits, match_bits = table_bits(len(content))
    steps = np.empty(2 * len(content), np.uint32)
    known = multiscale.model(
        model.ngram.static(profile),
        model.ngram.weights(profile),
        thread_scratch().state(bits, match_bits),
        model.network,
        model.hidden(ALONG),
        model.tables(profile),
        weights,
        model.scratch(bits, 1, ALONG),
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
    model: MultiscaleModel,
    where: str,
    content: bytes,
    profile: int,
    weights: blend.Weights,
    alone: U32,
) -> U32:
    """Do what `_walk` does, with the network in PyTorch."""
    from lmarc.codec.neural_torch import scores_of

    assert model.neural is not None
    freqs = mixture_freqs(model.ngram, content, profile, alone)
    corrections, outs = scores_of(elsewhere(model.neural, where), content, freqs)
    return _along(model, content, profile, weights, freqs, corrections, outs, None)


def _along(
    model: MultiscaleModel,
    content: bytes,
    profile: int,
    weights: blend.Weights,
    freqs: U16,
    corrections: npt.NDArray[np.int32],
    outs: npt.NDArray[np.int16],
    shares: U16 | None,
) -> U32:
    """Return the steps of a chunk of which mixture and network have been asked; fill `shares`."""
    bits, match_bits = table_bits(len(content))
    state = thread_scratch().state(bits, match_bits)
    steps = np.empty(2 * len(content), np.uint32)
    multiscale.blend_along(
        model.tables(profile),
        weights,
        model.scratch(bits, 1, ALONG),
        state.cursor,
        state.fields,
        np.frombuffer(content + b"\0", np.uint8),
        freqs.reshape(-1),
        corrections.reshape(-1),
        outs.reshape(-1).view(np.int32),
        bits,
        steps,
        np.empty(0, np.uint16) if shares is None else shares.reshape(-1),
    )
    return steps


def blended_freqs(model: MultiscaleModel, content: bytes, profile: int, mixture: U16) -> U16:
    """Return the freqs over `content` of a blend without a network: uint16, shape (size, 2, 16).

    `mixture`, of that shape too, has those of the n-gram mixture.
    """
    freqs = np.empty_like(mixture)
    none = np.zeros(mixture.shape, np.int32), np.zeros((len(content), 0), np.int16)
    _along(model, content, profile, model.weights(profile), mixture, *none, freqs)
    return freqs


def _model_of(model: ModelRef | None) -> MultiscaleModel:
    if model is None:
        return registry.multiscale_model(registry.shipped("multiscale"))
    return registry.multiscale_model(model.sha256, model.data, model.path, model.size)


CODEC: Final = EitherCodec(
    CodecNumber.MULTISCALE,
    "multiscale",
    ModelKind.MULTISCALE,
    model_of=_model_of,
    compress=compress_with,
    decompress=decompress_together,
    compress_either=compress_either,
)
