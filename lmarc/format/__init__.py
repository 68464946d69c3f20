"""Format v1: bytes <-> frozen records, without I/O (spec/v1/format.md).

Each record class has `SIZE`, `pack()` and `unpack(data, *, offset)`; `unpack` takes exactly
`SIZE` bytes, `offset` is where they stand in the archive and only goes into error messages.
"""
