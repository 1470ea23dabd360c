"""Read crawl files into `bronze.documents`, those files only that have not been read yet.

    humpback ingest-documents --recipe FILE --lake URI [--limit N: the first N new files]

The formats are those of `transforms/crawl/formats.py`. A file counts as read when it gave a page,
or a note in the quarantine that it has none.
"""

import glob
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.errors import RecipeError
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from schemas.bronze import DOCUMENTS
from schemas.ops import QUARANTINE
from transforms.crawl.documents import (
    NO_PAGES,
    ROWS,
    UNREADABLE,
    documents_from,
    file_without_pages,
    of_whole_files,
    with_repeats,
)
from transforms.crawl.formats import SUFFIXES
from transforms.crawl.records import Columns

READS = ()
WRITES = DOCUMENTS
UNIT = "records"

PART = "source_file string, start bigint, end bigint"
TASKS_PER_CORE = 4

Sized = tuple[str, int]  # a file and its bytes


def run(lake: Lake, recipe: Recipe) -> None:
    """Read the new files, in parallel, by files and parts of large ones."""
    files = new_files(lake, recipe)[: lake.run.limit]
    if not files:
        return
    settings = recipe.ingest_documents
    columns = Columns(settings.url_column, settings.text_column, settings.date_column, settings.id_column)
    for some in _commits([(file, _length(file)) for file in files], settings.commit_bytes):
        parts = [part for file, length in some for part in _parts(file, length, settings.split_bytes)]
        # A task for each small file would write as many small files.
        n_full = math.ceil(sum(length for _, length in some) / settings.split_bytes)
        n_tasks = max(n_full, TASKS_PER_CORE * lake.spark.sparkContext.defaultParallelism)
        shared_out = lake.spark.sparkContext.parallelize(parts, min(n_tasks, len(parts)))
        frame = lake.spark.createDataFrame(shared_out, PART)
        rows = materialised(documents_from(frame, max_bytes=settings.max_record_bytes, columns=columns))
        lake.write(DOCUMENTS, with_repeats(of_whole_files(rows)), computed=True, keys_first=True)
    told = (F.col("rule") != UNREADABLE) | (F.col("run_id") == lake.run.run_id)
    silent = sorted(set(files) - {row.source_file for row in _read(lake).where(told).collect()})
    if silent:
        rows = lake.spark.createDataFrame([file_without_pages(f) for f in silent], ROWS)  # type: ignore[type-var]
        lake.write(DOCUMENTS, rows, computed=True)


def _commits(files: list[Sized], size: int) -> Iterator[list[Sized]]:
    """The files, so many bytes at a time, that each commit holds: a lost executor costs no more."""
    some: list[Sized] = []
    total = 0
    for file, length in files:
        if some and total + length > size:
            yield some
            some, total = [], 0
        some.append((file, length))
        total += length
    yield some


def _parts(file: str, length: int, size: int) -> list[tuple[str, int | None, int | None]]:
    """The parts that tasks read a file in."""
    if length <= size:
        return [(file, None, None)]
    return [(file, start, min(start + size, length)) for start in range(0, length, size)]


def _length(file: str) -> int:
    try:
        return os.path.getsize(file)
    except OSError:  # the task that reads it names the trouble in the quarantine
        return 0


def new_files(lake: Lake, recipe: Recipe) -> list[str]:
    """The recipe's crawl files that have not been read yet; one that could not be, once it can."""
    read = _read(lake).select("source_file", "rule").distinct().collect()
    known = {row.source_file for row in read if row.rule != UNREADABLE or not _is_readable(row.source_file)}
    return [f for f in crawl_files(recipe.ingest_documents.paths) if f not in known]


def _read(lake: Lake) -> DataFrame:
    """The files that gave a page, and those that have none by a `rule` that a run noted (`run_id`)."""
    pages = lake.latest(DOCUMENTS).select("source_file", F.lit("").alias("rule"), F.lit("").alias("run_id")).distinct()
    without = F.col("rule").isin(*NO_PAGES) & (F.col("table") == DOCUMENTS.name)
    return pages.union(lake.latest(QUARANTINE).where(without).select("source_file", "rule", "run_id"))


def _is_readable(file: str) -> bool:
    return os.path.isfile(file) and os.access(file, os.R_OK)


def crawl_files(paths: Iterable[str]) -> list[str]:
    """The source files that paths, globs and folders (all `SUFFIXES` below) name, absolute and sorted.

    Raises:
        RecipeError: there are no paths, or some name no file; lists them.
    """
    found: set[str] = set()
    empty = []
    for pattern in paths:
        matches = glob.glob(os.path.expanduser(pattern), recursive=True)
        files = [str(f) for m in matches for f in (_below(Path(m)) if os.path.isdir(m) else [m])]
        if not files:
            empty.append(pattern)
        found.update(os.path.abspath(f) for f in files)
    if empty or not found:
        what = f"no source file at {', '.join(empty)}" if empty else "no paths are given"
        raise RecipeError(f"ingest_documents.paths: {what}; name files, globs or folders of WARC, Parquet or JSONL")
    return sorted(found)


def _below(folder: Path) -> list[Path]:
    """What has a format's suffix, from a folder down; of a table that Spark wrote as a folder the files in it.

    Another folder with such a name is listed, for it can't be read.
    """
    found = [f for f in (folder, *folder.rglob("*")) if f.name.endswith(SUFFIXES)]
    holders = {parent for f in found for parent in f.parents}
    return [f for f in found if f not in holders]
