"""How far a method has come with a table that grows: a later run looks at the rows that came since, and at no others.

A run that has looked at everything leaves its bookmark in its row in `ops.runs`, which also says the
versions that it read. The bookmark's name holds the method, the release of humpback and the ids of
the tables, so that a changed method, a new release and a table that was made anew begin from the
beginning. So does a table from which rows were taken, or whose log has been cleaned up since. What a
run did that was killed before its row, or that was told a limit, is among the rows made since.
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
    """The rows of a source that may be new to a method, and rows among which is all that it has made of them."""

    source: DataFrame
    made: DataFrame


def news(lake: RunLake, source: Table, made: Table, method: str, *, is_all: bool) -> News:
    """What came into `source` since the last bookmark of the method that fills `made`; without one, all rows.

    `made` is created where it is missing; its rows may be of other methods too. Where the run will look at everything
    (`is_all`), its own bookmark is noted.
    """
    lake.create(made)
    ids = [jvm.table_id(lake.spark, lake.path(table)) for table in (source, made) if lake.exists(table)]
    name = digest([method, CODE_VERSION, ids])
    rows = News(lake.read(source), lake.read(made))
    inputs = _last_inputs(lake, name)
    if is_all and source.name in lake.versions_read:
        lake.run.bookmarks[name] = lake.versions_read[source.name]
    if inputs is not None:
        since = [_since(lake, table, inputs[table.name]) for table in (source, made)]
        if since[0] is not None and since[1] is not None:
            rows = News(since[0], since[1])
    return rows


def _last_inputs(lake: RunLake, name: str) -> dict[str, int] | None:
    """The versions that the run read that has come farthest."""
    place = F.col("bookmarks")[name]
    ended = lake.read(RUNS).where((F.col("status") == "ok") & place.isNotNull())
    found = ended.agg(F.max_by("inputs", place).alias("inputs")).first()
    return None if found is None else found.inputs


def _since(lake: RunLake, table: Table, version: int) -> DataFrame | None:
    found = jvm.appended(lake.spark, lake.path(table), version, lake.versions_read[table.name])
    return None if found is None else conform.widened(table, found)
