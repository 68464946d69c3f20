"""Cut text into tokens: at each place the longest token that stands there.

spec/v1/subword.md, section 6: how text is cut is the encoder's own affair, so this is one way. A
vocabulary is a trie whose edges stand in a hash table.
"""

from __future__ import annotations

from ._jit import I32Array, U8Array, U16Array, inlined, integer, kernel

NONE = -1
MULTIPLIER = 0x9E3779B1


@inlined
def _slot(edge: int, size: int) -> int:
    """The first place to look at for an edge, in a table of `size`, a power of two."""
    return (edge * MULTIPLIER >> 12) & (size - 1)


@inlined
def _child(edges: I32Array, children: I32Array, node: int, byte: int) -> int:
    """The node that a byte leads to, or NONE."""
    edge = node << 8 | byte
    size = len(edges)
    at = _slot(edge, size)
    while edges[at] != NONE:
        if edges[at] == edge:
            return integer(children[at])  # type: ignore[no-any-return]
        at = (at + 1) & (size - 1)
    return NONE


@kernel
def build(
    sizes: I32Array, text: U8Array, edges: I32Array, children: I32Array, tokens: I32Array
) -> int:
    """Make the trie of a vocabulary; return how many nodes it has.

    Parameters
    ----------
    sizes : int32, shape (count,)
        Bytes of each token.
    text : uint8
        The tokens' bytes, one token after the other.
    edges, children : int32, shape (a power of two,), more than twice the bytes of `text`
        NONE in all of `edges`. Receive the hash table.
    tokens : int32, shape (bytes of `text` + 1,)
        NONE in all. Receives for each node the token that ends there.
    """
    nodes, at = 1, 0
    for token in range(len(sizes)):
        node = 0
        for _ in range(sizes[token]):
            byte = integer(text[at])
            at += 1
            found = _child(edges, children, node, byte)
            if found == NONE:
                edge = node << 8 | byte
                place = _slot(edge, len(edges))
                while edges[place] != NONE:
                    place = (place + 1) & (len(edges) - 1)
                edges[place] = edge
                children[place] = nodes
                found = nodes
                nodes += 1
            node = found
        tokens[node] = token
    return nodes


@kernel
def cut(
    text: U8Array, edges: I32Array, children: I32Array, tokens: I32Array, found: U16Array
) -> int:
    """Cut `text` into tokens; return how many there are.

    Every byte must be a token.

    Parameters
    ----------
    text : uint8, shape (size,)
    edges, children, tokens
        As `build` makes them.
    found : uint16, shape (size,)
        Receives the tokens.
    """
    at, count = 0, 0
    while at < len(text):
        node, best, end, here = 0, 0, at + 1, at
        while here < len(text):
            node = _child(edges, children, node, integer(text[here]))
            if node == NONE:
                break
            here += 1
            token = integer(tokens[node])
            if token != NONE:
                best, end = token, here
        found[count] = best
        count += 1
        at = end
    return count
