"""Cut every new document into header-rooted segments, `silver.segments`.

humpback extract-segments --recipe FILE --lake URI [--limit N: N documents]
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.bookmarks import news
from jobs.current.methods import methods_of, noted_method
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.files import read_entries
from jobs.recipe.step import Parameters, Planned, Step
from schemas.bronze import DOCUMENTS
from schemas.ops import RUNS
from schemas.silver import SEGMENTS
from transforms.pages.segments import SegmentRules, segments_from

READS = (DOCUMENTS, RUNS)
WRITES = SEGMENTS
UNIT = "pieces"
PARAMETERS = Parameters(has_limit=True)

FEW_FILES = 1000


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Segment the new documents: those without rows, since every document gives at least one row."""
    method = noted_method(lake, SEGMENTS, methods_of(recipe))
    new_rows = news(lake, DOCUMENTS, SEGMENTS, method, is_all=not step.limit)
    done = new_rows.made.where(F.col("method_digest") == method).select("document_id").distinct()
    documents = _new_documents(new_rows.source, done, step.limit)
    if documents is None:
        return
    lake.write(SEGMENTS, segments_from(documents, _rules(recipe), method_digest=method))


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Return a plan without a count of the new rows."""
    return Planned("look for new rows")


def _rules(recipe: Recipe) -> SegmentRules:
    """Build the rules from the recipe's section, with its block-list files replaced by their entries."""
    settings = recipe.extract_segments.model_dump()
    lists = {key: read_entries(key, settings[key]) for key in ("url_block_lists", "word_block_lists")}
    return SegmentRules(**settings | lists)


def _new_documents(documents: DataFrame, done: DataFrame, limit: int | None) -> DataFrame | None:
    """Select the documents that are not done, or the first `limit` of them by id; None if there are none.

    Most crawl files are new as a whole; their documents are selected by file, without shuffling pages.
    """
    file, is_done = F.col("source_file"), F.lit(True).alias("is_done")
    marked = documents.select("document_id", file).join(done.select("document_id", is_done), "document_id", "left")
    if limit:
        first_rows = marked.where("is_done IS NULL").orderBy("document_id").limit(limit).collect()
        is_first = file.isin([*{row.source_file for row in first_rows}]) & F.col("document_id").isin(
            [row.document_id for row in first_rows]
        )
        return documents.where(is_first) if first_rows else None
    counts = marked.groupBy(file).agg(F.count("is_done").alias("n_done"), F.count(F.lit(1)).alias("n"))
    files = counts.where("n_done < n").collect()
    new_files, begun_files = (
        [row.source_file for row in files if (row.n_done > 0) is has_begun] for has_begun in (False, True)
    )
    new = _of_files(documents, new_files)
    if begun_files:
        new = new.union(_of_files(documents, begun_files).join(done, "document_id", "left_anti").select(new.columns))
    return new if files else None


def _of_files(documents: DataFrame, files: list[str]) -> DataFrame:
    """Select the documents of crawl files; if these are few, Delta skips data files without their pages."""
    if len(files) < FEW_FILES:
        return documents.where(F.col("source_file").isin(files))
    names = documents.sparkSession.createDataFrame([(name,) for name in files], "source_file string")
    return documents.join(F.broadcast(names), "source_file", "left_semi")
