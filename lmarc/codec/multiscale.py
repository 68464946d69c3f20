"""The multi-scale codec: n-gram mixture and byte network, blended with contexts of larger scales.

spec/v1/multiscale.md. A payload is that of the n-gram codec: the profile's number, the state, the
words. Encoder and decoder run the same step function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lmarc.codec.base import CodecNumber, ModelKind, ModelRef
from lmarc.codec.device import device
from lmarc.codec.jobs import EitherCodec, Job, decode_jobs, either, joined, only, rows_for
from lmarc.codec.neural import ALONG, elsewhere, mixture_freqs
from lmarc.codec.ngram import choose_profile, pack_payload, primer_profile, table_bits
from lmarc.codec.priming import Begun, primed_text
from lmarc.errors import CorruptError
from lmarc.kernels import blend, lanes, multiscale, multiscale_lanes, network, ngram
from lmarc.model import registry
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.ngram import thread_scratch

__all__ = [
    "CODEC", "blended_freqs", "compress_either", "compress_with", "decompress_together",
    "decompress_with", "model_steps", "profile_for",
]  # fmt: skip

# Bytes of a chunk after which a blend that has not paid is left: it still learns where a network
# alone has shown what it is worth.
TRIAL: Final = 32768

Array = npt.NDArray[Any]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]


def compress_with(model: MultiscaleModel, content: bytes) -> bytes:
    """Return the payload of `content`."""
    profile = profile_for(model, content)
    return pack_payload(profile, model_steps(model, content, profile))


def profile_for(model: MultiscaleModel, content: bytes) -> int:
    """Return the profile to code `content` with: the primer's where there is one."""
    return _BEGUN.profile(model) if model.primer else choose_profile(model.ngram, content)


def compress_either(model: MultiscaleModel, content: bytes) -> tuple[CodecNumber, bytes]:
    """Return the shorter payload of `content`: this codec's or, without the blend, codec 3's.

    The mixture is asked anyway, so the other payload costs nothing; a blend that has only lost by
    its TRIAL-th byte is not asked for more. Behind a primer there is no other: the mixture has
    taken it in as well, so codec 3 could not read its payload with the model below.
    """
    if model.primer:
        return CodecNumber.MULTISCALE, compress_with(model, content)

    def walk(profile: int, alone: U32) -> tuple[U32, int]:
        return _walk(model, content, profile, model.weights(profile), alone, TRIAL)

    return either(CodecNumber.MULTISCALE, model.ngram, content, walk)


def decompress_with(
    model: MultiscaleModel, payload: bytes | memoryview, content_size: int
) -> bytes:
    """Return exactly `content_size` bytes, or raise CorruptError."""
    return only(decompress_together(model, [(payload, content_size)]))


def decompress_together(
    model: MultiscaleModel,
    payloads: Sequence[tuple[bytes | memoryview, int]],
    needed: Sequence[int] | None = None,
) -> list[bytes | CorruptError]:
    """Return the contents of payloads and their sizes, an error where there is none.

    Of each the first `needed` bytes, if that is given.
    """

    def decode(given: lanes.Lanes, tables: tuple[int, int], jobs: Sequence[Job]) -> None:
        bits, match_bits = tables
        count, primed = len(jobs), len(model.primer)
        blends = multiscale_lanes.Blends(
            joined([model.tables(job.profile) for job in jobs]),
            joined([model.weights(job.profile) for job in jobs]),
            model.scratch(bits, count, 1),
        )
        where = _where(model)
        if model.neural is None or where == "cpu":
            hidden = model.hidden(rows_for(count))
            if primed:
                changed = _Memory(given.weights, given.state, blends.weights, blends.blend, hidden)
                arrays = _changed(model, count, changed)
                for lane, job in enumerate(jobs):
                    own = [array[lane : lane + 1] for array in arrays]
                    _BEGUN.restore(model, job.profile, tables, own)
            multiscale_lanes.decode(
                given, blends, model.network, hidden, bits, 32 - match_bits, primed
            )
        else:
            from lmarc.codec import neural_torch

            net = elsewhere(model.neural, where)
            neural_torch.decode_blended(net, given, blends, bits, 32 - match_bits)

    return decode_jobs(
        "multi-scale",
        model.ngram,
        payloads,
        decode,
        needed=needed,
        network=model.neural is not None,
        primer=model.primer,
    )


def _where(model: MultiscaleModel) -> str:
    """Return where the network is to run: what is kept behind a primer is for the processor."""
    return "cpu" if model.neural is None or model.primer else device()


