"""Read WARC files into `bronze.documents`, those files only that have not been read yet.

    humpback ingest-documents --recipe FILE --lake URI [--limit N: the first N new files]

A file counts as read when it gave a page, or a note in the quarantine that it has none.
"""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from pyspark.sql import functions as F

from jobs.config import Recipe
from jobs.errors import RecipeError
from jobs.lake import Lake
from schemas.bronze import DOCUMENTS
from schemas.ops import QUARANTINE
from transforms.documents import NO_PAGES, documents_from

READS = ()
WRITES = DOCUMENTS
UNIT = "records"


def run(lake: Lake, recipe: Recipe) -> None:
    """Read the new files, in parallel by file."""
    files = new_files(lake, recipe)[: lake.run.limit]
    if not files:
        return
    frame = lake.spark.createDataFrame([(f,) for f in files], "source_file string").repartition(len(files))
    lake.write(DOCUMENTS, documents_from(frame, max_bytes=recipe.ingest_documents.max_record_bytes))


def new_files(lake: Lake, recipe: Recipe) -> list[str]:
    """The recipe's crawl files that have not been read yet."""
    without_pages = F.col("rule").isin(*NO_PAGES) & (F.col("table") == DOCUMENTS.name)
    read = lake.latest(DOCUMENTS).select("source_file")
    read = read.union(lake.latest(QUARANTINE).where(without_pages).select("source_file"))
    known = {row.source_file for row in read.distinct().collect()}
    return [f for f in crawl_files(recipe.ingest_documents.paths) if f not in known]


def crawl_files(paths: Iterable[str]) -> list[str]:
    """The crawl files that paths, globs and folders (`*.warc`, `*.warc.gz` below) name, absolute and sorted.

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
        what = f"no WARC file at {', '.join(empty)}" if empty else "no paths are given"
        raise RecipeError(f"ingest_documents.paths: {what}; name files, globs or folders of *.warc or *.warc.gz")
    return sorted(found)


def _below(folder: Path) -> list[Path]:
    return [f for ending in ("*.warc", "*.warc.gz") for f in folder.rglob(ending)]
