"""Read texts from Parquet files, one record per row; its place is the row number, from 0."""

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.crawl.records import Columns, Defect, Part, Record, UnreadableError
from transforms.crawl.texts import columns_missing, text_record

BATCH_BYTES = 4 * 2**20  # of rows unpacked at a time, by their mean size
BATCH_ROWS = 256
BUFFER_BYTES = 2**18  # a column is read in pieces of this size, not by whole row groups


def read_parquet(stream: BinaryIO, part: Part, max_bytes: int, columns: Columns) -> Iterator[Record | Defect]:
    """Yield the rows of a part's row groups, assigned to parts as if all had one size.

    Their real offsets are not read: pyarrow aborts the process on damaged column metadata.

    Raises:
        UnreadableError: the file is truncated or damaged, or lacks the columns.
    """
    size = stream.seek(0, os.SEEK_END)
    try:
        file = pq.ParquetFile(stream, buffer_size=BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)
        names = _names(file.schema_arrow, columns)
        at = 0
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            if part.start <= size * number // file.num_row_groups < part.end:
                batches = file.iter_batches(_batch_rows(group), row_groups=[number], columns=names, use_threads=False)
                yield from _records(batches, at, group.num_rows, max_bytes, columns)
            at += group.num_rows
    except pa.ArrowException as error:
        raise UnreadableError(f"damaged, or not Parquet: {error}") from error
    if at != file.metadata.num_rows:
        raise UnreadableError(f"damaged: {file.metadata.num_rows:,} rows declared, {at:,} in its row groups")


def row_group_starts(stream: BinaryIO, step: int) -> Iterator[int]:
    """Yield the offsets at which a file may be split: any, since row groups are assigned by number."""
    yield from range(step, stream.seek(0, os.SEEK_END), step)


def _names(schema: pa.Schema, columns: Columns) -> list[str]:
    """Return those of the four columns that the file has."""
    available = {name for name in schema.names if schema.get_field_index(name) >= 0}  # -1 for a name that occurs twice
    if not all(name in available and _is_text(schema.field(name).type) for name in (columns.url, columns.text)):
        raise columns_missing(columns, (f"{field.name} ({field.type})" for field in schema))
    return [name for name in {columns.url: 0, columns.text: 0, columns.date: 0, columns.id: 0} if name in available]


def _is_text(kind: pa.DataType) -> bool:
    """Return whether a column can hold texts: some writers store them as binary, and an empty column has no type."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return kind in (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.null())


def _batch_rows(group: pq.RowGroupMetaData) -> int:
    """Return the number of rows of a group to unpack at a time."""
    return max(1, min(BATCH_ROWS, BATCH_BYTES * group.num_rows // max(group.total_byte_size, 1)))


def _records(
    batches: Iterator[pa.RecordBatch], first: int, n_rows: int, max_bytes: int, columns: Columns
) -> Iterator[Record | Defect]:
    """Yield the rows of a row group that declares `n_rows`."""
    at = first
    for batch in batches:
        values = {name: _plain(batch.column(name)) for name in batch.schema.names}
        for number, length in enumerate(pc.binary_length(values[columns.text]).to_pylist()):
            if length is not None and length > max_bytes:
                yield Defect(at + number, "too_large", f"{length:,} bytes of text, {max_bytes:,} allowed")
            else:
                row = {name: _value(column[number]) for name, column in values.items()}
                yield text_record(at + number, row, columns)
        at += batch.num_rows
    if at - first != n_rows:
        raise UnreadableError(f"damaged: {n_rows:,} rows declared in a row group, {at - first:,} there")


def _plain(column: Any) -> Any:
    """Cast a column to types that Python can represent: texts as bytes, times to the microsecond."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    if _is_text(kind):
        return column.cast(pa.large_binary())
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    return column


def _value(scalar: Any) -> Any:
    """Return a value in Python: bytes if it is not UTF-8, None if Python cannot represent it (the year 20000)."""
    try:
        value = scalar.as_py()
    except (ValueError, OverflowError, LookupError):
        return None
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
