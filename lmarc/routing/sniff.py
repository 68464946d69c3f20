"""Tell what a member holds, from its first bytes and a few samples of the rest.

The answer decides only which codec is tried first and which members share chunks; it can cost ratio
or time, never data. Samples are tested with what runs in C over bytes (`translate`, `decode`, one
fast zstd pass): a member of 100 kB costs some 20 µs.
"""

import codecs
import json
import re
from collections.abc import Callable
from typing import TypeAlias

from lmarc.codec.base import ContentClass
from lmarc.codec.zstd import PLAIN_CODEC

__all__ = ["HEAD_SIZE", "Sampler", "classify"]

Sampler: TypeAlias = Callable[[int, int], bytes]

HEAD_SIZE = 4096  # bytes of the first sample
_SAMPLE_SIZE = 1024  # bytes of each later one
_SAMPLES = 4  # later ones, evenly spaced, the last at the end

_PROBE_LEVEL = 1
_PROBE_SIZE = 512  # bytes of each sample
_PROBE_MIN_SIZE = 64  # bytes; shorter members have no statistics and go to the other small ones
# A member is incompressible if a fast pass leaves more than this of it; a known compressed format
# needs less to convince.
_INCOMPRESSIBLE_RATIO = 0.97
_COMPRESSED_RATIO = 0.85
_ARRAY_SAMPLE_SIZE = 512
_ARRAY_MIN_SIZE = 256

_WHITESPACE = b"\t\n\x0b\x0c\r "
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\x0b\x0c\r\x1b\x08") | {0x7F})
_PRINTABLE = bytes(range(32, 127)) + b"\t\n\r"
_HIGH = bytes(range(128, 256))

# Formats whose content is compressed already, by what they begin with.
_COMPRESSED = re.compile(
    rb"\x1f\x8b\x08|BZh[1-9]|\xfd7zXZ\x00|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|7z\xbc\xaf\x27\x1c"
    rb"|PK\x03\x04|Rar!\x1a\x07|\x8d\x4c\x4d\x41\x52\x43|\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a"
    rb"|RIFF....WEBP|....ftyp|ID3[\x02-\x04]|OggS|fLaC|\x1a\x45\xdf\xa3|wOF[F2]|PAR1",
    re.DOTALL,
)
_NUMERIC = re.compile(
    rb"\x93NUMPY[\x01-\x03]\x00.{2,4}\{.*'descr': '[<>=|][iufc]\d"  # .npy, but not objects or text
    rb"|RIFF....WAVE.{0,40}fmt .{4}(?:\x01|\x03|\xfe\xff)"  # PCM samples
    rb"|FORM....AIFF"
    rb"|GGUF[\x01-\x03]\x00\x00\x00",
    re.DOTALL,
)
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_TEXT_NAMES = re.compile(
    rb"\.(?:txt|text|md|rst|csv|tsv|json|jsonl|ndjson|xml|html?|log|tex|sql|ya?ml|toml|ini|cfg|srt"
    rb"|py|pyi|c|cc|cpp|h|hpp|rs|go|java|js|ts|css|sh|pl|rb|lua|r|php|swift|kt|scala|hs|el)$",
    re.IGNORECASE,
)


