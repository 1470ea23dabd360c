"""Registration of the lake's tables in Spark, SQL over them, and vacuum.

Command line: `humpback sql --engine spark`, `vacuum`.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from deltalake import CommitProperties
from pyspark.sql import DataFrame

from jobs.errors import JobError
from jobs.lake import jvm
from jobs.lake.conform import delta_name, quoted
from jobs.lake.drift import DRIFT, DRIFT_VIEW
from jobs.lake.files import local_path
from jobs.lake.local import delta_table
from jobs.lake.queries import is_look, require_reading, tables_named
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from schemas import BY_NAME, TABLES
from schemas.gold import CURATED
from schemas.ops import MODELS, RELEASES
from schemas.silver import SCORES
from schemas.table import Table

GRACE_HOURS = 168  # Delta's default: longer than any reader or writer runs


def register(lake: Lake, tables: Iterable[Table] = TABLES) -> None:
    """Register tables in the session under their names, such as `silver.scores`.

    A table that no job has written yet is registered as an empty one, so that SQL over it finds no rows.

    Raises:
        JobError: a metastore that outlives the session has another table of that name.
    """
    for layer, layer_tables in groupby(sorted(tables, key=_layer), _layer):
        lake.spark.sql(f"CREATE DATABASE IF NOT EXISTS {layer}")
        listed = lake.spark.sql(f"SHOW TABLES IN {layer}").where("NOT isTemporary").collect()
        registered = {f"{layer}.{row.tableName}" for row in listed}
        for table in layer_tables:
            if table.name in registered:
                if _is_at(lake, table):
                    continue
                _unregister(lake, table)
            if lake.exists(table):
                lake.spark.sql(f"CREATE TABLE {table.name} USING delta LOCATION '{_location(lake, table)}'")
            else:
                empty = quoted(tempfile.mkdtemp(prefix="humpback-empty-"))
                columns = ", ".join(f"`{f.name}` {f.dataType.simpleString()}" for f in table.schema)
                lake.spark.sql(f"CREATE TABLE {table.name} ({columns}) USING parquet LOCATION '{empty}'")


def _layer(table: Table) -> str:
    return table.name.split(".")[0]


def _unregister(lake: Lake, table: Table) -> None:
    """Drop the session's entry for a table elsewhere; its files stay."""
    if lake.spark.conf.get("spark.sql.catalogImplementation") != "in-memory":
        raise JobError(
            f"{table.name} in this session's metastore is a table elsewhere, not the one in {lake.root}; "
            "give each lake a separate metastore or catalog, or drop that table if it is not needed"
        )
    lake.spark.sql(f"DROP TABLE {table.name}")


def _location(lake: Lake, table: Table) -> str:
    """Return the table's location as a SQL literal; absolute, or Spark would look below its warehouse."""
    return quoted(str(local_path(lake.path(table)) or lake.path(table)))


def _is_at(lake: Lake, table: Table) -> bool:
    """Return whether the session's table of this name is the lake's table."""
    if not lake.exists(table):
        return False
    provider = lake.spark.sql(f"DESCRIBE TABLE EXTENDED {table.name}").where("col_name = 'Provider'").first()
    if provider is None or provider.data_type != "delta":
        return False
    registered = lake.spark.sql(f"DESCRIBE DETAIL {table.name}").select("location", "id").first()
    expected = lake.spark.sql(f"DESCRIBE DETAIL {delta_name(lake.path(table))}").select("location", "id").first()
    return registered == expected


def sql(lake: Lake, text: str) -> DataFrame:
    """Return the answer to a Spark SQL query over the lake's tables (and their versions) by name, and the view `drift`.

    Raises:
        JobError: the statement does more than read this lake's tables; only jobs write.
    """
    statement = jvm.parsed(lake.spark, text)
    require_reading(statement)
    names = tables_named(statement)
    if DRIFT_VIEW in names:
        register(lake, [table for table in TABLES if table.name in names or table in (CURATED, SCORES)])
        lake.spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW {DRIFT_VIEW} AS {DRIFT}")
    else:
        lists_tables = is_look(statement[0]) and not names  # e.g. at a schema
        register(lake, TABLES if lists_tables else [BY_NAME[name] for name in sorted(names)])
    answer = lake.spark.sql(text)
    if not is_look(statement[0]):  # else it has run
        require_reading(jvm.analysed(answer))
    return answer


@dataclass(frozen=True)
class Vacuumed:
    """The files that a vacuum removed, or would remove, from one table, and the versions that it kept."""

    table: str
    kept_versions: tuple[int, ...]
    files: tuple[str, ...]


def vacuum(lake: RunLake, dry_run: bool = False, grace_hours: int = GRACE_HOURS) -> list[Vacuumed]:
    """Delete the files that no current, released or trained-on version needs; return them by table.

    In a table with pinned versions, a file younger than `grace_hours` stays, since a writer may be about to commit it.
    Another table keeps its old versions for the retention time in its properties.

    Raises:
        JobError: the lake is not on a local path.
    """
    if local_path(lake.root) is None:
        raise JobError(f"vacuum: {lake.root} is not a local path; mount the store and name the mounted folder")
    pinned = _pinned_versions(lake)
    removed = []
    for table in TABLES:
        if not lake.exists(table):
            continue
        keep = sorted(pinned.get(table.name, ()))
        folder = local_path(lake.path(table))
        assert folder is not None
        files = _vacuum(folder, keep, grace_hours, None)
        if files and not dry_run and keep:
            _vacuum(folder, keep, grace_hours, lake.run.metadata())
        elif files and not dry_run:
            lake.vacuum(table)  # the ledger's row tracking is a feature that delta-rs does not write
        if files:
            removed.append(Vacuumed(table.name, tuple(keep), tuple(files)))
    return removed


def _vacuum(folder: Path, keep: list[int], grace_hours: int, metadata: str | None) -> list[str]:
    """Return the data files to delete; if `metadata` is given, also delete them and commit with it."""
    with delta_table(str(folder)) as table:
        assert table is not None  # the lake has it
        files = table.vacuum(
            # None means the table's retention time, by which pinned tables would keep all versions for ever.
            retention_hours=grace_hours if keep else None,
            enforce_retention_duration=not keep,
            dry_run=metadata is None,
            full=True,  # the files of a crashed writer are in no log
            keep_versions=keep or None,
            commit_properties=CommitProperties(custom_metadata={"userMetadata": metadata}) if metadata else None,
        )
    if metadata:
        for file in files:
            (folder / file).unlink(missing_ok=True)  # delta-rs may have deleted a link to it
    # The log remembers files long gone; checksum files are no data.
    return [file for file in files if (folder / file).exists() and not file.endswith(".crc")]


def _pinned_versions(lake: Lake) -> dict[str, set[int]]:
    """Map each table's name to the versions that a release or a trained model cites."""
    pinned: dict[str, set[int]] = {}
    for row in lake.read(RELEASES).select("table", "version").distinct().collect():
        pinned.setdefault(row.table, set()).add(row.version)
    for row in lake.read(MODELS).select("table_version").distinct().collect():
        pinned.setdefault("gold.training_examples", set()).add(row.table_version)
    return pinned
