"""The fsspec file system `lmarc`: an archive as a read-only tree.

`fsspec.open("lmarc://member::s3://bucket/a.lmarc")` and `fsspec.filesystem("lmarc", fo=...)` both
end here. Making a file system reads nothing; the first question opens the archive. Every byte is
read through `lmarc.Archive`, which asks the storage for exactly the chunks that a range touches, so
fsspec's own read-ahead caches are not used. Instances pickle as their arguments: unpickling reads
nothing either. An asynchronous file system can stand beside this one and share `Tree` and
`address`.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from fsspec.spec import AbstractFileSystem

import lmarc
from lmarc.errors import MemberNotFoundError

if TYPE_CHECKING:
    from lmarc.archive.member import Member
    from lmarc.archive.reader import Archive


__all__ = ["LmarcFileSystem", "Tree", "address"]

_DIRECTORY = 2  # in the column `type` of `Archive.members`
_MAX_LINKS = 40  # followed one after the other, as Linux does


def address(
    fo: str, target_protocol: str | None, target_options: Mapping[str, Any] | None
) -> tuple[str, dict[str, Any]]:
    """Return the archive's URL and storage options from what fsspec passes along a chain.

    Parameters
    ----------
    fo : str
        The archive's path or URL in the target file system.
    target_protocol : str or None
        The target file system, where `fo` does not name it.
    target_options : mapping or None
        Its arguments; with a `fo` or `target_protocol` of their own where it stands on another
        (`lmarc://member::simplecache::s3://bucket/a.lmarc`).
    """
    options = dict(target_options or {})
    if target_protocol is None:
        return fo, options
    inner_protocol = options.pop("target_protocol", None)
    if inner_protocol is None:
        return (fo if "://" in fo else f"{target_protocol}://{fo}"), options
    inner_url, inner_options = address(
        options.pop("fo", fo), inner_protocol, options.pop("target_options", None)
    )
    chained = {target_protocol: options}
    chained.update(inner_options if "::" in inner_url else {inner_protocol: inner_options})
    # A cache has the path of what it caches; an archive in between has a path of its own.
    if fo.rsplit("://", maxsplit=1)[-1] == inner_url.split("::")[0].split("://")[-1]:
        return f"{target_protocol}::{inner_url}", chained
    head = fo if "://" in fo else f"{target_protocol}://{fo}"
    return f"{head}::{inner_url}", chained


class Tree:
    """The directories of an archive, those without an entry of their own included.

    Parameters
    ----------
    names : sequence of str
        The names of all members.
    directories : sequence of str
        Those of them that are directories; they may be empty.
    """

    def __init__(self, names: Sequence[str], directories: Sequence[str] = ()) -> None:
        children: dict[str, dict[str, None]] = {"": {}}
        for name in directories:
            children.setdefault(name, {})
        for name in names:
            child = name
            while True:
                parent, _, _ = child.rpartition("/")
                known = children.get(parent)
                if known is None:
                    children[parent] = {child: None}
                elif child in known:
                    break
                else:
                    known[child] = None
                if not parent:
                    break
                child = parent
        self._children = children

    def is_directory(self, name: str) -> bool:
        """Tell whether `name` is a directory, by an entry or by what lies below it."""
        return name in self._children

    def children(self, name: str) -> list[str]:
        """Return the full names of what lies directly in a directory, sorted."""
        return sorted(self._children.get(name, ()))

    def below(self, name: str, depth: int | None = None) -> Iterator[str]:
        """Yield the full names of everything below a directory, at most `depth` levels."""
        for child in self.children(name):
            yield child
            if child in self._children and (depth is None or depth > 1):
                yield from self.below(child, None if depth is None else depth - 1)


class LmarcFileSystem(AbstractFileSystem):
    """The members of one archive, read-only.

    Parameters
    ----------
    fo : str or path
        The archive: a path, or any URL that fsspec knows.
    target_protocol : str, optional
        The file system that holds it, where `fo` is not a URL.
    target_options : dict, optional
        Arguments of that file system.
    model : path, optional
        Where to look first for a model that the archive names and does not embed.
    """

    protocol = "lmarc"
    root_marker = ""
    cachable = False

    def __init__(
        self,
        fo: Any = "",
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        model: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(self, **kwargs)
        if not isinstance(fo, str | os.PathLike) or not os.fspath(fo):
            raise ValueError(f"fo is {fo!r}, expected the path or URL of an archive")
        self.fo = os.fspath(fo)
        self._url, self._options = address(self.fo, target_protocol, target_options)
        self._model = model
        self._archive: Archive | None = None
        self._tree: Tree | None = None

    @property
    def archive(self) -> Archive:
        """The open archive."""
        if self._archive is None:
            self._archive = lmarc.open(
                self._url, storage_options=self._options or None, model=self._model
            )
        return self._archive

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

    @classmethod
    def _strip_protocol(cls, path: str | list[str]) -> Any:
        stripped = super()._strip_protocol(path)
        return stripped if isinstance(stripped, list) else stripped.strip("/")

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe a member: name, size, type, mode, mtime (seconds), uid, gid and more.

        Directories that have no entry of their own have only name, size and type.
        """
        name = self._strip_protocol(path)
        if name:
            try:
                return self._describe(name, self.archive.info(name))
            except MemberNotFoundError:
                pass
        if not name or self.tree.is_directory(name):
            return {"name": name, "size": 0, "type": "directory"}
        raise self._missing(name)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """List a directory, or the one member with this name."""
        name = self._strip_protocol(path)
        if not self.tree.is_directory(name):
            if name not in self.archive:
                raise self._missing(name)
            names = [name]
        else:
            names = self.tree.children(name)
        return [self.info(child) for child in names] if detail else names

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> list[str] | dict[str, dict[str, Any]]:
        """List everything below a directory, without reading one directory after the other."""
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        name = self._strip_protocol(path)
        if self.tree.is_directory(name):
            names = [name] if withdirs and name else []
            names += self.tree.below(name, maxdepth)
            if not withdirs:
                names = [child for child in names if not self.tree.is_directory(child)]
        else:
            names = [name] if name in self.archive else []
        names.sort()
        return {child: self.info(child) for child in names} if detail else names

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """Return the bytes `start` to `end` of a member; negative positions count from its end."""
        file = self._file(path)
        first, last, _ = slice(start, end).indices(file.size)
        return self.archive.read(file.path, first, max(0, last - first))

    def cat_ranges(
        self,
        paths: Sequence[str],
        starts: int | Sequence[int | None] | None,
        ends: int | Sequence[int | None] | None,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Return one range of each path; `max_gap` is the archive's own affair.

        An error stands in its place in the list, unless `on_error` is 'raise'.
        """
        count = len(paths)
        first = list(starts) if isinstance(starts, Sequence) else [starts] * count
        last = list(ends) if isinstance(ends, Sequence) else [ends] * count
        if not count == len(first) == len(last):
            raise ValueError(f"{count} paths, {len(first)} starts and {len(last)} ends")
        parts: list[Any] = []
        for path, start, end in zip(paths, first, last, strict=True):
            try:
                parts.append(self.cat_file(path, start, end))
            except Exception as exc:
                if on_error == "raise":
                    raise
                parts.append(exc)
        return parts

    def modified(self, path: str) -> datetime:
        """Return when a member last changed, in UTC."""
        info = self.info(path)
        if "mtime" not in info:
            raise FileNotFoundError(f"directory {info['name']!r} has no time of its own")
        return datetime.fromtimestamp(info["mtime"], UTC)

    def ukey(self, path: str) -> str:
        """Return the SHA-256 of a member: it changes when the content does."""
        return self._file(path).sha256.hex()

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> IO[bytes]:
        if mode != "rb":
            raise OSError(f"mode is {mode!r}; an archive is read-only here: use lmarc.append")
        return self.archive.open(self._file(path).path)

    def _file(self, path: str) -> Member:
        """Return the file that a path names, links followed."""
        name = self._strip_protocol(path)
        info = self.info(name)
        if info["type"] == "directory":
            raise IsADirectoryError(f"{name!r} is a directory in {self.fo}")
        return self._follow(self.archive.info(name))

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
