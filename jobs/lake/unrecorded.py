"""Recovery of the rows of killed runs from the metadata of their commits."""

import json
from datetime import datetime
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake.tables import RECENT_COMMITS, Lake
from schemas import TABLES
from schemas.bronze import COMPLETIONS
from schemas.ops import RUNS
from schemas.table import Table


def rows_of(lake: Lake, loop_id: str, since: datetime) -> list[dict[str, Any]]:
    """Rebuild the rows of `ops.runs` that the loop `loop_id`, begun at `since`, has not written.

    A commit carries its run's row as of that commit, so the row with the most inputs is the last. Calls and
    tokens are counted in the ledger, to which several waves commit in parallel.
    """
    known = {row.run_id for row in lake.read(RUNS).where(F.col("loop_id") == loop_id).select("run_id").collect()}
    latest: dict[str, dict[str, Any]] = {}
    versions: dict[str, int] = {}
    for table in TABLES:
        state = lake.state(table)
        if state is None or state.committed_at < since:
            continue
        for version, metadata in _commits(lake, table, loop_id, since):
            row = metadata["row"]
            run_id = row["run_id"]
            if run_id in known:
                continue
            if run_id not in latest or row["n_in"] >= latest[run_id]["n_in"]:
                latest[run_id] = row
            if metadata["writes"] == table.name:
                versions[run_id] = max(version, versions.get(run_id, 0))
    return [_completed(lake, row, versions.get(run_id)) for run_id, row in latest.items()]


def _commits(lake: Lake, table: Table, loop_id: str, since: datetime) -> list[tuple[int, dict[str, Any]]]:
    """List the version and the metadata of each commit that a loop made in a table."""
    n_read, history = 0, None
    while history is None or (history.count() == n_read and not history.where(F.col("timestamp") < since).count()):
        n_read = 10 * n_read or RECENT_COMMITS
        history = _history(lake, table, n_read)
    of_loop = history.where(F.get_json_object("userMetadata", "$.loop_id") == loop_id)
    metadata = [(row.version, json.loads(row.userMetadata)) for row in of_loop.collect()]
    return [(version, values) for version, values in metadata if "row" in values]


def _history(lake: Lake, table: Table, n: int) -> DataFrame:
    commits: DataFrame = DeltaTable.forPath(lake.spark, lake.path(table)).history(n)
    return commits.select("version", "timestamp", "userMetadata")


def _completed(lake: Lake, row: dict[str, Any], version: int | None) -> dict[str, Any]:
    completions = lake.read(COMPLETIONS).where(F.col("run_id") == row["run_id"])
    tokens = F.coalesce(F.sum(F.col("n_prompt_tokens") + F.col("n_completion_tokens")), F.lit(0))
    calls = completions.agg(F.count(F.lit(1)).alias("n"), tokens.alias("tokens")).collect()[0]
    started = datetime.fromisoformat(row["started_at"])
    # A bookmark is valid only if the run wrote rows to the table of its job.
    bookmarks = row["bookmarks"] if version is not None else None
    counted = {"version": version, "n_calls": calls.n, "n_tokens": calls.tokens, "bookmarks": bookmarks}
    return row | counted | {"started_at": started}
