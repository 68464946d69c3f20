"""Lower layers know nothing of higher ones, and heavy libraries stay where they belong."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lmarc

PACKAGE = Path(lmarc.__file__).parent

# Layer -> (layers of lmarc it may import, third-party packages it may import). The table of
# CONTRIBUTING.md; `lmarc` alone stands for the public names.
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "format": ({"errors"}, {"xxhash"}),
    "kernels": (set(), {"numpy", "numba", "llvmlite"}),
    "model": ({"errors", "kernels"}, {"numpy", "xxhash", "zstandard"}),
    "codec": (
        {"errors", "format", "kernels", "model"},
        {"numpy", "zstandard", "xxhash", "torch", "triton"},
    ),
    "routing": ({"errors", "codec"}, {"numpy"}),
    "archive": (
        {"errors", "format", "codec", "routing"},
        {"fsspec", "pyarrow", "numpy", "zstandard", "xxhash"},
    ),
    "interop": (
        {"lmarc", "errors", "archive"},
        {"fsspec", "pyarrow", "numpy", "torch", "dask", "mfusepy"},
    ),
    "train": (
        {"lmarc", "errors", "kernels", "model", "codec", "routing"},
        {"torch", "triton", "numpy", "numba", "pyarrow", "matplotlib", "tokenizers"},
    ),
    "cli": ({"lmarc", "errors", "train"}, {"rich"}),
}
# Modules that stand above the layers.
TOP = {"__init__": {"errors", "kernels", "codec", "archive", "interop"}, "__main__": {"cli"}}


def modules() -> Iterator[tuple[str, str, Path]]:
    """Yield layer, dotted name and path of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield parts[0], ".".join(("lmarc", *parts)).removesuffix(".__init__"), path


def imports(source: str) -> Iterator[str]:
    """Yield the dotted name of everything that a module imports, at any depth."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:  # from this layer; `ruff` keeps it from going further up
                continue
            # `from lmarc import codec` and `from lmarc import LmarcError` differ.
            for alias in node.names:
                within = node.module == "lmarc" and alias.name in LAYERS
                yield f"lmarc.{alias.name}" if within else str(node.module)


def breaches(layer: str, source: str) -> list[str]:
    """Return the imports in `source` that its layer may not have."""
    allowed, third_party = LAYERS[layer] if layer in LAYERS else (TOP[layer], set())
    found = []
    for name in imports(source):
        top, _, rest = name.partition(".")
        if top == "lmarc":
            owner = rest.split(".")[0] if rest else "lmarc"
            if owner != layer and owner not in allowed:
                found.append(name)
        elif top not in sys.stdlib_module_names and top not in third_party:
            found.append(name)
    return found


@pytest.mark.parametrize(
    ("layer", "path"),
    [(layer, path) for layer, _, path in modules()],
    ids=[n for _, n, _ in modules()],
)
def test_a_module_imports_only_from_the_layers_below_it(layer: str, path: Path) -> None:
    assert breaches(layer, path.read_text()) == []


@pytest.mark.parametrize(
    ("layer", "source", "found"),
    [
        ("codec", "import lmarc.archive.reader", ["lmarc.archive.reader"]),
        ("codec", "def late():\n    from lmarc import archive", ["lmarc.archive"]),
        ("routing", "import numba.core", ["numba.core"]),
        ("errors", "from lmarc.errors import LmarcError\nimport os.path", []),
        (
            "cli",
            "from lmarc.archive import walk\nimport lmarc\nimport rich.progress",
            ["lmarc.archive"],
        ),
    ],
)
def test_a_planted_breach_is_caught(layer: str, source: str, found: list[str]) -> None:
    assert breaches(layer, source) == found


def test_the_contributors_table_names_every_layer() -> None:
    table = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
    assert [layer for layer in LAYERS if f"| `{layer}` |" not in table] == []


@pytest.mark.parametrize(
    "program",
    [
        "import lmarc",
        "import lmarc.cli\ntry:\n    lmarc.cli.main(['--help'])\nexcept SystemExit:\n    pass",
    ],
)
def test_start_up_loads_nothing_heavy(program: str) -> None:
    heavy = "{'numba', 'torch', 'numpy', 'pyarrow', 'fsspec', 'rich'}"
    program += f"\nimport sys\nprint(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"


PUBLIC = [name for _, name, path in modules() if not path.name.startswith("_")]


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_module_has_its_test_file(module: str) -> None:
    *parents, name = module.split(".")[1:]
    tests = Path(__file__).parent.joinpath(*parents)
    assert list(tests.glob(f"test_{name}*.py")), f"no tests/{'/'.join(parents)}/test_{name}.py"
