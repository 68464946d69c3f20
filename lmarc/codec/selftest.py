"""Whether the coders of this machine give the bytes that they give everywhere.

What is coded here must decode everywhere and for ever. Fixed inputs go through the encoder and the
decoder, and what comes out is compared with constants. Writing with a coder of text runs the
shortest of them first, once in each process.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from lmarc.errors import CorruptError, SelfTestError

__all__ = ["CODECS", "EXPECTED", "Outcome", "Warm", "digest_of", "ensure", "selftest", "warmup"]

CODECS: Final = ("ngram", "neural", "subword", "multiscale")
_QUICK: Final = "prose-4095"

# Codec -> input of `lmarc.codec.vectors` -> SHA-256 of the payload, its first 16 bytes. These are
# constants of format version 1: a coder that gives others is another codec. What stands behind an
# input's name is the model: a blend that has lanes of its own, or leaves symbols to the mixture,
# or a network of more layers or with patches. Those with patches are compiled apart from the
# others, so none of them is _QUICK: no one waits for that who has no such model; and they are of
# multiscale alone, which has all of neural.
EXPECTED: Final[dict[str, dict[str, str]]] = {
    "ngram": {
        "prose-1": "23fc3508ae0bb3fd4031ade513daa1e3",
        "prose-3": "a94721d3c45e4613de56628550efee87",
        "prose-4095": "f382b0a854d8b4f31cb73badacc9d19e",
        "prose-65536": "36be4edd75b397dd4092b76e0a556d64",
        "json-8192": "d9b8fb409a5071269d1297a57d81976e",
        "csv-8192": "b0846f73ba1bcf130dfe66306e65c042",
        "chinese-8192": "e4e8d7bc7df774e10963d65c5f33574e",
        "noise-8192": "9e9b20ca47afbdad1d6ea8c73709c943",
        "zeros-4096": "b0f66adc83641586656866813fd9dd0b",
    },
    "neural": {
        "prose-4095": "5314d61b4931cb44615134973f56763b",
        "json-8192": "0d8ec2023d707491d58ecace43d74669",
        "chinese-8192": "a67db2a6f4200f71cc60fac9576da88f",
        "noise-8192": "4b471f7857805c9dcd455eee77248dbe",
        "prose-4095 deep": "fe9de62eb7d78e2c3c0b6b65e78b56be",
        "chinese-8192 deep": "a8872d7d5dcf8cfbd125441480fad7f6",
    },
    "subword": {
        "prose-4095": "b9e8185b8569ab1250e79985ed4f9f26",
        "json-8192": "6aac9f1a8a05e26e4e2ff05551edf0bb",
        "chinese-8192": "76bf334bb013d76be81eb65e65c8e27f",
        "noise-8192": "13be77001eb8c3ae27cf665a418da70b",
    },
    "multiscale": {
        "prose-4095": "09d922a0ca0cd2147a3c1351a24d5c86",
        "json-8192": "9ef1a221c006a7fdf91d779a1b1daa55",
        "csv-8192": "fd74801ad3524ba5c3d6477abc8b3dc4",
        "chinese-8192": "bf73cddd34829aa125ac5cbd8e49703a",
        "noise-8192": "a9ddbd05614c950f5563bdb684033c0b",
        "prose-4095 lanes": "340b7c3f2219e96d65f2b73e1228c945",
        "csv-8192 lanes": "22f5c0d6a0efec556aefa4264e838d5a",
        "prose-4095 doubts": "937cceed81826bc6c160f2dc5bd3f974",
        "csv-8192 doubts": "1897090f844ac10f9e1a28a77410ee19",
        "prose-4095 deep": "5b2403fa1ac645d4c2dcb6352e2334e1",
        "csv-8192 deep": "cf1f39c7527aa0efcc8310398095ac2e",
        "json-8192 patched": "f46c6376ec2406569ea1328d27f30d4a",
        "chinese-8192 patched": "c2076038a844d8d6bcfcaba5d5239e2d",
    },
}

_LOCK = threading.Lock()
_SOUND: set[str] = set()


class Outcome(NamedTuple):
    """How one vector went."""

    codec: str
    name: str
    found: str  # digest, or why there is none
    expected: str

    @property
    def ok(self) -> bool:
        """Whether what was found is what is expected."""
        return self.found == self.expected


class Warm(NamedTuple):
    """What `warmup` has done."""

    folder: str  # where machine code is kept; empty: nowhere
    kernels: int  # how many are ready
    compiled: int  # how many of them had to be compiled
    seconds: float


def digest_of(codec: str, name: str) -> str:
    """Return what names the payload of an input, coded with the small model and decoded again.

    Raises
    ------
    SelfTestError
        When decoding does not give the content.
    """
    from lmarc.codec import multiscale, neural, ngram, subword, vectors

    text, _, variant = name.partition(" ")
    content = vectors.content_of(text)
    payload: bytes
    coders: dict[str, tuple[Any, dict[str, Any]]] = {
        "ngram": (ngram, {"": vectors.small_model}),
        "neural": (neural, {"": vectors.small_network, "deep": vectors.deep_network}),
        "subword": (subword, {"": vectors.small_subword}),
        "multiscale": (
            multiscale,
            {
                "": vectors.small_blend,
                "lanes": vectors.small_lanes,
                "doubts": vectors.small_doubts,
                "deep": vectors.deep_blend,
                "patched": vectors.patched_blend,
            },
        ),
    }
    coder, models = coders[codec]
    model = models[variant]
    payload = coder.compress_with(model(), content)
    try:
        decoded = coder.decompress_with(model(), payload, len(content))
    except CorruptError:
        decoded = b""
    if decoded != content:
        raise SelfTestError(f"the {codec} coder does not decode what it has encoded")
    return hashlib.sha256(payload).hexdigest()[:32]


def selftest(names: Iterable[str] | None = None, codecs: Iterable[str] = CODECS) -> list[Outcome]:
    """Code fixed inputs with every coder of text, and compare what comes out with constants.

    Parameters
    ----------
    names : iterable of str, optional
        Which inputs; all that a coder has otherwise.
    codecs : iterable of str
        Which coders.

    Returns
    -------
    list of Outcome
        One for each coder and input.
    """
    outcomes = []
    for codec in codecs:
        for name in EXPECTED[codec] if names is None else names:
            try:
                found = digest_of(codec, name)
            except SelfTestError as exc:
                found = str(exc)
            outcomes.append(Outcome(codec, name, found, EXPECTED[codec][name]))
    return outcomes


def ensure(codec: str) -> None:
    """Raise SelfTestError unless a coder of text is sound here; looked at once in a process."""
    with _LOCK:
        if codec in _SOUND:
            return
        quick = [name for name in EXPECTED[codec] if name.startswith(_QUICK)]
        for outcome in selftest(quick, [codec]):
            if not outcome.ok:
                raise SelfTestError(
                    f"the {codec} coder does not work as specified on this machine: "
                    f"vector {outcome.name} gives {outcome.found}, expected {outcome.expected}; "
                    "see 'lmarc selftest', and write with --preset fast"
                )
        _SOUND.add(codec)


def warmup() -> Warm:
    """Compile what coding needs and unpack the model for text, and keep both.

    Nothing is done again that is kept from before.

    Returns
    -------
    Warm
        Where it is kept, how much there was to do, and how long it took.
    """
    start = time.monotonic()
    from lmarc.kernels import (
        _jit,
        lanes,
        multiscale,
        multiscale_lanes,
        neural,
        ngram,
        rans,
        subword_coder,
    )
    from lmarc.model import registry

    if not _jit.PLAIN:
        selftest([_QUICK])
    if registry.DEFAULT_NGRAM:
        registry.ngram_model(registry.shipped("ngram"))
    kernels: Any = (
        ngram.model, ngram.decode, ngram.cost, rans.encode, neural.model, lanes.decode,
        subword_coder.model, subword_coder.decode,
        multiscale.model, multiscale_lanes.decode,
    )  # fmt: skip
    missed = 0 if _jit.PLAIN else sum(kernel.compiled for kernel in kernels)
    return Warm(_jit.CACHE_FOLDER, len(kernels), missed, time.monotonic() - start)
