"""The contents of a lake: its tables, the history of a table, and the releases.

Command line: `humpback tables`, `history`, `releases`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from jobs.errors import JobError
from jobs.lake.names import table_named
from jobs.lake.rows import Rows, rows_of_dicts
from jobs.lake.view import LakeView, Row
from schemas import TABLES
from schemas.ops import RELEASES

TABLE_FACTS = ("name", "comment", "version", "rows", "bytes", "last_written")
COMMIT_FACTS = ("job", "experiment", "iteration", "run_id", "recipe_digest", "code_version", "inputs")
ROWS_WRITTEN = ("numOutputRows", "num_added_rows")
"""Names of the number of written rows in a commit's metrics: Spark's and delta-rs's."""


def tables(view: LakeView) -> list[Row]:
    """Return one row (`TABLE_FACTS`) per declared table, in the order of the flow."""
    rows = []
    for table in TABLES:
        delta = view.delta(table)
        state = _state(delta) if delta else (None, 0, 0, None)
        rows.append(dict(zip(TABLE_FACTS, (table.name, table.comment, *state), strict=True)))
    return rows


def _state(delta: DeltaTable) -> tuple[int, int, int, datetime | None]:
    """Return version, rows and bytes, from the log's statistics, and the time of the newest commit."""
    files = pa.RecordBatchReader.from_stream(delta.get_add_actions()).read_all()
    counted = [n for n in files["num_records"].to_pylist() if n is not None]
    # A writer without statistics logs no row counts.
    n_rows = sum(counted) if len(counted) == len(files) else delta.to_pyarrow_dataset().count_rows()
    n_bytes = sum(n for n in files["size_bytes"].to_pylist() if n is not None)
    newest = delta.history(1)
    return delta.version(), n_rows, n_bytes, _time(newest[0]) if newest else None


def history(view: LakeView, name: str) -> Rows:
    """Return the versions of a table, newest first, with the run and the job that wrote each.

    Raises:
        JobError: no table of that name is declared, or it does not exist yet.
    """
    delta = view.delta(table_named(name))
    if delta is None:
        raise JobError(f"{name}: not written yet in {view.root}")
    columns = ("version", "timestamp", "operation", "rows", *COMMIT_FACTS)
    return rows_of_dicts(columns, (_commit(commit) for commit in delta.history()))


def _commit(commit: Mapping[str, Any]) -> Row:
    metrics = commit.get("operationMetrics") or {}
    written = next((int(metrics[name]) for name in ROWS_WRITTEN if name in metrics), None)
    identity = {"version": commit["version"], "timestamp": _time(commit), "operation": commit.get("operation")}
    facts = _facts(commit.get("userMetadata"))
    return identity | {"rows": written} | {key: facts.get(key) for key in COMMIT_FACTS}


def _facts(metadata: str | None) -> Mapping[str, Any]:
    """Return the facts that a run stored in its commit; empty for a commit of another program."""
    try:
        facts = json.loads(metadata or "")
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _time(commit: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(commit["timestamp"] / 1000, UTC).replace(tzinfo=None)


def releases(view: LakeView) -> Rows:
    """Return the releases, oldest first; each row names the table, the version and the slice to read."""
    rows = view.rows("SELECT * FROM ops.releases ORDER BY published_at, release_id")
    return rows_of_dicts(RELEASES.columns, rows)
