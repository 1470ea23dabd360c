"""Draw the experiment's pool of unique, current, decontaminated segments, `silver.unlabelled`.

    humpback select-unlabelled --recipe FILE --lake URI [--limit N: at most N segments in the pool]

What it finds in common with seed and evaluation sets lands beside, in `silver.overlaps`: the
evidence of its own verdict, found in the same pass over the texts. What was drawn before a set
came is looked at again; it stays, and `generate-candidates` and `curate` leave it out.
"""

from pyspark.sql import functions as F

from jobs.current.prompts import evaluation_texts, kept_out
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.digests import duplicates_digest, segments_digest
from jobs.recipe.section import digest
from jobs.select_seed import seed_of
from schemas.bronze import DOCUMENTS
from schemas.ops import RUNS
from schemas.silver import DUPLICATES, OVERLAPS, SEED_PAIRS, SEGMENTS, UNLABELLED
from transforms.dedup.unlabelled import METHOD_VERSION, SEED_SET, overlaps_from, superseded_from, unlabelled_from

READS = (DOCUMENTS, SEGMENTS, DUPLICATES, SEED_PAIRS)
WRITES = UNLABELLED
UNIT = "segments"


def run(lake: Lake, recipe: Recipe) -> None:
    """Fill the pool up to the recipe's size, unless nothing has changed; what has been drawn once stays."""
    settings, prompts = recipe.select_unlabelled, list(evaluation_texts(recipe))
    methods = [segments_digest(recipe), duplicates_digest(recipe)]
    versions = [lake.version(table) for table in READS]
    facts = [METHOD_VERSION, settings.model_dump(), methods, versions, prompts, lake.run.limit]
    state = digest(facts)
    mine = F.col("experiment") == recipe.name
    drawn = lake.latest(UNLABELLED).where(mine).select("segment_id", "text")
    n_drawn = drawn.count()
    if not lake.latest(RUNS).where(mine & (F.col("status") == "ok") & (F.col("bookmarks")[state] == n_drawn)).isEmpty():
        return
    room = lake.run.at_most(settings.size) - n_drawn
    kept = (F.col("method_digest") == segments_digest(recipe)) & F.col("drop_reason").isNull()
    segments = lake.read(SEGMENTS).where(kept)
    repeated = lake.read(DUPLICATES).where(F.col("method_digest") == duplicates_digest(recipe))
    # By another method than the one they were drawn under, drawn segments may repeat others: those are taken too.
    taken = repeated.join(drawn, "segment_id", "left_semi").select(F.col("keeper_id").alias("segment_id"))
    taken = taken.union(repeated.select("segment_id")).union(drawn.select("segment_id"))
    pool = segments.join(taken, "segment_id", "left_anti")

    texts = F.explode(F.array("instruction", "response")).alias("text")
    seed = seed_of(lake, recipe).select(F.lit(SEED_SET).alias("known_set"), F.col("pair_id").alias("known_id"), texts)
    known = seed.union(lake.spark.createDataFrame(prompts, seed.schema))
    looked_at = pool.select("segment_id", "text").union(drawn) if room > 0 else drawn
    words = settings.model_dump(include={"ngram_words", "short_ngram_words"})
    overlaps = materialised(overlaps_from(looked_at, known, experiment=recipe.name, **words))
    lake.write(OVERLAPS, overlaps, computed=True)
    lake.run.bookmarks[state] = n_drawn
    if room <= 0:
        return

    documents = lake.read(DOCUMENTS).select("document_id", "url", "crawled_at")
    superseded = superseded_from(segments, repeated, documents)
    rules = settings.model_dump(include={"sample_seed", "exclude_url_prefixes"})
    rows = unlabelled_from(pool, kept_out(lake, recipe), superseded, experiment=recipe.name, room=room, **rules)
    lake.write(UNLABELLED, rows)
    lake.run.bookmarks[state] += lake.run.n_out
