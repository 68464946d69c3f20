import struct

import pytest

from lmarc.errors import CorruptError, LimitError
from lmarc.format.limits import MAX_DICTIONARY_SIZE, MAX_MODEL_SIZE
from lmarc.format.model import ModelHeader


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        ((0, 0, 0, 0, 5), CorruptError, "Kind is 0"),
        ((0, 1, 0, 0, 5), CorruptError, "not embedded"),
        ((0, 2, 0, 0, 0), CorruptError, "Model_Size is 0"),
        ((0, 1, 2, 0, 5), CorruptError, "Model_Flags"),
        ((0, 1, 0, 1, 5), CorruptError, "Reserved"),
        ((0xFFFF, 1, 0, 0, 5), CorruptError, "Slot"),
        ((0, 1, 1, 0, MAX_DICTIONARY_SIZE + 1), LimitError, "Model_Size"),
        ((0, 2, 0, 0, MAX_MODEL_SIZE + 1), LimitError, "Model_Size"),
    ],
)
def test_unpack_rejects(
    fields: tuple[int, int, int, int, int], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        ModelHeader.unpack(struct.pack("<HBBIQ32s", *fields, bytes(32)))


def test_unpack_passes_over_unknown_kinds() -> None:
    data = struct.pack("<HBBIQ32s", 0, 9, 0, 0, 5, bytes(32))
    assert ModelHeader.unpack(data).kind == 9
