"""A subword model: a vocabulary, the mixture over its tokens, and the Transformer that corrects it.

spec/v1/model-file.md, section 10. Arrays in a file are in plain order, a row for each output; in
memory they are as the kernels read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lmarc.errors import ModelError
from lmarc.kernels import ngram, subword, subword_coder, transformer
from lmarc.kernels.neural import N_WEIGHTS, Joint
from lmarc.model import file
from lmarc.model.neural import MAX_RATE
from lmarc.model.ngram import PROFILE_ARRAYS, TABLES, NgramModel, aligned, read_tables
from lmarc.model.transformer import (
    MAX_EXPONENT,
    PRODUCTS,
    Sizes,
    kernel_of,
    memory_of,
    paired,
    scales_of,
)
from lmarc.model.vocabulary import LEVELS, MAX_TOKEN_SIZE, MAX_TOKENS, Vocabulary

__all__ = ["BRANCHES", "MIXTURE_ARRAYS", "SECTIONS", "SubwordModel", "shapes"]

Array = npt.NDArray[Any]

BRANCHES: Final = ("first", "second", "third")
_EXPONENTS: Final = tuple(f"{name}_exp" for name in (*PRODUCTS, *BRANCHES))
# As PROFILE_ARRAYS of an n-gram model.
MIXTURE_ARRAYS: Final[Mapping[str, tuple[str, tuple[int, ...]]]] = {
    **PROFILE_ARRAYS,
    "sets": ("<i4", (subword.N_SETS, 16)),
    "bytes": ("<i4", (subword.N_TOKEN_VECTORS, 16)),
    "confidences": ("<i4", (LEVELS, ngram.N_CONFIDENCES, 16)),
}
_NETWORK: Final = (
    "embedding",
    *(f"{name}{part}" for name in (*PRODUCTS, *BRANCHES) for part in ("", "_exp")),
    "join", "join_rate",
)  # fmt: skip
SECTIONS: Final = ("card", "sizes", "tokens", "shape", *_NETWORK, *TABLES, *MIXTURE_ARRAYS)
_SHAPE: Final = np.dtype("<u2")


def shapes(sizes: Sizes, tokens: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the type and shape of each section of the network, for so many tokens."""
    known: dict[str, tuple[str, tuple[int, ...]]] = {"embedding": ("i1", (tokens, sizes.width))}
    products: dict[str, tuple[int, ...]] = dict(sizes.shapes())
    for level, name in enumerate(BRANCHES):
        products[name] = (16 ** (level + 1), sizes.width)
    for name, shape in products.items():
        known[name] = ("i1", shape)
        known[f"{name}_exp"] = ("u1", shape[:-1])
    known["join"] = ("<i4", (subword_coder.N_SETS, N_WEIGHTS))
    known["join_rate"] = ("<i4", (1,))
    return known


