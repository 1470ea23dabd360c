"""The command line: `humpback`, the same as `python -m jobs`.

Exit codes: 0 done; 1 failed, with one sentence on stderr; 2 wrong usage or recipe; 3 stopped by
an expectation or error budget; 4 waiting for work outside humpback; 130 interrupted by Ctrl-C or
SIGTERM (SIGTERM ends the command within 5 s, a second one at once).
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
    """Run one command, in a Spark session that `session` opens if it needs one, and return the exit code."""
    argv = sys.argv[1:] if arguments is None else arguments
    if not argv:
        parser().print_help()
        return 2
    options = parser(argv[0]).parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("jobs").setLevel(logging.INFO)
    with ending_in_time() as ending:
        try:
            return looks.run(options) if looks.is_look(options) else _run(options, session)
        except KeyboardInterrupt:
            return ending.finish()
        except Exception as error:
            # Java may have received the signal too; the errors that Spark then raises do not matter.
            return ending.finish() if ending.signalled else _report(error, options.verbose)


def _run(options: Namespace, session: "Session | None") -> int:
    """Carry out a command that needs Spark. Its modules are imported only here, since they take long to load."""
    from jobs.cli import commands
    from jobs.recipe.loading import load_recipe

    recipe_file = getattr(options, "recipe", None)
    recipe = load_recipe(recipe_file, options.overrides) if recipe_file else None
    return commands.run(options, recipe, session or commands.own_session)


def _report(error: Exception, verbose: bool) -> int:
    """Print the error as one sentence on stderr, and return the exit code."""
    if verbose:
        traceback.print_exc()
    message = str(error) if isinstance(error, JobError) else sentence(error)
    sys.stderr.write(f"humpback: {message}\n")
    return error.exit_code if isinstance(error, JobError) else 1


if __name__ == "__main__":
    sys.exit(main())
