"""A multi-scale model: what a blend starts from, and the model whose scores it blends.

spec/v1/model-file.md, section 8. The model below is a neural one, or an n-gram model alone.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.errors import ModelError
from lmarc.kernels import blend, head, ngram, shapes
from lmarc.kernels.network import N_SEEN, Hidden, Network
from lmarc.model import file
from lmarc.model.neural import NeuralModel, inputs_of
from lmarc.model.ngram import MAX_SHARE, UNIFORM, NgramModel, aligned

__all__ = [
    "ALWAYS", "DOUBT_ARRAYS", "FINE", "FIRST_LANES", "PROFILE_ARRAYS", "RANGES", "SECTIONS",
    "SET_ARRAYS", "MultiscaleModel", "below",
]  # fmt: skip

Array = npt.NDArray[Any]

DIGEST_SIZE: Final = 32
# Section -> type and shape of one profile's part.
PROFILE_ARRAYS: Final[Mapping[str, tuple[str, tuple[int, ...]]]] = {
    "rates": ("<i4", (2, ngram.N_COUNTS)),
    "limits": ("<i4", (16,)),
    "blend_rates": ("<i4", (32,)),
    "head_rates": ("<i4", (2,)),
    "sures": ("<i4", (2, blend.N_SURE, 16)),
    "bytes": ("<i4", (blend.N_BYTES, 16)),
    "confidences": ("<i4", (2, blend.N_SURE // 2, blend.N_CONFIDENCES, 16)),
}
# Values that keep the kernels inside their arrays, and 16-bit factors inside 16 bits.
RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "rates": (0, 65535),
    "limits": (1, ngram.COUNT_MASK),
    "blend_rates": (0, 4095),
}
MAX_HEAD_LIMIT: Final = 65536
MAX_HEAD_RATE: Final = 255
SECTIONS: Final = ("card", "below", "units", *PROFILE_ARRAYS)
# What a model with lanes of its own has besides, and how fine its weights are.
LANES_SECTION: Final = "lanes"
SET_ARRAYS: Final[Mapping[str, tuple[str, tuple[int, ...]]]] = {
    "sets": ("<i4", (blend.N_SET_ROWS, 16))
}
# What a model has that leaves symbols to the n-gram mixture which that is sure of.
DOUBT_ARRAYS: Final[Mapping[str, tuple[str, tuple[int, ...]]]] = {"doubts": ("<i4", ())}
FINE: Final = 4
ENOUGH: Final = 65_408
ALWAYS: Final = 65_536
"""The Doubts of a model that has none: more than any freq, so that all symbols are blended."""
FIRST_LANES: Final = tuple(range(shapes.N_SHAPES))
"""The contexts of a model without lanes of its own."""


def below(sections: Mapping[str, bytes]) -> tuple[bytes, bytes | None, tuple[int, int]]:
    """Return the SHA-256 of the model below, its file if it is inside, and its network's units.

    The units are zero where it has no network.

    Raises
    ------
    ModelError
        When the sections are not those of a multi-scale model.
    """
    own = (LANES_SECTION, *SET_ARRAYS)
    lawful = (SECTIONS, (*SECTIONS, *own), (*SECTIONS, *own, *DOUBT_ARRAYS))
    if tuple(sections) not in lawful:
        raise ModelError(
            f"multi-scale model has sections {', '.join(sections)}; "
            f"expected {', '.join(SECTIONS)}, perhaps {', '.join(own)}, "
            f"and then perhaps {', '.join(DOUBT_ARRAYS)}"
        )
    if len(sections["units"]) != 4:
        raise ModelError("section units of a multi-scale model does not hold two numbers")
    n1, n2 = np.frombuffer(sections["units"], "<u2").tolist()
    inside = sections["below"]
    if len(inside) == DIGEST_SIZE:
        return inside, None, (n1, n2)
    return hashlib.sha256(inside).digest(), inside, (n1, n2)


class MultiscaleModel:
    """What a blend starts from, ready for the kernels, and the model below.

    Parameters
    ----------
    arrays : mapping of str to int32 arrays
        For each name of PROFILE_ARRAYS its array, the profiles along the first axis; with `lanes`
        those of SET_ARRAYS too, and perhaps that of DOUBT_ARRAYS.
    base : NeuralModel or NgramModel
    lanes : sequence of int, optional
        The contexts of the dynamic rows, numbers below `shapes.N_CONTEXTS`, at most
        `blend.MAX_LANES`.

    Attributes
    ----------
    primer : bytes
        What stands before every chunk; nothing, but for a primed model.
    """

    def __init__(
        self,
        arrays: Mapping[str, Array],
        base: NeuralModel | NgramModel,
        lanes: Sequence[int] | None = None,
    ) -> None:
        self.arrays = dict(arrays)
        self.primer = b""
        self.lanes = None if lanes is None else tuple(lanes)
        self._contexts = FIRST_LANES if self.lanes is None else self.lanes
        self.neural = base if isinstance(base, NeuralModel) else None
        self.ngram = base.ngram if isinstance(base, NeuralModel) else base
        self.units = (0, 0) if self.neural is None else self.neural.units
        count = len(arrays["limits"])
        self._tables = [self._tables_of(number) for number in range(count)]

    def primed(self, text: bytes) -> MultiscaleModel:
        """Return this model with a text that stands before every chunk."""
        primed = copy.copy(self)
        primed.primer = text
        return primed

    def _tables_of(self, profile: int) -> blend.Tables:
        rates, limits, blend_rates, head_rates = (
            np.array(self.arrays[name][profile], np.int32).reshape(-1)
            for name in ("rates", "limits", "blend_rates", "head_rates")
        )
        rates[: ngram.N_COUNTS] *= 2
        lanes = np.zeros(16, np.int32)
        lanes[: len(self._contexts)] = self._contexts
        own = (0, 65_536) if self.lanes is None else (FINE, ENOUGH)
        doubt = int(self.arrays["doubts"][profile]) if "doubts" in self.arrays else ALWAYS
        histories = sum({1 << k - shapes.N_SHAPES for k in self._contexts if k >= shapes.N_SHAPES})
        plan = np.array([len(self._contexts), *own, doubt, histories], np.int32)
        return blend.Tables(rates.astype(np.uint16), limits, blend_rates, head_rates, lanes, plan)

    @property
    def network(self) -> Network:
        """The network below; one without units where there is none."""
        return _NO_NETWORK if self.neural is None else self.neural.network

    @property
    def multiply_adds(self) -> int:
        """Products that a byte takes, those that learn apart."""
        network_ = 0 if self.neural is None else self.neural.multiply_adds
        return network_ + 2 * 16 * self.units[1]

    def hidden(self, rows: int, chunks: int | None = None) -> Hidden:
        """Return memory for the state of some rows, as `NeuralModel.hidden` does."""
        return _no_hidden(rows) if self.neural is None else self.neural.hidden(rows, chunks)

    def tables(self, profile: int) -> blend.Tables:
        """Return the read-only arrays that a chunk of this profile uses."""
        return self._tables[profile]

    def weights(self, profile: int) -> blend.Weights:
        """Return a fresh copy of what a chunk of this profile starts from and changes."""
        none = np.zeros((0, 16), np.int32)
        return blend.Weights(
            *(
                _flat(self.arrays[name][profile] if name in self.arrays else none)
                for name in blend.Weights._fields
            )
        )

    def scratch(self, bits: int, lanes: int = 1, rows: int = 1) -> blend.Blend:
        """Return this thread's memory for the blends of some chunks.

        Parameters
        ----------
        bits : int
            Tables have `1 << bits` rows.
        lanes : int
            Chunks; what is theirs stands one after the other in each array.
        rows : int
            Bytes of a chunk that are looked at together.
        """
        histories = max(self._contexts) >= shapes.N_SHAPES
        return _blend_scratch(bits, self.units[1], lanes, rows, len(self._contexts), histories)

    @classmethod
    def parse(
        cls, sections: Mapping[str, bytes], base: NeuralModel | NgramModel
    ) -> MultiscaleModel:
        """Return the model that a file's sections hold.

        Raises
        ------
        ModelError
            When they are not those of a multi-scale model on top of `base`.
        """
        _, _, units = below(sections)
        found = base.units if isinstance(base, NeuralModel) else (0, 0)
        if units != found:
            raise ModelError(
                f"multi-scale model is for a network of {units[0]} and {units[1]} units, "
                f"the model below has {found[0]} and {found[1]}"
            )
        count = (base.ngram if isinstance(base, NeuralModel) else base).profile_count
        lanes = None
        if LANES_SECTION in sections:
            lanes = list(sections[LANES_SECTION])
            if not 1 <= len(lanes) <= blend.MAX_LANES or max(lanes) >= shapes.N_CONTEXTS:
                raise ModelError(
                    f"section lanes of a multi-scale model holds {lanes}, expected 1 to "
                    f"{blend.MAX_LANES} numbers below {shapes.N_CONTEXTS}"
                )
        arrays = {}
        for name, (dtype, shape) in _arrays(lanes is not None, "doubts" in sections):
            if len(sections[name]) != count * np.dtype(dtype).itemsize * int(np.prod(shape)):
                raise ModelError(
                    f"section {name} of a multi-scale model does not hold {count} profiles"
                )
            arrays[name] = np.frombuffer(sections[name], dtype).reshape(count, *shape)
        for name, (lowest, highest) in RANGES.items():
            _check(name, arrays[name], lowest, highest)
        _check("rates", arrays["rates"][:, 0], 0, MAX_SHARE)
        _check("head_rates", arrays["head_rates"][:, 0], 0, MAX_HEAD_LIMIT)
        _check("head_rates", arrays["head_rates"][:, 1], 0, MAX_HEAD_RATE)
        if "doubts" in arrays:
            _check("doubts", arrays["doubts"], 1, ALWAYS)
        return cls(arrays, base, lanes)

    def pack(self, card: bytes, base: bytes) -> bytes:
        """Return the canonical file.

        Parameters
        ----------
        card : bytes
            The model card, JSON text.
        base : bytes
            The model below: its SHA-256, or its file to have it inside.
        """
        sections = {"card": card, "below": base, "units": np.array(self.units, "<u2").tobytes()}
        for name, (dtype, _) in _arrays(self.lanes is not None, "doubts" in self.arrays):
            if name in SET_ARRAYS:
                sections[LANES_SECTION] = bytes(self.lanes or ())
            sections[name] = self.arrays[name].astype(dtype).tobytes()
        return file.pack(file.KIND_MULTISCALE, sections)


def _arrays(own_lanes: bool, doubts: bool) -> list[tuple[str, tuple[str, tuple[int, ...]]]]:
    """Return name, type and shape of a model's arrays, with or without lanes and doubts."""
    return [
        *PROFILE_ARRAYS.items(),
        *(SET_ARRAYS.items() if own_lanes else ()),
        *(DOUBT_ARRAYS.items() if doubts else ()),
    ]


