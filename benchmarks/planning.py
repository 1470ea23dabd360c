"""Cost of a large ledger for a job that sends requests: the planning, which is done once for all waves.

python -m benchmarks.planning --ledger 10000000 --requests 20000 --waves 4 20

This is the worst case: all rows have the same stage and model, and half of the requests are answered already.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence

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
from schemas.bronze import COMPLETIONS
from schemas.silver import CANDIDATES

CHUNK = 1_000_000  # rows of the ledger per commit


PROMPT = "concat('Row ', id)"


def fill(lake: RunLake, first: int, last: int) -> None:
    """Write answers of some 20 words to the requests from `first` to below `last` to the ledger."""
    values = {
        "run_id": F.lit("before"),
        "attempt": F.lit(1),
        "status": F.lit("ok"),
        "endpoint": F.lit("fake"),
        "text": F.concat_ws(" ", *[F.substring("request_id", 3 * i + 1, 5) for i in range(20)]),
        "finish_reason": F.lit("stop"),
        "n_prompt_tokens": F.lit(200),
        "n_completion_tokens": F.lit(40),
        "created_at": F.current_timestamp(),
    }
    for field in COMPLETIONS.schema:
        values.setdefault(field.name, F.lit(None).cast(field.dataType))
    new = requests(lake.spark, first, last, F.expr(PROMPT))
    columns = [new[c] if c in new.columns else values[c].alias(c) for c in COMPLETIONS.columns]
    lake.write(COMPLETIONS, new.select(*columns), computed=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure on an empty and on a large ledger, for each number of waves."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planning", description=__doc__)
    parser.add_argument("--ledger", type=int, default=10_000_000, metavar="N", help="rows of the ledger")
    parser.add_argument("--requests", type=int, default=20_000, metavar="N", help="requests to send")
    parser.add_argument("--waves", type=int, nargs="+", default=[4, 20], metavar="N")
    results.add_option(parser)
    options = parser.parse_args(arguments)
    figures = []
    logging.getLogger("jobs").setLevel(logging.WARNING)
    spark = spark_session()
    for n in (0, options.ledger):
        with tempfile.TemporaryDirectory() as root:
            began = time.perf_counter()
            lake = RunLake(spark, root, Run("planning", "planning", "0" * 16, CANDIDATES))
            for first in range(0, n, CHUNK):
                fill(lake, first, min(first + CHUNK, n))
            sys.stdout.write(f"{n:,} rows in the ledger, {time.perf_counter() - began:.0f} s to write\n")
            next_one = n
            for n_waves in (options.waves[0], *options.waves):  # the first of them warms up
                recipe = Recipe.model_validate(
                    {
                        "name": "planning",
                        "base_model": "none",
                        "inference": {"engine": "fake", "rows_per_wave": -(-2 * options.requests // (2 * n_waves - 1))},
                    }
                )
                lake = RunLake(spark, root, Run("planning", "planning", recipe.digest(), CANDIDATES))
                servers = EngineServers(recipe.inference, FakeEngine())
                first, last = max(next_one - options.requests, 0), next_one + options.requests
                next_one = last
                began = time.perf_counter()
                complete(lake, servers, MODEL, requests(lake.spark, first, last, F.expr(PROMPT)))
                sent = time.perf_counter() - began
                began = time.perf_counter()
                complete(lake, servers, MODEL, requests(lake.spark, first, last, F.expr(PROMPT)))
                planned = time.perf_counter() - began
                waves = lake.run.commits[COMPLETIONS.name]
                sys.stdout.write(
                    f"{lake.run.n_calls:>8,} requests in {waves:>3} waves: {sent:6.1f} s, of which planning is what "
                    f"the same takes with nothing to send, {planned:.1f} s; {(sent - planned) / waves:.2f} s a wave\n"
                )
                sys.stdout.flush()
                what = f"planning of {lake.run.n_calls:,} requests beside a ledger of {n:,} rows, {waves} waves"
                figures.append(results.Found(what, planned, "s"))
    spark.stop()
    if options.record:
        results.record(results.command_of("planning", arguments), figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
