"""The command line's grammar: every command with its options, the jobs' as they declare them."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # they bring all that the jobs need
    from jobs.recipe.step import Parameters

LOOKS = ("sql", "tables", "history", "releases", "audit", "explain", "report")
"""The commands that only look at a lake; `sql` does so by Spark, too."""

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
    """The whole command line, with help that teaches; of a `command` that only looks nothing but the looks.

    They need none of the jobs, whose modules take a second to load.
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
        help="at most N new inputs of each job that can take less, for a quick try",
    )
    return _Shared(anyone, lake, recipe, limit)


def _add_run(commands: Any, shared: _Shared) -> None:
    parents = [shared.recipe, shared.lake, shared.limit, shared.any]
    run = commands.add_parser("run", parents=parents, help="the whole loop; stops and resumes anywhere")
    run.add_argument(
        "--dry-run", action="store_true", help="only say what would be done: inputs, requests, tokens, trainings"
    )
    run.add_argument("--report", type=Path, metavar="FILE", help="write the HTML report there at the end, if it is due")


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
        about = f"self-curation round, from {first} on; models count from 0"
        parser.add_argument("--iteration", type=_at_least(first), required=True, metavar="T", help=about)
    if parameters.has_direction:
        about = "which of the two models"
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
    """The commands that only look at a lake, and `vacuum`."""
    parents = [shared.lake, shared.any]
    sql = commands.add_parser("sql", parents=parents, help="Spark SQL over the lake's tables, VERSION AS OF included")
    about = "spark (the default) or duckdb, which starts at once, without a JVM, and runs queries only"
    sql.add_argument("--engine", choices=["spark", "duckdb"], default="spark", help=about)
    sql.add_argument("query", help='e.g. "SELECT drop_reason, count(*) FROM silver.segments GROUP BY 1"')
    commands.add_parser("tables", parents=parents, help="what is there: tables, versions, rows, sizes")
    history = commands.add_parser("history", parents=parents, help="how a table came to be, commit by commit")
    history.add_argument("table", help="e.g. gold.curated")
    commands.add_parser("releases", parents=parents, help="what is published")
    vacuum = commands.add_parser("vacuum", parents=parents, help="delete files that no release and no model needs")
    vacuum.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    about = "the contract of the whole lake: keys, rules, references, accounts, releases; 3 where it is broken"
    commands.add_parser("audit", parents=parents, help=about)
    explain = commands.add_parser("explain", parents=parents, help="what became of a page, down to its scores")
    explain.add_argument("subject", metavar="URL_OR_ID", help="a URL, or a document, segment or candidate id")
    report = commands.add_parser("report", parents=parents, help="the HTML report")
    report.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write it (default: <lake>/reports/report.html)"
    )


def _add_doctor(commands: Any, shared: _Shared) -> None:
    about = "is this machine fit: versions, Java, jars, store, endpoints"
    doctor = commands.add_parser("doctor", parents=[shared.any], help=about)
    doctor.add_argument("--lake", metavar="URI", help="also look at this lake")
    doctor.add_argument("--recipe", metavar="FILE", help="also look at this recipe's model and endpoints")
    doctor.add_argument("--set", **OVERRIDE)


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return value

    return number
