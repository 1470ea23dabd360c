"""Read new crawl files into `bronze.documents`.

    humpback ingest-documents --recipe FILE --lake URI [--limit N: the first N new files]

The formats are those of `transforms/crawl/formats.py`. A file counts as read if `bronze.documents`
holds a page of it, or the quarantine a note that it has none.
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
    """Read the new files in parallel; a large file is read in parts."""
    files = new_files(lake, recipe)[: step.limit]
    if not files:
        return
    settings = recipe.ingest_documents
    columns = Columns(settings.url_column, settings.text_column, settings.date_column, settings.id_column)
    for group in _commits([(file, _length(file)) for file in files], settings.commit_bytes):
        parts = _parts(lake, group, settings.split_bytes)
        # One task per small file would write one small file each.
        n_full = math.ceil(sum(length for _, length in group) / settings.split_bytes)
        n_tasks = max(n_full, TASKS_PER_CORE * jvm.n_cores(lake.spark))
        frame = jvm.spread(lake.spark, parts, PART, min(n_tasks, len(parts)))
        rows = materialised(documents_from(frame, max_bytes=settings.max_record_bytes, columns=columns))
        lake.write(DOCUMENTS, with_repeats(of_whole_files(rows)), computed=True)
        jvm.release(rows)
    is_recorded = (F.col("rule") != UNREADABLE) | (F.col("run_id") == lake.run.run_id)
    without_pages = sorted(set(files) - {row.source_file for row in _files_read(lake).where(is_recorded).collect()})
    if without_pages:
        rows = lake.spark.createDataFrame([file_without_pages(f) for f in without_pages], ROWS)  # type: ignore[type-var]  # rows as dicts
        lake.write(DOCUMENTS, rows, computed=True)


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Count the crawl files that are new."""
    return Planned("read new crawl files", len(new_files(lake, recipe)))


def _commits(files: list[Sized], size: int) -> Iterator[list[Sized]]:
    """Group the files into commits of at most `size` bytes, or one larger file; a lost executor costs no more."""
    group: list[Sized] = []
    total = 0
    for file, length in files:
        if group and total + length > size:
            yield group
            group, total = [], 0
        group.append((file, length))
        total += length
    yield group


def _parts(lake: Lake, files: list[Sized], size: int) -> list[Piece]:
    """Split the files into parts for tasks: a large file, which a task reads to divide it, gives several."""
    large = [(file,) for file, length in files if length > size]
    parts: list[Piece] = [(file, None, None) for file, length in files if length <= size]
    if large:
        frame = jvm.spread(lake.spark, large, "source_file string", len(large))
        parts += [(part.source_file, part.start, part.end) for part in parts_of(frame, split_bytes=size).collect()]
    return parts


def _length(file: str) -> int:
    try:
        return os.path.getsize(file)
    except OSError:  # the task that reads the file notes the error in the quarantine
        return 0


def new_files(lake: Lake, recipe: Recipe) -> list[str]:
    """List the recipe's crawl files that have not been read, with those that were unreadable and now are not."""
    read = _files_read(lake).select("source_file", "rule").distinct().collect()
    known = {row.source_file for row in read if row.rule != UNREADABLE or not _is_readable(row.source_file)}
    files = crawl_files(recipe.ingest_documents.paths, recipe.ingest_conversations.paths)
    return [file for file in files if file not in known]


def _files_read(lake: Lake) -> DataFrame:
    """List the files that gave a page, and those without pages, with the `rule` and `run_id` of their quarantine."""
    pages = lake.read(DOCUMENTS).select("source_file", F.lit("").alias("rule"), F.lit("").alias("run_id")).distinct()
    is_without_pages = F.col("rule").isin(*NO_PAGES) & (F.col("table") == DOCUMENTS.name)
    return pages.union(lake.read(QUARANTINE).where(is_without_pages).select("source_file", "rule", "run_id"))


def _is_readable(file: str) -> bool:
    return os.path.isfile(file) and os.access(file, os.R_OK)
