import pytest

from lmarc.archive import names as names_module
from lmarc.archive.names import DIRECTORY, FILE, SYMLINK, Names, check_name


@pytest.mark.parametrize("name", [b"a", b"a/b", b"...", b".a", b"a..", b"\xff/\n", b"x" * 255])
def test_lawful_names_pass(name: bytes) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"/a",
        b"a/",
        b"a//b",
        b".",
        b"..",
        b"a/.",
        b"./a",
        b"../a",
        b"a/../b",
        b"a\0b",
        b"x" * 256,
        b"a/" + b"x" * 256,
        b"a/" * 2048 + b"a",
    ],
)
def test_unlawful_names_do_not(name: bytes) -> None:
    with pytest.raises(ValueError, match="name"):
        check_name(name)


@pytest.mark.parametrize("recent", [1, 3, 1 << 17])
def test_clashes_are_found_however_names_are_kept(
    recent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names_module, "_RECENT", recent)
    names = Names()
    for name, entry_type in [
        (b"d", DIRECTORY),
        (b"d/f", FILE),
        (b"e/f/g", FILE),
        (b"l", SYMLINK),
        (b"e/f", DIRECTORY),
        *((b"n%d" % number, FILE) for number in range(50)),
    ]:
        assert names.clash(name, entry_type) is None, name
        names.add(name, entry_type)
    assert names.get(b"d/f") == FILE
    assert names.get(b"e/f") == DIRECTORY
    assert names.get(b"e") is None
    assert "already" in str(names.clash(b"d/f", FILE))
    assert "already" in str(names.clash(b"n7", DIRECTORY))
    assert "stand below" in str(names.clash(b"e", FILE))
    assert names.clash(b"e", DIRECTORY) is None
    assert "no directory" in str(names.clash(b"d/f/x", FILE))
    assert "no directory" in str(names.clash(b"l/x/y", FILE))
    assert names.clash(b"d/g", FILE) is None
