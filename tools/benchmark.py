"""Print measured figures of lmarc and its peers: `python tools/benchmark.py COMMAND --help`.

Each module of `tools/benchmarks` is a command: its docstring says what it measures, it has
`add_arguments(parser)` and `run(options) -> exit code`.
"""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent / "benchmarks"


def commands() -> list[str]:
    """Return the names of the commands there are."""
    return sorted(m.name for m in pkgutil.iter_modules([str(FOLDER)]) if m.name[0] != "_")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark; return its exit code."""
    sys.path.insert(0, str(FOLDER.parent.parent))
    parser = argparse.ArgumentParser(description=__doc__)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in commands():
        module = importlib.import_module(f"tools.benchmarks.{name}")
        summary = (module.__doc__ or "").split("\n\n")[0]
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
