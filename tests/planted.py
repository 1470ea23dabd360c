"""Rows that an earlier run left in a lake, put there in milliseconds: what a test starts from, not what it tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deltalake import write_deltalake

from jobs.lake.conform import arrow_of
from schemas.table import Table


def plant(root: Path | str, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows as they are: by delta-rs, where the jobs' own way, by Spark, takes seconds."""
    place, partitions = f"{root}/{table.path}", [*table.partition_by] or None
    write_deltalake(place, arrow_of(table, rows), mode="append", partition_by=partitions)
