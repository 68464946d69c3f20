"""The n-gram coder in plain Python integers, restated from `spec/v1`, with nothing of `lmarc`.

Kernels must equal it exactly. It is laid out in the order of `spec/v1/ngram.md`, and slow: about a
thousand bytes a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

MASK_32 = (1 << 32) - 1
N_SYMBOLS = 16
Vector = list[int]  # a number for each of the sixteen symbols, or inputs


def wrap(value: int) -> int:
    """Return the int32 that equals `value` modulo 2**32."""
    return (value + (1 << 31) & MASK_32) - (1 << 31)


# -------------------- entropy-coding.md

STATE_MIN = 1 << 31


class CodingError(Exception):
    """The bytes do not decode."""


def rans_encode(steps: Sequence[tuple[int, int]]) -> tuple[int, list[int]]:
    """Return the state and the words that decode to symbols of these (cumfreq, freq)."""
    state = 0
    words: list[int] = []
    for cumfreq, freq in reversed(steps):
        if state >= freq << 47:
            words.append(state & MASK_32)
            state >>= 32
        state = (state // freq << 16) + cumfreq + state % freq
    return state, words[::-1]


def store(state: int, words: Sequence[int]) -> bytes:
    """Return state and words as bytes."""
    size = max(5, (state.bit_length() + 7) // 8)
    return state.to_bytes(size, "big") + b"".join(word.to_bytes(4, "little") for word in words)


def load(data: bytes) -> tuple[int, list[int]]:
    """Return state and words, or raise CodingError."""
    if len(data) < 5:
        raise CodingError("too few bytes")
    size = 5 + (len(data) - 5) % 4
    if size > 5 and data[0] == 0:
        raise CodingError("the state has a leading zero")
    words = [int.from_bytes(data[at : at + 4], "little") for at in range(size, len(data), 4)]
    return int.from_bytes(data[:size], "big"), words


class RansDecoder:
    """Decodes symbols, one at a time."""

    def __init__(self, state: int, words: Sequence[int]) -> None:
        if state >= STATE_MIN << 32 or (words and state < STATE_MIN):
            raise CodingError("the state is out of range")
        self.state = state
        self.words = words
        self.read = 0

    def decode(self, freqs: Sequence[int]) -> int:
        """Return the next symbol."""
        slot = self.state & 0xFFFF
        symbol, cumfreq = 0, 0
        while cumfreq + freqs[symbol] <= slot:
            cumfreq += freqs[symbol]
            symbol += 1
        self.state = freqs[symbol] * (self.state >> 16) + slot - cumfreq
        if self.state < STATE_MIN and self.read < len(self.words):
            self.state = self.state << 32 | self.words[self.read]
            self.read += 1
        return symbol

    def finish(self) -> None:
        """Check that nothing is left."""
        if self.state or self.read != len(self.words):
            raise CodingError("the words do not end where they should")


# -------------------- ngram.md 3. Contexts

ORDER_1, ORDER_2, ORDER_3, ORDER_4, ORDER_6, WORD, COLUMN, FIELD, ORDER_5, WORD_PAIR = range(10)
LANE_STEP = 0x32BE5AB7
KEY_1, KEY_2 = 0x2C1B3C6D, 0x297A2D39
SEPARATORS = b"\n,\t;|"


@dataclass
class Contexts:
    """What is known of the bytes before."""

    last: int = 0
    older: int = 0
    word: int = 0
    last_word: int = 0
    line: int = 0
    line_above: int = -1
    number: int = 0  # of the field
    field_start: int = 0
    fields: list[int] = field(default_factory=lambda: [-1] * 512)
    text: bytearray = field(default_factory=bytearray)

    def advance(self, byte: int) -> None:
        """Take in a byte."""
        self.text.append(byte)
        self.older = (self.older << 8 | self.last >> 24) & MASK_32
        self.last = (self.last << 8 | byte) & MASK_32
        folded = byte + 32 if ord("A") <= byte <= ord("Z") else byte
        letter = ord("a") <= folded <= ord("z") or ord("0") <= byte <= ord("9") or byte >= 128
        if letter:
            self.word = (self.word + folded + 1) * 0x1E3779B1 & MASK_32
        elif self.word:
            self.last_word, self.word = self.word, 0
        if byte in SEPARATORS:
            self.fields[self.number] = self.field_start
            self.field_start = len(self.text)
            self.number = min(self.number + 1, 511)
            if byte == ord("\n"):
                self.line_above, self.line, self.number = self.line, len(self.text), 0

    def raw_keys(self) -> list[int]:
        """Return the ten keys before they are mixed."""
        position = len(self.text)
        last, older = self.last, self.older
        column = position - self.line
        up = up_field = up_next = 0
        if self.line_above >= 0 and self.line_above + column < self.line:
            up = self.text[self.line_above + column]
        start = self.fields[self.number]
        there = start + position - self.field_start
        if start >= 0 and there + 1 < self.line:
            up_field, up_next = self.text[there], self.text[there + 1]
        raw = [0] * 10
        raw[ORDER_1] = last & 0xFF
        raw[ORDER_2] = (last & 0xFFFF) + LANE_STEP
        raw[ORDER_3] = (last & 0xFFFFFF) + 2 * LANE_STEP
        raw[ORDER_4] = last + 3 * LANE_STEP
        raw[ORDER_5] = last * KEY_1 + (older & 0xFF) + 4 * LANE_STEP
        raw[ORDER_6] = last * KEY_1 + (older & 0xFFFF) * KEY_2 + 5 * LANE_STEP
        raw[WORD] = self.word + 6 * LANE_STEP
        raw[WORD_PAIR] = self.word * KEY_2 + self.last_word + 7 * LANE_STEP
        raw[COLUMN] = min(column, 255) + (up << 8) + ((last & 0xFF) << 16) + 8 * LANE_STEP
        number = min(self.number, 255) << 24
        raw[FIELD] = up_field + (up_next << 8) + ((last & 0xFF) << 16) + number + 9 * LANE_STEP
        return [value & MASK_32 for value in raw]

    def keys(self) -> list[int]:
        """Return the ten keys."""
        return [mix_key(value) for value in self.raw_keys()]


def mix_key(raw: int) -> int:
    """Return the key of a raw key."""
    mixed = raw * KEY_1 & MASK_32
    mixed = (mixed ^ mixed >> 15) * KEY_2 & MASK_32
    return mixed ^ mixed >> 13


def row_hash(key: int, salt: int) -> int:
    """Return the hash of a key with a salt: 0, or 1 + the high nibble."""
    mixed = (key + salt * 0x9E3779B1) * 0x85EBCA6B & MASK_32
    return mixed ^ mixed >> 16


# -------------------- ngram.md 4. Static rows

STATIC_LANES = (ORDER_2, ORDER_3, ORDER_4, ORDER_5, ORDER_6, WORD, WORD_PAIR)


@dataclass
class Bucket:
    """Up to six rows; `spills` has 32 bits."""

    tags: list[int]
    spills: int
    rows: list[Vector]  # of levels


@dataclass
class Profile:
    """What a chunk starts from."""

    share: Vector  # by count
    gain: Vector
    limits: Vector  # by dynamic input
    mixer_rates: Vector  # by bit length of the position
    sets: list[Vector]
    bytes: list[Vector]
    confidences: list[list[Vector]]  # half, confidence, input
    hits: Vector  # by length

    def copy(self) -> Profile:
        """Return a profile whose weights may change."""
        return Profile(
            self.share,
            self.gain,
            self.limits,
            self.mixer_rates,
            [list(row) for row in self.sets],
            [list(row) for row in self.bytes],
            [[list(row) for row in half] for half in self.confidences],
            list(self.hits),
        )


def find_static(buckets: Sequence[Bucket], key: int, hash_: int) -> Vector | None:
    """Return the levels of a context's row, or None."""
    tag = hash_ & 0xFFFF or 1
    home = buckets[key * len(buckets) >> 32]
    if tag in home.tags:
        return home.rows[home.tags.index(tag)]
    if home.spills >> (tag & 31) & 1:
        second = buckets[hash_ * len(buckets) >> 32]
        if tag in second.tags:
            return second.rows[second.tags.index(tag)]
    return None


