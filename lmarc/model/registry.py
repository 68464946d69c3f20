"""Where models are found: by SHA-256, in memory, in files named by hand, on a path, in the package.

No address is ever followed: a model comes from the archive that embeds it or from a disk that the
user trusts. Each is read once per process. Importing this module loads no kernel.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lmarc.errors import ModelError, ModelMismatchError, ModelNotFoundError
from lmarc.model import file

if TYPE_CHECKING:
    from lmarc.model.multiscale import MultiscaleModel
    from lmarc.model.neural import NeuralModel
    from lmarc.model.ngram import NgramModel
    from lmarc.model.subword import SubwordModel

__all__ = [
    "DEFAULT_NGRAM",
    "MODEL_PATH",
    "ModelFile",
    "coding_kind",
    "find_bytes",
    "find_file",
    "locate",
    "multiscale_model",
    "neural_model",
    "neural_sections",
    "ngram_model",
    "require_base",
    "shipped",
    "shipped_base",
    "shipped_path",
    "subword_model",
]

MODEL_PATH: Final = "LMARC_MODEL_PATH"  # folders and files, os.pathsep between them
SUFFIX: Final = ".lmmodel"
MISSING_FOR: Final = 2.0  # seconds in which a model that was not found is not sought again
PACKAGE_FOLDER: Final = Path(__file__).parent.parent / "models"

# SHA-256 -> file in the package. A model that shipped once is never changed, only superseded.
SHIPPED: Final[dict[str, str]] = {
    "da783e8a0931e2bcca89dc8627df4236d7c04de38877d9aa71b747e68360bee2": "lmarc-ngram-1.lmmodel",
    "9b510b72c6457ad8102921762fde44dce3e5054df9aa1caf49f83c978af52066": "lmarc-neural-4.lmmodel",
    "6dba4d64905da4bd6d57a7ffcedf9ff5c0fe95729b237b5a62d3a1be0504f196": "lmarc-neural-3.lmmodel",
    "67d24a11247aeca831f99c6e9ee3afc7ccdb6a74659bd064411d462017b20d0f": "lmarc-neural-2.lmmodel",
    "b2368f64cb20e646728fc9acf101dac77bf400d2c850401f464ea689091a7340": (
        "lmarc-multiscale-6.lmmodel"
    ),
    "2cc0742c3b628a3c7c284eb7f1599127971aa2999d0a49f7072fabe62ecb7e9c": (
        "lmarc-multiscale-5.lmmodel"
    ),
    "3644700e584ea65ae377d48be4aa1d5728383298d9598ded718495c8018c800c": (
        "lmarc-multiscale-4.lmmodel"
    ),
    "23e98599ec1d8cbcf32bddeb200100a3b5b49f797a193bfd553595d1d3f9cc59": (
        "lmarc-multiscale-3.lmmodel"
    ),
    "cde102c53b900389d2f92022000d16f92c194ec8ff56fa420efd462171b96702": "lmarc-neural-1.lmmodel",
    "4d6aa52d178154ef5c53ede80f2b32711f7ed15c99499282504870843abab9ea": (
        "lmarc-multiscale-2.lmmodel"
    ),
    "9c42a8b7090258f817c0408486e45d82495a401e0eae8c89879a16252ee9be87": (
        "lmarc-multiscale-1.lmmodel"
    ),
    "82a089f4d03b6bdd10c89fa66302416a374bb4495a640bd544499dc1bb152637": "lmarc-contexts-2.lmmodel",
    "f42aafd1c14c92504ca0110bc5db88ceecda64634db8f324a13bfb5341b1a545": "lmarc-contexts-1.lmmodel",
    "5402b8e37b37629c6dd7fed22e18e37a2990cdbe0ca743cb846ff912181b8993": "lmarc-subword-1.lmmodel",
}
DEFAULT_NGRAM: Final = next(iter(SHIPPED), "")
DEFAULT_NEURAL: Final = next(
    (sha256 for sha256, name in SHIPPED.items() if name.startswith("lmarc-neural")), ""
)
DEFAULT_MULTISCALE: Final = next(
    (sha256 for sha256, name in SHIPPED.items() if name.startswith("lmarc-multiscale")), ""
)
DEFAULT_SUBWORD: Final = next(
    (sha256 for sha256, name in SHIPPED.items() if name.startswith("lmarc-subword")), ""
)
DEFAULT_CONTEXTS: Final = next(
    (sha256 for sha256, name in SHIPPED.items() if name.startswith("lmarc-contexts")), ""
)
# By codec; and 'contexts', a multi-scale model without a network.
_DEFAULTS: Final = {
    "ngram": DEFAULT_NGRAM, "neural": DEFAULT_NEURAL, "subword": DEFAULT_SUBWORD,
    "multiscale": DEFAULT_MULTISCALE, "contexts": DEFAULT_CONTEXTS,
}  # fmt: skip

_LOCK = threading.RLock()  # a primed model takes it for the one below


class ModelFile(NamedTuple):
    """A model to write with."""

    kind: int
    sha256: bytes
    size: int  # bytes
    path: str | None  # None: shipped, so each machine has it at a place of its own


def shipped_path(sha256: str) -> Path:
    """Return where the package keeps a model that it ships."""
    return PACKAGE_FOLDER / SHIPPED[sha256]


def shipped(name: str) -> bytes:
    """Return the SHA-256 of the shipped model that a codec uses by default.

    Raises
    ------
    ModelNotFoundError
        When this installation has none.
    """
    if not _DEFAULTS.get(name):
        raise ModelNotFoundError(
            f"no model for the {name} codec comes with this installation; "
            "name the file of one with --model"
        )
    return bytes.fromhex(_DEFAULTS[name])


def locate(name: str, kind: int, path: str | os.PathLike[str] | None = None) -> ModelFile:
    """Return the model that a codec writes with: the one at `path`, or the shipped one.

    Where a neural model is wanted, an adapter of one will do; where an n-gram model or a
    multi-scale one is, a primed model on top of one.

    Raises
    ------
    ModelNotFoundError
        When there is no such file.
    ModelError
        When it is no model of this kind.
    """
    if path is None:
        sha256 = shipped(name)
        found = shipped_path(sha256.hex())
        try:
            return ModelFile(kind, sha256, found.stat().st_size, None)
        except OSError as exc:
            raise _unreadable(found, exc) from exc
    data = _read(Path(path))
    try:
        if coding_kind(data) == kind:
            kind = file.kind_of(data)
        file.check(data, kind)
    except ModelError as exc:
        raise ModelError(f"{path}: {exc}") from exc
    return ModelFile(kind, hashlib.sha256(data).digest(), len(data), os.path.abspath(path))


def coding_kind(data: bytes) -> int:
    """Return the kind of the model that codes, where a file stands for one: an adapter, a primer.

    Raises
    ------
    ModelError
        When the file is no model, or the one below a primer is not found.
    """
    kind = file.kind_of(data)
    if kind == file.KIND_ADAPTER:
        return file.KIND_NEURAL
    if kind == file.KIND_PRIMED:
        return file.kind_of(_primed(data).file)
    return kind


def find_bytes(sha256: bytes, path: str | None = None) -> bytes:
    """Return the file of the model with this SHA-256.

    It is sought at `path`, in the package and on `LMARC_MODEL_PATH`.

    Raises
    ------
    ModelMismatchError
        When it is nowhere, and the file at `path`, or the shipped one, has another digest.
    ModelNotFoundError
        When it is nowhere; the message says where it was sought.
    """
    return _find(sha256, path)[1]


def find_file(sha256: bytes) -> Path:
    """Return where the model with this SHA-256 is: in the package or on `LMARC_MODEL_PATH`.

    Raises
    ------
    ModelMismatchError, ModelNotFoundError
        As for `find_bytes`.
    """
    return _find(sha256, None)[0]


def _find(sha256: bytes, path: str | None) -> tuple[Path, bytes]:
    places = [Path(path)] if path is not None else []
    if sha256.hex() in SHIPPED:
        places.append(shipped_path(sha256.hex()))
    reason: ModelError | None = None
    for place in places:
        try:
            return place, _checked(place, sha256)
        except ModelError as exc:
            reason = reason or exc
    for place in _candidates():
        try:
            return place, _checked(place, sha256)
        except ModelError:
            continue
    sought = os.environ.get(MODEL_PATH) or "(not set)"
    raise reason or ModelNotFoundError(
        f"model {sha256.hex()} is not in the archive, in the package or in {MODEL_PATH} {sought}; "
        "name its file with --model"
    )


def _unreadable(path: Path, exc: OSError) -> ModelNotFoundError:
    return ModelNotFoundError(f"model {path} cannot be read: {exc.strerror}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _checked(path: Path, sha256: bytes) -> bytes:
    data = _read(path)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256.hex():
        raise ModelMismatchError(f"model {path} has SHA-256 {found}, expected {sha256.hex()}")
    return data


def _candidates() -> Iterator[Path]:
    for place in filter(None, os.environ.get(MODEL_PATH, "").split(os.pathsep)):
        path = Path(place)
        if path.is_dir():
            yield from sorted(path.glob(f"*{SUFFIX}"))
        elif path.is_file():
            yield path


def ngram_model(
    sha256: bytes,
    data: bytes | None = None,
    path: str | None = None,
    size: int | None = None,
    kind: int | None = None,
) -> NgramModel:
    """Return the n-gram model with this SHA-256, parsed once per process.

    Parameters
    ----------
    sha256 : bytes
        Digest of the model's file.
    data : bytes, optional
        The file itself, where the archive embeds it (its digest was checked there).
    path : str, optional
        A file to look at before anything else.
    size, kind : int, optional
        Bytes that the file has, and its kind, where the archive says so. A primed model is the
        model below with its primer.

    Raises
    ------
    ModelError
        When it cannot be found or read.
    """
    from lmarc.model.ngram import NgramModel

    with _LOCK:
        if sha256 not in _PARSED and data is None and path is None:
            _take_shipped_ngram(sha256)
        if sha256 not in _PARSED:
            content = data if data is not None else _find_once(sha256, path)
            if file.kind_of(content) == file.KIND_PRIMED:
                made = _primed_over(content, file.KIND_NGRAM)
                parsed = ngram_model(made.below, made.file).primed(made.text)
            else:
                parsed = NgramModel.parse(content)
            _PARSED[sha256] = (parsed, len(content))
        model, found = _PARSED[sha256]
    _check_size(sha256, found, size)
    _check_kind(sha256, file.KIND_PRIMED if model.primer else file.KIND_NGRAM, kind)
    return model


def _take_shipped_ngram(sha256: bytes) -> None:
    """Parse an n-gram model that ships, or load what that once made of it."""
    from lmarc.model.ngram import NgramModel
    from lmarc.model.tables import load_tables, save_tables

    if not SHIPPED.get(sha256.hex(), "").startswith("lmarc-ngram"):
        return
    place = shipped_path(sha256.hex())
    try:
        size = place.stat().st_size
        model = load_tables(sha256)
        if model is None:
            model = NgramModel.parse(_checked(place, sha256))
            save_tables(sha256, model)
    except (OSError, ModelError):
        return  # it may be elsewhere
    _PARSED[sha256] = (model, size)


def _check_kind(sha256: bytes, found: int, kind: int | None) -> None:
    """Raise ModelError where the archive says that a model is of another kind."""
    if kind is not None and kind != found:
        raise ModelError(f"model {sha256.hex()} is of kind {found}, expected {kind}")


class _Primed(NamedTuple):
    """What a primed model is made of, with the model below it."""

    below: bytes  # SHA-256
    file: bytes  # of that model
    text: bytes


def _primed(data: bytes) -> _Primed:
    from lmarc.model import primed

    below, inside, text = primed.parse(file.unpack(data, file.KIND_PRIMED))
    return _Primed(below, _find_once(below, None) if inside is None else inside, text)


def _primed_over(data: bytes, kind: int) -> _Primed:
    """Return what a primed model is made of, or raise ModelError unless it is over such a kind."""
    made = _primed(data)
    found = file.kind_of(made.file)
    if found != kind:
        raise ModelError(f"primed model is on top of a model of kind {found}, expected {kind}")
    return made


def _check_size(sha256: bytes, found: int, size: int | None) -> None:
    """Raise ModelMismatchError where the archive says that a model has another size."""
    if size is not None and size != found:
        raise ModelMismatchError(f"model {sha256.hex()} has {found} bytes, the archive says {size}")


def neural_model(
    sha256: bytes,
    data: bytes | None = None,
    path: str | None = None,
    size: int | None = None,
    kind: int | None = None,
) -> NeuralModel:
    """Return the neural model with this SHA-256, parsed once per process; as `ngram_model`.

    The n-gram model that it corrects is inside, or found by its own SHA-256; so is the base of an
    adapter. `kind` is that of the file, where the archive says so.
    """
    from lmarc.model.neural import NeuralModel, base_of

    with _LOCK:
        known = _PARSED_NEURAL.get(sha256)
    if known is None:
        content = data if data is not None else _find_once(sha256, path)
        sections = neural_sections(content)
        ngram = ngram_model(*base_of(sections))
        known = (NeuralModel.parse(sections, ngram), len(content), file.kind_of(content))
        with _LOCK:
            known = _PARSED_NEURAL.setdefault(sha256, known)
    model, found, found_kind = known
    _check_kind(sha256, found_kind, kind)
    _check_size(sha256, found, size)
    return model


def neural_sections(data: bytes) -> dict[str, bytes]:
    """Return the sections of a neural model, or of what an adapter makes of its base.

    Raises
    ------
    ModelError
        When the file is no such model, or the base of an adapter is not found.
    """
    from lmarc.model import adapter

    if file.kind_of(data) == file.KIND_ADAPTER:
        own = file.unpack(data, file.KIND_ADAPTER)
        adapter.check(own)
        base = file.unpack(_find_once(own["base"], None), file.KIND_NEURAL)
        return adapter.applied(own, base)
    sections = file.unpack(data, file.KIND_NEURAL)
    if "ngram" not in sections:
        raise ModelError("neural model has no section ngram")
    return sections


def subword_model(
    sha256: bytes, data: bytes | None = None, path: str | None = None, size: int | None = None
) -> SubwordModel:
    """Return the subword model with this SHA-256, parsed once per process; as `ngram_model`."""
    from lmarc.model.subword import SubwordModel

    with _LOCK:
        if sha256 not in _PARSED_SUBWORD:
            content = data if data is not None else _find_once(sha256, path)
            _PARSED_SUBWORD[sha256] = (SubwordModel.parse(content), len(content))
        model, found = _PARSED_SUBWORD[sha256]
    _check_size(sha256, found, size)
    return model


def multiscale_model(
    sha256: bytes,
    data: bytes | None = None,
    path: str | None = None,
    size: int | None = None,
    kind: int | None = None,
) -> MultiscaleModel:
    """Return the multi-scale model with this SHA-256, parsed once per process; as `ngram_model`.

    The model below is inside, or found by its own SHA-256.
    """
    from lmarc.model.multiscale import MultiscaleModel, below

    with _LOCK:
        known = _PARSED_MULTISCALE.get(sha256)
    if known is None:
        content = data if data is not None else _find_once(sha256, path)
        if file.kind_of(content) == file.KIND_PRIMED:
            made = _primed_over(content, file.KIND_MULTISCALE)
            model = multiscale_model(made.below, made.file).primed(made.text)
        else:
            sections = file.unpack(content, file.KIND_MULTISCALE)
            digest, inside, units = below(sections)
            base = neural_model(digest, inside) if any(units) else ngram_model(digest, inside)
            model = MultiscaleModel.parse(sections, base)
        with _LOCK:
            known = _PARSED_MULTISCALE.setdefault(sha256, (model, len(content)))
    model, found = known
    _check_size(sha256, found, size)
    _check_kind(sha256, file.KIND_PRIMED if model.primer else file.KIND_MULTISCALE, kind)
    return model


def _below(data: bytes) -> tuple[bytes, bytes | None] | None:
    """Return digest and, if it is inside, file of the model below the one in `data`, if any."""
    kind = file.kind_of(data)
    if kind in (file.KIND_NEURAL, file.KIND_ADAPTER):
        from lmarc.model.neural import base_of

        return base_of(neural_sections(data))
    if kind == file.KIND_MULTISCALE:
        from lmarc.model.multiscale import below

        return below(file.unpack(data, kind))[:2]
    if kind == file.KIND_PRIMED:
        from lmarc.model import primed

        return primed.parse(file.unpack(data, kind))[:2]
    return None


def shipped_base(sha256: bytes, path: str | None = None) -> ModelFile | None:
    """Return the n-gram model at the bottom of a model, if it ships with this installation."""
    data = find_bytes(sha256, path)
    while (found := _below(data)) is not None:
        digest, inside = found
        name = SHIPPED.get(digest.hex(), "")
        if name.startswith("lmarc-ngram"):
            return ModelFile(
                file.KIND_NGRAM, digest, shipped_path(digest.hex()).stat().st_size, None
            )
        if inside is None and not name:
            return None
        data = find_bytes(digest) if inside is None else inside
    return None


def require_base(data: bytes) -> None:
    """Raise ModelError unless all models below the one in `data` are inside, or ship.

    What ships every installation has, for ever.
    """
    while (found := _below(data)) is not None:
        _require_network(data)
        digest, inside = found
        if inside is None:
            if digest.hex() not in SHIPPED:
                raise ModelError(
                    f"this model is on top of model {digest.hex()} and does not hold it, so an "
                    "archive that embeds it could not be read alone; embed one that holds it"
                )
            return
        data = inside


def _require_network(data: bytes) -> None:
    """Raise ModelError for an adapter of a network that does not ship."""
    if file.kind_of(data) == file.KIND_ADAPTER:
        base = file.unpack(data, file.KIND_ADAPTER)["base"].hex()
        if base not in SHIPPED:
            raise ModelError(
                f"this adapter names its neural model {base}, which does not come with lmarc, "
                "so an archive that embeds it could not be read alone"
            )


def _find_once(sha256: bytes, path: str | None) -> bytes:
    """As `find_bytes`; what is missing for one chunk is not sought again for each of the others."""
    key = (sha256, path, os.environ.get(MODEL_PATH))
    since, known = _MISSING.get(key, (0.0, None))
    if known is not None and time.monotonic() - since < MISSING_FOR:
        raise type(known)(*known.args)
    try:
        return find_bytes(sha256, path)
    except ModelError as exc:
        _MISSING[key] = (time.monotonic(), exc)
        raise


_PARSED: Final[dict[bytes, tuple[NgramModel, int]]] = {}
_PARSED_NEURAL: Final[dict[bytes, tuple[NeuralModel, int, int]]] = {}
_PARSED_MULTISCALE: Final[dict[bytes, tuple[MultiscaleModel, int]]] = {}
_PARSED_SUBWORD: Final[dict[bytes, tuple[SubwordModel, int]]] = {}
_MISSING: Final[dict[tuple[bytes, str | None, str | None], tuple[float, ModelError]]] = {}
