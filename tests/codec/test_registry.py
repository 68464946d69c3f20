"""Codecs by number and name, loaded when needed."""

import subprocess
import sys

import pytest

from lmarc import UnsupportedVersionError
from lmarc.codec import registry
from lmarc.codec.base import Codec, CodecNumber


@pytest.mark.parametrize("number", sorted(registry._CODECS))
def test_every_codec_has_the_number_and_name_it_is_registered_by(number: int) -> None:
    codec = registry.codec_by_number(number)
    assert isinstance(codec, Codec)
    assert codec.number == number
    assert codec.name == registry.codec_name(number)
    assert registry.codec_by_name(codec.name) is codec


def test_an_unknown_number_is_a_newer_version() -> None:
    with pytest.raises(UnsupportedVersionError, match=r"Codec is 999, this version knows 0 \(stor"):
        registry.codec_by_number(999)
    assert registry.codec_name(999) == "codec 999"


def test_an_unknown_name_is_the_callers_slip() -> None:
    with pytest.raises(ValueError, match="codec is 'lzma', expected one of stored, zstd"):
        registry.codec_by_name("lzma")


def test_text_codecs_begin_with_zstd() -> None:
    assert registry.text_codec_names()[0] == "zstd"
    assert "stored" not in registry.text_codec_names()


def test_zstd_chunks_load_neither_numba_nor_a_model_codec() -> None:
    program = (
        "import sys\n"
        "from lmarc.codec import choose\n"
        "chunk = choose.encode_chunk(b'text ' * 99, 1, choose.settings_for('fast'))\n"
        "choose.decode_chunk(chunk.codec, chunk.payload, chunk.content_size, None)\n"
        "print(*sorted({'numba', 'torch', 'numpy', 'pyarrow', 'fsspec'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


def test_numbers_agree_with_the_registry_of_the_spec() -> None:
    assert [int(number) for number in CodecNumber] == list(range(8))
