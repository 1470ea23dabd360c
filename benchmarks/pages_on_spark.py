"""Speed of the two Spark jobs from crawl files to `silver.segments`, tables written, beside parsing alone.

python -m benchmarks.pages_on_spark demo/corpus/*.warc.gz --copies 12
"""

import argparse
import gzip
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from selectolax.lexbor import LexborHTMLParser

from benchmarks import results
from jobs import extract_segments, ingest_documents
from jobs.lake.runs import Run
from jobs.lake.session import spark_session
from jobs.lake.writing import RunLake
from jobs.recipe.config import IngestDocuments, Recipe
from jobs.recipe.step import Step
from transforms.crawl.records import Record
from transforms.crawl.warc import read_records
from transforms.pages.segments import ROWS, SegmentRules, segments_from

JOBS = (ingest_documents, extract_segments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the median seconds of each job without the first run, and pages/s and MB/s of HTML per core."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages_on_spark", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--copies", type=int, default=1, help="copies of each page, slightly changed, with new URLs")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--crawl", type=Path, help="folder for the copies, e.g. for benchmarks/datatrove_pages.py")
    results.add_option(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        crawl = options.crawl or Path(folder, "crawl")
        n_pages, n_bytes = write_copies(options.files, crawl, options.copies)
        began = time.perf_counter()
        spark = spark_session()
        n_cores = spark.sparkContext.defaultParallelism
        sys.stdout.write(
            f"{n_pages:,} pages, {n_bytes / 1e6:,.0f} MB of HTML, {n_cores} cores;"
            f" the session's start took {time.perf_counter() - began:.1f} s\n"
        )
        times: dict[str, list[list[float]]] = {"whole": [], "parse only": []}
        for number in range(options.runs + 1):  # interleaved, since a JVM gets faster; the first round does not count
            for kind, rounds in times.items():
                rounds.append(_run(spark, crawl, Path(folder, f"{kind}-{number}"), kind))
        medians: dict[str, dict[str, float]] = {}
        for kind, runs in times.items():
            sys.stdout.write(f"{kind:<10} in the first round {sum(runs[0]):.1f} s\n")
            seconds = [statistics.median(column) for column in zip(*runs[1:], strict=True)]
            names = ("ingest-documents", "extract-segments", "both jobs")
            medians[kind] = dict(zip(names, [*seconds, sum(seconds)], strict=True))
            for name, elapsed in medians[kind].items():
                rate, megabytes = n_pages / elapsed / n_cores, n_bytes / 1e6 / elapsed / n_cores
                sys.stdout.write(
                    f"{kind:<10} {name:<16} {elapsed:6.1f} s {rate:7,.0f} pages/s/core {megabytes:6.1f} MB/s/core\n"
                )
    if options.record:
        parsed, peer = medians["parse only"], "the same when they only parse"
        figures = [results.Found(name, n, "s", parsed[name], peer) for name, n in medians["whole"].items()]
        figures.append(results.Found("both jobs, per core", n_pages / figures[-1].ours / n_cores, "pages/s"))
        results.record(results.command_of("pages_on_spark", arguments), figures)
    return 0


def write_copies(files: Iterable[Path], folder: Path, n_copies: int) -> tuple[int, int]:
    """Write `n_copies` of each page with different URLs as WARC files; return the number of pages and their bytes."""
    folder.mkdir(exist_ok=True)
    n_pages = n_bytes = 0
    for file in files:
        with file.open("rb") as stream:
            pages = [r for r in read_records(stream, IngestDocuments().max_record_bytes) if isinstance(r, Record)]
        for number in range(n_copies):
            with (folder / f"{number:03}-{file.name}").open("wb") as out:
                for page in pages:
                    block = page.block.replace(b"</body>", b"<p>Copy number %d of the page.</p></body>" % number)
                    head = (
                        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Date: 2026-11-24T00:00:00Z\r\n"
                        f"WARC-Record-ID: <{page.source_id}-{number}>\r\nWARC-Target-URI: {page.url}?copy={number}\r\n"
                        "WARC-Identified-Payload-Type: text/html\r\n"
                        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(block)}\r\n\r\n"
                    )
                    out.write(gzip.compress(head.encode() + block + b"\r\n\r\n", 6))
                    n_pages, n_bytes = n_pages + 1, n_bytes + len(block)
    return n_pages, n_bytes


def _run(spark: SparkSession, crawl: Path, root: Path, kind: str) -> list[float]:
    """Return the seconds of each job on a new lake."""
    recipe = Recipe(name="bench", base_model="none", ingest_documents=IngestDocuments(paths=(str(crawl),)))
    transform = parse_only if kind == "parse only" else segments_from
    seconds = []
    for job in JOBS:
        lake = RunLake(spark, str(root), Run(job.__name__, "bench", "0" * 16, job.WRITES, job.UNIT))
        began = time.perf_counter()
        with patch.object(extract_segments, "segments_from", transform):
            job.run(lake, recipe, Step(job))
        seconds.append(time.perf_counter() - began)
    return seconds


def parse_only(documents: DataFrame, rules: SegmentRules, *, method_digest: str) -> DataFrame:
    """Parse every page and return one row without text for each; replaces `segments_from`."""

    def parse(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = to_arrow_schema(ROWS)
        for batch in batches:
            rows = [
                {
                    "segment_id": page["document_id"],
                    "document_id": page["document_id"],
                    "url": page["url"],
                    "position": 0,
                    "header": str(LexborHTMLParser(page["content"]).body),
                    "header_level": 0,
                    "header_path": [],
                    "n_chars": 0,
                    "drop_reason": "no_header",
                }
                for page in batch.to_pylist()
            ]
            yield pa.RecordBatch.from_pylist(rows, schema)

    rows = documents.select("document_id", "url", "content").mapInArrow(parse, ROWS)
    return rows.withColumn("method_digest", F.lit(method_digest))


if __name__ == "__main__":
    sys.exit(main())
