"""Make the demo's input from Debian's documentation packages: WARC files and a seed of questions and answers.

    python -m jobs.demo --out demo/corpus

Writes DIR/*.warc.gz, DIR/seed.jsonl and DIR/sources.json (each package with version and SHA-256);
WARC files that exist are not made again. Packages are downloaded by apt-get and never installed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.demo.corpus import write_corpus
from jobs.demo.packages import Archive
from jobs.demo.seed import write_seed
from jobs.errors import JobError


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    summary, _, details = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m jobs.demo",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the input")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="folder for downloads (default: OUT/cache)")
    help_text = "leave out longer answers (default: %(default)s)"
    parser.add_argument("--max-response-chars", type=int, default=1000, metavar="N", help=help_text)
    options = parser.parse_args(argv)
    try:
        write_corpus(options.out, lambda: Archive.of_this_host(options.cache or options.out / "cache"), _say)
        write_seed(options.out, options.max_response_chars, _say)
    except (JobError, OSError) as error:
        raise SystemExit(f"demo corpus: {error}") from error


def _say(line: str) -> None:
    sys.stderr.write(f"demo corpus: {line}\n")


if __name__ == "__main__":
    main()
