"""How long the commands that only look at a lake take, each as a process of its own, and `sql` by Spark beside them.

python -m benchmarks.looks demo/lake
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from statistics import median

from benchmarks import results
from jobs.lake.view import LakeView

QUERY = "SELECT drop_reason, count(*) AS n FROM silver.segments GROUP BY 1 ORDER BY n DESC"
SUBJECT = "SELECT url FROM silver.segments GROUP BY url ORDER BY count(*) DESC, url LIMIT 1"


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each command: the median of its wall times, the least and the most, and processor seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looks", description=__doc__)
    parser.add_argument("lake", help="one that has segments, such as the demo's")
    parser.add_argument("--times", type=int, default=5)
    results.add_option(parser)
    options = parser.parse_args(arguments)
    medians: dict[str, float] = {}
    with LakeView(options.lake) as view, tempfile.TemporaryDirectory() as folder:
        subject = str(view.rows(SUBJECT)[0]["url"])
        looks = {
            "tables": ["tables"],
            "history": ["history", "silver.segments"],
            "releases": ["releases"],
            "explain": ["explain", subject],
            "sql --engine duckdb": ["sql", QUERY, "--engine", "duckdb"],
            "sql --engine spark": ["sql", QUERY, "--engine", "spark"],
            "report": ["report", "--out", f"{folder}/report.html"],
        }
        sys.stdout.write(f"median of {options.times} (least to most), processor\n")
        for name, words in looks.items():
            took = [timed([*words, "--lake", options.lake]) for _ in range(options.times)]
            walls = [wall for wall, _ in took]
            spent = median(seconds for _, seconds in took)
            line = f"{name:<20} {median(walls):6.2f} s ({min(walls):.2f} to {max(walls):.2f}), {spent:.2f} s\n"
            sys.stdout.write(line)
            sys.stdout.flush()
            medians[name] = median(walls)
    if options.record:
        results.record(results.command_of("looks", arguments), figures(medians))
    return 0


def figures(medians: dict[str, float]) -> list[results.Found]:
    """Return the medians as figures, with Spark as the peer of DuckDB's `sql`."""
    spark = medians.pop("sql --engine spark")
    return [
        results.Found(f"{name}, median", seconds, "s", *((spark, "by Spark") if name.startswith("sql") else ()))
        for name, seconds in medians.items()
    ]


def timed(words: Sequence[str]) -> tuple[float, float]:
    """Seconds and processor seconds that a command takes."""
    before, began = os.times(), time.monotonic()
    command = [sys.executable, "-m", "jobs", *words]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    took, after = time.monotonic() - began, os.times()
    if done.returncode:
        raise SystemExit(done.stderr)
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return took, spent


if __name__ == "__main__":
    sys.exit(main())