def level_input(level: int) -> int:
    """Return the input that a level stands for."""
    return -(50 * level + 137) * level


# -------------------- ngram.md 5. Dynamic rows

UNIFORM = [4096] * N_SYMBOLS


def table_bits(content_size: int) -> int:
    """Return the bits of the dynamic tables of a chunk."""
    return min(max((content_size - 1).bit_length() - 1, 11), 14)


class DynamicTable:
    """One context's rows, in lines of two."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.lines: dict[int, list[list[int]]] = {}  # line -> two of [tag, count]
        self.rows: dict[tuple[int, int], Vector] = {}  # (line, place) -> row

    def find(self, hash_: int, limit: int) -> tuple[int, tuple[int, int]]:
        """Find or take a row; return its count and its place."""
        line = hash_ >> 33 - self.bits
        tag = hash_ & 0x3FF
        pair = self.lines.setdefault(line, [[0, 0], [0, 0]])
        if pair[0][0] == tag:
            place = 0
        elif pair[1][0] == tag:
            place = 1
        else:
            place = 1 if pair[1][1] < pair[0][1] else 0
            pair[place] = [tag, 0]
        count = pair[place][1]
        pair[place][1] = min(count + 1, limit)
        if count == 0:
            self.rows[line, place] = UNIFORM
        return count, (line, place)


# -------------------- ngram.md 6. Matches


@cache
def log2(value: int) -> int:
    """Return about 1024 * log2(value)."""
    exponent = value.bit_length() - 1
    fraction = (value << 12 >> exponent) - 4096
    bump = fraction * (4096 - fraction) >> 12
    return (exponent << 10) + (fraction >> 2) + (bump * 352 >> 12)


def stretch(index: int) -> int:
    """Return the match's input for a share of right guesses of `index` in 4096."""
    return log2(2 * index + 1) - log2(8191 - 2 * index) + 4096


