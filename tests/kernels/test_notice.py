"""Who listens is told once."""

from lmarc.kernels import notice


def test_a_listener_is_told_once() -> None:
    told: list[str] = []
    notice.on_compile(told.append)
    notice.tell("first")
    notice.tell("second")
    assert told == ["first"]


def test_a_listener_can_be_taken_back() -> None:
    told: list[str] = []
    notice.on_compile(told.append)
    notice.on_compile(None)
    notice.tell("first")
    assert told == []
