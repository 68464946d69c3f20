"""Patterns on member names: what to leave out of an archive, and what to take out of one.

In both uses `*`, `?` and `[...]` never match a `/`, `**` does, and a backslash takes the next
character as it is. Names are bytes; those that are not UTF-8 are matched through `surrogateescape`,
so `?` is one character of text and one byte of anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["Excludes", "Selection"]


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name


def _bracket(pattern: str, start: int) -> tuple[str, int]:
    """The regular expression of the class that opens before `start`, and where it ends.

    A class that is never closed is a literal `[`.
    """
    end = start
    if pattern[end : end + 1] in ("!", "^"):
        end += 1
    if pattern[end : end + 1] == "]":
        end += 1
    end = pattern.find("]", end)
    if end < 0:
        return r"\[", start
    body = pattern[start:end]
    negated = body[:1] in ("!", "^")
    # A range backwards (`[z-a]`) would be an error of `re`: it matches nothing instead.
    body = re.sub(r"([\\\[\]&~|^])", r"\\\1", body[1:] if negated else body)
    try:
        re.compile(f"[{body}]")
    except re.error:
        return r"(?!)", end + 1
    return (rf"(?!/)[^{body}]" if negated else rf"(?!/)[{body}]"), end + 1


def _translate(pattern: str) -> str:
    """The regular expression of a glob that has no `/` at either end."""
    out = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            out.append("(?:[^/]+/)*")
            at += 3
        elif pattern.startswith("**", at):
            out.append(".*")
            at += 2
        elif pattern[at] == "*":
            out.append("[^/]*")
            at += 1
        elif pattern[at] == "?":
            out.append("[^/]")
            at += 1
        elif pattern[at] == "[":
            expression, at = _bracket(pattern, at + 1)
            out.append(expression)
        elif pattern[at] == "\\" and at + 1 < len(pattern):
            out.append(re.escape(pattern[at + 1]))
            at += 2
        else:
            out.append(re.escape(pattern[at]))
            at += 1
    return "".join(out)


class Excludes:
    """Patterns of names to leave out, in the manner of bsdtar and `.gitignore`.

    A pattern matches a whole name, or the end of one from a `/` on; `/` at its start ties it to the
    start of the name, `/` at its end makes it match directories only, and `!` before it takes names
    back in. The last pattern that matches decides. What lies below an excluded directory is never
    looked at.

    Parameters
    ----------
    patterns : iterable of str or bytes
        In order. Blank ones match nothing.
    """

    def __init__(self, patterns: Iterable[str | bytes] = ()) -> None:
        # (matches, leaves out, only directories), the last pattern first
        self._rules: list[tuple[re.Pattern[str], bool, bool]] = []
        for given in patterns:
            pattern = _text(given)
            negated = pattern.startswith("!")
            pattern = pattern[negated:].removeprefix("./")
            only_directories = pattern.endswith("/")
            anchored = pattern.startswith("/")
            body = pattern.strip("/")
            if not body:
                continue
            lead = "" if anchored else "(?:.*/)?"
            rule = re.compile(lead + _translate(body), re.DOTALL)
            self._rules.insert(0, (rule, not negated, only_directories))

    def __bool__(self) -> bool:
        return bool(self._rules)

    def match(self, name: bytes, is_directory: bool) -> bool:
        """Whether the member `name` is left out."""
        text = _text(name)
        for rule, leaves_out, only_directories in self._rules:
            if only_directories and not is_directory:
                continue
            if rule.fullmatch(text):
                return leaves_out
        return False


class Selection:
    """Patterns of names to take out of an archive; none at all selects everything.

    A pattern matches from the start of a name. One that matches a directory takes all below it. A
    pattern that is exactly the name of a member selects it, whatever characters it has.

    Parameters
    ----------
    patterns : iterable of str or bytes
        `./` before and `/` behind a pattern say nothing.
    """

    def __init__(self, patterns: Iterable[str | bytes] = ()) -> None:
        self._given = [_text(pattern) for pattern in patterns]
        self._matched = [False] * len(self._given)
        self._rules = []
        for pattern in self._given:
            plain = pattern.removeprefix("./").rstrip("/")
            body = f"(?:{_translate(plain)}|{re.escape(plain)})"
            self._rules.append(re.compile(f"{body}(?:/.*)?", re.DOTALL))

    def __bool__(self) -> bool:
        return bool(self._given)

    def match(self, name: bytes) -> bool:
        """Whether the member `name` is selected."""
        if not self._rules:
            return True
        text = _text(name)
        found = False
        for at, rule in enumerate(self._rules):
            if rule.fullmatch(text):
                self._matched[at] = found = True
        return found

    def unmatched(self) -> list[str]:
        """The patterns that no name given to `match` has matched so far."""
        return [
            given for given, matched in zip(self._given, self._matched, strict=True) if not matched
        ]
