"""Write the constants of the self-test into `lmarc/codec/selftest.py`.

They are constants of the format: they change only while no archive holds chunks of their codec.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = ROOT / "lmarc" / "codec" / "selftest.py"


def table() -> str:
    """Return the source of EXPECTED."""
    from lmarc.codec.selftest import EXPECTED, digest_of

    lines = ["EXPECTED: Final[dict[str, dict[str, str]]] = {"]
    for codec, names in EXPECTED.items():
        lines.append(f'    "{codec}": {{')
        lines += [f'        "{name}": "{digest_of(codec, name)}",' for name in names]
        lines.append("    },")
    return "\n".join([*lines, "}\n"])


def main() -> int:
    """Replace the table."""
    sys.path.insert(0, str(ROOT))
    source = HOME.read_text()
    found = re.search(r"^EXPECTED: .*?^}\n", source, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit(f"no table in {HOME}")
    HOME.write_text(source[: found.start()] + table() + source[found.end() :])
    return 0


if __name__ == "__main__":
    sys.exit(main())