@dataclass
class Matcher:
    """The last place where the same five bytes stood."""

    bits: int
    at: int = 0
    size: int = 0
    positions: dict[int, int] = field(default_factory=dict)
    guess: int = -1

    def find(self, text: Sequence[int], position: int, key: int) -> None:
        """Look for a match before `position`, unless one goes on."""
        if position >= 5:
            slot = key >> 32 - self.bits
            if self.size == 0 and slot in self.positions:
                at, size = self.positions[slot], 0
                while size < 48 and size < at and text[at - 1 - size] == text[position - 1 - size]:
                    size += 1
                if size >= 5:
                    self.at, self.size = at, size
            self.positions[slot] = position
        self.guess = text[self.at] if self.size else -1

    def advance(self, byte: int) -> None:
        """Take in a byte."""
        if self.size and self.guess == byte:
            self.at, self.size = self.at + 1, self.size + 1
        else:
            self.size = 0

    @property
    def length(self) -> int:
        """0 without a match, else 1 to 31."""
        return min(self.size if self.size < 16 else 16 + (self.size - 16 >> 2), 31)


# -------------------- ngram.md 7. Mixture


@cache
def exp2(distance: int) -> int:
    """Return about 65535 * 2**(-distance / 1024)."""
    fraction = distance & 1023
    square = fraction * fraction >> 10
    mantissa = 65535 - (fraction * 21528 >> 9) + (square * 10290 >> 10)
    return mantissa >> min(distance >> 10, 31)


