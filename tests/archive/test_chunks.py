import hashlib
from typing import Any

import pytest

from lmarc.archive.chunks import decode_record, parse_chunk, parse_model, record_payload
from lmarc.codec.base import CodecSettings
from lmarc.codec.choose import encode_chunk
from lmarc.codec.registry import codec_by_name, model_kind, text_codec_names
from lmarc.errors import CorruptError, FormatError, ModelMismatchError, UnsupportedVersionError
from lmarc.format.chunk import ChunkHeader
from lmarc.format.model import ModelHeader
from lmarc.format.record import RecordType, pack_record
from tools import reference_decoder

CONTENT = b"content of a chunk, " * 50


def payload_of(**changes: Any) -> bytes:
    encoded = encode_chunk(CONTENT, 1, CodecSettings())
    fields = {
        "chunk_number": 3,
        "content_size": len(CONTENT),
        "content_checksum": encoded.content_checksum,
        "codec": encoded.codec,
        "model_slot": encoded.model_slot,
        "content_class": 1,
    }
    return ChunkHeader(**{**fields, **changes}).pack() + encoded.payload


def decode(payload: bytes, kinds: list[int] | None = None) -> bytes:
    header = parse_chunk(payload, 3, kinds or [], offset=77)
    return decode_record(header, payload, None, offset=77)


def test_a_chunk_comes_back() -> None:
    assert decode(payload_of()) == CONTENT


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"chunk_number": 4}, CorruptError),
        ({"content_size": 5}, CorruptError),
        ({"content_size": len(CONTENT) + 1}, CorruptError),
        ({"content_checksum": 0}, CorruptError),
        ({"codec": 0}, CorruptError),
        ({"codec": 2}, CorruptError),
        ({"codec": 60_000}, UnsupportedVersionError),
        ({"model_slot": 0}, CorruptError),
        ({"model_slot": 7}, CorruptError),
    ],
)
def test_a_chunk_that_contradicts_itself_is_refused(
    changes: dict[str, int], error: type[Exception]
) -> None:
    with pytest.raises(error, match="byte 77"):
        decode(payload_of(**changes), [1])


@pytest.mark.parametrize("name", text_codec_names()[1:])
def test_a_codec_takes_models_of_its_own_kind_alone(name: str) -> None:
    codec, kind = codec_by_name(name).number, int(model_kind(name))
    assert kind in reference_decoder.MODEL_KINDS[codec]
    payload = payload_of(codec=codec, model_slot=0)
    assert parse_chunk(payload, 3, [kind], offset=77).codec == codec
    with pytest.raises(CorruptError, match=f"needs a model of kind {kind}.*, Model_Slot gives 9"):
        parse_chunk(payload, 3, [9], offset=77)


def test_a_model_comes_back() -> None:
    data = b"a dictionary"
    header = ModelHeader(2, 1, True, len(data), hashlib.sha256(data).digest())
    assert parse_model(header.pack() + data, 2, offset=0)[1].data == data
    external = ModelHeader(2, 2, False, 1000, bytes(32))
    assert parse_model(external.pack(), 2, offset=0)[1].data is None
    for payload, slot, error in (
        (header.pack() + data, 1, CorruptError),
        (header.pack() + data[:-1], 2, CorruptError),
        (header.pack() + data + b"x", 2, CorruptError),
        (external.pack() + b"x", 2, CorruptError),
        (header.pack() + data.upper(), 2, ModelMismatchError),
    ):
        with pytest.raises(error):
            parse_model(payload, slot, offset=0)


def test_a_record_must_be_of_its_type_and_archive() -> None:
    record = pack_record(RecordType.CHUNK, payload_of(), 5)
    assert bytes(record_payload(record, RecordType.CHUNK, 5, offset=0)) == payload_of()
    for kind, tag in ((RecordType.MODEL, 5), (RecordType.CHUNK, 6)):
        with pytest.raises(FormatError):
            record_payload(record, kind, tag, offset=0)
