"""Tables of Entries and Index records: Arrow tables <-> zstd frames (spec §7).

What comes in is untrusted: sizes are bounded before anything is decompressed, the stream's messages
are looked through before Arrow decodes them (a body compressed inside the stream would be a second
bomb that Table_Size does not bound), and every batch is validated in full.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import zstandard

from lmarc.errors import CorruptError, LimitError
from lmarc.format._fields import Buffer

BATCH_ROWS: Final = 65_536
_LEVEL: Final = 3
_MAX_WINDOW: Final = 128 << 20  # bytes
_SPOOL: Final = 8 << 20  # bytes of one table's frame that stay in memory


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


_SHA256: Final = pa.binary(32)
XATTRS: Final = pa.map_(pa.binary(), pa.field("value", pa.binary(), nullable=False))
_BEGIN: Final[list[tuple[str, pa.DataType]]] = [
    ("path", pa.binary()),
    ("type", pa.uint8()),
    ("mode", pa.uint16()),
    ("mtime", pa.int64()),
    ("uid", pa.int64()),
    ("gid", pa.int64()),
    ("user", pa.binary()),
    ("group", pa.binary()),
    ("link_target", pa.binary()),
    ("xattrs", XATTRS),
]
_END: Final[list[tuple[str, pa.DataType]]] = [("size", pa.uint64()), ("sha256", _SHA256)]

ENTRIES_BEGIN: Final = _schema(*_BEGIN)
ENTRIES: Final = _schema(*_BEGIN[:2], ("flags", pa.uint8()), *_BEGIN[2:], *_END)
ENDS: Final = _schema(("entry", pa.uint64()), ("flags", pa.uint8()), *_END)
CHUNKS: Final = _schema(
    ("offset", pa.uint64()),
    ("stored_size", pa.uint64()),
    ("content_size", pa.uint64()),
    ("codec", pa.uint16()),
    ("model_slot", pa.uint16()),
    ("content_class", pa.uint8()),
    ("payload_checksum", pa.uint64()),
    ("content_checksum", pa.uint64()),
)
PIECES: Final = _schema(
    ("entry", pa.uint64()), ("chunk", pa.uint64()), ("position", pa.uint64()), ("size", pa.uint64())
)
MODELS: Final = _schema(
    ("kind", pa.uint8()),
    ("size", pa.uint64()),
    ("sha256", _SHA256),
    ("offset", pa.uint64()),
    ("embedded", pa.uint8()),
)


def batch(schema: pa.Schema, columns: list[Any]) -> pa.RecordBatch:
    """Return a record batch of Python lists or Arrow arrays, one for each field of `schema`."""
    arrays = [
        column if isinstance(column, pa.Array) else column_array(column, field.type)
        for field, column in zip(schema, columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def column_array(values: Sequence[Any] | npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return a column of one of the types above, without nulls.

    `pa.array` would do, but it imports pandas where that is installed, which takes longer than
    writing a small archive.
    """
    count = len(values)
    if pa.types.is_map(kind):
        pairs = [pair for row in values for pair in row]
        keys = column_array([key for key, _ in pairs], kind.key_type)
        items = column_array([item for _, item in pairs], kind.item_type)
        fields = pa.struct([kind.key_field, kind.item_field])
        entries = pa.Array.from_buffers(fields, len(pairs), [None], children=[keys, items])
        return pa.Array.from_buffers(kind, count, [None, _offsets(values)], children=[entries])
    if pa.types.is_binary(kind):
        data = pa.py_buffer(b"".join(values))
        return pa.Array.from_buffers(kind, count, [None, _offsets(values), data])
    if pa.types.is_fixed_size_binary(kind):
        return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(b"".join(values))])
    numbers = np.array(values, np.dtype(str(kind)))
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(numbers)])


def rows_at(table: pa.Table, rows: npt.NDArray[np.int64]) -> pa.Table:
    """Return some rows of a table, in the order asked for.

    Arrow joins all batches of a column before it takes from them, so only those in between are
    shown to it.
    """
    if not len(rows):
        return table.slice(0, 0)
    first, last = int(rows.min()), int(rows.max())
    return table.slice(first, last + 1 - first).take(column_array(rows - first, pa.int64()))


