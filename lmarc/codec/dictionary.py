"""Train a zstd dictionary on an archive's own text, where that makes the archive smaller.

The decision counts the text that is there, not text that may come: the dictionary must save more on
the chunks it was made from than it takes in the archive. Same samples, same dictionary: nothing is
drawn at random, the trainer runs in one thread. (Another version of the zstd library may train
another dictionary.)
"""

from collections.abc import Sequence

import zstandard

from lmarc.codec.zstd import DICTIONARY_CODEC, PLAIN_CODEC

__all__ = ["train_dictionary"]

_SIZES = (16 << 10, 64 << 10, 112_640)  # bytes; zstd's own default is the last
_RECORD_SIZE = 32 + 48  # bytes that a Model record adds to its model
_MIN_TEXT = 256 << 10  # bytes; less has never paid for even a small dictionary
_TRAINING = 2 << 20  # bytes of text that the trainer sees: 20 ms; eight times more gained 0.3 %
_TRIAL = 2 << 20  # bytes of text that candidates are tried on
_PIECE = 4 << 10  # bytes of one training sample
# What a trial on a part of the text must save, relative to the cost, for the whole to be trusted.
_MARGIN = 1.25


def train_dictionary(samples: Sequence[bytes], level: int) -> bytes | None:
    """Return a dictionary that saves more than its own size on `samples`, or None.

    Parameters
    ----------
    samples : sequence of bytes
        The content of the chunks of text that the dictionary would be used for.
    level : int
        The zstd level of those chunks.
    """
    total = sum(map(len, samples))
    if total < _MIN_TEXT:
        return None
    pieces = [
        sample[start : start + _PIECE]
        for sample in samples
        for start in range(0, len(sample), _PIECE)
    ]
    pieces = pieces[:: -(-total // _TRAINING)]
    trial = samples[:: -(-total // _TRIAL)]
    trial_size = sum(map(len, trial))
    plain = sum(len(PLAIN_CODEC.compress(sample, level)) for sample in trial)
    margin = 1.0 if trial_size == total else _MARGIN
    best, best_saved = None, 0.0
    for size in _SIZES:
        dictionary = _train(size, pieces, level)
        if dictionary is None:
            continue
        coded = sum(len(DICTIONARY_CODEC.compress(sample, level, dictionary)) for sample in trial)
        cost = len(dictionary) + _RECORD_SIZE
        saved = (plain - coded) * (total / trial_size) - cost * margin
        if saved > best_saved:
            best, best_saved = dictionary, saved
    return best


def _train(size: int, pieces: Sequence[bytes], level: int) -> bytes | None:
    """Return a dictionary of at most `size` bytes; None where the text is too uniform for one."""
    try:
        # k, d, f and accel are fixed: searching for them takes a hundred times longer.
        trained = zstandard.train_dictionary(
            size, list(pieces), k=256, d=8, f=18, accel=4, level=level
        )
    except zstandard.ZstdError:
        return None
    return trained.as_bytes()
