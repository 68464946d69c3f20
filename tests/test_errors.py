import pickle

import pytest

from lmarc import errors

CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_each_error_has_an_exit_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in CLASSES]
    assert sorted(codes) == list(range(10, 24))


def test_the_tree_in_the_docstring_names_every_error() -> None:
    for kind in CLASSES:
        assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    "error",
    [
        errors.CorruptError("Reserved is 1", offset=7, section="2.1"),
        errors.SourceError("storage refused", url="s3://b/a.lmarc", start=0, end=10),
        errors.MemberNotFoundError("no member 'x'"),
        errors.ModelNotFoundError("no model"),
    ],
)
def test_errors_survive_pickling(error: errors.LmarcError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)


def test_errors_say_where() -> None:
    error = errors.CorruptError("Reserved is 1", offset=7, section="2.1")
    assert str(error) == "Reserved is 1 (at byte 7; spec §2.1)"
    source = errors.SourceError("storage refused", url="s3://b/a", start=5)
    assert str(source) == "storage refused (s3://b/a, bytes 5 to the end)"


def test_missing_things_are_also_file_not_found_errors() -> None:
    assert issubclass(errors.MemberNotFoundError, FileNotFoundError)
    assert issubclass(errors.SourceError, OSError)
    assert issubclass(errors.FormatError, ValueError)