def classify(sample: Sampler | bytes | memoryview, size: int, name: bytes = b"") -> int:
    """Return the ContentClass of a member.

    Parameters
    ----------
    sample : callable or bytes-like
        `sample(start, end)` returns the bytes at these positions (fewer if the member ends
        earlier); or the content itself.
    size : int
        Bytes of content, as far as it is known.
    name : bytes
        The member's name; it only decides between text and binary where the content leaves doubt.
    """
    if size <= 0:
        return ContentClass.BINARY
    read = sample if callable(sample) else _reader(sample)
    head = read(0, min(size, HEAD_SIZE))
    if not head:
        return ContentClass.BINARY
    if size <= len(head):
        return _classify([head], head, name)
    samples = [head]
    rest = size - len(head)
    count = max(1, min(_SAMPLES, rest // _SAMPLE_SIZE - 1))  # so that none overlaps another
    for number in range(1, count + 1):
        start = len(head) + max(0, rest - _SAMPLE_SIZE) * number // count
        later = read(start, min(size, start + _SAMPLE_SIZE))
        if later:
            samples.append(later)
    return _classify(samples, head, name)


def _reader(content: bytes | memoryview) -> Sampler:
    return lambda start, end: bytes(content[start:end])


def _classify(samples: list[bytes], head: bytes, name: bytes) -> int:
    # Magic numbers first where they are beyond doubt: a text may begin with none of them.
    if _NUMERIC.match(head) or _is_safetensors(head):
        return ContentClass.NUMERIC
    if _reads_as_text(samples, head, name):
        return ContentClass.TEXT
    if _is_incompressible(samples, head):
        return ContentClass.INCOMPRESSIBLE
    if _is_array(samples):
        return ContentClass.NUMERIC
    return ContentClass.BINARY


def _reads_as_text(samples: list[bytes], head: bytes, name: bytes) -> bool:
    """Tell whether all samples read as text; one of five may not.

    (A log with a torn line, a page with a picture in it.) Samples of only zeros have no vote.
    """
    encoding = _UTF16.get(head[:2]) or _utf16_without_mark(head)
    lenient = _TEXT_NAMES.search(name) is not None
    is_tar = head[257:262] == b"ustar"  # a tar of texts is a text with some headers in it
    allowed = len(samples) // 5
    texts = 0
    for number, sample in enumerate(samples):
        if number == 0 and is_tar:
            sample = sample[512:]
        if sample[:1] == b"\x00" and not sample.strip(b"\x00"):
            continue
        if encoding is not None:
            texted = _is_utf16(sample, encoding)
        else:
            texted = _is_text(sample, number > 0, lenient)
        texts += texted
        allowed -= not texted
        if allowed < 0:
            return False
    return texts > 0


def _is_text(sample: bytes, cut: bool, lenient: bool) -> bool:
    """Tell whether a sample reads as ASCII, UTF-8 or an 8-bit encoding.

    `cut`: the sample may begin inside a character. `lenient`: the name says that it is text.
    """
    size = len(sample)
    controls = size - len(sample.translate(None, _CONTROLS))
    # Escape sequences and form feeds are text; more than a rare NUL is not.
    if controls * (50 if lenient else 500) > size:
        return False
    if sample.isascii():
        return True
    start = 0
    if cut:
        while start < min(3, size) and 0x80 <= sample[start] < 0xC0:
            start += 1
    try:
        codecs.utf_8_decode(sample[start:], "strict", False)  # a character cut at the end is fine
    except UnicodeDecodeError:
        return _is_8bit_text(sample, lenient)
    return True


def _is_8bit_text(sample: bytes, lenient: bool) -> bool:
    """Tell whether a sample that is not UTF-8 reads as Latin-1, KOI8, GBK and the like.

    Nothing but the absence of control characters, and spaces as often as words end, is common to
    them; 8-bit sound and pictures have the first but hardly the second.
    """
    size = len(sample)
    if size < _PROBE_MIN_SIZE:
        return lenient
    printable = size - len(sample.translate(None, _PRINTABLE))
    spaces = size - len(sample.translate(None, _WHITESPACE))
    if printable * 4 >= size * 3:  # mostly ASCII: Latin letters with accents
        return True
    return spaces * (100 if lenient else 20) >= size and printable * 8 >= size


def _utf16_without_mark(head: bytes) -> str | None:
    """Return the byte order of a text whose every other byte is zero, as UTF-16 of ASCII is."""
    pairs = len(head) // 2
    if pairs < 8 or b"\x00" not in head[:16]:
        return None
    for encoding, zeros, letters in (
        ("utf-16-le", head[1::2], head[0::2]),
        ("utf-16-be", head[0::2], head[1::2]),
    ):
        if zeros.count(0) * 10 >= pairs * 9 and letters.count(0) == 0:
            return encoding
    return None


def _is_utf16(sample: bytes, encoding: str) -> bool:
    """Tell whether a sample decodes as UTF-16 without control characters.

    It may begin in the middle of a character, so it is tried from its second byte too.
    """
    for start in (0, 1):
        part = sample[start : start + (len(sample) - start) // 2 * 2]
        try:
            text = part.decode(encoding, "ignore")
        except UnicodeDecodeError:
            continue
        if len(text) * 2 >= len(part) - 4 and not any(c < " " and c not in "\t\n\r" for c in text):
            return True
    return False


def _is_incompressible(samples: list[bytes], head: bytes) -> bool:
    """Tell whether one fast zstd pass finds next to nothing to gain.

    The first sample counts only when it is alone: headers compress, what is behind them decides.
    """
    content = b"".join([sample[:_PROBE_SIZE] for sample in samples[1:] or samples])
    if len(content) < _PROBE_MIN_SIZE:
        return False
    coded = len(PLAIN_CODEC.compress(content, _PROBE_LEVEL))
    known = _COMPRESSED.match(head) is not None
    return coded > len(content) * (_COMPRESSED_RATIO if known else _INCOMPRESSIBLE_RATIO)


def _is_safetensors(head: bytes) -> bool:
    """Tell whether this is the beginning of a safetensors file: a size, then JSON about tensors."""
    if len(head) < 10 or head[8:9] != b"{" or int.from_bytes(head[:8], "little") > 100 << 20:
        return False
    header = head[8 : 8 + int.from_bytes(head[:8], "little")]
    if b'"data_offsets"' in header and b'"dtype"' in header:
        return True
    try:
        return isinstance(json.loads(header), dict) and header.rstrip().endswith(b"}")
    except ValueError:
        return False


def _is_array(samples: list[bytes]) -> bool:
    """Tell whether bytes repeat at a distance of 2, 4 or 8, as the high bytes of numbers do.

    Compared with odd distances, so that runs of one byte (which repeat at every distance) and
    records of text do not count. The first sample may be a header: it votes only when it is alone.
    """
    votes = yes = 0
    for sample in samples[1:4] or samples:
        part = sample[:_ARRAY_SAMPLE_SIZE]
        size = len(part)
        if size < _ARRAY_MIN_SIZE:
            continue
        value = int.from_bytes(part, "little")
        odd = max(_repeats(value, size, distance) for distance in (1, 3))
        if odd * 20 > size * 19:  # a constant
            continue
        votes += 1
        yes += any(
            (_repeats(value, size, distance) - odd) * 5 > size - odd for distance in (4, 2, 8)
        )
        if votes > yes:
            return False
    return yes > 0


def _repeats(value: int, size: int, distance: int) -> int:
    """Count the bytes of `value` that equal the byte `distance` further on."""
    return (value ^ (value >> 8 * distance)).to_bytes(size, "little").count(0)
