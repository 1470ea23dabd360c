"""Cut every new document into header-rooted segments, `silver.segments`.

humpback extract-segments --recipe FILE --lake URI [--limit N: N documents]
"""

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
    documents = lake.read(DOCUMENTS)
    new = documents.select("document_id", "source_file").join(done, "document_id", "left_anti")
    files = [row.source_file for row in new.select("source_file").distinct().limit(MANY_FILES).collect()]
    if not files:
        return
    if len(files) < MANY_FILES:  # Delta then reads no pages of other files
        documents = documents.where(F.col("source_file").isin(files))
    documents = documents.join(done, "document_id", "left_anti")
    if lake.run.limit:
        documents = documents.orderBy("document_id").limit(lake.run.limit)
    rules = recipe.extract_segments.model_dump()
    for key in ("url_block_lists", "word_block_lists"):
        rules[key] = read_entries(key, rules[key])
    lake.write(SEGMENTS, segments_from(documents, **rules, method_digest=digest))
