"""The command line: a module per command, imported when it is asked for.

Nothing here loads NumPy, Arrow, Numba or rich. Exit codes and the layout of `--json` are a promise,
written down in `docs/cli.md`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from lmarc.cli import render
from lmarc.errors import _without_secrets

__all__ = ["COMMANDS", "main", "parser"]

# Name -> (module with `add_arguments(parser)` and `run(arguments) -> exit code`, what it does).
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "create": ("lmarc.cli.create", "pack files and directories into a new archive"),
    "extract": ("lmarc.cli.extract", "take members out of an archive"),
    "list": ("lmarc.cli.list", "show what an archive holds"),
    "cat": ("lmarc.cli.cat", "write the content of members to standard output"),
    "append": ("lmarc.cli.append", "add files and directories to an archive"),
    "verify": ("lmarc.cli.verify", "read everything in an archive and check it"),
    "info": ("lmarc.cli.info", "show an archive's version, sizes, codecs and models"),
    "estimate": ("lmarc.cli.estimate", "reckon what archiving would cost and save"),
    "recover": ("lmarc.cli.recover", "save what is intact in a damaged archive"),
    "train": ("lmarc.cli.train", "make a model from text of your own"),
    "eval": ("lmarc.cli.eval", "see what a model makes of text"),
    "selftest": ("lmarc.cli.selftest", "check that the coders of this machine are sound"),
    "warmup": ("lmarc.cli.warmup", "compile the coders ahead of their first use"),
}

DONE: Final = 0
WARNINGS: Final = 1
USAGE: Final = 2
SYSTEM: Final = 3  # the operating system refused
BUG: Final = 70
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

_ON_DEVICES: Final = ("append", "create", "extract", "verify")
_REQUIRED: Final = "the following arguments are required: "


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        if message.startswith(_REQUIRED):  # argparse counts arguments that may be missing
            optional = {action.metavar for action in self._actions if action.nargs == "*"}
            names = message.removeprefix(_REQUIRED).split(", ")
            message = _REQUIRED + ", ".join(name for name in names if name not in optional)
        self.exit(USAGE, f"lmarc: {message} (see '{self.prog} --help')\n")


class _Command(_Parser):
    """Lets options stand between arguments: `create a.lmarc -C there this`."""

    _inside = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._inside or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._inside = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._inside = False


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import lmarc

        sys.stdout.write(f"lmarc {lmarc.__version__}\n")
        parser.exit()


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Build the parser.

    Parameters
    ----------
    only : str, optional
        The one command whose arguments are needed; all when None.
    """
    top = _Parser(
        prog="lmarc",
        description="A streaming, seekable archive for text-heavy datasets.",
        epilog="ARCHIVE is a path, a URL that fsspec knows (s3://bucket/a.lmarc) or - for a pipe."
        " 'lmarc COMMAND --help' explains a command.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and leave")
    commands = top.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Command
    )
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if only is None or name == only:
            importlib.import_module(module).add_arguments(command)
    return top


def _say(message: str) -> None:
    """One line on standard error, whatever characters it has."""
    try:
        sys.stderr.write(f"lmarc: {_without_secrets(' '.join(message.split()))}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody is listening


def _system_message(exc: OSError, options: argparse.Namespace) -> str:
    """What the operating system refused, and where."""
    names = [
        render.name(os.fsencode(name)) if isinstance(name, str | bytes | os.PathLike) else str(name)
        for name in (exc.filename, exc.filename2)
        if name not in (None, "")
    ]
    if not names:  # a write through a descriptor
        to_archive = options.command in ("create", "append") and options.archive != "-"
        names = [options.archive if to_archive else "standard output"]
    return f"{' -> '.join(names)}: {exc.strerror or str(exc) or type(exc).__name__}"


def _stop(number: int, _frame: object) -> NoReturn:
    """A polite kill cleans up as Ctrl-C does."""
    raise SystemExit(128 + number)


def _not_lost(unraisable: Any) -> None:
    """Bring back a Ctrl-C that came where Python drops exceptions, such as amid an import."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        import _thread
        import threading

        threading.Timer(0.01, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(unraisable)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        sys.unraisablehook = _not_lost
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` has it
                signal.signal(number, _stop)
        return _main(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Python would complain once more when it flushes standard output at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return BROKEN_PIPE


def _main(words: Sequence[str]) -> int:
    from lmarc import FormatError, LmarcError, ModelError, on_compile

    only = next((word for word in words if not word.startswith("-")), "")
    options = parser(only).parse_args(_joined(words))
    on_compile(None if getattr(options, "quiet", False) else _say)
    try:
        if options.command in _ON_DEVICES and options.device is not None:
            os.environ["LMARC_DEVICE"] = options.device  # for worker processes too
        module = importlib.import_module(COMMANDS[options.command][0])
        code: int = module.run(options)
        sys.stdout.flush()
    except LmarcError as exc:
        archive = getattr(options, "archive", None)
        of_archive = archive is not None and isinstance(exc, FormatError | ModelError)
        where = f"{archive}: " if of_archive else ""
        _say(f"{where}{exc}")
        return exc.exit_code
    except BrokenPipeError:
        raise
    except OSError as exc:
        _say(_system_message(exc, options))
        return SYSTEM
    except MemoryError:
        _say("out of memory")
        return SYSTEM
    except ValueError as exc:  # the library's word for an argument that makes no sense
        if getattr(options, "verbose", False):
            _bug()
        _say(str(exc))
        return USAGE
    except Exception:
        _bug()
        _say("this is a fault in lmarc, and worth a report with the lines above")
        return BUG
    return code


def _joined(words: Sequence[str]) -> list[str]:
    """Join a range that starts with a minus to its option: argparse takes it for an option."""
    joined: list[str] = []
    for word in words:
        if joined[-1:] == ["--range"] and word.startswith("-") and ":" in word:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _bug() -> None:
    import traceback

    traceback.print_exc()
