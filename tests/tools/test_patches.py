"""Patches are cut as said, their Transformer knows nothing of later bytes, and all arms learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lmarc.train.byte_network import ByteNetwork, Shape
from lmarc.train.transformer import TransformerShape
from tests import tiny
from tools import patches
from tools.patches import LONGEST, PatchNetwork, befores

TEXT = (
    "It's a fine day, (so) they said -- internationalisation; x = y[12].z\n\n  \u4e2d\u6587" * 3
).encode()


def steps(rows: int, size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the bytes before, the text and freqs of some rows."""
    text = torch.stack([torch.tensor(list((TEXT * 9)[row:][:size])) for row in range(rows)])
    freqs = torch.rand(rows, size, 2, 16, generator=torch.Generator().manual_seed(1)) + 0.1
    return befores(text), text, freqs * (65536 / freqs.sum(3, keepdim=True))


def network(*, listens: bool = True) -> PatchNetwork:
    torch.manual_seed(1)
    net = PatchNetwork(ByteNetwork(Shape(32, 16)), TransformerShape(32, 2, 1, 32, window=16))
    if listens:
        for part in (net.given, net.below.high, net.below.low):
            torch.nn.init.normal_(part.weight, 0, 0.5)
    net.eval()
    return net


def cut(text: bytes) -> list[bytes]:
    """Return the patches of a text, and what is left."""
    parts, start, before = [], 0, 0
    for at, byte in enumerate(text):
        apart = byte < 128 and not chr(byte).isalnum()
        known = before < 128 and not chr(before).isalnum()
        if (apart and not known) or at + 1 - start == LONGEST:
            parts.append(text[start : at + 1])
            start = at + 1
        before = byte
    return [*parts, text[start:]]


def test_a_patch_ends_with_what_parts_words_or_is_full() -> None:
    # Of a chunk's first step the byte before is none, and counted as one.
    whole = patches.patches(befores(torch.tensor(list(TEXT))[None]), torch.zeros(1).long())
    expected = [len(part) for part in cut(b"\0" + TEXT[:-1])]
    assert whole.lengths[0, : whole.counts[0]].tolist() == expected[:-1]
    ends = torch.tensor(expected[:-1]).cumsum(0) - 1
    assert whole.at[0].tolist() == ends.tolist()


@pytest.mark.parametrize("at", [1, 7, 8, 50])
def test_a_state_stands_for_the_steps_before(at: int) -> None:
    net, given = network(), steps(3, 90)
    with torch.no_grad():
        whole, _ = net.cost(*given, net.initial(3))
        before, text, freqs = given
        first, hidden = net.cost(before[:, :at], text[:, :at], freqs[:, :at], net.initial(3))
        second, _ = net.cost(before[:, at:], text[:, at:], freqs[:, at:], hidden)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)


def test_no_byte_sees_what_comes_after_it() -> None:
    net, (before, text, freqs) = network(), steps(1, 90)
    later = text.clone()
    later[:, 60:] = 0x61
    with torch.no_grad():
        whole, _ = net.cost(before, text, freqs, net.initial(1))
        other, _ = net.cost(befores(later), later, freqs, net.initial(1))
    torch.testing.assert_close(other[:, :60], whole[:, :60])
    assert not torch.allclose(other[:, 60:], whole[:, 60:])


def test_a_row_begins_anew_by_itself() -> None:
    net, given = network(), steps(2, 60)
    with torch.no_grad():
        once, hidden = net.cost(*given, net.initial(2))
        again, _ = net.cost(*given, hidden.fresh(torch.tensor([True, False])))
    torch.testing.assert_close(again[0], once[0])
    assert not torch.allclose(again[1], once[1])


def test_it_begins_as_the_network_below() -> None:
    net, given = network(listens=False), steps(2, 60)
    with torch.no_grad():
        alone, _ = net.below.cost(*given, net.below.initial(2))
        whole, _ = net.cost(*given, net.initial(2))
    torch.testing.assert_close(whole, alone)


def test_all_arms_learn_and_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").mkdir()
    for number in range(40):
        (tmp_path / "text" / f"{number}.txt").write_bytes(tiny.prose(number, 5000))
    options = [str(tmp_path / "text"), "--text", "8K", "--rows", "4", "--work", str(tmp_path)]
    options += ["--shape", "32,2,1,32,16"]
    arms = ("alone:16K", "shipped", "alone", "units", "frozen", "patches")
    options += ["--only", ",".join(arms), "--sees", "1"]
    assert patches.main(options) == 0
    shown = capsys.readouterr().out
    assert "| patches seen, patches (with patches) |" in shown
    for arm in arms:
        assert f"| {arm.partition(':')[0]} (" in shown
        assert (tmp_path / arm / "average.pt").exists()
    assert patches.main(options) == 0  # nothing is trained again
    assert capsys.readouterr().out == shown
