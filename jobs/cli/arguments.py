"""The parser of the command line: every command with its options; each job declares its options."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it imports everything that the jobs need
    from jobs.recipe.step import Parameters

LOOKS = ("sql", "tables", "history", "releases", "audit", "explain", "report")
"""The commands that only read a lake. `sql` runs on Spark by default."""

EPILOG = """examples:
  humpback run --recipe jobs/recipes/demo.toml --lake demo/lake
  humpback run --recipe my.toml --lake lake --set 'ingest_documents.paths=["crawl/*.warc.gz"]' --dry-run
  humpback score-candidates --iteration 1 --recipe my.toml --lake lake
  humpback sql "SELECT count(*) FROM gold.curated VERSION AS OF 1" --lake lake
  humpback explain https://example.org/page --lake lake

exit codes: 0 done, 1 failed, 2 wrong usage or recipe, 3 stopped by an expectation, an error budget or an audit,
4 waiting for outside work (the message holds the command to run), 130 interrupted"""

OVERRIDE: dict[str, Any] = {
    "action": "append",
    "default": [],
    "metavar": "SECTION.KEY=VALUE",
    "dest": "overrides",
    "help": "override a recipe key with a TOML value; repeatable",
}


@dataclass(frozen=True)
class _Shared:
    """Options that several commands have."""

    common: argparse.ArgumentParser
    lake: argparse.ArgumentParser
    recipe: argparse.ArgumentParser
    limit: argparse.ArgumentParser


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands; for a read-only `command`, without `run` and the jobs.

    The jobs' modules take a second to load.
    """
    root = argparse.ArgumentParser(
        prog="humpback",
        description="Instruction backtranslation as a data lakehouse.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = _shared()
    commands = root.add_subparsers(dest="command", required=True, metavar="command", title="commands")
    if command not in LOOKS:
        _add_run(commands, shared)
        _add_jobs(commands, shared)
    _add_looks(commands, shared)
    _add_doctor(commands, shared)
    return root


def _shared() -> _Shared:
    common, lake, recipe, limit = (argparse.ArgumentParser(add_help=False) for _ in range(4))
    common.add_argument("--json", action="store_true", help="print the result as JSON, for machines")
    common.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    lake.add_argument(
        "--lake", required=True, metavar="URI", help="root of the lake: a folder or any URI Spark can write"
    )
    recipe.add_argument(
        "--recipe", required=True, metavar="FILE", help="TOML file of parameters, e.g. jobs/recipes/paper.toml"
    )
    recipe.add_argument("--set", **OVERRIDE)
    limit.add_argument(
        "--limit",
        type=_at_least(1),
        metavar="N",
        help="process at most N new inputs per job, for a quick try; jobs that need all of their input ignore it",
    )
    return _Shared(common, lake, recipe, limit)


def _add_run(commands: Any, shared: _Shared) -> None:
    parents = [shared.recipe, shared.lake, shared.limit, shared.common]
    run = commands.add_parser("run", parents=parents, help="run the whole loop; it resumes after any interruption")
    run.add_argument(
        "--dry-run", action="store_true", help="print the inputs, requests, tokens and trainings to expect; do nothing"
    )
    run.add_argument(
        "--report", type=Path, metavar="FILE", help="write the HTML report to FILE at the end, if it has anything new"
    )


def _add_jobs(commands: Any, shared: _Shared) -> None:
    from jobs.loop.steps import JOBS
    from jobs.recipe.step import job_name

    for job in JOBS:
        parameters: Parameters = job.PARAMETERS
        parser = commands.add_parser(
            job_name(job),
            parents=[shared.recipe, shared.lake, *([shared.limit] if parameters.has_limit else []), shared.common],
            help=(job.__doc__ or "").partition("\n")[0],
            description=job.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.set_defaults(job=job)
        _add_parameters(parser, parameters)


def _add_parameters(parser: argparse.ArgumentParser, parameters: "Parameters") -> None:
    minimum = parameters.first_iteration
    if minimum is not None:
        help_text = f"iteration of the loop, at least {minimum}; models are numbered from 0"
        parser.add_argument("--iteration", type=_at_least(minimum), required=True, metavar="T", help=help_text)
    if parameters.has_direction:
        help_text = "backward writes instructions, forward answers and rates"
        parser.add_argument("--direction", choices=["backward", "forward"], required=True, help=help_text)
    if parameters.argument:
        name, help_text = parameters.argument
        parser.add_argument("argument", metavar=name, help=help_text)
    for option in parameters.options:
        parser.add_argument(
            option.flag,
            metavar=option.metavar,
            dest="overrides",
            action="append",
            type=option.override,
            help=option.help,
        )


def _add_looks(commands: Any, shared: _Shared) -> None:
    """Add the commands that only read a lake, and `vacuum`."""
    parents = [shared.lake, shared.common]
    sql = commands.add_parser(
        "sql", parents=parents, help="run a SQL query over the lake's tables, also of old versions (VERSION AS OF)"
    )
    help_text = "spark (the default), or duckdb, which starts no JVM, answers within seconds and runs queries only"
    sql.add_argument("--engine", choices=["spark", "duckdb"], default="spark", help=help_text)
    sql.add_argument("query", help='e.g. "SELECT drop_reason, count(*) FROM silver.segments GROUP BY 1"')
    commands.add_parser("tables", parents=parents, help="list the tables with versions, rows and sizes")
    history = commands.add_parser(
        "history", parents=parents, help="list the versions of a table and the runs that wrote them"
    )
    history.add_argument("table", help="e.g. gold.curated")
    commands.add_parser("releases", parents=parents, help="list the published slices of tables")
    vacuum = commands.add_parser(
        "vacuum", parents=parents, help="delete files that no current, released or trained-on version needs"
    )
    vacuum.add_argument("--dry-run", action="store_true", help="print what would be deleted; delete nothing")
    help_text = "check the whole lake: keys, rules, references, accounts, releases; exit code 3 if a check fails"
    commands.add_parser("audit", parents=parents, help=help_text)
    explain = commands.add_parser(
        "explain", parents=parents, help="trace a page through the tables, down to scores and releases"
    )
    explain.add_argument("subject", metavar="URL_OR_ID", help="a URL, or a document, segment or candidate id")
    report = commands.add_parser("report", parents=parents, help="write the HTML report")
    report.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write it (default: <lake>/reports/report.html)"
    )


def _add_doctor(commands: Any, shared: _Shared) -> None:
    help_text = "check this machine: versions, Java, jars, store, endpoints"
    doctor = commands.add_parser("doctor", parents=[shared.common], help=help_text)
    doctor.add_argument("--lake", metavar="URI", help="also check this lake")
    doctor.add_argument("--recipe", metavar="FILE", help="also check this recipe's model and endpoints")
    doctor.add_argument("--set", **OVERRIDE)


def _at_least(minimum: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if (value := int(text)) < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        return value

    return number
