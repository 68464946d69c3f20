"""Code fixed inputs in a process of its own, and print the digest of every payload as JSON.

    python -m tests.conformance.coder THREADS INPUT...

An input is a name of `lmarc.codec.vectors`, or `model:KIND-SIZE`: coded with the shipped model, or
`neural:KIND-SIZE`, `deep:KIND-SIZE`, `patched:KIND-SIZE`, `subword:KIND-SIZE`,
`multiscale:KIND-SIZE`, `lanes:KIND-SIZE`, `doubts:KIND-SIZE`, `tower:KIND-SIZE`,
`words:KIND-SIZE` or `primed:KIND-SIZE`: coded with a small network of two layers or of more or with
patches, the small subword model or a small blend, without lanes of its own, with them, with doubts,
over the deep network, over the one with patches, or behind a primer, and decoded again alone and in
batches.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

from lmarc.codec import jobs, multiscale, neural, ngram, subword, vectors
from lmarc.kernels import _jit
from lmarc.model import registry
from lmarc.model.multiscale import MultiscaleModel
from lmarc.model.neural import NeuralModel

TOGETHER = 64  # chunks that are decoded in one batch, as through PyTorch
NETWORKS: dict[str, Callable[[], NeuralModel]] = {
    "neural": vectors.small_network,
    "deep": vectors.deep_network,
    "patched": vectors.patched_network,
}
BLENDS: dict[str, Callable[[], MultiscaleModel]] = {
    "multiscale": vectors.small_blend,
    "lanes": vectors.small_lanes,
    "doubts": vectors.small_doubts,
    "tower": vectors.deep_blend,
    "words": vectors.patched_blend,
    "primed": lambda: vectors.small_lanes().primed(vectors.records("primer", 700)),
}


def digest(name: str) -> str:
    """Return the digest of one payload, after decoding it."""
    which, _, what = name.rpartition(":")
    kind, _, size = what.rpartition("-")
    makers = {"json": vectors.records, "csv": vectors.table}
    make = makers.get(kind) or getattr(vectors, kind)
    content = make(name, int(size))
    if which in NETWORKS:
        network = NETWORKS[which]()
        payload = neural.compress_with(network, content)
        decoded = neural.decompress_with(network, payload, len(content))
        if neural.decompress_together(network, [(payload, len(content))] * 3) != [content] * 3:
            raise SystemExit(f"{name} does not decode beside others")
    elif which == "subword":
        tokens = vectors.small_subword()
        payload = subword.compress_with(tokens, content)
        decoded = subword.decompress_with(tokens, payload, len(content))
        if subword.decompress_together(tokens, [(payload, len(content))] * 3) != [content] * 3:
            raise SystemExit(f"{name} does not decode beside others")
    elif which in BLENDS:
        blend = BLENDS[which]()
        payload = multiscale.compress_with(blend, content)
        decoded = multiscale.decompress_with(blend, payload, len(content))
        for count in (3, TOGETHER) if len(content) < 1000 and not _jit.PLAIN else (3,):
            together = [(payload, len(content))] * count
            if multiscale.decompress_together(blend, together) != [content] * count:
                raise SystemExit(f"{name} does not decode beside {count - 1} others")
    else:
        model = vectors.small_model()
        if which == "model":
            model = registry.ngram_model(registry.shipped("ngram"))
        payload = ngram.compress_with(model, content)
        decoded = ngram.decompress_with(model, payload, len(content))
    if decoded != content:
        raise SystemExit(f"{name} does not decode")
    return hashlib.sha256(payload).hexdigest()


def main() -> None:
    """Print what was found, and by what."""
    threads, names = int(sys.argv[1]), sys.argv[2:]
    with patch.object(jobs, "TOGETHER", TOGETHER), ThreadPoolExecutor(threads) as pool:
        digests = dict(zip(names, pool.map(digest, names), strict=True))
    target = "plain"
    if not _jit.PLAIN:
        from numba.core.registry import cpu_target

        target = cpu_target.target_context.codegen().magic_tuple()[1]
    print(json.dumps({"target": target, "digests": digests}))


if __name__ == "__main__":
    main()
