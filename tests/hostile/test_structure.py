"""Archives that lie about their own structure: no way of reading one leads out of the target."""

import pytest

import lmarc
from tests.hostile.arena import Arena
from tools.bad_archives import BAD
from tools.craft import Builder, Chunk, Piece, file, simple

# A reader at random believes the Index, one from a pipe the Entries. Only a verifier compares them.
TWO_FACES = ["index-other-name", "index-other-mode", "index-other-order", "index-extra-entry"]


@pytest.mark.parametrize("name", BAD)
def test_no_unlawful_archive_changes_what_is_outside(arena: Arena, name: str) -> None:
    _, make = BAD[name]
    arena.attack(make(), "index", "pipe", "fsspec")


@pytest.mark.parametrize("name", [name for name in BAD if name.startswith("name-")])
def test_unlawful_names_are_refused_by_every_door(arena: Arena, name: str) -> None:
    _, make = BAD[name]
    arena.assert_refused(make())


@pytest.mark.parametrize("name", TWO_FACES)
def test_an_archive_with_two_faces_is_found_out(arena: Arena, name: str) -> None:
    _, make = BAD[name]
    arena.assert_refused(make(), "reference")
    path = str(arena.folder / "archive.lmarc")
    with lmarc.open(path) as archive, pytest.raises(lmarc.CorruptError):
        archive.verify()


def two_faces() -> tuple[bytes, bytes]:
    """Return two archives that differ in the name of their one member, equal in size."""
    return tuple(  # type: ignore[return-value]
        simple([(file(name, b"abc"), b"abc")]).finish() for name in (b"good", b"evil")
    )


def test_a_second_archive_behind_the_first_is_refused(arena: Arena) -> None:
    good, evil = two_faces()
    arena.assert_refused(good + evil, "index", "fsspec", "reference")
    outcomes = arena.attack(good + evil, "pipe")
    assert outcomes["pipe"]
    assert not (arena.target("pipe") / "evil").exists()


def test_an_archive_inside_a_member_is_only_content(arena: Arena) -> None:
    _, inner = two_faces()
    builder = Builder()
    builder.group([file(b"inner", inner)], [Chunk(inner)], [Piece(0, 0, 0, len(inner))])
    for made in arena.assert_contained(builder.finish()).values():
        assert made.keys() == {".", "inner"}
        assert made["inner"][-1] == inner


def test_an_archive_that_is_the_end_of_a_file_is_refused(arena: Arena) -> None:
    good, _ = two_faces()
    arena.assert_refused(b"#!/bin/sh\nexit 1\n" + good)
