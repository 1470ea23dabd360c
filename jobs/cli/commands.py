"""The commands, run with parsed options and a loaded recipe."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict

from pyspark.sql import DataFrame, SparkSession

from jobs.cli import doctor, printing
from jobs.cli.printing import say, say_rows
from jobs.inference.serving import servers_of
from jobs.lake import catalog
from jobs.lake.rows import Rows, rows_of_frame
from jobs.lake.runs import LOOP, Run
from jobs.lake.session import spark_session
from jobs.lake.tables import Lake
from jobs.lake.view import LakeView
from jobs.lake.writing import RunLake
from jobs.loop.plan import plan
from jobs.loop.runner import Runner
from jobs.recipe.config import Recipe
from jobs.recipe.step import Servers, Step
from jobs.report import report
from schemas.ops import RUNS
from schemas.place import local_path

UNCHANGED = "nothing to do: nothing has changed"
Session = Callable[[], AbstractContextManager[SparkSession]]
"""Returns a context manager that opens a Spark session and closes it."""


@contextmanager
def own_session() -> Iterator[SparkSession]:
    """Open a Spark session in this process, and stop it at the end.

    Raises:
        JobError: no Java that Spark can run on is installed.
    """
    doctor.require_java()
    spark = spark_session()
    try:
        yield spark
    finally:
        spark.stop()


def run(options: argparse.Namespace, recipe: Recipe | None, session: Session) -> int:
    """Carry out a command and return the exit code."""
    if options.command == "doctor":
        return _doctor(options, recipe, session)
    if recipe is None:
        _require_lake(options.lake)
    with session() as spark:
        if recipe is None:
            return _without_recipe(options, spark)
        servers = servers_of(recipe, spark, Lake(spark, options.lake).folder("logs"))
        try:
            return _with_recipe(options, recipe, spark, servers)
        finally:
            servers.stop()  # before the session: servers on executors are stopped through Spark


def _require_lake(root: str) -> None:
    """Fail before Spark starts if a local lake does not exist; only Spark has the credentials of a remote one."""
    if local_path(root):
        with LakeView(root) as view:
            view.require_lake()


def _with_recipe(options: argparse.Namespace, recipe: Recipe, spark: SparkSession, servers: Servers) -> int:
    runner = Runner(spark, options.lake, recipe, servers)
    if options.command != "run":
        return _job(options, runner)
    if options.dry_run:
        _say_frame(plan(Lake(spark, options.lake), recipe, servers, options.limit), options.json)
        return 0
    return _loop(options, runner)


def _loop(options: argparse.Namespace, runner: Runner) -> int:
    """Run the whole loop, and write the report if it was requested and has anything new or does not exist."""
    runs = runner.loop(options.limit)
    _say_runs(runs, options.json)
    if options.report and (any(run.is_news for run in runs) or not options.report.exists()):
        with LakeView(options.lake) as view:
            report(view, options.report, runner.recipe.name)
    if options.report and not options.json:
        say([f"report: {options.report}"])
    return 0


def _job(options: argparse.Namespace, runner: Runner) -> int:
    parameters = {name: getattr(options, name, None) for name in ("iteration", "direction", "limit", "argument")}
    step = Step(options.job, **parameters)
    run_of_step = runner.step(step)
    result: Callable[[Lake, Recipe, Step], DataFrame] | None = getattr(options.job, "result", None)
    if result:
        _say_frame(result(Lake(runner.spark, options.lake), runner.recipe, step), options.json)
    _say_runs([run_of_step], options.json)
    return 0


def _without_recipe(options: argparse.Namespace, spark: SparkSession) -> int:
    """Carry out `sql` on Spark, or `vacuum`."""
    if options.command == "vacuum":
        _vacuum(options, spark)
    else:
        _say_frame(catalog.sql(Lake(spark, options.lake), options.query), options.json)
    return 0


def _vacuum(options: argparse.Namespace, spark: SparkSession) -> None:
    lake = RunLake(spark, options.lake, Run("vacuum", "", "", RUNS))
    removed = [
        (vacuumed.table, list(vacuumed.kept_versions), len(vacuumed.files))
        for vacuumed in catalog.vacuum(lake, options.dry_run)
    ]
    say_rows(Rows(("table", "kept_versions", "files"), removed), options.json)


def _doctor(options: argparse.Namespace, recipe: Recipe | None, session: Session) -> int:
    checks = doctor.checks(session, lake=options.lake, recipe=recipe)
    if options.json:
        say(json.dumps(asdict(check)) for check in checks)
    else:
        say(
            f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}{'' if check.ok else '; ' + check.advice}"
            for check in checks
        )
    return 0 if all(check.ok for check in checks) else 1


def _say_runs(runs: Sequence[Run], as_json: bool) -> None:
    rows = [r.row("ok") | {"started_at": r.started_at.isoformat()} for r in runs]
    if as_json:
        say(json.dumps(row) for row in rows)
        return
    steps = [(run, row) for run, row in zip(runs, rows, strict=True) if run.job != LOOP]
    if not steps:
        say([UNCHANGED])
        return
    say(
        f"{_step_name(run):<34} {r['unit']:<10} in {r['n_in']:>8,}  out {r['n_out']:>8,}  calls {r['n_calls']:>6,}  "
        f"tokens {r['n_tokens']:>9,}  {r['seconds']:>7,.1f} s"
        for run, r in steps
    )
    say([f"{len(steps)} jobs, {sum(float(str(r['seconds'])) for _, r in steps):,.0f} s"])


def _step_name(run: Run) -> str:
    return " ".join(str(word) for word in (run.job, run.direction, run.iteration) if word is not None)


def _say_frame(frame: DataFrame, as_json: bool) -> None:
    say_rows(rows_of_frame(frame, None if as_json else printing.MAX_ROWS + 1), as_json)
