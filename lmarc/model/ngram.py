"""An n-gram model in memory: buckets of static rows, and the profiles that chunks start from.

spec/v1/model-file.md says how the arrays stand in the file, spec/v1/ngram.md what they mean.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.errors import ModelError
from lmarc.kernels import contexts, match, ngram
from lmarc.model import file

__all__ = [
    "MAX_BUCKETS",
    "MAX_PROFILES",
    "PROFILE_ARRAYS",
    "RANGES",
    "TABLES",
    "NgramModel",
    "Scratch",
    "aligned",
    "filled",
    "flat",
    "read_tables",
    "thread_scratch",
]

# Section -> dtype and shape of one profile's part.
PROFILE_ARRAYS: Final[Mapping[str, tuple[str, tuple[int, ...]]]] = {
    "rates": ("<i4", (2, ngram.N_COUNTS)),
    "limits": ("<i4", (16,)),
    "mixer_rates": ("<i4", (32,)),
    "sets": ("<i4", (ngram.N_SETS, 16)),
    "bytes": ("<i4", (ngram.N_BYTE_VECTORS, 16)),
    "confidences": ("<i4", (2, ngram.N_CONFIDENCES, 16)),
    "hits": ("<i4", (match.N_LENGTHS,)),
}
# Values that keep the kernels inside their arrays, and 16-bit factors inside 16 bits.
RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "rates": (0, 65535),
    "limits": (1, ngram.COUNT_MASK),
    "mixer_rates": (0, 4095),
    "hits": (0, 65535),
}
MAX_SHARE: Final = 32767  # of `rates`, first half
MAX_PROFILES: Final = 256
MAX_BUCKETS: Final = 1 << 22  # 256 MiB
LINE: Final = 64  # bytes of a cache line
PAGE: Final = 1 << 21  # bytes of a large page
UNIFORM: Final = ngram.ROW_START
KEPT_STATES: Final = 3  # for a chunk, for the trials on its beginning, for several chunks

Array = npt.NDArray[Any]


class NgramModel:
    """Static tables and profiles, read-only and safe to share between threads.

    Parameters
    ----------
    buckets : uint8, shape (n_buckets, 64)
        As `lmarc.kernels.ngram` reads them.
    profiles : mapping of str to int32 arrays
        For each name of PROFILE_ARRAYS its array, the profiles along the first axis.

    Attributes
    ----------
    primer : bytes
        What stands before every chunk; nothing, but for a primed model.
    """

    def __init__(self, buckets: Array, profiles: Mapping[str, Array]) -> None:
        if buckets.ctypes.data % LINE:
            buckets = _aligned_copy(buckets)
        self._buckets = buckets.reshape(-1)
        self._buckets.flags.writeable = False
        self.profiles = dict(profiles)
        self.primer = b""
        self.profile_count = len(profiles["hits"])
        self._static = [self._static_of(number) for number in range(self.profile_count)]

    def primed(self, text: bytes) -> NgramModel:
        """Return this model with a text that stands before every chunk."""
        primed = copy.copy(self)
        primed.primer = text
        return primed

    @property
    def bucket_count(self) -> int:
        """How many buckets of 64 bytes the static tables have."""
        return len(self._buckets) // ngram.BUCKET_SIZE

    @property
    def buckets(self) -> Array:
        """The static tables: uint8, shape (64 * bucket_count,), read-only."""
        return self._buckets

    def _static_of(self, number: int) -> ngram.Static:
        rates, limits, mixer_rates = (
            flat(self.profiles[name][number]) for name in ("rates", "limits", "mixer_rates")
        )
        rates[: ngram.N_COUNTS] *= 2
        return ngram.Static(
            self._buckets,
            rates.astype(np.uint16),
            limits,
            mixer_rates,
        )

    def static(self, profile: int) -> ngram.Static:
        """Return the read-only arrays that a chunk of this profile uses."""
        return self._static[profile]

    def weights(self, profile: int) -> ngram.Weights:
        """Return a fresh copy of what a chunk of this profile starts from and changes."""
        names = ngram.Weights._fields
        return ngram.Weights(*(_aligned_copy(self.profiles[name][profile]) for name in names))

    @classmethod
    def parse(cls, data: bytes | memoryview) -> NgramModel:
        """Return the model that a file holds.

        Raises
        ------
        ModelError
            When the file is no n-gram model, or its arrays do not fit each other.
        """
        sections = file.sections(data, file.KIND_NGRAM)
        expected = ("card", *TABLES, *PROFILE_ARRAYS)
        if tuple(sections) != expected:
            found = ", ".join(sections)
            raise ModelError(f"n-gram model has sections {found}; expected {', '.join(expected)}")
        return cls(*read_tables(sections, PROFILE_ARRAYS))

    def table_sections(self, arrays: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, bytes]:
        """Return the sections that `read_tables` reads."""
        buckets = self._buckets.reshape(-1, ngram.BUCKET_SIZE)
        tags = buckets[:, :12].copy().view("<u2")
        rows = buckets[:, ngram.ROWS_AT :].reshape(len(buckets), ngram.BUCKET_ROWS, 8)
        counts = filled(rows)
        used = np.arange(ngram.BUCKET_ROWS) < counts[:, None]
        sections = {
            "counts": counts.tobytes(),
            "spills": buckets[:, 12:16].tobytes(),
            "tags": tags[used].tobytes(),
            "rows": rows[used].tobytes(),
        }
        for name, (dtype, _) in arrays.items():
            sections[name] = self.profiles[name].astype(dtype).tobytes()
        return sections

    def pack(self, card: bytes) -> bytes:
        """Return the canonical file of this model. `card` is its model card, JSON text."""
        return file.pack(file.KIND_NGRAM, {"card": card, **self.table_sections(PROFILE_ARRAYS)})


_BATCH: Final = 1 << 16  # buckets that are filled at a time
TABLES: Final = ("counts", "spills", "tags", "rows")


def aligned(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Return zeros that begin at a cache line, so that a bucket or a pair of rows is one line.

    Large arrays begin at a large page: they are read all over, and small pages cost look-ups.
    """
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    boundary = LINE if size < PAGE else PAGE
    memory = np.zeros(size + boundary, np.uint8)
    first = -memory.ctypes.data % boundary
    return memory[first : first + size].view(kind).reshape(shape)


