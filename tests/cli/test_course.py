"""Options of a training, and what is told while it lasts."""

from __future__ import annotations

import argparse

import pytest

from lmarc.cli import course
from lmarc.cli.render import Steps


def parser(tokens: bool = False) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser()
    course.add_paths(found)
    course.add_mixture(found, inside=True)
    course.add_course(found, rate=0.5, rates="0.5", rows=3, chunks="3", tokens=tokens)
    course.add_report(found)
    return found


def test_what_is_not_said_has_defaults() -> None:
    arguments = parser().parse_args(["here", "-o", "there"])
    assert course.course_of(arguments) == {
        "seed": 1, "weights": {}, "minutes": 60.0, "text": None, "device": "cpu",
    }  # fmt: skip
    assert (arguments.rate, arguments.rows, arguments.fold) == (0.5, 3, [])


def test_text_is_counted_in_bytes_or_tokens() -> None:
    given = ["here", "-o", "there", "--weight", "code=2", "--weight", "a=b=0"]
    found = course.course_of(parser().parse_args([*given, "--train-text", "2K"]))
    assert found["text"] == 2048
    assert found["weights"] == {"code": 2.0, "a=b": 0.0}
    tokens = parser(tokens=True)
    assert course.course_of(tokens.parse_args([*given, "--train-tokens", "77"]))["text"] == 77
    with pytest.raises(SystemExit):
        tokens.parse_args([*given, "--train-tokens", "2K"])


@pytest.mark.parametrize("text", ["code", "code=", "=2", "code=-1", "code=inf", "code=nan"])
def test_weights_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not of the form"):
        course.weight(text)


@pytest.mark.parametrize("text", ["96", "96x3x2x192", "axbxcxdxe", "96x3x2x192x128x1"])
def test_shapes_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        course.shape(text)
    assert course.shape("96x3x2x192x128") == (96, 3, 2, 192, 128)


def test_the_log_and_the_walk_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with Steps("training", quiet=True, total=2) as steps:
        monkeypatch.setattr(steps, "begin", said.append)
        line = {"minutes": 1.6, "bytes": 2_000_000, "network": 1.25, "mixture": 1.5}
        course.told(steps, 10.0)(line)
        course.walked(steps)(1000, 2000)
    assert said == [
        "2 of 10 minutes, 2.00 MB: 1.250 bits per byte, 1.500 without",
        "the mixture has walked over 1,000 of 2,000 chunks",
    ]


def test_a_shape_has_the_names_that_settings_have() -> None:
    arguments = argparse.Namespace(shape=course.shape("96x3x2x192x128"))
    assert course.shape_of(arguments) == {
        "width": 96, "heads": 3, "layers": 2, "hidden": 192, "window": 128,
    }  # fmt: skip
