"""The n-gram codec: static and dynamic n-grams, matches, a mixture, rANS (spec/v1/ngram.md).

A payload is one byte, the number of the profile that the chunk starts from, the first state of one
rANS stream without up to three leading zero bytes, and its words. Encoder and decoder run the same
step function; memory is a worker's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.codec.base import CodecNumber, ModelKind, ModelRef
from lmarc.codec.priming import Begun, primed_text
from lmarc.errors import CorruptError
from lmarc.kernels import ngram, rans
from lmarc.model import registry
from lmarc.model.ngram import NgramModel, Scratch, thread_scratch

__all__ = [
    "CODEC",
    "NgramCodec",
    "choose_profile",
    "compress_with",
    "decompress_with",
    "model_steps",
    "pack_payload",
    "parse_payload",
    "primer_profile",
    "profile_for",
    "table_bits",
]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]

MAX_BITS: Final = 14
MIN_BITS: Final = 11
MIN_STATE_SIZE: Final = 5  # bytes
TRIAL: Final = 1024  # bytes of a chunk on which each profile is tried


def table_bits(content_size: int) -> tuple[int, int]:
    """Return the bits of a chunk's dynamic tables and of its match table: spec, section 5.1."""
    bits = min(max((content_size - 1).bit_length() - 1, MIN_BITS), MAX_BITS)
    return bits, bits + 2


class NgramCodec:
    """Codec 3. Safe to share between threads."""

    number: Final = int(CodecNumber.NGRAM)
    name: Final = "ngram"
    model_kind: Final = int(ModelKind.NGRAM)

    def compress(self, content: bytes, model: ModelRef | None) -> bytes:
        """Return the payload of `content` with `model`, the shipped one if None."""
        return compress_with(_model_of(model), content)

    def decompress(
        self, payload: bytes | memoryview, content_size: int, model: ModelRef | None
    ) -> bytes:
        """Return exactly `content_size` bytes, or raise CorruptError."""
        return decompress_with(_model_of(model), payload, content_size)

    def decompress_prefix(
        self,
        payload: bytes | memoryview,
        content_size: int,
        model: ModelRef | None,
        needed: int,
    ) -> bytes:
        """Return the first `needed` bytes of `content_size`, or raise CorruptError."""
        return decompress_with(_model_of(model), payload, content_size, needed)


def compress_with(model: NgramModel, content: bytes) -> bytes:
    """Return the payload of `content`."""
    profile = profile_for(model, content)
    return pack_payload(profile, model_steps(model, content, profile, thread_scratch()))


