"""Find an archive's end: its Footer and Index, or say what stands there instead (spec §10.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lmarc.archive.source import Source
from lmarc.errors import CorruptError, FormatError, NotAnArchiveError, TruncatedError
from lmarc.format._fields import Buffer
from lmarc.format.footer import END_MAGIC, Footer
from lmarc.format.header import MAGIC, ArchiveHeader
from lmarc.format.record import RecordHeader, RecordType

__all__ = ["SUFFIX", "Ending", "complete_end", "find_ending"]

SUFFIX: Final = 65_536  # bytes of the read that opens an archive
_SMALLEST: Final = ArchiveHeader.SIZE + 128 + Footer.RECORD_SIZE


@dataclass(frozen=True)
class Ending:
    """The last Footer of an archive, and the Index record that it points to."""

    footer: Footer
    archive_tag: int
    offset: int  # of the Footer record
    index: bytes  # the whole record, not yet checked

    @property
    def size(self) -> int:
        """Bytes of the archive."""
        return self.offset + Footer.RECORD_SIZE


def find_ending(source: Source, *, incomplete: bool = False) -> Ending:
    """Read the end of an archive: one read, two where the index is larger than 64 KiB.

    Parameters
    ----------
    incomplete : bool
        Whether to take the last complete Footer where an append was interrupted.

    Raises
    ------
    NotAnArchiveError, TruncatedError, CorruptError, UnsupportedVersionError
        The bytes are no archive, or not one that this version can open.
    """
    tail, total = source.read_suffix(SUFFIX)
    if tail[-len(END_MAGIC) :] != END_MAGIC or len(tail) < _SMALLEST:
        end = _explain(source, tail, total, incomplete=incomplete)
        tail, total = source.read(max(0, end - SUFFIX), end), end
    footer_record = tail[-Footer.RECORD_SIZE :]
    offset = None if total is None else total - Footer.RECORD_SIZE
    footer, archive_tag, offset = _parse_footer(footer_record, offset)
    start = offset - (len(tail) - Footer.RECORD_SIZE)  # of the tail, in the archive
    if footer.index_offset >= start:
        index = tail[footer.index_offset - start : -Footer.RECORD_SIZE]
    else:
        index = source.read(footer.index_offset, start) + tail[: -Footer.RECORD_SIZE]
    return Ending(footer, archive_tag, offset, index)


def _parse_footer(record: Buffer, offset: int | None) -> tuple[Footer, int, int]:
    """Return Footer, tag and offset; where `offset` is not known the Footer says it."""
    view = memoryview(record)
    where = offset if offset is not None else 0
    header = RecordHeader.unpack(view[: RecordHeader.SIZE], offset=where)
    if header.record_type != RecordType.FOOTER:
        message = f"the last record is {header.record_type.name}, expected FOOTER"
        raise CorruptError(message, offset=where)
    payload = view[RecordHeader.SIZE :]
    header.check_payload(payload, offset=where)
    if offset is None:
        offset = int.from_bytes(payload[:8], "little") + int.from_bytes(payload[8:16], "little")
    return Footer.unpack(payload, offset=offset), header.archive_tag, offset


def _explain(source: Source, tail: bytes, total: int | None, *, incomplete: bool) -> int:
    """Say why the end is no Footer; return where the last complete archive ends, if asked for."""
    if not tail:
        raise NotAnArchiveError("the file is empty, an lmarc archive has 300 bytes or more")
    whole = total is not None and total <= len(tail)
    start = tail[: ArchiveHeader.SIZE] if whole else source.read(0, ArchiveHeader.SIZE)
    if start[: len(MAGIC)] != MAGIC[: len(start)]:
        message = f"it starts with {start[: len(MAGIC)]!r} and ends with {tail[-8:]!r}"
        raise NotAnArchiveError(f"{message}, an lmarc archive starts with {MAGIC!r}", offset=0)
    header = ArchiveHeader.unpack(start)
    message = f"the archive does not end with a Footer: it ends with {tail[-8:]!r}"
    if total is None or not source.local:
        raise TruncatedError(f"{message}; `lmarc recover` saves what is there")
    end = complete_end(source, total, header.archive_tag)
    if end is None:
        raise TruncatedError(f"{message}; `lmarc recover` saves what is there", offset=total)
    if not incomplete:
        raise TruncatedError(
            f"the archive ends in an append that was not completed: its last {total - end} bytes; "
            f"the archive before it is whole (open with incomplete=True), `lmarc append` goes on "
            f"from there, `lmarc recover` saves also what was appended",
            offset=end,
        )
    return end


def complete_end(source: Source, total: int, archive_tag: int) -> int | None:
    """Return the end of the last complete Footer, walking from record to record.

    None where there is none. Only headers and Footers are read. What stands behind the last Footer
    must be records, the last of them cut off; anything else is no interrupted append.
    """
    place = ArchiveHeader.SIZE
    end = None
    while place + RecordHeader.SIZE <= total:
        data = source.read(place, place + RecordHeader.SIZE)
        try:
            header = RecordHeader.unpack(data, offset=place)
            header.check_tag(archive_tag, offset=place)
        except FormatError:
            return None
        following = place + header.record_size
        if header.record_type == RecordType.FOOTER and following <= total:
            _parse_footer(source.read(place, following), place)
            end = following
        place = following
    return end
