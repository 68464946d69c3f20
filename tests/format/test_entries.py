import pytest

from lmarc.errors import LimitError
from lmarc.format.entries import EntriesHeader
from lmarc.format.limits import MAX_GROUP_CONTENT


def test_unpack_limits_the_chunks_of_a_group() -> None:
    with pytest.raises(LimitError):
        EntriesHeader.unpack(EntriesHeader(0, 0, MAX_GROUP_CONTENT + 1).pack())
