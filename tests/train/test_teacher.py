"""A teacher is trained, kept in a file, and found by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lmarc.codec import vectors
from lmarc.errors import ModelError
from lmarc.train.beneath import base_model
from lmarc.train.byte_network import ByteNetwork
from lmarc.train.byte_transformer import ByteTransformer
from lmarc.train.data import Document, gather
from lmarc.train.feed import ByteSource
from lmarc.train.loop import Course
from lmarc.train.teacher import (
    TeacherSettings,
    find_teacher,
    held_out_bits,
    pack_teacher,
    parse_teacher,
    train_teacher,
)
from lmarc.train.transformer import TransformerShape

SETTINGS = TeacherSettings(
    width=32, heads=2, layers=1, hidden=48, window=32, rows=4, steps=128, minutes=9.0, text=80_000
)
CORPUS = gather(
    [Document("d", str(n), vectors.prose(f"teacher {n}", 6000)) for n in range(200)], 1 << 30
)
BASE = vectors.small_model()


def test_a_teacher_takes_bits_off_the_mixture(tmp_path: Path) -> None:
    net = train_teacher(CORPUS, BASE, SETTINGS, tmp_path, every_part=True)
    alone, joint, size = held_out_bits(net, ByteSource(BASE), CORPUS, 20_000)
    assert joint < 0.99 * alone
    assert 0 < size <= 20_000 + (64 << 10)
    again = parse_teacher(pack_teacher(net, over=False), "it", over=False)
    assert again.shape == net.shape
    assert held_out_bits(again, ByteSource(BASE), CORPUS, 20_000) == (alone, joint, size)


def test_a_teacher_that_was_stopped_ends_as_if_it_was_not(tmp_path: Path) -> None:
    short = replace(SETTINGS, text=20 * 4 * 128)
    whole = train_teacher(CORPUS, BASE, short, tmp_path / "whole", every_part=True)
    original = TeacherSettings.done

    def stop(self: Course, minutes: float, step: int) -> float:
        return 1.0 if step >= 9 else original(self, minutes, step)

    with pytest.raises(ModelError, match="no checkpoint"):
        train_teacher(CORPUS, BASE, short, tmp_path / "parts", every_part=True, resume=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TeacherSettings, "done", stop)
        half = train_teacher(CORPUS, BASE, short, tmp_path / "parts", every_part=True)
    found = train_teacher(CORPUS, BASE, short, tmp_path / "parts", every_part=True, resume=True)
    assert not torch.allclose(half.low.weight, whole.low.weight)
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], weight)


def test_sizes_that_no_transformer_has_are_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the teacher's 3 heads share 32 numbers"):
        train_teacher(CORPUS, BASE, replace(SETTINGS, heads=3), tmp_path)


def test_little_text_is_said(tmp_path: Path) -> None:
    little = gather([Document("d", "1", b"little")], 1 << 30)
    with pytest.raises(ModelError, match="expected 65536 or more"):
        train_teacher(little, BASE, SETTINGS, tmp_path)


def test_teachers_are_found_by_name(tmp_path: Path) -> None:
    assert find_teacher(None, BASE, over=False) is None
    base, _ = base_model(None)
    assert isinstance(find_teacher("shipped", base, over=True), ByteNetwork)
    net = ByteTransformer(TransformerShape(16, 1, 1, 16, 16))
    path = tmp_path / "teacher.pt"
    path.write_bytes(pack_teacher(net, over=False))
    found = find_teacher(str(path), base, over=False)
    assert isinstance(found, ByteTransformer)
    torch.testing.assert_close(found.last.weight, net.last.weight)


@pytest.mark.parametrize("over", [False, True])
def test_a_teacher_corrects_what_its_student_does(over: bool) -> None:
    data = pack_teacher(ByteTransformer(TransformerShape(16, 1, 1, 16, 16)), over=over)
    assert parse_teacher(data, "it", over=over).shape.width == 16
    said = "without --over.*trained with it" if not over else "with --over.*trained without it"
    with pytest.raises(ModelError, match=f"it was trained {said}"):
        parse_teacher(data, "it", over=not over)


@pytest.mark.parametrize("change", ["format", "shape", "weights", "cut", "code"])
def test_what_is_no_teacher_is_refused(tmp_path: Path, change: str) -> None:
    net = ByteTransformer(TransformerShape(16, 1, 1, 16, 16))
    path = tmp_path / "wrong.pt"
    path.write_bytes(pack_teacher(net, over=False))
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    elif change == "code":
        torch.save({"format": Path("code")}, path)
    else:
        state = torch.load(path, weights_only=True)
        if change == "weights":
            del state["weights"]["high.weight"]
        else:
            state[change] = {"format": "another", "shape": {"width": 15}}[change]
        torch.save(state, path)
    base, _ = base_model(None)
    with pytest.raises(ModelError, match=r"wrong\.pt is no teacher") as caught:
        find_teacher(str(path), base, over=False)
    assert len(str(caught.value).splitlines()) == 1
