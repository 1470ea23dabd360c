"""The commands that only look at a lake: they read it by delta-rs and DuckDB, and start no JVM."""

import argparse
import gc
import json
from pathlib import Path

from jobs.cli import printing
from jobs.cli.arguments import LOOKS
from jobs.cli.printing import say, say_rows
from jobs.lake import contents
from jobs.lake.rows import Rows, rows_of_dicts
from jobs.lake.view import LakeView


def is_look(options: argparse.Namespace) -> bool:
    """Whether a command is one of these; `sql` is Spark's unless it names the other engine."""
    return options.command in LOOKS and (options.command != "sql" or options.engine == "duckdb")


def run(options: argparse.Namespace) -> int:
    """Carry out a command; returns the exit code."""
    if options.command == "audit":
        return _audit(options)
    gc.disable()  # a sixth of the time: what is imported from here on is no garbage
    try:
        with LakeView(options.lake) as view:
            _look(view.require_lake(), options)
    finally:
        gc.enable()
    return 0


def _look(view: LakeView, options: argparse.Namespace) -> None:
    match options.command:
        case "sql":
            say_rows(_answer(view, options.query), options.json)
        case "tables":
            say_rows(rows_of_dicts(contents.ABOUT, contents.tables(view)), options.json)
        case "history":
            say_rows(contents.history(view, options.table), options.json)
        case "releases":
            say_rows(contents.releases(view), options.json)
        case "explain":
            story = _story(view, options.subject)
            say([json.dumps({"story": story.splitlines()}) if options.json else story])
        case "report":
            out = _report(view, options.out)
            say([json.dumps({"report": str(out)}) if options.json else f"report: {out}"])


def _answer(view: LakeView, query: str) -> Rows:
    from jobs.lake import translated  # brings sqlglot, which takes as long as the other looks

    return translated.answer(view, query)


def _story(view: LakeView, subject: str) -> str:
    from jobs.cli.explain import explain  # reads files itself, by more of Arrow

    return explain(view, subject)


def _report(view: LakeView, out: Path | None) -> Path:
    from jobs.report import report  # draws, by matplotlib

    return report(view, out or view.folder("reports") / "report.html")


def _audit(options: argparse.Namespace) -> int:
    """Each fault of the lake on a line; exit code 3 where there is one."""
    from jobs.lake import audit  # brings more of Arrow than the other looks need

    faults = audit.faults(options.lake)
    if options.json:
        say(json.dumps({"fault": fault}) for fault in faults)
    else:
        say(map(printing.plain, faults or ["the lake is in order"]))
    return 3 if faults else 0
