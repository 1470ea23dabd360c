"""The next run records a run that was killed between its last commit and its row in `ops.runs`."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.errors import WaitingError
from jobs.inference.serving import EngineServers
from jobs.lake import jvm, lease, unrecorded
from jobs.lake.writing import RunLake
from jobs.loop.runner import Runner
from jobs.recipe.config import Recipe
from jobs.recipe.step import Step
from model_ops.client.fake_engine import FakeEngine
from schemas.ops import QUARANTINE, RUNS
from schemas.silver import SEED_PAIRS
from tests.conftest import OpenLake

pytestmark = pytest.mark.spark

SOUND = ("test", "a", "Why?", "Because.", "en", "faq", None, "train")
DEFECT = ("test", "b", " ", "r", None, "s", None, "dev")


@pytest.fixture
def killed(open_lake: OpenLake, tmp_path: Path) -> RunLake:
    """Return the lake of a run that committed and was then killed, with its lease left behind."""
    lake = open_lake()
    lake.run.writes = SEED_PAIRS
    began = time.time()
    lake.write(SEED_PAIRS, lake.spark.createDataFrame([SOUND, DEFECT], SEED_PAIRS.schema))
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    with lease.held(lake.spark, lake.root, "other", lake.run.loop_id) as holding:
        left = replace(holding.lease, pid=int(gone.stdout), since=began)
    folder = Path(lake.root) / lease.FOLDER / "test"
    folder.mkdir(parents=True)
    (folder / f"{left.loop_id}.json").write_text(json.dumps(asdict(left)))
    return lake


def runner(lake: RunLake) -> Runner:
    recipe = Recipe.model_validate({"name": "test", "base_model": "nowhere"})
    return Runner(lake.spark, lake.root, recipe, EngineServers(recipe.inference, FakeEngine()))


def job(run: Any) -> Any:
    """Return a job that only calls `run`."""
    return SimpleNamespace(__name__="jobs.some_job", WRITES=SEED_PAIRS, UNIT="rows", run=run)


def test_the_next_run_records_a_killed_run_once(killed: RunLake) -> None:
    for _ in range(2):
        runner(killed).step(Step(job(lambda *_: None)))
    (row,) = killed.read(RUNS).where("status = 'killed'").collect()
    assert (row.run_id, row.version) == (killed.run.run_id, killed.run.version)
    assert (row.n_in, row.n_out, row.quarantined) == (2, 1, {"instruction_not_empty": 1})
    assert row.started_at.replace(tzinfo=UTC) == killed.run.started_at


def test_a_run_killed_after_the_quarantine_commit_counts_only_that(killed: RunLake, open_lake: OpenLake) -> None:
    """The rows that it would have written are new to the next run; the rows that it rejected are not."""
    half = open_lake()
    half.run.writes, half.run.loop_id = SEED_PAIRS, killed.run.loop_id
    half.write(SEED_PAIRS, half.spark.createDataFrame([("test", "c", *DEFECT[2:])], SEED_PAIRS.schema))
    rows = unrecorded.rows_of(killed, half.run.loop_id, datetime.now(UTC) - timedelta(minutes=5))
    mine = next(row for row in rows if row["run_id"] == half.run.run_id)
    assert (mine["n_in"], mine["n_out"], mine["quarantined"]) == (1, 0, {"instruction_not_empty": 1})
    assert (mine["version"], mine["bookmarks"]) == (None, None)
    assert killed.read(QUARANTINE).count() == 2


def test_two_runs_of_one_experiment_at_once_are_refused(killed: RunLake) -> None:
    outer = runner(killed)

    def second(*_: object) -> None:
        with pytest.raises(WaitingError, match="two runs of one experiment at once"):
            runner(killed).step(Step(job(lambda *_: None)))

    outer.step(Step(job(second)))
    assert sorted(row.status for row in killed.read(RUNS).collect()) == ["killed", "ok"]


def test_a_run_whose_lease_was_lost_commits_nothing(killed: RunLake, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(lake: RunLake, *_: object) -> None:
        monkeypatch.setattr(lease, "LIFETIME_SECONDS", -1.0)
        lake.write(SEED_PAIRS, lake.spark.createDataFrame([("test", "d", *SOUND[2:])], SEED_PAIRS.schema))

    with pytest.raises(WaitingError, match="could not be renewed"):
        runner(killed).step(Step(job(late)))
    assert killed.read(SEED_PAIRS).count() == 1


def test_a_store_holds_leases_as_a_folder_does(spark: SparkSession, tmp_path: Path) -> None:
    place = f"file://{tmp_path}/lake"
    assert jvm.texts_in(spark, place, ".json") == []
    for text in ("first", "Ünïcode"):
        jvm.put_text(spark, f"{place}/a.json", text)
    assert jvm.texts_in(spark, place, ".json") == ["Ünïcode"]
    jvm.remove(spark, f"{place}/a.json")
    jvm.remove(spark, f"{place}/a.json")
    assert jvm.texts_in(spark, place, ".json") == []
