"""Read new crawl files into `bronze.documents`.

    humpback ingest-documents --recipe FILE --lake URI [--limit N: the first N new files]

The formats are those of `transforms/crawl/formats.py`. A file counts as read when it gave a page,
or a note in the quarantine that it has none.
"""

import math
import os
from collections.abc import Iterator

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake import jvm
from jobs.lake.files import crawl_files
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.bronze import DOCUMENTS
from schemas.ops import QUARANTINE
from transforms.crawl.documents import (
    NO_PAGES,
    ROWS,
    UNREADABLE,
    documents_from,
    file_without_pages,
    of_whole_files,
    parts_of,
    with_repeats,
)
from transforms.crawl.records import Columns

READS = (QUARANTINE,)
WRITES = DOCUMENTS
UNIT = "records"
PARAMETERS = Parameters(has_limit=True)

PART = "source_file string, start bigint, end bigint"
TASKS_PER_CORE = 4

Sized = tuple[str, int]  # a file and its bytes
Piece = tuple[str, int | None, int | None]  # a file and where a part of it begins and ends


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Read the new files, in parallel, by files and parts of large ones."""
    files = new_files(lake, recipe)[: step.limit]
    if not files:
        return
    settings = recipe.ingest_documents
    columns = Columns(settings.url_column, settings.text_column, settings.date_column, settings.id_column)
    for some in _commits([(file, _length(file)) for file in files], settings.commit_bytes):
        parts = _parts(lake, some, settings.split_bytes)
        # A task for each small file would write as many small files.
        n_full = math.ceil(sum(length for _, length in some) / settings.split_bytes)
        n_tasks = max(n_full, TASKS_PER_CORE * jvm.n_cores(lake.spark))
        frame = jvm.spread(lake.spark, parts, PART, min(n_tasks, len(parts)))
        rows = materialised(documents_from(frame, max_bytes=settings.max_record_bytes, columns=columns))
        lake.write(DOCUMENTS, with_repeats(of_whole_files(rows)), computed=True)
        jvm.release(rows)
    told = (F.col("rule") != UNREADABLE) | (F.col("run_id") == lake.run.run_id)
    silent = sorted(set(files) - {row.source_file for row in _read(lake).where(told).collect()})
    if silent:
        rows = lake.spark.createDataFrame([file_without_pages(f) for f in silent], ROWS)  # type: ignore[type-var]  # rows as dicts
        lake.write(DOCUMENTS, rows, computed=True)


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Read the crawl files that are new."""
    return Planned("read new crawl files", len(new_files(lake, recipe)))


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


def _parts(lake: Lake, files: list[Sized], size: int) -> list[Piece]:
    """The parts that tasks read files in: of large ones, each of which a task reads to divide it, several."""
    large = [(file,) for file, length in files if length > size]
    parts: list[Piece] = [(file, None, None) for file, length in files if length <= size]
    if large:
        frame = jvm.spread(lake.spark, large, "source_file string", len(large))
        parts += [(part.source_file, part.start, part.end) for part in parts_of(frame, split_bytes=size).collect()]
    return parts


def _length(file: str) -> int:
    try:
        return os.path.getsize(file)
    except OSError:  # the task that reads it names the trouble in the quarantine
        return 0


def new_files(lake: Lake, recipe: Recipe) -> list[str]:
    """The recipe's crawl files that have not been read yet; one that could not be, once it can."""
    read = _read(lake).select("source_file", "rule").distinct().collect()
    known = {row.source_file for row in read if row.rule != UNREADABLE or not _is_readable(row.source_file)}
    return [f for f in crawl_files(recipe.ingest_documents.paths, recipe.ingest_conversations.paths) if f not in known]


def _read(lake: Lake) -> DataFrame:
    """The files that gave a page, and those that have none by a `rule` that a run noted (`run_id`)."""
    pages = lake.read(DOCUMENTS).select("source_file", F.lit("").alias("rule"), F.lit("").alias("run_id")).distinct()
    without = F.col("rule").isin(*NO_PAGES) & (F.col("table") == DOCUMENTS.name)
    return pages.union(lake.read(QUARANTINE).where(without).select("source_file", "rule", "run_id"))


def _is_readable(file: str) -> bool:
    return os.path.isfile(file) and os.access(file, os.R_OK)
