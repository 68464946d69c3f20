"""What an open archive says of its members, in the words of fsspec."""

from __future__ import annotations

import os
import posixpath
import stat
from typing import TYPE_CHECKING, Any, Final

from lmarc.errors import MemberNotFoundError
from lmarc.interop.tree import Tree

if TYPE_CHECKING:
    from lmarc.archive.member import Member
    from lmarc.archive.reader import Archive

__all__ = ["View"]

_DIRECTORY: Final = 2  # in the column `type` of `Archive.members`
_MAX_LINKS: Final = 40  # followed one after the other, as Linux does


class View:
    """An archive as it was when it was opened; nothing here waits for the storage.

    Parameters
    ----------
    archive : Archive
        Open, its index read.
    fo : str
        What its user calls it.
    """

    def __init__(self, archive: Archive, fo: str) -> None:
        self.archive = archive
        self.fo = fo
        self._tree: Tree | None = None

    @property
    def tree(self) -> Tree:
        """The archive's directories; made at the first listing."""
        if self._tree is None:
            members = self.archive.members
            names = [os.fsdecode(path) for path in members.column("path").to_pylist()]
            types = members.column("type").to_pylist()
            directories = [n for n, kind in zip(names, types, strict=True) if kind == _DIRECTORY]
            self._tree = Tree(names, directories)
        return self._tree

    def info(self, name: str) -> dict[str, Any]:
        """Describe a member or a directory that has no entry.

        Raises
        ------
        FileNotFoundError
            There is neither.
        """
        if name:
            try:
                return self._describe(name, self.archive.info(name))
            except MemberNotFoundError:
                pass
        if not name or self.tree.is_directory(name):
            return _implied(name)
        raise self._missing(name)

    def listing(self, name: str, detail: bool) -> list[Any]:
        """List a directory, or the one member with this name."""
        if self.tree.is_directory(name):
            names = self.tree.children(name)
        elif name in self.archive:
            names = [name]
        else:
            raise self._missing(name)
        return list(self._infos(names).values()) if detail else names

    def found(
        self, name: str, maxdepth: int | None, withdirs: bool, detail: bool
    ) -> list[str] | dict[str, dict[str, Any]]:
        """List everything below a directory, at most `maxdepth` levels, sorted."""
        if self.tree.is_directory(name):
            names = [name] if withdirs and name else []
            names += self.tree.below(name, maxdepth)
            if not withdirs:
                names = [child for child in names if not self.tree.is_directory(child)]
        else:
            names = [name] if name in self.archive else []
        names.sort()
        return self._infos(names) if detail else names

    def file(self, name: str) -> Member:
        """Return the file that a name stands for, links followed.

        Raises
        ------
        FileNotFoundError, IsADirectoryError
            There is none, or it is a directory.
        """
        try:
            member = self.archive.info(name) if name else None
        except MemberNotFoundError:
            member = None
        if member is not None and not member.is_dir():
            return self._follow(member)
        if member is None and not self.tree.is_directory(name):
            raise self._missing(name)
        raise IsADirectoryError(f"{name!r} is a directory in {self.fo}")

    def span(self, name: str, start: int | None, end: int | None) -> tuple[int, int, int]:
        """Return entry, position and end of what a slice of a member is."""
        file = self.file(name)
        first, last, _ = slice(start, end).indices(file.size)
        return file.number, first, max(first, last)

    def _infos(self, names: list[str]) -> dict[str, dict[str, Any]]:
        """Describe many members and directories, their rows taken together."""
        numbers = [self.archive.index.paths.find(os.fsencode(name)) for name in names]
        members = iter(self.archive.members_at([number for number in numbers if number >= 0]))
        return {
            name: self._describe(name, next(members)) if number >= 0 else _implied(name)
            for name, number in zip(names, numbers, strict=True)
        }

    def _missing(self, name: str) -> FileNotFoundError:
        return FileNotFoundError(f"no member {name!r} in {self.fo}")

    def _describe(self, name: str, member: Member) -> dict[str, Any]:
        kind = "directory" if member.is_dir() else "file"
        info: dict[str, Any] = {"name": name, "size": member.size, "type": kind}
        content = member
        if member.is_hardlink() or member.is_symlink():
            info["destination"] = os.fsdecode(member.link_target)
            info["islink"] = member.is_symlink()
            try:
                content = self._follow(member)
            except FileNotFoundError:
                info["type"] = "link"
            info["size"] = content.size
        info["mode"] = member.mode | (stat.S_IFDIR if kind == "directory" else stat.S_IFREG)
        info["mtime"] = member.mtime / 1e9
        info["mtime_ns"] = member.mtime
        info |= {"uid": member.uid, "gid": member.gid}
        if content.is_file():
            info["sha256"] = content.sha256.hex()
        return info

    def _follow(self, member: Member) -> Member:
        """Return the file that a member is or leads to, within the archive."""
        for _ in range(_MAX_LINKS):
            if member.is_file():
                return member
            if member.is_hardlink():
                member = self.archive.info(member.link_target)
            elif member.is_symlink():
                folder, _, _ = member.path.rpartition(b"/")
                target = posixpath.normpath(posixpath.join(folder, member.link_target))
                if target.startswith((b"/", b"../")):
                    break
                member = self.archive.info(target)
            else:
                break
        raise FileNotFoundError(f"{member.name!r} leads to no file in {self.fo}")


def _implied(name: str) -> dict[str, Any]:
    """Describe a directory that has no entry."""
    return {"name": name, "size": 0, "type": "directory"}