def confidence(j: int, count: int, best: int) -> int:
    """Return how far input `j` is trusted, 0 to 15, by its count and its largest score."""
    if count == 0:
        return 0
    if j < 8:
        step = 1 + sum(count >= bound for bound in (2, 3, 4, 6, 9))
        return 2 * step + (best > 3700)
    return count >> 1 if j == 15 else min(-best >> 8, 14) + 1


def applied(weight: int) -> int:
    """Return a weight as it is applied."""
    return min(max(weight, -(1 << 19)), (1 << 19) - 16) >> 4


def mix(inputs: Sequence[Vector], weights: Vector) -> Vector:
    """Return the freqs: `weights` as applied."""
    logits = [
        wrap(sum(row[s] * weight for row, weight in zip(inputs, weights, strict=True))) >> 12
        for s in range(N_SYMBOLS)
    ]
    best = max(logits)
    odds = [exp2(best - logit) for logit in logits]
    scale = (65520 << 14) // sum(odds)
    freqs = [(odd * scale >> 14) + 1 for odd in odds]
    freqs[15] += 65536 - sum(freqs)
    return freqs


# -------------------- ngram.md 8. Learning


def weight_steps(inputs: Sequence[Vector], freqs: Vector, symbol: int, rate: int) -> Vector:
    """Return how far each input's weights move."""
    errors = [(65536 * (s == symbol) - freq) >> 2 for s, freq in enumerate(freqs)]
    sums = [sum(x * e for x, e in zip(row, errors, strict=True)) for row in inputs]
    return [(total >> 11) * rate >> 13 for total in sums]


def learn_row(row: Vector, symbol: int, share: int, gain: int) -> Vector:
    """Return a dynamic row that has seen `symbol`."""
    kept = [max(old - ((old >> 1) * share >> 14), 16) for old in row]
    kept[symbol] = min(kept[symbol] + gain, 65535)
    return kept


# -------------------- ngram.md 2. Overview: the steps


