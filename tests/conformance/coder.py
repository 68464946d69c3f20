"""Code fixed inputs in a process of its own, and print the digest of every payload as JSON.

    python -m tests.conformance.coder THREADS INPUT...

An input is a name of `lmarc.codec.vectors`, or `model:KIND-SIZE`: coded with the shipped model.
"""

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor

from lmarc.codec import ngram, vectors
from lmarc.kernels import _jit
from lmarc.model import registry


def digest(name: str) -> str:
    """Return the digest of one payload, after decoding it."""
    model = vectors.small_model()
    shipped = name.removeprefix("model:")
    if shipped != name:
        model = registry.ngram_model(registry.shipped("ngram"))
    kind, _, size = shipped.rpartition("-")
    makers = {"json": vectors.records, "csv": vectors.table}
    make = makers.get(kind) or getattr(vectors, kind)
    content = make(name, int(size))
    payload = ngram.compress_with(model, content)
    if ngram.decompress_with(model, payload, len(content)) != content:
        raise SystemExit(f"{name} does not decode")
    return hashlib.sha256(payload).hexdigest()


def main() -> None:
    """Print what was found, and by what."""
    threads, names = int(sys.argv[1]), sys.argv[2:]
    with ThreadPoolExecutor(threads) as pool:
        digests = dict(zip(names, pool.map(digest, names), strict=True))
    target = "plain"
    if not _jit.PLAIN:
        from numba.core.registry import cpu_target

        target = cpu_target.target_context.codegen().magic_tuple()[1]
    print(json.dumps({"target": target, "digests": digests}))


if __name__ == "__main__":
    main()
