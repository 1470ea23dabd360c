"""Reading of a local lake without Spark; None if the lake is remote or only Spark can read a table."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from schemas.place import local_path, opened
from schemas.table import Table


@contextmanager
def delta_table(place: str, version: int | None = None) -> Iterator[DeltaTable | None]:
    """Open the table at a path or URI, at `version` or the newest; None if there is none."""

    def open_if_exists(path: str) -> DeltaTable | None:
        return DeltaTable(path, version=version) if DeltaTable.is_deltatable(path) else None

    with opened(place, open_if_exists) as table:
        yield table


def versions(root: str, tables: Sequence[Table]) -> dict[str, int] | None:
    """Map each table's name to its newest version; 0 if the table does not exist."""
    lake = local_path(root)
    if lake is None:
        return None
    newest = {}
    try:
        for table in tables:
            with delta_table(str(lake / table.path)) as delta:
                newest[table.name] = delta.version() if delta else 0
    except DeltaError:
        return None
    return newest


def count_rows(root: str, table: Table, column: str, value: str) -> int | None:
    """Count the rows of a table with a value in a column; 0 if the table or the column does not exist."""
    lake = local_path(root)
    if lake is None:
        return None
    try:
        with delta_table(str(lake / table.path)) as delta:
            if delta is None:
                return 0
            rows = delta.to_pyarrow_dataset()
            return int(rows.count_rows(filter=pc.field(column) == value)) if column in rows.schema.names else 0
    except DeltaError:
        return None


def folder(root: str, name: str) -> Path:
    """Return a local folder for files other than tables (models, logs, reports): below the lake if it is local."""
    lake = local_path(root)
    return lake / name if lake else Path(f"humpback-{name}")
