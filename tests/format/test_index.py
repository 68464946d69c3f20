import pytest

from lmarc.errors import LimitError
from lmarc.format.index import IndexHeader
from lmarc.format.limits import MAX_MODELS


def test_unpack_limits_the_models() -> None:
    with pytest.raises(LimitError):
        IndexHeader.unpack(IndexHeader(0, 0, 0, MAX_MODELS + 1).pack())
