"""Make text to train a network on out of text that the n-gram model has seen.

    python tools/make_fold.py CORPUS... [--share 0.36] [--after 0] [--size 10M] [-o DIR]

A network learns to correct a mixture whose tables have not seen the text. Most of a corpus has gone
into the tables; a part of that, `--share`, is left out here of an n-gram model of its own, counted
on all the rest. The network learns over that one then, which knows as little of this text as the
model that ships does of other people's (cross-fitting). `--after 0.36` leaves out the part that
follows the first 0.36, which a network that learnt from those has not seen. DIR receives
fold.lmmodel and fold.lmarc:

    lmarc train neural CORPUS --fold DIR/fold.lmarc DIR/fold.lmmodel ...
"""

import argparse
import hashlib
from pathlib import Path

import lmarc
from lmarc.cli import options as units
from lmarc.train.data import Corpus, documents, gather
from lmarc.train.ngram import train_ngram, write_model
from lmarc.train.packing import CHUNK_SIZE


def split(corpus: Corpus, share: float, after: float = 0.0) -> tuple[Corpus, Corpus]:
    """Return the fold, all of it in the part 'mixture', and the text that counts for its model.

    The fold is `share` of each domain's text, behind the first `after` of it.
    """
    fold: dict[str, list[bytes]] = {}
    rest: dict[str, list[bytes]] = {}
    for domain, texts in corpus.texts["tables"].items():
        size = sum(map(len, texts))
        start = _first(texts, after * size)
        end = _first(texts, (after + share) * size)
        fold[domain] = texts[start:end]
        rest[domain] = texts[:start] + texts[end:] + corpus.texts["mixture"].get(domain, [])
    counted = Corpus({"tables": rest, "mixture": fold}, corpus.size, corpus.digest)
    return Corpus({"mixture": fold}, corpus.size, corpus.digest), counted


def _first(texts: list[bytes], size: float) -> int:
    """Return how many of `texts` have `size` bytes, or all."""
    number = 0
    while size > 0 and number < len(texts):
        size -= len(texts[number])
        number += 1
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--share", type=float, default=0.36, help="(%(default)s)")
    parser.add_argument("--after", type=float, default=0.0, help="(%(default)s)")
    parser.add_argument("--size", type=units.size, default=10_000_000, help="of the model (10M)")
    parser.add_argument("-o", "--output", type=Path, default=Path())
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    fold, counted = split(gather(documents(args.corpus), 1 << 40), args.share, args.after)
    with lmarc.Writer(args.output / "fold.lmarc", chunk_size=CHUNK_SIZE, jobs=args.jobs) as writer:
        for domain, texts in sorted(fold.texts["mixture"].items()):
            for number, text in enumerate(texts):
                writer.add_bytes(f"mixture/{domain}/{number}", text)
    data = train_ngram(
        counted, size=args.size, profiles=4, folder=args.output / "work", jobs=args.jobs
    )
    write_model(data, args.output / "fold.lmmodel")
    print(f"fold.lmmodel: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