class SubwordModel:
    """A model ready for the kernels; read-only and safe to share between threads.

    Parameters
    ----------
    vocabulary : Vocabulary
    mixture : NgramModel
        Its profiles have the shapes of MIXTURE_ARRAYS.
    sizes : Sizes
    arrays : mapping of str to array
        As `shapes` has them.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        mixture: NgramModel,
        sizes: Sizes,
        arrays: Mapping[str, Array],
    ) -> None:
        self.vocabulary, self.mixture, self.sizes = vocabulary, mixture, sizes
        self.arrays = dict(arrays)
        embedding = aligned(arrays["embedding"].size, np.int16)
        embedding[:] = arrays["embedding"].reshape(-1)
        self.network = subword_coder.Network(
            transformer=kernel_of(sizes, arrays),
            embedding=embedding,
            branches=paired(np.concatenate([arrays[name] for name in BRANCHES])),
            scales=scales_of(np.concatenate([arrays[f"{name}_exp"] for name in BRANCHES])),
            flags=vocabulary.flags,
            starts=vocabulary.starts,
            text=vocabulary.text,
        )

    @property
    def multiply_adds(self) -> int:
        """Products that the network takes for a token."""
        return self.sizes.multiply_adds + LEVELS * 16 * self.sizes.width

    def memory(self, rows: int, sequences: int = 1) -> transformer.Memory:
        """Return memory for some tokens at a time, of some chunks."""
        return memory_of(self.sizes, rows, sequences)

    def joint(self) -> Joint:
        """Return a fresh copy of the weights that join mixture and network."""
        weights = aligned(subword_coder.N_SETS * N_WEIGHTS, np.int32)
        weights[:] = self.arrays["join"].reshape(-1)
        rate = aligned(1, np.int32)
        rate[:] = self.arrays["join_rate"]
        names = ("freqs", "sums", "scratch", "mixed", "corrections")
        return Joint(
            weights=weights,
            rate=rate,
            chosen=np.zeros(1, np.int32),
            **{name: aligned(16, np.int32) for name in names},
        )

    @classmethod
    def parse(cls, data: bytes | memoryview) -> SubwordModel:
        """Return the model that a file holds.

        Raises
        ------
        ModelError
            When the file is no subword model, or its parts do not fit each other.
        """
        sections = file.sections(data, file.KIND_SUBWORD)
        if tuple(sections) != SECTIONS:
            raise ModelError(
                f"subword model has sections {', '.join(sections)}; expected {', '.join(SECTIONS)}"
            )
        vocabulary = _vocabulary_of(sections)
        if sections["shape"].size != len(Sizes._fields) * _SHAPE.itemsize:
            raise ModelError("section shape of a subword model does not hold five numbers")
        sizes = Sizes(*np.frombuffer(sections["shape"].content(), _SHAPE).tolist())
        sizes.check()
        arrays = {}
        for name, (dtype, shape) in shapes(sizes, len(vocabulary.tokens)).items():
            size = np.dtype(dtype).itemsize * int(np.prod(shape))
            if sections[name].size != size:
                raise ModelError(
                    f"section {name} of a subword model holds {sections[name].size} bytes, "
                    f"expected {size}"
                )
            arrays[name] = np.frombuffer(sections[name].content(), dtype).reshape(shape)
        for name in _EXPONENTS:
            if arrays[name].max() > MAX_EXPONENT:
                raise ModelError(f"section {name} of a subword model exceeds {MAX_EXPONENT}")
        if not 0 <= int(arrays["join_rate"][0]) <= MAX_RATE:
            raise ModelError(f"section join_rate of a subword model exceeds {MAX_RATE}")
        mixture = NgramModel(*read_tables(sections, MIXTURE_ARRAYS))
        return cls(vocabulary, mixture, sizes, arrays)

    def pack(self, card: bytes) -> bytes:
        """Return the canonical file. `card` is the model card, JSON text."""
        known = shapes(self.sizes, len(self.vocabulary.tokens))
        sections = {
            "card": card,
            "sizes": self.vocabulary.sizes.astype(np.uint8).tobytes(),
            "tokens": self.vocabulary.text.tobytes(),
            "shape": np.array(self.sizes, _SHAPE).tobytes(),
        }
        for name in _NETWORK:
            sections[name] = self.arrays[name].astype(known[name][0]).tobytes()
        sections.update(self.mixture.table_sections(MIXTURE_ARRAYS))
        return file.pack(file.KIND_SUBWORD, sections)


def _vocabulary_of(sections: Mapping[str, file.Section]) -> Vocabulary:
    count = sections["sizes"].size
    if not 256 <= count <= MAX_TOKENS:
        raise ModelError(f"a subword model has {count} tokens, expected 256 to {MAX_TOKENS}")
    ends = np.cumsum(np.frombuffer(sections["sizes"].content(), np.uint8)).tolist()
    if sections["tokens"].size != ends[-1] or ends[-1] > MAX_TOKENS * MAX_TOKEN_SIZE:
        raise ModelError(
            f"section tokens of a subword model holds {sections['tokens'].size} bytes, "
            f"expected {ends[-1]}"
        )
    text = sections["tokens"].content()
    return Vocabulary([text[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)])
