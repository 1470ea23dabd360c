"""What each command does, once its options and recipe have been read."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple

from pyspark.sql import DataFrame, SparkSession

from jobs import judge_check
from jobs.cli import doctor, printing
from jobs.cli.explain import explain
from jobs.inference import serving
from jobs.lake import catalog
from jobs.lake.runs import LOOP, Run
from jobs.lake.session import spark_session
from jobs.lake.tables import Lake
from jobs.loop.plan import PLAN, plan
from jobs.loop.runner import Step, run_loop, run_step
from jobs.loop.state import known_state
from jobs.recipe.config import Recipe
from jobs.report import report
from schemas.ops import RUNS

UNCHANGED = "nothing to do: nothing has changed"


def run(options: argparse.Namespace, recipe: Recipe | None) -> int:
    """Carry out a command; returns the exit code."""
    if options.command == "doctor":
        return _doctor(options, recipe)
    if recipe is None:
        return _with_spark(lambda spark: _look(options, spark))
    if options.command != "run":
        return _with_spark(lambda spark: _job(options, recipe, spark))
    if options.dry_run:
        return _with_spark(lambda spark: _plan(options, recipe, spark))
    # Told before Spark is there, which then has only this run's row to write.
    has_report = not options.report or options.report.exists()
    unchanged = known_state(options.lake, recipe) if has_report and options.limit is None else None
    return _with_spark(lambda spark: _loop(options, recipe, spark, unchanged))


def _with_spark(command: Callable[[SparkSession], int]) -> int:
    doctor.require_java()
    spark = spark_session()
    try:
        return command(spark)
    finally:
        serving.stop()  # first: servers on executors are let go over Spark
        spark.stop()


def _loop(options: argparse.Namespace, recipe: Recipe, spark: SparkSession, unchanged: str | None) -> int:
    """The whole loop, and the report on it where one is asked for and something is new in it."""
    runs = run_loop(spark, options.lake, recipe, options.limit, unchanged)
    if options.report and (any(run.is_news for run in runs) or not options.report.exists()):
        report(Lake(spark, options.lake, Run("report", recipe.name, recipe.digest(), RUNS)), options.report)
    code = _say_runs(runs, options.json)
    if options.report and not options.json:
        _say([f"report: {options.report}"])
    return code


def _plan(options: argparse.Namespace, recipe: Recipe, spark: SparkSession) -> int:
    lake = Lake(spark, options.lake, Run(options.command, recipe.name, recipe.digest(), RUNS, limit=options.limit))
    _print(spark.createDataFrame(plan(lake, recipe), PLAN), options.json)
    return 0


def _job(options: argparse.Namespace, recipe: Recipe, spark: SparkSession) -> int:
    job = options.job
    facts = (getattr(options, name, None) for name in ("iteration", "direction", "limit", "argument"))
    done = run_step(spark, options.lake, recipe, Step(job, *facts))
    if job is judge_check:
        found = judge_check.figures(Lake(spark, options.lake, done), recipe, done.needed_iteration)
        _print(spark.createDataFrame([*map(astuple, found)], judge_check.FIGURES), options.json)
    return _say_runs([done], options.json)


def _look(options: argparse.Namespace, spark: SparkSession) -> int:
    """The commands that only look at a lake, and `vacuum`."""
    lake = Lake(spark, options.lake, Run(options.command, "", "", RUNS))
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
            removed = [(v.table, list(v.kept_versions), len(v.files)) for v in catalog.vacuum(lake, options.dry_run)]
            _print(
                spark.createDataFrame(removed, "table string, kept_versions array<bigint>, files bigint"), options.json
            )
        case "explain":
            story = explain(lake, options.subject)
            _say([json.dumps({"story": story.splitlines()}) if options.json else story])
        case "report":
            out = report(lake, options.out or lake.folder("reports") / "report.html")
            _say([json.dumps({"report": str(out)}) if options.json else f"report: {out}"])
    return 0


def _doctor(options: argparse.Namespace, recipe: Recipe | None) -> int:
    checks = doctor.checks(lake=options.lake, recipe=recipe)
    if options.json:
        _say(json.dumps(asdict(c)) for c in checks)
    else:
        _say(f"{'ok  ' if c.ok else 'FAIL'} {c.name}: {c.detail}{'' if c.ok else '; ' + c.advice}" for c in checks)
    return 0 if all(c.ok for c in checks) else 1


def _say_runs(runs: Sequence[Run], as_json: bool) -> int:
    rows = [r.row("ok") | {"started_at": r.started_at.isoformat()} for r in runs]
    if as_json:
        _say(json.dumps(row) for row in rows)
        return 0
    steps = [(run, row) for run, row in zip(runs, rows, strict=True) if run.job != LOOP]
    if not steps:
        _say([UNCHANGED])
        return 0
    _say(
        f"{_step_name(run):<34} {r['unit']:<10} in {r['n_in']:>8,}  out {r['n_out']:>8,}  calls {r['n_calls']:>6,}  "
        f"tokens {r['n_tokens']:>9,}  {r['seconds']:>7,.1f} s"
        for run, r in steps
    )
    _say([f"{len(steps)} jobs, {sum(float(str(r['seconds'])) for _, r in steps):,.0f} s"])
    return 0


def _step_name(run: Run) -> str:
    return " ".join(str(word) for word in (run.job, run.direction, run.iteration) if word is not None)


def _print(frame: DataFrame, as_json: bool) -> None:
    _say(printing.as_json_lines(frame) if as_json else printing.as_text(frame))


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")
