"""The public names are whole, sorted and real; so are those of every module that lists them."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import lmarc
from lmarc import errors

PACKAGE = Path(lmarc.__file__).parent
MODULES = sorted(
    ".".join(("lmarc", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if "__all__" in path.read_text() and "train" not in path.parts
)


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted_and_every_name_in_it_exists(name: str) -> None:
    module = importlib.import_module(name)
    # The order of ruff's RUF022: constants, then classes, then functions.
    names = list(module.__all__)
    kinds = [0 if n.isupper() else 1 if n[0].isupper() else 2 for n in names]
    assert sorted(zip(kinds, names, strict=True)) == list(zip(kinds, names, strict=True))
    assert [n for n in names if not hasattr(module, n)] == []
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", MODULES)
def test_every_public_definition_of_a_module_is_in_all(name: str) -> None:
    module = importlib.import_module(name)
    tree = ast.parse(inspect.getsource(module))
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    assert defined - set(module.__all__) == set()


def test_every_error_is_public() -> None:
    assert set(errors.__all__) <= set(lmarc.__all__)
    kinds = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.LmarcError)
    }
    assert kinds == set(errors.__all__)


def test_every_error_has_an_exit_code_of_its_own() -> None:
    codes = {name: getattr(errors, name).exit_code for name in errors.__all__}
    assert len(set(codes.values())) == len(codes)
    assert not set(codes.values()) & {0, 1, 2, 3, 130}


def test_public_names_are_documented() -> None:
    public = [getattr(lmarc, name) for name in lmarc.__all__ if name != "__version__"]
    assert [value for value in public if not inspect.getdoc(value)] == []


def test_dir_shows_the_public_names() -> None:
    assert dir(lmarc) == sorted(lmarc.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        lmarc.nonsense  # noqa: B018
