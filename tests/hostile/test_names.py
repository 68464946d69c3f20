"""Names that would lead out of the target, and members that would go through a link."""

import os
import stat
from collections.abc import Callable

import pytest

import lmarc
from tests.hostile.arena import SECRET, Arena
from tools.craft import DIRECTORY, HARDLINK, SYMLINK, Entry, simple

Make = Callable[[Arena], list[tuple[Entry, bytes]]]


def link(path: bytes, target: bytes | os.PathLike[str]) -> tuple[Entry, bytes]:
    """Return a symbolic link."""
    return Entry(path, SYMLINK, mode=0o777, link_target=os.fsencode(target)), b""


def hard(path: bytes, target: bytes) -> tuple[Entry, bytes]:
    """Return a hard link."""
    return Entry(path, HARDLINK, link_target=target), b""


def evil(path: bytes | os.PathLike[str]) -> tuple[Entry, bytes]:
    """Return a file that would overwrite."""
    return Entry(os.fsencode(path)), b"evil"


REFUSED: dict[str, Make] = {
    "absolute path": lambda arena: [evil(arena.secret)],
    "two slashes in front": lambda arena: [evil(b"/" + os.fsencode(arena.secret))],
    "parent": lambda arena: [evil(b"../outside/secret")],
    "parent inside a path": lambda arena: [evil(b"a/../../outside/secret")],
    "parent at the end": lambda arena: [(Entry(b"a/..", DIRECTORY, mode=0o777), b"")],
    "the target itself": lambda arena: [(Entry(b".", DIRECTORY, mode=0o777), b"")],
    "empty": lambda arena: [(Entry(b"", SYMLINK, link_target=os.fsencode(arena.outside)), b"")],
    "NUL": lambda arena: [evil(b"../outside/secret\0a")],
    "symbolic link as parent": lambda arena: [link(b"a", arena.outside), evil(b"a/secret")],
    "symbolic link as grandparent": lambda arena: [
        link(b"a", arena.folder),
        evil(b"a/outside/secret"),
    ],
    "symbolic link as parent, which comes later": lambda arena: [
        evil(b"a/secret"),
        link(b"a", arena.outside),
    ],
    "directory through a symbolic link": lambda arena: [
        link(b"a", arena.outside),
        (Entry(b"a/folder", DIRECTORY, mode=0o777), b""),
    ],
    "link through a symbolic link": lambda arena: [
        link(b"a", arena.outside),
        link(b"a/new", b"secret"),
    ],
    "chain of links with empty components": lambda arena: [
        link(b"a", b"."),
        link(b"a//b", b".."),
        evil(b"a//b/outside/secret"),
    ],
    "chain of links up": lambda arena: [
        link(b"a", b"."),
        link(b"a/b", b".."),
        evil(b"a/b/outside/secret"),
    ],
    "symbolic link without target": lambda arena: [link(b"a", b"")],
    "same name as link and file": lambda arena: [link(b"a", arena.secret), evil(b"a")],
    "same name as file and link": lambda arena: [evil(b"a"), link(b"a", arena.secret)],
    "same name as directory and link": lambda arena: [
        (Entry(b"a", DIRECTORY), b""),
        link(b"a", arena.outside),
        evil(b"a/secret"),
    ],
    "member below a file": lambda arena: [evil(b"a"), evil(b"a/b")],
    "hard link to an absolute path": lambda arena: [hard(b"a", os.fsencode(arena.secret))],
    "hard link to a parent": lambda arena: [hard(b"a", b"../outside/secret")],
    "hard link to nothing": lambda arena: [hard(b"a", b"missing")],
    "hard link to a symbolic link": lambda arena: [link(b"a", arena.secret), hard(b"b", b"a")],
    "hard link through a symbolic link": lambda arena: [
        link(b"a", arena.outside),
        hard(b"b", b"a/secret"),
    ],
    "hard link to a later file": lambda arena: [hard(b"b", b"a"), evil(b"a")],
    "hard link to itself": lambda arena: [hard(b"a", b"a")],
    "hard link and a file below it": lambda arena: [evil(b"a"), hard(b"b", b"a"), evil(b"b/c")],
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_escape_by_name_is_refused(arena: Arena, case: str) -> None:
    arena.assert_refused(simple(REFUSED[case](arena)).finish())


def test_links_that_lead_out_are_made_and_never_followed(arena: Arena) -> None:
    members = [
        link(b"to-file", arena.secret),
        link(b"to-folder", arena.outside),
        link(b"up", b"../outside/secret"),
        (Entry(b"to-folder.d", DIRECTORY, mode=0o700), b""),
        (Entry(b"z", mode=0o600, mtime=1), b"z"),
    ]
    for door, made in arena.assert_contained(
        simple(members).finish(), "index", "pipe", "reference"
    ).items():
        assert made["to-folder"][-1] == str(arena.outside), door
        assert made["z"][-1] == b"z", door


def test_metadata_of_a_link_is_not_set_on_what_it_leads_to(arena: Arena) -> None:
    entry = Entry(
        b"a", SYMLINK, mode=0o777, mtime=5, link_target=os.fsencode(arena.secret), uid=1, gid=1
    )
    entry.xattrs = [(b"user.evil", b"1")]
    arena.attack(simple([entry]).finish())
    assert stat.S_IMODE(arena.secret.stat().st_mode) == arena.before["secret"][0] & 0o7777


def test_a_link_in_the_target_is_not_followed_to_a_folder(arena: Arena) -> None:
    data = simple([evil(b"a/secret"), evil(b"b")]).finish()
    for door in ("index", "pipe"):
        (arena.target(door) / "a").symlink_to(arena.outside)
    outcomes = arena.attack(data, "index", "pipe")
    for door, error in outcomes.items():
        assert isinstance(error, lmarc.UnsafePathError) or (arena.target(door) / "b").exists()


def test_metadata_of_a_directory_is_not_set_through_a_link_in_the_target(arena: Arena) -> None:
    data = simple([Entry(b"a", DIRECTORY, mode=0o777, mtime=7)]).finish()
    for door in ("index", "pipe"):
        (arena.target(door) / "a").symlink_to(arena.outside)
    arena.attack(data, "index", "pipe")


def test_a_link_in_the_target_is_replaced_and_not_written_through(arena: Arena) -> None:
    data = simple([evil(b"a")]).finish()
    for door in ("index", "pipe"):
        (arena.target(door) / "a").symlink_to(arena.secret)
    for made in arena.assert_contained(data, "index", "pipe").values():
        assert made["a"][-1] == b"evil"


def test_a_hard_link_in_the_target_is_replaced_and_not_written_through(arena: Arena) -> None:
    data = simple([evil(b"a")]).finish()
    for door in ("index", "pipe"):
        os.link(arena.secret, arena.target(door) / "a")
        made = arena.attack_linked(data, door)
        assert made["a"][-1] == b"evil"
        assert arena.secret.read_bytes() == SECRET


@pytest.mark.parametrize("keep", [False, True])
def test_a_hard_link_is_made_to_what_was_extracted_alone(arena: Arena, keep: bool) -> None:
    """The file that the link names is not wanted, and something else stands at its name."""
    archive = arena.folder / "archive.lmarc"
    archive.write_bytes(simple([(Entry(b"a"), b"content"), hard(b"b", b"a")]).finish())
    target = arena.target("index")
    (target / "a").symlink_to(arena.secret)
    with lmarc.open(str(archive)) as opened:
        opened.extract(target, globs=["b"], keep=keep)
    arena.check()
    assert (target / "b").read_bytes() == b"content"
    assert not (target / "b").is_symlink()


def test_a_kept_link_is_no_file_for_a_hard_link(arena: Arena) -> None:
    archive = arena.folder / "archive.lmarc"
    archive.write_bytes(simple([(Entry(b"a"), b"content"), hard(b"b", b"a")]).finish())
    target = arena.target("index")
    (target / "a").symlink_to(arena.secret)
    with lmarc.open(str(archive)) as opened:
        opened.extract(target, keep=True)
    arena.check()
    assert (target / "a").is_symlink()
    assert not (target / "b").exists() or (target / "b").read_bytes() == b"content"


def test_stripping_components_leads_nowhere_else(arena: Arena) -> None:
    archive = arena.folder / "archive.lmarc"
    members = [evil(b"a/b"), link(b"x/a", arena.outside), evil(b"c/d/secret")]
    archive.write_bytes(simple(members).finish())
    with lmarc.open(str(archive)) as opened:
        opened.extract(arena.target("index"), strip_components=1)
    arena.check()


def test_stripping_components_cannot_put_a_member_below_a_link(arena: Arena) -> None:
    archive = arena.folder / "archive.lmarc"
    members = [link(b"x/a", arena.outside), evil(b"y/a/secret")]
    archive.write_bytes(simple(members).finish())
    target = arena.target("index")
    try:
        with lmarc.open(str(archive)) as opened:
            opened.extract(target, strip_components=1)
    except lmarc.LmarcError:
        pass
    arena.check()
    assert arena.secret.read_bytes() == SECRET
