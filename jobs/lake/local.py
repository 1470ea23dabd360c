"""Looks at a lake on this machine without Spark; None where the lake is elsewhere or only Spark can read a table."""

from collections.abc import Sequence

import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from jobs.lake.files import local_path
from schemas.table import Table


def versions(root: str, tables: Sequence[Table]) -> dict[str, int] | None:
    """Table name -> its newest version; 0 where there is no table."""
    lake = local_path(root)
    if lake is None:
        return None
    paths = {table.name: str(lake / table.path) for table in tables}
    try:
        return {n: DeltaTable(path).version() if DeltaTable.is_deltatable(path) else 0 for n, path in paths.items()}
    except DeltaError:
        return None


def count_rows(root: str, table: Table, column: str, value: str) -> int | None:
    """How many rows of a table have a value in a column; 0 where there is no table."""
    lake = local_path(root)
    if lake is None:
        return None
    place = str(lake / table.path)
    if not DeltaTable.is_deltatable(place):
        return 0
    try:
        rows = DeltaTable(place).to_pyarrow_dataset()
    except DeltaError:
        return None
    return int(rows.count_rows(filter=pc.field(column) == value)) if column in rows.schema.names else 0
