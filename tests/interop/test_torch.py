"""Data sets for PyTorch: what a loader gives, with and without workers, here and on S3."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, default_collate

import lmarc
from lmarc.interop.torch import ArchiveDataset, ArchiveStream
from tests.archive.samples import noise
from tests.conftest import Bucket

COUNT = 2500
ROWS = [{"id": n, "text": noise(n, n % 70).hex()} for n in range(COUNT)]
FILES = {f"f{number:02}": noise(number, 50 * number) for number in range(40)}

# Python warns of forking where threads are; a loader's workers are forked, and that must work.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def write(url: Any, **options: Any) -> None:
    with lmarc.Writer(url, preset="fast", chunk_size=8192, **options) as writer:
        lines = [json.dumps(row).encode() + b"\n" for row in ROWS]
        writer.add_bytes("a.jsonl", b"".join(lines[:2000]))
        writer.add_bytes("b.jsonl", b"".join(lines[2000:]))
        for name, data in FILES.items():
            writer.add_bytes(name, data)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("torch") / "a.lmarc"
    write(path)
    return str(path)


def stream(path: str, **options: Any) -> ArchiveStream:
    return ArchiveStream(path, "*.jsonl", **{"transform": json.loads, "buffer": 200, **options})


def batches(
    dataset: Any, workers: int = 0, context: str | None = None, size: int = 32, **options: Any
) -> list[list[int]]:
    """Return the ids that a loader gives, batch by batch."""
    loader = DataLoader(
        dataset,
        batch_size=size,
        num_workers=workers,
        multiprocessing_context=context,
        collate_fn=list,
        **options,
    )
    return [[row["id"] for row in batch] for batch in loader]


def joined(parts: list[list[int]]) -> list[int]:
    return [number for part in parts for number in part]


def test_making_a_data_set_reads_nothing() -> None:
    for kind in (ArchiveDataset, ArchiveStream):
        dataset = pickle.loads(pickle.dumps(kind("/nowhere/a.lmarc")))
        with pytest.raises(FileNotFoundError, match=r"/nowhere/a\.lmarc"):
            len(dataset)


def test_samples_have_numbers(path: str) -> None:
    dataset = ArchiveDataset(path, "*.jsonl", transform=json.loads)
    assert len(dataset) == COUNT
    assert dataset[7] == ROWS[7]
    assert dataset[-1] == ROWS[-1]
    assert dataset.__getitems__([2100, 3]) == [ROWS[2100], ROWS[3]]
    for number in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError, match=f"sample {number}, there are 2500"):
            dataset[number]
    members = ArchiveDataset(path, ["f*"], samples="members")
    assert [members[number] for number in range(len(members))] == list(FILES.items())
    assert default_collate([ArchiveDataset(path, "f*", samples="members")[5]])[0] == ("f05",)


@pytest.mark.parametrize(("workers", "context"), [(0, None), (2, "fork"), (2, "spawn")])
def test_a_loader_gives_every_sample_once(path: str, workers: int, context: str | None) -> None:
    dataset = ArchiveDataset(path, "*.jsonl", transform=json.loads)
    assert dataset[0] == ROWS[0]  # open before the workers start
    found = batches(dataset, workers, context, shuffle=True)
    assert sorted(joined(found)) == list(range(COUNT))
    ordered = batches(stream(path), workers, context)
    assert sorted(joined(ordered)) == list(range(COUNT))
    assert joined(ordered) != list(range(COUNT))


def test_order_is_that_of_the_archive_unless_it_is_shuffled(path: str) -> None:
    assert joined(batches(stream(path, shuffle=False))) == list(range(COUNT))
    whole = ArchiveStream(path, "f*", samples="members", shuffle=False)
    assert list(whole) == list(FILES.items())


def test_ranks_and_workers_share_all_samples(path: str) -> None:
    parts = [stream(path, rank=rank, world_size=3) for rank in range(3)]
    found = [joined(batches(part, 2, "fork")) for part in parts]
    assert sorted(joined(found)) == list(range(COUNT))
    assert [len(part) for part in parts] == [len(ids) for ids in found] == [833, 833, 834]


def test_the_rank_is_that_of_torch_distributed(path: str, tmp_path: Path) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1
    )
    try:
        assert stream(path).state_dict()["world_size"] == 1
        assert len(stream(path)) == COUNT
    finally:
        torch.distributed.destroy_process_group()


def test_epochs_differ_also_for_workers_that_live_on(path: str) -> None:
    dataset = stream(path)
    loader: Any = DataLoader(
        dataset,
        batch_size=50,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context="fork",
        collate_fn=list,
    )
    orders = []
    for epoch in (0, 1, 0):
        dataset.set_epoch(epoch)
        orders.append([row["id"] for batch in loader for row in batch])
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[1]) == list(range(COUNT))


def test_a_stream_goes_on_from_its_state(path: str) -> None:
    dataset = stream(path)
    dataset.set_epoch(3)
    whole = [row["id"] for row in dataset]
    rows = iter(dataset)
    taken = [next(rows)["id"] for _ in range(1234)]
    state = json.loads(json.dumps(dataset.state_dict()))
    again = stream(path)
    again.load_state_dict(state)
    assert taken + [row["id"] for row in again] == whole
    again.set_epoch(4)
    assert len(list(again)) == COUNT


@pytest.mark.parametrize("given", [0, 1, 6, 39, 77, 78, 79, 80, 500])
@pytest.mark.parametrize("drop_last", [False, True])
def test_a_loader_with_workers_goes_on_after_its_batches(
    path: str, given: int, drop_last: bool
) -> None:
    options: dict[str, Any] = {"workers": 2, "context": "fork", "drop_last": drop_last}
    whole = batches(stream(path), **options)
    again = stream(path)
    again.load_state_dict(again.state_after(given, 32, 2, drop_last=drop_last))
    rest = batches(again, **options)
    assert sorted(rest) == sorted(whole[given:])
    if given % 2 == 0:
        assert rest == whole[given:]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"seed": 9}, "seed of the state is 0, here it is 9"),
        ({"chunks": 3}, "chunks of the state is 8, here it is 3"),
        ({"rank": 1, "world_size": 2}, "of the state is"),
    ],
)
def test_the_state_of_another_order_is_refused(
    path: str, change: dict[str, Any], match: str
) -> None:
    state = stream(path).state_dict()
    with pytest.raises(ValueError, match=match):
        stream(path, **change).load_state_dict(state)
    other = stream(path)
    other.load_state_dict(other.state_after(2, 8, 3))
    with pytest.raises(ValueError, match="state is that of 3 workers, there are 1"):
        iter(other)


def test_the_state_of_another_archive_is_refused(path: str, tmp_path: Path) -> None:
    state = stream(path).state_dict()
    with lmarc.Writer(tmp_path / "b.lmarc", preset="fast") as writer:
        writer.add_bytes("a.jsonl", b"{}\n")
    with pytest.raises(ValueError, match="archive of the state is"):
        stream(str(tmp_path / "b.lmarc")).load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"buffer": 0}, "buffer is 0, expected 1 or more"),
        ({"rank": 1}, "give both or neither"),
        ({"rank": 2, "world_size": 2}, "rank is 2, expected 0 to 1"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        ArchiveStream("a.lmarc", **options)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_an_archive_on_s3_is_read_block_by_block(bucket: Bucket, context: str) -> None:
    url, options = f"{bucket.url}/a.lmarc", bucket.storage_options
    write(url, storage_options=options)
    dataset = stream(url, storage_options=options)
    assert len(dataset) == COUNT
    data = pickle.dumps(dataset)
    bucket.log.clear()
    copy = pickle.loads(data)
    assert len(copy) == COUNT
    assert bucket.log.methods == []
    found = batches(copy, 2, context)
    assert sorted(joined(found)) == list(range(COUNT))
    blocks = -(-len(dataset._samples().blocks) // 8) + 2
    assert bucket.log.methods.count("GET") == len(bucket.log.methods) <= blocks + 2
    random = ArchiveDataset(url, "*.jsonl", transform=json.loads, storage_options=options)
    bucket.log.clear()
    found = batches(random, 2, context, shuffle=True, size=250)
    assert sorted(joined(found)) == list(range(COUNT))
    assert "HEAD" not in bucket.log.methods