class Coder:
    """The model's side of encoder and decoder alike."""

    def __init__(self, buckets: Sequence[Bucket], profile: Profile, content_size: int) -> None:
        bits = table_bits(content_size)
        self.buckets = buckets
        self.weights = profile.copy()
        self.contexts = Contexts()
        self.tables = [DynamicTable(bits) for _ in range(8)]
        self.matcher = Matcher(bits + 2)

    def prime(self, text: bytes) -> None:
        """Take in the text of a primed model: section 2.3."""
        for byte in text:
            self.start_byte()
            for half, symbol in enumerate((byte >> 4, byte & 15)):
                self.predict(half, byte >> 4)
                self.learn(symbol)
            self.end_byte(byte)

    def start_byte(self) -> None:
        """Compute the keys of the next byte, and look for a match."""
        text = self.contexts.text
        self.keys = self.contexts.keys()
        self.matcher.find(text, len(text), self.keys[ORDER_5])

    def predict(self, half: int, high: int) -> Vector:
        """Return the freqs of the next symbol."""
        hashes = [row_hash(key, 1 + high if half else 0) for key in self.keys]
        inputs: list[Vector] = []
        counts: Vector = []
        self.places = []
        for lane, table in enumerate(self.tables):
            count, place = table.find(hashes[lane], self.weights.limits[lane])
            inputs.append([log2(value) - 12288 for value in table.rows[place]])
            counts.append(count)
            self.places.append(place)
        for lane in STATIC_LANES:
            levels = find_static(self.buckets, self.keys[lane], hashes[lane])
            inputs.append([level_input(level) for level in levels or [0] * N_SYMBOLS])
            counts.append(0 if levels is None else 1)
        self.guess, self.length = -1, 0
        guess = self.matcher.guess
        inputs.append([0] * N_SYMBOLS)
        if guess >= 0 and (half == 0 or guess >> 4 == high):
            self.guess = guess & 15 if half else guess >> 4
            self.length = self.matcher.length
            inputs[15][self.guess] = stretch(self.weights.hits[self.length] >> 4)
        counts.append(self.length)
        self.counts = counts
        learnt = max((lane + 1 for lane in range(5) if counts[lane]), default=0)
        longest = max((k + 1 for k in range(5) if counts[8 + k]), default=0)
        strength = sum(self.length >= bound for bound in (1, 16, 24))
        last = self.contexts.last
        first, second, third = last & 0xFF, last >> 8 & 0xFF, last >> 16 & 0xFF
        self.vectors = [self.weights.sets[((longest * 6 + learnt) * 4 + strength) * 2 + half]]
        for kind, byte in enumerate((first, second, guess if self.guess >= 0 else third)):
            own = 256 + (high << 4) + (byte >> 4) if half else byte
            self.vectors.append(self.weights.bytes[512 * kind + own])
        self.confidences = [
            self.weights.confidences[half][confidence(j, counts[j], max(inputs[j]))]
            for j in range(16)
        ]
        weights = [
            applied(wrap(sum(vector[j] for vector in self.vectors) + self.confidences[j][j]))
            for j in range(16)
        ]
        self.inputs = inputs
        self.freqs = mix(inputs, weights)
        return self.freqs

    def learn(self, symbol: int) -> None:
        """Learn the symbol that `predict` was asked for."""
        position = len(self.contexts.text)
        rate = self.weights.mixer_rates[position.bit_length()]
        for j, step in enumerate(weight_steps(self.inputs, self.freqs, symbol, rate)):
            for weights in (*self.vectors, self.confidences[j]):
                weights[j] = wrap(weights[j] + step)
        for table, place, count in zip(self.tables, self.places, self.counts, strict=False):
            share, gain = self.weights.share[count], self.weights.gain[count]
            table.rows[place] = learn_row(table.rows[place], symbol, share, gain)
        if self.guess >= 0:
            hits = self.weights.hits[self.length]
            if self.guess == symbol:
                self.weights.hits[self.length] = hits + (65535 - hits >> 6)
            else:
                self.weights.hits[self.length] = hits - (hits >> 6)

    def end_byte(self, byte: int) -> None:
        """Take in a byte."""
        self.matcher.advance(byte)
        self.contexts.advance(byte)


def model(
    buckets: Sequence[Bucket], profile: Profile, content: bytes, text: bytes = b""
) -> list[tuple[int, int]]:
    """Return (cumfreq, freq) of each symbol of a chunk; `text` is that of a primed model."""
    coder = Coder(buckets, profile, len(text) + len(content))
    coder.prime(text)
    steps = []
    for byte in content:
        coder.start_byte()
        for half, symbol in enumerate((byte >> 4, byte & 15)):
            freqs = coder.predict(half, byte >> 4)
            steps.append((sum(freqs[:symbol]), freqs[symbol]))
            coder.learn(symbol)
        coder.end_byte(byte)
    return steps


def encode(buckets: Sequence[Bucket], profile: Profile, content: bytes, text: bytes = b"") -> bytes:
    """Return what follows Profile in a payload."""
    return store(*rans_encode(model(buckets, profile, content, text)))


def decode(
    buckets: Sequence[Bucket],
    profile: Profile,
    data: bytes,
    content_size: int,
    text: bytes = b"",
) -> bytes:
    """Return the content of a chunk, or raise CodingError."""
    coder = Coder(buckets, profile, len(text) + content_size)
    coder.prime(text)
    rans = RansDecoder(*load(data))
    for _ in range(content_size):
        coder.start_byte()
        high = rans.decode(coder.predict(0, 0))
        coder.learn(high)
        low = rans.decode(coder.predict(1, high))
        coder.learn(low)
        coder.end_byte(high << 4 | low)
    rans.finish()
    return bytes(coder.contexts.text[len(text) :])
