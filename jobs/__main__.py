"""The command line: `humpback`, the same as `python -m jobs`.

Exit codes: 0 done; 1 failed, with one sentence on stderr; 2 wrong usage or recipe; 3 an
expectation or error budget stopped it; 4 waiting for outside work; 130 interrupted.
"""

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from jobs.cli import commands
from jobs.errors import JobError
from jobs.lake.failures import sentence
from jobs.loop.runner import DIRECTED, ITERATED, JOBS, LIMITED, job_name
from jobs.recipe.loading import load_recipe

EPILOG = """examples:
  humpback run --recipe jobs/recipes/demo.toml --lake demo/lake
  humpback run --recipe my.toml --lake lake --set 'ingest_documents.paths=["crawl/*.warc.gz"]' --dry-run
  humpback score-candidates --iteration 1 --recipe my.toml --lake lake
  humpback sql "SELECT count(*) FROM gold.curated VERSION AS OF 1" --lake lake
  humpback explain https://example.org/page --lake lake

exit codes: 0 done, 1 failed, 2 wrong usage or recipe, 3 stopped by an expectation or error budget,
4 waiting for outside work (the message holds the command to run), 130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """The whole command line, with help that teaches."""
    top = argparse.ArgumentParser(
        prog="humpback", description="Instruction backtranslation as a data lakehouse.", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    lake, recipe, limit = (argparse.ArgumentParser(add_help=False) for _ in range(3))
    lake.add_argument(
        "--lake", required=True, metavar="URI", help="root of the lake: a folder or any URI Spark can write"
    )
    lake.add_argument("--json", action="store_true", help="print the result as JSON, for machines")
    recipe.add_argument(
        "--recipe", required=True, metavar="FILE", help="TOML file of parameters, e.g. jobs/recipes/paper.toml"
    )
    override: dict[str, Any] = {"action": "append", "default": [], "metavar": "SECTION.KEY=VALUE", "dest": "overrides",
                                "help": "override a recipe key with a TOML value; repeatable"}  # fmt: skip
    recipe.add_argument("--set", **override)
    limit.add_argument(
        "--limit",
        type=_at_least(1),
        metavar="N",
        help="at most N new inputs of each job that can take less, for a quick try",
    )
    sub = top.add_subparsers(dest="command", required=True, metavar="command", title="commands")

    run = sub.add_parser("run", parents=[recipe, lake, limit], help="the whole loop; stops and resumes anywhere")
    run.add_argument(
        "--dry-run", action="store_true", help="only say what would be done: inputs, requests, tokens, trainings"
    )
    run.add_argument("--report", type=Path, metavar="FILE", help="write the HTML report there at the end, if it is due")
    for job in JOBS:
        summary = (job.__doc__ or "").partition("\n")[0]
        parents = [recipe, lake, limit] if job in LIMITED else [recipe, lake]
        job_parser = sub.add_parser(
            job_name(job), parents=parents, help=summary, description=job.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        job_parser.set_defaults(job=job)
        if job in ITERATED:
            job_parser.add_argument(
                "--iteration", type=_at_least(ITERATED[job]), required=True, metavar="T",
                help=f"self-curation round, from {ITERATED[job]} on; models count from 0",
            )  # fmt: skip
        if job in DIRECTED:
            job_parser.add_argument(
                "--direction", choices=["backward", "forward"], required=True, help="which of the two models"
            )
        if job_name(job) == "register-model":
            job_parser.add_argument("argument", metavar="DIR", help="the trained model's folder")
        if job_name(job) == "judge-check":
            job_parser.add_argument(
                "--pairs", metavar="FILE", dest="overrides", action="append",
                type=lambda file: f"judge_check.file={json.dumps(file)}",
                help="your own labels: JSON lines of instruction, response and label (true or false)",
            )  # fmt: skip
            job_parser.add_argument(
                "--precision", metavar="P", dest="overrides", action="append",
                type=lambda share: f"judge_check.precision={float(share)}",
                help="say the lowest threshold whose precision reaches P",
            )  # fmt: skip
    sql = sub.add_parser("sql", parents=[lake], help="Spark SQL over the lake's tables, VERSION AS OF included")
    sql.add_argument("query", help='e.g. "SELECT drop_reason, count(*) FROM silver.segments GROUP BY 1"')
    sub.add_parser("tables", parents=[lake], help="what is there: tables, versions, rows, sizes")
    history = sub.add_parser("history", parents=[lake], help="how a table came to be, commit by commit")
    history.add_argument("table", help="e.g. gold.curated")
    sub.add_parser("releases", parents=[lake], help="what is published")
    vacuum = sub.add_parser("vacuum", parents=[lake], help="delete files that no release and no model needs")
    vacuum.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    explain = sub.add_parser("explain", parents=[lake], help="what became of a page, down to its scores")
    explain.add_argument("subject", metavar="URL_OR_ID", help="a URL, or a document, segment or candidate id")
    report = sub.add_parser("report", parents=[lake], help="the HTML report")
    report.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write it (default: <lake>/reports/report.html)"
    )
    doctor = sub.add_parser("doctor", help="is this machine fit: versions, Java, jars, store, endpoints")
    doctor.add_argument("--lake", metavar="URI", help="also look at this lake")
    doctor.add_argument("--recipe", metavar="FILE", help="also look at this recipe's model and endpoints")
    doctor.add_argument("--set", **override)
    doctor.add_argument("--json", action="store_true", help="print the result as JSON, for machines")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        parser().print_help()
        return 2
    options = parser().parse_args(words)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("jobs").setLevel(logging.INFO)
    logging.getLogger("__main__").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        recipe = (
            load_recipe(options.recipe, getattr(options, "overrides", [])) if getattr(options, "recipe", None) else None
        )
        return commands.run(options, recipe)
    except JobError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted; what was committed stays, run the same command to go on", 130)
    except Exception as error:
        logging.getLogger("jobs").debug("traceback", exc_info=True)
        return _fail(sentence(error), 1)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"humpback: {message}\n")
    return code


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return value

    return number


if __name__ == "__main__":
    sys.exit(main())
