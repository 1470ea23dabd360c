"""Execution of one step, or of every step of the loop, with a row per run in `ops.runs`."""

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from jobs.current.models import require_named
from jobs.errors import JobError
from jobs.lake import jvm, local, unrecorded
from jobs.lake.failures import sentence
from jobs.lake.lease import Holding, held
from jobs.lake.runs import CODE_VERSION, KILLED, LOOP, Run
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.loop import state
from jobs.loop.steps import steps
from jobs.recipe.config import Recipe
from jobs.recipe.step import Servers, Step
from schemas import TABLES
from schemas.bronze import COMPLETIONS
from schemas.ops import QUARANTINE, RECIPES, RUNS

log = logging.getLogger(__name__)

STATUSES = {3: "stopped", 4: "waiting"}
"""Exit code of an error -> the status of the run that it ended; any other code means `failed`."""


@dataclass
class Runner:
    """Runner of one recipe's steps on one lake; whoever creates it stops the servers."""

    spark: SparkSession
    root: str
    recipe: Recipe
    servers: Servers
    order: Callable[[Recipe], Iterable[Step]] = steps
    _unrecorded: list[dict[str, Any]] = field(default_factory=list)

    def loop(self, limit: int | None = None) -> list[Run]:
        """Run every step in order, without repeating earlier work; return the steps' runs, then the loop's run.

        If nothing has changed since such a loop succeeded, no step is run. A step that did something is recorded
        at once; steps that found nothing new share a commit.
        """
        inputs = state.inputs_digest(self.recipe, limit)
        loop = self._run_of_loop()
        before = state.versions(Lake(self.spark, self.root))
        if state.is_done(self.spark, self.root, inputs, before):
            log.info("nothing to do: recipe, code, input files and tables have not changed since a successful loop")
            loop.state_digest = state.state_digest(inputs, before)
            return self._finish(loop, [])
        require_named(Lake(self.spark, self.root), self.recipe)
        all_steps, runs = list(self.order(self.recipe)), list[Run]()
        with self._with_lease(loop.loop_id) as lease:
            for number, step in enumerate(all_steps, 1):
                log.info("step %d/%d", number, len(all_steps))
                runs.append(self._run(replace(step, limit=limit), loop.loop_id, lease))
                if runs[-1].is_news:
                    self._record()
            lake = RunLake(self.spark, self.root, loop)
            for table in TABLES:
                lake.create(table)  # so that readers find an empty table instead of none
            self._compact(lake)
            loop.n_in = loop.n_out = len(runs)
            if limit is None:
                loop.state_digest = state.left_behind(lake, inputs, before, [*runs, loop])
            return self._finish(loop, runs)

    def step(self, step: Step) -> Run:
        """Run one job and write its row to `ops.runs`, even if the job fails.

        Raises:
            WaitingError: another run of the experiment has not ended.
        """
        loop_id = uuid.uuid4().hex
        with self._with_lease(loop_id) as lease:
            run = self._run(step, loop_id, lease)
            self._record()
            self._compact(RunLake(self.spark, self.root, run))
            return run

    @contextmanager
    def _with_lease(self, loop_id: str) -> Iterator[Holding]:
        """Hold the experiment's lease; record killed runs first, and at the end the rows not yet written."""
        with held(self.spark, self.root, self.recipe.name, loop_id) as lease:
            for dead_lease in lease.dead:
                since = datetime.fromtimestamp(dead_lease.since, UTC)
                rows = unrecorded.rows_of(Lake(self.spark, self.root), dead_lease.loop_id, since)
                for row in rows:
                    log.warning("run %s of %s was killed; its row is now added to ops.runs", row["run_id"], row["job"])
                self._unrecorded += rows
                self._record()
                lease.forget(dead_lease)
            self._record_recipe()
            try:
                yield lease
            finally:
                self._record()

    def _record_recipe(self) -> None:
        """Add the recipe to `ops.recipes` if it is not there."""
        digest = self.recipe.digest()
        if local.count_rows(self.root, RECIPES, "recipe_digest", digest):
            return
        row = {
            "recipe_digest": digest,
            "experiment": self.recipe.name,
            "settings": self.recipe.model_dump_json(),
            "code_version": CODE_VERSION,
            "recorded_at": datetime.now(UTC),
        }
        RunLake(self.spark, self.root, Run("record", "", "", RECIPES)).insert(RECIPES, [row])

    def _compact(self, lake: RunLake) -> None:
        """Compact the tables that grow by a small file with each commit."""
        for table in (RUNS, QUARANTINE, COMPLETIONS):
            lake.compact(table)

    def _run_of_loop(self) -> Run:
        return Run(LOOP, self.recipe.name, self.recipe.digest(), RUNS, unit="steps")

    def _finish(self, loop: Run, runs: list[Run]) -> list[Run]:
        self._unrecorded.append(loop.row("ok"))
        self._record()
        return [*runs, loop]

    def _run(self, step: Step, loop_id: str, lease: Holding) -> Run:
        """Run one job, and queue its row for `ops.runs`."""
        run = Run(
            job=step.name,
            experiment=self.recipe.name,
            recipe_digest=self.recipe.digest(),
            writes=step.job.WRITES,
            unit=step.job.UNIT,
            iteration=step.iteration,
            direction=step.direction,
            loop_id=loop_id,
            require_lease=lease.require,
        )
        log.info(
            "start job=%s iteration=%s direction=%s recipe=%s", run.job, run.iteration, run.direction, run.recipe_digest
        )
        status = "failed"
        try:
            lake = RunLake(self.spark, self.root, run)
            step.job.run(lake, self.recipe, replace(step, servers=self.servers))
            for table in (run.writes, QUARANTINE):
                lake.create(table)
            status = "ok"
        except JobError as error:
            status = STATUSES.get(error.exit_code, "failed")
            raise
        except KeyboardInterrupt:
            jvm.cancel_jobs(self.spark)  # they would hold the cores needed to write the run's row
            raise
        finally:
            self._unrecorded.append(run.row(status))
            _log_end(run, status)
        return run

    def _record(self) -> None:
        """Write the queued rows to `ops.runs`; after a failed run, only log an error, which must not hide the run's."""
        rows = self._unrecorded
        if not rows:
            return
        failed = rows[-1]["status"] not in ("ok", KILLED)
        try:
            RunLake(self.spark, self.root, Run("record", "", "", RUNS)).insert(RUNS, rows)
        except Exception as error:
            if not failed:
                raise
            log.error("the run's row could not be written to ops.runs: %s", sentence(error))
        rows.clear()


def _log_end(run: Run, status: str) -> None:
    log.info(
        "end job=%s status=%s unit=%s in=%d out=%d dropped=%s quarantined=%s version=%s calls=%d seconds=%.1f",
        run.job,
        status,
        run.unit,
        run.n_in,
        run.n_out,
        dict(run.dropped),
        dict(run.quarantined),
        run.version,
        run.n_calls,
        run.end(),
    )
