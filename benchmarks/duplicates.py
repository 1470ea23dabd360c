"""Speed, memory and recall of `sign-segments` and `find-duplicates`, run as commands with their start-up.

python -m benchmarks.duplicates demo/corpus/*.warc.gz --rows 25000 100000
python -m benchmarks.duplicates demo/corpus/*.warc.gz --rows 50000 --crowd 50000 --times 3
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import deltalake
import psutil
import pyarrow as pa
from pyspark.sql import functions as F

from benchmarks import results
from benchmarks.planted_copies import Corpus, jaccard, pairs_at_least, planted, shingles
from jobs.lake.runs import Run
from jobs.lake.session import spark_session
from jobs.lake.writing import RunLake
from jobs.recipe.config import ExtractSegments, FindDuplicates, IngestDocuments, Recipe
from jobs.recipe.digests import segments_digest
from schemas.silver import DUPLICATES, SEGMENTS
from transforms.crawl.documents import file_rows
from transforms.pages.segments import pieces

RULES = ExtractSegments()
RECIPE = Recipe(name="benchmark", base_model="none")
JOBS = ("sign-segments", "find-duplicates")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print for each number of rows the speed and memory, and the duplicates found and missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.duplicates", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="WARC files from which words are drawn")
    parser.add_argument("--rows", nargs="+", type=int, default=[100_000], metavar="N")
    parser.add_argument(
        "--crowd", type=int, default=0, metavar="N", help="repeat the last size with N more, near-identical pages"
    )
    parser.add_argument("--times", type=int, default=1, metavar="N", help="runs of each size; the median is compared")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="write the last corpus, without a crowd, as JSONL files for datatrove",
    )
    results.add_option(parser)
    options = parser.parse_args(arguments)
    figures = []
    texts = list(real_pieces(options.files))
    for n in options.rows:
        corpus = planted(texts, n)
        base = median(corpus, options.times)
        figures.append(results.Found(f"duplicates among {n:,} segments, both commands", base, "s"))
    if options.keep:
        write_jsonl(corpus, options.keep)
    if options.crowd:
        extra = median(planted(texts, n + options.crowd, options.crowd), options.times) - base
        sys.stdout.write(
            f"a row of the crowd costs {extra / options.crowd * 1e3:.2f} ms, one of the rest {base / n * 1e3:.2f} ms\n"
        )
    if options.record:
        results.record(results.command_of("duplicates", arguments), figures)
    return 0


def median(corpus: Corpus, times: int) -> float:
    """Return the median seconds of both commands together, each time on a new lake."""
    seconds = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as lake:
            fill(lake, corpus)
            seconds.append(measure(lake, len(corpus.texts)))
            check(lake, corpus)
    return statistics.median(seconds)


def real_pieces(files: Sequence[Path]) -> Iterator[str]:
    """Yield the pieces that pass the default length rules of `extract_segments`."""
    for file in files:
        for row in file_rows(str(file), IngestDocuments().max_record_bytes):
            if row.get("content"):
                cut = pieces(row["content"], RULES.min_chars, RULES.max_chars, row["media_type"])
                yield from (piece["text"] for piece in cut if not piece["fault"])


def name_of(place: int) -> str:
    """Return the id of the segment at a place: a hash, as long and as unordered as a real one."""
    return hashlib.sha256(str(place).encode()).hexdigest()


def write_jsonl(corpus: Corpus, folder: Path) -> None:
    """Write the segments to two files, one for each of datatrove's tasks."""
    folder.mkdir(parents=True, exist_ok=True)
    for task in range(2):
        with (folder / f"{task}.jsonl").open("w") as out:
            for place in range(task, len(corpus.texts), 2):
                out.write(json.dumps({"id": name_of(place), "text": corpus.texts[place]}) + "\n")


