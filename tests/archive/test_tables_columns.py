"""Columns between Python, NumPy and Arrow, without pandas."""

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lmarc.archive.tables import XATTRS, as_numpy, column_array, rows_at

COLUMNS: list[tuple[list[Any], pa.DataType]] = [
    ([b"a", b"", b"ccc"], pa.binary()),
    ([1, 2**64 - 1], pa.uint64()),
    ([-1, 2**63 - 1], pa.int64()),
    ([0, 255], pa.uint8()),
    ([b"x" * 32, bytes(32)], pa.binary(32)),
    ([(), ((b"k", b"v"), (b"l", b"")), ()], XATTRS),
]


@pytest.mark.parametrize(("values", "kind"), [*COLUMNS, *(([], kind) for _, kind in COLUMNS)])
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


@pytest.mark.parametrize("rows", [[], [0], [5], [1, 2, 4], [4, 1, 1, 5]])
def test_rows_come_in_the_order_asked_for(rows: list[int]) -> None:
    batches = [pa.table({"a": [0, 1, 2]}), pa.table({"a": [3, 4, 5]})]
    found = rows_at(pa.concat_tables(batches), np.array(rows, np.int64))
    assert found["a"].to_pylist() == rows
    assert found.schema == batches[0].schema