def pack_payload(profile: int, steps: U32) -> bytes:
    """Return the payload that decodes to the symbols of `steps`: uint32, shape (2 * size,)."""
    words = np.empty(len(steps) // 2 + 2, np.uint32)
    first = rans.encode(steps, words)
    state = words[first : first + 2].astype(">u4").tobytes()
    while len(state) > MIN_STATE_SIZE and state[0] == 0:
        state = state[1:]
    return bytes((profile,)) + state + words[first + 2 :].astype("<u4").tobytes()


def decompress_with(
    model: NgramModel,
    payload: bytes | memoryview,
    content_size: int,
    needed: int | None = None,
) -> bytes:
    """Return exactly `content_size` bytes, or the first `needed`; or raise CorruptError."""
    profile, words = parse_payload(payload, model)
    first = len(model.primer)
    bits, match_bits = table_bits(first + content_size)
    size = content_size if needed is None else min(needed, content_size)
    text = np.empty(first + size + 1, np.uint8)
    text[:first] = np.frombuffer(model.primer, np.uint8)
    weights, state = _start(model, profile, (bits, match_bits), thread_scratch())
    read = ngram.decode(
        model.static(profile),
        weights,
        state,
        words,
        text,
        bits,
        32 - match_bits,
        first,
        size == content_size,
    )
    if read == rans.CORRUPT or (size == content_size and read != len(words)):
        raise CorruptError(
            f"n-gram payload of {len(payload)} bytes does not decode to {content_size} bytes"
        )
    return text[first:-1].tobytes()


def parse_payload(payload: bytes | memoryview, model: NgramModel) -> tuple[int, U32]:
    """Return profile and words of a payload, the state first; or raise CorruptError."""
    if len(payload) < 1 + MIN_STATE_SIZE:
        raise CorruptError(f"n-gram payload is {len(payload)} bytes, expected 6 or more")
    profile = payload[0]
    if profile >= model.profile_count:
        raise CorruptError(f"Profile is {profile}, its model has {model.profile_count}")
    state_size = (len(payload) - 1 - MIN_STATE_SIZE) % 4 + MIN_STATE_SIZE
    state = bytes(payload[1 : 1 + state_size])
    if state_size > MIN_STATE_SIZE and state[0] == 0:
        raise CorruptError(f"State of {state_size} bytes begins with a zero that is left out")
    head = np.frombuffer(state.rjust(8, b"\0"), ">u4")
    words = np.frombuffer(payload, "<u4", offset=1 + state_size)
    return profile, np.concatenate([head, words]).astype(np.uint32)


def _model_of(model: ModelRef | None) -> NgramModel:
    if model is None:
        return registry.ngram_model(registry.shipped("ngram"))
    return registry.ngram_model(model.sha256, model.data, model.path, model.size, model.kind)


def model_steps(model: NgramModel, content: bytes, profile: int, scratch: Scratch) -> U32:
    """Return `cumfreq << 16 | freq` of each symbol of `content`: uint32, shape (2 * size,)."""
    first = len(model.primer)
    tables = table_bits(first + len(content))
    weights, state = _start(model, profile, tables, scratch)
    return _walk(model, profile, tables, weights, state, model.primer, content)[2 * first :]


def _start(
    model: NgramModel, profile: int, tables: tuple[int, int], scratch: Scratch
) -> tuple[ngram.Weights, ngram.State]:
    """Return what a chunk begins with: what is behind the primer, where there is one."""
    weights, state = scratch.weights(model, profile), scratch.state(*tables)
    if model.primer:
        _BEGUN.restore(model, profile, tables, [*weights, *state])
    return weights, state


def _walk(
    model: NgramModel,
    profile: int,
    tables: tuple[int, int],
    weights: ngram.Weights,
    state: ngram.State,
    primer: bytes,
    content: bytes,
) -> U32:
    """Walk over `content` behind a primer that was walked over; return steps, not those of that."""
    bits, match_bits = tables
    text = primed_text(primer, content)
    steps = np.empty(2 * (len(text) - 1), np.uint32)
    static = model.static(profile)
    ngram.model(static, weights, state, text, bits, 32 - match_bits, steps, len(primer))
    return steps


def _primed_state(
    model: NgramModel, profile: int, tables: tuple[int, int]
) -> Sequence[npt.NDArray[Any]]:
    """Return all that a walk over the primer changes, as it is behind that."""
    scratch = Scratch()
    weights, state = scratch.weights(model, profile), scratch.state(*tables)
    _walk(model, profile, tables, weights, state, b"", model.primer)
    return [*weights, *state]


def primer_profile(model: NgramModel, primer: bytes) -> int:
    """Return the profile that codes a primer best."""
    return choose_profile(model.primed(b""), primer)


_BEGUN: Final = Begun(_primed_state, lambda model: primer_profile(model, model.primer))


def profile_for(model: NgramModel, content: bytes) -> int:
    """Return the profile to code `content` with: the primer's where there is one."""
    return _BEGUN.profile(model) if model.primer else choose_profile(model, content)


def choose_profile(model: NgramModel, content: bytes) -> int:
    """Return the profile that codes the beginning of `content` best, the first of equals."""
    if model.profile_count == 1:
        return 0
    scratch = thread_scratch()
    part = content[: max(min(TRIAL, len(content) // 8), 256)]
    costs = [
        ngram.cost(model_steps(model, part, profile, scratch))
        for profile in range(model.profile_count)
    ]
    return costs.index(min(costs))


CODEC: Final = NgramCodec()
