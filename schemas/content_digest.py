"""The definition of a slice's content digest, used by Spark's workers and by plain Python.

A row becomes JSON (UTF-8, no spaces, columns sorted by name) and is hashed with sha256; the slice's
digest is the sum of its rows' hashes modulo 2^256. Addition makes it independent of the rows' order
and of their division into batches and partitions, and counts a repeated row twice.
It guards against accidents and drift; it is not a signature.

Spark computes the digest of each partition with `mapInArrow` and adds them up with `combine`.
"""

import hashlib
import json
from collections.abc import Iterable

import pyarrow as pa

Digest = tuple[int, str]
"""Number of rows, and 64 hex digits."""


def content_digest(batches: Iterable[pa.RecordBatch]) -> Digest:
    """Return the digest of all rows of the batches, over all their columns.

    Columns must hold strings, numbers, booleans or lists of them.

    Raises:
        TypeError: a column is a map, or holds values that JSON cannot represent.
    """
    n_rows = total = 0
    for batch in batches:
        for field in batch.schema:
            if pa.types.is_map(field.type):
                raise TypeError(f"column {field.name} is a map, whose entries have no order to digest")
        columns = sorted(batch.schema.names)
        for row in batch.select(columns).to_pylist():
            text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            total += int.from_bytes(hashlib.sha256(text.encode()).digest())
            n_rows += 1
    return n_rows, _hex(total)


def combine(parts: Iterable[Digest]) -> Digest:
    """Combine the digests of parts into the digest of the whole."""
    n_rows = total = 0
    for n, digest in parts:
        n_rows += n
        total += int(digest, 16)
    return n_rows, _hex(total)


def _hex(total: int) -> str:
    return f"{total % 2**256:064x}"
