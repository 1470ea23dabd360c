"""The parser of the command line: every command with its options; each job declares its options."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it imports everything that the jobs need
    from jobs.recipe.step import Parameters

LOOKS = ("sql", "tables", "history", "releases", "audit", "explain", "report", "serve", "board", "scaling", "diversity")
"""The commands that only read, and start no JVM; `sql` runs on Spark by default."""

EPILOG = """examples:
  humpback run --recipe jobs/recipes/demo.toml --lake demo/lake
  humpback run --recipe my.toml --lake lake --set 'ingest_documents.paths=["crawl/*.warc.gz"]' --dry-run
  humpback score-candidates --iteration 1 --recipe my.toml --lake lake
  humpback sql "SELECT count(*) FROM gold.curated VERSION AS OF 1" --lake lake
  humpback explain https://example.org/page --lake lake
  humpback scaling --experiments n100 n400 n1600 --lake lake --out scaling.svg

exit codes: 0 done, 1 failed, 2 wrong usage or recipe, 3 stopped by an expectation, an error budget or an audit,
4 waiting for outside work (the message holds the command to run), 130 interrupted"""

OVERRIDE: dict[str, Any] = {
    "action": "append",
    "default": [],
    "metavar": "SECTION.KEY=VALUE",
    "dest": "overrides",
    "help": "override a recipe key with a TOML value, e.g. curate.top_fraction=0.2; repeatable",
}


ITERATION_OF_MODEL = "iteration of the model, from 0; M0 is trained on the seed alone"
ITERATION_OF_ROUND = "iteration, from 1; in iteration 1, M0 rates the pairs"


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
    _add_serve(commands, shared)
    _add_board(commands, shared)
    _add_doctor(commands, shared)
    return root


def _shared() -> _Shared:
    common, lake, recipe, limit = (argparse.ArgumentParser(add_help=False) for _ in range(4))
    common.add_argument("--json", action="store_true", help="print the result as JSON, one object per line")
    common.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    lake.add_argument(
        "--lake",
        required=True,
        metavar="URI",
        help="root of the lake: a folder, or a URI that Spark can write, such as s3a://bucket/lake",
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
    about = "Run the whole loop of a recipe; after an interruption, run it again to resume."
    run = _add(commands, "run", parents, about)
    run.add_argument(
        "--dry-run", action="store_true", help="print the inputs, requests, tokens and trainings to expect; run nothing"
    )
    run.add_argument(
        "--report", type=Path, metavar="FILE", help="write the HTML report to FILE at the end, if anything is new"
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
        help_text = ITERATION_OF_ROUND if minimum else ITERATION_OF_MODEL
        parser.add_argument("--iteration", type=_at_least(minimum), required=True, metavar="T", help=help_text)
    if parameters.has_direction:
        help_text = "backward: the model that writes instructions; forward: the model that answers and rates"
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
    about = "Run a SQL query over the lake's tables by name, such as gold.curated; VERSION AS OF reads an old version."
    sql = _add(commands, "sql", parents, about)
    about = "spark (the default), or duckdb, which starts no JVM, answers within seconds and runs queries only"
    sql.add_argument("--engine", choices=["spark", "duckdb"], default="spark", help=about)
    sql.add_argument("query", help='e.g. "SELECT drop_reason, count(*) FROM silver.segments GROUP BY 1"')
    _add(commands, "tables", parents, "List the tables with versions, rows and sizes.")
    history = _add(commands, "history", parents, "List the versions of a table and the runs that wrote them.")
    history.add_argument("table", help="e.g. gold.curated")
    _add(commands, "releases", parents, "List the published versions of curated sets and training sets.")
    about = "Delete the files that no current, released or trained-on version needs, to free disk space."
    vacuum = _add(commands, "vacuum", parents, about)
    vacuum.add_argument("--dry-run", action="store_true", help="print what would be deleted; delete nothing")
    about = "Check the whole lake: keys, rules, references, row counts, releases; exit code 3 if a check fails."
    _add(commands, "audit", parents, about)
    about = "Tell what became of a page: each piece, why it was dropped, and its duplicates, scores and releases."
    explain = _add(commands, "explain", parents, about)
    about = "a URL, or the id of a document, segment or candidate, of which the first 8 characters are enough"
    explain.add_argument("subject", metavar="URL_OR_ID", help=about)
    _add_studies(commands, parents)
    report = _add(commands, "report", parents, "Write the HTML report on the experiment that ran last.")
    report.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write it (default: <lake>/reports/report.html)"
    )


def _add_studies(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the commands about the number and the diversity of pairs."""
    about = "Fit a figure of models to N, the number of curated pairs in their training sets: value = alpha ln N + C."
    scaling = _add(commands, "scaling", parents, about)
    about = "names of three or more recipes that differ in the number of pairs, e.g. by curate.max_pairs"
    scaling.add_argument("--experiments", nargs="+", required=True, metavar="NAME", help=about)
    about = "evaluation in gold.evaluations, e.g. answers/humpback (default: held_out_loss)"
    scaling.add_argument("--evaluation", default="held_out_loss", metavar="NAME", help=about)
    scaling.add_argument(
        "--metric", default="loss", metavar="NAME", help="metric of the evaluation, e.g. win_rate (default: loss)"
    )
    about = "iteration of the forward models (default: the last that all experiments have)"
    scaling.add_argument("--iteration", type=_at_least(1), metavar="T", help=about)
    scaling.add_argument("--out", type=Path, metavar="FILE", help="also draw the fit into this SVG file")
    about = (
        "Compare curated instructions with the seed's: root verbs and objects, distinct n-grams, nearest neighbours."
    )
    diversity = _add(commands, "diversity", parents, about)
    diversity.add_argument("--experiment", metavar="NAME", help="name of the recipe (default: the one that ran last)")
    about = "iteration of the curated set (default: all)"
    diversity.add_argument("--iteration", type=_at_least(1), metavar="T", help=about)


