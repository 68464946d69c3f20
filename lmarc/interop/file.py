"""A member as one of fsspec's buffered files, with the cache that its user names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsspec.spec import AbstractBufferedFile

if TYPE_CHECKING:
    from lmarc.archive.member import Member
    from lmarc.archive.reader import Archive

__all__ = ["CachedMemberFile"]


class CachedMemberFile(AbstractBufferedFile):
    """A member read through fsspec's `cache_type`; what it fetches are exact ranges.

    Parameters
    ----------
    fs : LmarcFileSystem
        Says what `info` says of the member.
    path : str
        The member.
    archive : Archive
        Where its bytes come from, also after the file system has opened another.
    member : Member
        The file there.
    **kwargs
        Those of `AbstractBufferedFile`.
    """

    def __init__(self, fs: Any, path: str, archive: Archive, member: Member, **kwargs: Any) -> None:
        self._archive = archive
        self._entry = member.number
        super().__init__(fs, path, "rb", size=member.size, **kwargs)

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._archive.read_entry(self._entry, start, max(0, end - start))
