import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lmarc.archive import tables
from lmarc.archive.tables import (
    ENTRIES_BEGIN,
    PIECES,
    XATTRS,
    GrowingTable,
    as_numpy,
    batch,
    column_array,
    pack_table,
    unpack_table,
)
from lmarc.errors import CorruptError, FormatError

COLUMNS = [[1, 2], [3, 4], [5, 6], [7, 8]]


def stream(schema: pa.Schema, columns: list[Any], **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    arrays = [pa.array(c, f.type) for f, c in zip(schema, columns, strict=True)]
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def unpack(data: bytes, schema: pa.Schema = PIECES) -> pa.Table:
    frame = zstandard.compress(data)
    return unpack_table("pieces", frame, len(data), schema, offset=0)


def test_pack_and_unpack_agree() -> None:
    frame, size = pack_table(PIECES, COLUMNS)
    table = unpack_table("pieces", frame, size, PIECES, offset=0)
    assert [column.to_pylist() for column in table.columns] == COLUMNS
    frame, size = pack_table(PIECES, [[], [], [], []])
    assert unpack_table("pieces", frame, size, PIECES, offset=0).num_rows == 0


def test_xattrs_survive() -> None:
    pairs = [(b"user.a", b"\0\1"), (b"user.b", b"")]
    row = [[b"p"], [1], [0o644], [-1], [-1], [0], [b""], [b"g"], [b""], [pairs]]
    frame, size = pack_table(ENTRIES_BEGIN, row)
    table = unpack_table("entries_begin", frame, size, ENTRIES_BEGIN, offset=0)
    assert table["xattrs"].to_pylist() == [pairs]


def test_a_growing_table_is_the_same_in_memory_and_on_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = []
    for spool in (1, 1 << 20):
        monkeypatch.setattr(tables, "_SPOOL", spool)
        growing = GrowingTable(PIECES)
        for _ in range(5):
            growing.write(batch(PIECES, COLUMNS))
        assert growing.row_count == 10
        file, stored_size, size = growing.finish()
        frames.append(file.read())
        assert len(frames[-1]) == stored_size
        assert unpack_table("pieces", frames[-1], size, PIECES, offset=0).num_rows == 10
        growing.close()
    assert frames[0] == frames[1]


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_bodies_compressed_inside_are_refused(compression: str) -> None:
    with pytest.raises(CorruptError, match="compressed inside"):
        unpack(stream(PIECES, [[1] * 1000] * 4, compression=compression))


def test_other_schemas_are_refused() -> None:
    plain = pa.schema([(name, pa.uint64()) for name in PIECES.names])
    named = PIECES.with_metadata({"a": "b"})
    short = pa.schema(list(PIECES)[:3])
    for schema, columns in ((plain, COLUMNS), (named, COLUMNS), (short, COLUMNS[:3])):
        with pytest.raises(CorruptError):
            unpack(stream(schema, columns))


def test_nulls_are_refused() -> None:
    data = stream(PIECES, COLUMNS)
    with pytest.raises(CorruptError):
        unpack(stream(PIECES, [[1, None], *COLUMNS[1:]]))
    assert unpack(data).num_rows == 2


@pytest.mark.parametrize(
    "change",
    [lambda d: d + b"\0", lambda d: d[:-8], lambda d: d[:-1], lambda d: d + d, lambda d: b""],
)
def test_the_stream_must_end_with_its_end(change: object) -> None:
    data = change(stream(PIECES, COLUMNS))  # type: ignore[operator]
    with pytest.raises(FormatError):
        unpack(data)


def test_frames_must_decode_to_the_size_they_declare() -> None:
    frame, size = pack_table(PIECES, COLUMNS)
    for wrong in (size - 1, size + 1):
        with pytest.raises(CorruptError):
            unpack_table("pieces", frame, wrong, PIECES, offset=0)
    for damaged in (frame[:-1], frame + b"\0", b"", frame + frame):
        with pytest.raises(CorruptError):
            unpack_table("pieces", damaged, size, PIECES, offset=0)


@given(st.data())
def test_damaged_streams_raise_nothing_but_format_errors(data: st.DataObject) -> None:
    whole = bytearray(stream(PIECES, COLUMNS))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        unpack(bytes(whole))
    except FormatError:
        pass


VALUES: list[tuple[list[Any], pa.DataType]] = [
    ([b"a", b"", b"ccc"], pa.binary()),
    ([1, 2**64 - 1], pa.uint64()),
    ([-1, 2**63 - 1], pa.int64()),
    ([0, 255], pa.uint8()),
    ([b"x" * 32, bytes(32)], pa.binary(32)),
    ([(), ((b"k", b"v"), (b"l", b"")), ()], XATTRS),
]


@pytest.mark.parametrize(("values", "kind"), [*VALUES, *(([], kind) for _, kind in VALUES)])
def test_a_column_is_what_arrow_makes_of_it(values: list[Any], kind: pa.DataType) -> None:
    column = column_array(values, kind)
    column.validate(full=True)
    assert column.type == kind
    assert column.equals(pa.array(values, kind))


def test_a_number_out_of_range_is_refused() -> None:
    with pytest.raises(OverflowError):
        column_array([256], pa.uint8())


def test_arrow_becomes_numpy_with_offsets_and_chunks() -> None:
    column = column_array([5, 6, 7, 8], pa.int64())
    assert as_numpy(column[1:3]).tolist() == [6, 7]
    assert as_numpy(pa.chunked_array([column, column[2:]])).tolist() == [5, 6, 7, 8, 7, 8]
    assert as_numpy(pa.chunked_array([], pa.uint8())).tolist() == []
    equal = as_numpy(pc.equal(column, column)[1:])
    assert equal.tolist() == [True] * 3
    assert equal.dtype == np.bool_


def test_create_list_and_extract_load_no_pandas(tmp_path: Any) -> None:
    pytest.importorskip("pandas")
    (tmp_path / "file").write_text("text")
    program = (
        "import sys, lmarc\n"
        "lmarc.create('a.lmarc', ['file'], preset='fast')\n"
        "with lmarc.open('a.lmarc') as archive:\n"
        "    archive.extract('out')\n"
        "    archive.verify()\n"
        "    archive.read('file')\n"
        "print(sorted({'pandas', 'numba', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "[]\n"
