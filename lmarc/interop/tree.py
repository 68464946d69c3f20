"""The directories of an archive as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["Tree"]


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
