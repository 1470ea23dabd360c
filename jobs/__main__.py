"""The command line: `humpback`, the same as `python -m jobs`.

Exit codes: 0 done; 1 failed, with one sentence on stderr; 2 wrong usage or recipe; 3 an
expectation or error budget stopped it; 4 waiting for outside work; 130 interrupted, by Ctrl-C
or SIGTERM (then within 5 s; a second one ends the command at once).
"""

import logging
import sys
import traceback
from argparse import Namespace
from typing import TYPE_CHECKING

from jobs.cli import looks
from jobs.cli.arguments import parser
from jobs.cli.ending import ending_in_time
from jobs.errors import JobError
from jobs.lake.failures import sentence

if TYPE_CHECKING:
    from jobs.cli.commands import Session


def main(arguments: list[str] | None = None, session: "Session | None" = None) -> int:
    """Run one command, where it needs Spark in a session that `session` opens; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        parser().print_help()
        return 2
    options = parser(words[0]).parse_args(words)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("jobs").setLevel(logging.INFO)
    with ending_in_time() as ending:
        try:
            return looks.run(options) if looks.is_look(options) else _run(options, session)
        except KeyboardInterrupt:
            return ending.done()
        except Exception as error:
            # Java may have got the signal too, and Spark's errors at that are of no interest.
            return ending.done() if ending.asked else _said(error, options.verbose)


def _run(options: Namespace, session: "Session | None") -> int:
    """Carry out a command that needs Spark, and the many modules of the jobs."""
    from jobs.cli import commands
    from jobs.recipe.loading import load_recipe

    named = getattr(options, "recipe", None)
    recipe = load_recipe(named, options.overrides) if named else None
    return commands.run(options, recipe, session or commands.own_session)


def _said(error: Exception, verbose: bool) -> int:
    """Say on stderr what went wrong; the exit code."""
    if verbose:
        traceback.print_exc()
    said = str(error) if isinstance(error, JobError) else sentence(error)
    sys.stderr.write(f"humpback: {said}\n")
    return error.exit_code if isinstance(error, JobError) else 1


if __name__ == "__main__":
    sys.exit(main())
