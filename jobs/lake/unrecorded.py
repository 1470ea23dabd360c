"""Runs that were killed before their row was written, told from the commits that they made."""

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
    """The rows of `ops.runs` that a loop of that id, which began at `since`, has not written.

    A commit carries its run's account as it closes with that commit, so the account with the most inputs is
    the last. Calls and tokens are counted in the ledger, to which several waves commit side by side.
    """
    known = {row.run_id for row in lake.read(RUNS).where(F.col("loop_id") == loop_id).select("run_id").collect()}
    found: dict[str, dict[str, Any]] = {}
    versions: dict[str, int] = {}
    for table in TABLES:
        state = lake.state(table)
        if state is None or state.committed_at < since:
            continue
        for version, facts in _commits(lake, table, loop_id, since):
            row = facts["row"]
            run_id = row["run_id"]
            if run_id in known:
                continue
            if run_id not in found or row["n_in"] >= found[run_id]["n_in"]:
                found[run_id] = row
            if facts["writes"] == table.name:
                versions[run_id] = max(version, versions.get(run_id, 0))
    return [_completed(lake, row, versions.get(run_id)) for run_id, row in found.items()]


def _commits(lake: Lake, table: Table, loop_id: str, since: datetime) -> list[tuple[int, dict[str, Any]]]:
    """Versions and facts of the commits that a loop made in a table."""
    n_looked_at, history = 0, None
    while history is None or (history.count() == n_looked_at and not history.where(F.col("timestamp") < since).count()):
        n_looked_at = 10 * n_looked_at or RECENT_COMMITS
        history = _history(lake, table, n_looked_at)
    mine = history.where(F.get_json_object("userMetadata", "$.loop_id") == loop_id)
    facts = [(row.version, json.loads(row.userMetadata)) for row in mine.collect()]
    return [(version, fact) for version, fact in facts if "row" in fact]


def _history(lake: Lake, table: Table, n: int) -> DataFrame:
    commits: DataFrame = DeltaTable.forPath(lake.spark, lake.path(table)).history(n)
    return commits.select("version", "timestamp", "userMetadata")


def _completed(lake: Lake, row: dict[str, Any], version: int | None) -> dict[str, Any]:
    asked = lake.read(COMPLETIONS).where(F.col("run_id") == row["run_id"])
    tokens = F.coalesce(F.sum(F.col("n_prompt_tokens") + F.col("n_completion_tokens")), F.lit(0))
    calls = asked.agg(F.count(F.lit(1)).alias("n"), tokens.alias("tokens")).collect()[0]
    started = datetime.fromisoformat(row["started_at"])
    # How far a method had come is true of what was written by it, and of nothing else.
    bookmarks = row["bookmarks"] if version is not None else None
    facts = {"version": version, "n_calls": calls.n, "n_tokens": calls.tokens, "bookmarks": bookmarks}
    return row | facts | {"started_at": started}