def _check(name: str, array: Array, lowest: int, highest: int) -> None:
    low, high = array.min(), array.max()
    if low < lowest or high > highest:
        raise ModelError(
            f"section {name} of a multi-scale model holds {low} to {high}, "
            f"expected {lowest} to {highest}"
        )


def _flat(array: Array) -> Array:
    memory = aligned(array.size, np.int32)
    memory[:] = array.reshape(-1)
    return memory


def _no_network() -> Network:
    fields: dict[str, Any] = {
        name: np.zeros(0, np.int32 if name.endswith("_scales") else np.int16)
        for name in Network._fields
        if name != "patches"
    }
    for array in fields.values():
        array.flags.writeable = False
    return Network(**fields, patches=())


_NO_NETWORK: Final = _no_network()


_NUMBERS: Final = ("first", "later", "first_out", "outs", "units_1", "units_2", "layers")


def _no_hidden(rows: int) -> Hidden:
    """Return memory for what is seen of bytes and freqs alone."""
    seen, packed = inputs_of(rows * N_SEEN)
    fields: dict[str, Any] = {
        name: np.zeros(0, np.int16 if name in _NUMBERS else np.int32) for name in Hidden._fields
    }
    fields |= {"seen": seen, "seen_packed": packed, "before": np.zeros(2 * rows, np.int64)}
    fields |= {"seen_starts": np.zeros(rows, np.int32), "patches": ()}
    return Hidden(**fields)


