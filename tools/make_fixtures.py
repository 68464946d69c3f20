"""Write the fixtures that are missing, and their lines in `fixtures/MANIFEST.toml`.

    python tools/make_fixtures.py

A fixture that exists is never written again: what an older version made must stay readable. The
archives of `good_archives.py` and `bad_archives.py` are made from plain structs, those whose names
start with `lmarc-` by lmarc itself.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import lmarc  # noqa: E402
from tools import (  # noqa: E402
    multiscale_archives,
    neural_archives,
    ngram_archives,
    reference_decoder,
    subword_archives,
)
from tools.bad_archives import BAD  # noqa: E402
from tools.good_archives import GOOD  # noqa: E402
from tools.lmarc_archives import MADE_BY_LMARC  # noqa: E402

FIXTURES = ROOT / "fixtures"
MANIFEST = FIXTURES / "MANIFEST.toml"
HEAD = """\
# The fixtures, written by tools/make_fixtures.py and never changed.
#
# maker           what made the bytes
# members         entries that the archive holds
# listing         SHA-256 of all that it says of them (make_fixtures.listing)
# error           class that lmarc raises; the reference decoder refuses the archive too
"""


def listing(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of the rows of an entries table, as lower-case hexadecimal.

    It is taken over a line of JSON a row: a list of its values in the order of the specification's
    columns, bytes as hexadecimal, xattrs as a list of pairs.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.hex()
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return value

    digest = hashlib.sha256()
    names = reference_decoder.ENTRIES_SCHEMA.names
    for entry in entries:
        digest.update(json.dumps([plain(entry[name]) for name in names]).encode() + b"\n")
    return digest.hexdigest()


def good_lines(data: bytes) -> list[str]:
    """Return what the manifest says of a lawful archive."""
    index = reference_decoder.verify(data)
    return [f"members = {len(index.entries)}", f'listing = "{listing(index.entries)}"']


def write(path: str, maker: str, make: Callable[[], bytes], error: str | None) -> str:
    """Write a fixture and return its part of the manifest."""
    data = make()
    (FIXTURES / path).parent.mkdir(parents=True, exist_ok=True)
    (FIXTURES / path).write_bytes(data)
    lines = ["[[fixture]]", f'path = "{path}"', f'maker = "{maker}"']
    lines.append(f'sha256 = "{hashlib.sha256(data).hexdigest()}"')
    lines += good_lines(data) if error is None else [f'error = "{error}"']
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write what is missing."""
    text = MANIFEST.read_text() if MANIFEST.exists() else HEAD
    known = {fixture["path"] for fixture in tomllib.loads(text).get("fixture", [])}
    wanted: list[tuple[str, str, Callable[[], bytes], str | None]] = [
        (f"v1/{name}.lmarc", "tools/good_archives.py", make, None) for name, make in GOOD.items()
    ]
    wanted += [
        (f"v1/{name}.lmarc", "tools/ngram_archives.py", make, None)
        for name, make in ngram_archives.GOOD.items()
    ]
    wanted += [
        (f"v1/{name}.lmarc", "tools/neural_archives.py", make, None)
        for name, make in neural_archives.GOOD.items()
    ]
    wanted += [
        (f"v1/{name}.lmarc", "tools/multiscale_archives.py", make, None)
        for name, make in multiscale_archives.GOOD.items()
    ]
    wanted += [
        (f"v1/{name}.lmarc", "tools/subword_archives.py", make, None)
        for name, make in subword_archives.GOOD.items()
    ]
    wanted += [
        (f"bad/{name}.lmarc", "tools/bad_archives.py", make, error)
        for name, (error, make) in BAD.items()
    ]
    wanted += [
        (f"v1/{name}.lmarc", f"lmarc {lmarc.__version__}", make, None)
        for name, make in MADE_BY_LMARC.items()
    ]
    for path, maker, make, error in wanted:
        if path not in known:
            print(path)
            text += "\n" + write(path, maker, make, error)
            MANIFEST.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
