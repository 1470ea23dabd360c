"""The parser of the command line: every command with its options; each job declares its options."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it imports everything that the jobs need
    from jobs.recipe.step import Parameters

LOOKS = ("sql", "tables", "history", "releases", "audit", "explain", "report", "board")
"""The commands that only read, and need no Spark. `sql` runs on Spark by default."""

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

    any: argparse.ArgumentParser
    lake: argparse.ArgumentParser
    recipe: argparse.ArgumentParser
    limit: argparse.ArgumentParser


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands; for a read-only `command`, without `run` and the jobs.

    The jobs' modules take a second to load.
    """
    top = argparse.ArgumentParser(
        prog="humpback",
        description="Instruction backtranslation as a data lakehouse.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = _shared()
    commands = top.add_subparsers(dest="command", required=True, metavar="command", title="commands")
    if command not in LOOKS:
        _add_run(commands, shared)
        _add_jobs(commands, shared)
    _add_looks(commands, shared)
    _add_board(commands, shared)
    _add_doctor(commands, shared)
    return top


def _shared() -> _Shared:
    anyone, lake, recipe, limit = (argparse.ArgumentParser(add_help=False) for _ in range(4))
    anyone.add_argument("--json", action="store_true", help="print the result as JSON, for machines")
    anyone.add_argument("--verbose", action="store_true", help="show the traceback of an error")
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
    return _Shared(anyone, lake, recipe, limit)


def _add_run(commands: Any, shared: _Shared) -> None:
    parents = [shared.recipe, shared.lake, shared.limit, shared.any]
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
            parents=[shared.recipe, shared.lake, *([shared.limit] if parameters.has_limit else []), shared.any],
            help=(job.__doc__ or "").partition("\n")[0],
            description=job.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.set_defaults(job=job)
        _add_parameters(parser, parameters)


def _add_parameters(parser: argparse.ArgumentParser, parameters: "Parameters") -> None:
    first = parameters.first_iteration
    if first is not None:
        about = f"iteration of the loop, at least {first}; models are numbered from 0"
        parser.add_argument("--iteration", type=_at_least(first), required=True, metavar="T", help=about)
    if parameters.has_direction:
        about = "backward writes instructions, forward answers and rates"
        parser.add_argument("--direction", choices=["backward", "forward"], required=True, help=about)
    if parameters.argument:
        name, about = parameters.argument
        parser.add_argument("argument", metavar=name, help=about)
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
    parents = [shared.lake, shared.any]
    sql = commands.add_parser(
        "sql", parents=parents, help="run a SQL query over the lake's tables, also of old versions (VERSION AS OF)"
    )
    about = "spark (the default), or duckdb, which starts no JVM, answers within seconds and runs queries only"
    sql.add_argument("--engine", choices=["spark", "duckdb"], default="spark", help=about)
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
    about = "check the whole lake: keys, rules, references, accounts, releases; exit code 3 if a check fails"
    commands.add_parser("audit", parents=parents, help=about)
    explain = commands.add_parser(
        "explain", parents=parents, help="trace a page through the tables, down to scores and releases"
    )
    explain.add_argument("subject", metavar="URL_OR_ID", help="a URL, or a document, segment or candidate id")
    report = commands.add_parser("report", parents=parents, help="write the HTML report")
    report.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write it (default: <lake>/reports/report.html)"
    )


def _add_board(commands: Any, shared: _Shared) -> None:
    about = "recompute the win rates of a folder of AlpacaEval results"
    board = commands.add_parser("board", parents=[shared.any], help=about)
    board.add_argument("dir", type=Path, metavar="DIR", help="holds <model>/<judge>/annotations.json")
    weights = "AlpacaEval's weights; with --difficulty, predict the length-controlled win rates"
    board.add_argument("--weights", type=Path, metavar="CSV", help=weights)
    board.add_argument("--difficulty", type=Path, metavar="CSV", help="AlpacaEval's instruction_difficulty.csv")
    gamed = "AlpacaEval's df_gamed.csv: fit the length-controlled win rates"
    board.add_argument("--gamed", type=Path, metavar="CSV", help=gamed)
    lake = "first write this lake's judgements into DIR, in AlpacaEval's format"
    board.add_argument("--lake", metavar="URI", help=lake)


def _add_doctor(commands: Any, shared: _Shared) -> None:
    about = "check this machine: versions, Java, jars, store, endpoints"
    doctor = commands.add_parser("doctor", parents=[shared.any], help=about)
    doctor.add_argument("--lake", metavar="URI", help="also check this lake")
    doctor.add_argument("--recipe", metavar="FILE", help="also check this recipe's model and endpoints")
    doctor.add_argument("--set", **OVERRIDE)


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return value

    return number
