"""The audit and other readers accept tables that Spark and Delta wrote, with their references."""

from collections.abc import Callable

import polars
import pytest
from deltalake import DeltaTable

from jobs.lake.audit import faults
from jobs.lake.runs import Run
from jobs.lake.tables import Lake
from schemas.gold import CURATED
from schemas.ops import QUARANTINE, RUNS

pytestmark = pytest.mark.spark


def test_references_are_audited_and_stored_in_the_schema(open_lake: Callable[..., Lake]) -> None:
    lake = open_lake()
    lake.create(CURATED)
    run = Run("curate", "test", "0" * 16, CURATED)
    lake.insert(RUNS, [run.row("ok")])
    rejected = {"table": CURATED.name, "row_id": "a", "rule": "r"}
    lake.insert(QUARANTINE, [rejected | {"run_id": run.run_id}, rejected | {"run_id": "nobody"}])
    assert faults(lake.root) == ["ops.quarantine.run_id: values that are not in ops.runs.run_id: 1, e.g. nobody"]
    stored = {field.name: field.metadata for field in DeltaTable(lake.path(CURATED)).schema().fields}
    assert stored["pair_id"]["references"] == ["silver.candidates.candidate_id", "silver.rewrites.rewrite_id"]
    assert polars.read_delta(lake.path(CURATED)).columns == CURATED.columns
