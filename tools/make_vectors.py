"""Write the test vectors and the example of the n-gram pages of `spec/v1` into the pages.

    python tools/make_vectors.py            write them
    python tools/make_vectors.py --check    exit with 1 if a page would change

They are made with the reference decoder; `tests/test_spec_vectors.py` has the kernels and a third
implementation check them.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tools import craft_ngram, reference_decoder  # noqa: E402

PAGES = ROOT / "spec" / "v1"
NAMES = ("last", "older", "word", "last_word", "line", "line_above", "field", "field_start")
LANES = (
    "order 1",
    "order 2",
    "order 3",
    "order 4",
    "order 6",
    "word",
    "column",
    "field",
    "order 5",
    "word pair",
)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    first, *others = ["| " + " | ".join(map(str, line)) + " |" for line in (head, *rows)]
    return "\n".join([first, "|" + "---|" * len(head), *others])


def listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))


def word(value: int) -> str:
    return f"0x{value:08x}"


def rans() -> str:
    steps = [(0, 65_521), (40_000, 1), (65_535, 1), (0, 1), (60_000, 5536), (7, 9), (12_345, 6000)]
    state, words = craft_ngram.rans_encode(steps)
    stored = craft_ngram.rans_store(state, words)
    decoder = reference_decoder.Words(stored)
    rows = []
    for cumfreq, freq in steps:
        before = decoder.x
        decoder.decode([cumfreq, freq, 65_536 - cumfreq - freq] if cumfreq else [freq, 1 << 16])
        rows.append((f"0x{before:016x}", cumfreq, freq, decoder.next))
    decoder.end()
    head = ("State before", "Cumfreq", "Freq", "Words read after")
    shorter = craft_ngram.rans_store(*craft_ngram.rans_encode(steps[4:]))
    return (
        f"As stored: `{stored.hex(' ')}`. The last three steps alone: `{shorter.hex(' ')}`.\n\n"
        f"{table(head, rows)}"
    )


def keys() -> str:
    raws = [0, 1, 0x65, reference_decoder.S + 0x6865, 0x7FFFFFFF, 0xFFFFFFFF]
    rows = []
    for raw in raws:
        key = reference_decoder.key_of(raw)
        hashes = [reference_decoder.hash_of(key, salt) for salt in (0, 1, 16)]
        rows.append([word(value) for value in (raw, key, *hashes)])
    return table(("Raw key", "Key", "Hash, salt 0", "Hash, salt 1", "Hash, salt 16"), rows)


def contexts() -> str:
    parts = []
    for text in (b"Ab1,c\nxY,d\xc3\xa9;\nAb1,q", b"one,two\nthree,fo", b"the\n"):
        walk = reference_decoder.NgramContexts()
        for byte in text:
            walk.take(byte)
        state = [(name, getattr(walk, name)) for name in NAMES]
        raws = [(LANES[lane], word(raw)) for lane, raw in enumerate(walk.raw_keys())]
        parts += [f"After `{text.hex(' ')}`:", table(("Name", "Value"), [*state, *raws])]
    return "\n\n".join(parts)


def functions() -> str:
    def of(name: str, function: Callable[[int], int], values: Iterable[int]) -> str:
        return table((name, "value"), [(value, function(value)) for value in values])

    def level(q: int) -> int:
        return reference_decoder.static_input(bytes([q] * 8))[0]

    return "\n\n".join(
        [
            of(
                "log2 of",
                reference_decoder.log2,
                (1, 2, 3, 5, 16, 17, 1000, 4095, 4096, 4097, 6000, 8191, 40_000, 65_535),
            ),
            of(
                "exp2 of",
                reference_decoder.exp2,
                (0, 1, 2, 511, 512, 1023, 1024, 1025, 5000, 16_384, 31_744, 32_768, 1 << 20),
            ),
            of("stretch of", reference_decoder.stretch, (0, 1, 2047, 2048, 3750, 4094, 4095)),
            of("input for level", level, range(16)),
        ]
    )


def mixture() -> str:
    inputs = [[0] * 16 for _ in range(16)]
    inputs[0] = [-8192, 4095, 0, 12, -900, -901, 1, -1, 3000, -3000, 77, -77, 2048, -8000, 5, -5]
    inputs[8] = [-137 * q - 50 * q * q for q in range(15, -1, -1)]
    inputs[15][1] = 9000
    weights = [4096] * 16
    weights[0], weights[8], weights[15] = 2500, 5000, -700
    freqs = reference_decoder.freqs_of(inputs, weights)
    rows: list[tuple[str, str]] = [(f"input {j}", listed(inputs[j])) for j in (0, 8, 15)]
    rows += [(f"w of input {j}", str(weights[j])) for j in (0, 8, 15)]
    rows.append(("freqs", listed(freqs)))
    for symbol, rate in ((15, 64), (1, 64), (4, 144)):
        steps = reference_decoder.weight_steps(inputs, freqs, symbol, rate)
        learnt = listed(steps[j] for j in (0, 8, 15))
        rows.append((f"step of inputs 0, 8, 15 for symbol {symbol}, rate {rate}", learnt))
    return table(("What", "Value"), rows)


def rows() -> str:
    lines: list[tuple[object, ...]] = []
    row = [4096] * 16
    for symbol, share, gain in ((5, 16_384, 32_640), (5, 10_922, 21_760), (0, 2340, 4662)):
        learnt = reference_decoder.learnt_row(row, symbol, share, gain)
        lines.append((symbol, share, gain, listed(row), listed(learnt)))
        row = learnt
    row = [16, 17, 65_535, 65_534, *row[4:]]
    learnt = reference_decoder.learnt_row(row, 2, 32_767, 65_535)
    lines.append((2, 32_767, 65_535, listed(row), listed(learnt)))
    return table(("Symbol", "Rates[0][count]", "Rates[1][count]", "Row before", "Row after"), lines)


def chunk() -> str:
    model, content = craft_ngram.example_model(), craft_ngram.EXAMPLE_TEXT
    payload = craft_ngram.payload(model, 0, content)
    return (
        f"```hex ngram-content\n{dump(content)}\n```\n\n"
        f"```hex ngram-payload\n{dump(payload)}\n```\n\n{steps_of(model, content)}"
    )


def steps_of(model: bytes, content: bytes, before: int = 0) -> str:
    """Return the steps of a chunk of which `before` bytes are known."""
    steps = iter(craft_ngram.steps_of(model, 0, content))
    lines = [
        (position, f"{byte:02x}", *next(steps), *next(steps))
        for position, byte in enumerate(content, before)
    ]
    head = ("Position", "Byte", "Cumfreq of high", "Freq of high", "Cumfreq of low", "Freq of low")
    return table(head, lines)


def primed() -> str:
    text, content = craft_ngram.EXAMPLE_TEXT, b" two;\none, two;\nThree"
    model = craft_ngram.primed_model(craft_ngram.example_model(), text)
    return (
        f"```hex primed-text\n{dump(text)}\n```\n\n"
        f"```hex primed-content\n{dump(content)}\n```\n\n"
        f"```hex primed-payload\n{dump(craft_ngram.payload(model, 0, content))}\n```\n\n"
        f"{steps_of(model, content, len(text))}"
    )


def dump(data: bytes, start: int = 0) -> str:
    """Return lines of sixteen bytes, each with its offset."""
    return "\n".join(
        f"{start + at:08x}  {data[at : at + 16].hex(' ')}" for at in range(0, len(data), 16)
    )


def model_file() -> str:
    """Return the example of a model file with remarks."""
    data = craft_ngram.example_model()
    sections = craft_ngram.example_sections()
    lines: list[str] = []
    offset = 0

    def part(size: int, remark: str) -> None:
        nonlocal offset
        first, *others = dump(data[offset : offset + size], offset).splitlines()
        lines.extend([f"{first:<59}{remark}", *others])
        offset += size

    part(8, "Model_Magic")
    part(2, "Model_Version 1")
    part(2, "Model_Kind 2")
    part(4, f"Section_Count {len(sections)}")
    frames = []
    for name, content in sections.items():
        stored = int.from_bytes(data[offset + 16 : offset + 24], "little")
        part(16, f"Section_Name: {name}")
        part(8, f"Stored_Size {stored}")
        part(8, f"Size {len(content)}")
        frames.append((name, stored))
    for name, stored in frames:
        part(stored, f"frame of {name}")
    return "\n".join(lines)


def model() -> str:
    sections = craft_ngram.example_sections()
    lines = [("card", f"`{sections['card'].decode()}`")]
    lines += [
        (name, f"`{sections[name].hex(' ')}`") for name in ("counts", "spills", "tags", "rows")
    ]
    lines += [
        ("rates", "32768 // (min(count, 12) + 2), then 65280 // (min(count, 12) + 2)"),
        ("limits", "12"),
        ("mixer_rates", "64"),
        ("sets", "7864"),
        ("bytes", "1311"),
        ("confidences", "0"),
        ("hits", "60000"),
    ]
    return table(("Section", "Value"), lines)


def shapes() -> str:
    """Return states and keys of the blend after some bytes."""
    parts = []
    for text in (b"Ab1,c\nxY,d\xc3\xa9;\nAb1,q", b"[2026-11-27] two: 17\n[2026-11-28] three", b"a"):
        contexts_, state = reference_decoder.NgramContexts(), reference_decoder.Shapes(11)
        for byte in text:
            state.take(byte, contexts_)
            contexts_.take(byte)
        names = ("kinds", "older_kinds", "runs", "last_run", "line_shape", "marks", "word_before")
        lines = [(name, f"0x{getattr(state, name):x}") for name in names]
        raws = enumerate(state.raw_keys(contexts_))
        lines += [(f"raw key of context {lane}", f"0x{raw:08x}") for lane, raw in raws]
        parts.append(f"After `{text.hex(' ')}`:\n\n{table(('Name', 'Value'), lines)}")
    return "\n\n".join(parts)


def head() -> str:
    """Return how weights of the head move."""
    cases = (
        (0, 0, 0, 15), (0, 16_383, 127, 15), (0, -16_384, 127, 15), (100, -16_384, -128, 255),
        (-100, -1, 100, 10), (-100, -1, -100, 10), (32_760, 9000, 90, 200),
        (-32_760, 9000, -90, 200),
    )  # fmt: skip
    names = ("weight", "error", "out", "Head_Rates[1]", "weight afterwards")
    return table(names, [(*case, reference_decoder.head_weight(*case)) for case in cases])


def blend() -> str:
    """Return steps of weights."""
    cases = (
        (0, 10, 0), (1023, 60, 0), (1024, 10, 0), (-1025, 60, 0), (1_000_000, 10, 0),
        (-1_000_000, 10, 0), (123_456_789, 70, 0), (-123_456_789, 4095, 0), (2**31 - 1025, 0, 0),
        (0, 10, 4), (1_000_000, 5, 4), (-1_000_000, 5, 4), (123_456_789, 185, 4),
    )  # fmt: skip
    names = ("sum", "Blend_Rates", "fine", "step")
    return table(names, [(*case, reference_decoder.blend_step(*case)) for case in cases])


def carried() -> str:
    """Return what leaves later layers of a network."""
    cases = (
        (0, 0, 0), (32_767, 2**31 - 1, -128), (-32_768, 2**31 - 1, 127), (32_767, -(2**31), 127),
        (-32_768, -(2**31), -128), (32_767, 0, 127), (-32_768, 0, -128), (20_000, 100_000, -77),
        (-20_000, -100_000, 77), (12_345, 262_144, 1), (12_345, -262_144, -1), (-1, 7, 0),
        (-129, -7, 0), (0, -131_072, 100), (0, 131_072, -100),
    )  # fmt: skip
    names = ("state_k[j]", "t[2 n2 + j]", "x[j]", "out_k[j]")
    return table(names, [(*case, reference_decoder.carried(*case)) for case in cases])


def patches() -> str:
    """Return how bytes are cut into patches, what enters the Transformer, and what it gives."""
    contents = (
        b"The cat, or", b"international", b"abcdefg, h", b"a--b...  c", b" \t=9a[0];\n\n",
        bytes(17), "größer, 数据。".encode(),
        bytes((47, 48, 57, 58, 64, 65, 90, 91, 96, 97, 122, 123, 127, 128)),
    )  # fmt: skip
    cuts = []
    for content in contents:
        ended, patch, last = [], b"", 0
        for byte in b"\0" + content:
            patch += bytes([byte])
            if reference_decoder.patch_ends(byte, last, len(patch)):
                ended.append(patch.hex(" "))
                patch = b""
            last = byte
        cuts.append((content.hex(" "), "; ".join(ended), patch.hex(" ")))
    sums = (
        (0, 0), (63, 0), (64, 0), (-64, 0), (-65, 0), (0, 1), (0, -1), (0, -2), (100_000, -1000),
        (4_194_111, 0), (4_194_112, 0), (-4_194_240, 0), (-4_194_241, 0), (-16_776_704, 262_136),
        (-16_777_000, 262_136), (0, 262_136), (0, -262_144), (2**31 - 1, 0), (2**31 - 1, 1),
        (-(2**31), 0), (-(2**31), -1),
    )  # fmt: skip
    totals = (
        0, 32, -32, 1_000_000, -1_000_000, 2**29 - 32_768, 2**29, -(2**29), -(2**29) - 32_768,
        2**30, -(2**31),
    )  # fmt: skip
    return "\n\n".join(
        [
            table(("Content", "Patches that have ended", "Patch that has not"), cuts),
            table(
                ("Total of enter", "Sum of places", "entering"),
                [(*case, reference_decoder.entering(*case)) for case in sums],
            ),
            table(
                ("Total of give", "given"),
                [(total, reference_decoder.given(total)) for total in totals],
            ),
        ]
    )


# Page -> what stands between its markers.
VECTORS: dict[str, tuple[Callable[[], str], ...]] = {
    "entropy-coding.md": (rans,),
    "ngram.md": (keys, contexts, functions, mixture, rows, chunk, primed),
    "model-file.md": (model,),
    "neural.md": (carried, patches),
    "multiscale.md": (shapes, head, blend),
}


def written(page: str, text: str) -> str:
    """Return a page with its vectors as they are now."""
    for make in VECTORS[page]:
        first = f"<!-- vectors: {make.__name__} -->\n"
        before, start, rest = text.partition(first)
        _, end, after = rest.partition("<!-- end of vectors -->")
        if not (start and end):
            raise ValueError(f"{page} has no place for vectors of {make.__name__}")
        text = f"{before}{start}{make()}\n{end}{after}"
    block = re.compile(r"(```hex model-file\n).*?(```)", re.DOTALL)
    return block.sub(lambda found: f"{found[1]}{model_file()}\n{found[2]}", text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description="Write the vectors of the n-gram pages.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    changed = 0
    for page in VECTORS:
        text = (PAGES / page).read_text()
        new = written(page, text)
        if new != text:
            print(page)
            changed = 1
            if not options.check:
                (PAGES / page).write_text(new)
    return changed if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
