"""The unlawful archives of `fixtures/bad`: each breaks one rule, with every checksum right.

A case is an error class of lmarc and a function that returns the bytes. The reference decoder
refuses all of them.
"""

from tools import multiscale_archives, neural_archives, ngram_archives, subword_archives
from tools.bad_records import HEADERS, MODELS, RECORDS
from tools.bad_tables import GROUPS, TABLES, entry_cases

__all__ = ["BAD"]

BAD = (
    HEADERS
    | RECORDS
    | MODELS
    | TABLES
    | GROUPS
    | entry_cases()
    | ngram_archives.BAD
    | neural_archives.BAD
    | subword_archives.BAD
    | multiscale_archives.BAD
)
