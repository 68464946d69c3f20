from dataclasses import replace

import pytest

from lmarc.errors import CorruptError, UnsupportedVersionError
from lmarc.format.footer import END_MAGIC, Footer

FOOTER = Footer(32, 1000, bytes(32))


def test_the_last_eight_bytes_are_end_magic() -> None:
    assert FOOTER.pack()[-8:] == END_MAGIC
    assert Footer.RECORD_SIZE == 104


@pytest.mark.parametrize(
    "footer",
    [
        replace(FOOTER, index_offset=33),
        replace(FOOTER, index_size=1001),
        replace(FOOTER, index_offset=31, index_size=1001),
        replace(FOOTER, index_offset=1000, index_size=32),
        replace(FOOTER, index_offset=2**64 - 1),
    ],
)
def test_unpack_rejects_an_index_elsewhere(footer: Footer) -> None:
    with pytest.raises(CorruptError):
        Footer.unpack(footer.pack(), offset=1032)


def test_unpack_rejects_a_wrong_end_magic() -> None:
    with pytest.raises(CorruptError, match="End_Magic"):
        Footer.unpack(FOOTER.pack()[:-1] + b"\x8c", offset=1032)


def test_unpack_refuses_newer_versions_and_required_features() -> None:
    with pytest.raises(UnsupportedVersionError, match="Version_Major"):
        Footer.unpack(replace(FOOTER, version_major=2).pack(), offset=1032)
    with pytest.raises(UnsupportedVersionError, match="bit 0 is set"):
        Footer.unpack(replace(FOOTER, required_features=1).pack(), offset=1032)
