"""Bookmarks of a method's progress in a growing table, so that a later run reads only the rows added since.

A run that has read every row leaves a bookmark in its row of `ops.runs`, which also records the versions
that it read. The bookmark's name is a digest of the method, the release of humpback and the ids of the
tables, so that a changed method, a new release or a recreated table starts from the beginning. So does a
table from which rows were removed, or whose log has been cleaned up since. The output of a run that was
killed before its row was written, or that had a limit, is among the rows made since.
"""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake import conform, jvm
from jobs.lake.runs import CODE_VERSION
from jobs.lake.writing import RunLake
from jobs.recipe.section import digest
from schemas.ops import RUNS
from schemas.table import Table


@dataclass(frozen=True)
class News:
    """Rows of a source that may be new to a method, and made rows that include all of its output from them."""

    source: DataFrame
    made: DataFrame


def news(lake: RunLake, source: Table, made: Table, method: str, *, is_all: bool) -> News:
    """Return the rows added to `source` and `made` since the method's last bookmark; without one, all rows.

    `made`, which the method fills, is created if it is missing; its rows may be of other methods too. If the run
    will read every row (`is_all`), its bookmark is recorded.
    """
    lake.create(made)
    ids = [jvm.table_id(lake.spark, lake.path(table)) for table in (source, made) if lake.exists(table)]
    bookmark = digest([method, CODE_VERSION, ids])
    result = News(lake.read(source), lake.read(made))
    inputs = _last_inputs(lake, bookmark)
    if is_all and source.name in lake.versions_read:
        lake.run.bookmarks[bookmark] = lake.versions_read[source.name]
    if inputs is not None:
        new_rows = [_since(lake, table, inputs[table.name]) for table in (source, made)]
        if new_rows[0] is not None and new_rows[1] is not None:
            result = News(new_rows[0], new_rows[1])
    return result


def _last_inputs(lake: RunLake, name: str) -> dict[str, int] | None:
    """Return the table versions read by the run with the highest bookmark; None if no run has one."""
    bookmark = F.col("bookmarks")[name]
    ended = lake.read(RUNS).where((F.col("status") == "ok") & bookmark.isNotNull())
    row = ended.agg(F.max_by("inputs", bookmark).alias("inputs")).first()
    return None if row is None else row.inputs


def _since(lake: RunLake, table: Table, version: int) -> DataFrame | None:
    added = jvm.appended(lake.spark, lake.path(table), version, lake.versions_read[table.name])
    return None if added is None else conform.widened(table, added)
