"""The multi-scale codec gives every content back; the reference decoder reads what it writes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmarc.codec import multiscale, vectors
from lmarc.codec.base import CodecNumber, ModelKind, ModelRef
from lmarc.codec.ngram import compress_with as compress_with_mixture
from lmarc.errors import CorruptError
from lmarc.model.multiscale import MultiscaleModel
from tests import naive_multiscale, naive_neural

NETWORK = vectors.small_blend()
ALONE = naive_multiscale.random_blend(3, vectors.small_model())
WILD = naive_multiscale.random_blend(4, naive_neural.random_network(5, 16, 32))
DEEP = vectors.deep_blend()
PATCHED = vectors.patched_blend()
WILD_DEEP = naive_multiscale.random_blend(5, naive_neural.random_network(6, 16, 32, layers=3))


@pytest.mark.parametrize(
    "model",
    [NETWORK, ALONE, WILD, DEEP, WILD_DEEP, PATCHED],
    ids=["network", "alone", "wild", "deep", "wild deep", "patched"],
)
@pytest.mark.parametrize("make", [vectors.prose, vectors.records, vectors.table, vectors.noise])
def test_the_reference_decoder_reads_what_is_written(model: MultiscaleModel, make: Any) -> None:
    content = make("blend", 300)
    payload = multiscale.compress_with(model, content)
    assert multiscale.decompress_with(model, payload, len(content)) == content
    assert naive_multiscale.decoded(model, payload, len(content)) == content


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_come_back(content: bytes) -> None:
    for model in (NETWORK, WILD, WILD_DEEP):
        payload = multiscale.compress_with(model, content)
        assert multiscale.decompress_with(model, payload, len(content)) == content


@pytest.mark.parametrize("primer", [b"", vectors.prose("before", 200)], ids=["", "primer"])
@pytest.mark.parametrize(
    "model", [NETWORK, ALONE, DEEP, PATCHED], ids=["network", "alone", "deep", "patched"]
)
def test_beginnings_are_decoded_as_the_whole_is(model: MultiscaleModel, primer: bytes) -> None:
    primed = model.primed(primer) if primer else model
    contents = [vectors.prose(str(n), size) for n, size in enumerate((700, 1, 5000, 2, 699))]
    payloads = [multiscale.compress_with(primed, content) for content in contents]
    cut_short = [*zip(payloads, map(len, contents), strict=True), (bytes(6), 90)]
    needed = [1, 1, 3000, 1, 700, 30]
    *found, empty = multiscale.decompress_together(primed, cut_short, needed)
    assert found == [c[:n] for c, n in zip(contents, needed[:-1], strict=True)]
    assert empty == multiscale.decompress_together(primed, [(bytes(6), 90)], [30])[0]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200))
def test_any_payload_gives_content_or_an_error(payload: bytes, size: int) -> None:
    try:
        content = multiscale.decompress_with(NETWORK, payload, size)
    except CorruptError:
        return
    assert len(content) == size


@pytest.mark.parametrize("model", [NETWORK, DEEP, PATCHED], ids=["network", "deep", "patched"])
def test_chunks_of_all_sizes_are_decoded_together_as_alone(model: MultiscaleModel) -> None:
    contents = [vectors.prose(str(n), size) for n, size in enumerate((700, 0, 1, 5000, 699, 4096))]
    payloads = [multiscale.compress_with(model, content) for content in contents]
    damaged = bytearray(payloads[4])
    damaged[9] ^= 1
    given_ = [*zip(payloads, map(len, contents), strict=True), (bytes(damaged), 699), (b"", 3)]
    *found, bad, empty = multiscale.decompress_together(model, given_)
    assert found == contents
    assert isinstance(bad, CorruptError) or bad != contents[4]
    assert isinstance(empty, CorruptError)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what sends the network to PyTorch."""

    def send() -> None:
        monkeypatch.setattr(multiscale, "device", lambda: "torch:cpu")
        monkeypatch.setattr("lmarc.codec.jobs.device", lambda: "torch:cpu")

    return send