KEPT: Final = 3  # for a chunk, for shorter ones, for several chunks
_LOCAL = threading.local()


def _blend_scratch(
    bits: int, units: int, lanes: int, rows: int, contexts: int, histories: bool
) -> blend.Blend:
    kept: dict[tuple[int, ...], blend.Blend] = _LOCAL.__dict__.setdefault("kept", {})
    key = (bits, units, lanes, rows, contexts, histories)
    if key not in kept:
        if len(kept) == KEPT:
            del kept[next(iter(kept))]
        kept[key] = _new_blend(*key)
    return kept[key]


def _new_blend(
    bits: int, units: int, lanes: int, rows: int, contexts: int, histories: bool
) -> blend.Blend:
    tables = aligned((lanes, (contexts << bits) + 2, 16), np.uint16)
    tables[:, -2:] = UNIFORM
    weights = aligned(lanes * head.N_TABLES * units * 16, np.int16)
    small = {
        "hashes": np.uint32, "lines": np.uint32, "freqs": np.int32, "sums": np.int32,
        "shares": np.uint16, "weights": np.int16, "at": np.int32, "sources": np.int32,
        "counts": np.uint16, "confidences": np.uint16, "trust": np.int32, "scratch": np.int32,
    }  # fmt: skip
    return blend.Blend(
        shapes=shapes.Shapes(
            cursor=np.zeros(lanes * shapes.N_CURSOR, np.int64),
            histories=aligned(lanes * (shapes.N_HISTORIES << bits if histories else 0), np.uint32),
            slots=aligned(lanes * 16, np.uint32),
            mixed=aligned(lanes * 16, np.uint32),
            keys=aligned(lanes * rows * 16, np.uint32),
            seen=np.zeros(lanes * rows * shapes.N_SEEN, np.int64),
        ),
        rows=tables.reshape(-1),
        metas=aligned(lanes * ((contexts << (bits - 1)) + 16), np.uint32),
        inputs=aligned(lanes * 256, np.int16),
        chosen=np.zeros(lanes * blend.N_CHOSEN, np.int64),
        doubts=np.zeros(lanes * 2 * rows, np.int32),
        head=weights,
        head_pairs=weights.view(np.int32),
        **{name: aligned(lanes * 16, dtype) for name, dtype in small.items()},
    )
