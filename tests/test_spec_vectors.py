"""The vectors of the n-gram pages hold for kernels, restatement and reference decoder alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lmarc.codec.ngram import compress_with, decompress_with, model_steps
from lmarc.kernels import match, rans
from lmarc.model.ngram import NgramModel, Scratch
from tests import naive, tiny
from tests.kernels import compiled
from tests.kernels.test_contexts import keys_after
from tests.kernels.test_mixture import freqs_of
from tools import craft_ngram, make_vectors, reference_decoder

PAGES = Path(__file__).parent.parent / "spec" / "v1"
Rows = list[list[str]]


def vectors(page: str, name: str) -> str:
    """Return what stands between the marks of `name`."""
    text = (PAGES / page).read_text()
    found = re.search(rf"<!-- vectors: {name} -->\n(.*?)<!-- end of vectors -->", text, re.DOTALL)
    assert found, name
    return found[1]


def tables(text: str) -> list[Rows]:
    """Return the rows of each table, without its head."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines()]
        found.append(rows[2:])
    return found


def numbers(cell: str) -> list[int]:
    return [int(number, 0) for number in cell.split(", ")]


def dump(page: str, name: str) -> bytes:
    """Return the bytes of a hexadecimal block; each line must say where it is."""
    text = (PAGES / page).read_text()
    block = re.search(rf"^```hex {name}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert block, name
    data = b""
    for line in block[1].splitlines():
        parts = re.fullmatch(r"([0-9a-f]{8})  ((?:[0-9a-f]{2} ?)+)(?: +\S.*)?", line)
        assert parts, line
        assert int(parts[1], 16) == len(data), line
        data += bytes.fromhex(parts[2])
    return data


@pytest.mark.parametrize("page", make_vectors.VECTORS)
def test_the_tool_would_write_what_the_pages_hold(page: str) -> None:
    for make in make_vectors.VECTORS[page]:
        assert vectors(page, make.__name__) == f"{make()}\n"


def test_rans() -> None:
    text = vectors("entropy-coding.md", "rans")
    stored, shorter = (bytes.fromhex(found) for found in re.findall(r"`([0-9a-f ]+)`", text))
    (rows,) = tables(text)
    steps = [(int(cumfreq), int(freq)) for _, cumfreq, freq, _ in rows]
    assert naive.store(*naive.rans_encode(steps)) == stored
    assert naive.store(*naive.rans_encode(steps[-3:])) == shorter
    packed = np.array([cumfreq << 16 | freq for cumfreq, freq in steps], np.uint32)
    words = np.zeros(len(steps), np.uint32)
    high, low, *others = (int(word) for word in words[rans.encode(packed, words) :])
    assert naive.store(high << 32 | low, others) == stored
    for decoder in (naive.RansDecoder(*naive.load(stored)), reference_decoder.Words(stored)):
        for (state, _, _, read), (cumfreq, freq) in zip(rows, steps, strict=True):
            x = decoder.state if isinstance(decoder, naive.RansDecoder) else decoder.x
            assert x == int(state, 16)
            decoder.decode([cumfreq, freq, 65_536] if cumfreq else [freq, 65_536])
            taken = decoder.read if isinstance(decoder, naive.RansDecoder) else decoder.next
            assert taken == int(read)


def test_keys_and_hashes() -> None:
    (rows,) = tables(vectors("ngram.md", "keys"))
    for row in rows:
        raw, key, *hashes = (int(cell, 16) for cell in row)
        assert naive.mix_key(raw) == key
        assert [naive.row_hash(key, salt) for salt in (0, 1, 16)] == hashes
        for salt, expected in zip((0, 1, 16), hashes, strict=True):
            out = np.zeros(16, np.uint32)
            compiled.rows_of(np.full(16, key, np.uint32), salt, out)
            assert set(out.tolist()) == {expected}


def test_contexts() -> None:
    text = vectors("ngram.md", "contexts")
    contents = [bytes.fromhex(found) for found in re.findall(r"After `([0-9a-f ]+)`", text)]
    names = ("last", "older", "word", "last_word", "line", "line_above", "number", "field_start")
    for content, rows in zip(contents, tables(text), strict=True):
        walk = naive.Contexts()
        for byte in content:
            walk.advance(byte)
        values = [int(value, 0) for _, value in rows]
        assert [getattr(walk, name) for name in names] == values[:8]
        assert walk.raw_keys() == values[8:]
        assert keys_after(content) == [naive.mix_key(raw) for raw in values[8:]]


def test_functions() -> None:
    log2, exp2, stretch, levels = (
        [(int(x), int(y)) for x, y in rows] for rows in tables(vectors("ngram.md", "functions"))
    )
    plain: list[tuple[Callable[[int], int], list[tuple[int, int]]]] = [
        (naive.log2, log2),
        (naive.exp2, exp2),
        (naive.stretch, stretch),
        (naive.level_input, levels),
    ]
    for function, rows in plain:
        assert [function(x) for x, _ in rows] == [y for _, y in rows]
    out = np.zeros(16, np.int32)
    for kernel, rows, moved in ((compiled.log2, log2, 12_288), (compiled.exp2, exp2, 0)):
        for x, y in rows:
            kernel(np.full(16, x, np.int32), out)
            assert set(out.tolist()) == {y - moved}
    assert [int(match.STRETCH[x]) for x, _ in stretch] == [y for _, y in stretch]


def test_mixture_and_learning() -> None:
    (rows,) = tables(vectors("ngram.md", "mixture"))
    inputs, weights = [[0] * 16 for _ in range(16)], [4096] * 16
    freqs: list[int] = []
    learnt = 0
    for what, value in rows:
        if found := re.fullmatch(r"input (\d+)", what):
            inputs[int(found[1])] = numbers(value)
        elif found := re.fullmatch(r"w of input (\d+)", what):
            weights[int(found[1])] = int(value)
        elif what == "freqs":
            freqs = numbers(value)
        elif found := re.fullmatch(r"step of inputs .* for symbol (\d+), rate (\d+)", what):
            symbol, rate = int(found[1]), int(found[2])
            plain = naive.weight_steps(inputs, freqs, symbol, rate)
            out = np.zeros(16, np.int32)
            flat = np.array(inputs, np.int16).reshape(-1)
            compiled.weight_steps(flat, np.array(freqs, np.int32), symbol, rate, out)
            assert out.tolist() == plain
            assert [plain[j] for j in (0, 8, 15)] == numbers(value)
            learnt += 1
    assert learnt == 3
    assert freqs_of(np.array(inputs, np.int16), np.array(weights, np.int32)) == freqs
    assert naive.mix(inputs, weights) == freqs


def test_rows() -> None:
    (rows,) = tables(vectors("ngram.md", "rows"))
    for symbol, share, gain, before, after in rows:
        learnt = naive.learn_row(numbers(before), int(symbol), int(share), int(gain))
        assert learnt == numbers(after)


@pytest.fixture(scope="module")
def example() -> NgramModel:
    return NgramModel.parse(dump("model-file.md", "model-file"))


def test_the_example_model_holds_what_the_page_says(example: NgramModel) -> None:
    (rows,) = tables(vectors("model-file.md", "model"))
    sections = reference_decoder.read_model_sections(
        dump("model-file.md", "model-file"), 2, reference_decoder.MODEL_SECTIONS
    )
    assert [name for name, _ in rows] == list(sections)
    for name, value in rows[1:5]:
        assert sections[name] == bytes.fromhex(value.strip("`"))
    for name, value in rows[6:]:
        assert set(example.profiles[name].reshape(-1).tolist()) == {int(value)}
    counts = [min(count, 12) for count in range(64)]
    assert example.profiles["rates"].tolist() == [
        [[32_768 // (count + 2) for count in counts], [65_280 // (count + 2) for count in counts]]
    ]
    assert f"`{sections['card'].decode()}`" == rows[0][1]


def test_the_remarks_of_the_example_model_are_true() -> None:
    text = (PAGES / "model-file.md").read_text()
    remarks = re.findall(r"^[0-9a-f]{8}  ((?:[0-9a-f]{2} ?)+) +[A-Z]\w+ (\d+)$", text, re.MULTILINE)
    assert len(remarks) == 3 + 2 * 12
    for value, remark in remarks:
        assert int.from_bytes(bytes.fromhex(value), "little") == int(remark)


def test_the_example_model_uses_spill_bits(example: NgramModel) -> None:
    assert any(bucket.spills for bucket in tiny.naive_buckets(example))


def test_the_example_chunk() -> None:
    model = NgramModel.parse(dump("model-file.md", "model-file"))
    content, payload = dump("ngram.md", "ngram-content"), dump("ngram.md", "ngram-payload")
    (rows,) = tables(vectors("ngram.md", "chunk"))
    assert bytes(int(row[1], 16) for row in rows) == content
    steps = [(int(row[at]), int(row[at + 1])) for row in rows for at in (2, 4)]  # cumfreq and freq
    buckets, profile = tiny.naive_buckets(model), tiny.naive_profile(model, 0)
    assert naive.model(buckets, profile, content) == steps
    packed = model_steps(model, content, 0, Scratch()).tolist()
    assert packed == [cumfreq << 16 | freq for cumfreq, freq in steps]
    assert compress_with(model, content) == payload
    assert decompress_with(model, payload, len(content)) == content
    assert naive.decode(buckets, profile, payload[1:], len(content)) == content
    data = dump("model-file.md", "model-file")
    assert reference_decoder.ngram(payload, len(content), data) == content
    assert craft_ngram.steps_of(data, 0, content) == steps


def test_the_example_chunk_with_a_primed_model(example: NgramModel) -> None:
    text, content, payload = (
        dump("ngram.md", f"primed-{name}") for name in ("text", "content", "payload")
    )
    (rows,) = tables(vectors("ngram.md", "primed"))
    assert [int(row[0]) for row in rows] == list(range(len(text), len(text) + len(content)))
    assert bytes(int(row[1], 16) for row in rows) == content
    steps = [(int(row[at]), int(row[at + 1])) for row in rows for at in (2, 4)]  # cumfreq and freq
    buckets, profile = tiny.naive_buckets(example), tiny.naive_profile(example, 0)
    assert naive.model(buckets, profile, content, text) == steps
    assert naive.encode(buckets, profile, content, text) == payload[1:]
    assert naive.decode(buckets, profile, payload[1:], len(content), text) == content
    model = example.primed(text)
    packed = model_steps(model, content, 0, Scratch()).tolist()
    assert packed == [cumfreq << 16 | freq for cumfreq, freq in steps]
    assert compress_with(model, content) == payload
    assert decompress_with(model, payload, len(content)) == content
    data = craft_ngram.primed_model(dump("model-file.md", "model-file"), text)
    assert reference_decoder.ngram(payload, len(content), data) == content