@pytest.mark.slow  # kernels that only PyTorch needs are compiled
@pytest.mark.parametrize("model", [NETWORK, DEEP], ids=["network", "deep"])
def test_the_network_in_pytorch_encodes_the_same_bytes(
    model: MultiscaleModel, elsewhere: Callable[[], None]
) -> None:
    contents = [vectors.prose("torch", 300), b"", vectors.records("torch", 2500)]
    expected = [multiscale.compress_with(model, content) for content in contents]
    either = multiscale.compress_either(model, contents[2])
    elsewhere()
    assert [multiscale.compress_with(model, content) for content in contents] == expected
    assert multiscale.compress_either(model, contents[2]) == either


@pytest.mark.slow
@pytest.mark.parametrize("model", [NETWORK, DEEP], ids=["network", "deep"])
def test_the_network_in_pytorch_decodes_the_same_bytes(
    model: MultiscaleModel, elsewhere: Callable[[], None]
) -> None:
    contents = [vectors.prose("torch", 300), b"", vectors.records("torch", 2500)]
    payloads = [multiscale.compress_with(model, content) for content in contents]
    elsewhere()
    pairs = list(zip(payloads, map(len, contents), strict=True))
    assert multiscale.decompress_together(model, pairs) == contents


def test_a_blend_that_only_loses_gives_way_to_the_mixture() -> None:
    arrays = {name: array.copy() for name, array in NETWORK.arrays.items()}
    # Nothing is listened to but the network, which knows nothing; and nothing is learnt.
    for name in ("sures", "bytes", "confidences", "blend_rates"):
        arrays[name][:] = 0
    arrays["sures"][..., 9] = 65_536
    deaf = MultiscaleModel(arrays, vectors.small_network())
    for size in (300, 6000):
        content = vectors.prose("deaf", size)
        number, payload = multiscale.compress_either(deaf, content)
        assert number == CodecNumber.NGRAM
        assert payload == compress_with_mixture(vectors.small_model(), content)
    number, payload = multiscale.compress_either(NETWORK, vectors.table("hearing", 6000))
    assert (number, payload) == (
        CodecNumber.MULTISCALE,
        multiscale.compress_with(NETWORK, vectors.table("hearing", 6000)),
    )


def test_chunks_do_not_learn_from_each_other() -> None:
    content = vectors.records("again", 3000)
    first = multiscale.compress_with(NETWORK, content)
    multiscale.compress_with(NETWORK, vectors.noise("between", 3000))
    assert multiscale.compress_with(NETWORK, content) == first


@pytest.mark.parametrize("name", ["rates", "limits", "sures", "bytes", "confidences", "head_rates"])
def test_every_number_counts(name: str) -> None:
    content = vectors.prose("counts", 4000)
    arrays = {key: array.copy() for key, array in NETWORK.arrays.items()}
    if name == "limits":
        arrays[name][:] = 2
    elif name == "rates":
        arrays[name][:, 0, :8] //= 2
    elif name == "head_rates":
        arrays[name][:, 1] //= 2
    else:
        arrays[name][:] += 999
    changed = MultiscaleModel(arrays, vectors.small_network())
    assert multiscale.compress_with(changed, content) != multiscale.compress_with(NETWORK, content)


def test_a_model_is_taken_from_the_archive() -> None:
    data = naive_multiscale.file_of(NETWORK)
    ref = ModelRef(int(ModelKind.MULTISCALE), hashlib.sha256(data).digest(), data)
    content = vectors.prose("ref", 500)
    payload = multiscale.CODEC.compress(content, ref)
    assert payload == multiscale.compress_with(NETWORK, content)
    assert multiscale.CODEC.decompress(payload, 500, ref) == content
    assert multiscale.CODEC.decompress_together([(payload, 500)], ref) == [content]
    assert multiscale.CODEC.compress_either(content, ref) == multiscale.compress_either(
        NETWORK, content
    )