def model_steps(
    model: MultiscaleModel, content: bytes, profile: int, weights: blend.Weights | None = None
) -> U32:
    """Return `cumfreq << 16 | freq` of each symbol of `content`: uint32, shape (2 * size,).

    `weights`, the profile's if None, learn as the chunk goes; behind a primer they are those that
    it leaves.
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
    where = _where(model)
    if where != "cpu":
        return _walk_elsewhere(model, where, content, profile, weights, alone), len(content)
    if model.primer:
        return _walk_primed(model, content, profile), len(content)
    tables = table_bits(len(content))
    changed = _memory(model, profile, tables, weights)
    return _walk_on(model, profile, tables, changed, b"", content, alone, trial)


class _Memory(NamedTuple):
    """All that goes on from one byte to the next, and more."""

    ngram_weights: ngram.Weights
    state: ngram.State
    weights: blend.Weights
    blend: blend.Blend
    hidden: network.Hidden


def _memory(
    model: MultiscaleModel, profile: int, tables: tuple[int, int], weights: blend.Weights
) -> _Memory:
    return _Memory(
        model.ngram.weights(profile),
        thread_scratch().state(*tables),
        weights,
        model.scratch(tables[0], 1, ALONG),
        model.hidden(ALONG, 1),
    )


def _walk_on(
    model: MultiscaleModel,
    profile: int,
    tables: tuple[int, int],
    changed: _Memory,
    primer: bytes,
    content: bytes,
    alone: U32,
    trial: int,
) -> tuple[U32, int]:
    """Walk over `content` behind a primer that was walked over; return what `_walk` does.

    The steps, and `alone`, have room for those of the primer first.
    """
    bits, match_bits = tables
    text = primed_text(primer, content)
    steps = np.empty(2 * (len(text) - 1), np.uint32)
    known = multiscale.model(
        model.ngram.static(profile),
        changed.ngram_weights,
        changed.state,
        model.network,
        changed.hidden,
        model.tables(profile),
        changed.weights,
        changed.blend,
        text,
        bits,
        32 - match_bits,
        np.empty(ALONG * 2 * 16, np.uint16),
        steps,
        alone,
        trial,
        len(primer),
    )
    return steps, known


def _walk_primed(model: MultiscaleModel, content: bytes, profile: int) -> U32:
    """Return the steps of `content` behind the model's primer."""
    first = len(model.primer)
    tables = table_bits(first + len(content))
    changed = _memory(model, profile, tables, model.weights(profile))
    _BEGUN.restore(model, profile, tables, _changed(model, 1, changed))
    alone = np.empty(2 * (first + len(content)), np.uint32)
    steps, _ = _walk_on(model, profile, tables, changed, model.primer, content, alone, 0)
    return steps[2 * first :]


def _primed_state(model: MultiscaleModel, profile: int, tables: tuple[int, int]) -> list[Array]:
    """Return all that a walk over the primer changes, as it is behind that."""
    changed = _memory(model, profile, tables, model.weights(profile))
    alone = np.empty(2 * len(model.primer), np.uint32)
    _walk_on(model, profile, tables, changed, b"", model.primer, alone, 0)
    return _changed(model, 1, changed)


def _changed(model: MultiscaleModel, count: int, memory: _Memory) -> list[Array]:
    """Return views of all that goes on from one byte to the next, of some chunks: (count, ...)."""
    given, hidden = memory.blend, memory.hidden
    flat: list[Array] = [
        *memory.ngram_weights, *memory.state, *memory.weights,
        given.rows, given.metas, given.head, given.chosen,
        given.shapes.cursor, given.shapes.histories,
    ]  # fmt: skip
    views = [array.reshape(count, -1) for array in flat]
    if model.neural is not None:
        n1, n2 = model.units
        rows, later = len(hidden.before) // 2, len(hidden.layers) - 1
        views.append(hidden.first.reshape(rows, n1)[:count])
        views.append(hidden.later.reshape(later, rows, n2).transpose(1, 0, 2)[:count])
        if own := hidden.patches:
            kept = (own.lengths, own.bytes, own.counts, own.given)
            views += [
                array.reshape(len(own.lengths), -1)[:count]
                for array in (*kept, own.transformer.keys, own.transformer.values)
            ]
    return views


_BEGUN: Final = Begun(_primed_state, lambda model: primer_profile(model.ngram, model.primer))


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
    return registry.multiscale_model(model.sha256, model.data, model.path, model.size, model.kind)


CODEC: Final = EitherCodec(
    CodecNumber.MULTISCALE,
    "multiscale",
    ModelKind.MULTISCALE,
    model_of=_model_of,
    compress=compress_with,
    decompress=decompress_together,
    compress_either=compress_either,
)