def _add_serve(commands: Any, shared: _Shared) -> None:
    from model_ops.serving.settings import ServerOptions

    about = (
        "Serve a trained model with an OpenAI-compatible API, on this machine only, until Ctrl-C. The server applies "
        "the model's chat format; if HUMPBACK_API_KEY is set, clients must send it."
    )
    serve = _add(commands, "serve", [shared.lake, shared.common], about)
    serve.add_argument("model_id", metavar="MODEL_ID", help="a model_id of ops.models, e.g. forward-2-1a2b3c")
    for name in ("port", "max_model_len"):
        field = ServerOptions.model_fields[name]
        about = f"{field.description} (default: {field.default})"
        serve.add_argument(
            f"--{name.replace('_', '-')}", type=_at_least(1), default=field.default, metavar="N", help=about
        )
    about = "sequences that the server computes at once (default: 64)"
    serve.add_argument("--max-num-seqs", type=_at_least(1), default=64, metavar="N", help=about)
    serve.add_argument("--eager", action="store_true", help=ServerOptions.model_fields["eager"].description)


def _add_board(commands: Any, shared: _Shared) -> None:
    about = "Recompute the win rates of a folder of AlpacaEval results."
    board = _add(commands, "board", [shared.common], about)
    board.add_argument("dir", type=Path, metavar="DIR", help="holds <model>/<judge>/annotations.json")
    weights = "AlpacaEval's weights; with --difficulty, predict the length-controlled win rates"
    board.add_argument("--weights", type=Path, metavar="CSV", help=weights)
    board.add_argument("--difficulty", type=Path, metavar="CSV", help="AlpacaEval's instruction_difficulty.csv")
    gamed = "AlpacaEval's df_gamed.csv: fit the length-controlled win rates"
    board.add_argument("--gamed", type=Path, metavar="CSV", help=gamed)
    lake = "first write this lake's judgements into DIR, in AlpacaEval's format"
    board.add_argument("--lake", metavar="URI", help=lake)


def _add_doctor(commands: Any, shared: _Shared) -> None:
    about = "Check this machine: Python, packages, Java, Spark with Delta; exit code 1 if a check fails."
    doctor = _add(commands, "doctor", [shared.common], about)
    doctor.add_argument("--lake", metavar="URI", help="also check that this lake can be written and has disk space")
    doctor.add_argument("--recipe", metavar="FILE", help="also check this recipe's base model and endpoints")
    doctor.add_argument("--set", **OVERRIDE)


def _add(commands: Any, name: str, parents: list[argparse.ArgumentParser], about: str) -> Any:
    """Add a command; `about` is its line in the list of commands, and the beginning of its help."""
    return commands.add_parser(name, parents=parents, help=about, description=about)


def _at_least(minimum: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if (value := int(text)) < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        return value

    return number
