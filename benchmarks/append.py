"""Cost of a few new pages for each job of the corpus, by the number of pages in the lake.

python -m benchmarks.append --rows 10000 1000000 --new 200

The lake is synthetic: `--rows` pages, as many pieces and as many signatures, all different and all
processed. Then new pages are added twice, and the second time is reported.
"""

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks import results
from benchmarks.waves import processor_seconds
from jobs import extract_segments, find_duplicates, ingest_documents, select_unlabelled, sign_segments
from jobs.current.methods import methods_of
from jobs.inference.serving import EngineServers
from jobs.lake.runs import Run
from jobs.lake.session import spark_session
from jobs.lake.writing import RunLake
from jobs.loop.runner import Runner
from jobs.recipe.config import Recipe
from jobs.recipe.step import Step
from model_ops.client.fake_engine import FakeEngine
from schemas.bronze import DOCUMENTS, TEXT
from schemas.ops import RUNS
from schemas.silver import DUPLICATES, SEGMENTS, SIGNATURES
from schemas.table import Table

JOBS = (ingest_documents, extract_segments, sign_segments, find_duplicates, select_unlabelled)
CHUNK = 250_000  # rows a commit
NOUNS = ("kettle", "water", "leaf", "cup", "pot", "spoon", "window", "garden", "river", "bridge", "road", "letter")

Costs = dict[str, tuple[float, float]]
"""Job -> seconds and processor seconds."""


def recipe_of(crawl: Path) -> Recipe:
    """Return a recipe that reads `crawl` and whose pool has room for all segments."""
    return Recipe.model_validate(
        {
            "name": "append",
            "base_model": "none",
            "ingest_documents": {"paths": [str(crawl)]},
            "extract_segments": {"headerless": True, "max_sentence_jaccard": 1.0},
            "select_unlabelled": {"size": 10**9},
            "inference": {"engine": "fake"},
        }
    )


def hashed(name: str) -> Column:
    """Return 64 hex digits that depend on `name` and the column `id`."""
    return F.sha2(F.concat_ws("/", F.lit(name), F.col("id").cast("string")), 256)


def base_rows(spark: SparkSession, recipe: Recipe, table: Table, first: int, last: int) -> DataFrame:
    """Generate the rows of a table with ids from `first` to below `last`."""
    methods = methods_of(recipe)
    words = F.concat_ws(" ", *(F.substring(hashed(f"{i}"), 1 + 8 * (i % 8), 6) for i in range(60)))
    values = {
        "document_id": hashed("document"), "url": F.concat(F.lit("http://a.org/"), "id"),
        "crawled_at": F.lit(None).cast("timestamp"), "source_id": F.lit("s"),
        "source_file": F.concat(F.lit("old-"), F.floor(F.col("id") / 1000).cast("string")),
        "record_offset": F.col("id"),
        "charset": F.lit("utf-8"), "media_type": F.lit(TEXT), "content": words, "payload_digest": hashed("payload"),
        "robots": F.array().cast("array<string>"), "licences": F.array().cast("array<string>"),
        "method_digest": F.lit(methods[table.name] if table is not DOCUMENTS else ""), "segment_id": hashed("segment"),
        "position": F.lit(0), "header": F.lit(""), "header_level": F.lit(0),
        "header_path": F.array().cast("array<string>"), "text": words, "n_chars": F.length(words),
        "language": F.lit(None).cast("string"), "language_score": F.lit(None).cast("double"),
        "replaced": F.create_map().cast("map<string,int>"), "drop_reason": F.lit(None).cast("string"),
        "text_digest": hashed("text"), "bands": F.array(*(F.xxhash64("id", F.lit(band)) for band in range(14))),
    }  # fmt: skip
    return spark.range(first, last).select(*(values[name].alias(name) for name in table.columns))


def build(spark: SparkSession, root: str, recipe: Recipe, n: int) -> None:
    """Write `n` rows to each table, and the run that marks them as compared."""
    for table in (DOCUMENTS, SEGMENTS, SIGNATURES):
        lake = RunLake(spark, root, Run("build", "append", "0" * 16, table))
        lake.create(table)
        for first in range(0, n, CHUNK):
            rows = base_rows(spark, recipe, table, first, min(first + CHUNK, n))
            rows.write.format("delta").mode("append").save(lake.path(table))
    judged = Run("find-duplicates", "append", "0" * 16, DUPLICATES)
    version = RunLake(spark, root, judged).version(SIGNATURES)
    assert version is not None
    judged.bookmarks[methods_of(recipe)[DUPLICATES.name]] = version
    RunLake(spark, root, Run("build", "append", "0" * 16, RUNS)).insert(RUNS, [judged.row("ok")])


def add_pages(crawl: Path, n: int, name: str) -> None:
    """Write a crawl file of `n` pages of random plain text."""
    rng = random.Random(name)
    lines = []
    for i in range(n):
        sentences = (
            f"The {rng.choice(NOUNS)} of the house and a {rng.choice(NOUNS)} were seen on day {rng.randrange(10**6)}."
            for _ in range(16)
        )
        lines.append({"url": f"http://b.org/{name}/{i}", "text": " ".join(sentences)})
    (crawl / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")


def costs_of(runner: Runner) -> Costs:
    """Run each job once, and return its cost."""
    costs = {}
    for job in JOBS:
        step = Step(job)
        began, used = time.perf_counter(), processor_seconds()
        run = runner.step(step)
        costs[step.name] = time.perf_counter() - began, processor_seconds() - used
        logging.getLogger(__name__).info("%s in=%d out=%d %.1f s", step.name, run.n_in, run.n_out, costs[step.name][0])
    return costs


def measure(spark: SparkSession, n: int, n_new: int) -> Costs:
    """Measure the cost of `n_new` pages on a lake of `n` rows."""
    with tempfile.TemporaryDirectory() as folder:
        crawl = Path(folder) / "crawl"
        crawl.mkdir()
        add_pages(crawl, 1, "first")
        recipe, root = recipe_of(crawl), f"{folder}/lake"
        began = time.perf_counter()
        build(spark, root, recipe, n)
        runner = Runner(spark, root, recipe, EngineServers(recipe.inference, FakeEngine()))
        costs_of(runner)
        sys.stdout.write(f"{n:,} rows, {time.perf_counter() - began:.0f} s to make\n")
        for name in ("second", "third"):
            add_pages(crawl, n_new, name)
            costs = costs_of(runner)
    return costs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark for each size of the lake."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.append", description=__doc__)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10_000, 1_000_000], metavar="N", help="rows in the lake"
    )
    parser.add_argument("--new", type=int, default=200, metavar="N", help="new pages")
    results.add_option(parser)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger(__name__).setLevel(logging.INFO)
    spark = spark_session()
    measured = {n: measure(spark, n, options.new) for n in (options.rows[0], *options.rows)}  # the first warms up
    first = options.rows[0]
    smallest = measured[first]
    figures: list[results.Found] = []
    for n, costs in measured.items():
        for name, (seconds, used) in costs.items():
            sys.stdout.write(
                f"{n:>10,} rows {name:18} {seconds:6.1f} s, {used:6.1f} processor seconds, "
                f"{used / smallest[name][1]:.1f} times those at {first:,}\n"
            )
            label = f"{name}, processor seconds, {options.new:,} new pages on a lake of {n:,}"
            if n != first:
                figures.append(results.Found(label, used, "s", smallest[name][1], f"the same on a lake of {first:,}"))
    spark.stop()
    if options.record:
        results.record(results.command_of("append", arguments), figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
