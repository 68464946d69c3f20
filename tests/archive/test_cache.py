from lmarc.archive.cache import ChunkCache


def test_the_latest_used_stay() -> None:
    cache = ChunkCache(10)
    cache.put(1, b"aaaa")
    cache.put(2, b"bbbb")
    assert cache.get(1) == b"aaaa"
    cache.put(3, b"cccc")
    assert cache.get(2) is None
    assert cache.get(1) == b"aaaa"
    assert cache.get(3) == b"cccc"


def test_a_chunk_larger_than_the_cache_is_not_kept() -> None:
    cache = ChunkCache(3)
    cache.put(1, b"aaa")
    cache.put(2, b"bbbb")
    assert cache.get(2) is None
    assert cache.get(1) == b"aaa"


def test_more_of_a_chunk_takes_the_place_of_less() -> None:
    cache = ChunkCache(10)
    cache.put(1, b"aa")
    cache.put(2, b"bbbb")
    cache.put(1, b"aaaaaa")
    assert cache.get(1) == b"aaaaaa"
    cache.put(1, b"a")
    assert cache.get(1) == b"aaaaaa"
    cache.put(2, b"bbbbb")
    assert cache.get(1) is None
    assert cache.get(2) == b"bbbbb"


def test_clear_forgets_everything() -> None:
    cache = ChunkCache(4)
    cache.put(1, b"aaaa")
    cache.clear()
    assert cache.get(1) is None
    cache.put(2, b"bbbb")
    assert cache.get(2) == b"bbbb"
