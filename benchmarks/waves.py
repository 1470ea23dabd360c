"""Overhead of a wave in seconds, without its answers, by the number of staged requests.

python -m benchmarks.waves --requests 25000 100000 400000 --kilobytes 2
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from benchmarks import results
from benchmarks.made_requests import MODEL, requests
from jobs.inference.ask import complete
from jobs.inference.serving import EngineServers
from jobs.lake.runs import Run
from jobs.lake.session import spark_session
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from model_ops.client.fake_engine import FakeEngine
from schemas.silver import CANDIDATES


class EnoughError(Exception):
    """The last wave to measure has ended."""


class Clock(logging.Handler):
    """Records time and processor seconds at the end of each wave, from the lines that waves log."""

    def __init__(self, most: int) -> None:
        """Measure `most` waves."""
        super().__init__(logging.INFO)
        self.most = most
        self.ends: list[tuple[float, float]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Record the end of a wave, and raise `EnoughError` after the last one to measure."""
        self.ends.append((time.perf_counter(), processor_seconds()))
        if len(self.ends) == self.most:
            raise EnoughError


def processor_seconds() -> float:
    """Return the CPU seconds of this process and its descendants, which a busy machine changes less than the clock."""
    used = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # Spark ends idle workers
            used += sum(process.cpu_times()[:2])
    return used


def long_prompt(kilobytes: int) -> Column:
    """Return a column of `kilobytes` KiB of hex digits that hardly compress."""
    return F.concat(*(F.sha2(F.concat_ws("/", "id", F.lit(part)), 256) for part in range(16 * kilobytes)))


def measure(spark: SparkSession, n: int, options: argparse.Namespace) -> tuple[str, float]:
    """Send the first waves of `n` requests to an engine that answers at once; return a line and the seconds a wave."""
    clock = Clock(options.waves)
    logger = logging.getLogger("jobs.inference.waves")
    logger.addHandler(clock)
    logger.setLevel(logging.INFO)
    settings = {"engine": "fake", "rows_per_wave": options.rows_per_wave}
    recipe = Recipe.model_validate({"name": "waves", "base_model": "none", "inference": settings})
    with tempfile.TemporaryDirectory() as root, suppress(EnoughError):
        lake = RunLake(spark, root, Run("waves", "waves", recipe.digest(), CANDIDATES))
        staged = requests(spark, 0, n, long_prompt(options.kilobytes))
        began = time.perf_counter()
        complete(lake, EngineServers(recipe.inference, FakeEngine()), MODEL, staged)
    logger.removeHandler(clock)
    (first, used), (last, used_last) = clock.ends[0], clock.ends[-1]
    n_waves = max(len(clock.ends) - 1, 1)
    line = (
        f"{n:>11,} requests: the first wave ended after {first - began:.1f} s, the next {n_waves} took "
        f"{(last - first) / n_waves:.2f} s and {(used_last - used) / n_waves:.2f} processor seconds each"
    )
    return line, (last - first) / n_waves


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure for each number of requests."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waves", description=__doc__)
    parser.add_argument("--requests", type=int, nargs="+", default=[25_000, 100_000, 400_000], metavar="N")
    parser.add_argument("--kilobytes", type=int, default=2, metavar="N", help="length of a prompt")
    parser.add_argument("--rows-per-wave", type=int, default=2048, metavar="N")
    parser.add_argument("--waves", type=int, default=20, metavar="N", help="waves to send of each stage, at most")
    results.add_option(parser)
    options = parser.parse_args(arguments)
    figures = []
    spark = spark_session()
    measure(spark, 4 * options.rows_per_wave, options)  # warms up
    for n in options.requests:
        line, seconds = measure(spark, n, options)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        figures.append(results.Found(f"a wave of {options.rows_per_wave:,} of {n:,} requests", seconds, "s"))
    spark.stop()
    if options.record:
        results.record(results.command_of("waves", arguments), figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