def fill(root: str, corpus: Corpus) -> None:
    """Write the texts to `silver.segments`."""
    spark = spark_session()
    names = [name_of(place) for place in range(len(corpus.texts))]
    rows = spark.createDataFrame(pa.table({"segment_id": names, "text": corpus.texts}))
    rest = {
        "method_digest": F.lit(segments_digest(RECIPE)),
        "document_id": F.col("segment_id"),
        "url": F.lit(""),
        "position": F.lit(0),
        "header": F.lit(""),
        "header_level": F.lit(1),
        "header_path": F.array().cast("array<string>"),
        "n_chars": F.length("text"),
        "language": F.lit("en"),
        "language_score": F.lit(1.0),
        "replaced": F.create_map().cast("map<string,int>"),
        "drop_reason": F.lit(None).cast("string"),
    }
    RunLake(spark, root, Run("fill", "", "", SEGMENTS)).write(SEGMENTS, rows.withColumns(rest))
    spark.stop()


def measure(root: str, n: int) -> float:
    """Run both commands, print speed, core seconds and peak memory by kind of process, and return the seconds."""
    recipe = Path(root, "recipe.toml")
    recipe.write_text(f'name = "{RECIPE.name}"\nbase_model = "{RECIPE.base_model}"\n')
    seconds, peak, cores = {}, {"JVM": 0, "Python": 0}, 0.0
    for job in JOBS:
        began = time.perf_counter()
        with Path(root, "log").open("w") as log:
            command = [sys.executable, "-m", "jobs", job, "--recipe", str(recipe), "--lake", root]
            process = subprocess.Popen(command, stdout=log, stderr=log)
            used: dict[int, float] = {}
            while process.poll() is None:
                for kind, size in look(process.pid, used).items():
                    peak[kind] = max(peak[kind], size)
                time.sleep(0.1)
        if process.returncode:
            raise SystemExit(f"{job}: {Path(root, 'log').read_text()}")
        seconds[job] = time.perf_counter() - began
        cores += sum(used.values())
    total = sum(seconds.values())
    parts = [f"{job} {s:.1f} s" for job, s in seconds.items()] + [f"{k} {v / 2**30:.2f} GiB" for k, v in peak.items()]
    sys.stdout.write(
        f"{n:>9,} rows {total:7.1f} s {n / total:8,.0f} rows/s, {cores:.0f} core seconds ({', '.join(parts)} at most)\n"
    )
    return total


def look(pid: int, used: dict[int, float]) -> dict[str, int]:
    """Return the resident bytes of a process and its descendants by kind; add the core seconds of each to `used`."""
    sizes = {"JVM": 0, "Python": 0}
    try:
        command = psutil.Process(pid)
        for process in (command, *command.children(recursive=True)):
            name = process.name()
            if name == "java" or name.startswith("python"):  # any other is a forked JVM before its exec
                sizes["JVM" if name == "java" else "Python"] += process.memory_info().rss
            used[process.pid] = sum(process.cpu_times()[:2])
    except psutil.NoSuchProcess:  # one has just ended: the next sample counts the rest
        pass
    return sizes


def check(root: str, corpus: Corpus) -> None:
    """Print the share of true pairs that lost a segment, and the lowest Jaccard of a dropped segment and its keeper."""
    places = {name_of(place): place for place in range(len(corpus.texts))}
    rows = deltalake.DeltaTable(f"{root}/{DUPLICATES.path}").to_pyarrow_table().to_pylist()
    keepers = {places[row["segment_id"]]: places[row["keeper_id"]] for row in rows}
    threshold = FindDuplicates().min_jaccard
    pairs = pairs_at_least(corpus, threshold)
    lost = sum(a in keepers or b in keepers for a, b in pairs)
    lowest = min(
        (jaccard(shingles(corpus.texts[a]), shingles(corpus.texts[b])) for a, b in keepers.items()), default=1.0
    )
    dropped_keepers = sum(keeper in keepers for keeper in keepers.values())
    sys.stdout.write(
        f"{'':>14} {lost:,} of {len(pairs):,} planted pairs of Jaccard {threshold} or more lost a side"
        f" ({lost / max(len(pairs), 1):.2%}); {len(keepers):,} dropped, none less like its keeper than {lowest:.3f};"
        f" {dropped_keepers} keepers dropped\n"
    )


if __name__ == "__main__":
    sys.exit(main())
