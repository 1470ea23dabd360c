"""What each command does, once its options and recipe have been read."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict

from pyspark.sql import DataFrame, SparkSession

from jobs.cli import doctor, printing
from jobs.cli.explain import explain
from jobs.inference.serving import servers_of
from jobs.lake import audit, catalog
from jobs.lake.runs import LOOP, Run
from jobs.lake.session import spark_session
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.loop.plan import plan
from jobs.loop.runner import Runner
from jobs.recipe.config import Recipe
from jobs.recipe.step import Servers, Step
from jobs.report import report
from schemas.ops import RUNS

UNCHANGED = "nothing to do: nothing has changed"
Session = Callable[[], AbstractContextManager[SparkSession]]
"""Opens a Spark session, and closes it."""


@contextmanager
def own_session() -> Iterator[SparkSession]:
    """A Spark session of this process.

    Raises:
        JobError: there is no Java that Spark can run on.
    """
    doctor.require_java()
    spark = spark_session()
    try:
        yield spark
    finally:
        spark.stop()


def run(options: argparse.Namespace, recipe: Recipe | None, session: Session) -> int:
    """Carry out a command; returns the exit code."""
    if options.command == "doctor":
        return _doctor(options, recipe, session)
    if options.command == "audit":
        return _audit(options)
    with session() as spark:
        if recipe is None:
            return _look(options, spark)
        servers = servers_of(recipe, spark, Lake(spark, options.lake).folder("logs"))
        try:
            return _with_recipe(options, recipe, spark, servers)
        finally:
            servers.stop()  # before the session: servers on executors are let go over Spark


def _with_recipe(options: argparse.Namespace, recipe: Recipe, spark: SparkSession, servers: Servers) -> int:
    runner = Runner(spark, options.lake, recipe, servers)
    if options.command != "run":
        return _job(options, runner)
    if options.dry_run:
        _print(plan(Lake(spark, options.lake), recipe, servers, options.limit), options.json)
        return 0
    return _loop(options, runner)


def _loop(options: argparse.Namespace, runner: Runner) -> int:
    """The whole loop, and the report on it where one is asked for and something is new in it."""
    runs = runner.loop(options.limit)
    if options.report and (any(run.is_news for run in runs) or not options.report.exists()):
        report(Lake(runner.spark, options.lake), options.report, runner.recipe.name)
    _say_runs(runs, options.json)
    if options.report and not options.json:
        _say([f"report: {options.report}"])
    return 0


def _job(options: argparse.Namespace, runner: Runner) -> int:
    told = {name: getattr(options, name, None) for name in ("iteration", "direction", "limit", "argument")}
    step = Step(options.job, **told)
    done = runner.step(step)
    result: Callable[[Lake, Recipe, Step], DataFrame] | None = getattr(options.job, "result", None)
    if result:
        _print(result(Lake(runner.spark, options.lake), runner.recipe, step), options.json)
    _say_runs([done], options.json)
    return 0


def _look(options: argparse.Namespace, spark: SparkSession) -> int:
    """The commands that only look at a lake, and `vacuum`."""
    lake = Lake(spark, options.lake)
    match options.command:
        case "sql":
            _print(catalog.sql(lake, options.query), options.json)
        case "tables":
            _print(catalog.tables(lake), options.json)
        case "history":
            _print(catalog.history(lake, options.table), options.json)
        case "releases":
            _print(catalog.releases(lake), options.json)
        case "vacuum":
            _vacuum(options, spark)
        case "explain":
            story = explain(lake, options.subject)
            _say([json.dumps({"story": story.splitlines()}) if options.json else story])
        case "report":
            out = report(lake, options.out or lake.folder("reports") / "report.html")
            _say([json.dumps({"report": str(out)}) if options.json else f"report: {out}"])
    return 0


def _vacuum(options: argparse.Namespace, spark: SparkSession) -> None:
    lake = RunLake(spark, options.lake, Run("vacuum", "", "", RUNS))
    removed = [(v.table, list(v.kept_versions), len(v.files)) for v in catalog.vacuum(lake, options.dry_run)]
    columns = "table string, kept_versions array<bigint>, files bigint"
    _print(spark.createDataFrame(removed, columns), options.json)


def _audit(options: argparse.Namespace) -> int:
    """Each fault of the lake on a line; exit code 3 where there is one."""
    faults = audit.faults(options.lake)
    if options.json:
        _say(json.dumps({"fault": fault}) for fault in faults)
    else:
        _say(map(printing.plain, faults or ["the lake is in order"]))
    return 3 if faults else 0


def _doctor(options: argparse.Namespace, recipe: Recipe | None, session: Session) -> int:
    checks = doctor.checks(session, lake=options.lake, recipe=recipe)
    if options.json:
        _say(json.dumps(asdict(c)) for c in checks)
    else:
        _say(f"{'ok  ' if c.ok else 'FAIL'} {c.name}: {c.detail}{'' if c.ok else '; ' + c.advice}" for c in checks)
    return 0 if all(c.ok for c in checks) else 1


def _say_runs(runs: Sequence[Run], as_json: bool) -> None:
    rows = [r.row("ok") | {"started_at": r.started_at.isoformat()} for r in runs]
    if as_json:
        _say(json.dumps(row) for row in rows)
        return
    steps = [(run, row) for run, row in zip(runs, rows, strict=True) if run.job != LOOP]
    if not steps:
        _say([UNCHANGED])
        return
    _say(
        f"{_step_name(run):<34} {r['unit']:<10} in {r['n_in']:>8,}  out {r['n_out']:>8,}  calls {r['n_calls']:>6,}  "
        f"tokens {r['n_tokens']:>9,}  {r['seconds']:>7,.1f} s"
        for run, r in steps
    )
    _say([f"{len(steps)} jobs, {sum(float(str(r['seconds'])) for _, r in steps):,.0f} s"])


def _step_name(run: Run) -> str:
    return " ".join(str(word) for word in (run.job, run.direction, run.iteration) if word is not None)


def _print(frame: DataFrame, as_json: bool) -> None:
    _say(printing.as_json_lines(frame) if as_json else printing.as_text(frame))


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")