def as_numpy(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return integers or booleans without nulls as an array: bool for booleans, else their type.

    `to_numpy` would do, but it imports pandas too.
    """
    boolean = pa.types.is_boolean(column.type)
    kind = np.dtype(np.uint8 if boolean else str(column.type))
    parts = [np.empty(0, kind)]
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        values = chunk.cast(pa.uint8()) if boolean else chunk
        data = values.buffers()[1]
        if len(values):
            parts.append(np.frombuffer(data, kind)[values.offset : values.offset + len(values)])
    joined = parts[1] if len(parts) == 2 else np.concatenate(parts)
    return joined.view(np.bool_) if boolean else joined


def _offsets(values: Sequence[Any] | npt.NDArray[Any]) -> pa.Buffer:
    """Return where each of some variable-sized values starts, and where the last ends: int32."""
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=offsets[1:])
    if offsets[-1] >= 1 << 31:
        raise ValueError(f"a batch has {offsets[-1]} bytes in one column, expected less than 2 GiB")
    return pa.py_buffer(offsets.astype(np.int32))


def pack_table(schema: pa.Schema, columns: list[Any]) -> tuple[bytes, int]:
    """Return the frame of a small table and the size of its Arrow stream, in bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        rows = batch(schema, columns)
        if rows.num_rows:
            writer.write_batch(rows)
    stream = sink.getvalue()
    return zstandard.ZstdCompressor(level=_LEVEL).compress(stream), stream.size


class _Compressed:
    """A file object for Arrow to write to; what it gets goes compressed to `spool`."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
        self.closed = False
        self.size = 0  # bytes, before compression
        self.stored_size = 0

    def write(self, data: Buffer) -> int:
        self.size += len(data)
        self._store(self._compressor.compress(data))
        return len(data)

    def finish(self) -> None:
        self._store(self._compressor.flush())

    def _store(self, data: bytes) -> None:
        self._spool.write(data)
        self.stored_size += len(data)


class GrowingTable:
    """A table of the Index that is compressed while it grows: what stays is its frame.

    Frames above 8 MiB go to a temporary file, so memory does not grow with the archive.

    Parameters
    ----------
    schema : pa.Schema
        Batches written must have it.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.row_count = 0
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115
        self._compressed = _Compressed(self._spool)
        self._writer = pa.ipc.new_stream(pa.PythonFile(self._compressed, mode="w"), schema)

    def write(self, rows: pa.RecordBatch) -> None:
        """Add rows."""
        self.row_count += rows.num_rows
        self._writer.write_batch(rows)

    def write_table(self, table: pa.Table) -> None:
        """Add the rows of a table, in batches of at most `BATCH_ROWS`."""
        for rows in table.to_batches(max_chunksize=BATCH_ROWS):
            self.write(rows)

    def finish(self) -> tuple[IO[bytes], int, int]:
        """End the table; return its frame as a file at its start, and stored and stream size."""
        self._writer.close()
        self._compressed.finish()
        self._spool.seek(0)
        return self._spool, self._compressed.stored_size, self._compressed.size

    def close(self) -> None:
        """Give the memory and the temporary file back."""
        self._spool.close()


def unpack_table(
    name: str, frame: Buffer, size: int, schema: pa.Schema, *, offset: int
) -> pa.Table:
    """Parse a table, and check that it is exactly what the spec allows.

    Parameters
    ----------
    name : str
        For messages.
    frame : buffer
        Table_Stored_Size bytes.
    size : int
        Table_Size; `TablesHeader` has bounded it.
    schema : pa.Schema
        What the table must have.
    offset : int
        Of the record, for messages.

    Raises
    ------
    CorruptError
        Anything that is not a valid stream of this schema without nulls.
    LimitError
        A window beyond 128 MiB.
    """
    stream = _decompress(name, frame, size, offset)
    try:
        _check_messages(stream)
        with pa.ipc.open_stream(pa.py_buffer(stream)) as reader:
            if not reader.schema.equals(schema, check_metadata=True):
                raise CorruptError(f"table {name} has another schema", offset=offset)
            table = pa.Table.from_batches(list(reader), schema=schema)
        table.validate(full=True)
    except (pa.ArrowException, struct.error, OSError, ValueError) as exc:
        if isinstance(exc, CorruptError):
            raise
        raise CorruptError(f"table {name} is no valid Arrow stream: {exc}", offset=offset) from exc
    if any(column.null_count for column in table.columns):
        raise CorruptError(f"table {name} holds a null", offset=offset)
    return table


def _decompress(name: str, frame: Buffer, size: int, offset: int) -> bytes:
    try:
        parameters = zstandard.get_frame_parameters(frame)
        if parameters.window_size > _MAX_WINDOW:
            message = f"table {name} has a window of {parameters.window_size} bytes"
            raise LimitError(f"{message}, at most {_MAX_WINDOW}", offset=offset)
        if parameters.dict_id:
            raise CorruptError(f"table {name} names a dictionary", offset=offset)
        if parameters.content_size not in (zstandard.CONTENTSIZE_UNKNOWN, size):
            message = f"table {name} decodes to {parameters.content_size} bytes"
            raise CorruptError(f"{message}, Table_Size is {size}", offset=offset)
        stream = zstandard.ZstdDecompressor().decompress(
            frame, max_output_size=size, allow_extra_data=False
        )
    except zstandard.ZstdError as exc:
        raise CorruptError(f"table {name} is no valid zstd frame: {exc}", offset=offset) from exc
    if len(stream) != size:
        message = f"table {name} decodes to {len(stream)} bytes, Table_Size is {size}"
        raise CorruptError(message, offset=offset)
    return stream


_CONTINUATION: Final = b"\xff\xff\xff\xff"
_SCHEMA, _RECORD_BATCH = 1, 3  # MessageHeader
_V5 = 4  # MetadataVersion


def _check_messages(stream: bytes) -> None:
    """Raise unless the stream is one Schema, plain RecordBatches, the end marker, and no more.

    Arrow's metadata are flatbuffers: a table starts with the distance back to its vtable, which
    holds the distance from the table to each field, 0 where the field is absent.
    """
    view = memoryview(stream)
    place = 0
    expected = _SCHEMA
    while True:
        if bytes(view[place : place + 4]) != _CONTINUATION:
            raise ValueError("a message does not start with the continuation marker")
        (metadata_size,) = struct.unpack_from("<i", view, place + 4)
        place += 8
        if metadata_size == 0:
            break
        if metadata_size < 0 or place + metadata_size > len(view):
            raise ValueError("a message reaches beyond the stream")
        kind, body_size = _check_metadata(view[place : place + metadata_size])
        if kind != expected:
            raise ValueError(f"message of type {kind}, expected {expected}")
        expected = _RECORD_BATCH
        place += metadata_size + body_size
        if body_size < 0 or place > len(view):
            raise ValueError("a body reaches beyond the stream")
    if place != len(view) or expected == _SCHEMA:
        raise ValueError("bytes behind the end of the stream, or no schema in it")


def _check_metadata(data: memoryview) -> tuple[int, int]:
    """Return header type and body size of a message without compression or metadata of its own."""
    (root,) = struct.unpack_from("<I", data)
    version = _field(data, root, 0)
    if not version or struct.unpack_from("<h", data, version)[0] != _V5:
        raise ValueError("metadata version is not V5")
    if _field(data, root, 4):
        raise ValueError("a message has custom metadata")
    kind_at, header_at, body_at = (_field(data, root, index) for index in (1, 2, 3))
    if not kind_at or not header_at:
        raise ValueError("a message has no header")
    (kind,) = struct.unpack_from("<B", data, kind_at)  # checked, as an index is not
    header = header_at + struct.unpack_from("<I", data, header_at)[0]
    if kind == _SCHEMA:
        endianness = _field(data, header, 0)
        if endianness and struct.unpack_from("<h", data, endianness)[0]:
            raise ValueError("the stream is not little-endian")
    elif kind == _RECORD_BATCH and _field(data, header, 3):
        raise ValueError("a record batch is compressed inside the stream")
    body_size = struct.unpack_from("<q", data, body_at)[0] if body_at else 0
    return kind, body_size


def _field(data: memoryview, table: int, index: int) -> int:
    """Return where a field of a flatbuffer table stands, 0 if absent."""
    (back,) = struct.unpack_from("<i", data, table)
    vtable = table - back
    if vtable < 0:
        raise ValueError("a flatbuffer's vtable stands before its start")
    (vtable_size,) = struct.unpack_from("<H", data, vtable)
    if 4 + 2 * index + 2 > vtable_size:
        return 0
    (distance,) = struct.unpack_from("<H", data, vtable + 4 + 2 * index)
    return table + distance if distance else 0
