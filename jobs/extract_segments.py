"""Cut every new document into header-rooted segments, `silver.segments`.

humpback extract-segments --recipe FILE --lake URI [--limit N: N documents]
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.config import Recipe
from jobs.digests import segments_digest
from jobs.lake import Lake
from jobs.text_files import read_entries
from schemas.bronze import DOCUMENTS
from schemas.silver import SEGMENTS
from transforms.segments import segments_from

READS = (DOCUMENTS,)
WRITES = SEGMENTS
UNIT = "pieces"
MANY_FILES = 1000


def run(lake: Lake, recipe: Recipe) -> None:
    """Every document gives at least one row, so the documents without rows are the new ones."""
    digest = segments_digest(recipe)
    done = lake.latest(SEGMENTS).where(F.col("method_digest") == digest).select("document_id").distinct()
    documents = _of_files_with_new(lake.read(DOCUMENTS), done)
    if documents is None:
        return
    if lake.run.limit:
        documents = documents.orderBy("document_id").limit(lake.run.limit)
    rules = recipe.extract_segments.model_dump()
    for key in ("url_block_lists", "word_block_lists"):
        rules[key] = read_entries(key, rules[key])
    lake.write(SEGMENTS, segments_from(documents, **rules, method_digest=digest))


def _of_files_with_new(documents: DataFrame, done: DataFrame) -> DataFrame | None:
    """The documents that are not done, None if there are none. Most files are new as a whole: no page is then moved."""
    n_done = F.count("is_done").alias("n_done")
    seen = documents.select("document_id", "source_file").join(
        done.withColumn("is_done", F.lit(True)), "document_id", "left"
    )
    files = seen.groupBy("source_file").agg(n_done, F.count(F.lit(1)).alias("n")).where("n_done < n").collect()
    if not files:
        return None
    names = [row.source_file for row in files]
    if len(names) < MANY_FILES:  # Delta then reads no pages of other files
        documents = documents.where(F.col("source_file").isin(names))
    else:
        named = documents.sparkSession.createDataFrame([(name,) for name in names], "source_file string")
        documents = documents.join(F.broadcast(named), "source_file", "left_semi")
    if any(row.n_done for row in files):
        documents = documents.join(done, "document_id", "left_anti")
    return documents
