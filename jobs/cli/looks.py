"""The commands that only read: a lake, with delta-rs and DuckDB, or a folder of results. They start no JVM."""

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
    """Return whether a command is one of these; `sql` is one only with `--engine duckdb`."""
    return options.command in LOOKS and (options.command != "sql" or options.engine == "duckdb")


def run(options: argparse.Namespace) -> int:
    """Carry out a command and return the exit code."""
    if options.command == "audit":
        return _audit(options)
    if options.command == "serve":
        return _serve(options)
    if options.command == "board":
        from jobs.cli import board  # imports numpy, which the others do without

        return board.run(options)
    gc.disable()  # saves a sixth of the time: modules imported from here on are never garbage
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
            say_rows(rows_of_dicts(contents.TABLE_FACTS, contents.tables(view)), options.json)
        case "history":
            say_rows(contents.history(view, options.table), options.json)
        case "releases":
            say_rows(contents.releases(view), options.json)
        case "explain":
            story = _story(view, options.subject)
            say([json.dumps({"story": story.splitlines()}) if options.json else story])
        case "scaling":
            from jobs.cli import scaling  # imports scipy

            scaling.run(view, options)
        case "diversity":
            from jobs.cli import diversity  # imports scipy

            diversity.run(view, options)
        case "report":
            out = _report(view, options.out)
            say([json.dumps({"report": str(out)}) if options.json else f"report: {out}"])


def _answer(view: LakeView, query: str) -> Rows:
    from jobs.lake import translated  # imports sqlglot, which takes as long as another command in full

    return translated.answer(view, query)


def _story(view: LakeView, subject: str) -> str:
    from jobs.cli.explain import explain  # imports more of Arrow, to read files itself

    return explain(view, subject)


def _report(view: LakeView, out: Path | None) -> Path:
    from jobs.report import report  # imports matplotlib

    return report(view, out or view.folder("reports") / "report.html")


def _serve(options: argparse.Namespace) -> int:
    from jobs.cli.serve import serve  # imports the client and the servers

    with LakeView(options.lake) as view:
        serve(view.require_lake(), options)
    return 0


def _audit(options: argparse.Namespace) -> int:
    """Print each fault of the lake on a line, and return exit code 3 if there is any."""
    from jobs.lake import audit  # imports more of Arrow than the other commands need

    faults = audit.faults(options.lake)
    if options.json:
        say(json.dumps({"fault": fault}) for fault in faults)
    else:
        say(map(printing.plain, faults or ["the lake is in order"]))
    return 3 if faults else 0