def _aligned_copy(array: Array) -> Array:
    copy = aligned(array.size, array.dtype)
    copy[:] = array.reshape(-1)
    return copy


def flat(array: Array) -> Array:
    """Return a copy as int32 in one dimension."""
    return np.array(array, np.int32).reshape(-1)


def filled(rows: Array) -> Array:
    """Return how many slots of each bucket are in use: uint8. A used row is never all zeros."""
    used: Array = (rows != 0).any(axis=2).sum(axis=1).astype(np.uint8)
    return used


def _buckets_of(counts: Array, sections: Mapping[str, file.Section]) -> Array:
    """Return uint8, shape (n_buckets, 64). Bytes move by the row, a batch of buckets at a time."""
    buckets = aligned((len(counts), ngram.BUCKET_SIZE), np.uint8)
    every = np.ones(len(counts), np.uint8)
    _fill(buckets.view("<u2")[:, : ngram.BUCKET_ROWS], counts, sections["tags"])
    _fill(buckets.view("<u4")[:, 3:4], every, sections["spills"])
    _fill(buckets.view("<u8")[:, ngram.ROWS_AT // 8 :], counts, sections["rows"])
    return buckets


def _fill(cells: Array, counts: Array, section: file.Section) -> None:
    """Give the first `counts[n]` cells of each row `n` what a section holds for them."""

    def parts() -> Iterator[memoryview]:
        for first in range(0, len(counts), _BATCH):
            batch = slice(first, first + _BATCH)
            used = np.arange(cells.shape[1]) < counts[batch, None]
            values = np.empty(int(counts[batch].sum()), cells.dtype)
            yield values.view(np.uint8).data
            cells[batch][used] = values

    section.read_into(parts())


def read_tables(
    sections: Mapping[str, file.Section], arrays: Mapping[str, tuple[str, tuple[int, ...]]]
) -> tuple[Array, dict[str, Array]]:
    """Return buckets and profiles that a file's sections hold: what `NgramModel` takes.

    Parameters
    ----------
    sections : mapping of str to file.Section
    arrays : mapping of str to dtype and shape
        PROFILE_ARRAYS, or as many of other shapes.

    Raises
    ------
    ModelError
        When they do not fit each other.
    """
    count = sections["counts"].size
    if not 0 < count <= MAX_BUCKETS:
        raise ModelError(f"n-gram model has {count} buckets, expected 1 to {MAX_BUCKETS}")
    counts = np.frombuffer(sections["counts"].content(), np.uint8)
    total = int(counts.sum())
    sizes = {"spills": 4 * len(counts), "tags": 2 * total, "rows": 8 * total}
    for name, size in sizes.items():
        if sections[name].size != size:
            raise ModelError(
                f"section {name} of an n-gram model holds {sections[name].size} bytes, "
                f"expected {size}"
            )
    if counts.max() > ngram.BUCKET_ROWS:
        raise ModelError(
            f"section counts of an n-gram model exceeds {ngram.BUCKET_ROWS} rows a bucket"
        )
    profiles = {}
    count = sections["hits"].size // (4 * match.N_LENGTHS)
    if not 0 < count <= MAX_PROFILES:
        raise ModelError(f"n-gram model has {count} profiles, expected 1 to {MAX_PROFILES}")
    for name, (dtype, shape) in arrays.items():
        if sections[name].size != count * np.dtype(dtype).itemsize * int(np.prod(shape)):
            raise ModelError(f"section {name} of an n-gram model does not hold {count} profiles")
        array = np.frombuffer(sections[name].content(), dtype).reshape(count, *shape)
        profiles[name] = array.astype(np.int32)
    for name, (lowest, highest) in RANGES.items():
        low, high = profiles[name].min(), profiles[name].max()
        if low < lowest or high > highest:
            raise ModelError(
                f"section {name} of an n-gram model holds {low} to {high}, "
                f"expected {lowest} to {highest}"
            )
    if profiles["rates"][:, 0].max() > MAX_SHARE:
        raise ModelError(f"section rates of an n-gram model has a share above {MAX_SHARE}")
    return _buckets_of(counts, sections), profiles


class Scratch:
    """One worker's memory for dynamic tables, kept between chunks; not for two threads at once."""

    def __init__(self) -> None:
        self._states: dict[tuple[int, int, int], ngram.State] = {}
        self._weights: ngram.Weights | None = None

    def state(self, bits: int, match_bits: int, lanes: int = 1) -> ngram.State:
        """Return arrays for tables of `1 << bits` rows and `1 << match_bits` positions.

        Those of several lanes stand one after the other in each array.
        """
        key = (bits, match_bits, lanes)
        if key not in self._states:
            if len(self._states) == KEPT_STATES:
                del self._states[next(iter(self._states))]
            self._states[key] = _new_state(*key)
        return self._states[key]

    def weights(self, model: NgramModel, profile: int) -> ngram.Weights:
        """Return what `model.weights` does, in memory that the next call fills anew."""
        if self._weights is None:
            self._weights = model.weights(profile)
        else:
            for name, array in self._weights._asdict().items():
                array[:] = model.profiles[name][profile].reshape(-1)
        return self._weights


def _new_state(bits: int, match_bits: int, lanes: int) -> ngram.State:
    # A row more than the uniform one, so that pairs of rows are lines in every lane.
    rows = aligned((lanes, (ngram.N_DYNAMIC << bits) + 2, 16), np.uint16)
    rows[:, -2:] = UNIFORM
    small = {
        "keys": np.uint32, "hashes": np.uint32, "tags": np.uint16, "lines": np.uint32,
        "freqs": np.int32, "sums": np.int32, "weights": np.int16, "at": np.int32,
        "sources": np.int32, "counts": np.uint16, "confidences": np.uint16, "trust": np.int32,
        "shares": np.uint16,
    }  # fmt: skip
    return ngram.State(
        rows=rows.reshape(-1),
        metas=aligned(lanes * ngram.N_DYNAMIC << (bits - 1), np.uint32),
        positions=aligned(lanes << match_bits, np.int32),
        cursor=np.zeros(lanes * contexts.N_CURSOR, np.int64),
        fields=np.zeros(lanes * contexts.N_FIELDS, np.int32),
        matcher=np.zeros(lanes * match.N_MATCHER, np.int64),
        homes=np.zeros(lanes * ngram.N_STATIC, np.int64),
        inputs=aligned(lanes * 256, np.int16),
        chosen=np.zeros(lanes * ngram.N_CHOSEN, np.int64),
        **{name: aligned(lanes * 16, dtype) for name, dtype in small.items()},
    )


_LOCAL = threading.local()


def thread_scratch() -> Scratch:
    """Return this thread's scratch memory."""
    if not hasattr(_LOCAL, "scratch"):
        _LOCAL.scratch = Scratch()
    scratch: Scratch = _LOCAL.scratch
    return scratch
