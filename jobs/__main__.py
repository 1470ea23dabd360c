"""The command line: `humpback`, the same as `python -m jobs`.

Exit codes: 0 done; 1 failed, with one sentence on stderr; 2 wrong usage or recipe; 3 an
expectation or error budget stopped it; 4 waiting for outside work; 130 interrupted.
"""

import logging
import signal
import sys
import traceback
from types import FrameType

from jobs.cli import commands
from jobs.cli.arguments import parser
from jobs.errors import JobError
from jobs.lake.failures import sentence
from jobs.recipe.loading import load_recipe


def main(arguments: list[str] | None = None, session: commands.Session = commands.own_session) -> int:
    """Run one command, in a Spark session that `session` opens where one is needed; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        parser().print_help()
        return 2
    options = parser().parse_args(words)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("jobs").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        named = getattr(options, "recipe", None)
        recipe = load_recipe(named, options.overrides) if named else None
        return commands.run(options, recipe, session)
    except KeyboardInterrupt:
        sys.stderr.write("humpback: interrupted; what was committed stays, run the same command to go on\n")
        return 130
    except Exception as error:
        if options.verbose:
            traceback.print_exc()
        said = str(error) if isinstance(error, JobError) else sentence(error)
        sys.stderr.write(f"humpback: {said}\n")
        return error.exit_code if isinstance(error, JobError) else 1


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
