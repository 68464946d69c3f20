"""The archives of `fixtures/v1` that lmarc itself makes, for what its writer does."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import lmarc
from tools.craft_ngram import pack_model, place, profile_sections, rows_of
from tools.good_archives import text

SECOND = 10**9  # ns
OWNER = (1000, 1000, b"user", b"group")

Fill = Callable[[Path], None]


def tree(folder: Path) -> None:
    """Fill a folder with every type that lmarc archives."""
    (folder / "folder" / "deeper").mkdir(parents=True, mode=0o755)
    (folder / "folder" / "text").write_bytes(text(20, 6000))
    (folder / "folder" / "small").write_bytes(text(21, 60))
    (folder / "folder" / "deeper" / "numbers").write_bytes(bytes(range(256)) * 8)
    (folder / "folder" / "deeper" / "noise").write_bytes(random.Random(22).randbytes(3000))
    (folder / "empty").write_bytes(b"")
    (folder / "soft").symlink_to("folder/text")
    os.link(folder / "folder" / "text", folder / "hard")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe")).write_bytes(b"not UTF-8")
    with (folder / "sparse").open("wb") as file:
        file.seek(1 << 16)
        file.write(b"data behind a hole")
        file.truncate(1 << 18)


def texts(folder: Path) -> None:
    """Fill a folder with texts of the same lines in other orders, so that a dictionary pays."""
    choose = random.Random(23)
    lines = [f"{choose.randbytes(30).hex()} {text(seed, 40).decode()}\n" for seed in range(40, 90)]
    for number in range(70):
        (folder / f"{number:03}.txt").write_text("".join(choose.sample(lines, 38)))


def create(fill: Fill, **options: object) -> Callable[[], bytes]:
    """Return what makes an archive of a folder; every time is a whole number of seconds."""

    def make() -> bytes:
        with tempfile.TemporaryDirectory() as place:
            folder, archive = Path(place, "tree"), Path(place, "archive.lmarc")
            folder.mkdir()
            fill(folder)
            paths = sorted(folder.rglob("*"), reverse=True)
            for number, path in enumerate(paths):
                time = (1_600_000_000 + number) * SECOND
                os.utime(path, ns=(time, time), follow_symlinks=False)
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() else 0o640)
            given = {"directory": folder, "preset": "fast", "owner": OWNER, "jobs": 1} | options
            names = sorted(os.listdir(os.fsencode(folder)))
            lmarc.create(str(archive), names, **given)  # type: ignore[arg-type]
            return archive.read_bytes()

    return make


def little_texts(folder: Path) -> None:
    """Fill a folder with little text, because the reference decoder is slow with it."""
    (folder / "prose").write_bytes(text(52, 400))
    (folder / "lines").write_bytes(b"".join(b"%d,%s\n" % (n, text(n, 9)) for n in range(24)))
    (folder / "numbers").write_bytes(bytes(range(256)) * 8)


def with_model() -> bytes:
    """Return an archive of text that the n-gram codec coded, with a model inside."""
    rows = place(rows_of(text(53, 300)), 200)
    model = pack_model({"card": b'{"name": "little"}', **rows, **profile_sections()})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "little.lmmodel")
        path.write_bytes(model)
        return create(little_texts, preset="balanced", model=path, embed_model=True)()


def appended() -> bytes:
    """Return an archive that was appended to twice."""
    with tempfile.TemporaryDirectory() as place:
        archive = str(Path(place, "archive.lmarc"))
        with lmarc.Writer(archive, jobs=1, preset="fast") as writer:
            writer.add_bytes("first", text(30, 3000), mtime=SECOND)
        for number, name in enumerate(("second", "third")):
            with lmarc.appender(archive, jobs=1, preset="fast") as writer:
                writer.add_bytes(name, text(31 + number, 3000), mtime=2 * SECOND)
        return Path(archive).read_bytes()


def json_lines(folder: Path) -> None:
    """Fill a folder with JSON lines of several pieces, an empty file and a text that is none."""
    rows = "".join(f'{{"number": {n}, "text": "{text(n, n % 60).decode()}"}}\n' for n in range(300))
    (folder / "rows.jsonl").write_text(rows)
    (folder / "cut.ndjson").write_text(rows[:9000])
    (folder / "empty.jsonl").write_text("")
    (folder / "lines.txt").write_text(rows[:5000])


MADE_BY_LMARC: dict[str, Callable[[], bytes]] = {
    "lmarc-tree": create(tree),
    "lmarc-small-chunks": create(tree, chunk_size=4096, zstd_level=19),
    "lmarc-dictionary": create(texts, chunk_size=4096),
    "lmarc-appended": appended,
    "lmarc-ngram": with_model,
    "lmarc-line-index": create(json_lines, chunk_size=4096),
}
