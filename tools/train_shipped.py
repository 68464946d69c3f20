"""Build the n-gram model that ships with lmarc, from the training corpus.

    python tools/train_shipped.py CORPUS [-o FILE] [--work DIR]

CORPUS is the folder of Parquet files that docs/models.md describes. The same corpus gives the same
file; a run that was stopped goes on from what DIR keeps.
"""

import argparse
import hashlib
import sys
import time
from pathlib import Path

from lmarc.train.data import documents, gather
from lmarc.train.ngram import train_ngram, write_model

SIZE = 19_900_000  # bytes
PROFILES = 4
CARD = {
    "name": "lmarc n-gram 1",
    "description": "General text: English prose, code, documentation, structured text, German, "
    "Russian, Chinese and other languages.",
    "command": "python tools/train_shipped.py CORPUS",
    "licence": "Apache-2.0; counts and weights only, no text of the corpus is in the model.",
    "data": {
        "english_books": "Project Gutenberg, public domain",
        "english_wiki": "English Wikipedia, CC BY-SA 3.0",
        "english_wikitext": "Wikipedia wikitext fixtures, CC BY-SA",
        "english_misc": "US government speeches, public domain",
        "code": "samples of public repositories, mostly permissive licences",
        "docs": "Markdown, RST, man pages and LaTeX of public repositories",
        "structured": "CSV, JSON, logs, SQL, YAML and XML of public repositories; loghub",
        "other_languages": "public text in German, Russian and other languages",
        "chinese": "public text in Chinese",
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("-o", "--output", type=Path, default=Path("lmarc-ngram-1.lmmodel"))
    parser.add_argument("--work", type=Path, default=Path("train-work"))
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    began = time.monotonic()

    def report(what: str) -> None:
        print(f"{time.monotonic() - began:7.0f} s  {what}", file=sys.stderr, flush=True)

    corpus = gather(documents([args.corpus]), 1 << 30)
    report(f"{corpus.size} bytes of text, SHA-256 {corpus.digest}")
    data = train_ngram(
        corpus,
        size=SIZE,
        profiles=PROFILES,
        folder=args.work,
        jobs=args.jobs,
        card=CARD,
        report=report,
    )
    write_model(data, args.output)
    print(f"{args.output}: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
