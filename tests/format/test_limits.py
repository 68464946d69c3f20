"""The limits that the code enforces are those of the specification and of the writer."""

from pathlib import Path

import pytest

from lmarc.format import limits
from lmarc.routing import group

SPEC = (Path(__file__).parents[2] / "spec" / "v1" / "format.md").read_text()
MIB = 1 << 20


@pytest.mark.parametrize(
    ("value", "row"),
    [
        (limits.MAX_CHUNK_CONTENT == 16 * MIB, "| content of a chunk | 16 MiB |"),
        (limits.MAX_GROUP_CONTENT == 16 * MIB, "| content of a group | 16 MiB |"),
        (limits.MAX_GROUP_ENTRIES == 65_536, "| entries that begin in a group | 65,536 |"),
        (
            limits.MAX_ENTRIES_TABLE_SIZE == 64 * MIB,
            "| table of an Entries record, decoded | 64 MiB |",
        ),
        (
            limits.MAX_TABLE_SIZE == 4 << 30
            and (limits.TABLE_ALLOWANCE, limits.MAX_TABLE_RATIO) == (65_536, 1024),
            "| table of an Index, decoded | 4 GiB, and 65,536 + 1024 ",
        ),
        (
            limits.MAX_MODELS == 65_535
            and limits.MAX_MODEL_SIZE == 1 << 30
            and limits.MAX_DICTIONARY_SIZE == 16 * MIB,
            "| models of an archive | 65,535, each 1 GiB; dictionaries 16 MiB |",
        ),
        (
            (limits.MAX_PATH, limits.MAX_COMPONENT) == (4096, 255),
            "| path; component of a path | 4096 bytes; 255 bytes |",
        ),
        (limits.MAX_LINK_TARGET == 4096, "| link_target of a symbolic link | 4096 bytes |"),
        (limits.MAX_OWNER_NAME == 255, "| user, group | 255 bytes |"),
        (
            (limits.MAX_XATTR_KEY, limits.MAX_XATTR_VALUE, limits.MAX_XATTRS) == (255, 65_536, MIB),
            "| xattrs: key; value; all of an entry | 255 bytes; 65,536 bytes; 1 MiB |",
        ),
    ],
)
def test_a_limit_is_that_of_the_specification(value: bool, row: str) -> None:
    assert value
    assert row in SPEC


def test_the_writer_packs_within_the_limits() -> None:
    assert group.MAX_CHUNK_SIZE <= limits.MAX_CHUNK_CONTENT
    assert group.GROUP_SIZE <= limits.MAX_GROUP_CONTENT
    assert group.GROUP_ENTRIES <= limits.MAX_GROUP_ENTRIES
    # An entry's rows take less than 256 bytes besides its names and attributes.
    rows = 256 * group.GROUP_ENTRIES
    assert group.GROUP_METADATA_SIZE + limits.MAX_XATTRS + rows <= limits.MAX_ENTRIES_TABLE_SIZE
