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


def run(lake: Lake, recipe: Recipe) -> None:
    """Every document gives at least one row, so the documents without rows are the new ones."""
    digest = segments_digest(recipe)
    done = lake.latest(SEGMENTS).where(F.col("method_digest") == digest).select("document_id").distinct()
    documents = lake.read(DOCUMENTS).join(done, "document_id", "left_anti")
    if lake.run.limit:
        documents = documents.orderBy("document_id").limit(lake.run.limit)
    if documents.isEmpty():
        return
    rules = recipe.extract_segments.model_dump()
    for key in ("url_block_lists", "word_block_lists"):
        rules[key] = read_entries(key, rules[key])
    lake.write(SEGMENTS, segments_from(documents, **rules, method_digest=digest))
